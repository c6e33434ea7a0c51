//! Which paths the commits change that a push brings.

use std::collections::BTreeSet;

use super::{Walk, merge_bases};
use crate::commit::Commit;
use crate::object::{CommitId, Digest, ObjectKind, ObjectRead, TagId, TreeId};
use crate::path::RepoPath;
use crate::refs::{RefError, RefStore, Target};
use crate::store::StoreError;
use crate::tag::Tag;
use crate::tree::{self, Tree};

/// How many tags may name each other.
const MAX_TAGS: usize = 16;

/// Why the changes are not known.
#[derive(Debug, thiserror::Error)]
pub enum BroughtError {
    /// There is too much to look at.
    #[error("the push changes more than {0} paths; push in smaller steps")]
    TooMuch(usize),
    /// An object cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Refs cannot be read.
    #[error(transparent)]
    Ref(#[from] RefError),
}

/// What is looked for among changed paths: those of which this is true.
pub type Wanted<'a> = &'a dyn Fn(&RepoPath) -> bool;

/// Looks at changes, up to a limit: a tree of few nodes can have more paths than anybody could count.
pub struct Brought<'a> {
    objects: &'a dyn ObjectRead,
    limit: usize,
    left: usize,
}

impl<'a> Brought<'a> {
    /// Nothing has been looked at yet.
    #[must_use]
    pub fn new(objects: &'a dyn ObjectRead, limit: usize) -> Self {
        Self { objects, limit, left: limit }
    }

    /// The wanted paths that commits change which `tips` reach and `known` do not, until `each` has had enough and says so. A merge
    /// changes what none of its parents has, and what it takes back of a parent's change: only where one side has changed a file
    /// since the histories parted, and the merge has that side's, nothing is changed. A path may come several times.
    ///
    /// # Errors
    /// When there is too much, or something cannot be read.
    pub fn by_commits(
        &mut self,
        tips: &[CommitId],
        known: &[CommitId],
        wanted: Wanted<'_>,
        each: &mut dyn FnMut(&Commit, BTreeSet<RepoPath>) -> bool,
    ) -> Result<(), BroughtError> {
        for commit in Walk::new(self.objects, tips, known)? {
            let (_, commit) = commit?;
            let parents =
                commit.parents.iter().map(|parent| self.tree_of(*parent)).collect::<Result<Vec<_>, StoreError>>()?;
            let changed = match *parents {
                [] => self.between(None, Some(commit.tree), wanted)?,
                [parent] => self.between(Some(parent), Some(commit.tree), wanted)?,
                ref parents => self.by_merge(&commit.parents, parents, commit.tree, wanted)?,
            };
            if !each(&commit, changed) {
                break;
            }
        }
        Ok(())
    }

    /// The wanted paths that differ between two trees.
    ///
    /// # Errors
    /// As [`Brought::by_commits`].
    pub fn between(
        &mut self,
        old: Option<TreeId>,
        new: Option<TreeId>,
        wanted: Wanted<'_>,
    ) -> Result<BTreeSet<RepoPath>, BroughtError> {
        let mut found = BTreeSet::new();
        for change in tree::diff_recursive(self.objects, old, new) {
            let path = change?.path;
            self.left = self.left.checked_sub(1).ok_or(BroughtError::TooMuch(self.limit))?;
            if wanted(&path) {
                found.insert(path);
            }
        }
        Ok(found)
    }

    fn by_merge(
        &mut self,
        commits: &[CommitId],
        parents: &[TreeId],
        new: TreeId,
        wanted: Wanted<'_>,
    ) -> Result<BTreeSet<RepoPath>, BroughtError> {
        let mut differs = Vec::new();
        for parent in parents {
            differs.push(self.between(Some(*parent), Some(new), wanted)?);
        }
        let mut changed: BTreeSet<RepoPath> = match differs.split_first() {
            Some((first, rest)) => {
                first.iter().filter(|path| rest.iter().all(|d| d.contains(*path))).cloned().collect()
            }
            None => BTreeSet::new(),
        };
        if differs.iter().all(|paths| paths.iter().all(|path| changed.contains(path))) {
            return Ok(changed);
        }
        let mut bases = Vec::new();
        for other in &commits[1..] {
            for base in merge_bases(self.objects, commits[0], *other)? {
                bases.push(self.tree_of(base)?);
            }
        }
        let content =
            |tree, path: &RepoPath| Tree::at_path(self.objects, tree, path).map(|entry| entry.map(|e| e.content));
        for (parent, paths) in parents.iter().zip(differs) {
            for path in paths {
                if changed.contains(&path) {
                    continue;
                }
                let theirs = content(*parent, &path)?;
                let before = bases.iter().map(|base| content(*base, &path)).collect::<Result<Vec<_>, _>>()?;
                let took_part = if before.is_empty() { theirs.is_some() } else { !before.contains(&theirs) };
                if took_part {
                    changed.insert(path);
                }
            }
        }
        Ok(changed)
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tree_of(&self, id: CommitId) -> Result<TreeId, StoreError> {
        Ok(Commit::read(self.objects, id)?.tree)
    }
}

/// The commits that the refs below `prefix` name now, also through tags.
///
/// # Errors
/// When they cannot be read.
pub fn tips(refs: &dyn RefStore, prefix: &str, objects: &dyn ObjectRead) -> Result<Vec<CommitId>, BroughtError> {
    let mut commits = Vec::new();
    for (_, target) in refs.list(prefix)? {
        if let Target::Id(digest) = target {
            commits.extend(commit_of(objects, digest)?);
        }
    }
    Ok(commits)
}

/// The commit that this is, or that this tag leads to.
///
/// # Errors
/// When it cannot be read.
pub fn commit_of(objects: &dyn ObjectRead, mut digest: Digest) -> Result<Option<CommitId>, StoreError> {
    for _ in 0..MAX_TAGS {
        if is(objects, ObjectKind::Commit, &digest)? {
            return Ok(Some(CommitId::from_digest(digest)));
        }
        if !is(objects, ObjectKind::Tag, &digest)? {
            return Ok(None);
        }
        digest = Tag::read(objects, TagId::from_digest(digest))?.target;
    }
    Ok(None)
}

fn is(objects: &dyn ObjectRead, kind: ObjectKind, digest: &Digest) -> Result<bool, StoreError> {
    match objects.read(kind, digest) {
        Ok(_) => Ok(true),
        Err(StoreError::Missing { .. } | StoreError::WrongKind { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
