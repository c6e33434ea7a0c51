//! What `dits fsck --repair` does for refs: one that is damaged or gone is set to where its log has it last.
//!
//! The store is repaired before: a ref is only set to a commit that can be read.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{FsckReport, Severity};
use crate::commit::Commit;
use crate::object::{CommitId, Digest};
use crate::refs::{
    BRANCHES, Expected, FolderRefs, HeldRefs, LogEntry, LogLine, RefEdit, RefError, RefName, RefStore, Target,
};
use crate::repo::{Layout, RepoError, Repository};
use crate::signature::Signature;

/// The branch of a repository in which nothing says more.
const FIRST_BRANCH: &str = "main";

impl Repository {
    pub(super) fn repair_refs(&self, report: &mut FsckReport) -> Result<(), RepoError> {
        for private in self.private_folders()? {
            let is_main = private == self.layout().common;
            let layout = Layout { private, ..self.layout().clone() };
            let refs = FolderRefs::open(&layout.common, layout.worktree_id())?;
            let mut names = refs.logs()?;
            names.extend(refs.damaged()?);
            names.push(RefName::head());
            names.retain(|name| is_main || name.is_per_worktree());
            // Which branch HEAD was on is seen by where the branches are.
            names.sort_by_key(|name| (name.is_per_worktree(), name.clone()));
            names.dedup();
            for name in names {
                self.repair_ref(&layout, &refs, &name, report)?;
            }
        }
        Ok(())
    }

