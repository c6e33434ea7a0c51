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
    bytes.extend(codec::encode(&locks));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{CloneId, Fence, FileVersion, Holder, LockKind, Release, Retained};
    use crate::object::{CommitId, Digest};
    use crate::path::RepoPath;
    use crate::refs::RefName;

    fn lock(name: &str) -> Lock {
        let branch = RefName::branch("light").unwrap();
        Lock {
            path: RepoPath::parse(b"Maps/Level_01.umap").unwrap(),
            holder: Holder {
                name: name.to_owned(),
                clone: CloneId([7; 16]),
                host: "ws-7".to_owned(),
                folder: "/home/ada/film".to_owned(),
            },
            kind: LockKind::Exclusive,
            branch: Some(branch.clone()),
            reason: "light".to_owned(),
            since: 1_767_323_045,
            expires: None,
            fence: Fence { epoch: 2, counter: 300 },
            release: Release::Merge,
            retained: Some(Retained {
                branch,
                commit: CommitId::from_digest(Digest([3; 32])),
                version: Some(FileVersion(Digest([4; 32]))),
            }),
        }
    }

    #[test]
    fn golden() {
        let golden = include_str!("../../../tests/golden/locks/record.hex").trim();
        let bytes = encode(&[lock("ada")]);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden);
        assert_eq!(decode(&bytes).unwrap(), [lock("ada")]);
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        assert!(decode(&[]).is_err() && decode(&[2, 0]).unwrap_err().contains("version 2"));
        assert!(decode(&encode(&[])).is_err(), "a path that nobody has locked has no record");
        assert!(decode(&encode(&vec![lock("a"); MAX_HOLDERS])).is_ok());
        assert!(decode(&encode(&vec![lock("a"); MAX_HOLDERS + 1])).is_err());
        assert!(decode(&encode(&[lock(&"x".repeat(MAX_NAME))])).is_ok());
        assert!(decode(&encode(&[lock(&"x".repeat(MAX_NAME + 1))])).is_err());
        let reason = |len: usize| Lock { reason: "x".repeat(len), ..lock("a") };
        assert!(decode(&encode(&[reason(MAX_REASON)])).is_ok() && decode(&encode(&[reason(MAX_REASON + 1)])).is_err());
    }
}
