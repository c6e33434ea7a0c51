//! Failures of operations on a repository.

use dits_core::index::IndexError;
use dits_core::lockfile::LockError;
use dits_core::overlay::LogError;
use dits_core::partial::SourceError;
use dits_core::path::RepoPath;
use dits_core::refs::RefError;
use dits_core::remote::RemoteError;
use dits_core::repo::RepoError;
use dits_core::revision::RevisionError;
use dits_core::worktree::walk::WalkError;
use dits_core::worktree::{MoveProblem, Unportable};

use super::CliError;
use crate::exit::Exit;
use crate::output::path::quote_text;

impl From<RepoError> for CliError {
    fn from(error: RepoError) -> Self {
        match error {
            RepoError::Io(error) => error.into(),
            RepoError::Store(error) => error.into(),
            RepoError::Damaged { .. } => {
                let hint = "then `dits fetch FILE`: it comes back from a worktree or a remote that still has it";
                Self::new(Exit::Corruption, error.to_string()).hint(super::store::LOOK).hint(hint)
            }
            RepoError::Ref(error) => error.into(),
            RepoError::Index(error) => error.into(),
            RepoError::Overlay(LogError::Io(error)) => error.into(),
            RepoError::Lock(error) => error.into(),
            RepoError::Config(error) | RepoError::Remote(RemoteError::Config(error)) => error.into(),
            RepoError::Path(error) => error.into(),
            RepoError::Interrupted(error) => error.into(),
            RepoError::Source(SourceError::Store(error)) => error.into(),
            RepoError::Source(SourceError::Interrupted(error)) => error.into(),
            RepoError::Walk(WalkError::Io(error)) => error.into(),
            RepoError::Walk(WalkError::Interrupted(error)) => error.into(),
            RepoError::NotPortable(found) => {
                Self { message: unportable(&found), ..Self::from_parts(&RepoError::NotPortable(found)) }
            }
            error => Self::from_parts(&error),
        }
    }
}

impl CliError {
    fn from_parts(error: &RepoError) -> Self {
        Self { hints: hints(error), ..Self::new(exit(error), error.to_string()) }
    }
}

/// All of them, quoted as everywhere: control characters are among what is refused.
fn unportable(found: &Unportable) -> String {
    let shown = |path: &RepoPath| quote_text(path.as_bytes());
    let names = found.names.iter().map(|(path, why)| format!("{}: {why}", shown(path)));
    let pairs = found
        .collisions
        .iter()
        .map(|(one, other)| format!("{} and {} are one name on Windows and macOS", shown(one), shown(other)));
    let lines: Vec<_> = names.chain(pairs).collect();
    match (&lines[..], found.names.len()) {
        ([one], 0) => one.clone(),
        (lines, _) => format!("names that cannot be shared with Windows and macOS:\n  {}", lines.join("\n  ")),
    }
}

fn exit(error: &RepoError) -> Exit {
    match error {
        error if error.is_corruption() => Exit::Corruption,
        RepoError::Format { .. } => Exit::Corruption,
        RepoError::NothingToCommit
        | RepoError::NoStash { .. }
        | RepoError::NotInConflict { .. }
        | RepoError::CannotMove { why: MoveProblem::Missing, .. }
        | RepoError::Revision(
            RevisionError::Unknown { .. }
            | RevisionError::NoAncestor { .. }
            | RevisionError::NoParent { .. }
            | RevisionError::NoLogEntry { .. }
            | RevisionError::NoPath { .. },
        ) => Exit::Difference,
        RepoError::Source(_) => Exit::Network,
        RepoError::WritersAtWork { .. } => Exit::Lock,
        RepoError::Unresolved { .. }
        | RepoError::InTheWay(_)
        | RepoError::FileAndFolder { .. }
        | RepoError::NotFastForward
        | RepoError::CurrentFolder { .. }
        | RepoError::HalfDone { .. }
        | RepoError::StagedConflicts
        | RepoError::UnsafeRemoval(_)
        | RepoError::KeptBack(_)
        | RepoError::OperationPending { .. } => Exit::Conflict,
        _ => Exit::Usage,
    }
}

