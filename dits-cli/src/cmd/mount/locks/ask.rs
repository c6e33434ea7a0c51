//! Locking and unlocking for programs that know nothing of it.

use std::sync::{Arc, mpsc};

use dits_core::commit::Commit;
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_core::repo::RepoError;
use dits_core::tree::{Content, Tree};
use dits_fuse::locks::Denied;

use super::Inner;
use crate::cmd::unlock::give_back;
use crate::error::CliError;
use crate::locking::desk::Desk;
use crate::locking::refusal::Teller;
use crate::locking::take::{self, Wish};

impl Inner {
    /// Locks a file. Whoever waits for it waits no longer than is allowed; a lock that comes later is kept all the same.
    pub(super) fn acquire(self: &Arc<Self>, path: &RepoPath, lease: Option<u32>) -> Result<(), Denied> {
        if self.offline {
            return Err(Denied::Away);
        }
        let (shared, wanted) = (Arc::clone(self), path.clone());
        match self.in_time(move || shared.lock(&wanted, lease)) {
            Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(Denied::Refused),
            Some(Err(error)) => {
                tell(&format!("`{path}` could not be locked: {}", error.message));
                Err(Denied::Away)
            }
            None => {
                tell(&format!("`{path}` could not be locked: the server did not answer in time"));
                Err(Denied::Away)
            }
        }
    }

    /// Unlocks a file, if nothing about it has changed; else the lock stays until the change is pushed.
    pub(super) fn release(self: &Arc<Self>, path: &RepoPath, content: Option<&Content>) {
        let unchanged = content.map_or(Ok(false), |content| self.is_unchanged(path, content));
        let (shared, wanted) = (Arc::clone(self), path.clone());
        let done = match unchanged {
            Ok(true) => self.in_time(move || shared.unlock(&wanted)),
            Ok(false) => self.in_time(move || shared.lock(&wanted, None).map(drop)),
            Err(error) => Some(Err(error)),
        };
        if let Some(Err(error)) = done {
            tell(&format!("the lock of `{path}` stays as it is: {}", error.message));
        }
    }

    /// Unlocks a file that was closed, if its rules say so and nothing about it has changed.
    pub(super) fn closed(self: &Arc<Self>, path: &RepoPath, content: &Content) {
        if self.offline || self.known().release(path) != dits_core::lock::Release::Close {
            return;
        }
        // What has changed stays as it is, without another question.
        if matches!(self.is_unchanged(path, content), Ok(true)) {
            self.release(path, Some(content));
        }
    }

    /// Has something done by a thread of its own, and waits for it as long as that is allowed.
    fn in_time<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (send, receive) = mpsc::channel();
        let thread = std::thread::Builder::new().name("lock".to_owned());
        thread.spawn(move || _ = send.send(work())).ok()?;
        receive.recv_timeout(self.patience).ok()
    }

    /// Whether this clone has the lock now.
    fn lock(&self, path: &RepoPath, lease: Option<u32>) -> Result<bool, CliError> {
        let (cx, opened) = self.open()?;
        let desk = Desk::open(&opened, &cx)?;
        let release = Some(self.known().release(path));
        let wish = Wish { paths: vec![path.clone()], lease, release, ..Wish::default() };
        let taken = take::lock(&desk, &wish, &Silent)?;
        self.look_again();
        for (path, why) in &taken.refused {
            let state = desk.state()?;
            let you = state.seen.as_ref().map_or("", |seen| &seen.you);
            let (remote, us) = (&desk.remote.name, Some(desk.place.clone));
            let teller = Teller { opened: &opened, remote, us, you, now: cx.now()?, push: false };
            tell(&teller.message(path, why));
        }
        Ok(!taken.locked.is_empty())
    }

    fn unlock(&self, path: &RepoPath) -> Result<(), CliError> {
        let (cx, opened) = self.open()?;
        let desk = Desk::open(&opened, &cx)?;
        give_back(&desk, std::slice::from_ref(path), false, &Silent)?;
        self.look_again();
        Ok(())
    }

    /// Whether a file is as it was committed, and as the server has it.
    fn is_unchanged(&self, path: &RepoPath, content: &Content) -> Result<bool, CliError> {
        let (cx, opened) = self.open()?;
        let repo = &opened.repo;
        let Some(head) = repo.head()?.commit() else { return Ok(false) };
        let tree = Commit::read(repo.store(), head).map_err(RepoError::from)?.tree;
        let committed = Tree::at_path(repo.store(), tree, path).map_err(RepoError::from)?;
        if committed.is_none_or(|entry| entry.content != *content) {
            return Ok(false);
        }
        Ok(!Desk::open(&opened, &cx)?.base()?.is_ahead(repo, path)?)
    }
}

/// Writes to the mount's log.
fn tell(text: &str) {
    crate::error::print_warning(text, false);
}
