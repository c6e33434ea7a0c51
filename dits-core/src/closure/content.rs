//! What the folders of a commit have beyond others'.

use std::collections::{HashMap, HashSet};

use super::{Met, Walk};
use crate::manifest::Chunks;
use crate::merkle::{self, Visitor};
use crate::object::{Digest, ObjectKind, TreeId};
use crate::repo::RepoError;
use crate::store::StoreError;
use crate::tree::{self, Content, TreeEntry};

/// When files of this many bytes have no counterpart, it pays to look whether they were moved or copied: their recipes
/// are some 10 KB.
const WORTH_A_SEARCH: u64 = 16 << 20;
/// How many entries of the older version are looked at for that, a tenth of a second at most.
const SEARCHED: usize = 1 << 16;

/// One folder, and the folders in the same place of the older versions.
struct Folder {
    new: Digest,
    old: Vec<Digest>,
}

/// One file's recipe, and the recipes in the same place of the older versions.
struct File {
    new: Digest,
    old: Vec<Digest>,
    /// In bytes.
    size: u64,
}

/// What a comparison of folders leaves to do.
#[derive(Default)]
struct Found {
    folders: Vec<Folder>,
    files: Vec<File>,
    /// Entries without a counterpart.
    added: Vec<TreeEntry>,
    /// Contents that an older version had in some place where it is not any more.
    gone: HashSet<Digest>,
}

impl<E: From<RepoError>> Walk<'_, E> {
    /// Visits what the top folder `tree` brings beyond the top folders `bases`.
    pub(super) fn version(&mut self, tree: Digest, bases: &[Digest]) -> Result<(), E> {
        let mut found = Found::default();
        found.folders.push(Folder { new: tree, old: bases.to_vec() });
        while let Some(folder) = found.folders.pop() {
            self.folder(folder, &mut found)?;
        }
        // What was moved is not new. Folders that are new may hold what was moved, so they are opened last.
        while let Some(entry) = found.added.pop() {
            match content_digest(&entry.content) {
                Some(digest) if found.gone.contains(&digest) => {}
                _ => match entry.content {
                    Content::Tree(id) => self.folder(Folder { new: *id.digest(), old: Vec::new() }, &mut found)?,
                    Content::Manifest(id) => {
                        found.files.push(File { new: *id.digest(), old: Vec::new(), size: entry.size });
                    }
                    _ => {}
                },
            }
        }
        self.files(found.files, bases)
    }

    fn folder(&mut self, folder: Folder, found: &mut Found) -> Result<(), E> {
        if self.seen.contains(&folder.new) {
            return Ok(());
        }
        let read = self.read;
        let mut nodes = Nodes { walk: self, kind: ObjectKind::Tree };
        let items = merkle::novel::<tree::Names, Wrapped<E>>(read, folder.new, &folder.old, true, &mut nodes);
        let items = items.map_err(Wrapped::unwrap)?;
        let mut old: HashMap<&[u8], Vec<&Content>> = HashMap::new();
        for entry in &items.old {
            old.entry(&entry.name).or_default().push(&entry.content);
            found.gone.extend(content_digest(&entry.content));
        }
        for entry in &items.new {
            if content_digest(&entry.content).is_some() {
                (self.visit)(Met::Entry { folder: TreeId::from_digest(folder.new), entry: entry.clone() })?;
            }
            let before = old.get(&entry.name[..]).map_or(&[][..], |contents| contents);
            let counterparts: Vec<Digest> = before
                .iter()
                .filter(|old| std::mem::discriminant(**old) == std::mem::discriminant(&entry.content))
                .filter_map(|old| content_digest(old))
                .collect();
            match &entry.content {
                Content::Tree(id) if !counterparts.is_empty() => {
                    found.folders.push(Folder { new: *id.digest(), old: counterparts });
                }
                Content::Manifest(id) if !counterparts.is_empty() => {
                    found.files.push(File { new: *id.digest(), old: counterparts, size: entry.size });
                }
                Content::Tree(_) | Content::Manifest(_) => found.added.push(entry.clone()),
                _ => {}
            }
        }
        Ok(())
    }

    fn files(&mut self, files: Vec<File>, bases: &[Digest]) -> Result<(), E> {
        let copied = self.copied(&files, bases)?;
        for file in files {
            if !copied.contains(&file.new) {
                self.file(file.new, &file.old)?;
            }
        }
        Ok(())
    }

    /// Visits the nodes of a file's recipe that its older versions do not have.
    pub(super) fn file(&mut self, new: Digest, old: &[Digest]) -> Result<(), E> {
        if self.seen.contains(&new) {
            return Ok(());
        }
        let read = self.read;
        let mut nodes = Nodes { walk: self, kind: ObjectKind::Manifest };
        merkle::novel::<Chunks, Wrapped<E>>(read, new, old, false, &mut nodes).map_err(Wrapped::unwrap)?;
        Ok(())
    }

    /// Which of the files without counterpart the older versions have in other places.
    fn copied(&self, files: &[File], bases: &[Digest]) -> Result<HashSet<Digest>, E> {
        let mut copied = HashSet::new();
        let alone = files.iter().filter(|file| file.old.is_empty() && !self.seen.contains(&file.new));
        let wanted: HashMap<Digest, u64> = alone.map(|file| (file.new, file.size)).collect();
        let bytes = wanted.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
        if bytes < WORTH_A_SEARCH || bases.is_empty() {
            return Ok(copied);
        }
        let mut budget = SEARCHED;
        let mut folders = bases.to_vec();
        while let Some(node) = folders.pop().filter(|_| budget > 0) {
            let bytes = match self.read.read(ObjectKind::Tree, &node) {
                Err(StoreError::Missing { .. }) => continue,
                read => read.map_err(RepoError::from)?,
            };
            let references = tree::references(&node, &bytes).map_err(RepoError::from)?;
            budget = budget.saturating_sub(references.entries.len().max(1));
            folders.extend(references.nodes);
            for entry in references.entries {
                match entry.content {
                    Content::Tree(id) => folders.push(*id.digest()),
                    Content::Manifest(id) if wanted.contains_key(id.digest()) => _ = copied.insert(*id.digest()),
                    _ => {}
                }
            }
        }
        Ok(copied)
    }
}

fn content_digest(content: &Content) -> Option<Digest> {
    match content {
        Content::Tree(id) => Some(*id.digest()),
        Content::Manifest(id) => Some(*id.digest()),
        _ => None,
    }
}

/// Gives the nodes of one tree to the walk.
struct Nodes<'w, 'a, E> {
    walk: &'w mut Walk<'a, E>,
    kind: ObjectKind,
}

/// Lets the search for nodes fail with the store's errors or the listener's.
enum Wrapped<E> {
    Store(StoreError),
    Visit(E),
}

impl<E: From<RepoError>> Wrapped<E> {
    fn unwrap(self) -> E {
        match self {
            Self::Store(error) => RepoError::from(error).into(),
            Self::Visit(error) => error,
        }
    }
}

impl<E> From<StoreError> for Wrapped<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<E: From<RepoError>> Visitor<Wrapped<E>> for Nodes<'_, '_, E> {
    fn seen(&self, node: &Digest) -> bool {
        self.walk.seen.contains(node)
    }

    fn node(&mut self, node: Digest, bytes: Vec<u8>) -> Result<(), Wrapped<E>> {
        self.walk.present(self.kind, node, bytes).map(drop).map_err(Wrapped::Visit)
    }

    fn missing(&mut self, node: Digest) -> Result<(), Wrapped<E>> {
        self.walk.missing_object(self.kind, node).map_err(Wrapped::Visit)
    }
}
