//! Giving back the space of content that a remote holds (`docs/format/partial.md` has the order of steps).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Promised, SourceError, each_chunk, id_of, travels_with_metadata};
use crate::diff::FileVersion;
use crate::index::{EntryView, FileStat, Index, LockedIndex, Stage, fs_clock};
use crate::lockfile::FileLock;
use crate::maintain::{Mark, Reached, pack_names, roots};
use crate::object::{CommitId, Digest, ObjectKind};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{Layout, RepoError, Repository};
use crate::store::{Condemned, CondemnedSet, DigestSet, Removed};
use crate::worktree::{Scan, ScanOptions, Selection, entry, scan, write_ghost};

/// Which of these chunks a remote does not have, or is about to remove.
pub type Lacking<'a> = dyn Fn(&[Digest]) -> Result<Vec<Digest>, SourceError> + 'a;

/// On whose word, and how, content is dropped.
#[derive(Clone, Copy)]
pub struct DropOptions<'a> {
    /// The remote that holds it.
    pub remote: &'a str,
    /// Commits that the remote has confirmed, just now, its refs to reach, and that it lacks nothing of on purpose.
    pub confirmed: &'a [CommitId],
    /// Asks the remote.
    pub lacking: &'a Lacking<'a>,
    /// Files that are passed over.
    pub pinned: &'a dyn Selection,
    /// Changes nothing.
    pub dry_run: bool,
    /// How long to wait for commands that are writing.
    pub wait: Duration,
    /// The time now, in seconds since 1970.
    pub now: i64,
}

/// Why files cannot be dropped. Lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptBack {
    /// No remote has promised to hold their content.
    pub only_here: Vec<RepoPath>,
    /// The remote should have their content, and has it not.
    pub not_there: Vec<RepoPath>,
    /// They are not as they were staged, or gone.
    pub changed: Vec<RepoPath>,
}

/// What was dropped, or in a dry run would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The files that became ghosts, sorted.
    pub files: Vec<RepoPath>,
    /// Their bytes in the worktree.
    pub worktree_bytes: u64,
    /// Copies of chunks removed from the store.
    pub chunks: u64,
    /// The bytes by which the store shrinks.
    pub store_bytes: u64,
    /// Chunks of these files that stay, because something else here needs them.
    pub kept_chunks: u64,
    /// Files passed over because they are pinned, sorted.
    pub pinned: Vec<RepoPath>,
}

/// What to do.
#[derive(Default)]
struct Plan {
    files: Vec<(RepoPath, FileVersion)>,
    chunks: Reached,
    kept_chunks: u64,
    pinned: Vec<RepoPath>,
    found: Scan,
    in_mount: bool,
}

