//! The repository a command works on, and where in it the user is.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use dits_core::durable::IoContext;
use dits_core::path::RepoPath;
use dits_core::repo::{Environment, Layout, Repository};
use dits_core::signature::Signature;
use dits_core::worktree::Selection;

use crate::context::Context;
use crate::error::CliError;
use crate::identity::{Identity, Role};
use crate::output::path::{quote_text, relative_to};
use crate::pathspec::{Pathspecs, Place};

/// An opened repository.
pub struct Opened {
    /// The repository.
    pub repo: Repository,
    /// The current folder inside the worktree; `None` when there is no worktree, or the user is outside of it.
    place: Option<Place>,
}

impl Context {
    /// What the process tells the library.
    ///
    /// # Errors
    /// When `DITS_THREADS` is not a number.
    pub fn environment(&self) -> Result<Environment, CliError> {
        let bad = |_| CliError::usage("DITS_THREADS is not a number");
        let threads = self.env.threads.as_deref().map(|text| text.parse().map_err(bad)).transpose()?;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Environment {
            system_config: Some(self.env.system_config()),
            user_config: self.env.global_config(),
            home: self.env.home.clone(),
            overrides: self.globals.overrides.clone(),
            threads: threads.unwrap_or_else(cores),
            cwd: Some(std::fs::canonicalize(&self.cwd).at("look at", &self.cwd)?),
            unmapped: false,
        })
    }

    /// Where the repository is that the user is in, or that was named. Nothing of it is read yet.
    ///
    /// # Errors
    /// When there is none.
    pub fn layout(&self) -> Result<Layout, CliError> {
        let cwd = std::fs::canonicalize(&self.cwd).at("look at", &self.cwd)?;
        let named = self.globals.dits_dir.as_ref().or(self.env.dits_dir.as_ref());
        let mut layout = match named {
            Some(dits) => {
                let dits = std::fs::canonicalize(cwd.join(dits)).at("open the repository", dits)?;
                Layout { worktree: Some(cwd.clone()), ..Layout::main(&dits) }
            }
            None => Layout::discover(&cwd)?,
        };
        if let Some(top) = self.globals.work_tree.as_ref().or(self.env.work_tree.as_ref()) {
            layout.worktree = Some(std::fs::canonicalize(cwd.join(top)).at("open the worktree", top)?);
        }
        Ok(layout)
    }

    /// Opens the repository that the user is in, or that was named.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn open(&self) -> Result<Opened, CliError> {
        let cwd = std::fs::canonicalize(&self.cwd).at("look at", &self.cwd)?;
        let layout = self.layout()?;
        let repo = Repository::open(layout, &self.environment()?)?;
        let place = repo.layout().worktree.as_ref().and_then(|root| {
            let prefix = cwd.strip_prefix(root).ok()?.as_os_str().as_bytes().to_vec();
            Some(Place { root: root.clone(), prefix })
        });
        Ok(Opened { repo, place })
    }
}

impl Opened {
    /// A repository with the user at its top.
    #[must_use]
    pub fn whole(repo: Repository) -> Self {
        let place = repo.layout().worktree.clone().map(|root| Place { root, prefix: Vec::new() });
        Self { repo, place }
    }

    /// The current folder inside the worktree.
    ///
    /// # Errors
    /// When there is no worktree, or the user is outside of it.
    pub fn place(&self) -> Result<&Place, CliError> {
        self.repo.worktree()?;
        self.place.as_ref().ok_or_else(|| CliError::usage("the current folder is outside of the worktree"))
    }

    /// The files that paths and patterns on the command line select; without any, all.
    ///
    /// # Errors
    /// When one leads out of the repository or cannot be read.
    pub fn select(&self, given: &[OsString]) -> Result<Pathspecs, CliError> {
        let top = Place { root: self.repo.layout().common.clone(), prefix: Vec::new() };
        Pathspecs::parse(given, self.place.as_ref().unwrap_or(&top))
    }

    /// A path as the user sees it: relative to the current folder, odd characters quoted.
    #[must_use]
    pub fn show(&self, path: &RepoPath) -> String {
        quote_text(&self.relative_to_here(path.as_bytes()))
    }

    /// A path's bytes, perhaps with a slash at the end, as seen from the current folder.
    #[must_use]
    pub fn relative_to_here(&self, path: &[u8]) -> Vec<u8> {
        let prefix = self.place.as_ref().map_or(&[][..], |place| &place.prefix);
        let mut shown = relative_to(prefix, path);
        if path.ends_with(b"/") && !shown.ends_with(b"/") {
            shown.push(b'/');
        }
        shown
    }

    /// Who does something now, by the repository's settings too.
    ///
    /// # Errors
    /// When that is not known.
    pub fn signature(&self, cx: &Context, role: Role) -> Result<Signature, CliError> {
        let env = match role {
            Role::Author => &cx.env.author,
            Role::Committer => &cx.env.committer,
        };
        Identity::find(role, env, self.repo.config(), cx.now()?)?.signature()
    }

    /// Who moves refs, for the reflog: nobody has to have a name for that.
    ///
    /// # Errors
    /// When `DITS_NOW` is no date.
    pub fn who(&self, cx: &Context) -> Result<Signature, CliError> {
        match self.signature(cx, Role::Committer) {
            Ok(signature) => Ok(signature),
            Err(_) => {
                let now = cx.now()?;
                Ok(Signature { name: "unknown".into(), email: String::new(), time: now.seconds, offset: now.offset })
            }
        }
    }
}

impl Identity {
    /// The form that commits record.
    ///
    /// # Errors
    /// When a part cannot be recorded.
    pub fn signature(self) -> Result<Signature, CliError> {
        let made = Signature::new(&self.name, &self.email, self.when.seconds, self.when.offset);
        made.map_err(|error| CliError::usage(error.to_string()))
    }
}

impl Selection for Pathspecs {
    fn includes(&self, path: &RepoPath) -> bool {
        self.matches(path, false)
    }

    fn enters(&self, folder: &RepoPath) -> bool {
        self.may_match_below(folder)
    }
}
