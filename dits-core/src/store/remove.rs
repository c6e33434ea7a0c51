//! Removing objects and gathering small packs: the part of garbage collection that knows files. Which objects are dead
//! is decided elsewhere. The rules that keep this safe beside running writers are in `docs/format/store.md`.

use std::collections::HashSet;
use std::sync::Arc;

use super::StoreError;
use super::condemned::DigestSet;
use super::odb::{Odb, whole_frame};
use super::pack::Pack;
use super::pack::layout::{HEADER_LEN, PackId};
use super::pack::page::Entry;
use super::pack::write::{PackBuilder, Sealed, sealed_len};
use crate::object::Digest;
use crate::progress::Progress;

/// What [`Odb::remove_objects`] did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Copies of objects removed.
    pub objects: u64,
    /// Bytes by which the files shrink in all, the merged index not counted.
    pub freed: u64,
    /// Bytes that the objects take, each copy for itself. In a pack it can be more than deleting them gives back, as
    /// packs are filled up to whole pages.
    pub stored: u64,
    /// Packs deleted because nothing in them was alive.
    pub packs_deleted: u64,
    /// Packs replaced by one without the dead objects.
    pub packs_rewritten: u64,
    /// Loose files deleted.
    pub loose_deleted: u64,
}

/// What [`Odb::consolidate`] gathers.
#[derive(Clone, Copy, Debug)]
pub struct ConsolidateOptions {
    /// Packs whose files are shorter than this, in bytes, are gathered.
    pub smaller_than: u64,
    /// Whether loose objects are packed too.
    pub loose: bool,
    /// Bytes after which a new pack is begun.
    pub pack_limit: u64,
}

/// What [`Odb::consolidate`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consolidated {
    /// Packs gathered and deleted.
    pub packs_before: u64,
    /// Packs written.
    pub packs_after: u64,
    /// Loose files packed and deleted.
    pub loose: u64,
    /// Copies that were in more than one of them and are kept once.
    pub duplicates: u64,
}

impl Odb {
    /// Removes the copies of `dead` objects that are loose or in `packs`, which are the packs there were when the
    /// objects were condemned: a copy written since, by somebody who respected the list, lies in a later pack and
    /// stays. With `dry_run` it only computes what it would do, exactly.
    ///
    /// The caller holds the gc lock, has waited for all writers older than the list, and has marked again after that.
    ///
    /// # Errors
    /// When a pack is damaged (it is then left alone) or a file cannot be written or removed.
    pub fn remove_objects(
        &self,
        dead: &DigestSet,
        packs: &[PackId],
        dry_run: bool,
        progress: &dyn Progress,
    ) -> Result<Removed, StoreError> {
        let mut done = Removed::default();
        if dead.is_empty() {
            return Ok(done);
        }
        for id in packs {
            if progress.interrupted() {
                break;
            }
            if let Some(pack) = self.open_pack(*id)? {
                self.remove_from_pack(&pack, dead, dry_run, &mut done)?;
                progress.advance(pack.file_len(), pack.index().len());
            }
        }
        let mut loose = Vec::new();
        self.for_each_loose::<StoreError>(|digest, info| {
            if dead.contains(digest) {
                loose.push(*digest);
                done.objects += 1;
                done.loose_deleted += 1;
                done.freed += u64::from(info.stored_len);
                done.stored += u64::from(info.stored_len);
            }
            Ok(())
        })?;
        if !dry_run {
            self.loose().remove(&loose)?;
            self.settle_after_removal(done.packs_deleted + done.packs_rewritten > 0)?;
        }
        Ok(done)
    }

    fn remove_from_pack(
        &self,
        pack: &Pack,
        dead: &DigestSet,
        dry_run: bool,
        done: &mut Removed,
    ) -> Result<(), StoreError> {
        let mut live = Vec::new();
        for entry in pack.index().iter_from(0) {
            let entry = entry?;
            match dead.contains(&entry.digest) {
                true => done.stored += u64::from(entry.stored_len),
                false => live.push(entry),
            }
        }
        let removed = pack.index().len() - live.len() as u64;
        if removed == 0 {
            return Ok(());
        }
        let mut new_len = 0;
        if live.is_empty() {
            done.packs_deleted += 1;
        } else {
            let frames: u64 = live.iter().map(|entry| u64::from(entry.stored_len)).sum();
            new_len = sealed_len(HEADER_LEN as u64 + frames, live.len() as u64);
            done.packs_rewritten += 1;
        }
        done.objects += removed;
        done.freed += pack.file_len().saturating_sub(new_len);
        if dry_run {
            return Ok(());
        }
        if !live.is_empty() {
            let mut copy = Copier::new(self, u64::MAX)?;
            copy.take(pack, live)?;
            copy.publish()?;
        }
        // The copies are durable: only now may the old pack go.
        self.packs().delete(&[pack.id().file_name()])
    }