    /// Nobody changes refs meanwhile.
    fn repair_ref(
        &self,
        layout: &Layout,
        refs: &FolderRefs,
        name: &RefName,
        report: &mut FsckReport,
    ) -> Result<(), RepoError> {
        let held = refs.hold()?;
        let damaged = match held.read(name) {
            Err(RefError::Corrupt { file, .. }) => Some(file),
            Ok(None) => None,
            Ok(Some(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        // A damaged log is reported by the check.
        let Ok(entries) = refs.log(name, usize::MAX) else { return Ok(()) };
        match *name == RefName::head() {
            true => self.repair_head(layout, refs, &*held, &entries, damaged, report),
            false => self.repair_shared(&*held, name, &entries, damaged, report),
        }
    }

    fn repair_shared(
        &self,
        held: &dyn HeldRefs,
        name: &RefName,
        entries: &[LogEntry],
        damaged: Option<PathBuf>,
        report: &mut FsckReport,
    ) -> Result<(), RepoError> {
        let places = || entries.iter().filter_map(|entry| entry.new);
        let whole = places().find(|id| self.is_whole(id));
        let (Some(last), Some(found)) = (places().next(), whole) else {
            // Without a log nothing says where it was. Where all that the log names is lost, the file stays as it is.
            return if entries.is_empty() { self.set_ref_aside(damaged, report) } else { Ok(()) };
        };
        self.set_ref_aside(damaged, report)?;
        let edit = RefEdit::set(name.clone(), Expected::Absent, Target::Id(found));
        let edit = if found == last { edit } else { edit.with_log(line(last, found)?) };
        held.transaction(vec![edit])?;
        report.repaired.push(format!("`{name}` is at {found} again, as its log says"));
        if found != last {
            let what = format!("`{name}` was at {last}, which is damaged or lost: it is at an older commit now");
            let remedy = "a remote or another copy of the repository may have the newer one: fetch it from there";
            report.add(Severity::Error, None, what, Some(remedy));
        }
        Ok(())
    }

    fn repair_head(
        &self,
        layout: &Layout,
        refs: &FolderRefs,
        held: &dyn HeldRefs,
        entries: &[LogEntry],
        damaged: Option<PathBuf>,
        report: &mut FsckReport,
    ) -> Result<(), RepoError> {
        let whole = entries.iter().filter_map(|entry| entry.new).find(|id| self.is_whole(id));
        let target = match (self.branch_of_head(layout, refs, entries)?, whole) {
            (Some(branch), _) => Target::Symbolic(branch),
            (None, Some(id)) => Target::Id(id),
            // `dits switch -f BRANCH` does the rest.
            (None, None) => return self.set_ref_aside(damaged, report),
        };
        self.set_ref_aside(damaged, report)?;
        match &target {
            Target::Symbolic(branch) => {
                report.repaired.push(format!("HEAD is on the branch `{}` again", branch.short()));
            }
            Target::Id(id) => {
                let what = format!("nothing says which branch HEAD was on, if any: it is detached at {id}");
                let remedy = "run `dits switch BRANCH` if it was on one";
                report.add(Severity::Warning, Some(layout.head()), what, Some(remedy));
            }
        }
        Ok(held.transaction(vec![RefEdit::set(RefName::head(), Expected::Absent, target)])?)
    }

    /// The branch that HEAD was on, as its log tells: the one it went to last, or that has the same line last. It is none
    /// that another worktree is on.
    fn branch_of_head(
        &self,
        layout: &Layout,
        refs: &FolderRefs,
        entries: &[LogEntry],
    ) -> Result<Option<RefName>, RepoError> {
        // With a damaged one left, nothing is known of any.
        let branches = refs.list(BRANCHES).unwrap_or_default();
        let branches: Vec<RefName> = branches.into_iter().map(|(name, _)| name).collect();
        let found = match (entries.first(), &branches[..]) {
            (Some(last), _) => match last.message.strip_prefix("checkout: moving from ") {
                Some(moved) => {
                    let to = moved.split_once(" to ").and_then(|(_, to)| RefName::branch(to).ok());
                    to.filter(|branch| branches.contains(branch))
                }
                None => {
                    let newest = |name: &RefName| refs.log(name, 1).ok()?.into_iter().next();
                    let moved_along = |name: &RefName| newest(name).is_some_and(|line| same(&line, last));
                    only(branches.into_iter().filter(moved_along))
                }
            },
            // A new worktree has no log, and neither has a new repository.
            (None, []) if layout.worktree_id().is_none() => RefName::branch(FIRST_BRANCH).ok(),
            (None, _) if layout.worktree_id().is_none() => only(branches.into_iter()),
            (None, _) => None,
        };
        let Some(branch) = found else { return Ok(None) };
        for private in self.private_folders()?.into_iter().filter(|private| *private != layout.private) {
            let other = Layout { private, ..layout.clone() };
            let head = FolderRefs::open(&other.common, other.worktree_id())?.read(&RefName::head());
            if head.is_ok_and(|head| head == Some(Target::Symbolic(branch.clone()))) {
                return Ok(None);
            }
        }
        Ok(Some(branch))
    }

    fn is_whole(&self, id: &Digest) -> bool {
        Commit::read(self.store(), CommitId::from_digest(*id)).is_ok()
    }

    fn set_ref_aside(&self, damaged: Option<PathBuf>, report: &mut FsckReport) -> Result<(), RepoError> {
        if let Some(file) = damaged {
            self.set_aside(&file)?;
            report.repaired.push(format!("set the damaged {} aside", file.display()));
        }
        Ok(())
    }
}

/// Whether two logs have got this line in one transaction.
fn same(one: &LogEntry, other: &LogEntry) -> bool {
    (one.new, one.who.time, &one.message) == (other.new, other.who.time, &other.message)
}

fn only(mut names: impl Iterator<Item = RefName>) -> Option<RefName> {
    names.next().filter(|_| names.next().is_none())
}

/// What the log says of a ref that is not where it was.
fn line(old: Digest, new: Digest) -> Result<LogLine, RepoError> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    let who = Signature::new("dits fsck", "fsck@dits", time, 0).map_err(RefError::from)?;
    Ok(LogLine { old: Some(old), new: Some(new), who, message: "fsck: the newer commit is lost".to_owned() })
}
