//! Bringing what commits of the server have and this repository has not.

use std::collections::HashSet;

use dits_core::commit::Commit;
use dits_core::object::{CommitId, Digest, ObjectRead, TagId};
use dits_core::progress::Progress;
use dits_core::repo::Repository;
use dits_core::store::{Store, StoreWriter, WriterGuard};
use dits_core::tag::Tag;

use super::edges::Edges;
use super::haves::{Haves, tips};
use super::{Client, stored_new};
use crate::error::SyncError;
use crate::exchange::{self, Chunks, Receive, Received, Wanted};
use crate::held;
use crate::transfer::{ContentFilter, Violation};
use crate::wire::{ErrorCode, Fetch, MAX_SHALLOW, MAX_WANTS, Message, Start};

/// What to fetch.
#[derive(Default)]
pub struct FetchRequest {
    /// What the server's listing names: commits and tags.
    pub wants: Vec<Digest>,
    /// Commits that the server is likely to know: what was last seen of it.
    pub likely: Vec<CommitId>,
    /// Which content comes.
    pub filter: ContentFilter,
    /// How many commits deep: 0 leaves the edges of this repository's history where they are, `UNLIMITED_DEPTH` removes
    /// them.
    pub depth: u32,
    /// Commits of this repository whose parents are not here.
    pub shallow: Vec<CommitId>,
    /// Stores on this machine from which chunks are copied rather than fetched.
    pub alternates: Vec<Store>,
    /// Brings metadata to see what would come, and forgets it.
    pub dry_run: bool,
}

/// What was fetched. Nothing refers to it yet.
#[derive(Debug)]
pub struct Fetched {
    /// What came. In a dry run, what would.
    pub received: Received,
    /// Commits whose parents did not come. They are to be recorded before refs move.
    pub shallow: Vec<CommitId>,
    /// Those of the request's shallow commits whose parents came: they are edges of history no more.
    pub lifted: Vec<CommitId>,
    /// Keeps garbage collection away from what came. Drop it once refs name that.
    pub guard: Option<WriterGuard>,
}

/// One of the messages that a fetch of many refs takes.
struct Part<'a> {
    repository: &'a Repository,
    request: &'a FetchRequest,
    writer: &'a StoreWriter,
    wants: &'a [Digest],
    /// Whether an earlier fetch has left something.
    adopted: bool,
}

/// What parts have brought.
#[derive(Default)]
struct Brought {
    received: Received,
    shallow: Vec<CommitId>,
    lifted: Vec<CommitId>,
    /// What was wanted, as far as it is commits: they are here with everything they reach.
    commits: Vec<CommitId>,
}

