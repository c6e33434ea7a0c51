//! An overlay above a small commit, and comparing what it shows with a model.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use dits_core::chunk::{ChunkRef, Profile};
use dits_core::manifest;
use dits_core::object::{ObjectKind, ObjectWrite, TreeId};
use dits_core::overlay::{Attributes, Boot};
use dits_core::path::RepoPath;
use dits_core::store::{Store, StoreWriterOptions};
use dits_core::tree::{self, Mode};
use dits_core::worktree::drive::Stored;
use dits_testkit::random::bytes;

use super::super::*;
use super::model::{Id, Model, TOP, What};
use crate::chunks::Chunks;
use crate::read::OpenFile;
use crate::view::ROOT;

/// The files of the base: a path and how long each is. Those of more than `PIECE` bytes have several chunks.
const FILES: [(&str, usize); 9] = [
    ("a/b/deep", 30),
    ("a/b/long", 9_000),
    ("a/empty", 0),
    ("a/one", 900),
    ("c/other", 2_500),
    ("c/run", 77),
    ("film", 20_000),
    ("note", 5),
    ("z", 1),
];
const PIECE: usize = 1_000;
pub const OWNER: (u32, u32) = (7, 8);

pub struct Rig {
    pub store: Store,
    tree: TreeId,
    boot: Boot,
    pub dir: PathBuf,
    pub view: View,
    pub overlay: Overlay,
    chunks: Chunks,
    /// The bytes of all content that was ever written to the store.
    pub known: HashMap<Content, Vec<u8>>,
    _dirs: tempfile::TempDir,
}

fn defaults() -> Defaults {
    Defaults { uid: OWNER.0, gid: OWNER.1, time: (1_000, 0), writable: true }
}

fn put(store: &Store, known: &mut HashMap<Content, Vec<u8>>, whole: &[u8]) -> Content {
    if whole.is_empty() {
        return Content::Empty;
    }
    let writer = store.writer(StoreWriterOptions::default()).unwrap();
    whole.chunks(PIECE).for_each(|piece| _ = writer.write(ObjectKind::Chunk, piece).unwrap());
    let content = manifest::write(Profile::SMALL, whole.chunks(PIECE).map(ChunkRef::of), &writer).unwrap();
    writer.finish().unwrap();
    known.insert(content.clone(), whole.to_vec());
    content
}

impl Rig {
    pub fn new() -> (Self, Model) {
        let dirs = tempfile::tempdir().unwrap();
        let store = Store::open(dirs.path().join("store")).unwrap();
        let mut known = HashMap::from([(Content::Empty, Vec::new())]);
        let (mut model, mut entries) = (Model::default(), Vec::new());
        assert_eq!(model.add(What::Folder(Default::default()), 0o755, OWNER), TOP);
        for (i, (path, len)) in FILES.iter().enumerate() {
            let whole = bytes(i as u64, *len);
            let mode = if path.ends_with("run") { Mode::Executable } else { Mode::File };
            entries.push((
                RepoPath::parse(path.as_bytes()).unwrap(),
                mode,
                *len as u64,
                put(&store, &mut known, &whole),
            ));
            let (mut folder, mut names) = (TOP, path.split('/').peekable());
            while let Some(name) = names.next() {
                let there = model.names(folder).get(name.as_bytes()).copied();
                folder = there.unwrap_or_else(|| {
                    let id = match names.peek() {
                        Some(_) => model.add(What::Folder(Default::default()), 0o755, OWNER),
                        None if mode == Mode::Executable => model.add(What::File(whole.clone()), 0o755, OWNER),
                        None => model.add(What::File(whole.clone()), 0o644, OWNER),
                    };
                    model.names_mut(folder).insert(name.as_bytes().to_vec(), id);
                    id
                });
            }
        }
        let writer = store.writer(StoreWriterOptions::default()).unwrap();
        let tree = tree::from_paths(entries, &writer).unwrap();
        writer.finish().unwrap();
        let view = View::new(store.clone(), tree);
        let dir = dirs.path().join("overlay");
        let boot = [0; 16];
        let overlay = Overlay::open_in(Some(boot), &dir, &view, defaults()).unwrap();
        let chunks = Chunks::new(store.clone(), 1 << 20, None, None);
        (Self { store, tree, boot, dir, view, overlay, chunks, known, _dirs: dirs }, model)
    }

    pub fn put(&mut self, whole: &[u8]) -> Stored {
        let content = put(&self.store, &mut self.known, whole);
        Stored::new(content, whole.len() as u64).unwrap()
    }

    /// The daemon is killed, and mounts anew; before that the machine may have been started anew.
    pub fn again(&mut self, restarted: bool) {
        self.boot[0] = self.boot[0].wrapping_add(u8::from(restarted));
        self.view = View::new(self.store.clone(), self.tree);
        self.overlay = Overlay::open_in(Some(self.boot), &self.dir, &self.view, defaults()).unwrap();
    }

    /// Asks as the drive does: first in memory, where a question that cannot be answered changes nothing.
    pub fn ask<T>(&self, question: impl Fn(&Self, Reach) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let before = self.log_len();
        match question(self, Reach::Memory) {
            Err(ReadError::OutOfReach) => {
                assert_eq!(self.log_len(), before, "half a change");
                question(self, Reach::Disk)
            }
            answer => answer,
        }
    }

