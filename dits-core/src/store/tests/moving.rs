//! Reading while another process moves what is read from pack to pack.

use std::fs;
use std::sync::{Arc, Mutex};

use tempfile::NamedTempFile;

use super::*;
use crate::store::folder::{Blob, FolderStore, Listed, PackStore, Stamp};

/// A folder in which the only pack is replaced by another with the same objects each time that somebody has listed it: what
/// `gc` does may happen just then.
#[derive(Debug)]
struct Restless {
    folder: FolderStore,
    dir: PathBuf,
    next: Mutex<Vec<PathBuf>>,
}

impl PackStore for Restless {
    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let listed = self.folder.list()?;
        if let Some(next) = self.next.lock().unwrap().pop() {
            let old = files(&self.dir);
            fs::rename(&next, self.dir.join(next.file_name().unwrap())).unwrap();
            old.iter().for_each(|pack| fs::remove_file(pack).unwrap());
        }
        Ok(listed)
    }

    fn stamp(&self) -> Result<Option<Stamp>, StoreError> {
        self.folder.stamp()
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn Blob>>, StoreError> {
        self.folder.open(name)
    }

    fn draft(&self) -> Result<NamedTempFile, StoreError> {
        self.folder.draft()
    }

    fn put(&self, files: Vec<(NamedTempFile, String)>) -> Result<(), StoreError> {
        self.folder.put(files)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.folder.sync()
    }

    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        self.folder.delete(names)
    }

    fn abandoned(&self) -> Result<Vec<NamedTempFile>, StoreError> {
        self.folder.abandoned()
    }

    fn sweep(&self) -> Result<(u64, u64), StoreError> {
        self.folder.sweep()
    }
}

#[test]
fn what_moves_again_and_again_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let objects = chunks(1, 50, 100);
    let mut packs = Vec::new();
    let mut digests = Vec::new();
    for copy in 0..8 {
        let store = odb(&dir.path().join(copy.to_string()));
        digests = add(&store, &objects);
        packs.extend(
            files(&store.dir().join("pack")).into_iter().filter(|file| file.extension().is_some_and(|e| e == "pack")),
        );
    }
    assert_eq!(packs.len(), 8, "each has other bytes, and so another name");
    let at = dir.path().join("all/pack");
    fs::create_dir_all(&at).unwrap();
    let first = packs.pop().unwrap();
    fs::rename(&first, at.join(first.file_name().unwrap())).unwrap();
    let store = Restless { folder: FolderStore::new(at.clone(), true), dir: at, next: Mutex::new(packs) };
    let store = Odb::with_packs(dir.path().join("all"), Arc::new(store), OdbOptions::default()).unwrap();
    assert_eq!(store.read(ObjectKind::Chunk, &digests[7]).unwrap(), objects[7]);
    assert!(store.contains(&digests[8]).unwrap());
    let absent = ObjectKind::Chunk.digest(b"nowhere");
    assert!(!store.contains(&absent).unwrap());
    assert!(matches!(store.read(ObjectKind::Chunk, &absent), Err(StoreError::Missing { .. })));
}
