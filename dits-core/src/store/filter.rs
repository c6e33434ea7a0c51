//! A Bloom filter over digests: says for certain that something is not there, without touching the pack that could hold
//! it. A writer asks it before it looks into the packs it has filled: otherwise their indexes, mapped into memory, would
//! all be touched for every new chunk, and memory would grow with what is written.

use crate::object::Digest;

/// Bits per digest. With [`PROBES`] one question in a hundred thousand is answered wrongly with "perhaps".
const BITS_EACH: usize = 32;
const PROBES: usize = 8;

/// The digests of one pack.
pub(super) struct Filter {
    bits: Vec<u64>,
}

impl Filter {
    /// A filter that answers for these.
    pub fn of<'a>(digests: impl ExactSizeIterator<Item = &'a Digest>) -> Self {
        let mut filter = Self { bits: vec![0; (digests.len() * BITS_EACH).div_ceil(64).max(1)] };
        for digest in digests {
            for bit in filter.probes(digest) {
                filter.bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        filter
    }

    /// `false` is certain.
    pub fn may_contain(&self, digest: &Digest) -> bool {
        self.probes(digest).all(|bit| self.bits[bit / 64] >> (bit % 64) & 1 == 1)
    }

    /// A digest is uniformly distributed: four bytes of it at a time are as good as a hash.
    fn probes(&self, digest: &Digest) -> impl Iterator<Item = usize> + use<> {
        let (bits, bytes) = (self.bits.len() as u64 * 64, digest.0);
        (0..PROBES).map(move |i| {
            let word = [bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]];
            ((u64::from(u32::from_le_bytes(word)) * bits) >> 32) as usize
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectKind;

    #[test]
    fn knows_all_it_was_made_of_and_little_else() {
        let digest = |i: u32| ObjectKind::Chunk.digest(&i.to_le_bytes());
        let held: Vec<Digest> = (0..5000).map(digest).collect();
        let filter = Filter::of(held.iter());
        assert!(held.iter().all(|digest| filter.may_contain(digest)));
        let wrong = (5000..25_000).filter(|i| filter.may_contain(&digest(*i))).count();
        assert!(wrong < 20, "{wrong} of 20000");
        assert!(!Filter::of([].iter()).may_contain(&digest(1)));
    }
}
