//! A Bloom filter over ids (crate `bloomfilter`), with its bounds checked.

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use bloomfilter::Bloom;
use dits_core::object::Digest;

/// One id in so many that are not in the set is taken to be in it.
const FALSE_POSITIVES: f64 = 0.001;
/// The longest filter, in bytes: half a message.
const MAX_BYTES: usize = 512 << 10;
/// More than what goes before the bits.
const MAX_HEADER: usize = 64;
/// Fewer ids have a filter as long as for so many: the rate is that of the formula only from some bytes on.
const FEW: usize = 64;
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
        let mut bloom = Bloom::new_for_fp_rate_with_seed(ids.len().max(FEW), FALSE_POSITIVES, &seed).ok()?;
        ids.iter().for_each(|id| bloom.set(&id.prefix_u64()));
        Some(Self(bloom))
    }

    /// Whether the id may be in the set. If not, it is not.
    #[must_use]
    pub fn may_contain(&self, id: &Digest) -> bool {
        self.0.check(&id.prefix_u64())
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, &'static str> {
        let bloom = Bloom::from_bytes(bytes)?;
        // Positions are taken modulo the number of bits.
        if bloom.is_empty() {
            return Err("a filter of nothing");
        }
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
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        // As a `Vec<u8>`, but nothing is reserved for bytes that are not there.
        let len: u64 = Decode::decode(decoder)?;
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX_BYTES + MAX_HEADER);
        let len = len.ok_or(DecodeError::Other("a filter that is too long"))?;
        decoder.claim_bytes_read(len)?;
        let bytes = decoder.reader().peek_read(len).ok_or(DecodeError::UnexpectedEnd { additional: len })?.to_vec();
        decoder.reader().consume(len);
        Self::parse(bytes).map_err(DecodeError::Other)
    }
}

bincode::impl_borrow_decode!(IdFilter);
