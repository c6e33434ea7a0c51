//! Whether content that is absent may be.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, PoisonError};

use super::Promises;
use crate::chunk::ChunkRef;
use crate::commit::Commit;
use crate::diff::FileVersion;
use crate::maintain::{DigestHasher, Mark, Met, Reached};
use crate::manifest::Manifest;
use crate::object::{CommitId, Digest, ObjectKind, ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::progress::{Progress, Silent};
use crate::repo::{RepoError, Repository};
use crate::store::{Store, StoreError};
use crate::tree::{self, Content, Tree};

/// So many promised commits are looked at for the same path before all that is promised is listed.
const LOOK_AT: usize = 4;

type ByContent = HashMap<Digest, FileVersion, BuildHasherDefault<DigestHasher>>;

/// The files of promised commits, by the id of their content.
#[derive(Default)]
struct Files {
    all: ByContent,
    /// Those that travel with the metadata.
    rules: ByContent,
}

/// What remotes have promised to hold, ready to be asked. What is needed for an answer is read when it is asked for
/// first, and kept.
pub struct Promised<'a> {
    store: &'a Store,
    tips: Vec<CommitId>,
    /// The top folders of the first tips.
    trees: Mutex<Option<Arc<[TreeId]>>>,
    files: Mutex<Option<Arc<Files>>>,
    chunks: Mutex<Option<Arc<Reached>>>,
}

impl Repository {
    /// What remotes have promised to hold.
    ///
    /// # Errors
    /// When the record is damaged or cannot be read.
    pub fn promised(&self) -> Result<Promised<'_>, RepoError> {
        Ok(Promised::new(self.store(), &self.promises()?))
    }
}

impl<'a> Promised<'a> {
    /// Promises made about what is in `store`.
    #[must_use]
    pub fn new(store: &'a Store, promises: &Promises) -> Self {
        Self {
            store,
            tips: promises.commits(),
            trees: Mutex::default(),
            files: Mutex::default(),
            chunks: Mutex::default(),
        }
    }

