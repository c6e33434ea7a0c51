//! The client's end: a conversation with one repository somewhere else.
//!
//! ```text
//! let mut client = Client::new(&*link, &introduction)?;
//! let listing = client.listing(None)?;
//! let fetched = client.fetch(&repository, FetchRequest::of(wants), &progress)?;
//! // move refs, then:
//! drop(fetched.guard);
//! ```

mod edges;
mod fetch;
mod get;
mod haves;
mod line;
mod live;
mod local;
mod locks;
mod push;
mod redial;

use dits_core::progress::Progress;
use dits_core::store::StoreWriter;

pub use fetch::{FetchRequest, Fetched};
pub use get::RemoteChunks;
pub use live::LiveChunks;
pub use local::open_local;
pub use push::{PushRequest, PushedRefs};
pub use redial::converse;

pub use crate::exchange::Received as FetchStats;
pub use crate::exchange::SendStats as PushStats;
pub use crate::transfer::ContentFilter;
pub use crate::wire::{
    ALL as UNLIMITED_DEPTH, Ask, Listing, LockOutcome, LockRefusal, LockRequest, LockStamp, LockTable, MAX_LOCKS,
    Place, Token, UnlockOutcome, UnlockRequest, Update, UpdateOutcome, Welcome,
};

use crate::AGENT;
use crate::error::SyncError;
use crate::link::{Link, Traffic};
use crate::session::Session;
use crate::transfer::Violation;
use crate::wire::{Features, Hello, Limits, Message, PROTOCOL, Refs};

/// What a client says of itself.
#[derive(Clone, Debug, Default)]
pub struct Introduction {
    /// Which repository it asks for: the path of the URL. Empty where the link leads to one.
    pub repository: String,
    /// What proves who it is.
    pub token: Option<String>,
}

/// A conversation with a server.
pub struct Client<'l> {
    session: Session<'l>,
    welcome: Option<Welcome>,
    lasting: Lasting,
}

/// What a conversation has led to that stays if the link breaks.
#[derive(Clone, Copy, Debug, Default)]
struct Lasting {
    /// Objects that are here now and were not before.
    stored: u64,
    /// Objects that the server turned out to have when they were named to it. If they are more than the time before,
    /// something has come there meanwhile.
    spared: u64,
}

/// Objects that a writer was given and that were not there before.
fn stored_new(writer: &StoreWriter) -> u64 {
    writer.content.stats().objects_new + writer.meta.stats().objects_new
}

impl<'l> Client<'l> {
    /// Begins a conversation. The answer is awaited with the first one that is needed.
    ///
    /// # Errors
    /// When the link is broken.
    pub fn new(link: &'l dyn Link, introduction: &Introduction) -> Result<Self, SyncError> {
        let session = Session::new(link, Features::default());
        session.control(&Message::Hello(Hello {
            protocol: PROTOCOL,
            agent: AGENT.to_owned(),
            features: Features::ALL,
            limits: Limits::default(),
            repository: introduction.repository.clone(),
            token: introduction.token.clone(),
        }))?;
        Ok(Self { session, welcome: None, lasting: Lasting::default() })
    }

    /// Bytes through the socket so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.session.traffic()
    }

    /// What the server said of itself.
    ///
    /// # Errors
    /// When it does not let the client in, or the link is broken.
    pub fn welcome(&mut self, progress: &dyn Progress) -> Result<&Welcome, SyncError> {
        if self.welcome.is_none() {
            let (_, message) = self.session.recv(&mut || Ok(progress.check()?))?;
            let Message::Welcome(welcome) = message else {
                return Err(Violation(format!("{} instead of Welcome", message.name())).into());
            };
            if welcome.protocol != PROTOCOL {
                return Err(Violation(format!(
                    "it speaks protocol {}, and this dits speaks {PROTOCOL}",
                    welcome.protocol
                ))
                .into());
            }
            self.session.features = welcome.features;
            self.welcome = Some(welcome);
        }
        self.welcome.as_ref().ok_or_else(|| Violation("no welcome".to_owned()).into())
    }

    /// The branches and tags. Given the listing that was seen last, the answer is short if nothing has changed.
    ///
    /// # Errors
    /// When the server does not answer, or not with a listing.
    pub fn listing(&mut self, known: Option<&Listing>, progress: &dyn Progress) -> Result<Listing, SyncError> {
        self.try_listing(known, progress).map_err(|error| self.session.explain(error))
    }

    fn try_listing(&mut self, known: Option<&Listing>, progress: &dyn Progress) -> Result<Listing, SyncError> {
        self.session.control(&Message::ListRefs(known.map(Listing::digest)))?;
        let mut listing = Listing::default();
        loop {
            match self.recv(progress)? {
                Message::Refs(Refs::Unchanged) => {
                    let unasked = || Violation("an unchanged listing, of nothing".to_owned()).into();
                    return known.cloned().ok_or_else(unasked);
                }
                Message::Refs(Refs::Some { head, refs, more }) => {
                    listing.extend(head, refs, more).map_err(|what| Violation(what.to_owned()))?;
                    if !more {
                        return Ok(listing);
                    }
                }
                other => return Err(Violation(format!("{} instead of Refs", other.name())).into()),
            }
        }
    }

    /// The next message, after the server's welcome.
    fn recv(&mut self, progress: &dyn Progress) -> Result<Message, SyncError> {
        self.welcome(progress)?;
        Ok(self.session.recv(&mut || Ok(progress.check()?))?.1)
    }

    /// Tells the server why the conversation ends, if it does not know. Gives the reason, which may be the server's.
    fn give_up(&self, error: SyncError) -> SyncError {
        let error = self.session.explain(error);
        if let Some(failure) = error.to_peer() {
            // It may be gone already.
            let _ = self.session.control(&Message::Error(failure));
        }
        self.session.link().close();
        error
    }
}
