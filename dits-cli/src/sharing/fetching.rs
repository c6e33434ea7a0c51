//! Bringing refs with all they reach: what `fetch`, `pull` and `clone` do first.

use std::cell::RefCell;
use std::collections::HashSet;

use dits_core::lock::local::News;
use dits_core::object::{CommitId, Digest, ObjectKind};
use dits_core::progress::Progress;
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::remote::{Refspec, Remote};
use dits_core::repo::{RepoError, Repository};
use dits_core::signature::Signature;
use dits_core::store::{Store, WriterGuard};
use dits_sync::SyncError;
use dits_sync::client::{Client, FetchRequest, FetchStats, Listing};

use super::amounts::Amounts;
use super::arrivals::{self, Plan, Tags};
use super::filter::Filter;
use super::lines::Moved;
use super::peer::Peer;
use super::seen;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::table;

/// What is to be brought.
pub struct Job<'a> {
    /// Into which repository.
    pub repo: &'a Repository,
    /// From where.
    pub peer: &'a Peer,
    /// What was named; without any, what the remote is set up to bring.
    pub specs: &'a [Refspec],
    /// Which tags.
    pub tags: Tags,
    /// Whether to forget what is gone there.
    pub prune: bool,
    /// Also where that loses commits here.
    pub force: bool,
    /// How many commits deep; 0 leaves the edges of history where they are.
    pub depth: u32,
    /// Which content comes by itself.
    pub filter: Filter,
    /// Stores on this machine to take chunks from.
    pub alternates: Vec<Store>,
    /// Changes nothing.
    pub dry_run: bool,
    /// Who moves refs.
    pub who: Signature,
    /// What the log says, before `: fast-forward`.
    pub log: String,
}

/// What was brought.
pub struct Brought {
    /// What was to come.
    pub plan: Plan,
    /// What became of refs.
    pub moves: Vec<Moved>,
    /// How much was carried.
    pub amounts: Amounts,
}

/// What is here and refers to nothing yet.
struct Arrived {
    plan: Plan,
    stats: FetchStats,
    /// Where history ends from now on, and where it ended before.
    shallow: Vec<CommitId>,
    lifted: Vec<CommitId>,
    transferred: bool,
    /// Whether the remote lacks content on purpose: then it promises none.
    partial: bool,
    /// Dropped when refs have moved.
    guard: Option<WriterGuard>,
    /// What was heard of locks.
    locks: Option<News>,
}

/// Whether branches that are gone there are forgotten, by the settings.
///
/// # Errors
/// When a setting makes no sense.
pub fn prunes(repo: &Repository, remote: Option<&Remote>) -> Result<bool, CliError> {
    let own = match remote {
        Some(remote) => repo.config().get_bool(&format!("remote.{}.prune", remote.name))?,
        None => None,
    };
    Ok(own.or(repo.config().get_bool("fetch.prune")?).unwrap_or(false))
}

/// Which content a remote's fetches bring by themselves: what it was cloned with.
///
/// # Errors
/// When the setting makes no sense.
pub fn filter_of(repo: &Repository, remote: Option<&Remote>) -> Result<Filter, CliError> {
    let Some(remote) = remote else { return Ok(Filter::All) };
    let key = format!("remote.{}.partialCloneFilter", remote.name);
    let text = repo.config().get_str(&key)?;
    let bad = |why| CliError::usage(format!("{key} makes no sense: {why}"));
    text.map_or(Ok(Filter::All), |text| Filter::parse(&text).map_err(bad))
}

