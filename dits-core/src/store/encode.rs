//! The one place where the store compresses and decompresses.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

use super::frame::Encoding;

/// What the caller knows about an object's bytes that spares work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// The bytes are compressed already; compressing them again does not pay.
    pub precompressed: bool,
}

thread_local! {
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses `plain` at `level` (0: never) into `out`, where it saves at least 3 %. With [`Encoding::Raw`] the payload
/// is `plain` itself and `out` means nothing.
///
/// # Errors
/// When the compressor fails, which means a level it does not know or no memory.
pub(super) fn encode(level: i32, hint: Hint, plain: &[u8], out: &mut Vec<u8>) -> io::Result<Encoding> {
    // Shorter than this, zstd's own header eats what it could save.
    if level == 0 || hint.precompressed || plain.len() < 32 {
        return Ok(Encoding::Raw);
    }
    let len = COMPRESSOR.with_borrow_mut(|slot| {
        let reused = slot.take().filter(|(made_for, _)| *made_for == level);
        let (_, compressor) = match reused {
            Some(pair) => slot.insert(pair),
            None => slot.insert((level, Compressor::new(level)?)),
        };
        out.clear();
        out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        compressor.compress_to_buffer(plain, out)
    })?;
    Ok(if len <= plain.len() - plain.len() / 32 { Encoding::Zstd } else { Encoding::Raw })
}

/// Decompresses one zstd frame of exactly `plain_len` bytes into `out`, which is empty.
pub(super) fn unzstd(payload: &[u8], plain_len: usize, out: &mut Vec<u8>) -> io::Result<()> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new()?),
        };
        out.reserve_exact(plain_len);
        decompressor.decompress_to_buffer(payload, out).map(|_| ())
    })
}
