//! Small files that change: refs, logs, the index, the condemned list.

use dits_core::index::{Base, decode_journal as decode_index_journal};
use dits_core::lock::{LocalLocks, record as lock_record_format};
use dits_core::overlay;
use dits_core::partial::{Promises, Shallow};
use dits_core::record::RecordKind;
use dits_core::refs::{decode_journal, epoch as lock_epoch_format, record as ref_record_format, reflog as log_format};
use dits_core::store::Condemned;

/// The condemned list, with the right checksum and as given: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn condemned(data: &[u8]) {
    let body = data.len().saturating_sub(32);
    let sealed = [&data[..body], blake3::hash(&data[..body]).as_bytes()].concat();
    for bytes in [data, &sealed] {
        if let Ok(list) = Condemned::decode(bytes) {
            assert_eq!(list.encode(), bytes);
        }
    }
}

/// The base of the staging index.
pub fn index_base(data: &[u8]) {
    if let Ok(base) = Base::open(data.to_vec()) {
        assert!(base.is_empty() || !data.is_empty());
    }
}

/// The journal of the staging index.
pub fn index_journal(data: &[u8]) {
    let _ = decode_index_journal(data);
}

/// The epoch of locks, sealed and as given: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn lock_epoch(data: &[u8]) {
    let sealed = [data, format!(" {:08x}\n", crc32fast::hash(data)).as_bytes()].concat();
    for bytes in [data, &sealed] {
        if let Ok(epoch) = lock_epoch_format::decode(bytes) {
            assert_eq!(lock_epoch_format::encode(&epoch).as_bytes(), bytes);
        }
    }
}

/// The locks of one path: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn lock_record(data: &[u8]) {
    if let Ok(locks) = lock_record_format::decode(data) {
        assert_eq!(lock_record_format::encode(&locks), data);
    }
}

/// What a clone knows of locks: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn lock_state(data: &[u8]) {
    if let Some(state) = LocalLocks::decode(data) {
        assert_eq!(state.encode(), data);
    }
}

/// The log of an overlay: as given, and one batch with the right header and checksum.
pub fn overlay_log(data: &[u8]) {
    let _ = overlay::replay(data);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&16_u64.to_le_bytes());
    crc.update(data);
    let (len, sum) = ((data.len() as u32).to_le_bytes(), crc.finalize().to_le_bytes());
    let head = [&b"DITSOVLY"[..], &1_u32.to_le_bytes(), &[0; 4]].concat();
    let _ = overlay::replay(&[&head, &len[..], &sum, data].concat());
}

/// The journal of refs, with the right header and as given.
pub fn ref_journal(data: &[u8]) {
    let _ = decode_journal(data);
    let sum = crc32fast::hash(data).to_le_bytes();
    let _ = decode_journal(&[b"DITSREFJ", &1_u32.to_le_bytes()[..], &sum, data].concat());
}

/// The promises of remotes, with the right frame and as given: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn promised(data: &[u8]) {
    for bytes in [data, &RecordKind { magic: *b"DITSPROM", version: 1 }.encode(data)] {
        if let Ok(promises) = Promises::decode(bytes) {
            assert_eq!(promises.encode(), bytes);
        }
    }
}

/// Where history ends, with the right frame and as given: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn shallow(data: &[u8]) {
    for bytes in [data, &RecordKind { magic: *b"DITSSHAL", version: 1 }.encode(data)] {
        if let Ok(shallow) = Shallow::decode(bytes) {
            assert_eq!(shallow.encode(), bytes);
        }
    }
}

/// A ref: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn ref_record(data: &[u8]) {
    if let Ok(target) = ref_record_format::decode(data) {
        assert_eq!(ref_record_format::encode(&target).as_bytes(), data);
    }
}

/// A log and its lines.
///
/// # Panics
/// When more lines come out than go in.
pub fn reflog(data: &[u8]) {
    let _ = log_format::decode(data);
    assert!(log_format::whole_len(data) <= data.len());
    if let Ok(entries) = log_format::newest(data, 10) {
        assert!(entries.len() <= data.iter().filter(|byte| **byte == b'\n').count().min(10));
    }
}

/// A framed record: what decodes is what was framed.
///
/// # Panics
/// When that law is broken.
pub fn record(data: &[u8]) {
    let kind = RecordKind { magic: *b"DITSFUZZ", version: 1 };
    assert_eq!(kind.decode(&kind.encode(data)), Ok(data));
    if let Ok(payload) = kind.decode(data) {
        assert_eq!(kind.encode(payload), data);
    }
}