    /// Gathers small packs, and loose objects if wanted, in as few packs as possible. Frames are copied as they are.
    /// What is gathered is deleted once the copies are durable. One pack alone is left as it is.
    ///
    /// # Errors
    /// When a pack is damaged or a file cannot be written or removed; what was there is then still there.
    pub fn consolidate(
        &self,
        options: ConsolidateOptions,
        progress: &dyn Progress,
    ) -> Result<Consolidated, StoreError> {
        let mut small = self.open_packs()?;
        small.retain(|pack| pack.file_len() < options.smaller_than);
        let mut loose = Vec::new();
        if options.loose {
            self.loose().for_each::<StoreError>(0..=u8::MAX, |digest, _| {
                loose.push(digest);
                Ok(())
            })?;
        }
        if small.len() < 2 && loose.is_empty() {
            return Ok(Consolidated::default());
        }
        let mut copy = Copier::new(self, options.pack_limit)?;
        for pack in &small {
            if progress.interrupted() {
                return Ok(Consolidated::default());
            }
            let entries = pack.index().iter_from(0).collect::<Result<_, _>>()?;
            copy.take(pack, entries)?;
            progress.advance(pack.file_len(), pack.index().len());
        }
        for digest in &loose {
            copy.take_loose(digest)?;
        }
        let duplicates = copy.duplicates;
        let packs_after = copy.publish()?;
        let names: Vec<_> = small.iter().map(|pack| pack.id().file_name()).collect();
        self.packs().delete(&names)?;
        let (loose, _) = self.loose().remove(&loose)?;
        self.settle_after_removal(!names.is_empty())?;
        Ok(Consolidated { packs_before: names.len() as u64, packs_after, loose, duplicates })
    }

    /// Deletes whole packs, whatever is in them: for those that were salvaged.
    ///
    /// # Errors
    /// When one cannot be deleted.
    pub fn delete_packs(&self, ids: &[PackId]) -> Result<(), StoreError> {
        self.packs().delete(&ids.iter().map(PackId::file_name).collect::<Vec<_>>())?;
        self.settle_after_removal(true)
    }

    /// Removes what dead processes left unfinished; gives back how many files and bytes.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_dead_temps(&self) -> Result<(u64, u64), StoreError> {
        let (packs, loose) = (self.packs().sweep()?, self.loose().sweep()?);
        Ok((packs.0 + loose.0, packs.1 + loose.1))
    }

    fn settle_after_removal(&self, packs_changed: bool) -> Result<(), StoreError> {
        self.forget()?;
        // It names packs that are gone. That is harmless, but it costs lookups and space.
        if packs_changed && self.has_merged_index() {
            self.merge_index()?;
        }
        Ok(())
    }
}

/// Copies frames as they are into new packs.
struct Copier<'a> {
    odb: &'a Odb,
    limit: u64,
    builder: PackBuilder,
    entries: Vec<Entry>,
    seen: HashSet<Digest>,
    sealed: Vec<Sealed>,
    frame: Vec<u8>,
    duplicates: u64,
}

impl<'a> Copier<'a> {
    fn new(odb: &'a Odb, limit: u64) -> Result<Self, StoreError> {
        let builder = PackBuilder::new(Arc::clone(odb.packs()))?;
        let (entries, seen, sealed, frame) = <_>::default();
        Ok(Self { odb, limit, builder, entries, seen, sealed, frame, duplicates: 0 })
    }

    /// Copies these objects of a pack, in the order in which they lie there.
    fn take(&mut self, pack: &Pack, mut entries: Vec<Entry>) -> Result<(), StoreError> {
        entries.sort_unstable_by_key(|entry| entry.offset);
        for entry in entries {
            let mut frame = std::mem::take(&mut self.frame);
            pack.read_frame(&entry, &mut frame)?;
            whole_frame(&frame, &entry.digest, pack.path())?;
            self.append(entry, &frame)?;
            self.frame = frame;
        }
        Ok(())
    }

    fn take_loose(&mut self, digest: &Digest) -> Result<(), StoreError> {
        let Some(frame) = self.odb.loose().read(digest)? else { return Ok(()) };
        let header = whole_frame(&frame, digest, &self.odb.loose().path(digest))?;
        let entry = Entry {
            digest: *digest,
            offset: 0,
            kind: header.kind as u8,
            encoding: header.encoding,
            stored_len: header.frame_len() as u32,
            plain_len: header.plain_len,
            pack: 0,
        };
        self.append(entry, &frame)
    }

    fn append(&mut self, entry: Entry, frame: &[u8]) -> Result<(), StoreError> {
        if !self.seen.insert(entry.digest) {
            self.duplicates += 1;
            return Ok(());
        }
        if self.builder.end() >= self.limit {
            self.sealed.push(self.builder.seal(&mut self.entries)?);
            self.entries.clear();
        }
        let offset = self.builder.append(&[frame])?;
        self.entries.push(Entry { offset, ..entry });
        Ok(())
    }

    /// Makes the copies durable and visible; gives back how many packs there are.
    fn publish(mut self) -> Result<u64, StoreError> {
        if !self.entries.is_empty() {
            self.sealed.push(self.builder.seal(&mut self.entries)?);
        }
        let packs = self.sealed.len() as u64;
        let files = self.sealed.into_iter().map(|Sealed { draft, id }| (draft, id.file_name())).collect();
        self.odb.packs().put(files)?;
        Ok(packs)
    }
}
