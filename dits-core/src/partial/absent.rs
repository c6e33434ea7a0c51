//! Which content is absent, and putting files in place of ghosts once it is here.

use super::{ChunkSource, Fetched, Promised, SourceError, each_chunk, id_of};
use crate::chunk::ChunkRef;
use crate::diff::{Change, FileVersion};
use crate::index::{Index, Stage};
use crate::lock::LockView;
use crate::maintain::Reached;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::StoreWriter;
use crate::worktree::{Checkout, Selection, WorkDirs, ghost_at, place_version, protect_new};

/// So many chunks,
const BATCH_CHUNKS: usize = 4096;
/// or so many bytes of them, are asked for at a time.
const BATCH_BYTES: u64 = 256 << 20;

/// Files whose content is not all here, and what it would take to have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absent {
    /// The files, sorted by path.
    pub files: Vec<(RepoPath, FileVersion)>,
    /// The chunks they lack: in the order of the files and of their content, each once.
    pub chunks: Vec<ChunkRef>,
    /// The bytes of these chunks.
    pub bytes: u64,
}

/// What became of ghosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hydrated {
    /// Ghosts replaced by files.
    pub files: u64,
    /// The bytes of these files.
    pub bytes: u64,
    /// Ghosts that stay, since their content is not all here.
    pub absent: u64,
}

/// A file that the worktree has, or would have if its content were here.
struct Candidate {
    path: RepoPath,
    version: FileVersion,
    /// Whether the staging area has this version of it, undisputed.
    staged: bool,
}

