//! Where locks are asked for: a remote, seen from one worktree of one clone.

use dits_core::lock::{CloneId, Holder, LocalLocks, MAX_NAME, Rules, clone};
use dits_core::path::RepoPath;
use dits_core::record::RecordError;
use dits_core::refs::RefName;
use dits_core::remote::Remote;
use dits_core::repo::{RepoError, Repository};
use dits_sync::client::Place;

use super::base::Base;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes;
use crate::repository::Opened;
use crate::sharing::peer::{Peer, Surroundings, default_remote};

/// The remote that holds the locks, and who asks it.
pub struct Desk<'a> {
    /// The run.
    pub cx: &'a Context,
    /// The repository.
    pub opened: &'a Opened,
    /// The way to the remote.
    pub peer: Peer,
    /// The remote.
    pub remote: Remote,
    /// This clone, as it is told to the server.
    pub place: Place,
    /// Now, in seconds since 1970.
    pub now: i64,
}

impl<'a> Desk<'a> {
    /// The one that `lock.remote` names, else the one that the branch follows, else the only one, else `origin`.
    ///
    /// # Errors
    /// When there is none, or it makes no sense.
    pub fn open(opened: &'a Opened, cx: &'a Context) -> Result<Self, CliError> {
        let repo = &opened.repo;
        let remote = remote(repo)?;
        let peer = peer(opened, cx, &remote)?;
        Ok(Self { cx, opened, peer, remote, place: place(repo)?, now: cx.now()?.seconds })
    }

    /// What this clone knows of the locks there. Damage is told.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn state(&self) -> Result<LocalLocks, CliError> {
        state(&self.opened.repo, &self.remote.name, self.cx)
    }

    /// Changes what this clone knows. Damage is told.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn change<T>(&self, change: impl FnOnce(&mut LocalLocks) -> T) -> Result<T, CliError> {
        let common = &self.opened.repo.layout().common;
        let (answer, damage) = LocalLocks::change(common, &self.remote.name, change)?;
        if let Some(damage) = damage {
            tell_damage(&damage, self.cx);
        }
        Ok(answer)
    }

    /// What the versions of files are compared with.
    ///
    /// # Errors
    /// When refs or history cannot be read.
    pub fn base(&self) -> Result<Base, CliError> {
        Ok(Base::of(&self.opened.repo, &self.remote)?)
    }

    /// The rules of files.
    ///
    /// # Errors
    /// When `.ditsattributes` says something that makes no sense.
    pub fn rules(&self, paths: &[RepoPath]) -> Result<Vec<Rules>, CliError> {
        let dirs = self.opened.repo.work_dirs()?;
        let lookup = self.opened.repo.attributes(&dirs)?;
        let of = |path: &RepoPath| -> Result<Rules, RepoError> { Ok(Rules::of(&lookup.attributes_of(path)?)?) };
        paths.iter().map(|path| of(path).map_err(CliError::from)).collect()
    }

    /// This clone as the holder of a lock; `you` is its account's name as the server knows it.
    #[must_use]
    pub fn holder(&self, you: &str) -> Holder {
        let Place { clone, host, folder } = self.place.clone();
        Holder { name: you.to_owned(), clone, host, folder }
    }

    /// The branch of the server that `--branch` means; an empty name is the one that is worked on.
    ///
    /// # Errors
    /// When it cannot be a branch, or there is none to mean.
    pub fn branch(&self, given: &str) -> Result<RefName, CliError> {
        if !given.is_empty() {
            return Ok(RefName::branch(given).map_err(RepoError::from)?);
        }
        let head = self.opened.repo.head()?;
        let none = || CliError::usage("you are not on a branch; name one: --branch=NAME");
        self.base()?.upstream.or_else(|| head.branch().cloned()).ok_or_else(none)
    }
}

/// The remote that holds the locks.
///
/// # Errors
/// When there is none.
pub fn remote(repo: &Repository) -> Result<Remote, CliError> {
    if let Some(name) = repo.config().get_str("lock.remote")? {
        return remotes::named(repo, &name);
    }
    if Remote::names(repo.config()).is_empty() {
        let message = "this repository has no remote, and it is the server that holds locks";
        return Err(CliError::usage(message).hint("dits remote add origin URL"));
    }
    default_remote(repo, "lock")
}

/// The way to a remote.
///
/// # Errors
/// When there is none.
pub fn peer(opened: &Opened, cx: &Context, remote: &Remote) -> Result<Peer, CliError> {
    let repo = &opened.repo;
    let around = Surroundings { cx, config: repo.config(), repo: Some(repo), who: opened.who(cx)?, limit: None };
    Peer::named(&around, remote.clone(), true)
}

/// This clone as it describes itself.
///
/// # Errors
/// When it has no id yet and cannot be given one.
pub fn place(repo: &Repository) -> Result<Place, RepoError> {
    Ok(place_of(repo, clone::of(&repo.layout().common)?))
}

/// The same for a clone whose id is known.
#[must_use]
pub fn place_of(repo: &Repository, clone: CloneId) -> Place {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let layout = repo.layout();
    let folder = layout.worktree.as_ref().unwrap_or(&layout.common).to_string_lossy().into_owned();
    Place { clone, host: cut(host), folder: cut(folder) }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_NAME));
    text
}

/// What this clone knows of a remote's locks. Damage is told.
///
/// # Errors
/// When it cannot be read.
pub fn state(repo: &Repository, remote: &str, cx: &Context) -> Result<LocalLocks, CliError> {
    match LocalLocks::load(&repo.layout().common, remote) {
        Err(damage @ RecordError::Corrupt { .. }) => {
            tell_damage(&damage, cx);
            Ok(LocalLocks::default())
        }
        Err(error) => Err(RepoError::from(error).into()),
        Ok(state) => Ok(state),
    }
}

/// Says what is lost with a file of locks.
pub fn tell_damage(damage: &RecordError, cx: &Context) {
    cx.warn(format!(
        "{damage}: it is made anew, but what was made editable with `dits edit --offline` is not known any more; locks are \
         not lost, `dits locks --mine` lists them"
    ));
}

/// A lock that cannot be had, as an error without hints.
#[must_use]
pub fn refused(message: impl Into<String>) -> CliError {
    CliError::new(Exit::Lock, message)
}
