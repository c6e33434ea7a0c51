//! Which paths a push changes, for tokens that may change only some.

use std::collections::BTreeSet;

use dits_core::commit::Commit;
use dits_core::history::Walk;
use dits_core::object::{CommitId, Digest, ObjectKind, ObjectRead, TagId, TreeId};
use dits_core::path::RepoPath;
use dits_core::refs::{RefStore, Target};
use dits_core::repo::{RepoError, Repository};
use dits_core::store::StoreError;
use dits_core::tag::Tag;
use dits_core::tree;
use dits_sync::server::RefUpdate;

use crate::pattern::Pattern;

/// The most changes that are looked at. A tree of few nodes can have more paths than anybody could count.
const MAX_CHANGES: usize = 5_000_000;
/// How many tags may name each other.
const MAX_TAGS: usize = 16;

/// Why a push may not be.
#[derive(Debug, thiserror::Error)]
pub enum PathRefusal {
    /// It changes something that it may not.
    #[error("`{path}` may not be changed with this token")]
    Path {
        /// What.
        path: RepoPath,
    },
    /// The ref names something that is no version of the project.
    #[error("with this token only commits can be pushed")]
    NotACommit,
    /// There is too much to look at.
    #[error("the push changes more than {MAX_CHANGES} paths; push in smaller steps")]
    TooMuch,
    /// Something cannot be read.
    #[error("the changed paths could not be looked at: {0}")]
    Repo(#[from] RepoError),
}

impl From<StoreError> for PathRefusal {
    fn from(error: StoreError) -> Self {
        Self::Repo(error.into())
    }
}

/// Looks at every commit that the update brings, and for a branch that exists at the change as a whole: a merge with
/// another branch of the repository brings no commits, but changes this one. A deletion takes away every path there is: or
/// a branch could be deleted, and made anew as anything that the repository has.
///
/// # Errors
/// When a path is changed that no pattern covers.
pub fn check(
    repository: &Repository,
    objects: &dyn ObjectRead,
    update: &RefUpdate,
    allowed: &[Pattern],
) -> Result<(), PathRefusal> {
    let mut look = Look { objects, allowed, left: MAX_CHANGES };
    let commit = |id: Option<Digest>| id.map(|id| commit_of(objects, id)).transpose().map(Option::flatten);
    let (old, new) = (commit(update.old)?, commit(update.new)?);
    let Some(new) = new else {
        // A deletion, or what is no commit.
        let old = old.filter(|_| update.new.is_none()).ok_or(PathRefusal::NotACommit)?;
        return look.one(Some(tree_of(objects, old)?), None);
    };
    if let Some(old) = old {
        look.one(Some(tree_of(objects, old)?), Some(tree_of(objects, new)?))?;
    }
    for commit in Walk::new(objects, &[new], &known(repository, objects)?)? {
        let (_, commit) = commit?;
        let parents = commit.parents.iter().map(|parent| tree_of(objects, *parent)).collect::<Result<Vec<_>, _>>()?;
        match *parents {
            [] => look.one(None, Some(commit.tree))?,
            [parent] => look.one(Some(parent), Some(commit.tree))?,
            ref parents => look.merge(parents, commit.tree)?,
        }
    }
    Ok(())
}

struct Look<'a> {
    objects: &'a dyn ObjectRead,
    allowed: &'a [Pattern],
    left: usize,
}

impl Look<'_> {
    fn one(&mut self, old: Option<TreeId>, new: Option<TreeId>) -> Result<(), PathRefusal> {
        match self.outside(old, new, |_| true, true)?.pop_first() {
            Some(path) => Err(PathRefusal::Path { path }),
            None => Ok(()),
        }
    }

    /// A merge changes what none of its parents has.
    fn merge(&mut self, parents: &[TreeId], new: TreeId) -> Result<(), PathRefusal> {
        let mut changed: Option<BTreeSet<RepoPath>> = None;
        for parent in parents {
            let before = changed.take();
            let found = self.outside(Some(*parent), Some(new), |p| before.as_ref().is_none_or(|b| b.contains(p)), false)?;
            if found.is_empty() {
                return Ok(());
            }
            changed = Some(found);
        }
        match changed.and_then(|mut paths| paths.pop_first()) {
            Some(path) => Err(PathRefusal::Path { path }),
            None => Ok(()),
        }
    }

    /// The changed paths that no pattern covers; only one of them if `first`.
    fn outside(
        &mut self,
        old: Option<TreeId>,
        new: Option<TreeId>,
        wanted: impl Fn(&RepoPath) -> bool,
        first: bool,
    ) -> Result<BTreeSet<RepoPath>, PathRefusal> {
        let mut found = BTreeSet::new();
        for change in tree::diff_recursive(self.objects, old, new) {
            let path = change?.path;
            self.left = self.left.checked_sub(1).ok_or(PathRefusal::TooMuch)?;
            if !self.allowed.iter().any(|pattern| pattern.covers(path.as_bytes())) && wanted(&path) {
                found.insert(path);
                if first {
                    break;
                }
            }
        }
        Ok(found)
    }
}

