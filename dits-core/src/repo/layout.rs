//! Where a repository keeps its files, and how one is found from a folder inside a worktree.
//!
//! The main worktree holds the repository itself in `.dits/`. A further worktree holds a file `.dits` that names its
//! private folder, `<repository>/worktrees/<id>/`, where its own `HEAD`, index and state live.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use super::RepoError;
use crate::durable::{self, IoContext};

/// The name of the repository's folder in a worktree.
pub const DITS: &str = ".dits";

const LINK_PREFIX: &[u8] = b"ditsdir: ";

/// The folders of one repository as seen from one worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The repository: objects, refs, config. Shared by all worktrees.
    pub common: PathBuf,
    /// What belongs to this worktree alone: HEAD, index, merge state. The same as `common` for the main worktree.
    pub private: PathBuf,
    /// The top of the worktree; `None` in a bare repository.
    pub worktree: Option<PathBuf>,
}

impl Layout {
    /// The layout of the repository in `dits`, with its main worktree around it.
    #[must_use]
    pub fn main(dits: &Path) -> Self {
        let worktree = (dits.file_name() == Some(DITS.as_ref())).then(|| dits.parent().map(Path::to_owned)).flatten();
        Self { common: dits.to_owned(), private: dits.to_owned(), worktree }
    }

    /// Finds the repository that `start` is in, looking upwards.
    ///
    /// # Errors
    /// [`RepoError::NotFound`] when there is none, or when a `.dits` file does not lead to one.
    pub fn discover(start: &Path) -> Result<Self, RepoError> {
        for folder in start.ancestors() {
            let dits = folder.join(DITS);
            match fs::symlink_metadata(&dits) {
                Ok(meta) if meta.is_dir() && was_repository(&dits) => return Ok(Self::main(&dits)),
                Ok(meta) if meta.is_file() => return Self::linked(folder, &dits),
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(e) => Err(e).at("look at", &dits)?,
            }
            if is_repository(folder) {
                return Ok(Self { worktree: None, ..Self::main(folder) });
            }
        }
        Err(RepoError::NotFound { start: start.to_owned() })
    }

    fn linked(worktree: &Path, link: &Path) -> Result<Self, RepoError> {
        let broken = |why: &str| RepoError::BrokenLink { file: link.to_owned(), why: why.to_owned() };
        let text = durable::read_limited(link, 8192)?.unwrap_or_default();
        let target = Self::link_target(&text).ok_or_else(|| broken("it does not begin with `ditsdir: `"))?;
        let private = worktree.join(target);
        let common = private.parent().and_then(Path::parent).ok_or_else(|| broken("the path is too short"))?;
        if !private.is_dir() || !is_repository(common) {
            return Err(broken(&format!("{} is not a worktree of a repository", private.display())));
        }
        Ok(Self { common: common.to_owned(), private, worktree: Some(worktree.to_owned()) })
    }

    /// The worktree's name inside the repository; `None` for the main one.
    #[must_use]
    pub fn worktree_id(&self) -> Option<&str> {
        if self.private == self.common { None } else { self.private.file_name().and_then(|name| name.to_str()) }
    }

    /// What the `.dits` file of a further worktree says.
    #[must_use]
    pub fn link_text(private: &Path) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt;
        [LINK_PREFIX, private.as_os_str().as_bytes(), b"\n"].concat()
    }

    /// Whether the worktree is a mount: its files are made by a daemon, which answers what
    /// [`drive`](crate::worktree::drive) asks.
    #[must_use]
    pub fn is_mount(&self) -> bool {
        self.private != self.common && self.private.join(super::mounted::PLACE).is_file()
    }

    /// Whether there is something that an index tells about once HEAD has a commit: files, or what was written in a mount.
    /// Without, as in a clone without checkout, there need be none.
    #[must_use]
    pub fn needs_index(&self) -> bool {
        let Some(top) = &self.worktree else { return false };
        if self.is_mount() {
            return crate::overlay::log_path(&self.private).exists();
        }
        // What cannot be looked into may have files.
        fs::read_dir(top).map_or(true, |mut all| all.any(|entry| entry.map_or(true, |entry| entry.file_name() != DITS)))
    }

    /// The private folder that a `.dits` file which says this leads to.
    #[must_use]
    pub fn link_target(text: &[u8]) -> Option<PathBuf> {
        text.strip_prefix(LINK_PREFIX).map(|target| target.trim_end().to_path_lossy().into_owned())
    }

    /// The repository's configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.common.join("config")
    }

    /// This worktree's own configuration file.
    #[must_use]
    pub fn worktree_config(&self) -> PathBuf {
        self.private.join("config.worktree")
    }

    /// The file that says which branch or commit this worktree is on.
    #[must_use]
    pub fn head(&self) -> PathBuf {
        if self.private == self.common { self.common.join("refs/HEAD") } else { self.private.join("HEAD") }
    }

    /// The staging area.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.private.join("index")
    }

    /// Where files are prepared before they are renamed into the worktree.
    #[must_use]
    pub fn temp(&self) -> PathBuf {
        self.private.join("tmp")
    }

    /// The lock of garbage collection.
    #[must_use]
    pub fn gc_lock(&self) -> PathBuf {
        self.common.join("gc.lock")
    }

    /// Where the further worktrees have their private folders.
    #[must_use]
    pub fn linked_worktrees(&self) -> PathBuf {
        self.common.join("worktrees")
    }

    /// The patterns of ignored files that are not versioned.
    #[must_use]
    pub fn exclude(&self) -> PathBuf {
        self.common.join("info").join("exclude")
    }

    /// The attributes that are not versioned.
    #[must_use]
    pub fn attributes(&self) -> PathBuf {
        self.common.join("info").join("attributes")
    }

    /// The file that says which version of the format this is.
    #[must_use]
    pub fn format(&self) -> PathBuf {
        self.common.join("format")
    }
}

/// Whether this `.dits` is a repository, even one that lost its format: passing over it in silence would lead to a
/// repository around it, or to the advice to make one.
fn was_repository(dits: &Path) -> bool {
    ["format", "refs", "objects", "manifests"].iter().any(|name| dits.join(name).exists())
}

/// Whether this folder is itself a repository.
fn is_repository(dits: &Path) -> bool {
    dits.join("format").is_file() && dits.join("refs").is_dir()
}
