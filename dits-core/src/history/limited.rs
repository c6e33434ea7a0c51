//! History limited to some paths, simplified as git does by default: of a merge, only a parent that is the same in these
//! paths is followed, if there is one; commits that change nothing in them are left out.

use std::collections::HashMap;

use super::Walk;
use crate::commit::Commit;
use crate::diff::{self, RenameOptions};
use crate::object::{CommitId, ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::store::StoreError;
use crate::tree::{Tree, TreeEntry};
use crate::worktree::Selection;

/// What of the history is wanted.
pub enum Interest<'a> {
    /// Everything.
    All,
    /// What changed a selected path.
    Paths(&'a dyn Selection),
    /// What changed one file, also under the names it had before.
    Follow(RepoPath, RenameOptions),
}

/// A commit of a limited history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its id.
    pub id: CommitId,
    /// The commit itself.
    pub commit: Commit,
    /// The parents that were followed from here.
    pub followed: Vec<CommitId>,
    /// Whether it is of interest, and not just on the way.
    pub shown: bool,
    /// With [`Interest::Follow`]: what the file is called here, and was called before if this commit moved it.
    pub path: Option<(RepoPath, Option<RepoPath>)>,
}

/// A walk over a limited history, in the order of the [`Walk`] below.
pub struct Limited<'a> {
    read: &'a dyn ObjectRead,
    walk: Walk<'a>,
    interest: Interest<'a>,
    first_parent: bool,
    /// What the followed file is called in commits not reached yet.
    names: HashMap<CommitId, RepoPath>,
}

impl<'a> Limited<'a> {
    /// Limits a walk from `tips`, leaving out what is reachable from `hidden`.
    ///
    /// # Errors
    /// When a commit cannot be read.
    pub fn new(
        read: &'a dyn ObjectRead,
        tips: &[CommitId],
        hidden: &[CommitId],
        interest: Interest<'a>,
        first_parent: bool,
    ) -> Result<Self, StoreError> {
        let names = match &interest {
            Interest::Follow(path, _) => tips.iter().map(|tip| (*tip, path.clone())).collect(),
            _ => HashMap::new(),
        };
        Ok(Self { read, walk: Walk::new(read, tips, hidden)?, interest, first_parent, names })
    }

    fn step(&mut self) -> Result<Option<Step>, StoreError> {
        let Some((id, commit)) = self.walk.pop()? else { return Ok(None) };
        let considered = if self.first_parent { commit.parents.len().min(1) } else { commit.parents.len() };
        let parents = commit.parents[..considered].to_vec();
        let mut step = Step { id, commit, followed: parents, shown: true, path: None };
        match &self.interest {
            Interest::All => {}
            Interest::Paths(selection) => self.simplify(&mut step, *selection)?,
            Interest::Follow(path, options) => {
                let path = self.names.remove(&id).unwrap_or_else(|| path.clone());
                let options = *options;
                self.follow(&mut step, path, options)?;
            }
        }
        step.followed.iter().try_for_each(|parent| self.walk.add(*parent))?;
        Ok(Some(step))
    }

    fn tree_of(&self, commit: CommitId) -> Result<TreeId, StoreError> {
        Ok(Commit::read(self.read, commit)?.tree)
    }

    fn simplify(&self, step: &mut Step, selection: &dyn Selection) -> Result<(), StoreError> {
        if step.followed.is_empty() {
            step.shown = diff::differ_in(self.read, None, Some(step.commit.tree), selection)?;
            return Ok(());
        }
        for parent in &step.followed {
            let tree = self.tree_of(*parent)?;
            if !diff::differ_in(self.read, Some(tree), Some(step.commit.tree), selection)? {
                (step.followed, step.shown) = (vec![*parent], false);
                return Ok(());
            }
        }
        Ok(())
    }

    fn entry(&self, tree: TreeId, path: &RepoPath) -> Result<Option<TreeEntry>, StoreError> {
        Tree::at_path(self.read, tree, path)
    }

    fn follow(&mut self, step: &mut Step, path: RepoPath, options: RenameOptions) -> Result<(), StoreError> {
        let here = self.entry(step.commit.tree, &path)?;
        step.shown = here.is_some();
        let mut moved_from = None;
        let mut names = Vec::new();
        for parent in &step.followed {
            let tree = self.tree_of(*parent)?;
            let before = self.entry(tree, &path)?;
            if before == here {
                (step.followed, step.shown) = (vec![*parent], false);
                names = vec![(step.followed[0], path.clone())];
                break;
            }
            let origin = match (&before, &here) {
                (None, Some(_)) => diff::origin_of(self.read, &step.commit, tree, &path, options)?,
                _ => None,
            };
            step.shown = true;
            names.push((*parent, origin.clone().unwrap_or_else(|| path.clone())));
            moved_from = moved_from.or(origin);
        }
        for (parent, name) in names {
            self.names.entry(parent).or_insert(name);
        }
        step.path = Some((path, moved_from));
        Ok(())
    }
}

impl Iterator for Limited<'_> {
    type Item = Result<Step, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// Sorts steps so that no commit comes before its children and lines of history stay together, keeps those that are
/// shown, and makes `followed` of each the nearest ones that are shown too: what a graph is drawn from.
#[must_use]
pub fn connected(steps: Vec<Step>) -> Vec<Step> {
    let order = super::walk::topological_order(steps.iter().map(|step| (step.id, &step.followed[..])));
    let mut by_id: HashMap<CommitId, Step> = steps.into_iter().map(|step| (step.id, step)).collect();
    // Ancestors first: what a commit that is left out leads to is known when its child asks.
    let mut leads_to: HashMap<CommitId, Vec<CommitId>> = HashMap::new();
    let mut shown = Vec::new();
    for id in order.into_iter().rev() {
        let Some(mut step) = by_id.remove(&id) else { continue };
        let mut nearest: Vec<CommitId> = Vec::new();
        for parent in &step.followed {
            for found in leads_to.get(parent).into_iter().flatten() {
                if !nearest.contains(found) {
                    nearest.push(*found);
                }
            }
        }
        leads_to.insert(id, if step.shown { vec![id] } else { nearest.clone() });
        if step.shown {
            step.followed = nearest;
            shown.push(step);
        }
    }
    shown.reverse();
    shown
}
