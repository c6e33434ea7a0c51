//! What is asked for, and what becomes of it.

use bincode::{Decode, Encode};
use dits_core::object::{CommitId, Digest};
use dits_core::path::RepoPath;
use dits_core::refs::RefName;

use super::{IdFilter, LockRefusal, MAX_TEXT, Runs, fits};

/// The most refs that one fetch asks for, or one push moves.
pub const MAX_WANTS: usize = 8192;
/// The most haves in one message.
pub const MAX_HAVES: usize = 4096;
/// The most shallow commits in one message.
pub const MAX_SHALLOW: usize = 4096;
/// The most names in one `Get`.
pub const MAX_GET: usize = 16384;

/// The depth that has no end.
pub const ALL: u32 = u32::MAX;

/// The most objects of held metadata in one segment.
pub const MAX_HELD: usize = 1024;

/// Asks for what some commits or tags bring.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Fetch {
    /// What the listing names.
    pub wants: Vec<Digest>,
    /// What the client has, with everything it reaches, its shallow commits' parents excepted.
    pub haves: Vec<CommitId>,
    /// Whether the client could name more.
    pub more: bool,
    /// Commits whose parents the client does not have.
    pub shallow: Vec<CommitId>,
    /// How many commits deep, from each want; 0 leaves the edges of the client's history where they are, and [`ALL`] takes
    /// all of it.
    pub depth: u32,
    /// Metadata that the client holds beyond what the haves reach.
    pub held: Option<IdFilter>,
}

impl Fetch {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.wants.len(), MAX_WANTS, "wants too much at once")?;
        fits(self.haves.len(), MAX_HAVES, "has too many haves")?;
        fits(self.shallow.len(), MAX_SHALLOW, "has too many shallow commits")
    }
}

/// A transfer begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Start {
    /// Which of the haves the other side has too, by their numbers.
    pub common: Vec<u32>,
    /// Where history ends: of a fetch, commits that are sent without their parents; of a push, commits whose parents the
    /// server does not have.
    pub shallow: Vec<CommitId>,
    /// Those of the client's shallow commits whose parents are sent now.
    pub lifted: Vec<CommitId>,
    /// Metadata that the receiver holds beyond what commits tell.
    pub held: Option<IdFilter>,
}

impl Start {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.common.len(), MAX_HAVES, "has too many common commits")?;
        fits(self.lifted.len(), MAX_SHALLOW, "lifts too many shallow commits")?;
        fits(self.shallow.len(), MAX_SHALLOW, "has too many shallow commits")
    }
}

/// One ref to be moved.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Update {
    /// The ref.
    pub name: RefName,
    /// What the client believes it to be.
    pub old: Option<Digest>,
    /// What it is to be; `None` removes it.
    pub new: Option<Digest>,
    /// Whether it may leave commits behind.
    pub force: bool,
}

/// Asks for refs to be moved.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Push {
    /// The refs.
    pub updates: Vec<Update>,
    /// Commits that the client believes the server to have.
    pub haves: Vec<CommitId>,
    /// Whether the client has nothing that the server's listing names: then it asks for a filter of what is held.
    pub unrelated: bool,
    /// Whether all refs move or none.
    pub atomic: bool,
    /// Whether the server is only to say what it would refuse.
    pub dry_run: bool,
}

impl Push {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.updates.len(), MAX_WANTS, "moves too many refs")?;
        fits(self.haves.len(), MAX_HAVES, "has too many haves")
    }
}

/// What became of one ref.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum UpdateOutcome {
    /// It moved.
    Done,
    /// It was there already.
    UpToDate,
    /// It would lose commits.
    NotFastForward,
    /// It is not what the client believes it to be.
    Changed,
    /// The server does not allow it, for this reason.
    Refused(String),
    /// Locks stand against it: on these paths, of which at most [`MAX_AGAINST`] are named. Nothing else did.
    Locked(Vec<(RepoPath, LockRefusal)>),
}

/// How many paths a refused push names.
pub const MAX_AGAINST: usize = 64;

/// The answer to a push.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pushed {
    /// What became of each update, in their order.
    pub outcomes: Vec<UpdateOutcome>,
    /// What hooks say to the user.
    pub text: String,
}

impl Pushed {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.outcomes.len(), MAX_WANTS, "has too many outcomes")?;
        fits(self.text.len(), MAX_TEXT, "has a text that is too long")
    }
}

/// Ends a segment: the metadata before it on the lane belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Segment {
    /// Counted from 0.
    pub number: u64,
    /// Metadata that was not sent, because the receiver's filter has it: the number of its kind, and its name.
    pub held: Vec<(u8, Digest)>,
}

impl Segment {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.held.len(), MAX_HELD, "names too much held metadata")
    }
}

/// Which chunks of a segment are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Want {
    /// The segment's number.
    pub segment: u64,
    /// Over the chunks that the segment's metadata names in order, each once.
    pub sent: Runs,
    /// Over the chunks that each object of held metadata names, one selection an object; empty for objects that are not
    /// held after all.
    pub held: Vec<Runs>,
}

impl Want {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.held.len(), MAX_HELD, "selects from too much held metadata")?;
        let canonical = self.held.iter().chain([&self.sent]).all(Runs::is_canonical);
        if canonical { Ok(()) } else { Err("has a selection that is not in canonical form") }
    }
}

/// Asks for objects by name.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Get {
    /// Names the request in the answer.
    pub number: u64,
    /// The objects: the number of their kind, and their names.
    pub objects: Vec<(u8, Digest)>,
}

impl Get {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.objects.len(), MAX_GET, "asks for too many objects")
    }
}

/// Asks which chunks the server will still have tomorrow.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Has {
    /// Names the request in the answer.
    pub number: u64,
    /// The chunks.
    pub chunks: Vec<Digest>,
}

impl Has {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.chunks.len(), MAX_GET, "asks about too many chunks")
    }
}

/// All that was asked for was sent, but for some.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Got {
    /// The request.
    pub number: u64,
    /// What is not there, by the numbers in the request.
    pub missing: Vec<u32>,
}

impl Got {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.missing.len(), MAX_GET, "lacks more than can be asked for")
    }
}
