//! Which paths a push changes, for tokens that may change only some.

use std::collections::BTreeSet;

use dits_core::history::brought::{self, Brought, BroughtError};
use dits_core::object::{Digest, ObjectRead};
use dits_core::path::RepoPath;
use dits_core::repo::Repository;
use dits_core::store::StoreError;
use dits_sync::server::RefUpdate;

use crate::pattern::Pattern;

/// The most changes that are looked at.
const MAX_CHANGES: usize = 5_000_000;

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
    /// There is too much to look at, or it cannot be read.
    #[error("the changed paths could not be looked at: {0}")]
    Unknown(#[from] BroughtError),
}

impl From<StoreError> for PathRefusal {
    fn from(error: StoreError) -> Self {
        Self::Unknown(error.into())
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
    let outside = |path: &RepoPath| !allowed.iter().any(|pattern| pattern.covers(path.as_bytes()));
    let mut look = Brought::new(objects, MAX_CHANGES);
    let commit = |id: Option<Digest>| id.map(|id| brought::commit_of(objects, id)).transpose().map(Option::flatten);
    let (old, new) = (commit(update.old)?, commit(update.new)?);
    let Some(new) = new else {
        // A deletion, or what is no commit.
        let old = old.filter(|_| update.new.is_none()).ok_or(PathRefusal::NotACommit)?;
        let old = look.tree_of(old)?;
        return refuse(look.between(Some(old), None, &outside)?);
    };
    if let Some(old) = old {
        let (old, new) = (look.tree_of(old)?, look.tree_of(new)?);
        refuse(look.between(Some(old), Some(new), &outside)?)?;
    }
    let known = brought::tips(repository.refs(), "refs/", objects)?;
    let mut found = BTreeSet::new();
    look.by_commits(&[new], &known, &outside, &mut |_, changed| {
        found = changed;
        found.is_empty()
    })?;
    refuse(found)
}

fn refuse(mut outside: BTreeSet<RepoPath>) -> Result<(), PathRefusal> {
    match outside.pop_first() {
        Some(path) => Err(PathRefusal::Path { path }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use dits_core::object::CommitId;
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
