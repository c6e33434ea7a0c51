//! Locking files: one round trip for any number of them.

use dits_core::lock::local::News;
use dits_core::lock::{Fence, LocalLocks, Lock, LockKind, Release, Rules};
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::refs::RefName;
use dits_sync::SyncError;
use dits_sync::client::{Ask, Client, LockOutcome, LockRefusal, LockRequest, MAX_LOCKS, UnlockRequest};

use super::desk::Desk;
use super::table;
use crate::date::Moment;
use crate::error::CliError;

/// How long one question for changes may take, in seconds.
pub const PATIENCE: u32 = 50;

/// What is to be locked, and how.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The files.
    pub paths: Vec<RepoPath>,
    /// Against whom.
    pub kind: LockKind,
    /// The branch that the locks are limited to.
    pub only: Option<RefName>,
    /// Why.
    pub reason: String,
    /// How many seconds the locks last.
    pub lease: Option<u32>,
    /// When the locks end by themselves, if that is known already; else the rules in the worktree say so.
    pub release: Option<Release>,
    /// Some rather than none.
    pub partial: bool,
    /// Waits until all are free.
    pub wait: bool,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Locked, with their tokens.
    pub locked: Vec<(RepoPath, Fence)>,
    /// Not locked, and why.
    pub refused: Vec<(RepoPath, LockRefusal)>,
    /// Not locked, as others could not be.
    pub not_done: Vec<RepoPath>,
    /// What was heard of the lock table.
    news: Option<News>,
}

impl Taken {
    /// Whether waiting may help: somebody has the rest.
    fn is_held(&self) -> bool {
        !self.refused.is_empty() && self.refused.iter().all(|(_, why)| matches!(why, LockRefusal::Held(_)))
    }
}

/// Locks, and lets the files be written.
///
/// # Errors
/// When the server cannot be reached. A lock that is refused is no error here.
pub fn lock(desk: &Desk<'_>, wish: &Wish, progress: &dyn Progress) -> Result<Taken, CliError> {
    let state = desk.state()?;
    let asked = Asked::new(desk, wish)?;
    let mut told = false;
    let (mut taken, _) = desk.peer.talk(progress, |client, progress| {
        let mut known = state.clone();
        loop {
            let mut taken = asked.try_once(client, &known, progress)?;
            if !wish.wait || !taken.is_held() {
                // What others have is asked for with the first lock, and heard of from then on.
                if known.seen.is_none() {
                    taken.news = Some(table::ask(client, &known, 0, desk.now, progress)?);
                }
                return Ok(taken);
            }
            if !std::mem::replace(&mut told, true) {
                tell_waiting(desk, &taken);
            }
            wait(client, &mut known, desk, &taken, progress)?;
        }
    })?;
    asked.record(desk, &mut taken)?;
    Ok(taken)
}

/// Waits until one of the locks that stand in the way changes, or a lease among them may have ended: nobody is told of that.
fn wait(
    client: &mut Client<'_>,
    known: &mut LocalLocks,
    desk: &Desk<'_>,
    taken: &Taken,
    progress: &dyn Progress,
) -> Result<(), SyncError> {
    let us = Some(desk.place.clone);
    let stands = |known: &LocalLocks| {
        let theirs = |path| matches!(known.standing(path, us, None, None), dits_core::lock::Standing::Theirs(_));
        taken.refused.iter().all(|(path, _)| theirs(path))
    };
    let mut news = table::ask(client, known, 0, desk.now, progress)?;
    loop {
        known.take(news);
        if !stands(known) {
            return Ok(());
        }
        let lease = taken.refused.iter().filter_map(|(_, why)| lease_left(why)).min();
        news = table::ask(client, known, lease.unwrap_or(PATIENCE), desk.now, progress)?;
        if lease.is_some() {
            return Ok(());
        }
    }
}

/// How many seconds until a lease ends, by the clock of this machine.
fn lease_left(refusal: &LockRefusal) -> Option<u32> {
    let LockRefusal::Held(lock) = refusal else { return None };
    let now = Moment::now(None).map_or(0, |now| now.seconds);
    let left = lock.expires?.saturating_sub(now).clamp(0, i64::from(PATIENCE) - 1);
    u32::try_from(left + 1).ok()
}

fn tell_waiting(desk: &Desk<'_>, taken: &Taken) {
    for (path, refusal) in &taken.refused {
        if let LockRefusal::Held(lock) = refusal {
            let path = desk.opened.show(path);
            desk.cx.note(format!("waiting: {path} is locked by {}; Ctrl-C gives up", lock.holder.name));
        }
    }
}

