//! Peers that break the rules on purpose. Each ends in a clear error: nobody panics, nobody waits for ever, and the server
//! goes on to serve others.

mod client;
mod lengths;
mod server;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use dits_core::commit::Commit;
use dits_core::compress::Encoding;
use dits_core::object::{CommitId, Digest, ObjectKind, TreeId};
use dits_core::signature::Signature;
use dits_core::store::frame::Header;
use dits_sync::link::{Lane, Link, LinkError};
use dits_sync::wire::{Features, Hello, Limits, Message, PROTOCOL};

/// One end of a link on which anything can be said.
struct Raw<'l>(&'l dyn Link);

impl Raw<'_> {
    fn say(&self, message: &Message) {
        self.say_on(Lane::Control, message);
    }

    fn say_on(&self, lane: Lane, message: &Message) {
        self.bytes(lane, message.encode());
    }

    /// The other side may be gone already: what matters is what it said.
    fn bytes(&self, lane: Lane, bytes: Bytes) -> bool {
        self.0.send(lane, bytes).is_ok()
    }

    /// The next message; `None` at the end of the link.
    fn hear(&self) -> Option<Message> {
        loop {
            match self.0.recv(Duration::from_secs(20)) {
                Ok((_, bytes)) => match Message::decode(&bytes).unwrap() {
                    None | Some(Message::Progress(_)) => {}
                    message => return message,
                },
                Err(LinkError::TimedOut(_)) => panic!("it says nothing"),
                Err(_) => return None,
            }
        }
    }

    /// Reads until a message of this name comes.
    fn hear_until(&self, name: &str) -> Message {
        loop {
            match self.hear() {
                Some(message) if message.name() == name => return message,
                Some(Message::Error(failure)) => panic!("{failure:?} instead of {name}"),
                Some(_) => {}
                None => panic!("the end instead of {name}"),
            }
        }
    }

    fn introduce(&self) {
        self.say(&Message::Hello(hello()));
        self.hear_until("Welcome");
    }
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        agent: "hostile".into(),
        features: Features::ALL,
        limits: Limits::default(),
        repository: String::new(),
        token: None,
    }
}

/// An object that travels.
fn frame(kind: ObjectKind, plain: &[u8]) -> (Digest, Vec<u8>) {
    let digest = kind.digest(plain);
    (digest, frame_named(kind, digest, Encoding::Raw, plain, plain.len()))
}

fn frame_named(kind: ObjectKind, digest: Digest, encoding: Encoding, payload: &[u8], plain_len: usize) -> Vec<u8> {
    let header = Header::new(kind, encoding, digest, payload, plain_len);
    [&header.encode()[..], payload].concat()
}

/// Metadata made by hand.
#[derive(Default)]
struct Made(HashMap<Digest, Vec<u8>>);

impl Made {
    fn object(&mut self, kind: ObjectKind, plain: &[u8]) -> Digest {
        let (digest, frame) = frame(kind, plain);
        self.0.insert(digest, frame);
        digest
    }

    fn commit(&mut self, parents: Vec<CommitId>, tree: Digest) -> Digest {
        let who = Signature { name: "Eve".into(), email: "e@x".into(), time: 7, offset: 0 };
        let commit = Commit::new(parents, TreeId::from_digest(tree), who.clone(), who, "evil".into());
        let memory = dits_core::object::memory::MemoryObjects::new();
        let id = commit.write(&memory).unwrap();
        let bytes = dits_core::object::ObjectRead::read(&memory, ObjectKind::Commit, id.digest()).unwrap();
        self.object(ObjectKind::Commit, &bytes)
    }

    fn frames(&self, ids: &[Digest]) -> Message {
        Message::Objects(ids.iter().flat_map(|id| self.0[id].clone()).collect::<Vec<_>>().into())
    }
}
