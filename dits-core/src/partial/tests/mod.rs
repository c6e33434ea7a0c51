//! Repositories that lack content and history, made by dropping and by cutting, driven through the engine.

mod dropping;
mod ghosts;
mod property;
mod records;
mod shallow;
mod working;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::chunk::ChunkRef;
use crate::index::Stage;
use crate::maintain::{FsckOptions, FsckReport, GcOptions};
use crate::merge::tests::{Rig, files, path};
use crate::object::{CommitId, ObjectKind, ObjectRead};
use crate::path::RepoPath;
use crate::progress::{Progress, Silent};
use crate::repo::RepoError;
use crate::store::{Store, StoreError};
use crate::worktree::{Everything, Exactly, LinkTarget, Selection, Status, StatusOptions, link_target};

/// No file.
pub(super) struct Nothing;

impl Selection for Nothing {
    fn includes(&self, _: &RepoPath) -> bool {
        false
    }

    fn enters(&self, _: &RepoPath) -> bool {
        false
    }
}

/// Another copy of the repository's content.
pub(super) struct Remote(tempfile::TempDir);

impl Remote {
    fn store(&self) -> Store {
        Store::open(self.0.path()).unwrap()
    }
}

impl ChunkSource for Remote {
    fn fetch(
        &self,
        chunks: &[ChunkRef],
        into: &dyn ChunkSink,
        progress: &dyn Progress,
    ) -> Result<Fetched, SourceError> {
        let (store, mut done) = (self.store(), Fetched::default());
        for chunk in chunks {
            progress.check()?;
            let (mut frame, mut plain) = (Vec::new(), Vec::new());
            let header = match store.content.read_frame(ObjectKind::Chunk, chunk.id.digest(), &mut frame) {
                Err(StoreError::Missing { .. }) => {
                    return Err(SourceError::Gone { from: "origin".to_owned(), chunk: chunk.id });
                }
                read => read?,
            };
            header.open(&frame, &mut plain).unwrap();
            done.chunks += 1;
            done.bytes += frame.len() as u64;
            into.take(Arrived { header, frame: &frame, plain })?;
        }
        Ok(done)
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to)
        } else {
            _ = std::fs::copy(entry.path(), to).unwrap()
        }
    }
}

/// Bytes that nothing compresses, the same for the same seed.
pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

impl Rig {
    pub(super) fn write_bytes(&self, name: &str, bytes: &[u8]) -> &Self {
        let file = self.path(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
        self
    }

    /// A remote that has all that is here.
    pub(super) fn remote(&self) -> Remote {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["objects", "manifests"] {
            copy_folder(&self.path(".dits").join(folder), &dir.path().join(folder));
        }
        Remote(dir)
    }

    pub(super) fn drop_options<'a>(&self, confirmed: &'a [CommitId]) -> DropOptions<'a> {
        let wait = Duration::from_millis(100);
        DropOptions {
            remote: "origin",
            confirmed,
            lacking: &|_| Ok(Vec::new()),
            pinned: &Nothing,
            dry_run: false,
            wait,
            now: 2_000,
        }
    }

    pub(super) fn drop_files(&self, names: &[&str], confirmed: &[CommitId]) -> Result<Dropped, RepoError> {
        self.repo.drop_content(&these(names), &self.drop_options(confirmed), &Silent)
    }

    pub(super) fn fetch(&self, names: &[&str], from: &Remote) -> Hydrated {
        self.repo.fetch_content(&these(names), from, &Silent).unwrap().1
    }

    /// The worktree, with `ghost` for every ghost.
    pub(super) fn seen(&self) -> BTreeMap<String, String> {
        let mut files = self.files();
        for text in files.values_mut() {
            let target = text.strip_prefix("-> ").map(|target| link_target(target.as_bytes()));
            if matches!(target, Some(LinkTarget::Ghost(_))) {
                *text = "ghost".to_owned();
            }
        }
        files
    }

    pub(super) fn seen_text(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub(super) fn status(&self) -> Status {
        self.repo.status(&Everything, StatusOptions::default(), &Silent).unwrap()
    }

    pub(super) fn is_ghost(&self, name: &str) -> bool {
        self.repo.index().unwrap().get(&path(name), Stage::Normal).unwrap().flags.ghost
    }

    pub(super) fn fsck(&self) -> FsckReport {
        self.repo.fsck(FsckOptions::default(), &Silent).unwrap()
    }

    pub(super) fn gc(&self) {
        let options = GcOptions {
            now: 1_000_000,
            grace: Duration::ZERO,
            reflog_expire: Some(Duration::ZERO),
            dry_run: false,
            max_packs: 1,
            max_loose: 0,
            pack_limit: 1 << 30,
            wait: Duration::from_millis(100),
        };
        self.repo.gc(&options, &Silent).unwrap();
    }

    /// Whether a chunk of these bytes is in the store.
    pub(super) fn has(&self, bytes: &[u8]) -> bool {
        self.repo.store().content.contains(ChunkRef::of(bytes).id.digest()).unwrap()
    }
}

pub(super) fn these(names: &[&str]) -> Exactly {
    Exactly::new(&names.iter().map(|name| path(name)).collect::<Vec<_>>())
}
