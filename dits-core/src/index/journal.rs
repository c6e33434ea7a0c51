//! The changes since the base was written (`docs/format/index.md`).

use super::base::Generation;
use super::entry::{self, Entry, RECORD, Stage};
use crate::object::{Digest, TreeId};
use crate::path::RepoPath;

const MAGIC: &[u8; 8] = b"DITSIDXJ";
const VERSION: u32 = 1;
/// The length of the header, in bytes.
pub(super) const HEADER: usize = 48;
const FRAME: usize = 8;

/// A change of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The entry is added, or replaces the one with its path and stage.
    Put(Entry),
    /// The entry with this path and stage is gone.
    Remove(RepoPath, Stage),
    /// The tree that the index now is equal to, if known.
    Tree(Option<TreeId>),
}

/// The journal of a base, read.
#[derive(Debug, PartialEq, Eq)]
pub struct Journal {
    /// The base it belongs to.
    pub generation: [u8; 16],
    /// All changes, oldest first.
    pub records: Vec<Record>,
    /// Up to where it is whole. What follows was not written completely.
    pub whole_len: u64,
}

/// The generation a journal belongs to and how many of its bytes were acknowledged.
fn read_header(bytes: &[u8]) -> Result<(Generation, u64), String> {
    let header: &[u8; HEADER] = bytes.first_chunk().ok_or("it is shorter than its header")?;
    if header[..8] != *MAGIC {
        return Err("it is no journal of an index".to_owned());
    }
    if header[8..12] != VERSION.to_le_bytes() || header[12..16] != [0; 4] || header[40..44] != [0; 4] {
        return Err("it is of a version this dits does not know".to_owned());
    }
    if header[44..] != crc32fast::hash(&header[..44]).to_le_bytes() {
        return Err("the checksum of its header does not fit".to_owned());
    }
    let (mut generation, mut acknowledged) = ([0; 16], [0; 8]);
    generation.copy_from_slice(&header[16..32]);
    acknowledged.copy_from_slice(&header[32..40]);
    Ok((generation, u64::from_le_bytes(acknowledged)))
}

/// The header of a journal whose first `acknowledged` bytes are durable.
pub(super) fn header(generation: &Generation, acknowledged: u64) -> Vec<u8> {
    let mut header = [&MAGIC[..], &VERSION.to_le_bytes(), &[0; 4], generation].concat();
    header.extend(acknowledged.to_le_bytes());
    header.extend([0; 4]);
    header.extend(crc32fast::hash(&header).to_le_bytes());
    header
}

/// A batch of changes as it stands at byte `at` of the journal of this generation: all of it counts, or none.
pub(super) fn frame(generation: &Generation, at: u64, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a batch over a quarter of the base becomes a new base");
    [&len.to_le_bytes()[..], &frame_checksum(generation, at, body), body].concat()
}

fn frame_checksum(generation: &Generation, at: u64, body: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(generation);
    crc.update(&at.to_le_bytes());
    crc.update(&(body.len() as u64).to_le_bytes());
    crc.update(body);
    crc.finalize().to_le_bytes()
}

/// Reads a journal.
///
/// # Errors
/// What is wrong with it. A batch that is not whole is an error only if it was acknowledged.
pub fn decode(bytes: &[u8]) -> Result<Journal, String> {
    let (generation, acknowledged) = read_header(bytes)?;
    let (mut records, mut at) = (Vec::new(), HEADER);
    while let Some(body) = whole_frame(&generation, bytes, at) {
        read_records(body, &mut records).map_err(|what| format!("the batch at byte {at}: {what}"))?;
        at += FRAME + body.len();
    }
    if (at as u64) < acknowledged {
        return Err(format!("the batch at byte {at} is not whole, though it was once"));
    }
    Ok(Journal { generation, records, whole_len: at as u64 })
}

fn whole_frame<'a>(generation: &Generation, bytes: &'a [u8], at: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.get(at..)?.split_first_chunk::<FRAME>()?;
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let body = rest.get(..usize::try_from(len).ok()?)?;
    (head[4..] == frame_checksum(generation, at as u64, body)).then_some(body)
}

impl Record {
    /// Appends the record's bytes.
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Self::Put(entry) => {
                to.push(1);
                let mut strings = Vec::new();
                entry.view().encode(0, to, &mut strings);
                to.extend(strings);
            }
            Self::Remove(path, stage) => {
                let len = u16::try_from(path.as_bytes().len()).expect("a path has at most 4095 bytes");
                to.extend([2, *stage as u8]);
                to.extend(len.to_le_bytes());
                to.extend(path.as_bytes());
            }
            Self::Tree(tree) => {
                to.extend([3, u8::from(tree.is_some())]);
                to.extend(tree.map_or([0; 32], |tree| tree.digest().0));
            }
        }
    }
}

fn read_records(mut body: &[u8], records: &mut Vec<Record>) -> Result<(), String> {
    while let Some((kind, rest)) = body.split_first() {
        let (record, rest) = match kind {
            1 => read_put(rest)?,
            2 => read_remove(rest)?,
            3 => read_tree(rest)?,
            _ => return Err("an unknown kind of record".to_owned()),
        };
        records.push(record);
        body = rest;
    }
    Ok(())
}

fn read_put(bytes: &[u8]) -> Result<(Record, &[u8]), String> {
    let (record, rest) = bytes.split_first_chunk::<RECORD>().ok_or("an entry is cut off")?;
    let (at, path_len, link_len) = entry::strings_of(record);
    if at != 0 {
        return Err("an entry's path is not where it must be".to_owned());
    }
    let (strings, rest) = rest.split_at_checked(path_len + link_len).ok_or("an entry is cut off")?;
    let view = entry::decode(record, strings)?;
    RepoPath::parse(view.path).map_err(|e| e.to_string())?;
    Ok((Record::Put(view.to_entry()), rest))
}

fn read_remove(bytes: &[u8]) -> Result<(Record, &[u8]), String> {
    let ([stage, low, high], rest) = bytes.split_first_chunk().ok_or("a removal is cut off")?;
    let len = usize::from(u16::from_le_bytes([*low, *high]));
    let (path, rest) = rest.split_at_checked(len).ok_or("a removal is cut off")?;
    let stage = Stage::ALL.get(usize::from(*stage)).ok_or("an unknown stage")?;
    Ok((Record::Remove(RepoPath::parse(path).map_err(|e| e.to_string())?, *stage), rest))
}

fn read_tree(bytes: &[u8]) -> Result<(Record, &[u8]), String> {
    let (record, rest) = bytes.split_first_chunk::<33>().ok_or("a tree is cut off")?;
    let mut id = Digest([0; 32]);
    id.0.copy_from_slice(&record[1..]);
    match record[0] {
        0 if id.0 == [0; 32] => Ok((Record::Tree(None), rest)),
        1 => Ok((Record::Tree(Some(TreeId::from_digest(id))), rest)),
        _ => Err("a tree that is neither known nor unknown".to_owned()),
    }
}
