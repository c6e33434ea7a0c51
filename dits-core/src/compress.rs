//! Compression of what is stored: zstd, one frame for each object, where it pays.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use crate::object::{MAX_CHUNK, MAX_METADATA};

/// The longest plain bytes that are ever decompressed.
const MAX_PLAIN: usize = if MAX_CHUNK > MAX_METADATA { MAX_CHUNK } else { MAX_METADATA };
/// Shorter bytes than this are stored as they are: zstd's header eats what it could save.
const SHORTEST: usize = 32;
/// Compressing has to save one part in so many.
const LEAST_SAVING: usize = 40;
/// Bytes that [`byte_entropy`] looks at, and the length of the pieces they come in.
const SAMPLE: usize = 4096;
const PIECE: usize = 256;
/// Bits per byte from which on compressing is not tried: coding bytes by their frequency cannot save `LEAST_SAVING` then.
/// Random-looking bytes that repeat within one object are missed; content-defined chunking has few of them.
const INCOMPRESSIBLE: f64 = 7.8;

/// How an object's bytes are stored. The number is part of the frame format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// As they are.
    Raw = 0,
    /// As one zstd frame without a dictionary, which states the plain length.
    Zstd = 1,
}

impl Encoding {
    /// The encoding with this number, if this version of dits knows it.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Raw, Self::Zstd].into_iter().find(|known| *known as u8 == code)
    }
}

/// Whether to compress, and how hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Not at all: for what is known to be compressed already, and for `core.compression = 0`.
    Never,
    /// With this zstd level, 1 to 22; others are taken to mean the nearest of these.
    Level(i32),
}

impl Policy {
    /// The meaning of `core.compression`: 0 is never, 1 to 22 a zstd level. Nothing for other numbers.
    #[must_use]
    pub fn from_setting(setting: u64) -> Option<Self> {
        match setting {
            0 => Some(Self::Never),
            1..=22 => Some(Self::Level(setting as i32)),
            _ => None,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::Level(1)
    }
}

/// Compresses one object after the other with the memory of the first. One per thread.
#[derive(Default)]
pub struct Encoder {
    compressor: Option<(i32, Compressor<'static>)>,
}

impl Encoder {
    /// An encoder that takes its memory at first use.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses `plain` into `out` if that pays. With [`Encoding::Raw`] `out` is left empty: what is to be stored is
    /// `plain` itself. Whatever goes wrong inside zstd (there may be no memory) also means [`Encoding::Raw`].
    pub fn encode(&mut self, policy: Policy, plain: &[u8], out: &mut Vec<u8>) -> Encoding {
        out.clear();
        let Policy::Level(level) = policy else { return Encoding::Raw };
        if plain.len() < SHORTEST || byte_entropy(plain) >= INCOMPRESSIBLE {
            return Encoding::Raw;
        }
        if self.compress(level.clamp(1, 22), plain, out).is_err()
            || out.len() > plain.len() - plain.len() / LEAST_SAVING
        {
            out.clear();
            return Encoding::Raw;
        }
        Encoding::Zstd
    }

