//! What only shows when whole folders and recipes are read: that nodes agree with those that lead to them, that a file
//! is as long as its recipe, and that every path can be a path.

use std::collections::{HashMap, HashSet};

use super::mark::Mark;
use crate::commit::Commit;
use crate::manifest::Manifest;
use crate::object::{CommitId, Digest, ManifestId, ObjectKind, ObjectRead, TreeId};
use crate::path::MAX_PATH;
use crate::progress::Progress;
use crate::repo::RepoError;
use crate::store::{Store, StoreError};
use crate::tree::{Content, Tree, TreeEntry};

/// Checks the folders of all commits in `mark`; `found` hears of what is wrong. An object that cannot be read at all is
/// not mentioned: the walk that made `mark` has met it.
pub(super) fn check(
    store: &Store,
    mark: &Mark,
    progress: &dyn Progress,
    found: &mut dyn FnMut(&StoreError),
) -> Result<(), RepoError> {
    let mut shapes = Shapes { store, progress, depth: HashMap::new(), files: HashSet::new(), found };
    for digest in &mark.meta {
        let Ok(Some(info)) = store.meta.info(digest) else { continue };
        if info.kind == ObjectKind::Commit
            && let Ok(commit) = Commit::read(store, CommitId::from_digest(*digest))
        {
            shapes.folder(commit.tree)?;
        }
    }
    Ok(())
}

struct Shapes<'a> {
    store: &'a Store,
    progress: &'a dyn Progress,
    /// The length of the longest path below a folder.
    depth: HashMap<Digest, usize>,
    /// Recipes with the lengths that entries give them.
    files: HashSet<(Digest, u64)>,
    found: &'a mut dyn FnMut(&StoreError),
}

/// A folder whose subfolders are being looked at.
struct Open {
    id: TreeId,
    longest: usize,
    /// Names' lengths and folders still to do.
    todo: Vec<(usize, TreeId)>,
    /// The name's length of the subfolder that is open above this one.
    entered: usize,
}

impl Shapes<'_> {
    /// Checks a folder and all below it, without recursion: a hostile tree may be deep.
    fn folder(&mut self, top: TreeId) -> Result<(), RepoError> {
        let mut stack = Vec::new();
        let mut next = Some(top);
        loop {
            if let Some(id) = next.take()
                && !self.depth.contains_key(id.digest())
            {
                stack.push(self.open(id)?);
            }
            let Some(open) = stack.last_mut() else { return Ok(()) };
            if let Some((name, id)) = open.todo.pop() {
                open.entered = name;
                match self.depth.get(id.digest()) {
                    Some(below) => open.longest = open.longest.max(name + 1 + below),
                    None => next = Some(id),
                }
            } else if let Some(done) = stack.pop() {
                self.depth.insert(*done.id.digest(), done.longest);
                if let Some(around) = stack.last_mut() {
                    around.longest = around.longest.max(around.entered + 1 + done.longest);
                } else if done.longest > MAX_PATH {
                    let what = format!("a path below it has {} bytes, where {MAX_PATH} are allowed", done.longest);
                    let digest = *top.digest();
                    (self.found)(&StoreError::Malformed { kind: ObjectKind::Tree, digest, what });
                }
            }
        }
    }

    fn open(&mut self, id: TreeId) -> Result<Open, RepoError> {
        self.progress.check()?;
        let mut open = Open { id, longest: 0, todo: Vec::new(), entered: 0 };
        // Against a hostile tree that names itself by way of damage: it is known from here on.
        self.depth.insert(*id.digest(), 0);
        let entries = Tree::open(self.store, id).and_then(|tree| tree.entries());
        for entry in self.or_report(entries)?.unwrap_or_default() {
            open.longest = open.longest.max(entry.name.len());
            match entry.content {
                Content::Tree(below) => open.todo.push((entry.name.len(), below)),
                Content::Manifest(recipe) => self.recipe(recipe, &entry)?,
                _ => {}
            }
        }
        Ok(open)
    }

    fn recipe(&mut self, id: ManifestId, entry: &TreeEntry) -> Result<(), RepoError> {
        if !self.files.insert((*id.digest(), entry.size)) {
            return Ok(());
        }
        self.progress.check()?;
        let read: &dyn ObjectRead = self.store;
        let whole = Manifest::open_sized(read, id, entry.size)
            .and_then(|manifest| manifest.iter_from(0)?.try_for_each(|chunk| chunk.map(drop)));
        self.or_report(whole).map(drop)
    }

    fn or_report<T>(&mut self, result: Result<T, StoreError>) -> Result<Option<T>, RepoError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ StoreError::Malformed { .. }) => {
                (self.found)(&error);
                Ok(None)
            }
            Err(error) if error.is_corruption() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
