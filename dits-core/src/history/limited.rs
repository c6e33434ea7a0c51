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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::chunk::ChunkRef;
    use crate::object::memory::MemoryObjects;
    use crate::signature::Signature;
    use crate::tree::{self, Content, Mode};
    use crate::worktree::Exactly;

    fn path(text: &str) -> RepoPath {
        RepoPath::parse(text.as_bytes()).unwrap()
    }

    /// A commit with these files, each `path=content`.
    fn commit(store: &MemoryObjects, time: i64, parents: &[CommitId], files: &str) -> CommitId {
        let entries = files.split_whitespace().map(|file| {
            let (name, text) = file.split_once('=').unwrap();
            let chunk = ChunkRef::of(text.as_bytes());
            (path(name), Mode::File, u64::from(chunk.len), Content::Chunk(chunk.id))
        });
        let entries: Vec<_> = entries.collect();
        let tree = tree::from_paths(entries, store).unwrap();
        let who = Signature::new("Ada", "ada@example.org", time, 0).unwrap();
        Commit::new(parents.to_vec(), tree, who.clone(), who, time.to_string()).write(store).unwrap()
    }

    fn shown(steps: &[Step]) -> Vec<&str> {
        steps.iter().filter(|step| step.shown).map(|step| step.commit.message.as_str()).collect()
    }

    #[test]
    fn a_merge_is_followed_on_the_side_that_is_the_same() {
        let store = MemoryObjects::new();
        let one = commit(&store, 1, &[], "a=1 b=1");
        let side = commit(&store, 2, &[one], "a=1 b=2");
        let main = commit(&store, 3, &[one], "a=2 b=1");
        let merge = commit(&store, 4, &[main, side], "a=2 b=2");
        let walk = |file: &str| -> Vec<Step> {
            let selection = Exactly::new(&[path(file)]);
            let interest = Interest::Paths(&selection);
            let walk = Limited::new(&store, &[merge], &[], interest, false).unwrap();
            walk.collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(shown(&walk("a")), ["3", "1"]);
        assert_eq!(shown(&walk("b")), ["2", "1"]);
        assert_eq!(walk("a").len(), 3, "the other side was not walked");
        assert_eq!(shown(&walk("c")), Vec::<&str>::new());
        let line = connected(walk("b"));
        assert_eq!((line.len(), &line[0].followed[..]), (2, &[one][..]), "parents that are left out are bridged");
    }

    #[test]
    fn a_file_is_followed_through_a_rename_on_one_side_only() {
        let store = MemoryObjects::new();
        let one = commit(&store, 1, &[], "old=1 other=1");
        let renamed = commit(&store, 2, &[one], "new=1 other=1");
        let other = commit(&store, 3, &[one], "old=1 other=2");
        let merge = commit(&store, 4, &[renamed, other], "new=1 other=2");
        let interest = Interest::Follow(path("new"), RenameOptions::default());
        let walk = Limited::new(&store, &[merge], &[], interest, false).unwrap();
        let steps: Vec<Step> = walk.collect::<Result<_, _>>().unwrap();
        assert_eq!(shown(&steps), ["2", "1"]);
        let moved = steps.iter().find(|step| step.id == renamed).unwrap();
        assert_eq!(moved.path, Some((path("new"), Some(path("old")))));
    }

    #[test]
    fn lines_of_history_stay_together_and_the_last_parent_comes_first() {
        let store = MemoryObjects::new();
        let one = commit(&store, 1, &[], "a=1");
        let (b, c) = (commit(&store, 2, &[one], "a=2"), commit(&store, 3, &[one], "a=3"));
        let (d, e) = (commit(&store, 4, &[b], "a=4"), commit(&store, 5, &[c], "a=5"));
        let merge = commit(&store, 6, &[d, e], "a=6");
        let walk = Limited::new(&store, &[merge], &[], Interest::All, false).unwrap();
        let sorted = connected(walk.collect::<Result<_, _>>().unwrap());
        assert_eq!(shown(&sorted), ["6", "5", "3", "4", "2", "1"]);
    }
}
