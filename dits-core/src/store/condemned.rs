//! The condemned list: what garbage collection is about to remove. See `docs/format/store.md`.

use std::path::Path;

use super::StoreError;
use super::pack::layout::PackId;
use crate::durable;
use crate::object::Digest;

/// Its name in `.dits`.
pub const FILE_NAME: &str = "condemned";
const MAGIC: [u8; 8] = *b"ditscond";
const VERSION: u32 = 1;
/// Magic, version, generation, time.
const FIXED: usize = 28;
/// No list is longer than this many bytes.
const MAX_LEN: u64 = 1 << 36;

/// A sorted set of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestSet(Vec<Digest>);

impl DigestSet {
    /// The set of these names, given in any order.
    #[must_use]
    pub fn new(mut digests: Vec<Digest>) -> Self {
        digests.sort_unstable();
        digests.dedup();
        Self(digests)
    }

    /// Whether a name is in it.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.0.binary_search(digest).is_ok()
    }

    /// The names in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Digest] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is condemned in one object database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CondemnedSet {
    /// The packs there were when the list was made. Copies in later packs are not condemned.
    pub packs: Vec<PackId>,
    /// The names.
    pub digests: std::sync::Arc<DigestSet>,
}

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condemned {
    /// Rises with every publication; 0 while there was none.
    pub generation: u64,
    /// When it was published, in seconds since 1970.
    pub published: i64,
    /// Of the content.
    pub content: CondemnedSet,
    /// Of the metadata.
    pub meta: CondemnedSet,
}

/// Bytes that are not a condemned list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CondemnedError {
    /// The marker, the checksum, the order or a length is wrong.
    #[error("it is damaged; run `dits gc`, which makes a new one, after every other dits has ended")]
    Damaged,
    /// A newer version wrote it.
    #[error("condemned list version {0}")]
    TooNew(u32),
}

impl Condemned {
    /// The list of a repository; the empty one when there is none.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn current(dits_dir: &Path) -> Result<Self, StoreError> {
        let file = dits_dir.join(FILE_NAME);
        let Some(bytes) = durable::read_limited(&file, MAX_LEN)? else { return Ok(Self::default()) };
        Self::decode(&bytes).map_err(|e| match e {
            CondemnedError::Damaged => StoreError::Corrupt { file, what: e.to_string() },
            CondemnedError::TooNew(_) => StoreError::FileTooNew { file, what: e.to_string() },
        })
    }

    /// Publishes these sets durably under the next generation, and gives back the list. Only one garbage collection
    /// may do so at a time: the caller holds the repository's gc lock.
    ///
    /// # Errors
    /// When the list there is cannot be read, or the new one not written.
    pub fn publish(
        dits_dir: &Path,
        content: CondemnedSet,
        meta: CondemnedSet,
        now: i64,
    ) -> Result<Self, StoreError> {
        let generation = Self::current(dits_dir)?.generation + 1;
        let list = Self { generation, published: now, content, meta };
        durable::write_atomic(&dits_dir.join(FILE_NAME), &list.encode())?;
        Ok(list)
    }

    /// The bytes of the list.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.published.to_le_bytes());
        for set in [&self.content, &self.meta] {
            let mut packs: Vec<Digest> = set.packs.iter().map(|pack| pack.0).collect();
            packs.sort_unstable();
            packs.dedup();
            for list in [&packs[..], set.digests.as_slice()] {
                out.extend_from_slice(&(list.len() as u64).to_le_bytes());
                list.iter().for_each(|digest| out.extend_from_slice(&digest.0));
            }
        }
        let checksum = blake3::hash(&out);
        out.extend_from_slice(checksum.as_bytes());
        out
    }

    /// Reads what [`Condemned::encode`] made.
    ///
    /// # Errors
    /// When it is damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, CondemnedError> {
        let damaged = CondemnedError::Damaged;
        let (body, checksum) = bytes.split_last_chunk::<32>().ok_or_else(|| damaged.clone())?;
        if body.len() < FIXED || body[..8] != MAGIC || blake3::hash(body) != *checksum {
            return Err(damaged);
        }
        let version = u32::from_le_bytes([body[8], body[9], body[10], body[11]]);
        if version != VERSION {
            return Err(CondemnedError::TooNew(version));
        }
        let mut rest = &body[12..];
        let generation = take_u64(&mut rest).ok_or_else(|| damaged.clone())?;
        let published = take_u64(&mut rest).ok_or_else(|| damaged.clone())? as i64;
        let mut set = || {
            let packs = take_list(&mut rest)?.into_iter().map(PackId).collect();
            Some(CondemnedSet { packs, digests: DigestSet(take_list(&mut rest)?).into() })
        };
        let content = set().ok_or_else(|| damaged.clone())?;
        let meta = set().ok_or_else(|| damaged.clone())?;
        if rest.is_empty() { Ok(Self { generation, published, content, meta }) } else { Err(damaged) }
    }
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn take_list(rest: &mut &[u8]) -> Option<Vec<Digest>> {
    let len = usize::try_from(take_u64(rest)?).ok()?.checked_mul(32)?;
    let bytes = rest.get(..len)?;
    *rest = &rest[len..];
    let list: Vec<Digest> = bytes
        .chunks_exact(32)
        .map(|chunk| {
            let mut digest = Digest([0; 32]);
            digest.0.copy_from_slice(chunk);
            digest
        })
        .collect();
    list.is_sorted_by(|a, b| a < b).then_some(list)
}
