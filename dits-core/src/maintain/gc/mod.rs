//! `dits gc`: giving back the space of what nothing refers to.
//!
//! In two phases, so that a command running beside it never loses what it is about to refer to. First the names of
//! what is unreachable are published: from then on a writer that meets one of them stores it again. What is still
//! unreachable after the grace period, and after every writer has ended that began before the publication, is removed,
//! and only the copies that were there at the publication.

mod tidy;

use std::time::{Duration, Instant};

use super::roots::roots_with;
use super::{Mark, Met, Root};
use crate::lockfile::FileLock;
use crate::object::Digest;
use crate::object::ObjectKind;
use crate::progress::Progress;
use crate::refs::{FolderRefs, LogEntry, RefName, RefStore};
use crate::repo::{Layout, RepoError, Repository};
use crate::store::{Condemned, CondemnedSet, DigestSet, Odb, PackId, Removed, StoreError, live_writers_older_than};

/// How thorough to be.
#[derive(Clone, Copy, Debug)]
pub struct GcOptions {
    /// The time now, in seconds since 1970.
    pub now: i64,
    /// How long unreachable objects are kept.
    pub grace: Duration,
    /// Entries of logs older than this are forgotten; `None` keeps all.
    pub reflog_expire: Option<Duration>,
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
    /// Small packs are gathered when a database has more of them than this.
    pub max_packs: usize,
    /// Loose objects are packed when a database has more of them than this.
    pub max_loose: usize,
    /// Bytes after which a new pack is begun.
    pub pack_limit: u64,
    /// How long to wait for writers that stand in the way.
    pub wait: Duration,
}

/// What was done, or in a dry run would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Objects that something refers to.
    pub reachable: u64,
    /// Copies of objects removed.
    pub removed: u64,
    /// The bytes that gives back.
    pub removed_bytes: u64,
    /// Unreachable objects that wait for the grace period to end.
    pub waiting: u64,
    /// The bytes they take.
    pub waiting_bytes: u64,
    /// When the grace period ends for them, in seconds since 1970.
    pub waiting_until: Option<i64>,
    /// Writers that began before the publication and still run: nothing was removed because of them.
    pub writers: usize,
    /// Packs gathered into others.
    pub packs_gathered: u64,
    /// Loose objects that were packed.
    pub loose_packed: u64,
    /// Temporary files removed that killed commands had left.
    pub leftovers: u64,
}

/// Objects that nothing refers to, and the packs there are.
struct Dead {
    content: CondemnedSet,
    meta: CondemnedSet,
}

impl Repository {
    /// Removes what nothing refers to, gathers small packs and refreshes the merged index.
    ///
    /// # Errors
    /// When anything reachable cannot be read or is not understood: nothing is removed then.
    pub fn gc(&self, options: &GcOptions, progress: &dyn Progress) -> Result<GcReport, RepoError> {
        let dits = &self.layout().common;
        let _lock = FileLock::acquire(&self.layout().gc_lock(), Duration::ZERO)?;
        let mut report = GcReport::default();
        if !options.dry_run {
            // A damaged merged index stands in the way of every lookup, and is made anew from the packs.
            self.refresh_merged_indexes()?;
            self.expire_logs(options)?;
        }
        let dead = self.dead(options, &mut report, progress)?;
        let list = Condemned::current(dits)?;
        let list = self.publish(list, &dead, options)?;
        let ends = list.published.saturating_add(seconds(options.grace));
        if options.now >= ends {
            self.sweep(&list, dead, options, &mut report, progress)?;
        } else {
            let both = self.remove(&list.content, &list.meta, &dead, true, progress)?;
            (report.waiting, report.waiting_bytes) = (both.objects, both.stored);
            report.waiting_until = (both.objects > 0).then_some(ends);
        }
        if !options.dry_run {
            self.tidy(options, &mut report, progress)?;
        }
        Ok(report)
    }

    fn expire_logs(&self, options: &GcOptions) -> Result<(), RepoError> {
        if options.reflog_expire.is_none() {
            return Ok(());
        }
        for private in self.private_folders()? {
            let layout = Layout { private, ..self.layout().clone() };
            let refs = FolderRefs::open(&layout.common, layout.worktree_id())?;
            let is_main = layout.worktree_id().is_none();
            // The stash is no history of a ref: its lines are what was put aside.
            let logs = refs.logs()?.into_iter().filter(|name| *name != RefName::stash());
            for name in logs.filter(|name| is_main || name.is_per_worktree()) {
                // A log whose ref was lost is what the ref can be restored from.
                if refs.read(&name)?.is_some() {
                    refs.expire_log(&name, &mut |entry| is_recent(entry, options))?;
                }
            }
        }
        Ok(())
    }

    /// Marks everything that is reachable and lists the rest.
    fn dead(&self, options: &GcOptions, report: &mut GcReport, progress: &dyn Progress) -> Result<Dead, RepoError> {
        progress.stage("Marking", None, None);
        let mut mark = Mark::default();
        // Twice: a name that moves while the first pass looks, from a place not yet looked at to one that was, would
        // be in neither. The second pass costs little, as everything is marked.
        for _ in 0..2 {
            for root in roots_with(self, &|entry| is_recent(entry, options))? {
                self.mark_root(&mut mark, &root, progress)?;
            }
        }
        report.reachable = (mark.content.len() + mark.meta.len()) as u64;
        let unmarked = |odb: &Odb, reached: &dyn Fn(&Digest) -> bool| -> Result<CondemnedSet, RepoError> {
            let packs = pack_names(odb)?;
            let mut digests = Vec::new();
            odb.for_each(|digest, _| {
                if !reached(digest) {
                    digests.push(*digest);
                }
                Ok::<_, RepoError>(())
            })?;
            Ok(CondemnedSet { packs, digests: DigestSet::new(digests).into() })
        };
        Ok(Dead {
            content: unmarked(&self.store().content, &|digest| mark.content.contains(digest))?,
            meta: unmarked(&self.store().meta, &|digest| mark.meta.contains(digest))?,
        })
    }