fn hints(error: &RepoError) -> Vec<String> {
    let hints: &[&str] = match error {
        RepoError::NotFound { .. } => &["`dits init` makes the current folder a repository"],
        RepoError::Unresolved { .. } => &[
            "`dits status` lists them; decide each with `dits resolve --ours PATH`, `--theirs PATH`, or after editing, `dits resolve PATH`",
        ],
        RepoError::OperationPending { command } => match *command {
            "merge" => &["finish it with `dits merge --continue`, or give it up with `dits merge --abort`"],
            "revert" => &["finish it with `dits revert --continue`, or give it up with `dits revert --abort`"],
            "cherry-pick" => {
                &["finish it with `dits cherry-pick --continue`, or give it up with `dits cherry-pick --abort`"]
            }
            _ => &["decide its conflicts with `dits resolve`, or give it up with `dits stash abort`"],
        },
        RepoError::HalfDone { command } => match *command {
            "merge" => &["give it up with `dits merge --abort`, then merge again"],
            "revert" => &["give it up with `dits revert --abort`, then revert again"],
            "cherry-pick" => &["give it up with `dits cherry-pick --abort`, then pick again"],
            _ => &["give it up with `dits stash abort`; the stash entry is still there"],
        },
        RepoError::NeedsMainline { .. } => {
            &["say with `-m PARENT` which parent it is compared with; 1 is the branch it was merged into"]
        }
        RepoError::StagedConflicts => &["try without `--index`"],
        RepoError::NotInConflict { .. } => &["`dits resolve --list` shows what is"],
        RepoError::NoStash { .. } => &["`dits stash list` shows the entries"],
        RepoError::UnsafeRemoval(_) => {
            &["`--cached` keeps the file and only stops tracking it; `-f` removes it all the same"]
        }
        RepoError::CurrentFolder { .. } => &["`cd` out of it and run the command again"],
        RepoError::FileAndFolder { .. } => &["rename one of them on its branch, commit that, and try again"],
        RepoError::InTheWay(files) if files.untracked.is_empty() => {
            &["commit them, put them aside with `dits stash`, or throw them away with `dits restore PATH`"]
        }
        RepoError::InTheWay(_) => &["move or remove these files, or add and commit them"],
        RepoError::NothingToCommit => &["`dits status` shows what has changed; `dits add PATH` stages it"],
        RepoError::NotPortable(found) => {
            let renamed = "`dits mv OLD NEW` renames a tracked file, and `dits add -A` stages that one was renamed";
            let allow = "rename them, ignore them, or allow such names here: `dits config core.portable false`";
            let hints = [renamed, allow].into_iter().skip(usize::from(found.collisions.is_empty()));
            return hints.map(str::to_owned).collect();
        }
        RepoError::CannotMove { why: MoveProblem::Exists, .. } => &["`dits mv -f` replaces a file"],
        RepoError::InsideDits => &["`cd ..` until you are out of it"],
        RepoError::ChangedWhileRead { .. } => &["let the program that writes it finish, then run the command again"],
        RepoError::Unborn { .. } => &["make the first commit: `dits add .`, then `dits commit -m MESSAGE`"],
        RepoError::NotFastForward => &["`dits merge` without --ff-only joins them with a merge commit"],
        RepoError::UnrelatedHistories => &["`--allow-unrelated-histories` merges them all the same"],
        RepoError::BranchInUse { .. } => {
            &["a branch is in one worktree at a time: go there, or make another branch with `dits switch -c NEW`"]
        }
        RepoError::RefExists { kind: "branch", .. } => {
            &["`dits switch` goes there; `dits branch -f` moves it; or take another name"]
        }
        RepoError::FolderNotEmpty { .. } => &["name a folder that is empty or does not exist yet"],
        RepoError::Format { .. } => &[
            "if it is damaged: copy it from another copy of the repository, or move it away and run `dits init`, which writes it again and changes nothing else",
        ],
        RepoError::LostBranch { branch, last } => {
            return vec![format!("bring it back with `dits branch {branch} {last}`")];
        }
        RepoError::LostIndex { .. } => &["`dits reset` makes it from HEAD; what was staged is then to be added again"],
        RepoError::NoHead { .. } => {
            &["`dits switch -f BRANCH` puts HEAD on a branch again; `dits fsck` shows what else is damaged"]
        }
        RepoError::Absent { path } => return vec![format!("`dits fetch {path}` brings it")],
        RepoError::UnknownGhost { .. } => {
            &["remove the link, and bring the file back with `dits restore PATH` and `dits fetch PATH`"]
        }
        RepoError::KeptBack(files) if !files.not_there.is_empty() => {
            &["name a remote that has it: dits drop --from REMOTE PATH; `dits fsck` there tells what is lost"]
        }
        RepoError::KeptBack(files) if files.only_here.is_empty() => {
            &["commit and push what was changed, or throw it away with `dits restore PATH`"]
        }
        RepoError::KeptBack(_) => &["push first: `dits push`; then a remote has it"],
        RepoError::WritersAtWork { .. } => &["try again when they are done"],
        RepoError::Revision(RevisionError::NoUpstream { branch }) => {
            return vec![
                format!("to follow a branch: dits branch --set-upstream-to=origin/{branch} {branch}"),
                format!("to push it and follow it there: dits push --set-upstream origin {branch}"),
            ];
        }
        RepoError::Revision(RevisionError::UpstreamGone { branch, remote, .. }) => {
            return vec![
                format!("`dits fetch {remote}` brings it if it is there"),
                format!("if it is gone for good: dits branch --unset-upstream {branch}"),
            ];
        }
        RepoError::Attribute(_) => {
            &["it is in a `.ditsattributes` or `.dits/info/attributes`; `dits check-attr -a FILE` shows what holds"]
        }
        RepoError::Record(_) => &["`dits fsck` shows what is damaged"],
        _ => &[],
    };
    hints.iter().map(|hint| (*hint).to_owned()).collect()
}

impl From<RefError> for CliError {
    fn from(error: RefError) -> Self {
        match error {
            RefError::Io(error) => error.into(),
            RefError::Lock(error) => error.into(),
            error @ RefError::Changed { .. } => {
                Self::new(Exit::Conflict, error.to_string()).hint("run the command again")
            }
            error if error.is_corruption() => Self::new(Exit::Corruption, error.to_string())
                .hint("`dits fsck` says what is damaged; `dits fsck --repair` sets a ref to where its log has it last"),
            error => Self::usage(error.to_string()),
        }
    }
}

impl From<IndexError> for CliError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Io(error) => error.into(),
            IndexError::Lock(error) => error.into(),
            error if error.is_corruption() => Self::new(Exit::Corruption, error.to_string()),
            error => Self::usage(error.to_string()),
        }
    }
}

impl From<LockError> for CliError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Io(error) => error.into(),
            error => Self::new(Exit::Lock, error.to_string()),
        }
    }
}