impl Repository {
    /// What the selected files lack, whether it was promised or is lost: those of the staging area, both sides of
    /// conflicts among them.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn absent(&self, selection: &dyn Selection, progress: &dyn Progress) -> Result<Absent, RepoError> {
        let files = self.candidates(&self.index()?, selection)?.into_iter();
        let files: Vec<_> = files.map(|file| (file.path, file.version)).collect();
        self.absent_of(&files, progress)
    }

    /// What certain versions of files lack, wherever they are from.
    ///
    /// # Errors
    /// As [`Repository::absent`].
    pub fn absent_of(&self, files: &[(RepoPath, FileVersion)], progress: &dyn Progress) -> Result<Absent, RepoError> {
        let (mut found, mut seen) = (Absent::default(), Reached::default());
        for (path, version) in files {
            progress.check()?;
            let mut whole = true;
            each_chunk(self.store(), &version.content, version.size, &mut |chunk| {
                let digest = *chunk.id.digest();
                if !self.store().content.contains(&digest)? {
                    whole = false;
                    if seen.insert(digest) {
                        found.bytes += u64::from(chunk.len);
                        found.chunks.push(chunk);
                    }
                }
                Ok(true)
            })?;
            if !whole {
                found.files.push((path.clone(), version.clone()));
            }
        }
        Ok(found)
    }

    /// Replaces the selected ghosts whose content is here by files, and notes that in the staging area. What a person
    /// has put in place of a ghost stays.
    ///
    /// # Errors
    /// When something cannot be read or written, or a chunk is absent that nobody promised.
    pub fn hydrate(&self, selection: &dyn Selection, progress: &dyn Progress) -> Result<Hydrated, RepoError> {
        let mut done = Hydrated::default();
        let promised = self.promised()?;
        if promised.is_empty() {
            return Ok(done);
        }
        let mut index = self.lock_index()?;
        let dirs = self.work_dirs()?;
        let mut changes = Vec::new();
        for file in self.candidates(&index, selection)? {
            progress.check()?;
            if !is_ghost_of(&dirs, &file)? {
                continue;
            }
            if !promised.is_here(&file.path, &file.version)? {
                done.absent += 1;
            } else if file.staged {
                let version = Some(file.version);
                changes.push(Change { path: file.path, old: version.clone(), new: version });
            } else {
                crate::durable::create_dir_all(&self.layout().temp())?;
                let meta = place_version(self, &promised, &dirs, &file.path, &file.version, progress)?;
                protect_new(&dirs, &LockView::new(self, &dirs, None)?, &file.path, meta)?;
                done.files += 1;
                done.bytes += file.version.size;
            }
        }
        let report = Checkout::new(self, progress, false)?.apply(&mut index, &changes)?;
        index.commit()?;
        done.files += report.written;
        done.bytes += report.bytes;
        done.absent += report.ghosts;
        Ok(done)
    }

    /// Brings what the selected files lack, and puts them in place of their ghosts. Memory does not grow with their
    /// size. What was brought before an error stays.
    ///
    /// # Errors
    /// Those of the source, and as [`Repository::hydrate`].
    pub fn fetch_content(
        &self,
        selection: &dyn Selection,
        source: &dyn ChunkSource,
        progress: &dyn Progress,
    ) -> Result<(Fetched, Hydrated), RepoError> {
        let promised = self.promised()?;
        let writer = self.writer()?;
        let mut batches =
            Batches { source, writer: &writer, progress, waiting: Vec::new(), bytes: 0, done: <_>::default() };
        let files = self.candidates(&self.index()?, selection)?;
        let brought = files.iter().try_for_each(|file| batches.take(self, &promised, file));
        let brought = brought.and_then(|()| Ok(batches.ask()?));
        let fetched = batches.done;
        // Also after an error: what was brought need not be brought again. The guard keeps it until files need it.
        let _guard = writer.finish()?.guard;
        brought?;
        Ok((fetched, self.hydrate(selection, progress)?))
    }

    /// The selected files with content that the worktree has or would have.
    fn candidates(&self, index: &Index, selection: &dyn Selection) -> Result<Vec<Candidate>, RepoError> {
        let mut found = Vec::new();
        for entry in index.entries().filter(|entry| entry.stage == Stage::Normal && !entry.flags.intent_to_add) {
            let path = entry.repo_path();
            if id_of(&entry.content).is_some() && selection.includes(&path) {
                found.push(Candidate { path, version: FileVersion::from(&entry), staged: true });
            }
        }
        let beside = self.pending()?.map(|pending| pending.beside).unwrap_or_default();
        for conflict in index.conflicts() {
            let of = |entry: crate::index::Entry| FileVersion::from(&entry.view());
            let (ours, theirs) = (conflict.ours.map(of), conflict.theirs.map(of));
            let file = beside.iter().find(|(path, _)| *path == conflict.path).map(|(_, file)| file.clone());
            let sides = match (file, theirs) {
                (Some(file), theirs) => [(conflict.path.clone(), ours), (file, theirs)],
                (None, theirs) => [(conflict.path.clone(), ours.or(theirs)), (conflict.path.clone(), None)],
            };
            for (path, version) in sides {
                let wanted = selection.includes(&path) || selection.includes(&conflict.path);
                if let Some(version) = version.filter(|version| wanted && id_of(&version.content).is_some()) {
                    found.push(Candidate { path, version, staged: false });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}

/// Whether a file's own ghost stands in the worktree.
fn is_ghost_of(dirs: &WorkDirs, file: &Candidate) -> Result<bool, RepoError> {
    let Some(meta) = dirs.stat(&file.path)? else { return Ok(false) };
    Ok(ghost_at(dirs, &file.path, &meta)?.is_some_and(|id| id_of(&file.version.content) == Some(id)))
}

/// Chunks that are asked for together.
struct Batches<'a> {
    source: &'a dyn ChunkSource,
    writer: &'a StoreWriter,
    progress: &'a dyn Progress,
    waiting: Vec<ChunkRef>,
    bytes: u64,
    done: Fetched,
}

impl Batches<'_> {
    fn take(&mut self, repo: &Repository, promised: &Promised<'_>, file: &Candidate) -> Result<(), RepoError> {
        if promised.is_here(&file.path, &file.version)? {
            return Ok(());
        }
        let mut failed = None;
        each_chunk(repo.store(), &file.version.content, file.version.size, &mut |chunk| {
            if !self.writer.content.contains(chunk.id.digest())? {
                self.bytes += u64::from(chunk.len);
                self.waiting.push(chunk);
            }
            if self.waiting.len() >= BATCH_CHUNKS || self.bytes >= BATCH_BYTES {
                failed = self.ask().err();
            }
            Ok(failed.is_none())
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn ask(&mut self) -> Result<(), SourceError> {
        let mut seen = Reached::default();
        self.waiting.retain(|chunk| seen.insert(*chunk.id.digest()));
        if !self.waiting.is_empty() {
            let fetched = self.source.fetch(&self.waiting, self.writer, self.progress)?;
            self.done.chunks += fetched.chunks;
            self.done.bytes += fetched.bytes;
        }
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }
}