    pub(crate) fn mark_root(&self, mark: &mut Mark, root: &Root, progress: &dyn Progress) -> Result<(), RepoError> {
        if mark.meta.contains(&root.digest) || mark.content.contains(&root.digest) {
            return Ok(());
        }
        let kind = match root.kind {
            Some(kind) => kind,
            None => match self.store().meta.info(&root.digest)? {
                Some(info) => info.kind,
                // A log may name what an earlier collection has removed.
                None if !root.required => return Ok(()),
                None => return Err(StoreError::Missing { kind: ObjectKind::Commit, digest: root.digest }.into()),
            },
        };
        mark.reach(self.store(), kind, root.digest, progress, &mut |kind, digest, met| match met {
            Met::NewChunk { .. } | Met::Node(_) => Ok(()),
            Met::Unknown => Err(RepoError::UnknownReferences { what: format!("{kind} {digest}") }),
            Met::Unreadable(StoreError::Missing { .. }) if !root.required => Ok(()),
            Met::Unreadable(error) => Err(error.into()),
        })
    }

    /// Publishes what is dead, unless an earlier publication is still waiting for its grace period to end.
    fn publish(&self, current: Condemned, dead: &Dead, options: &GcOptions) -> Result<Condemned, RepoError> {
        let waits = !(current.content.digests.is_empty() && current.meta.digests.is_empty());
        let nothing = dead.content.digests.is_empty() && dead.meta.digests.is_empty();
        if (waits && !options.grace.is_zero()) || nothing {
            return Ok(current);
        }
        if options.dry_run {
            let (content, meta) = (dead.content.clone(), dead.meta.clone());
            return Ok(Condemned { content, meta, published: options.now, ..current });
        }
        let (content, meta) = (dead.content.clone(), dead.meta.clone());
        Ok(Condemned::publish(&self.layout().common, content, meta, options.now)?)
    }

    /// Removes what was published and is still dead, once no writer is left that does not know the publication.
    fn sweep(
        &self,
        list: &Condemned,
        dead: Dead,
        options: &GcOptions,
        report: &mut GcReport,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        if options.dry_run {
            let both = self.remove(&list.content, &list.meta, &dead, true, progress)?;
            (report.removed, report.removed_bytes) = (both.objects, both.freed);
            return Ok(());
        }
        report.writers = self.wait_for_writers(list.generation, options.wait, progress)?;
        if report.writers > 0 {
            let both = self.remove(&list.content, &list.meta, &dead, true, progress)?;
            (report.waiting, report.waiting_bytes) = (both.objects, both.stored);
            return Ok(());
        }
        // A writer that has ended meanwhile may have referred to what was dead before.
        let dead = self.dead(options, report, progress)?;
        progress.stage("Removing", None, None);
        let both = self.remove(&list.content, &list.meta, &dead, false, progress)?;
        (report.removed, report.removed_bytes) = (both.objects, both.freed);
        // What has died meanwhile begins to wait. The packs are listed anew, since some were rewritten.
        let left = |odb: &Odb, all: CondemnedSet, gone: &CondemnedSet| -> Result<CondemnedSet, RepoError> {
            let digests = all.digests.as_slice().iter().filter(|digest| !gone.digests.contains(digest)).copied();
            Ok(CondemnedSet { packs: pack_names(odb)?, digests: DigestSet::new(digests.collect()).into() })
        };
        let content = left(&self.store().content, dead.content, &list.content)?;
        let meta = left(&self.store().meta, dead.meta, &list.meta)?;
        Condemned::publish(&self.layout().common, content, meta, options.now)?;
        Ok(())
    }

    pub(crate) fn wait_for_writers(
        &self,
        generation: u64,
        patience: Duration,
        progress: &dyn Progress,
    ) -> Result<usize, RepoError> {
        let start = Instant::now();
        loop {
            let live = live_writers_older_than(&self.layout().common, generation)?.len();
            if live == 0 || start.elapsed() >= patience {
                return Ok(live);
            }
            progress.check()?;
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Removes the objects that are both published and dead, or computes what that would give back.
    fn remove(
        &self,
        content: &CondemnedSet,
        meta: &CondemnedSet,
        dead: &Dead,
        dry_run: bool,
        progress: &dyn Progress,
    ) -> Result<Removed, RepoError> {
        let mut both = Removed::default();
        // Metadata first: what is left half done must not refer to content that is gone.
        for (odb, published, dead) in
            [(&self.store().meta, meta, &dead.meta), (&self.store().content, content, &dead.content)]
        {
            let digests = published.digests.as_slice().iter().filter(|digest| dead.digests.contains(digest));
            let digests = DigestSet::new(digests.copied().collect());
            let removed = odb.remove_objects(&digests, &published.packs, dry_run, progress)?;
            both.objects += removed.objects;
            both.freed += removed.freed;
            both.stored += removed.stored;
        }
        Ok(both)
    }
}

/// Whether a line of a log is to be kept.
fn is_recent(entry: &LogEntry, options: &GcOptions) -> bool {
    options.reflog_expire.is_none_or(|age| entry.who.time >= options.now.saturating_sub(seconds(age)))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

pub(crate) fn pack_names(odb: &Odb) -> Result<Vec<PackId>, StoreError> {
    Ok(odb.pack_ids()?.into_iter().map(|(id, _)| id).collect())
}
