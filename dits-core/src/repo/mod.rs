//! A repository as one thing: where it is, how it is set up, and what its commands do.

mod commit;
mod error;
pub mod format;
mod head;
mod hold;
mod init;
mod layout;
mod linked;
mod mount_index;
mod mounted;
mod novelty;
mod pending;

pub use commit::{CommitOptions, NewCommit, write_tree};
pub use error::RepoError;
pub use head::Head;
pub use hold::Held;
pub use init::InitOptions;
pub use layout::{DITS, Layout};
pub use linked::LinkedWorktree;
pub(crate) use linked::place_of;
pub use mounted::MountRecord;
pub use novelty::Novelty;
pub use pending::{Pending, PendingKind};

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::attributes::{AttributeLookup, AttributeRules, Chunking};
use crate::chunk::{Profile, ProfileError};
use crate::config::{Config, ConfigError, Layer};
use crate::durable;
use crate::ignore::IgnoreRules;
use crate::index::{Index, LockedIndex};
use crate::lockfile::PATIENCE;
use crate::refs::FolderRefs;
use crate::rules_file::{FolderFiles, MAX_RULES_FILE};
use crate::store::{Store, StoreWriter, StoreWriterOptions};
use crate::worktree::WorkDirs;

/// What the world around a repository says about it. The library does not look for itself.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The configuration of the machine.
    pub system_config: Option<PathBuf>,
    /// The configuration of the user.
    pub user_config: Option<PathBuf>,
    /// The user's folder, for which `~/` stands in settings.
    pub home: Option<PathBuf>,
    /// Settings for this run: `core.compression=3`.
    pub overrides: Vec<String>,
    /// The folder the user is in: it stays, without files, when the last file in it goes.
    pub cwd: Option<PathBuf>,
    /// How many threads to use where it helps.
    pub threads: usize,
    /// Reads indexes instead of mapping them into memory. What must outlive files that somebody cuts, such as a
    /// server, says yes.
    pub unmapped: bool,
}

impl Environment {
    /// All settings that hold in a repository, or outside of any.
    ///
    /// # Errors
    /// When a configuration file cannot be read, or an override names no setting.
    pub fn config(&self, layout: Option<&Layout>) -> Result<Config, ConfigError> {
        let mut config = Config::new();
        let files = [
            (Layer::System, self.system_config.clone()),
            (Layer::User, self.user_config.clone()),
            (Layer::Repository, layout.map(Layout::config)),
            (Layer::Worktree, layout.map(Layout::worktree_config)),
        ];
        for (layer, file) in files {
            if let Some(file) = file {
                config.add_file(layer, &file)?;
            }
        }
        self.overrides.iter().try_for_each(|text| config.add_override(text))?;
        Ok(config)
    }
}

/// An opened repository, seen from one of its worktrees.
pub struct Repository {
    layout: Layout,
    config: Config,
    store: Store,
    refs: FolderRefs,
    threads: usize,
    home: Option<PathBuf>,
    cwd: Option<PathBuf>,
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
        let config = environment.config(Some(&layout))?;
        let store = Store::open_with(&layout.common, !environment.unmapped)?;
        let refs = FolderRefs::open(&layout.common, layout.worktree_id())?;
        let threads = match config.get_int("core.threads")?.unwrap_or(0) {
            0 => environment.threads.max(1),
            n => usize::try_from(n).unwrap_or(1),
        };
        Ok(Self { layout, config, store, refs, threads, home: environment.home.clone(), cwd: environment.cwd.clone() })
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
    /// [`RepoError::Bare`] when there is none, [`RepoError::InsideDits`] when the repository was found from within.
    pub fn worktree(&self) -> Result<&Path, RepoError> {
        let within = self.layout.common.file_name() == Some(DITS.as_ref());
        let none = if within { RepoError::InsideDits } else { RepoError::Bare };
        self.layout.worktree.as_deref().ok_or(none)
    }

    /// Safe access to the folders of the worktree.
    ///
    /// # Errors
    /// When there is no worktree, or it cannot be opened.
    pub fn work_dirs(&self) -> Result<WorkDirs, RepoError> {
        let dirs = WorkDirs::open(self.worktree()?)?.keep(self.cwd.as_deref());
        Ok(dirs.in_mount(self.layout.is_mount()))
    }

