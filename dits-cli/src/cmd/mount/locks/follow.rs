//! What changes while a mount lives: locks at the server, what other commands write down here, and rules in the drive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dits_core::attributes::ATTRIBUTES_FILE;
use dits_core::index::Stage;
use dits_core::lock::{LocalLocks, LockKey, local};
use dits_core::lockfile::FileLock;
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_core::repo::RepoError;
use dits_fuse::drive::Drive;
use dits_fuse::locks::{Hold, RulesFiles};

use super::Inner;
use super::known::{Known, Look, look, now};
use crate::error::CliError;
use crate::locking::take::PATIENCE;
use crate::locking::{desk, table};

/// How often it is looked whether anything has changed on this machine.
const LOOK: Duration = Duration::from_millis(500);
/// How long is waited after a conversation with the server has ended, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long a file of rules may take to come from a remote.
const RULES: Duration = Duration::from_secs(10);

/// Starts the threads.
pub(super) fn begin(inner: &Arc<Inner>) {
    let start = |name: &str, work: fn(&Arc<Inner>)| {
        let inner = Arc::clone(inner);
        // Without it what is known gets old, as it does in a worktree.
        let _ = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&inner));
    };
    start("locks here", Inner::keep_up);
    if !inner.offline {
        start("locks there", Inner::listen);
    }
}

/// Where files of rules were when they were last read.
#[derive(Default)]
pub(super) struct Rules {
    /// Folders that have one in the staging area.
    folders: BTreeSet<Option<RepoPath>>,
    index: Option<Look>,
    drive: Option<(u64, u64)>,
}

impl Inner {
    /// Takes in what has changed on this machine, and has the kernel ask again about files that are shown differently now.
    fn keep_up(self: &Arc<Self>) {
        let (mut rules, mut listed) = (Rules::default(), BTreeMap::new());
        loop {
            let Some(drive) = self.drive.get().and_then(std::sync::Weak::upgrade) else { return };
            self.look_again();
            let all = self.learn_rules(&drive, &mut rules);
            let before = std::mem::replace(&mut listed, self.known().listed());
            self.remind(&drive, &before, &listed, all);
            drop(drive);
            let (changed, wake) = &self.changed;
            let guard = changed.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = wake.wait_timeout_while(guard, LOOK, |changed| !*changed);
            *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
        }
    }

    fn remind(
        &self,
        drive: &Drive,
        before: &BTreeMap<LockKey, (RepoPath, Hold)>,
        after: &BTreeMap<LockKey, (RepoPath, Hold)>,
        all: bool,
    ) {
        let Some(reminder) = self.reminder.get() else { return };
        if all {
            return drive.each_in_memory(&mut |ino| reminder.attributes_changed(ino));
        }
        let differs = |(key, (path, hold)): (&LockKey, &(RepoPath, Hold)),
                       other: &BTreeMap<LockKey, (RepoPath, Hold)>| {
            (other.get(key).map(|(_, hold)| *hold) != Some(*hold)).then(|| path.clone())
        };
        let gone = before.iter().filter_map(|one| differs(one, after));
        for path in after.iter().filter_map(|one| differs(one, before)).chain(gone) {
            if let Ok(Some(ino)) = drive.at_path(&path, dits_fuse::Reach::Disk) {
                reminder.attributes_changed(ino);
            }
        }
    }

    /// Reads the rules again if they may have changed; whether they have.
    pub(super) fn learn_rules(&self, drive: &Arc<Drive>, last: &mut Rules) -> bool {
        let (index, stamp) = (look(&self.repo.layout().private.join("index")), RulesFiles::stamp(drive));
        if last.index == index && last.drive == Some(stamp) && self.known().is_of(&self.repo) {
            return false;
        }
        if last.index != index || last.drive.is_none() {
            match self.folders_with_rules() {
                Ok(folders) => last.folders = folders,
                Err(error) => crate::error::print_warning(&format!("rules of locks: {}", error.message), false),
            }
        }
        (last.index, last.drive) = (index, Some(stamp));
        let files = RulesFiles::read(drive, ATTRIBUTES_FILE, &last.folders, RULES);
        if files == self.known().rules_files() && self.known().is_of(&self.repo) {
            return false;
        }
        match Known::load(&self.repo, files) {
            Ok(known) => {
                self.set_known(known);
                true
            }
            Err(error) => {
                crate::error::print_warning(&format!("rules of locks: {}", error.message), false);
                false
            }
        }
    }

    fn folders_with_rules(&self) -> Result<BTreeSet<Option<RepoPath>>, CliError> {
        let index = self.repo.index()?;
        let staged = index.entries().filter(|entry| entry.stage == Stage::Normal).map(|entry| entry.repo_path());
        Ok(staged.filter(|path| path.name() == ATTRIBUTES_FILE.as_bytes()).map(|path| path.parent()).collect())
    }

    /// Hears from the server what changes, as long as the process lives.
    fn listen(self: &Arc<Self>) {
        let (first, longest) = PAUSE;
        let mut pause = first;
        loop {
            let mut heard = false;
            // Who is not let in, or whom nobody answers, tries again later; until then what is known gets old.
            let _ = self.converse(&mut heard);
            pause = if heard { first } else { (pause * 2).min(longest) };
            std::thread::sleep(pause);
        }
    }

    /// Asks for changes until the conversation breaks off.
    fn converse(&self, heard: &mut bool) -> Result<(), CliError> {
        let (cx, opened) = self.open()?;
        let (repo, remote) = (&opened.repo, desk::remote(&opened.repo)?);
        let (common, name) = (&repo.layout().common, &remote.name);
        let mut failed: Option<CliError> = None;
        let mut held: Option<FileLock> = None;
        let talked = desk::peer(&opened, &cx, &remote)?.talk(&Silent, |client, progress| {
            // Where nobody has ever locked anything nothing is written down.
            let mut unkept = LocalLocks::default();
            let mut wait = 0;
            loop {
                let kept = LocalLocks::load(common, name).unwrap_or_default();
                let known = if kept.seen.is_some() { &kept } else { &unkept };
                let news = table::ask(client, known, wait, now().unwrap_or_default(), progress)?;
                (*heard, wait) = (true, PATIENCE);
                let nothing = kept == LocalLocks::default() && news.locks.is_empty();
                if nothing {
                    unkept.take(news);
                    continue;
                }
                if kept.seen.is_none() && news.since.is_some() {
                    // What is written down must be all that there is.
                    (unkept, wait) = (LocalLocks::default(), 0);
                    continue;
                }
                let taken = table::take(repo, name, news).map(drop).map_err(CliError::from);
                if let Err(error) = taken.and_then(|()| follower(&mut held, common, name)) {
                    failed = Some(error);
                    return Ok(());
                }
                self.look_again();
            }
        });
        drop(held);
        failed.map_or_else(|| talked.map(drop), Err)
    }
}

/// Says to other commands that what is known here is what there is; where another process says so already, that is enough.
fn follower(held: &mut Option<FileLock>, common: &std::path::Path, remote: &str) -> Result<(), CliError> {
    use dits_core::lockfile::LockError;
    if held.is_none() {
        match FileLock::acquire(&local::follower(common, remote), Duration::ZERO) {
            Err(LockError::Busy { .. }) => {}
            lock => *held = Some(lock.map_err(RepoError::from)?),
        }
    }
    Ok(())
}
