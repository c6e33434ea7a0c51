//! The journal that makes a change of several files atomic (`docs/format/refs.md`).
//!
//! Once it is in place the transaction has happened: whoever finds it carries it out, as often as need be.

use bincode::{Decode, Encode};

use crate::codec;
use crate::refs::{RefError, RefName, Target};

const MAGIC: &[u8; 8] = b"DITSREFJ";
const VERSION: u32 = 1;
const HEADER: usize = 16;

/// The longest journal, in bytes.
pub const MAX_JOURNAL: usize = 64 << 20;

/// A ref as a file: names that each worktree has for itself also need the worktree's id, `None` for the main one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Place {
    pub worktree: Option<String>,
    pub name: RefName,
}

/// A step that can be repeated without harm.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Step {
    /// Removes the ref and its log.
    Delete(Place),
    /// Writes the ref.
    Set(Place, Target),
    /// Cuts the log to `at` bytes and appends.
    Log { place: Place, at: u64, bytes: Vec<u8> },
}

impl Step {
    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Delete(place) | Self::Set(place, _) | Self::Log { place, .. } => place,
        }
    }
}

/// The journal's bytes: magic, version, CRC-32 of what follows, the steps.
pub(super) fn encode(steps: &[Step]) -> Result<Vec<u8>, RefError> {
    let body = codec::encode(&steps);
    if body.len() > MAX_JOURNAL {
        return Err(RefError::TooLarge(body.len()));
    }
    Ok([&MAGIC[..], &VERSION.to_le_bytes(), &crc32fast::hash(&body).to_le_bytes(), &body].concat())
}

/// Reads a journal.
///
/// # Errors
/// What is wrong with it.
pub fn decode(bytes: &[u8]) -> Result<Vec<Step>, String> {
    let (header, body) = bytes.split_at_checked(HEADER).ok_or("it is too short")?;
    if header[..8] != *MAGIC {
        return Err("it is no journal of refs".to_owned());
    }
    if header[8..12] != VERSION.to_le_bytes() {
        return Err("it is of a version this dits does not know".to_owned());
    }
    if header[12..] != crc32fast::hash(body).to_le_bytes() {
        return Err("its checksum does not fit".to_owned());
    }
    let steps: Vec<Step> = codec::decode::<_, MAX_JOURNAL>(body).map_err(|e| e.to_string())?;
    for id in steps.iter().filter_map(|step| step.place().worktree.as_ref()) {
        check_worktree(id)?;
    }
    Ok(steps)
}

/// Checks the id of a worktree, which is the name of a folder.
pub(super) fn check_worktree(id: &str) -> Result<(), String> {
    crate::path::check_component(id.as_bytes()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Digest;

    fn steps() -> Vec<Step> {
        let place = |worktree: Option<&str>, name| Place { worktree: worktree.map(str::to_owned), name };
        vec![
            Step::Delete(place(None, RefName::branch("a").unwrap())),
            Step::Set(place(None, RefName::tag("b").unwrap()), Target::Id(Digest([2; 32]))),
            Step::Log { place: place(Some("w"), RefName::head()), at: 300, bytes: b"x\n".to_vec() },
        ]
    }

    #[test]
    fn golden() {
        let bytes = encode(&steps()).unwrap();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let header = "444954535245464a01000000c03a8972";
        let delete = "00000f726566732f6272616e636865732f61";
        let set = "01000b726566732f746167732f62000202020202020202020202020202020202020202020202020202020202020202";
        let log = "020101770448454144fb2c0102780a";
        assert_eq!(hex, format!("{header}03{delete}{set}{log}"));
        assert_eq!(decode(&bytes).unwrap(), steps());
    }

    #[test]
    fn any_damage_is_found() {
        let good = encode(&steps()).unwrap();
        for at in 0..good.len() {
            assert!(decode(&good[..at]).is_err());
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(decode(&bad).is_err());
        }
        let outside = Place { worktree: Some("..".to_owned()), name: RefName::head() };
        assert!(decode(&encode(&[Step::Delete(outside)]).unwrap()).is_err());
    }
}