    /// The staging area, for reading.
    ///
    /// # Errors
    /// When it is damaged, was lost, or cannot be read.
    pub fn index(&self) -> Result<Index, RepoError> {
        self.check_index_not_lost()?;
        let mut index = Index::load(&self.layout.index())?;
        index.forget_inodes(self.layout.is_mount());
        Ok(index)
    }

    /// The staging area, for changing. Waits a while for another writer.
    ///
    /// # Errors
    /// When it is damaged, was lost, cannot be read, or another process does not let go of it.
    pub fn lock_index(&self) -> Result<LockedIndex, RepoError> {
        let index = self.lock_index_anew()?;
        self.check_index_not_lost()?;
        Ok(index)
    }

    /// The same for who makes it be a commit's files: one that was lost is no loss then.
    ///
    /// # Errors
    /// As there.
    pub fn lock_index_anew(&self) -> Result<LockedIndex, RepoError> {
        self.lock_index_within(PATIENCE)
    }

    /// [`Repository::lock_index`] with another patience.
    ///
    /// # Errors
    /// As there.
    pub fn lock_index_within(&self, patience: Duration) -> Result<LockedIndex, RepoError> {
        let mut index = LockedIndex::lock(&self.layout.index(), patience)?;
        // The inodes of a mount are others each time.
        index.forget_inodes(self.layout.is_mount());
        Ok(index)
    }

    /// Begins to write objects, compressed as configured.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn writer(&self) -> Result<StoreWriter, RepoError> {
        let level = self.config.get_int("core.compression")?.and_then(|level| i32::try_from(level).ok()).unwrap_or(1);
        let mut options = StoreWriterOptions { content_level: level, ..StoreWriterOptions::default() };
        if let Some(limit) = self.config.get_size("core.packSize")? {
            options.pack_limit = limit;
        }
        Ok(self.store.writer(options)?)
    }

    /// The profile that `core.chunking` sets for all files; `None` when it is chosen by content.
    ///
    /// # Errors
    /// When the setting names no profile.
    pub fn default_profile(&self) -> Result<Option<Profile>, RepoError> {
        let text = self.config.get_str("core.chunking")?;
        Ok(match text.as_deref().and_then(Chunking::parse) {
            Some(chunking) => profile_of_setting(chunking)?,
            None => None,
        })
    }

    /// The attributes of the files in the worktree.
    ///
    /// # Errors
    /// When the attributes that are not versioned cannot be read.
    pub fn attributes<'a>(&self, dirs: &'a WorkDirs) -> Result<AttributeLookup<&'a WorkDirs>, RepoError> {
        self.attributes_in(dirs)
    }

    /// The attributes of files, where those of folders come from elsewhere.
    ///
    /// # Errors
    /// As [`Repository::attributes`].
    pub fn attributes_in<F: FolderFiles>(&self, files: F) -> Result<AttributeLookup<F>, RepoError> {
        let file = self.layout.attributes();
        let text = durable::read_limited(&file, MAX_RULES_FILE as u64)?;
        let rules = AttributeRules::new(text.as_deref().map(|text| (file.as_path(), text)))?;
        Ok(AttributeLookup::new(files, rules))
    }

    /// A path in a setting, with a leading `~/` replaced by the home folder.
    fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// The ignore rules that hold everywhere: `core.excludesFile` and `.dits/info/exclude`.
    ///
    /// # Errors
    /// When one of the files cannot be read.
    pub fn ignore_rules(&self) -> Result<IgnoreRules, RepoError> {
        let user = self.config.get_str("core.excludesFile")?.map(|file| self.expand_home(&file));
        let mut files = Vec::new();
        for file in user.into_iter().chain([self.layout.exclude()]) {
            if let Some(text) = durable::read_limited(&file, MAX_RULES_FILE as u64)? {
                files.push((file, text));
            }
        }
        let borrowed: Vec<(&Path, &[u8])> = files.iter().map(|(file, text)| (file.as_path(), &text[..])).collect();
        Ok(IgnoreRules::new(&borrowed))
    }
}

/// The profile that a setting or attribute asks for; `None` when content decides.
///
/// # Errors
/// When its sizes do not go together.
pub fn profile_of_setting(chunking: Chunking) -> Result<Option<Profile>, ProfileError> {
    Ok(match chunking {
        Chunking::Auto => None,
        Chunking::Video => Some(Profile::VIDEO),
        Chunking::Project => Some(Profile::PROJECT),
        Chunking::Small => Some(Profile::SMALL),
        Chunking::Sizes { min, avg, max } => Some(Profile::new(min, avg, max)?),
    })
}
