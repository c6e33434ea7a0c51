//! A conversation with one client.

use std::collections::HashSet;
use std::sync::Arc;

use dits_core::object::Digest;
use dits_core::progress::{Interrupted, Progress};
use dits_core::refs::{BRANCHES, RefName, RefStore, TAGS, Target};
use dits_core::repo::Repository;
use dits_core::store::Condemned;

use super::locks::Shown;
use super::{Access, Event, Host, Methods, Visitor};
use crate::AGENT;
use crate::error::SyncError;
use crate::exchange;
use crate::link::{Lane, Link, LinkError};
use crate::session::{Session, printable};
use crate::transfer::Violation;
use crate::wire::{ErrorCode, Features, Get, Got, Has, Hello, Limits, Listing, Message, PROTOCOL, Refs, Welcome};

/// Answers on a link until the client leaves. Blocks; run it on a thread of its own.
pub fn serve(link: &dyn Link, host: &dyn Host) {
    let mut session = Session::new(link, Features::default());
    let mut access = None;
    let result = admit(&mut session, host).and_then(|admitted| {
        let conversation =
            Conversation { session, access: Arc::clone(&admitted), listed: HashSet::new(), tokens: None };
        access = Some(admitted);
        conversation.run()
    });
    if let Err(error) = result {
        if let Some(failure) = error.to_peer() {
            // It may be gone already.
            let _ = link.send(Lane::Control, Message::Error(failure).encode());
        }
        if let Some(access) = access {
            access.observe(&Event::Failed { what: error.to_string() });
        }
    }
    link.close();
}

fn admit(session: &mut Session<'_>, host: &dyn Host) -> Result<Arc<dyn Access>, SyncError> {
    let hello = match session.first()? {
        Message::Hello(hello) => hello,
        other => return Err(Violation(format!("{} before Hello", other.name())).into()),
    };
    if hello.protocol == 0 {
        return Err(SyncError::refuse(ErrorCode::Version, "protocol version 0 does not exist"));
    }
    let Hello { agent, repository, token, features, .. } = hello;
    let visitor = Visitor { peer: session.link().peer(), agent: printable(&agent), repository, token };
    let access = host.admit(&visitor).map_err(SyncError::Refuse)?;
    session.features = features;
    let Methods { read, write, lock, admin } = access.methods();
    let may = u8::from(read) | u8::from(write) << 1 | u8::from(lock) << 2 | u8::from(admin) << 3;
    session.link().admitted();
    session.control(&Message::Welcome(Welcome {
        protocol: PROTOCOL.min(hello.protocol),
        agent: AGENT.to_owned(),
        features: Features::ALL,
        limits: Limits::default(),
        may,
        // What cannot be read promises nothing.
        partial: access.repository().promises().map_or(true, |promises| !promises.is_empty()),
    }))?;
    Ok(access)
}

pub(super) struct Conversation<'l> {
    pub(super) session: Session<'l>,
    pub(super) access: Arc<dyn Access>,
    /// What the listings of this conversation named: what may be asked for.
    pub(super) listed: HashSet<Digest>,
    /// What the next push relies on.
    pub(super) tokens: Option<Shown>,
}

/// Stops a transfer when the server cannot wait for it any more.
pub(super) struct UntilCutOff<'a>(pub(super) &'a dyn Access);

impl Progress for UntilCutOff<'_> {
    fn interrupted(&self) -> bool {
        self.0.cutting_off()
    }
}

impl Conversation<'_> {
    fn run(mut self) -> Result<(), SyncError> {
        loop {
            let access = Arc::clone(&self.access);
            let stop = || if access.stopping() { Err(Interrupted) } else { Ok(()) };
            let received = self.session.recv(&mut || Ok(stop()?));
            let message = match received {
                Ok((_, message)) => message,
                // The client has what it wanted.
                Err(SyncError::Link(LinkError::Closed(_))) => return Ok(()),
                Err(error) => return Err(error),
            };
            match message {
                Message::ListRefs(known) => self.list(known)?,
                Message::Fetch(fetch) => self.fetch(fetch)?,
                Message::Push(push) => self.push(push)?,
                Message::Get(get) => self.get(&get)?,
                Message::Has(has) => self.has(&has)?,
                Message::Lock(request) => self.lock(request)?,
                Message::Unlock(request) => self.unlock(request)?,
                Message::ListLocks(request) => self.list_locks(&request)?,
                Message::Tokens(tokens) => self.tokens(tokens)?,
                other => return Err(Violation(format!("{} out of place", other.name())).into()),
            }
        }
    }

    pub(super) fn repository(&self) -> &Repository {
        self.access.repository()
    }

    /// Fails if the client may not do this.
    pub(super) fn check_may(&self, may: impl Fn(Methods) -> bool, what: &str) -> Result<(), SyncError> {
        if may(self.access.methods()) {
            return Ok(());
        }
        Err(SyncError::refuse(ErrorCode::Denied, format!("you may not {what} here; ask who runs the server")))
    }

    fn list(&mut self, known: Option<[u8; 32]>) -> Result<(), SyncError> {
        self.check_may(|may| may.read || may.write, "read")?;
        let listing = listing(self.repository())?;
        self.listed.extend(listing.refs.iter().map(|(_, digest)| *digest));
        if known == Some(listing.digest()) {
            return self.session.control(&Message::Refs(Refs::Unchanged));
        }
        listing.messages().into_iter().try_for_each(|part| self.session.control(&Message::Refs(part)))
    }

    fn get(&self, get: &Get) -> Result<(), SyncError> {
        self.check_may(|may| may.read, "read")?;
        let (objects, missing) = exchange::get(&self.session, self.repository().store(), get)?;
        self.access.observe(&Event::Got { objects, missing, traffic: self.session.traffic() });
        Ok(())
    }

    /// What is condemned may be gone at any moment, so it is not there. The list is read first: whoever condemned
    /// something and has taken it off the list again has by then removed it, or will not.
    fn has(&self, has: &Has) -> Result<(), SyncError> {
        self.check_may(|may| may.read, "read")?;
        let store = self.repository().store();
        let condemned = Condemned::current(store.dits_dir())?.content.digests;
        store.content.refresh()?;
        let mut missing = Vec::new();
        for (i, chunk) in has.chunks.iter().enumerate() {
            if condemned.contains(chunk) || !store.content.contains(chunk)? {
                missing.push(i as u32);
            }
        }
        self.session.control(&Message::Got(Got { number: has.number, missing }))
    }
}

/// The branches and tags of a repository.
pub(super) fn listing(repository: &Repository) -> Result<Listing, SyncError> {
    let refs = repository.refs();
    let mut listing = Listing::default();
    if let Some(Target::Symbolic(branch)) = refs.read(&RefName::head())? {
        listing.head = Some(branch);
    }
    for prefix in [BRANCHES, TAGS] {
        for (name, target) in refs.list(prefix)? {
            if let Target::Id(digest) = target {
                listing.refs.push((name, digest));
            }
        }
    }
    listing.refs.sort();
    Ok(listing)
}
