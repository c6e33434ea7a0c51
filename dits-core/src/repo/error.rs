//! What can go wrong with a repository as a whole.

use std::path::PathBuf;

use crate::attributes::AttributeError;
use crate::chunk::ProfileError;
use crate::commit::CommitError;
use crate::config::ConfigError;
use crate::content::CompareError;
use crate::durable::IoError;
use crate::index::IndexError;
use crate::lockfile::LockError;
use crate::manifest::ManifestError;
use crate::object::CommitId;
use crate::overlay::LogError;
use crate::partial::{KeptBack, PromisesError, SourceError};
use crate::path::{PathError, RepoPath};
use crate::progress::Interrupted;
use crate::record::RecordError;
use crate::refs::{RefError, RefNameError};
use crate::remote::RemoteError;
use crate::revision::RevisionError;
use crate::rules_file::RulesError;
use crate::store::StoreError;
use crate::tree::TreeError;
use crate::worktree::walk::WalkError;
use crate::worktree::{InTheWay, MoveProblem, Unportable, Unsafe};

/// An operation on a repository that failed. Errors of the parts are passed on as they are.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// No folder upwards is a repository.
    #[error("{} is not inside a dits repository", .start.display())]
    NotFound {
        /// Where the search began.
        start: PathBuf,
    },
    /// A worktree's link leads nowhere.
    #[error("{} does not lead to a repository: {why}", .file.display())]
    BrokenLink {
        /// The link.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The repository's format is unknown or damaged.
    #[error("cannot use this repository: {}: {why}", .file.display())]
    Format {
        /// The format file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// HEAD is gone.
    #[error("{} is missing", .file.display())]
    NoHead {
        /// Where it should be.
        file: PathBuf,
    },
    /// A branch has no commit although its log has.
    #[error("the branch `{branch}` is gone, though its log is there; it was at {last}")]
    LostBranch {
        /// The branch.
        branch: String,
        /// Where it was last.
        last: crate::object::Digest,
    },
    /// There is a commit, and no staging area: the next commit would have no files.
    #[error("the index is missing: {}", file.display())]
    LostIndex {
        /// Where it should be.
        file: PathBuf,
    },
    /// There is no worktree.
    #[error("this repository has no worktree")]
    Bare,
    /// The user is in the repository's own folder.
    #[error("this is inside `.dits`, not in the worktree")]
    InsideDits,
    /// The branch has no commit yet.
    #[error("the branch `{}` has no commits yet", branch.trim_start_matches("refs/branches/"))]
    Unborn {
        /// The branch.
        branch: String,
    },
    /// Nothing is staged that HEAD does not have.
    #[error("nothing to commit")]
    NothingToCommit,
    /// There is no commit to amend.
    #[error("there is no commit to amend yet")]
    NothingToAmend,
    /// Amending and merging at once.
    #[error("cannot amend in the middle of a merge")]
    AmendDuringMerge,
    /// Paths are in conflict.
    #[error("{} {} in conflict, first `{}`", .paths.len(), if .paths.len() == 1 { "path is" } else { "paths are" }, .paths[0])]
    Unresolved {
        /// The paths.
        paths: Vec<RepoPath>,
    },
    /// A merge, revert or stash waits.
    #[error("a {command} is not finished")]
    OperationPending {
        /// Which command.
        command: &'static str,
    },
    /// Another worktree is on the branch.
    #[error("branch `{branch}` is checked out in {}", .worktree.display())]
    BranchInUse {
        /// The branch.
        branch: String,
        /// The other worktree.
        worktree: PathBuf,
    },
    /// A branch or tag that is to be made is there already.
    #[error("{kind} `{name}` exists already")]
    RefExists {
        /// `branch` or `tag`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A folder that must be new or empty is not.
    #[error("{} exists and is not empty", .path.display())]
    FolderNotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Files stand in the way of a checkout or merge.
    #[error("{}", in_the_way(.0))]
    InTheWay(InTheWay),
    /// A file changed each time it was read.
    #[error("`{path}` changed while it was being read; nothing was recorded")]
    ChangedWhileRead {
        /// The file.
        path: RepoPath,
    },
    /// A file went away while it was being used.
    #[error("`{path}` went away while it was being read; nothing was recorded")]
    Vanished {
        /// The file.
        path: RepoPath,
    },
    /// A file is to be where the user is.
    #[error("`{path}` is the folder you are in, or around it, and would become a file")]
    CurrentFolder {
        /// The folder.
        path: RepoPath,
    },
    /// Something that is not a file was used as one.
    #[error("not a file: {content}")]
    NotAFile {
        /// What it is.
        content: String,
    },
    /// Names that Windows or macOS cannot hold, or take for one.
    #[error("{}", unportable(.0))]
    NotPortable(Unportable),
    /// A merge cannot place files.
    #[error("cannot merge: a file on one side is a folder on the other: {}", .paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    FileAndFolder {
        /// The paths.
        paths: Vec<RepoPath>,
    },
    /// Nothing is known of a path.
    #[error("`{path}` is not known to dits")]
    UnknownPath {
        /// The path.
        path: RepoPath,
    },
    /// A path in conflict that one side has removed.
    #[error("`{path}` does not have {side} version")]
    NoSuchSide {
        /// The path.
        path: RepoPath,
        /// `our` or `their`.
        side: &'static str,
    },
    /// There is nothing to go on with or to undo.
    #[error("there is no {command} in progress")]
    NothingPending {
        /// Which command.
        command: &'static str,
    },
    /// An operation was killed before it had brought everything.
    #[error("the {command} was interrupted before it was complete")]
    HalfDone {
        /// Which command.
        command: &'static str,
    },
    /// A merge commit is to be undone or picked, and nothing says from which side to see it.
    #[error("{commit} is a merge of {parents} commits")]
    NeedsMainline {
        /// The commit.
        commit: CommitId,
        /// How many parents it has.
        parents: usize,
    },
    /// A parent that a commit does not have.
    #[error("{commit} has {parents} parents, no number {number}")]
    NoSuchParent {
        /// The commit.
        commit: CommitId,
        /// The parent asked for, from 1.
        number: usize,
        /// How many parents it has.
        parents: usize,
    },
    /// A commit that no stash made.
    #[error("{commit} is not a stash entry")]
    NotAStash {
        /// The commit.
        commit: CommitId,
    },
    /// What was staged cannot be staged again on top of what is there now.
    #[error("what was staged in the entry is in conflict with what is there now; nothing was changed")]
    StagedConflicts,
    /// A path that is not in conflict.
    #[error("`{path}` is not in conflict")]
    NotInConflict {
        /// The path.
        path: RepoPath,
    },
    /// Removing files would lose something.
    #[error("{}", unsafe_removal(.0))]
    UnsafeRemoval(Unsafe),
    /// Something cannot be moved.
    #[error("cannot move `{from}` to `{to}`: {why}")]
    CannotMove {
        /// From where.
        from: RepoPath,
        /// To where.
        to: RepoPath,
        /// Why.
        why: MoveProblem,
    },
    /// The stash has no such entry.
    #[error("there is no stash entry {number}")]
    NoStash {
        /// Which.
        number: usize,
    },
    /// Two histories that have nothing in common.
    #[error("the two histories have no commit in common")]
    UnrelatedHistories,
    /// A merge that must be a fast-forward is not one.
    #[error("cannot fast-forward: the branches have gone apart")]
    NotFastForward,
    /// Something in the worktree could not be looked at.
    #[error("`{path}`: {error}")]
    Unreadable {
        /// What.
        path: RepoPath,
        /// What the system said.
        error: IoError,
    },
    /// An object refers to something this version does not know, so nothing may be deleted or left out.
    #[error("{what} needs a newer dits; nothing was removed")]
    UnknownReferences {
        /// The object.
        what: String,
    },
    /// The content of a file is not here.
    #[error("the content of `{path}` is not here; a remote holds it")]
    Absent {
        /// The file.
        path: RepoPath,
    },
    /// A link that stands for content nobody knows.
    #[error("`{path}` stands for content that is not known here")]
    UnknownGhost {
        /// The link.
        path: RepoPath,
    },
    /// Content cannot be dropped.
    #[error("{}", kept_back(.0))]
    KeptBack(KeptBack),
    /// Other commands are writing, so nothing may be removed.
    #[error("{count} other {} writing; nothing was dropped", if *.count == 1 { "command is" } else { "commands are" })]
    WritersAtWork {
        /// How many.
        count: usize,
    },
    /// From the promises of remotes.
    #[error(transparent)]
    Promises(#[from] PromisesError),
    /// From where absent content was to come.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file of the repository is damaged.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// From the walk over the worktree.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// From the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// From the operating system.
    #[error(transparent)]
    Io(#[from] IoError),
    /// From the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// From the refs.
    #[error(transparent)]
    Ref(#[from] RefError),
    /// From the settings of a remote.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A name that no ref can have.
    #[error(transparent)]
    RefName(#[from] RefNameError),
    /// From the staging area.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// From a revision.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// From a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// From `.ditsignore` or `.ditsattributes`.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Content of a file is damaged or lost.
    #[error("`{path}` cannot be written: {source}")]
    Damaged {
        /// The file.
        path: RepoPath,
        /// What is wrong with its content.
        source: StoreError,
    },
    /// From an attribute's value.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// From a manifest.
    #[error(transparent)]
    Manifest(ManifestError),
    /// From a tree.
    #[error(transparent)]
    Tree(TreeError),
    /// From a commit or tag.
    #[error(transparent)]
    Commit(CommitError),
    /// From a lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// From the overlay of a mount.
    #[error(transparent)]
    Overlay(#[from] LogError),
    /// A mount that was to be taken up again, and is not there.
    #[error("no mount is recorded in {}", .folder.display())]
    NoMount {
        /// Its private folder.
        folder: PathBuf,
    },
    /// From a chunking profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The user stopped it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl RepoError {
    /// Whether this means that stored bytes are damaged or lost.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Store(e) => e.is_corruption(),
            Self::Ref(e) => e.is_corruption(),
            Self::Index(e) => e.is_corruption(),
            Self::Config(e) | Self::Remote(RemoteError::Config(e)) => e.is_corruption(),
            Self::Record(RecordError::Corrupt { .. }) | Self::NoHead { .. } => true,
            Self::LostBranch { .. } | Self::LostIndex { .. } | Self::Damaged { .. } => true,
            Self::Overlay(LogError::Damaged { .. }) => true,
            _ => false,
        }
    }

    /// What failed was about writing this file's content: damage of the store is told with the file.
    pub(crate) fn damaged_in(self, path: &RepoPath) -> Self {
        match self {
            Self::Store(source) if source.is_corruption() => Self::Damaged { path: path.clone(), source },
            other => other,
        }
    }

    /// What failed was about the content of this file: a chunk of it that is not here is said to be the file's.
    #[must_use]
    pub fn in_file(self, path: &RepoPath) -> Self {
        match self {
            Self::Store(StoreError::Absent { .. }) => Self::Absent { path: path.clone() },
            other => other,
        }
    }

    /// A failure to compare a file of the worktree with its record.
    pub(crate) fn comparing(path: &RepoPath, error: CompareError) -> Self {
        match error {
            CompareError::Read(source) => Self::Io(IoError { op: "read", path: path.as_path().to_owned(), source }),
            CompareError::Repo(error) => error,
        }
    }
}

/// A failure of the store stays one, whoever met it: kinds, hints and exit codes hang on that.
macro_rules! from_with_store {
    ($($error:ident => $variant:ident;)*) => {
        $(impl From<$error> for RepoError {
            fn from(error: $error) -> Self {
                match error {
                    $error::Store(error) => Self::Store(error),
                    error => Self::$variant(error),
                }
            }
        })*
    };
}

from_with_store! {
    ManifestError => Manifest;
    TreeError => Tree;
    CommitError => Commit;
}

fn in_the_way(files: &InTheWay) -> String {
    lists(&[
        ("changes that are not committed would be lost", &files.changed),
        ("files that are not tracked would be overwritten", &files.untracked),
    ])
}

fn unsafe_removal(files: &Unsafe) -> String {
    lists(&[
        ("what is staged is neither in the file nor in the last commit", &files.only_staged),
        ("what is staged is not committed yet", &files.staged),
        ("changed since the last commit", &files.changed),
    ])
}

fn kept_back(files: &KeptBack) -> String {
    lists(&[
        ("only this repository has the content", &files.only_here),
        ("the remote names this content and does not have it", &files.not_there),
        ("changed since they were staged, or gone", &files.changed),
    ])
}

fn unportable(found: &Unportable) -> String {
    let names = found.names.iter().map(|(path, why)| format!("{path:?}: {why}"));
    let pairs = found.collisions.iter().map(|(one, other)| format!("{one:?} and {other:?} are one name there"));
    format!("Windows and macOS cannot hold {}", names.chain(pairs).collect::<Vec<_>>().join("; "))
}

fn lists(lists: &[(&str, &Vec<RepoPath>)]) -> String {
    let mut text = String::new();
    for (what, paths) in lists.iter().filter(|(_, paths)| !paths.is_empty()) {
        let separator = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{separator}{what}:"));
        paths.iter().take(10).for_each(|path| text.push_str(&format!("\n  {path}")));
        if paths.len() > 10 {
            text.push_str(&format!("\n  and {} more", paths.len() - 10));
        }
    }
    text
}
