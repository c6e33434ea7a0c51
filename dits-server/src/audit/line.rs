//! One line, and how lines are bound together.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The version of a line.
const VERSION: u32 = 1;
const CONTEXT: &str = "dits 2026 server audit line v1";
/// What stands between a line's content and its hash.
const HASH_KEY: &str = ",\"hash\":\"";
/// What follows the hash.
const END: &str = "\"}";
const DIGITS: usize = 64;

/// A ref that a push moved, or did not.
#[derive(Clone, Debug, Serialize)]
pub struct RefChange {
    /// Its name.
    #[serde(rename = "ref")]
    pub name: String,
    /// What it was.
    pub old: Option<String>,
    /// What it is, or was to be.
    pub new: Option<String>,
    /// Whether commits might be left behind.
    pub force: bool,
    /// Why it did not move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    /// What: `push`, `token-create`, …
    pub event: &'static str,
    /// In which repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Who did it: `token ada`, `admin`, `anonymous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Refs that moved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<RefChange>,
    /// Refs that did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefChange>,
    /// Objects transferred or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// Bytes transferred or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    v: u32,
    seq: u64,
    time: i64,
    #[serde(flatten)]
    record: &'a Record,
    prev: &'a str,
}

/// Where a log ends: the number and the hash of its last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number; 0 before the first line.
    pub seq: u64,
    /// The hash, in hexadecimal.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(DIGITS) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for Head {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (seq, hash) = text.trim_end().split_once(':').ok_or("it is not written SEQ:HASH")?;
        let seq = seq.parse().map_err(|_| "its number is none")?;
        if hash.len() != DIGITS || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("its hash is not 64 hexadecimal digits");
        }
        Ok(Self { seq, hash: hash.to_ascii_lowercase() })
    }
}

/// A line that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where the log ends with it.
    pub head: Head,
    /// The hash of the line before it.
    pub prev: String,
}

/// Writes the line that follows `head`, with its line break, and says where the log ends then.
#[must_use]
pub fn encode(head: &Head, time: i64, record: &Record) -> (String, Head) {
    let body = Body { v: VERSION, seq: head.seq + 1, time, record, prev: &head.hash };
    let mut text = serde_json::to_string(&body).expect("strings and numbers always have a JSON form");
    text.pop();
    let hash = hash_of(&text);
    (format!("{text}{HASH_KEY}{hash}{END}\n"), Head { seq: head.seq + 1, hash })
}

/// Reads a line without its line break, and checks that it is as it was written.
///
/// # Errors
/// What is wrong with it.
pub fn decode(line: &[u8]) -> Result<Link, &'static str> {
    #[derive(Deserialize)]
    struct Bound {
        v: u32,
        seq: u64,
        prev: String,
    }
    let text = str::from_utf8(line).map_err(|_| "it is not text")?;
    let tail = HASH_KEY.len() + DIGITS + END.len();
    let at = text.len().checked_sub(tail).filter(|at| text.is_char_boundary(*at)).ok_or("it is too short")?;
    let (body, tail) = text.split_at(at);
    let hash = tail.strip_prefix(HASH_KEY).and_then(|rest| rest.strip_suffix(END)).ok_or("it has no hash")?;
    if hash_of(body) != hash {
        return Err("it was changed: its hash does not match");
    }
    let bound: Bound = serde_json::from_str(text).map_err(|_| "it is no audit record")?;
    match bound.v {
        VERSION => Ok(Link { head: Head { seq: bound.seq, hash: hash.to_owned() }, prev: bound.prev }),
        _ => Err("it was written by another version of dits-server"),
    }
}

fn hash_of(body: &str) -> String {
    blake3::Hash::from_bytes(blake3::derive_key(CONTEXT, body.as_bytes())).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_frozen() {
        let change = RefChange {
            name: "refs/branches/main".into(),
            old: None,
            new: Some("ab".repeat(32)),
            force: false,
            why: None,
        };
        let record = Record {
            event: "push",
            repository: Some("film".into()),
            who: Some("token ada".into()),
            peer: Some("192.0.2.1:5".into()),
            moved: vec![change.clone()],
            refused: vec![RefChange { why: Some("protected \"x\"\n".into()), ..change }],
            objects: Some(3),
            bytes: Some(4096),
            note: None,
        };
        let (line, head) = encode(&Head { seq: 6, hash: "cd".repeat(32) }, 1_795_174_496, &record);
        assert_eq!(line, include_str!("../../../tests/golden/server/audit-line"));
        let link = decode(line.trim_end().as_bytes()).unwrap();
        assert_eq!((link.head, link.prev), (head, "cd".repeat(32)));
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let (line, _) = encode(&Head::default(), 1, &Record { event: "serve", ..Record::default() });
        let line = line.trim_end().as_bytes();
        for at in 0..line.len() {
            let mut changed = line.to_vec();
            changed[at] ^= 1;
            assert!(decode(&changed).is_err(), "flip at {at}");
            assert!(decode(&line[..at]).is_err(), "cut at {at}");
        }
    }
}
