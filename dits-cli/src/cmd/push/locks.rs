//! What a push has to do with locks: it shows the tokens of this clone, and hears which locks it has released.

use dits_core::lock::Standing;
use dits_core::lock::local::News;
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::repo::Repository;
use dits_sync::SyncError;
use dits_sync::client::{Client, Listing, PushRequest, PushedRefs, Update, UpdateOutcome};

use crate::context::Context;
use crate::date::Moment;
use crate::error::CliError;
use crate::locking::desk::{self, tell_damage};
use crate::locking::refusal::Teller;
use crate::locking::table;
use crate::locking::tokens::{self, Shown};
use crate::repository::Opened;
use crate::sharing::peer::Peer;

/// How often locks are asked for again in one push.
const RENEWALS: usize = 100;

/// The locks of this clone on a remote. A place without a name here has none.
pub struct Locks<'a> {
    opened: &'a Opened,
    cx: &'a Context,
    shown: Option<Shown<'a>>,
    remote: String,
    now: Moment,
    /// What was heard of locks after the push.
    news: Option<News>,
    /// Files of this clone's locks that the push changed.
    used: Vec<RepoPath>,
    /// All files that it changed.
    changed: Vec<RepoPath>,
}

impl<'a> Locks<'a> {
    /// What this clone has there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(opened: &'a Opened, peer: &'a Peer, cx: &'a Context) -> Result<Self, CliError> {
        let shown = peer.remote.as_ref().map(|remote| Shown::new(&opened.repo, remote, cx)).transpose()?;
        let remote = peer.remote.as_ref().map_or_else(|| peer.shown(), |remote| remote.name.clone());
        Ok(Self { opened, cx, shown, remote, now: cx.now()?, news: None, used: Vec::new(), changed: Vec::new() })
    }

    /// Pushes with the tokens. What was edited offline is locked first; a lock whose token is out of date is asked for once
    /// more, and then pushed once more.
    ///
    /// # Errors
    /// Those of the push.
    pub fn push(
        &mut self,
        client: &mut Client<'_>,
        request: &PushRequest,
        listing: &Listing,
        progress: &dyn Progress,
    ) -> Result<PushedRefs, SyncError> {
        let repo = &self.opened.repo;
        let Some(shown) = &mut self.shown else { return client.push(repo, request, listing, progress) };
        if !request.dry_run {
            // What cannot be locked the server refuses, with its reason.
            let moves = tokens::commits(repo, &request.updates.iter().collect::<Vec<_>>());
            shown.lock_offline(client, &moves, progress)?;
        }
        let all = request.updates.clone();
        let mut request = PushRequest { tokens: shown.tokens(), ..request.clone() };
        let mut pushed = client.push(repo, &request, listing, progress)?;
        // A refusal names only so many files at once.
        for _ in 0..RENEWALS {
            if request.dry_run || !shown.renew(client, &pushed.outcomes, progress)? {
                break;
            }
            request.tokens = shown.tokens();
            pushed = again(client, repo, request.clone(), listing, pushed, progress)?;
        }
        if request.dry_run {
            return Ok(pushed);
        }
        let done = all.iter().zip(&pushed.outcomes).filter(|(_, outcome)| **outcome == UpdateOutcome::Done);
        let moves = tokens::commits(repo, &done.map(|(update, _)| update).collect::<Vec<&Update>>());
        (self.used, self.changed) = (shown.used(&moves, listing)?, tokens::changed(repo, &moves)?);
        if shown.place.is_some() {
            self.news = table::by_the_way(repo, &self.remote, client, self.now.seconds, progress);
        }
        Ok(pushed)
    }

    /// Keeps the tokens that were given, and what was heard of locks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&mut self) -> Result<(), CliError> {
        let Some(shown) = &self.shown else { return Ok(()) };
        let mut heard = None;
        if let Some(news) = self.news.take() {
            if let Some(damage) = table::take(&self.opened.repo, &self.remote, news)? {
                tell_damage(&damage, self.cx);
            }
            heard = Some(desk::state(&self.opened.repo, &self.remote, self.cx)?);
        }
        if let Some(damage) = shown.record(&self.used, heard.as_ref())? {
            tell_damage(&damage, self.cx);
        }
        let us = shown.place.as_ref().map(|place| place.clone);
        let stands = |path: &RepoPath| {
            let standing = heard.as_ref().map(|heard| heard.standing(path, us, None, None));
            matches!(standing, Some(Standing::Ours(_)))
        };
        for path in self.used.iter().filter(|path| shown.going_on.contains(path) && stands(path)) {
            let path = self.opened.show(path);
            self.cx.note(format!("{path} has further changes that are not committed: it stays locked"));
        }
        // Files that are new were writable until now.
        if !self.changed.is_empty()
            && let Err(error) = self.opened.repo.protect_files(&self.changed)
        {
            // The push itself is done.
            self.cx.warn(format!("files could not be made read-only: {error}"));
        }
        Ok(())
    }

    /// What is said of refusals.
    #[must_use]
    pub fn teller(&self) -> Teller<'_> {
        let shown = self.shown.as_ref();
        let us = shown.and_then(|shown| shown.place.as_ref()).map(|place| place.clone);
        let you = shown.and_then(|shown| shown.state.seen.as_ref()).map_or("", |seen| &seen.you);
        Teller { opened: self.opened, remote: &self.remote, us, you, now: self.now, push: true }
    }
}

/// Pushes what locks stood against once more.
fn again(
    client: &mut Client<'_>,
    repo: &Repository,
    mut request: PushRequest,
    listing: &Listing,
    mut first: PushedRefs,
    progress: &dyn Progress,
) -> Result<PushedRefs, SyncError> {
    let stood: Vec<usize> =
        (0..first.outcomes.len()).filter(|at| matches!(first.outcomes[*at], UpdateOutcome::Locked(_))).collect();
    request.updates = stood.iter().map(|at| request.updates[*at].clone()).collect();
    let second = client.push(repo, &request, listing, progress)?;
    for (at, outcome) in stood.into_iter().zip(second.outcomes) {
        first.outcomes[at] = outcome;
    }
    first.text.push_str(&second.text);
    first.sent.add(&second.sent);
    Ok(first)
}