    pub fn log_len(&self) -> u64 {
        self.overlay.read().log.len()
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub fn ino(&self, model: &Model, id: Id) -> u64 {
        let step = |folder, name: Vec<u8>| {
            let found = self.ask(|rig, reach| rig.overlay.lookup(&rig.view, folder, &name, reach)).unwrap();
            found.unwrap_or_else(|| panic!("{:?} is not there", String::from_utf8_lossy(&name))).ino
        };
        model.path(id).into_iter().fold(ROOT, step)
    }

    pub fn read(&self, ino: u64) -> Vec<u8> {
        let mut out = Vec::new();
        // In pieces that are not aligned with anything.
        let (mut at, step) = (0, 3_333);
        loop {
            let snapshot = self.overlay.snapshot(ino, at, step).unwrap();
            let gathered = match &snapshot {
                Some(snapshot) => {
                    let file = OpenFile::of(ino, &snapshot.base.0, snapshot.base.1).unwrap();
                    file.gather_mixed(&self.store, &self.chunks, snapshot, Reach::Disk).unwrap()
                }
                None => {
                    let file = OpenFile::new(ino, &self.view.entry(ino, Reach::Disk).unwrap()).unwrap();
                    let range = file.clip(at, step as u32);
                    file.gather(&self.store, &self.chunks, range, Reach::Disk).unwrap()
                }
            };
            let before = out.len();
            gathered.append_to(&mut out);
            if out.len() == before {
                return out;
            }
            at += step;
        }
    }

    /// Compares everything but the bytes of files, which `bytes` looks at: it is given which, its number, and its length.
    pub fn compare(&self, model: &Model, bytes: &mut dyn FnMut(Id, u64, u64)) -> Result<(), String> {
        for folder in model.folders() {
            let ino = self.ino(model, folder);
            let listed = self.overlay.list(&self.view, ino, Reach::Disk).unwrap();
            let names: Vec<Vec<u8>> = match listed {
                Some(entries) => entries.iter().map(|entry| entry.name.clone()).collect(),
                None => {
                    let base = self.view.list(ino, Reach::Disk).unwrap();
                    base.starting_at(0).map(|(_, entry, _)| entry.name.clone()).collect()
                }
            };
            let expected: Vec<Vec<u8>> = model.names(folder).keys().cloned().collect();
            if names != expected {
                return Err(format!("{:?} has {names:?}, not {expected:?}", model.path(folder)));
            }
        }
        for id in [TOP].into_iter().chain(model.all().into_iter().map(|(_, _, id)| id)) {
            self.compare_one(model, id, bytes).map_err(|what| format!("{:?}: {what}", model.path(id)))?;
        }
        Ok(())
    }

    fn compare_one(&self, model: &Model, id: Id, bytes: &mut dyn FnMut(Id, u64, u64)) -> Result<(), String> {
        let (thing, ino) = (&model.things[&id], self.ino(model, id));
        let stat = self.ask(|rig, reach| rig.overlay.stat(&rig.view, ino, reach)).unwrap();
        let kind = match &thing.what {
            What::Folder(_) => 0o040_000,
            What::File(_) => 0o100_000,
            What::Link(_) => 0o120_000,
            What::Pipe => 0o010_000,
        };
        let Attributes { mode, uid, gid, mtime, .. } = stat.attributes;
        let (is, should) = ((mode, uid, gid), (kind | thing.mode, thing.owner.0, thing.owner.1));
        if is != should {
            return Err(format!("attributes {is:?}, not {should:?}"));
        }
        if thing.mtime.is_some_and(|time| time != mtime) {
            return Err(format!("changed at {mtime:?}, not {:?}", thing.mtime));
        }
        let names: Vec<u8> = thing.extended.keys().flat_map(|name| [name, &b"\0"[..]].concat()).collect();
        let values = thing.extended.iter().all(|(name, value)| self.overlay.attribute(ino, name).unwrap() == *value);
        if self.overlay.attribute_names(ino) != names || !values {
            return Err("other extended attributes".to_owned());
        }
        match &thing.what {
            What::File(_) => bytes(id, ino, stat.size),
            What::Link(target) => {
                let leads = self.ask(|rig, reach| rig.overlay.target(&rig.view, ino, reach)).unwrap();
                assert_eq!((leads, stat.size), (target.clone(), target.len() as u64));
            }
            What::Folder(_) | What::Pipe => {}
        }
        Ok(())
    }

    /// What the overlay says of a file's content must be true.
    pub fn check_content(&self, ino: u64, whole: &[u8]) {
        let said = self.ask(|rig, reach| rig.overlay.content(&rig.view, ino, reach)).unwrap();
        assert_eq!(said.size(), whole.len() as u64);
        let base = &self.known[said.base().content()];
        let mut at = 0;
        for changed in said.changed().iter().cloned().chain(std::iter::once(said.size()..said.size())) {
            let kept = at..changed.start as usize;
            assert!(kept.is_empty() || base[kept.clone()] == whole[kept], "it differs before {changed:?}");
            at = changed.end as usize;
        }
    }

    /// Every file of the data folder and what is in it.
    pub fn data(&self) -> HashMap<PathBuf, Vec<u8>> {
        let paths = fs::read_dir(self.dir.join("data")).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }
}
