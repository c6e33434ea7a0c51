//! Where a mount stands: on which branch or commit, and what was written in it before.

use std::fs;
use std::path::Path;

use dits_core::commit::Commit;
use dits_core::durable;
use dits_core::history::is_ancestor;
use dits_core::object::CommitId;
use dits_core::overlay::{self, Log};
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{MountRecord, RepoError, Repository};
use dits_fuse::overlay::{OpenError, Overlay};
use dits_fuse::stat::Defaults;
use dits_fuse::view::View;

use super::Args;
use super::shown::Shown;
use crate::context::Context;
use crate::error::CliError;

/// A mount's record in its repository, and what it shows at first.
pub struct Standing {
    /// The record.
    pub record: MountRecord,
    /// The repository as it is seen from inside the mount, if that can be written to.
    inside: Option<Repository>,
    /// What its HEAD held when the record was new.
    begun_at: Option<Target>,
    /// What it is called: a branch, or how the commit was named.
    pub reference: String,
    /// The commit below what is written in it.
    pub id: CommitId,
    /// What that says.
    pub commit: Commit,
}

/// Takes up the mount that waits at `point`, or begins one.
///
/// # Errors
/// When the record cannot be written, or what waits is not what is asked for.
pub fn find(args: &Args, cx: &Context, shown: &Shown, point: &Path) -> Result<Standing, CliError> {
    let repo = &shown.opened.repo;
    repo.forget_dead_mounts()?;
    if args.read_only {
        let record = repo.record_mount(point, shown.id)?;
        let (reference, id, commit) = (shown.reference.clone(), shown.id, shown.commit.clone());
        return Ok(Standing { record, inside: None, begun_at: None, reference, id, commit });
    }
    match repo.find_mount(point)? {
        Some(private) => resume(args, cx, repo, &private),
        None => begin(args, cx, shown, point),
    }
}

fn resume(args: &Args, cx: &Context, repo: &Repository, private: &Path) -> Result<Standing, CliError> {
    if let Some(reference) = &args.reference {
        let place = args.point().display();
        return Err(CliError::usage(format!("what was written in {place} before waits for it to be mounted again"))
            .hint(format!("mount it without --ref, then: dits switch {reference}"))
            .hint("to have it without that: `dits worktree list`, then `dits worktree remove --force`"));
    }
    let record = repo.resume_mount(private)?;
    let inside = Repository::open(record.layout(), &cx.environment()?)?;
    let log = overlay::log_path(record.folder());
    let below = overlay::base(&log).map_err(RepoError::from)?;
    let below = below.ok_or_else(|| CliError::usage(format!("{} does not say what lies below", log.display())))?;
    let below = Commit::read(inside.store(), below).map(|commit| (below, commit)).map_err(RepoError::from)?;
    let (id, commit) = match afresh(&inside, &record, &below.1) {
        Ok(Some(head)) => head,
        Ok(None) => below,
        // It only saves room: what was written is shown whatever HEAD is.
        Err(error) => {
            cx.warn(format!("what is all committed could not be given back: {}", error.message));
            below
        }
    };
    // Also after a crash that came between the two.
    let base = RefEdit::set(RefName::base_head(), Expected::Any, Target::Id(*id.digest()));
    inside.refs().transaction(vec![base]).map_err(RepoError::from)?;
    let reference = match inside.refs().read(&RefName::head()) {
        Ok(Some(Target::Symbolic(branch))) => branch.short().to_owned(),
        _ => "HEAD".to_owned(),
    };
    Ok(Standing { record, inside: Some(inside), begun_at: None, reference, id, commit })
}

/// Starts anew on HEAD where everything that was written is in it: what is kept here grows with what was written.
fn afresh(inside: &Repository, record: &MountRecord, below: &Commit) -> Result<Option<(CommitId, Commit)>, CliError> {
    let Some(id) = inside.head()?.commit() else { return Ok(None) };
    let head = Commit::read(inside.store(), id).map_err(RepoError::from)?;
    if inside.index()?.matches_tree() != Some(head.tree) {
        return Ok(None);
    }
    {
        let view = View::new(inside.store().clone(), below.tree);
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let defaults = Defaults { uid, gid, time: (below.committer.time, 0), writable: true };
        let written = Overlay::open(&overlay::folder(record.folder()), &view, defaults)?;
        if written.is_empty() || !written.shows(&view, head.tree).map_err(OpenError::from)? {
            return Ok(None);
        }
    }
    Log::begin(&overlay::log_path(record.folder()), id).map_err(RepoError::from)?;
    inside.write_mount_index(head.tree, head.committer.time)?;
    Ok(Some((id, head)))
}

