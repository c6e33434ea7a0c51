//! Taking in the content of files.

use std::fs::File;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::attributes::{AttributeLookup, Compression};
use crate::chunk::Profile;
use crate::content::{Edited, IngestError, Ingestor, Source};
use crate::diff::FileVersion;
use crate::durable::IoContext;
use crate::index::Index;
use crate::manifest::ManifestError;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository, profile_of_setting};
use crate::store::StoreWriter;
use crate::tree::{Content, Mode};
use crate::worktree::drive::{self, DriveContent, Settling};
use crate::worktree::ghost::{GhostVersions, LinkTarget, link_target};
use crate::worktree::{Meta, WorkDirs};

/// How often a file that changes while it is read is tried again.
const ATTEMPTS: usize = 3;

/// Files from this size on are taken in one after the other, each by all threads.
const LARGE: u64 = 8 << 20;

/// A file of the worktree that was taken in, and what it looked like then.
pub(crate) type Staged = (RepoPath, FileVersion, Meta);

/// Takes in many files with several threads.
pub(super) struct Staging<'a> {
    dirs: &'a WorkDirs,
    attributes: AttributeLookup<&'a WorkDirs>,
    default_profile: Option<Profile>,
    writer: &'a StoreWriter,
    progress: &'a dyn Progress,
    threads: usize,
    ghosts: GhostVersions<'a>,
    settling: Settling,
}

impl<'a> Staging<'a> {
    pub(super) fn new(
        repo: &'a Repository,
        index: &'a Index,
        dirs: &'a WorkDirs,
        writer: &'a StoreWriter,
        progress: &'a dyn Progress,
    ) -> Result<Self, RepoError> {
        let default_profile = repo.default_profile()?;
        Ok(Self {
            dirs,
            attributes: repo.attributes(dirs)?,
            default_profile,
            writer,
            progress,
            threads: repo.threads(),
            ghosts: GhostVersions::new(repo, index)?,
            settling: Settling::default(),
        })
    }

    /// Takes them in. What comes with them is to be run once what they are is recorded.
    pub(super) fn run(self, paths: &[RepoPath]) -> Result<(Vec<Staged>, Settling), RepoError> {
        let mut sized = Vec::with_capacity(paths.len());
        for path in paths {
            let meta = self.dirs.stat(path)?;
            sized.push((path, meta.map_or(0, |meta| meta.size)));
        }
        let total = sized.iter().map(|(_, size)| size).sum();
        self.progress.stage("Adding", Some(total), Some(paths.len() as u64));
        let (large, small): (Vec<_>, Vec<_>) = sized.into_iter().partition(|(_, size)| *size >= LARGE);
        let mut staged = self.run_small(&small)?;
        for (path, _) in large {
            staged.push(self.take(path, self.threads)?);
        }
        Ok((staged, self.settling))
    }

