//! What a writer relies on instead of writing it. Another process may have given it its name a moment ago and not yet
//! synced the folder; then a power cut would take it along, and with it the sense of what this writer has published.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::StoreError;
use super::odb::Odb;
use crate::object::Digest;

/// Folders that hold objects a writer relies on.
#[derive(Default)]
pub(super) struct Relied {
    packs: AtomicBool,
    /// One bit for each folder of loose objects.
    loose: [AtomicU64; 4],
}

impl Relied {
    /// Notes that an object is relied on where it lies.
    pub fn note(&self, digest: &Digest, loose: bool) {
        match loose {
            false => self.packs.store(true, Ordering::Relaxed),
            true => {
                let byte = digest.0[0];
                self.loose[usize::from(byte / 64)].fetch_or(1 << (byte % 64), Ordering::Relaxed);
            }
        }
    }

    /// Makes durable that what was noted is there. Files are synced before they get their names, so folders suffice.
    pub fn sync(&self, odb: &Odb) -> Result<(), StoreError> {
        if self.packs.load(Ordering::Relaxed) {
            odb.packs().sync()?;
        }
        let is_noted = |byte: u8| self.loose[usize::from(byte / 64)].load(Ordering::Relaxed) >> (byte % 64) & 1 == 1;
        (0..=u8::MAX).filter(|byte| is_noted(*byte)).try_for_each(|byte| odb.loose().sync(byte))
    }
}
