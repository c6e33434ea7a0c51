//! Chunks that the store lacks and files of the repository's worktrees still have: they need not come from afar.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{Absent, Fetched, each_chunk, id_of};
use crate::index::{EntryView, Index, Stage};
use crate::object::{ChunkId, Digest, ObjectKind};
use crate::progress::Progress;
use crate::repo::{Layout, RepoError, Repository};
use crate::store::{Hint, StoreError, StoreWriter};
use crate::worktree::WorkDirs;

impl Repository {
    /// Puts into a store what worktrees have of what is absent, and takes it off the list; without a store to put it into,
    /// it is only taken off the list. A file is looked into if a staging area records it with the content of one that is absent, or under its path. What of it has changed since
    /// does no harm: each chunk is verified. Without anything absent nothing is opened.
    ///
    /// # Errors
    /// When recipes cannot be read, or the store cannot be written. A worktree that cannot be read has nothing.
    pub fn take_from_worktrees(
        &self,
        absent: &mut Absent,
        into: Option<&StoreWriter>,
        progress: &dyn Progress,
    ) -> Result<Fetched, RepoError> {
        if absent.chunks.is_empty() {
            return Ok(Fetched::default());
        }
        let contents = absent.files.iter().filter_map(|(_, version)| id_of(&version.content)).collect::<HashSet<_>>();
        let paths = absent.files.iter().map(|(path, _)| path.as_bytes()).collect::<HashSet<_>>();
        let lacking = absent.chunks.iter().map(|chunk| *chunk.id.digest()).collect();
        let mut taking = Taking { repo: self, into, progress, lacking, done: Fetched::default(), buffer: Vec::new() };
        for worktree in self.worktrees()? {
            let Some(top) = worktree.path.filter(|_| !worktree.missing && !worktree.mount) else { continue };
            let private = worktree
                .id
                .map_or_else(|| self.layout().common.clone(), |id| self.layout().linked_worktrees().join(id));
            let layout = Layout { private, ..self.layout().clone() };
            let (Ok(index), Ok(dirs)) = (Index::load(&layout.index()), WorkDirs::open(&top)) else { continue };
            let is_file = |entry: &EntryView<'_>| entry.stage == Stage::Normal && !entry.flags.ghost;
            for entry in index.entries().filter(is_file) {
                let of_use =
                    id_of(&entry.content).is_some_and(|id| contents.contains(&id) || paths.contains(entry.path));
                if of_use && !taking.lacking.is_empty() {
                    taking.look_into(&dirs, &entry)?;
                }
            }
        }
        let Taking { lacking, done, .. } = taking;
        absent.chunks.retain(|chunk| lacking.contains(chunk.id.digest()));
        absent.bytes -= done.bytes;
        Ok(done)
    }
}

struct Taking<'a> {
    repo: &'a Repository,
    into: Option<&'a StoreWriter>,
    progress: &'a dyn Progress,
    lacking: HashSet<Digest>,
    done: Fetched,
    buffer: Vec<u8>,
}

impl Taking<'_> {
    fn look_into(&mut self, dirs: &WorkDirs, entry: &EntryView<'_>) -> Result<(), RepoError> {
        let path = entry.repo_path();
        let opened: OnceCell<Option<File>> = OnceCell::new();
        let mut next = 0;
        each_chunk(self.repo.store(), &entry.content, entry.size, &mut |chunk| {
            let at = next;
            next += u64::from(chunk.len);
            if self.lacking.contains(chunk.id.digest())
                && let Some(file) = opened.get_or_init(|| dirs.open_file(&path).ok().map(|(file, _)| file))
            {
                self.take(file, at, chunk.id, chunk.len as usize)?;
            }
            Ok(!self.lacking.is_empty() && !self.progress.interrupted())
        })?;
        Ok(self.progress.check()?)
    }

    fn take(&mut self, file: &File, at: u64, chunk: ChunkId, len: usize) -> Result<(), StoreError> {
        self.buffer.resize(len, 0);
        if file.read_exact_at(&mut self.buffer, at).is_err() || ChunkId::of(&self.buffer) != chunk {
            return Ok(());
        }
        if let Some(into) = self.into {
            into.put(ObjectKind::Chunk, *chunk.digest(), &self.buffer, Hint::default())?;
        }
        self.lacking.remove(chunk.digest());
        self.done.chunks += 1;
        self.done.bytes += len as u64;
        self.progress.advance(len as u64, 1);
        Ok(())
    }
}