    fn compress(&mut self, level: i32, plain: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        let (made_for, compressor) = match &mut self.compressor {
            Some(pair) => pair,
            slot => slot.insert((level, Compressor::new(level)?)),
        };
        if *made_for != level {
            compressor.set_compression_level(level)?;
            *made_for = level;
        }
        out.reserve(zstd_safe::compress_bound(plain.len()));
        compressor.compress_to_buffer(plain, out).map(|_| ())
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("level", &self.compressor.as_ref().map(|(level, _)| level)).finish()
    }
}

/// Shannon's entropy of single bytes, in bits per byte, estimated from up to [`SAMPLE`] bytes taken from all over `data`.
/// A sample looks less random than what it is taken from; the estimate is corrected for that (Miller, 1955).
fn byte_entropy(data: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    let mut count = |piece: &[u8]| piece.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    if data.len() <= SAMPLE {
        count(data);
    } else {
        let pieces = SAMPLE / PIECE;
        (0..pieces).for_each(|i| count(&data[(data.len() - PIECE) * i / (pieces - 1)..][..PIECE]));
    }
    let total = data.len().min(SAMPLE) as f64;
    let (mut weighted, mut seen) = (0.0, 0.0);
    for count in counts.into_iter().filter(|count| *count > 0).map(f64::from) {
        weighted += count * count.log2();
        seen += 1.0;
    }
    total.log2() - weighted / total + (seen - 1.0) / (2.0 * total * std::f64::consts::LN_2)
}

/// Stored bytes that are not what an encoder makes of so many plain bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// More plain bytes than any object has.
    #[error("{0} plain bytes, where at most {MAX_PLAIN} are allowed")]
    TooLong(usize),
    /// The stored bytes stand for another number of plain bytes.
    #[error("{found} plain bytes, where there should be {wanted}")]
    Length {
        /// How many there would be.
        found: u64,
        /// How many there should be.
        wanted: usize,
    },
    /// They do not begin like the zstd frames that dits writes.
    #[error("not a zstd frame that states its length and needs no dictionary")]
    Header,
    /// The frame asks for more memory than its plain bytes take.
    #[error("the zstd frame asks for a window of {0} bytes, more than its content takes")]
    Window(u64),
    /// The frame does not end where the stored bytes end.
    #[error("the zstd frame is cut off, or bytes follow it")]
    Extent,
    /// zstd cannot make sense of it.
    #[error("the zstd frame is damaged: {0}")]
    Damaged(String),
}

thread_local! {
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::default();
}

/// Turns what [`Encoder::encode`] chose to store back into the plain bytes. `out` is overwritten and never gets longer
/// than `plain_len`; after an error it is empty.
///
/// # Errors
/// When `stored` does not stand for exactly `plain_len` bytes, or would need more memory than that.
pub fn decode(encoding: Encoding, stored: &[u8], plain_len: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
    if plain_len > MAX_PLAIN {
        out.clear();
        return Err(DecompressError::TooLong(plain_len));
    }
    let result = match encoding {
        Encoding::Raw if stored.len() == plain_len => {
            out.clear();
            out.extend_from_slice(stored);
            Ok(())
        }
        Encoding::Raw => Err(DecompressError::Length { found: stored.len() as u64, wanted: plain_len }),
        Encoding::Zstd => check_header(stored, plain_len).and_then(|()| unzstd(stored, plain_len, out)),
    };
    if result.is_err() {
        out.clear();
    }
    result
}

fn unzstd(stored: &[u8], plain_len: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
    if zstd_safe::find_frame_compressed_size(stored) != Ok(stored.len()) {
        return Err(DecompressError::Extent);
    }
    // A slice rather than the Vec, of which zstd would fill the whole capacity.
    out.resize(plain_len, 0);
    let found =
        DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.decompress_to_buffer(stored, out.as_mut_slice()));
    match found {
        Ok(found) if found == plain_len => Ok(()),
        Ok(found) => Err(DecompressError::Length { found: found as u64, wanted: plain_len }),
        Err(error) => Err(DecompressError::Damaged(error.to_string())),
    }
}

/// Checks the frame header of RFC 8878, section 3.1.1.1, before zstd acts on it: the content size is stated and right,
/// there is no dictionary, and the window is no larger than the content (rounded up to a power of two, 1 KiB at least).
fn check_header(stored: &[u8], plain_len: usize) -> Result<(), DecompressError> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    const SINGLE_SEGMENT: u8 = 0b0010_0000;
    const DICTIONARY: u8 = 0b11;
    let Some([descriptor, window, ..]) = stored.strip_prefix(&MAGIC) else { return Err(DecompressError::Header) };
    let stated = zstd_safe::get_frame_content_size(stored).ok().flatten();
    let stated = stated.filter(|_| descriptor & DICTIONARY == 0).ok_or(DecompressError::Header)?;
    if stated != plain_len as u64 {
        return Err(DecompressError::Length { found: stated, wanted: plain_len });
    }
    if descriptor & SINGLE_SEGMENT == 0 {
        let base = 1_u64 << (10 + (window >> 3));
        let size = base + base / 8 * u64::from(window & 7);
        if size > (plain_len as u64).next_power_of_two().max(1 << 10) {
            return Err(DecompressError::Window(size));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