impl Job<'_> {
    /// Brings it, and moves refs.
    ///
    /// # Errors
    /// When the remote cannot be reached, does not have what was named, or something cannot be read or written. What has
    /// arrived by then is kept.
    pub fn carry_out(&self, progress: &dyn Progress) -> Result<Brought, CliError> {
        // An error about what was asked for is none of the conversation.
        let refused: RefCell<Option<CliError>> = RefCell::default();
        let talked = self.peer.talk(progress, |client, progress| {
            let listing = seen::listing(self.repo, self.peer, client, progress)?;
            let partial = client.welcome(progress)?.partial;
            match self.may_leave_out(partial).and_then(|()| self.plan(&listing)) {
                Ok(plan) => {
                    let mut arrived = self.receive(client, progress, plan)?;
                    // Where pushes go elsewhere, so do locks.
                    let asked = self.peer.remote.as_ref().filter(|remote| !self.dry_run && remote.push_url.is_none());
                    if let Some(remote) = asked {
                        let now = self.who.time;
                        arrived.locks = table::by_the_way(self.repo, &remote.name, client, now, progress);
                    }
                    Ok(Some(arrived))
                }
                Err(error) => {
                    *refused.borrow_mut() = Some(error);
                    Ok(None)
                }
            }
        });
        if let Some(error) = refused.take() {
            return Err(error);
        }
        let (arrived, carried) = talked?;
        let arrived = arrived.ok_or_else(|| CliError::usage("the remote answered nothing"))?;
        let moves = self.take_in(&arrived)?;
        let Arrived { plan, stats, guard, locks, .. } = arrived;
        drop(guard);
        if let (Some(remote), Some(news)) = (&self.peer.remote, locks) {
            // Damage of what was known is told by the commands that are about locks.
            table::take(self.repo, &remote.name, news)?;
        }
        Ok(Brought { plan, moves, amounts: Amounts::fetched(&stats, carried, self.dry_run) })
    }

    /// Only who has everything can promise to keep what is left out here.
    fn may_leave_out(&self, partial: bool) -> Result<(), CliError> {
        if !partial || self.filter == Filter::All {
            return Ok(());
        }
        let text = "the remote itself lacks content on purpose, and cannot promise what would be left out here";
        Err(CliError::new(Exit::Conflict, text)
            .hint("bring it from a remote that has everything, or leave nothing out"))
    }

    fn plan(&self, listing: &Listing) -> Result<Plan, CliError> {
        arrivals::plan(&arrivals::Request {
            repo: self.repo,
            remote: self.peer.remote.as_ref(),
            listing,
            specs: self.specs,
            tags: self.tags,
            prune: self.prune,
            force: self.force,
        })
    }

    fn receive(&self, client: &mut Client<'_>, progress: &dyn Progress, plan: Plan) -> Result<Arrived, SyncError> {
        let wants = self.missing(plan.wants())?;
        let mut arrived = Arrived {
            plan,
            stats: FetchStats::default(),
            shallow: Vec::new(),
            lifted: Vec::new(),
            transferred: false,
            partial: false,
            guard: None,
            locks: None,
        };
        if wants.is_empty() {
            return Ok(arrived);
        }
        arrived.partial = client.welcome(progress)?.partial;
        let request = FetchRequest {
            wants,
            likely: self.likely()?,
            filter: self.filter.content(),
            depth: self.depth,
            shallow: self.repo.shallow().map_err(SyncError::Repo)?.iter().collect(),
            alternates: self.alternates.clone(),
            dry_run: self.dry_run,
        };
        let fetched = client.fetch(self.repo, request, progress)?;
        arrived.stats = fetched.received;
        arrived.shallow = fetched.shallow;
        arrived.lifted = fetched.lifted;
        arrived.guard = fetched.guard;
        arrived.transferred = true;
        Ok(arrived)
    }

    /// What no ref here names: whatever one names is here with all it reaches, unless history is to become deeper.
    fn missing(&self, wants: Vec<Digest>) -> Result<Vec<Digest>, SyncError> {
        if self.depth != 0 {
            return Ok(wants);
        }
        let refs = self.repo.refs().list("refs/")?.into_iter();
        let named: HashSet<Digest> = refs.filter_map(|(_, target)| commit_of(&target)).map(|id| *id.digest()).collect();
        Ok(wants.into_iter().filter(|id| !named.contains(id)).collect())
    }

    /// What was last seen of this remote.
    fn likely(&self) -> Result<Vec<CommitId>, SyncError> {
        let Some(remote) = &self.peer.remote else { return Ok(Vec::new()) };
        let seen = self.repo.refs().list(&Remote::space(&remote.name))?.into_iter();
        Ok(seen.filter_map(|(_, target)| commit_of(&target)).collect())
    }

    /// Records what is lacking on purpose, and then moves refs.
    fn take_in(&self, arrived: &Arrived) -> Result<Vec<Moved>, CliError> {
        let (moves, mut edits) = arrived.plan.settle(self.repo, &self.who, &self.log)?;
        if self.dry_run {
            return Ok(moves);
        }
        if arrived.transferred {
            self.repo.move_edges(&arrived.shallow, &arrived.lifted)?;
            if !arrived.partial {
                self.record_promises(&arrived.plan)?;
            }
        }
        edits.extend(self.fetch_head(&arrived.plan)?);
        self.repo.refs().transaction(edits).map_err(RepoError::from)?;
        Ok(moves)
    }

    /// What was left out now, or may have been before, is promised by the remote.
    fn record_promises(&self, plan: &Plan) -> Result<(), CliError> {
        let Some(remote) = &self.peer.remote else { return Ok(()) };
        if self.filter == Filter::All && self.repo.promises()?.is_empty() {
            return Ok(());
        }
        let mut commits = Vec::new();
        for id in plan.wants() {
            let info = self.repo.store().meta.info(&id)?;
            commits.extend(info.filter(|info| info.kind == ObjectKind::Commit).map(|_| CommitId::from_digest(id)));
            if info.is_some_and(|info| info.kind == ObjectKind::Tag) {
                commits.extend(self.repo.resolve_commit(&id.to_string()));
            }
        }
        self.repo.record_promises(&remote.name, &commits)?;
        Ok(())
    }

    /// What was named last is to be found as `FETCH_HEAD`.
    fn fetch_head(&self, plan: &Plan) -> Result<Option<RefEdit>, CliError> {
        let Some(first) = plan.arrivals.iter().find(|arrival| arrival.named) else { return Ok(None) };
        let name = RefName::parse("FETCH_HEAD").map_err(RepoError::from)?;
        Ok(Some(RefEdit::set(name, Expected::Any, Target::Id(first.id))))
    }
}

fn commit_of(target: &Target) -> Option<CommitId> {
    match target {
        Target::Id(id) => Some(CommitId::from_digest(*id)),
        Target::Symbolic(_) => None,
    }
}
