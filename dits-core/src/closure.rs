//! What commits bring beyond other commits: the objects that whoever has those lacks.
//!
//! The work is in proportion to the change: each new commit's folders are compared with those of its parents, and nodes
//! of Merkle trees that a parent has are not opened. Both ends of a transfer use it: the sender to know what to send, the
//! receiver to prove that nothing is missing.

mod commits;
mod content;

use std::collections::{HashMap, HashSet};

use crate::commit::Commit;
use crate::history::topological_order;
use crate::maintain::{Reached, References, references};
use crate::object::{CommitId, Digest, ObjectKind, ObjectRead, TreeId};
use crate::progress::Progress;
use crate::repo::RepoError;
use crate::store::StoreError;
use crate::tree::TreeEntry;

/// How many commits that the other side knows are compared with one that has no parents to be compared with.
const MAX_BASES: usize = 4;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The commits and tags, and whatever else a tag may name.
    pub tips: &'a [(ObjectKind, Digest)],
    /// Commits that are there with everything they reach.
    pub known: &'a [CommitId],
    /// Commits whose parents are not there although the commits are known.
    pub known_shallow: &'a HashSet<CommitId>,
    /// Commits whose parents are left out.
    pub cut: &'a HashSet<CommitId>,
}

/// What a walk meets.
#[derive(Debug)]
pub enum Met {
    /// An object of metadata; what it refers to comes after it.
    Object {
        /// What it is.
        kind: ObjectKind,
        /// Its name.
        digest: Digest,
        /// Its bytes.
        bytes: Vec<u8>,
        /// What it refers to. Chunks among it are new or not: that is for the listener to find out.
        references: References,
    },
    /// A file with a recipe, or a folder, that the versions compared with do not have in this way: its folder says how
    /// long it is. It may be that what it names is not there.
    Entry {
        /// The folder.
        folder: TreeId,
        /// What the folder says.
        entry: TreeEntry,
    },
    /// An object of metadata that is not there.
    Missing {
        /// What it is.
        kind: ObjectKind,
        /// Its name.
        digest: Digest,
    },
}

/// Visits everything that the tips bring: the commits, newest first, then for each of them from the oldest on its folders
/// and then its files. So every object comes after one that refers to it, or is a tip. None comes twice. An object
/// that cannot be told apart from what is known may come although it is known.
///
/// # Errors
/// When an object is damaged or of a later version, reading fails, or `visit` fails.
pub fn walk<E: From<RepoError>>(
    read: &dyn ObjectRead,
    request: &Request<'_>,
    progress: &dyn Progress,
    visit: &mut dyn FnMut(Met) -> Result<(), E>,
) -> Result<(), E> {
    let mut walk = Walk { read, progress, seen: Reached::default(), visit };
    let mut commits = Vec::new();
    for (kind, digest) in request.tips {
        walk.tip(*kind, *digest, &mut commits)?;
    }
    let new = commits::new_commits(read, &commits, request, &mut |missing| {
        walk.missing_object(ObjectKind::Commit, *missing.digest())
    })?;
    let mut versions = HashMap::new();
    for id in new {
        versions.extend(walk.commit(id, request.cut.contains(&id))?.map(|version| (id, version)));
    }
    // A folder that was met counts as met with all below it, so what it was compared with must have come before.
    let mut order = topological_order(versions.iter().map(|(id, version)| (*id, &version.parents[..])));
    let known_trees = trees_of(read, request.known)?;
    while let Some(Version { tree, parents }) = order.pop().and_then(|id| versions.remove(&id)) {
        let bases = trees_of(read, &parents)?;
        walk.version(tree, if bases.is_empty() { &known_trees } else { &bases })?;
    }
    Ok(())
}

/// A new commit's top folder, and the commits to compare it with.
struct Version {
    tree: Digest,
    parents: Vec<CommitId>,
}

/// The top folders of some of the known commits.
fn trees_of<E: From<RepoError>>(read: &dyn ObjectRead, known: &[CommitId]) -> Result<Vec<Digest>, E> {
    let mut trees = Vec::new();
    for id in known.iter().take(MAX_BASES) {
        match Commit::read(read, *id) {
            Ok(commit) => trees.push(*commit.tree.digest()),
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(RepoError::from(error).into()),
        }
    }
    Ok(trees)
}

struct Walk<'a, E> {
    read: &'a dyn ObjectRead,
    progress: &'a dyn Progress,
    seen: Reached,
    visit: &'a mut dyn FnMut(Met) -> Result<(), E>,
}

impl<E: From<RepoError>> Walk<'_, E> {
    /// Follows tags to what they name.
    fn tip(&mut self, mut kind: ObjectKind, mut digest: Digest, commits: &mut Vec<CommitId>) -> Result<(), E> {
        loop {
            match kind {
                ObjectKind::Commit => {
                    commits.push(CommitId::from_digest(digest));
                    return Ok(());
                }
                ObjectKind::Tag => {
                    let Some(references) = self.object(kind, digest)? else { return Ok(()) };
                    let Some(next) = references.meta.first() else { return Ok(()) };
                    (kind, digest) = *next;
                }
                ObjectKind::Tree => return self.version(digest, &[]),
                ObjectKind::Manifest => return self.file(digest, &[]),
                ObjectKind::Chunk | ObjectKind::Tombstone => return Ok(()),
            }
        }
    }

    /// Visits one object. `None` when it was met before or is not there.
    fn object(&mut self, kind: ObjectKind, digest: Digest) -> Result<Option<References>, E> {
        if self.seen.contains(&digest) {
            return Ok(None);
        }
        match self.read.read(kind, &digest) {
            Ok(bytes) => self.present(kind, digest, bytes).map(Some),
            Err(StoreError::Missing { .. }) => self.missing_object(kind, digest).map(|()| None),
            Err(error) => Err(RepoError::from(error).into()),
        }
    }

    fn present(&mut self, kind: ObjectKind, digest: Digest, bytes: Vec<u8>) -> Result<References, E> {
        self.progress.check().map_err(RepoError::from)?;
        let references = references(kind, &digest, &bytes).map_err(RepoError::from)?;
        if references.unknown {
            return Err(RepoError::UnknownReferences { what: format!("{kind} {digest}") }.into());
        }
        self.seen.insert(digest);
        (self.visit)(Met::Object { kind, digest, bytes, references: references.clone() })?;
        Ok(references)
    }

    fn missing_object(&mut self, kind: ObjectKind, digest: Digest) -> Result<(), E> {
        if !self.seen.insert(digest) {
            return Ok(());
        }
        (self.visit)(Met::Missing { kind, digest })
    }

    /// Visits a commit, not yet its folders.
    fn commit(&mut self, id: CommitId, is_cut: bool) -> Result<Option<Version>, E> {
        let Some(references) = self.object(ObjectKind::Commit, *id.digest())? else { return Ok(None) };
        let (mut parents, mut tree) = (Vec::new(), None);
        for (kind, digest) in references.meta {
            match kind {
                ObjectKind::Tree => tree = Some(digest),
                _ if is_cut => {}
                _ => parents.push(CommitId::from_digest(digest)),
            }
        }
        Ok(tree.map(|tree| Version { tree, parents }))
    }
}

#[cfg(test)]
mod tests;
