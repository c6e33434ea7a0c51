//! Listing what an object database holds, and its merged index.

use std::sync::Arc;

use super::{HexPrefix, ObjectInfo, Odb, PackInfo, info_of, loose_info};
use crate::object::{Digest, ObjectKind};
use crate::store::StoreError;
use crate::store::pack::layout::PackId;
use crate::store::pack::{Pack, merged};

impl Odb {
    /// All objects whose names begin so, each once, in order.
    ///
    /// # Errors
    /// When an index is damaged or cannot be read.
    pub fn resolve_prefix(&self, prefix: &HexPrefix) -> Result<Vec<(Digest, ObjectKind)>, StoreError> {
        let mut found = Vec::new();
        self.reload()?.each_from(prefix.first(), |slot, entry| {
            let matches = prefix.matches(&entry.digest);
            if matches {
                found.push((entry.digest, info_of(slot.id, entry)?.kind));
            }
            Ok::<_, StoreError>(matches)
        })?;
        let byte = prefix.first().0[0];
        let last = if prefix.digits() == 1 { byte | 0x0f } else { byte };
        self.inner.loose.for_each(byte..=last, |digest, _| {
            if prefix.matches(&digest)
                && let Some((header, _)) = self.inner.loose.header(&digest)?
            {
                found.push((digest, header.kind));
            }
            Ok::<_, StoreError>(())
        })?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Calls `visit` with every copy of every object, pack by pack in order of the names, then the loose ones. An
    /// object that is stored twice comes twice.
    ///
    /// # Errors
    /// When an index is damaged or cannot be read, or `visit` fails.
    pub fn for_each<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(&Digest, &ObjectInfo) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reload()?.each_from(&Digest([0; 32]), |slot, entry| {
            let info = info_of(slot.id, entry)?;
            visit(&entry.digest, &info).map(|()| true)
        })?;
        self.for_each_loose(|digest, info| visit(digest, info))
    }

    /// Calls `visit` with every loose object, in order of the names.
    ///
    /// # Errors
    /// When one cannot be examined, or `visit` fails.
    pub fn for_each_loose<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(&Digest, &ObjectInfo) -> Result<(), E>,
    ) -> Result<(), E> {
        self.inner.loose.for_each(0..=u8::MAX, |digest, _| match self.inner.loose.header(&digest)? {
            Some((header, len)) => visit(&digest, &loose_info(&header, len)),
            None => Ok(()),
        })
    }

    /// All packs, by name.
    ///
    /// # Errors
    /// When one is damaged or cannot be read.
    pub fn pack_list(&self) -> Result<Vec<PackInfo>, StoreError> {
        let packs = self.open_packs()?;
        let info =
            |pack: &Arc<Pack>| PackInfo { id: pack.id(), file_len: pack.file_len(), entries: pack.index().len() };
        Ok(packs.iter().map(info).collect())
    }

    /// The names of all packs, also of damaged ones.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn pack_ids(&self) -> Result<Vec<(PackId, u64)>, StoreError> {
        let mut ids: Vec<_> = self.reload()?.slots().map(|slot| (slot.id, slot.file_len)).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Opens all packs there are now, by name.
    pub(in crate::store) fn open_packs(&self) -> Result<Vec<Arc<Pack>>, StoreError> {
        let mut packs = Vec::new();
        for (id, _) in self.pack_ids()? {
            packs.extend(self.open_pack(id)?);
        }
        Ok(packs)
    }

    /// Opens one pack, apart from those kept open; `None` when there is none.
    pub(in crate::store) fn open_pack(&self, id: PackId) -> Result<Option<Arc<Pack>>, StoreError> {
        let Some(blob) = self.inner.packs.open(&id.file_name())? else { return Ok(None) };
        Ok(Some(Arc::new(Pack::open(blob, id)?)))
    }

    /// Builds the merged index of all packs that can be opened, replacing the one there is, damaged or not. Says how
    /// many packs it covers. Damaged packs stay outside and keep being reported by lookups.
    ///
    /// # Errors
    /// When an index page of a pack is damaged, or the merged index cannot be written.
    pub fn merge_index(&self) -> Result<usize, StoreError> {
        let mut packs = Vec::new();
        for (id, _) in self.pack_ids()? {
            match self.open_pack(id) {
                Ok(pack) => packs.extend(pack),
                Err(e) if e.is_corruption() => {}
                Err(e) => return Err(e),
            }
        }
        if packs.is_empty() {
            self.inner.packs.delete(&[merged::FILE_NAME.to_owned()])?;
        } else {
            merged::build(&*self.inner.packs, &packs)?;
        }
        self.reload()?;
        Ok(packs.len())
    }

    /// How many packs lookups have to ask one by one because the merged index does not cover them.
    #[must_use]
    pub fn uncovered_packs(&self) -> usize {
        self.view().uncovered()
    }

    /// Whether there is a merged index and it cannot be used, so that lookups fail.
    #[must_use]
    pub fn merged_is_damaged(&self) -> bool {
        self.view().check_merged().is_err()
    }

    /// Whether there is a merged index, damaged or not.
    #[must_use]
    pub fn merged_exists(&self) -> bool {
        self.has_merged_index()
    }

    /// Removes the merged index; packs are asked one by one then.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_merged_index(&self) -> Result<(), StoreError> {
        self.inner.packs.delete(&[merged::FILE_NAME.to_owned()])?;
        self.reload().map(drop)
    }

    /// How many loose objects there are, counted up to `limit`.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn loose_count(&self, limit: usize) -> Result<usize, StoreError> {
        let mut count = 0;
        for byte in 0..=u8::MAX {
            if count >= limit {
                break;
            }
            self.inner.loose.for_each(byte..=byte, |_, _| {
                count += 1;
                Ok::<_, StoreError>(())
            })?;
        }
        Ok(count.min(limit))
    }
}
