//! A Bloom filter over ids (crate `bloomfilter`), with its bounds checked.

use bincode::{Decode, Encode};
use bloomfilter::Bloom;
use dits_core::object::Digest;

/// One id in so many that are not in the set is taken to be in it.
const FALSE_POSITIVES: f64 = 0.001;
/// The longest filter, in bytes: half a message.
const MAX_BYTES: usize = 512 << 10;
/// More hash functions than any size of set asks for.
const MAX_HASHES: u32 = 32;

/// A set of ids, with rare false positives and no false negatives.
#[derive(Clone)]
pub struct IdFilter(Bloom<u64>);

impl IdFilter {
    /// The largest set for which a filter of half a message gives the rate of one in a thousand.
    pub const MAX_IDS: usize = MAX_BYTES * 8 * 10 / 144;

    /// A filter of these ids; `None` when there are none, or more than a filter may hold. `seed` is random: whoever knew
    /// it beforehand could make objects that all collide.
    #[must_use]
    pub fn of(ids: &[Digest], seed: [u8; 32]) -> Option<Self> {
        if ids.is_empty() || ids.len() > Self::MAX_IDS {
            return None;
        }
        let mut bloom = Bloom::new_for_fp_rate_with_seed(ids.len(), FALSE_POSITIVES, &seed).ok()?;
        ids.iter().for_each(|id| bloom.set(&id.prefix_u64()));
        Some(Self(bloom))
    }

    /// Whether the id may be in the set. If not, it is not.
    #[must_use]
    pub fn may_contain(&self, id: &Digest) -> bool {
        self.0.check(&id.prefix_u64())
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, &'static str> {
        if bytes.len() > MAX_BYTES + 64 {
            return Err("a filter that is too long");
        }
        let bloom = Bloom::from_bytes(bytes)?;
        // Equal halves make double hashing degenerate to one hash.
        let seed = bloom.seed();
        if bloom.number_of_hash_functions() > MAX_HASHES || seed[..16] == seed[16..] {
            return Err("a filter with parameters that nobody chooses");
        }
        Ok(Self(bloom))
    }
}

impl std::fmt::Debug for IdFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdFilter({} bits)", self.0.len())
    }
}

impl PartialEq for IdFilter {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice() == other.0.as_slice()
    }
}

impl Eq for IdFilter {}

impl Encode for IdFilter {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.0.to_bytes().encode(encoder)
    }
}

impl<C> Decode<C> for IdFilter {
    fn decode<D: bincode::de::Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let bytes: Vec<u8> = Decode::decode(decoder)?;
        Self::parse(bytes).map_err(bincode::error::DecodeError::Other)
    }
}

bincode::impl_borrow_decode!(IdFilter);