/// The commits that refs name now.
fn known(repository: &Repository, objects: &dyn ObjectRead) -> Result<Vec<CommitId>, PathRefusal> {
    let refs = repository.refs().list("refs/").map_err(RepoError::from)?;
    let ids = refs.into_iter().filter_map(|(_, target)| match target {
        Target::Id(digest) => Some(digest),
        Target::Symbolic(_) => None,
    });
    let mut commits = Vec::new();
    for digest in ids {
        commits.extend(commit_of(objects, digest)?);
    }
    Ok(commits)
}

fn tree_of(objects: &dyn ObjectRead, id: CommitId) -> Result<TreeId, StoreError> {
    Ok(Commit::read(objects, id)?.tree)
}

/// The commit that this is, or that this tag leads to.
fn commit_of(objects: &dyn ObjectRead, mut digest: Digest) -> Result<Option<CommitId>, StoreError> {
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

#[cfg(test)]
mod tests {
    use dits_core::refs::RefName;
    use dits_core::repo::{Environment, InitOptions};

    use super::*;
    use crate::forge;

    fn refused(
        repo: &Repository,
        old: Option<CommitId>,
        new: impl Into<Option<CommitId>>,
        allowed: &[&str],
    ) -> Option<String> {
        let name = RefName::branch("topic").unwrap();
        let id = |commit: CommitId| *commit.digest();
        let update = RefUpdate { name, old: old.map(id), new: new.into().map(id), force: false };
        let allowed: Vec<_> = allowed.iter().map(|text| Pattern::parse(text)).collect();
        check(repo, repo.store(), &update, &allowed).err().map(|refusal| refusal.to_string())
    }

    #[test]
    fn every_new_commit_counts_and_merges_count_for_what_they_add() {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions { branch: "main".into(), bare: true };
        let (repo, _) = Repository::init(dir.path(), &options, &Environment::default()).unwrap();
        let base = forge::commit(&repo, &[], &[("a/x", 1), ("b/y", 1)]);
        forge::set(&repo, "main", base);
        let inside = forge::commit(&repo, &[base], &[("a/x", 2), ("b/y", 1)]);
        let outside = forge::commit(&repo, &[base], &[("a/x", 1), ("b/y", 2)]);
        let back = forge::commit(&repo, &[outside], &[("a/x", 2), ("b/y", 1)]);
        let merge = forge::commit(&repo, &[inside, outside], &[("a/x", 2), ("b/y", 2)]);
        let evil = forge::commit(&repo, &[inside, outside], &[("a/x", 2), ("b/y", 3)]);
        let root = forge::commit(&repo, &[], &[("a/x", 1), ("c", 1)]);

        assert_eq!(refused(&repo, Some(base), inside, &["a"]), None);
        assert_eq!(refused(&repo, None, inside, &["a"]), None);
        assert!(refused(&repo, Some(base), outside, &["a"]).unwrap().contains("`b/y`"));
        assert_eq!(refused(&repo, Some(base), outside, &["a", "**/y"]), None);
        // Changed and changed back: the history has it.
        assert!(refused(&repo, Some(base), back, &["a"]).unwrap().contains("`b/y`"));
        assert!(refused(&repo, None, root, &["a"]).unwrap().contains("`c`"));
        // Merging what is on the server brings no commit that changes anything outside, but changes the branch.
        forge::set(&repo, "other", outside);
        assert_eq!(refused(&repo, None, merge, &["a"]), None);
        assert!(refused(&repo, Some(inside), merge, &["a"]).unwrap().contains("`b/y`"));
        assert!(refused(&repo, None, evil, &["a"]).unwrap().contains("`b/y`"));
        // Who deletes a branch may make it anew as anything: so that changes all that is in it.
        assert!(refused(&repo, Some(inside), None, &["a"]).unwrap().contains("`b/y`"));
        assert_eq!(refused(&repo, Some(inside), None, &["a", "b"]), None);
    }
}
