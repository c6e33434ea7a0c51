//! What a receiver holds of transfers that did not end: kept, found again, and told to the next sender.

use std::fs;
use std::io;
use std::path::PathBuf;

use dits_core::durable::IoContext;
use dits_core::object::Digest;
use dits_core::store::{Store, StoreError, StoreWriter};

use crate::error::SyncError;
use crate::wire::IdFilter;

/// Shows that a transfer stopped half-way, so that the next one says what is held. A hint: without it metadata comes twice.
fn marker(store: &Store) -> PathBuf {
    store.dits_dir().join("transfer-stopped")
}

/// Takes over what killed processes left unfinished; says whether there is anything of a transfer that stopped.
pub(crate) fn adopt(store: &Store) -> Result<bool, SyncError> {
    let content = store.content.adopt_unfinished()?;
    let meta = store.meta.adopt_unfinished()?;
    if content.objects + meta.objects > 0 {
        mark(store)?;
    }
    Ok(marker(store).exists())
}

/// Keeps what came before a transfer broke off.
pub(crate) fn keep(store: &Store, writer: StoreWriter) -> Result<(), SyncError> {
    mark(store)?;
    // Nothing refers to it yet; garbage collection spares it for its grace period.
    drop(writer.finish()?.guard);
    Ok(())
}

fn mark(store: &Store) -> Result<(), SyncError> {
    let file = marker(store);
    fs::write(&file, b"").at("write", &file).map_err(StoreError::from)?;
    Ok(())
}

/// A transfer has ended well.
pub(crate) fn forget(store: &Store) -> Result<(), SyncError> {
    let file = marker(store);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).at("remove", &file).map_err(StoreError::from)?;
        }
        _ => {}
    }
    Ok(())
}

/// A filter of all metadata that is there; `None` when there is none, or too much.
pub(crate) fn filter(store: &Store) -> Result<Option<IdFilter>, SyncError> {
    let packed: u64 = store.meta.pack_list()?.iter().map(|pack| pack.entries).sum();
    if packed > IdFilter::MAX_IDS as u64 {
        return Ok(None);
    }
    let mut ids: Vec<Digest> = Vec::new();
    store.meta.for_each(|digest, _| {
        ids.push(*digest);
        Ok::<_, StoreError>(())
    })?;
    ids.sort_unstable();
    ids.dedup();
    Ok(IdFilter::of(&ids, seed()?))
}

fn seed() -> Result<[u8; 32], SyncError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        let source = io::Error::other(error.to_string());
        let path = PathBuf::from("the system's random source");
        StoreError::from(dits_core::durable::IoError { op: "read", path, source })
    })?;
    Ok(seed)
}
