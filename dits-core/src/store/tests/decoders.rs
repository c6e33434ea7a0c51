//! Decoders given anything: no panic, no allocation that a claim decides, and a clear word about what is too new.

use proptest::prelude::*;

use super::*;
use crate::store::frame::{Encoding, FrameError, HEADER_LEN, Header};
use crate::store::pack::layout::{TRAILER_LEN, Trailer, decode_header};
use crate::store::pack::merged::MergedHeader;
use crate::store::pack::page::decode_page;

/// A frame whose header says `change` and is otherwise whole.
fn frame_with(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let plain = noise(1, 100);
    let digest = ObjectKind::Chunk.digest(&plain);
    let header = Header::new(ObjectKind::Chunk, Encoding::Raw, digest, &plain, plain.len());
    let mut frame = [&header.encode()[..], &plain].concat();
    change(&mut frame[..HEADER_LEN - 4]);
    let crc = crc32fast::hash(&frame[..HEADER_LEN - 4]);
    frame[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
    frame
}

fn open(frame: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::new();
    Header::decode(frame)?.open(frame, &mut out).map(|()| out)
}

#[test]
fn what_is_too_new_is_called_so() {
    assert_eq!(open(&frame_with(|_| {})).unwrap(), noise(1, 100));
    let too_new = |at: usize, code: u8| matches!(open(&frame_with(|h| h[at] = code)), Err(FrameError::TooNew { .. }));
    assert!(too_new(4, 2), "version");
    assert!(too_new(5, 99), "kind");
    assert!(too_new(6, 2) && too_new(6, 3), "encoding");
    assert!(too_new(7, 1), "seal");
}

#[test]
fn lengths_have_limits() {
    for at in [41, 45] {
        let frame = frame_with(|h| h[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes()));
        assert!(matches!(open(&frame), Err(FrameError::TooLong { .. })));
    }
    let frame = frame_with(|h| h[45] += 1);
    assert!(matches!(open(&frame), Err(FrameError::Payload { .. })));
    let frame = frame_with(|h| h[9] ^= 1);
    assert_eq!(open(&frame), Err(FrameError::Digest));
    let frame = frame_with(|h| h[6] = Encoding::Zstd as u8);
    assert!(matches!(open(&frame), Err(FrameError::Payload { .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_taken_calmly(mut bytes in proptest::collection::vec(any::<u8>(), 0..5000), claim in any::<u32>()) {
        let _ = open(&bytes);
        let _ = decode_header(&bytes);
        let _ = condemned::Condemned::decode(&bytes);
        let _ = decode_page(&bytes, claim as usize % 100);
        if let Some(end) = bytes.last_chunk::<TRAILER_LEN>() {
            let _ = Trailer::decode(end, u64::from(claim));
        }
        // Beyond the magic and the version, with a claim of its own.
        if bytes.len() >= 24 {
            bytes[..8].copy_from_slice(b"ditsmidx");
            bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
            bytes[12..16].copy_from_slice(&claim.to_le_bytes());
        }
        let _ = MergedHeader::decode(&bytes);
    }
}
