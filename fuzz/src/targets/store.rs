//! Frames, packs and their indexes.

use dits_core::compress::{self, Encoding};
use dits_core::store::frame::Header;
use dits_core::store::pack::layout::{HEADER_LEN, TRAILER_LEN, Trailer, decode_header};
use dits_core::store::pack::merged::MergedHeader;
use dits_core::store::pack::page::{PAGE, PER_PAGE, decode_page, encode_page, intact};

/// The longest content asked for, in bytes.
const PLAIN: usize = 1 << 20;

/// Replaces the four bytes at `at` by the checksum of what is before them.
fn seal(bytes: &mut [u8], at: usize) {
    if let Some((body, sum)) = bytes.split_at_mut_checked(at)
        && let Some(sum) = sum.first_chunk_mut::<4>()
    {
        *sum = crc32fast::hash(body).to_le_bytes();
    }
}

/// Frames, with a header whose checksum is right and as given.
pub fn frame(data: &[u8]) {
    let mut out = Vec::new();
    let mut sealed = data.to_vec();
    seal(&mut sealed, dits_core::store::frame::HEADER_LEN - 4);
    for bytes in [data, &sealed] {
        if let Ok(header) = Header::decode(bytes) {
            let _ = header.open(bytes, &mut out);
            assert!(out.len() <= dits_core::object::MAX_METADATA);
        }
    }
}

/// Stored bytes: the first three say the encoding and the length.
///
/// # Panics
/// When more comes out than was asked for.
pub fn compress(data: &[u8]) {
    let Some(([encoding, low, high], stored)) = data.split_first_chunk() else { return };
    let Some(encoding) = Encoding::from_code(*encoding) else { return };
    let plain_len = (usize::from(*low) | usize::from(*high) << 8).min(PLAIN);
    let mut out = Vec::new();
    if compress::decode(encoding, stored, plain_len, &mut out).is_ok() {
        assert_eq!(out.len(), plain_len);
    }
    assert!(out.capacity() <= 2 * PLAIN);
}

/// The length of the pack that a trailer is the end of, if it tells the truth.
#[must_use]
pub fn fitting(trailer: &[u8; TRAILER_LEN]) -> u64 {
    let number = |at: usize| trailer[at..at + 8].iter().rev().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    let pages = number(8).div_ceil(PER_PAGE as u64).saturating_mul(PAGE as u64);
    number(0).saturating_add(pages).saturating_add(TRAILER_LEN as u64)
}

/// The beginning of a pack and its end.
///
/// # Panics
/// When a trailer is taken that does not fit the length.
pub fn pack(data: &[u8]) {
    let mut sealed = data.to_vec();
    seal(&mut sealed, HEADER_LEN - 4);
    let _ = (decode_header(data), decode_header(&sealed));
    let Some(end) = data.last_chunk::<TRAILER_LEN>() else { return };
    let mut sealed = *end;
    seal(&mut sealed, TRAILER_LEN - 12);
    for (bytes, len) in [(end, fitting(end)), (&sealed, fitting(&sealed)), (&sealed, data.len() as u64)] {
        if let Ok(trailer) = Trailer::decode(bytes, len) {
            assert_eq!(trailer.end(), Some(len));
        }
    }
}

/// A page of a pack's index: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn page(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else { return };
    let mut page = rest.to_vec();
    page.resize(PAGE, 0);
    seal(&mut page, PAGE - 4);
    let _ = decode_page(rest, usize::from(*count));
    let _ = intact(&page);
    if let Some(entries) = decode_page(&page, usize::from(*count) % (PER_PAGE + 1)) {
        let again = encode_page(&entries);
        assert_eq!(decode_page(&again, entries.len()), Some(entries));
    }
}

/// The header of a merged index: what decodes, encodes to a whole header again.
///
/// # Panics
/// When that law is broken.
pub fn merged(data: &[u8]) {
    if let Ok(header) = MergedHeader::decode(data) {
        assert_eq!(MergedHeader::decode(&header.encode()), Ok(header));
    }
    // With the checksum of as many packs as it claims, where there are that many.
    let claimed = data.get(12..16).and_then(|n| n.first_chunk::<4>()).map(|n| u32::from_le_bytes(*n) as usize);
    let mut sealed = data.to_vec();
    if let Some(at) = claimed.and_then(|count| count.checked_mul(32)?.checked_add(24)) {
        seal(&mut sealed, at);
    }
    let _ = MergedHeader::decode(&sealed);
}