fn begin(args: &Args, cx: &Context, shown: &Shown, point: &Path) -> Result<Standing, CliError> {
    let repo = &shown.opened.repo;
    let (head, id, reference) = head(args, cx, shown)?;
    let record = repo.record_writable_mount(point, head.clone(), id)?;
    let inside = Repository::open(record.layout(), &cx.environment()?)?;
    let commit = Commit::read(inside.store(), id).map_err(RepoError::from)?;
    inside.write_mount_index(commit.tree, commit.committer.time)?;
    durable::create_dir_all(&overlay::folder(record.folder()))?;
    Log::begin(&overlay::log_path(record.folder()), id).map_err(RepoError::from)?;
    Ok(Standing { record, inside: Some(inside), begun_at: Some(head), reference, id, commit })
}

/// What HEAD of a new mount is: the branch that was named, if nobody else is on it; else the commit alone.
fn head(args: &Args, cx: &Context, shown: &Shown) -> Result<(Target, CommitId, String), CliError> {
    let repo = &shown.opened.repo;
    let named = match &args.reference {
        Some(name) => RefName::branch(name).ok(),
        None => shown.branch.clone(),
    };
    let branch = named.filter(|branch| matches!(repo.refs().read(branch), Ok(Some(Target::Id(_)))));
    let detached = (Target::Id(*shown.id.digest()), shown.id, shown.reference.clone());
    let Some(branch) = branch else {
        cx.note(format!("{} is no branch here: `dits switch -c NAME` keeps what you commit", shown.reference));
        return Ok(detached);
    };
    if let Some(other) = repo.branches_in_use()?.get(&branch) {
        cx.note(format!("{} is in use in {}: this drive is on no branch", branch.short(), other.display()));
        cx.note("`dits switch -c NAME` in it makes one for what you commit");
        return Ok(detached);
    }
    let id = bring_up(repo, &branch)?;
    let name = branch.short().to_owned();
    Ok((Target::Symbolic(branch), id, name))
}

/// A branch that nobody is on goes along with what it follows, as long as it has nothing of its own.
fn bring_up(repo: &Repository, branch: &RefName) -> Result<CommitId, CliError> {
    let resolve = |name: &RefName| -> Result<Option<CommitId>, RepoError> {
        Ok(repo.refs().resolve(name)?.map(|(_, digest)| CommitId::from_digest(digest)))
    };
    let ours = resolve(branch)?.ok_or_else(|| CliError::usage(format!("{} has no commit", branch.short())))?;
    let tracking = repo.upstream(branch)?.and_then(|upstream| upstream.tracking);
    let Some(theirs) = tracking.map(|name| resolve(&name)).transpose()?.flatten() else { return Ok(ours) };
    if ours == theirs || !is_ancestor(repo.store(), ours, theirs).map_err(RepoError::from)? {
        return Ok(ours);
    }
    let expected = Expected::Is(Target::Id(*ours.digest()));
    let edit = RefEdit::set(branch.clone(), expected, Target::Id(*theirs.digest()));
    repo.refs().transaction(vec![edit]).map_err(RepoError::from)?;
    Ok(theirs)
}

impl Standing {
    /// Whether it is new.
    pub fn is_new(&self) -> bool {
        self.begun_at.is_some()
    }

    /// The mount is over. Where nothing was made, changed or switched to, nothing waits.
    pub fn end(self, unchanged: bool) {
        let Self { record, inside, begun_at, .. } = self;
        let Some(inside) = inside else { return };
        let head = inside.refs().read(&RefName::head()).ok().flatten();
        if unchanged && head.is_some() && (head == begun_at) {
            // Then the record goes with what is dropped here.
            let _ = fs::remove_file(overlay::log_path(record.folder()));
        }
    }
}
