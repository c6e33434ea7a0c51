//! What a push has to do with locks: it shows the tokens of this clone, and hears which locks it has released.

use dits_core::lock::local::News;
use dits_core::progress::Progress;
use dits_sync::SyncError;
use dits_sync::client::{Client, Listing, PushRequest, PushedRefs, UpdateOutcome};

use crate::context::Context;
use crate::date::Moment;
use crate::error::CliError;
use crate::locking::desk::tell_damage;
use crate::locking::refusal::Teller;
use crate::locking::table;
use crate::locking::tokens::{self, Shown};
use crate::repository::Opened;
use crate::sharing::peer::Peer;

/// The locks of this clone on a remote. A place without a name here has none.
pub struct Locks<'a> {
    opened: &'a Opened,
    cx: &'a Context,
    shown: Option<Shown<'a>>,
    remote: String,
    now: Moment,
    news: Option<News>,
}

impl<'a> Locks<'a> {
    /// What this clone has there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(opened: &'a Opened, peer: &'a Peer, cx: &'a Context) -> Result<Self, CliError> {
        let shown = peer.remote.as_ref().map(|remote| Shown::new(&opened.repo, remote)).transpose()?;
        let remote = peer.remote.as_ref().map_or_else(|| peer.shown(), |remote| remote.name.clone());
        Ok(Self { opened, cx, shown, remote, now: cx.now()?, news: None })
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
            let moves = request.updates.iter().map(|update| (&update.name, update.old, update.new));
            // What cannot be locked the server refuses, with its reason.
            shown.lock_offline(client, &tokens::commits(repo, moves), progress)?;
        }
        let mut request = PushRequest { tokens: shown.tokens(), ..request.clone() };
        let mut pushed = client.push(repo, &request, listing, progress)?;
        if !request.dry_run && shown.renew(client, &pushed.outcomes, progress)? {
            request.tokens = shown.tokens();
            pushed = again(client, repo, request, listing, pushed, progress)?;
        }
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
        shown.record()?;
        let Some(news) = self.news.take() else { return Ok(()) };
        if let Some(damage) = table::take(&self.opened.repo, &self.remote, news)? {
            tell_damage(&damage, self.cx);
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
    repo: &dits_core::repo::Repository,
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
