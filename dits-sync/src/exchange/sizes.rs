//! Whether folders say the truth about the sizes of what is in them. Nobody can check out a file that is not as long as its
//! folder says.

use std::collections::HashMap;

use dits_core::manifest::Manifest;
use dits_core::object::{Digest, ObjectKind, ObjectRead, TreeId};
use dits_core::store::StoreError;
use dits_core::tree::{self, Content, TreeEntry};

/// Compares; remembers what nodes of folders add up to, as most of them are in many versions.
#[derive(Default)]
pub(super) struct Sizes {
    folders: HashMap<Digest, u64>,
}

impl Sizes {
    /// Compares what a folder says of a file or folder in it with what that really has. What is not there says nothing.
    ///
    /// # Errors
    /// When they differ, or what is named breaks a rule of its format.
    pub(super) fn check(&mut self, read: &dyn ObjectRead, folder: TreeId, entry: &TreeEntry) -> Result<(), StoreError> {
        let size = match &entry.content {
            Content::Manifest(id) => Manifest::open(read, *id).map(|manifest| manifest.len()),
            Content::Tree(id) => self.folder(read, id.digest()),
            _ => return Ok(()),
        };
        match size {
            Ok(size) if size == entry.size => Ok(()),
            Ok(size) => {
                let name = String::from_utf8_lossy(&entry.name);
                let what = format!("it says that {name:?} has {} bytes, and it has {size}", entry.size);
                Err(StoreError::Malformed { kind: ObjectKind::Tree, digest: *folder.digest(), what })
            }
            Err(StoreError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn folder(&mut self, read: &dyn ObjectRead, node: &Digest) -> Result<u64, StoreError> {
        if let Some(size) = self.folders.get(node) {
            return Ok(*size);
        }
        let found = tree::references(node, &read.read(ObjectKind::Tree, node)?)?;
        let mut size = found.entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.size));
        for below in &found.nodes {
            size = size.saturating_add(self.folder(read, below)?);
        }
        self.folders.insert(*node, size);
        Ok(size)
    }
}
