//! What `dits fsck --repair` does for refs: one that is damaged or gone is set to where its log has it last.

use super::FsckReport;
use crate::object::Digest;
use crate::refs::{BRANCHES, Expected, FolderRefs, RefEdit, RefName, RefStore, Target};
use crate::repo::{Layout, RepoError, Repository};

impl Repository {
    pub(super) fn repair_refs(&self, report: &mut FsckReport) -> Result<(), RepoError> {
        for private in self.private_folders()? {
            let is_main = private == self.layout().common;
            let layout = Layout { private, ..self.layout().clone() };
            let refs = FolderRefs::open(&layout.common, layout.worktree_id())?;
            let is_here = |name: &RefName| is_main || name.is_per_worktree();
            let mut lost = Vec::new();
            for (name, file) in refs.damaged()?.into_iter().filter(|(name, _)| is_here(name)) {
                self.set_aside(&file)?;
                report.repaired.push(format!("set the damaged {} aside", file.display()));
                lost.push(name);
            }
            for name in refs.logs()?.into_iter().filter(is_here) {
                if !lost.contains(&name) && refs.read(&name)?.is_none() {
                    lost.push(name);
                }
            }
            // Which branch HEAD was on is seen by where the branches are.
            lost.sort_by_key(RefName::is_per_worktree);
            for name in lost {
                self.bring_back(&refs, name, report)?;
            }
        }
        Ok(())
    }

    fn bring_back(&self, refs: &FolderRefs, name: RefName, report: &mut FsckReport) -> Result<(), RepoError> {
        let Some(last) = self.last_of_log(refs, &name)? else { return Ok(()) };
        let (target, shown) = match self.branch_at(refs, &last)?.filter(|_| name == RefName::head()) {
            Some(branch) => {
                let shown = format!("the branch `{}`", branch.short());
                (Target::Symbolic(branch), shown)
            }
            None => (Target::Id(last), last.to_string()),
        };
        report.repaired.push(format!("`{name}` is back where its log has it last: {shown}"));
        Ok(refs.transaction(vec![RefEdit::set(name, Expected::Absent, target)])?)
    }

    /// The newest object of a ref's log that the store has.
    fn last_of_log(&self, refs: &FolderRefs, name: &RefName) -> Result<Option<Digest>, RepoError> {
        // A damaged log is reported by the check.
        let Ok(entries) = refs.log(name, usize::MAX) else { return Ok(None) };
        // The ref was deleted by whoever wrote such a line.
        if entries.first().is_none_or(|entry| entry.new.is_none()) {
            return Ok(None);
        }
        for id in entries.iter().filter_map(|entry| entry.new) {
            if self.store().meta.contains(&id)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The only branch at a commit; with several there nobody knows which one was meant.
    fn branch_at(&self, refs: &FolderRefs, commit: &Digest) -> Result<Option<RefName>, RepoError> {
        let all = refs.list(BRANCHES)?;
        let mut at = all.into_iter().filter(|(_, target)| *target == Target::Id(*commit));
        let only = at.next().filter(|_| at.next().is_none());
        Ok(only.map(|(name, _)| name))
    }
}