impl Repository {
    /// Gives back the space of the selected files' staged content: in the store, except what other files in any
    /// worktree, commits that are not pushed, the stash or a pending operation need; and in this worktree, where ghosts
    /// take the files' place.
    ///
    /// # Errors
    /// [`RepoError::KeptBack`] when nobody promised to hold a file, the remote lacks it or it was changed, and [`RepoError::WritersAtWork`]:
    /// no file was touched then. When something cannot be read or written.
    pub fn drop_content(
        &self,
        selection: &dyn Selection,
        options: &DropOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<Dropped, RepoError> {
        let _lock = FileLock::acquire(&self.layout().gc_lock(), Duration::ZERO)?;
        let mut promises = self.promises()?;
        promises.add(self.store(), options.remote, options.confirmed)?;
        let promised = Promised::new(self.store(), &promises);
        let mut plan = self.plan_drop(&self.index()?, selection, options, &promised, &Reached::default(), progress)?;
        if options.dry_run {
            let lacking = ask(&plan.chunks, options)?;
            if !lacking.is_empty() {
                plan = self.plan_drop(&self.index()?, selection, options, &promised, &lacking, progress)?;
            }
            let set = DigestSet::new(plan.chunks.iter().copied().collect());
            let removed =
                self.store().content.remove_objects(&set, &pack_names(&self.store().content)?, true, progress)?;
            return Ok(plan.report(removed));
        }
        let before = Condemned::current(&self.layout().common)?;
        let list = self.condemn(&before, &plan.chunks, options.now)?;
        let outcome = self.drop_condemned(&list, &plan.chunks, selection, options, &promised, progress);
        // Also after an error, when it only saves space: what stays is condemned no more.
        let pardoned = self.republish(before.content.digests.clone(), &before, before.published);
        let dropped = outcome?;
        pardoned.map(|_| dropped)
    }

    fn drop_condemned(
        &self,
        list: &Condemned,
        condemned: &Reached,
        selection: &dyn Selection,
        options: &DropOptions<'_>,
        promised: &Promised<'_>,
        progress: &dyn Progress,
    ) -> Result<Dropped, RepoError> {
        // Only now: of two repositories that drop the same at once, each on the other's word, the one that asks last
        // finds it condemned there.
        let lacking = ask(condemned, options)?;
        let count = self.wait_for_writers(list.generation, options.wait, progress)?;
        if count > 0 {
            return Err(RepoError::WritersAtWork { count });
        }
        let mut index = self.lock_index()?;
        // Again: a writer that has ended meanwhile may need what nothing needed before.
        let mut plan = self.plan_drop(&index, selection, options, promised, &lacking, progress)?;
        plan.chunks.retain(|digest| condemned.contains(digest));
        self.record_promises(options.remote, options.confirmed)?;
        self.replace_by_ghosts(&mut index, &plan, progress)?;
        let set = DigestSet::new(plan.chunks.iter().copied().collect());
        let removed = self.store().content.remove_objects(&set, &list.content.packs, false, progress)?;
        Ok(plan.report(removed))
    }

    /// Condemns chunks besides what garbage collection has condemned.
    pub(super) fn condemn(&self, before: &Condemned, chunks: &Reached, now: i64) -> Result<Condemned, RepoError> {
        let waits = !(before.content.digests.is_empty() && before.meta.digests.is_empty());
        let all = before.content.digests.as_slice().iter().chain(chunks).copied().collect();
        self.republish(DigestSet::new(all).into(), before, if waits { before.published } else { now })
    }

    fn republish(&self, content: Arc<DigestSet>, before: &Condemned, time: i64) -> Result<Condemned, RepoError> {
        let content = CondemnedSet { packs: pack_names(&self.store().content)?, digests: content };
        let meta = CondemnedSet { packs: pack_names(&self.store().meta)?, digests: before.meta.digests.clone() };
        Ok(Condemned::publish(&self.layout().common, content, meta, time)?)
    }

    fn plan_drop(
        &self,
        index: &Index,
        selection: &dyn Selection,
        options: &DropOptions<'_>,
        promised: &Promised<'_>,
        lacking: &Reached,
        progress: &dyn Progress,
    ) -> Result<Plan, RepoError> {
        let mut mark = Mark::default();
        promised.mark(&mut mark, progress)?;
        let promised_chunks = std::mem::take(&mut mark.content);
        let mut plan = Plan { in_mount: self.layout().is_mount(), ..Plan::default() };
        let of_head;
        let (index, mut found) = if self.layout().index().exists() {
            (index, scan(self, index, selection, ScanOptions::tracked_only(), progress)?)
        } else {
            of_head = self.head_as_ghosts()?;
            (&of_head, Scan::default())
        };
        found.fail_on_unreadable()?;
        let mut kept_back = KeptBack::default();
        let mut dropped: HashSet<&[u8]> = HashSet::new();
        let staged: Vec<EntryView<'_>> = index.entries().filter(|entry| entry.stage == Stage::Normal).collect();
        for entry in &staged {
            let (path, version) = (entry.repo_path(), FileVersion::from(entry));
            if id_of(&version.content).is_none() || travels_with_metadata(&path) || !selection.includes(&path) {
                continue;
            }
            if options.pinned.includes(&path) {
                plan.pinned.push(path);
                continue;
            }
            match self.chunks_in(&version, &promised_chunks)? {
                // A ghost's chunks are here when a drop was interrupted.
                Some(chunks) if entry.flags.ghost => {
                    plan.chunks.extend(chunks.into_iter().filter(|chunk| !lacking.contains(chunk)));
                }
                None if entry.flags.ghost => {}
                None => kept_back.only_here.push(path),
                Some(chunks) if chunks.iter().any(|chunk| lacking.contains(chunk)) => kept_back.not_there.push(path),
                Some(_) if found.is_changed(&path) => kept_back.changed.push(path),
                Some(chunks) => {
                    dropped.insert(entry.path);
                    plan.chunks.extend(chunks);
                    plan.files.push((path, version));
                }
            }
        }
        if kept_back != KeptBack::default() {
            return Err(RepoError::KeptBack(kept_back));
        }
        let wanted = plan.chunks.len();
        self.keep_unpushed(&mut mark, &mut plan, progress)?;
        self.keep_in_worktrees(index, &dropped, &mut plan)?;
        for version in promised.rules_files()? {
            keep(self, &version, &mut plan.chunks)?;
        }
        plan.kept_chunks = (wanted - plan.chunks.len()) as u64;
        plan.found = found;
        Ok(plan)
    }

    /// The chunks of a file, if all of them were promised.
    fn chunks_in(&self, version: &FileVersion, promised: &Reached) -> Result<Option<Vec<Digest>>, RepoError> {
        let (mut all, mut chunks) = (true, Vec::new());
        each_chunk(self.store(), &version.content, version.size, &mut |chunk| {
            all = promised.contains(chunk.id.digest());
            chunks.push(*chunk.id.digest());
            Ok(all)
        })?;
        Ok(all.then_some(chunks))
    }

    /// Keeps what commits bring that are not pushed, in whatever ref, log, stash or operation. `mark` has the metadata
    /// that was promised: it is not gone through again.
    fn keep_unpushed(&self, mark: &mut Mark, plan: &mut Plan, progress: &dyn Progress) -> Result<(), RepoError> {
        for root in roots(self)? {
            // Of staging areas the files are looked at one by one.
            if !matches!(root.kind, Some(ObjectKind::Chunk | ObjectKind::Manifest)) {
                self.mark_root(mark, &root, progress)?;
            }
        }
        plan.chunks.retain(|digest| !mark.content.contains(digest));
        Ok(())
    }

    /// Keeps what files of any worktree have that are not ghosts, and both sides of conflicts.
    fn keep_in_worktrees(&self, index: &Index, dropped: &HashSet<&[u8]>, plan: &mut Plan) -> Result<(), RepoError> {
        for private in self.private_folders()? {
            let layout = Layout { private, ..self.layout().clone() };
            // What files of a mount need comes again when they are read.
            if layout.is_mount() {
                continue;
            }
            let here = layout.private == self.layout().private;
            let other;
            let index = if here {
                index
            } else {
                other = Index::load(&layout.index())?;
                &other
            };
            for entry in index.entries() {
                let gives = entry.stage == Stage::Normal && (entry.flags.ghost || here && dropped.contains(entry.path));
                if !gives {
                    keep(self, &FileVersion::from(&entry), &mut plan.chunks)?;
                }
            }
        }
        Ok(())
    }

    fn replace_by_ghosts(
        &self,
        index: &mut LockedIndex,
        plan: &Plan,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        // In a mount files take no space, and stay.
        if plan.in_mount || plan.files.is_empty() {
            return Ok(());
        }
        crate::durable::create_dir_all(&self.layout().temp())?;
        let dirs = self.work_dirs()?;
        let mut ghosts = Vec::new();
        for (path, version) in &plan.files {
            progress.check()?;
            // It was looked at just now; whoever writes to it meanwhile keeps what he wrote.
            let looks = dirs.stat(path)?.map(|meta| FileStat::from(&meta));
            let as_seen = index
                .get(path, Stage::Normal)
                .zip(looks)
                .is_some_and(|(entry, looks)| entry.is_unmodified(&looks) || plan.found.is_unchanged(path, &looks));
            if !as_seen {
                return Err(RepoError::ChangedWhileRead { path: path.clone() });
            }
            ghosts.push((path, version, write_ghost(self, &dirs, path, version, progress)?));
        }
        let clock = fs_clock(&self.layout().private)?;
        for (path, version, meta) in ghosts {
            index.put(entry(path, version, &meta, clock))?;
        }
        Ok(index.save()?)
    }
}

/// Which of the chunks the remote lacks.
fn ask(chunks: &Reached, options: &DropOptions<'_>) -> Result<Reached, RepoError> {
    if chunks.is_empty() {
        return Ok(Reached::default());
    }
    let chunks: Vec<Digest> = chunks.iter().copied().collect();
    Ok((options.lacking)(&chunks)?.into_iter().collect())
}

/// Takes the chunks of a file out of those to be dropped.
fn keep(repo: &Repository, version: &FileVersion, chunks: &mut Reached) -> Result<(), RepoError> {
    if !chunks.is_empty() {
        each_chunk(repo.store(), &version.content, version.size, &mut |chunk| {
            chunks.remove(chunk.id.digest());
            Ok(true)
        })?;
    }
    Ok(())
}

impl Plan {
    fn report(self, removed: Removed) -> Dropped {
        Dropped {
            worktree_bytes: self.files.iter().filter(|_| !self.in_mount).map(|(_, version)| version.size).sum(),
            files: self.files.into_iter().map(|(path, _)| path).collect(),
            chunks: removed.objects,
            store_bytes: removed.freed,
            kept_chunks: self.kept_chunks,
            pinned: self.pinned,
        }
    }
}