    fn run_small(&self, files: &[(&RepoPath, u64)]) -> Result<Vec<Staged>, RepoError> {
        let next = AtomicUsize::new(0);
        let outcome = Mutex::new(Ok(Vec::with_capacity(files.len())));
        let work = || {
            while let Some((path, _)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let taken = self.take(path, 1);
                let mut outcome = outcome.lock().unwrap_or_else(|e| e.into_inner());
                match (taken, &mut *outcome) {
                    (Ok(staged), Ok(list)) => list.push(staged),
                    (Err(error), Ok(_)) => {
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                        *outcome = Err(error);
                    }
                    (_, Err(_)) => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(files.len()) {
                scope.spawn(work);
            }
            work();
        });
        outcome.into_inner().unwrap_or_else(|e| e.into_inner())
    }

    fn take(&self, path: &RepoPath, threads: usize) -> Result<Staged, RepoError> {
        self.progress.check()?;
        let meta = self.dirs.stat(path)?.ok_or_else(|| RepoError::Vanished { path: path.clone() })?;
        let staged = match meta.kind().mode() {
            Some(Mode::Symlink) => self.take_symlink(path, meta),
            Some(Mode::File | Mode::Executable) => self.take_file(path, threads),
            _ => Err(RepoError::NotAFile { content: path.to_string() }),
        };
        self.progress.advance(0, 1);
        staged
    }

    fn take_symlink(&self, path: &RepoPath, meta: Meta) -> Result<Staged, RepoError> {
        let target = self.dirs.read_link(path)?;
        match link_target(&target) {
            LinkTarget::Elsewhere => {}
            LinkTarget::BadGhost => return Err(RepoError::UnknownGhost { path: path.clone() }),
            LinkTarget::Ghost(id) => return Ok((path.clone(), self.ghosts.version(path, &id)?, meta)),
        }
        let version = FileVersion { mode: Mode::Symlink, size: target.len() as u64, content: Content::Symlink(target) };
        Ok((path.clone(), version, meta))
    }

    /// Reads a file until it was the same before and after.
    fn take_file(&self, path: &RepoPath, threads: usize) -> Result<Staged, RepoError> {
        let attributes = self.attributes.attributes_of(path)?;
        let source = Source {
            profile: attributes.preset()?.map(profile_of_setting).transpose()?.flatten(),
            compression: attributes.compression()?.map(Compression::level),
        };
        let ingestor = Ingestor::new(self.writer, self.progress, threads, self.default_profile);
        for _ in 0..ATTEMPTS {
            let (mut file, before) = self.dirs.open_file(path)?;
            let held = drive::ask(self.dirs, &file).at("sync", path.as_path())?;
            let taken = match &held {
                Some(held) => self.take_held(path, &mut file, held, &ingestor, source)?,
                None => {
                    Some(ingestor.ingest(&mut file, before.size, source).map_err(|e| ingest_error(path, e))?.into())
                }
            };
            let after = stat(&file, path)?;
            if let Some((content, size)) = taken
                && before == after
                && size == after.size
            {
                let mode = after.kind().mode().ok_or_else(|| RepoError::NotAFile { content: path.to_string() })?;
                if let Some(held) = held.filter(|held| !held.is_base()) {
                    self.settling.note(path, held.generation(), &content, size);
                }
                return Ok((path.clone(), FileVersion { mode, size, content }, after));
            }
        }
        Err(RepoError::ChangedWhileRead { path: path.clone() })
    }

    /// Takes in a file of which the daemon of a mount says what it holds, reading what has changed; `None` if that became
    /// something else meanwhile.
    fn take_held(
        &self,
        path: &RepoPath,
        file: &mut File,
        held: &DriveContent,
        ingestor: &Ingestor<'_>,
        source: Source,
    ) -> Result<Option<(Content, u64)>, RepoError> {
        let base = held.base();
        if held.is_base() {
            self.progress.advance(held.size(), 0);
            return Ok(Some((base.content().clone(), base.size())));
        }
        let edited =
            Edited { base: base.content(), base_size: base.size(), size: held.size(), changed: held.changed() };
        let taken = ingestor.ingest_edited(file, &edited, source);
        if drive::has_changed(file, held).at("sync", path.as_path())? {
            return Ok(None);
        }
        Ok(Some(taken.map_err(|e| ingest_error(path, e))?.into()))
    }
}

fn stat(file: &File, path: &RepoPath) -> Result<Meta, RepoError> {
    let stat = rustix::fs::fstat(file).at("look at", path.as_path())?;
    Ok(Meta::of(&stat))
}

pub(in crate::worktree) fn ingest_error(path: &RepoPath, error: IngestError) -> RepoError {
    match error {
        IngestError::Read(source) => {
            RepoError::Io(crate::durable::IoError { op: "read", path: path.as_path().to_owned(), source })
        }
        IngestError::Store(error) | IngestError::Manifest(ManifestError::Store(error)) => error.into(),
        IngestError::Manifest(error) => error.into(),
        IngestError::Interrupted(error) => error.into(),
    }
}
