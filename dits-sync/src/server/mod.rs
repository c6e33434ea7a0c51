//! The server's end: answers for one repository per link.

mod fetch;
mod incoming;
mod local;
mod locks;
mod moving;
mod push;
mod receive_push;
mod serve;

use std::fmt;
use std::sync::Arc;

use dits_core::lock::{Holder, Lock};
use dits_core::object::{CommitId, Digest, ObjectRead};
use dits_core::path::RepoPath;
use dits_core::refs::RefName;
use dits_core::repo::Repository;
use dits_core::signature::Signature;

use crate::link::Traffic;
use crate::locks::Locks;
use crate::wire::Failure;

pub use local::LocalHost;
pub use serve::serve;

/// Lets clients in. One for all links of a server process.
pub trait Host: Send + Sync {
    /// Decides about a client and opens the repository it asks for.
    ///
    /// # Errors
    /// What the client is told. "No such repository" and "not for you" must be the same failure.
    fn admit(&self, visitor: &Visitor) -> Result<Arc<dyn Access>, Failure>;
}

/// Who asks to be let in.
#[derive(Clone)]
pub struct Visitor {
    /// Where the client is, for logs.
    pub peer: String,
    /// Its name and version, for logs.
    pub agent: String,
    /// Which repository it asks for.
    pub repository: String,
    /// What proves who it is.
    pub token: Option<String>,
}

/// Tokens do not belong in logs.
impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("peer", &self.peer)
            .field("agent", &self.agent)
            .field("repository", &self.repository)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish()
    }
}

/// What a client may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    /// Fetch and list.
    pub read: bool,
    /// Push.
    pub write: bool,
    /// Lock files.
    pub lock: bool,
    /// Break the locks of others, and what else only administrators may.
    pub admin: bool,
}

/// One client's access to one repository.
pub trait Access: Send + Sync {
    /// The repository.
    fn repository(&self) -> &Repository;

    /// Its locks.
    fn locks(&self) -> &Locks;

    /// What the client may do.
    fn methods(&self) -> Methods;

    /// Who reflog lines are signed by, at the present time.
    fn signature(&self) -> Signature;

    /// Waits for its turn among the pushes to this repository. Called before anything of a push is received; the turn
    /// ends when what this returns is dropped. Once `gone` says that the client has left, nobody waits any more.
    ///
    /// # Errors
    /// When the turn does not come in time.
    fn begin_push(&self, _gone: &dyn Fn() -> bool) -> Result<Box<dyn Send>, Failure> {
        Ok(Box::new(()))
    }

    /// Decides about one ref before anything is transferred, and again just before it moves. `fast_forward` is `None`
    /// where that is not known yet, or the ref is created or deleted.
    ///
    /// # Errors
    /// Why it may not move, for the user.
    fn check_update(&self, update: &RefUpdate, fast_forward: Option<bool>) -> Result<(), String>;

    /// Decides about the paths that a push changes, when its objects are there and checked. `objects` has them all, also
    /// in a dry run, which leaves nothing in the repository.
    ///
    /// # Errors
    /// Why it may not be, for the user.
    fn check_paths(&self, update: &RefUpdate, objects: &dyn ObjectRead) -> Result<(), String>;

    /// How many bytes a push may store; `None` is no limit.
    fn quota_left(&self) -> Option<u64>;

    /// Runs just before refs move. What it returns is shown to the user.
    ///
    /// # Errors
    /// Why nothing may move, for the user.
    fn pre_receive(&self, updates: &[RefUpdate]) -> Result<String, String>;

    /// Runs after refs have moved. What it returns is shown to the user; it cannot fail the push any more.
    fn post_receive(&self, updates: &[RefUpdate]) -> String;

    /// Hears what happened, for logs, metrics and audit.
    fn observe(&self, event: &Event);

    /// Whether the server is shutting down: no further request is answered.
    fn stopping(&self) -> bool;

    /// Whether a transfer in progress must end too, at the next opportunity.
    fn cutting_off(&self) -> bool {
        self.stopping()
    }
}

/// A ref that a push moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// The ref.
    pub name: RefName,
    /// What it is.
    pub old: Option<Digest>,
    /// What it is to be; `None` removes it.
    pub new: Option<Digest>,
    /// Whether the client asked to leave commits behind if need be.
    pub force: bool,
}

/// What happened on a link.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Objects were sent to a client.
    Fetched {
        /// What it asked for.
        wants: Vec<Digest>,
        /// Commits both had before.
        common: Vec<CommitId>,
        /// Objects sent; 0 when it broke off.
        objects: u64,
        /// Whether the client has confirmed that it has all.
        complete: bool,
        /// Bytes through the socket.
        traffic: Traffic,
    },
    /// A client pushed.
    Pushed {
        /// The refs that moved.
        moved: Vec<RefUpdate>,
        /// The refs that did not, and why.
        refused: Vec<(RefUpdate, String)>,
        /// Objects received.
        objects: u64,
        /// Bytes through the socket.
        traffic: Traffic,
    },
    /// Objects were read by name: a folder of a partial clone, a mount.
    Got {
        /// Objects sent.
        objects: u64,
        /// Names that the repository does not have.
        missing: u64,
        /// Bytes through the socket.
        traffic: Traffic,
    },
    /// Files were locked, or not.
    Locked {
        /// By whom.
        holder: Holder,
        /// Which are.
        locked: Vec<RepoPath>,
        /// Which are not.
        refused: Vec<RepoPath>,
    },
    /// Files were given back.
    Unlocked {
        /// By whom.
        holder: Holder,
        /// Which.
        unlocked: Vec<RepoPath>,
        /// The locks that were taken from others for it.
        broken: Vec<Lock>,
    },
    /// The link ended with an error.
    Failed {
        /// For logs.
        what: String,
    },
}
