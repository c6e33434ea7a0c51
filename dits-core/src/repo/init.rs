//! Making a repository.

use std::path::Path;

use super::{Environment, Layout, RepoError, Repository, format};
use crate::durable;
use crate::refs::{Expected, RefEdit, Target};
use crate::refs::{RefName, RefStore};

/// How a new repository is set up.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The branch that HEAD names.
    pub branch: String,
    /// Without a worktree: the folder itself becomes the repository.
    pub bare: bool,
}

const EXCLUDE: &str = "# Files that only you ignore, in the syntax of .ditsignore. This file is not versioned.\n";
const CONFIG: &str = "# Settings of this repository; `dits help config` lists them.\n";

impl Repository {
    /// Makes a repository in `folder`, creating the folder if need be. One that is there already is opened and left as
    /// it is; the second value then is `false`.
    ///
    /// # Errors
    /// When the folder cannot be written, or what is there cannot be used.
    pub fn init(folder: &Path, options: &InitOptions, environment: &Environment) -> Result<(Self, bool), RepoError> {
        let dits = if options.bare { folder.to_owned() } else { folder.join(super::DITS) };
        let mut layout = Layout::main(&dits);
        if options.bare {
            layout.worktree = None;
        }
        if dits.join("format").exists() {
            return Ok((Self::open(layout, environment)?, false));
        }
        let head = Target::Symbolic(RefName::branch(&options.branch)?);
        for sub in ["objects", "manifests", "refs/branches", "refs/tags", "logs", "info", "tmp"] {
            durable::create_dir_all(&dits.join(sub))?;
        }
        // What is there already stays: this may be a repository that lost only its format.
        for (file, text) in [(layout.config(), CONFIG), (layout.exclude(), EXCLUDE)] {
            if !file.exists() {
                durable::write_atomic(&file, text.as_bytes())?;
            }
        }
        let refs = crate::refs::FolderRefs::open(&layout.common, None)?;
        if refs.read(&RefName::head())?.is_none() {
            refs.transaction(vec![RefEdit::set(RefName::head(), Expected::Any, head)])?;
        }
        // Last: from here on it is a repository.
        format::write(&layout.format())?;
        Ok((Self::open(layout, environment)?, true))
    }
}
