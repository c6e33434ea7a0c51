//! Threads that verify chunks and store them.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use crossbeam_channel::Receiver;
use dits_core::progress::Progress;
use dits_core::store::StoreWriter;
use dits_core::store::frame::{FrameError, Header};

use super::failure::FirstFailure;
use crate::error::SyncError;

/// Frames of chunks in one message: where each begins, and its header.
pub(super) struct Batch {
    pub message: Bytes,
    pub frames: Vec<(usize, Header)>,
}

/// What chunks amount to.
#[derive(Default)]
pub(super) struct ChunkCounters {
    pub chunks: AtomicU64,
    pub plain: AtomicU64,
    pub stored: AtomicU64,
}

impl ChunkCounters {
    pub(super) fn add(&self, header: &Header) {
        self.chunks.fetch_add(1, Ordering::Relaxed);
        self.plain.fetch_add(u64::from(header.plain_len), Ordering::Relaxed);
        self.stored.fetch_add(header.frame_len() as u64, Ordering::Relaxed);
    }
}

/// Verifies and stores batches until there are no more. After a failure the rest is thrown away, so that nobody waits.
pub(super) fn store_batches(
    batches: &Receiver<Batch>,
    done: &AtomicU64,
    writer: &StoreWriter,
    counters: &ChunkCounters,
    progress: &dyn Progress,
    failure: &FirstFailure,
) {
    let mut plain = Vec::new();
    for batch in batches {
        if !failure.is_set()
            && let Err(error) = store_batch(&batch, writer, counters, progress, &mut plain)
        {
            failure.set(error);
        }
        done.fetch_add(1, Ordering::Release);
    }
}

fn store_batch(
    batch: &Batch,
    writer: &StoreWriter,
    counters: &ChunkCounters,
    progress: &dyn Progress,
    plain: &mut Vec<u8>,
) -> Result<(), SyncError> {
    for (at, header) in &batch.frames {
        let frame = &batch.message[*at..*at + header.frame_len()];
        open(header, frame, plain)?;
        writer.half(header.kind).put_frame(header, frame)?;
        counters.add(header);
        progress.advance(header.frame_len() as u64, 1);
    }
    Ok(())
}

/// Decodes and verifies a frame from the other side.
pub(super) fn open(header: &Header, frame: &[u8], plain: &mut Vec<u8>) -> Result<(), SyncError> {
    header.open(frame, plain).map_err(|error: FrameError| SyncError::DamagedObject {
        kind: header.kind,
        digest: header.digest,
        what: error.to_string(),
    })
}