    /// Whether nothing was promised: then nothing may be absent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tips.is_empty()
    }

    /// Whether a file is here, for certain values of here: `false` when a chunk of it is absent and promised.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when a chunk is absent that nobody promised, or metadata cannot be read. Where nothing
    /// was promised nothing is looked for.
    pub fn is_here(&self, path: &RepoPath, version: &FileVersion) -> Result<bool, RepoError> {
        // What travels with the metadata is never a ghost.
        if self.is_empty() || travels_with_metadata(path) {
            return Ok(true);
        }
        let Some(missing) = first_missing(self.store, &version.content, version.size)? else { return Ok(true) };
        if self.holds(path, &version.content)? || self.all_missing_are_promised(version)? {
            return Ok(false);
        }
        Err(StoreError::Missing { kind: ObjectKind::Chunk, digest: *missing.id.digest() }.into())
    }

    /// Whether content is that of a file in a promised commit. The promised commits' files of the same path are looked
    /// at first.
    ///
    /// # Errors
    /// When metadata cannot be read.
    pub fn holds(&self, path: &RepoPath, content: &Content) -> Result<bool, RepoError> {
        let Some(id) = id_of(content) else { return Ok(true) };
        for tree in self.trees()?.iter() {
            if Tree::at_path(self.store, *tree, path)?.is_some_and(|entry| entry.content == *content) {
                return Ok(true);
            }
        }
        Ok(self.files()?.all.contains_key(&id))
    }

    /// The file in a promised commit whose content has this id.
    ///
    /// # Errors
    /// When metadata cannot be read.
    pub fn file_of(&self, content: &Digest) -> Result<Option<FileVersion>, RepoError> {
        if self.is_empty() { Ok(None) } else { Ok(self.files()?.all.get(content).cloned()) }
    }

    /// The files of promised commits whose content is always here.
    pub(crate) fn rules_files(&self) -> Result<Vec<FileVersion>, RepoError> {
        if self.is_empty() { Ok(Vec::new()) } else { Ok(self.files()?.rules.values().cloned().collect()) }
    }

    /// Whether a chunk is reachable from a promised commit.
    ///
    /// # Errors
    /// When metadata cannot be read.
    pub fn holds_chunk(&self, chunk: &Digest) -> Result<bool, RepoError> {
        if self.is_empty() { Ok(false) } else { Ok(self.chunks()?.contains(chunk)) }
    }

    fn all_missing_are_promised(&self, version: &FileVersion) -> Result<bool, RepoError> {
        let promised = self.chunks()?;
        let mut all = true;
        each_chunk(self.store, &version.content, version.size, &mut |chunk| {
            let digest = chunk.id.digest();
            all = promised.contains(digest) || self.store.content.contains(digest)?;
            Ok(all)
        })?;
        Ok(all)
    }

    fn trees(&self) -> Result<Arc<[TreeId]>, RepoError> {
        let mut kept = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trees) = &*kept {
            return Ok(Arc::clone(trees));
        }
        let mut trees = Vec::new();
        for tip in self.tips.iter().take(LOOK_AT) {
            match Commit::read(self.store, *tip) {
                Err(StoreError::Missing { .. }) => {}
                commit => trees.push(commit?.tree),
            }
        }
        let trees: Arc<[TreeId]> = trees.into();
        *kept = Some(Arc::clone(&trees));
        Ok(trees)
    }

    fn files(&self) -> Result<Arc<Files>, RepoError> {
        let mut kept = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = &*kept {
            return Ok(Arc::clone(files));
        }
        let files = Arc::new(self.list_files()?);
        *kept = Some(Arc::clone(&files));
        Ok(files)
    }

    /// Every folder of every promised commit is read once.
    fn list_files(&self) -> Result<Files, RepoError> {
        let mut files = Files::default();
        let mut seen = Reached::default();
        let mut stack: Vec<(ObjectKind, Digest)> =
            self.tips.iter().map(|tip| (ObjectKind::Commit, *tip.digest())).collect();
        while let Some((kind, digest)) = stack.pop() {
            if !seen.insert(digest) {
                continue;
            }
            if kind == ObjectKind::Commit {
                let id = CommitId::from_digest(digest);
                let commit = match Commit::read(self.store, id) {
                    Err(StoreError::Missing { .. }) if self.tips.contains(&id) => continue,
                    commit => commit?,
                };
                stack.extend(commit.parents.iter().map(|parent| (ObjectKind::Commit, *parent.digest())));
                stack.push((ObjectKind::Tree, *commit.tree.digest()));
                continue;
            }
            let node = tree::references(&digest, &self.store.read(ObjectKind::Tree, &digest)?)?;
            stack.extend(node.nodes.iter().map(|child| (ObjectKind::Tree, *child)));
            for entry in node.entries {
                match (&entry.content, id_of(&entry.content)) {
                    (Content::Tree(folder), _) => stack.push((ObjectKind::Tree, *folder.digest())),
                    (_, Some(id)) => {
                        if is_rules_file(&entry.name) {
                            files.rules.insert(id, FileVersion::from(entry.clone()));
                        }
                        files.all.entry(id).or_insert_with(|| FileVersion::from(entry));
                    }
                    _ => {}
                }
            }
        }
        Ok(files)
    }

    pub(crate) fn chunks(&self) -> Result<Arc<Reached>, RepoError> {
        let mut kept = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chunks) = &*kept {
            return Ok(Arc::clone(chunks));
        }
        let mut mark = Mark::default();
        self.mark(&mut mark, &Silent)?;
        let chunks = Arc::new(mark.content);
        *kept = Some(Arc::clone(&chunks));
        Ok(chunks)
    }

    /// Marks everything reachable from promised commits.
    pub(crate) fn mark(&self, mark: &mut Mark, progress: &dyn Progress) -> Result<(), RepoError> {
        for tip in &self.tips {
            let tip = *tip.digest();
            mark.reach(self.store, ObjectKind::Commit, tip, progress, &mut |_, digest, met| match met {
                Met::Unreadable(StoreError::Missing { .. }) if digest == tip => Ok(()),
                Met::Unreadable(error) => Err(error.into()),
                Met::Node(_) | Met::NewChunk { .. } | Met::Unknown => Ok(()),
            })?;
        }
        Ok(())
    }
}

/// Whether the content of a file of this name is always here.
#[must_use]
pub fn travels_with_metadata(path: &RepoPath) -> bool {
    is_rules_file(path.name())
}

fn is_rules_file(name: &[u8]) -> bool {
    matches!(name, b".ditsattributes" | b".ditsignore")
}

/// The id of a file's content; `None` where it has none.
pub(crate) fn id_of(content: &Content) -> Option<Digest> {
    match content {
        Content::Chunk(id) => Some(*id.digest()),
        Content::Manifest(id) => Some(*id.digest()),
        Content::Recipe(id) => Some(*id),
        Content::Empty | Content::Symlink(_) | Content::Tree(_) => None,
    }
}

/// The first chunk of a file that is not in the store. Reads the recipe, and no content.
///
/// # Errors
/// When the recipe or the store cannot be read.
pub fn first_missing(store: &Store, content: &Content, size: u64) -> Result<Option<ChunkRef>, StoreError> {
    let mut missing = None;
    each_chunk(store, content, size, &mut |chunk| {
        let here = store.content.contains(chunk.id.digest())?;
        missing = (!here).then_some(chunk);
        Ok(here)
    })?;
    Ok(missing)
}

/// Calls `each` with the chunks of a file in order until it returns `false`.
pub(crate) fn each_chunk(
    read: &dyn ObjectRead,
    content: &Content,
    size: u64,
    each: &mut dyn FnMut(ChunkRef) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    match content {
        Content::Chunk(id) => _ = each(ChunkRef { id: *id, len: u32::try_from(size).unwrap_or(u32::MAX) })?,
        Content::Manifest(id) => {
            for item in Manifest::open_sized(read, *id, size)?.iter_from(0)? {
                if !each(item?.1)? {
                    break;
                }
            }
        }
        Content::Empty | Content::Symlink(_) | Content::Tree(_) | Content::Recipe(_) => {}
    }
    Ok(())
}
