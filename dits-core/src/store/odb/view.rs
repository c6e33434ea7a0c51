//! What an object database knows about its packs at one moment.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::object::Digest;
use crate::store::StoreError;
use crate::store::folder::{PackStore, Stamp};
use crate::store::pack::Pack;
use crate::store::pack::layout::PackId;
use crate::store::pack::merged::{self, Merged};
use crate::store::pack::page::Entry;

/// Packs that are kept open at a time before those the merged index covers are closed again.
const MAX_OPEN: usize = 256;

/// One pack, opened when it is first needed.
pub(super) struct Slot {
    pub(super) id: PackId,
    pub(super) file_len: u64,
    pack: Mutex<Option<Arc<Pack>>>,
}

impl Slot {
    /// The open pack; `None` when it has been deleted meanwhile.
    pub(super) fn open(&self, store: &dyn PackStore, opened: &AtomicUsize) -> Result<Option<Arc<Pack>>, StoreError> {
        let mut slot = self.pack.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pack) = &*slot {
            return Ok(Some(Arc::clone(pack)));
        }
        let Some(blob) = store.open(&self.id.file_name())? else { return Ok(None) };
        let pack = Arc::new(Pack::open(blob, self.id)?);
        opened.fetch_add(1, Ordering::Relaxed);
        *slot = Some(Arc::clone(&pack));
        Ok(Some(pack))
    }

    fn is_open(&self) -> bool {
        self.pack.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn close(&self) -> bool {
        self.pack.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}

/// The packs at one moment, and how to find an object in them.
pub(super) struct View {
    store: Arc<dyn PackStore>,
    pub(super) stamp: Option<Stamp>,
    /// The folder had changed just before: what changes right after may get the same stamp.
    pub(super) is_racy: bool,
    slots: HashMap<PackId, Arc<Slot>>,
    uncovered: Vec<Arc<Slot>>,
    merged: Option<Merged>,
    /// Why there is no merged index although there is a file of it.
    broken_merged: Option<(PathBuf, String)>,
    opened: AtomicUsize,
}

impl View {
    /// Lists the packs. What `old` has open stays open.
    pub(super) fn load(store: Arc<dyn PackStore>, old: Option<&Self>) -> Result<Self, StoreError> {
        // First the stamp: what changes while the list is read then counts as a change after it.
        let stamp = store.stamp()?;
        let is_racy = stamp.is_some_and(|stamp| stamp.is_recent());
        let mut slots = HashMap::new();
        let mut has_merged = false;
        for file in store.list()? {
            has_merged |= file.name == merged::FILE_NAME;
            let Some(id) = PackId::of_file_name(&file.name) else { continue };
            let known = old.and_then(|old| old.slots.get(&id)).cloned();
            let fresh = || Arc::new(Slot { id, file_len: file.len, pack: Mutex::new(None) });
            slots.insert(id, known.unwrap_or_else(fresh));
        }
        let (mut index, mut broken_merged) = (None, None);
        if has_merged && let Some(blob) = store.open(merged::FILE_NAME)? {
            match Merged::open(&blob) {
                Ok(opened) => index = Some(opened),
                Err(StoreError::Corrupt { file, what } | StoreError::FileTooNew { file, what }) => {
                    broken_merged = Some((file, what))
                }
                Err(e) => return Err(e),
            }
        }
        let covered: HashSet<&PackId> = index.iter().flat_map(|m| m.packs()).collect();
        let mut uncovered: Vec<_> = slots.values().filter(|slot| !covered.contains(&slot.id)).cloned().collect();
        uncovered.sort_unstable_by_key(|slot| slot.id);
        let opened = AtomicUsize::new(slots.values().filter(|slot| slot.is_open()).count());
        Ok(Self { store, stamp, is_racy, slots, uncovered, merged: index, broken_merged, opened })
    }

    /// All packs, in no particular order.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.values()
    }

    /// How many packs the merged index does not cover.
    pub(super) fn uncovered(&self) -> usize {
        self.uncovered.len()
    }

    /// Whether there is a merged index, damaged or not.
    pub(super) fn has_merged(&self) -> bool {
        self.merged.is_some() || self.broken_merged.is_some()
    }

    /// The open pack of a slot; `None` when it has been deleted meanwhile.
    pub(super) fn open(&self, slot: &Slot) -> Result<Option<Arc<Pack>>, StoreError> {
        if self.opened.load(Ordering::Relaxed) >= MAX_OPEN {
            let closed = self.slots.values().filter(|slot| slot.close()).count();
            self.opened.fetch_sub(closed.min(self.opened.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
        slot.open(&*self.store, &self.opened)
    }

    pub(super) fn check_merged(&self) -> Result<(), StoreError> {
        match &self.broken_merged {
            None => Ok(()),
            Some((file, what)) => Err(StoreError::Corrupt { file: file.clone(), what: what.clone() }),
        }
    }

    /// Calls `visit` with every packed copy of an object until it returns true, and says whether it did. A damaged
    /// pack is an error only if no other copy satisfied `visit`.
    pub(super) fn find(
        &self,
        digest: &Digest,
        mut visit: impl FnMut(&Slot, &Entry) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        self.check_merged()?;
        if let Some(merged) = &self.merged {
            let mut found = merged.index().find_at(digest)?;
            while let Some((place, entry)) = found.filter(|(_, entry)| entry.digest == *digest) {
                let id = merged.packs().get(entry.pack as usize);
                let id = id.ok_or_else(|| merged.index().corrupt("an entry names a pack that is not listed"))?;
                // A pack that is gone was rewritten or had nothing left to keep: its entries mean nothing.
                if let Some(slot) = self.slots.get(id)
                    && visit(slot, &entry)?
                {
                    return Ok(true);
                }
                let next = place + 1;
                found = if next < merged.index().len() { Some((next, merged.index().entry(next)?)) } else { None };
            }
        }
        let mut damage = None;
        for slot in &self.uncovered {
            let entry = self.open(slot).and_then(|pack| pack.map_or(Ok(None), |pack| pack.index().find(digest)));
            match entry {
                Ok(None) => {}
                Ok(Some(entry)) => {
                    if visit(slot, &entry)? {
                        return Ok(true);
                    }
                }
                Err(e) => damage = Some(e),
            }
        }
        damage.map_or(Ok(false), Err)
    }

    /// Calls `visit` with every entry from `from` on, as long as it returns true, pack by pack.
    pub(super) fn each_from<E: From<StoreError>>(
        &self,
        from: &Digest,
        mut visit: impl FnMut(&Slot, &Entry) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut slots: Vec<_> = self.slots.values().collect();
        slots.sort_unstable_by_key(|slot| slot.id);
        for slot in slots {
            let Some(pack) = self.open(slot)? else { continue };
            for entry in pack.index().iter_from(pack.index().lower_bound(from)?) {
                if !visit(slot, &entry?)? {
                    break;
                }
            }
        }
        Ok(())
    }
}