impl Client<'_> {
    /// Brings objects and proves that nothing is missing. Refs are the caller's: it moves them to what was wanted, and then
    /// drops the guard. What came before a failure stays in the store, and is not fetched again.
    ///
    /// # Errors
    /// When the server or the link fails, an object is damaged, or the store cannot be written.
    pub fn fetch(
        &mut self,
        repository: &Repository,
        request: FetchRequest,
        progress: &dyn Progress,
    ) -> Result<Fetched, SyncError> {
        self.try_fetch(repository, request, progress).map_err(|error| self.give_up(error))
    }

    fn try_fetch(
        &mut self,
        repository: &Repository,
        mut request: FetchRequest,
        progress: &dyn Progress,
    ) -> Result<Fetched, SyncError> {
        let store = repository.store();
        progress.stage("Looking for what is new", None, None);
        // Many refs may name one commit.
        let mut distinct = HashSet::new();
        request.wants.retain(|want| distinct.insert(*want));
        if request.wants.len() > MAX_WANTS && request.depth != 0 {
            let text = format!("more than {MAX_WANTS} branches and tags to a certain depth at once; name some of them");
            return Err(SyncError::refuse(ErrorCode::Limit, text));
        }
        if request.shallow.len() > MAX_SHALLOW {
            let text = format!("history ends in more than {MAX_SHALLOW} places here; make a new clone");
            return Err(SyncError::refuse(ErrorCode::Limit, text));
        }
        let adopted = self.session.while_working("looking at what is here", || held::adopt(store))?;
        let writer = repository.writer().map_err(SyncError::Repo)?;
        let mut brought = Brought::default();
        let parts = request.wants.chunks(MAX_WANTS).chain(request.wants.is_empty().then_some(&[][..]));
        let result = parts.enumerate().try_for_each(|(number, wants)| {
            if number > 0 {
                self.session.control(&Message::Complete)?;
            }
            let part = Part { repository, request: &request, writer: &writer, wants, adopted };
            self.fetch_part(&part, &mut brought, progress)
        });
        self.lasting.stored += stored_new(&writer);
        if let Err(error) = result {
            // Also when the user stopped it: who comes back goes on from there.
            // Where it cannot be kept, it comes again.
            let _ = held::keep(store, writer);
            return Err(error);
        }
        let Brought { received, shallow, lifted, .. } = brought;
        let mut guard = None;
        if !request.dry_run {
            progress.stage("Making it durable", None, None);
            guard = Some(self.session.while_working("making it durable", || writer.finish())?.guard);
            held::forget(store)?;
        }
        self.session.control(&Message::Complete)?;
        Ok(Fetched { received, shallow, lifted, guard })
    }

    /// Brings as many wants as one message holds.
    fn fetch_part(&mut self, part: &Part<'_>, brought: &mut Brought, progress: &dyn Progress) -> Result<(), SyncError> {
        let Part { repository, request, writer, wants, .. } = *part;
        let store = repository.store();
        let shallow = [&request.shallow[..], &brought.shallow].concat();
        let (start, known) = self.negotiate(part, &brought.commits, &shallow, progress)?;
        let edges = Edges::of(shallow.into_iter().collect(), &start, request.depth)?;
        let mut all: Vec<Wanted> = wants.iter().map(|digest| (None, *digest)).collect();
        all.extend(edges.beyond(store)?);
        progress.stage("Receiving", None, None);
        let received = exchange::receive(
            &self.session,
            Receive {
                store,
                writer,
                wants: &all,
                known: &known,
                known_shallow: &edges.known,
                cut: &edges.cut,
                filter: request.filter.again(),
                alternates: &request.alternates,
                quota: None,
                chunks: if request.dry_run { Chunks::Count } else { Chunks::Receive },
                threads: repository.threads(),
                progress,
            },
        )?;
        brought.received.add(&received);
        let commits: Vec<CommitId> = wants.iter().filter_map(|want| peel(writer, *want)).collect();
        let believe = || edges.believed(writer, &commits, request.depth, &received.edges, progress);
        brought.shallow.extend(self.session.while_working("looking where history ends", believe)?);
        brought.lifted.extend(edges.lifted);
        brought.commits.extend(commits);
        Ok(())
    }

    /// Finds what both know. Gives the server's answer, and the commits below which nothing needs to be looked at.
    fn negotiate(
        &mut self,
        part: &Part<'_>,
        arrived: &[CommitId],
        shallow: &[CommitId],
        progress: &dyn Progress,
    ) -> Result<(Start, Vec<CommitId>), SyncError> {
        let Part { repository, request, wants, adopted, .. } = *part;
        let mut haves = Haves::of(repository, arrived, &request.likely)?;
        let mut is_first = haves.has_more();
        loop {
            let some = haves.next()?;
            let more = haves.has_more();
            // Nothing common among all but the last: then it is worth saying what is here all the same.
            let worth_it = adopted || (!more && !is_first);
            let filter = || worth_it.then(|| held::filter(repository.store())).transpose();
            let held = self.session.while_working("looking at what is here", filter)?.flatten();
            is_first = false;
            self.session.control(&Message::Fetch(Fetch {
                wants: wants.to_vec(),
                haves: some,
                more,
                shallow: shallow.to_vec(),
                depth: request.depth,
                held,
            }))?;
            match self.recv(progress)? {
                Message::Start(start) => return Ok((start, [arrived, &tips(repository)?].concat())),
                Message::More if more => {}
                other => return Err(Violation(format!("{} instead of Start", other.name())).into()),
            }
        }
    }
}

/// The commit that a want names, through tags.
fn peel(read: &dyn ObjectRead, mut digest: Digest) -> Option<CommitId> {
    while let Ok(tag) = Tag::read(read, TagId::from_digest(digest)) {
        digest = tag.target;
    }
    let id = CommitId::from_digest(digest);
    Commit::read(read, id).is_ok().then_some(id)
}
