//! A repository as one thing: where it is, how it is set up, and what its commands do.

mod commit;
mod error;
pub mod format;
mod head;
mod init;
mod layout;
mod linked;
mod pending;

pub use commit::{CommitOptions, NewCommit};
pub use error::RepoError;
pub use head::Head;
pub use init::InitOptions;
pub use layout::{DITS, Layout};
pub use linked::LinkedWorktree;
pub use pending::{Pending, PendingKind};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::attributes::AttributeRules;
use crate::config::{Config, ConfigFiles};
use crate::index::{Index, LockedIndex};
use crate::refs::FolderRefs;
use crate::store::{Store, StoreWriter};
use crate::worktree::WorkDirs;

/// What the world around a repository says about it. The library does not look for itself.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The configuration of the machine.
    pub system_config: Option<PathBuf>,
    /// The configuration of the user.
    pub user_config: Option<PathBuf>,
    /// Settings for this run: `core.compression=3`.
    pub overrides: Vec<(String, String)>,
    /// How many threads to use where it helps.
    pub threads: usize,
}

/// An opened repository, seen from one of its worktrees.
pub struct Repository {
    layout: Layout,
    config: Config,
    store: Arc<Store>,
    refs: FolderRefs,
    threads: usize,
}

impl Repository {
    /// Finds and opens the repository that `start` is in.
    ///
    /// # Errors
    /// When there is none, or it cannot be used by this version.
    pub fn discover(start: &Path, environment: &Environment) -> Result<Self, RepoError> {
        Self::open(Layout::discover(start)?, environment)
    }

    /// Opens a repository whose folders are known.
    ///
    /// # Errors
    /// When it is damaged, needs a newer version, or its configuration cannot be read.
    pub fn open(layout: Layout, environment: &Environment) -> Result<Self, RepoError> {
        format::check(&layout.format())?;
        let files = ConfigFiles {
            system: environment.system_config.clone(),
            user: environment.user_config.clone(),
            repository: Some(layout.config()),
            worktree: Some(layout.worktree_config()),
        };
        let config = Config::load(&files, &environment.overrides)?;
        let store = Arc::new(Store::open(&layout.common)?);
        let refs = FolderRefs::open(&layout.common, &layout.private);
        let threads = match config.int("core.threads")? {
            0 => environment.threads.max(1),
            n => usize::try_from(n).unwrap_or(1).clamp(1, 256),
        };
        Ok(Self { layout, config, store, refs, threads })
    }

    /// Where things are.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The objects.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The refs.
    #[must_use]
    pub fn refs(&self) -> &FolderRefs {
        &self.refs
    }

    /// How many threads to use where it helps.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The top of the worktree.
    ///
    /// # Errors
    /// [`RepoError::Bare`] when there is none.
    pub fn worktree(&self) -> Result<&Path, RepoError> {
        self.layout.worktree.as_deref().ok_or(RepoError::Bare)
    }

    /// Safe access to the folders of the worktree.
    ///
    /// # Errors
    /// When there is no worktree, or it cannot be opened.
    pub fn work_dirs(&self) -> Result<WorkDirs, RepoError> {
        Ok(WorkDirs::open(self.worktree()?)?)
    }

    /// The staging area, for reading.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn index(&self) -> Result<Index, RepoError> {
        Ok(Index::load(&self.layout.index())?)
    }

    /// The staging area, for changing. Waits a while for another writer.
    ///
    /// # Errors
    /// When it is damaged, cannot be read, or another process does not let go of it.
    pub fn lock_index(&self) -> Result<LockedIndex, RepoError> {
        Ok(LockedIndex::lock(&self.layout.index())?)
    }

    /// Begins to write objects, compressed as configured.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn writer(&self) -> Result<StoreWriter, RepoError> {
        let level = i32::try_from(self.config.int("core.compression")?).unwrap_or(1);
        let roll_at = self.config.size("core.packSize")?;
        Ok(self.store.writer(crate::store::WriterOptions { level, roll_at, ..Default::default() })?)
    }

    /// The attributes of the files in the worktree.
    ///
    /// # Errors
    /// When an attributes file cannot be read.
    pub fn attributes(&self) -> Result<AttributeRules, RepoError> {
        Ok(AttributeRules::load(self.worktree()?, &self.layout.attributes())?)
    }
}
