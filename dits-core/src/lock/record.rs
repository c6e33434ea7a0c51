//! The locks of one path as bytes: `docs/format/locks.md`.

use super::{Lock, MAX_HOLDERS, MAX_NAME, MAX_REASON};
use crate::codec;

/// The version of the format: the first byte.
const VERSION: u8 = 1;
/// The longest record, in bytes.
pub const MAX_RECORD: usize = 4 << 20;

/// The locks of one path as bytes.
#[must_use]
pub fn encode(locks: &[Lock]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(codec::encode(&locks.to_vec()));
    bytes
}

/// Reads them back.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Lock>, String> {
    match bytes.split_first() {
        Some((&VERSION, body)) => {
            let locks: Vec<Lock> = codec::decode::<_, MAX_RECORD>(body).map_err(|e| e.to_string())?;
            check(&locks).map_err(str::to_owned)?;
            Ok(locks)
        }
        Some((version, _)) => Err(format!("version {version}; this dits reads version {VERSION}")),
        None => Err("no bytes".to_owned()),
    }
}

/// The rules that the types do not express.
///
/// # Errors
/// Which one is broken.
pub fn check(locks: &[Lock]) -> Result<(), &'static str> {
    let long = |text: &str, limit: usize| text.len() > limit;
    if locks.is_empty() || locks.len() > MAX_HOLDERS {
        return Err("nobody, or too many, hold one path");
    }
    let holders = locks.iter().map(|lock| &lock.holder);
    if holders.into_iter().any(|h| long(&h.name, MAX_NAME) || long(&h.host, MAX_NAME) || long(&h.folder, MAX_NAME)) {
        return Err("a holder's name, machine or folder is too long");
    }
    if locks.iter().any(|lock| long(&lock.reason, MAX_REASON)) {
        return Err("a reason is too long");
    }
    Ok(())
}