/// A request, prepared.
struct Asked<'a> {
    wish: &'a Wish,
    request: LockRequest,
}

impl<'a> Asked<'a> {
    fn new(desk: &Desk<'_>, wish: &'a Wish) -> Result<Self, CliError> {
        let base = desk.base()?;
        let rules: Vec<Release> = match wish.release {
            Some(release) => vec![release; wish.paths.len()],
            None => desk.rules(&wish.paths)?.iter().map(|rules: &Rules| rules.release).collect(),
        };
        let mut paths = Vec::with_capacity(wish.paths.len());
        for (path, release) in wish.paths.iter().zip(rules) {
            let versions = base.versions(&desk.opened.repo, path)?;
            paths.push(Ask { path: path.clone(), versions, release });
        }
        let request = LockRequest {
            place: desk.place.clone(),
            paths,
            kind: wish.kind,
            only: wish.only.clone(),
            upstream: base.upstream,
            reason: wish.reason.clone(),
            lease: wish.lease,
            all: !wish.partial,
        };
        Ok(Self { wish, request })
    }

    /// Asks for all of them, in pieces that fit a message. If all or none is wanted and a later piece is refused, what the
    /// earlier ones got is given back.
    fn try_once(
        &self,
        client: &mut Client<'_>,
        known: &LocalLocks,
        progress: &dyn Progress,
    ) -> Result<Taken, SyncError> {
        let mut taken = Taken::default();
        for piece in self.request.paths.chunks(MAX_LOCKS) {
            if !taken.refused.is_empty() && self.request.all {
                taken.not_done.extend(piece.iter().map(|ask| ask.path.clone()));
                continue;
            }
            let request = LockRequest { paths: piece.to_vec(), ..self.request.clone() };
            let outcomes = client.lock(request, progress)?;
            for (ask, outcome) in piece.iter().zip(outcomes) {
                match outcome {
                    LockOutcome::Locked(fence) => taken.locked.push((ask.path.clone(), fence)),
                    LockOutcome::Refused(why) => taken.refused.push((ask.path.clone(), why)),
                    LockOutcome::NotDone => taken.not_done.push(ask.path.clone()),
                }
            }
        }
        if self.request.all && !taken.refused.is_empty() && !taken.locked.is_empty() {
            self.give_back(client, known, &mut taken, progress)?;
        }
        Ok(taken)
    }

    /// Those that this clone had before stay.
    fn give_back(
        &self,
        client: &mut Client<'_>,
        known: &LocalLocks,
        taken: &mut Taken,
        progress: &dyn Progress,
    ) -> Result<(), SyncError> {
        let had = |path: &RepoPath| known.tokens.contains_key(&dits_core::lock::LockKey::of(path));
        let (kept, new): (Vec<_>, Vec<_>) =
            std::mem::take(&mut taken.locked).into_iter().partition(|(path, _)| had(path));
        let new: Vec<RepoPath> = new.into_iter().map(|(path, _)| path).collect();
        for paths in new.chunks(MAX_LOCKS) {
            let place = self.request.place.clone();
            client.unlock(UnlockRequest { place, paths: paths.to_vec(), force: false }, progress)?;
        }
        taken.locked = kept;
        taken.not_done.extend(new);
        Ok(())
    }

    /// Keeps the tokens, and lets the files be written.
    fn record(&self, desk: &Desk<'_>, taken: &mut Taken) -> Result<(), CliError> {
        let news = taken.news.take();
        if taken.locked.is_empty() && news.is_none() {
            return Ok(());
        }
        let release = |path: &RepoPath| {
            let ask = self.request.paths.iter().find(|ask| ask.path == *path);
            ask.map_or(Release::default(), |ask| ask.release)
        };
        let policies: Vec<Release> = taken.locked.iter().map(|(path, _)| release(path)).collect();
        desk.change(|state| {
            if let Some(news) = news {
                state.take(news);
            }
            let you = state.seen.as_ref().map(|seen| seen.you.clone()).unwrap_or_default();
            for ((path, fence), release) in taken.locked.iter().zip(policies) {
                state.obtained(Lock {
                    path: path.clone(),
                    holder: desk.holder(&you),
                    kind: self.wish.kind,
                    branch: self.wish.only.clone(),
                    reason: self.wish.reason.clone(),
                    since: desk.now,
                    expires: self.wish.lease.map(|lease| desk.now + i64::from(lease)),
                    fence: *fence,
                    release,
                    retained: None,
                });
            }
        })?;
        let locked: Vec<RepoPath> = taken.locked.iter().map(|(path, _)| path.clone()).collect();
        desk.opened.repo.protect_files(&locked)?;
        Ok(())
    }
}
