//! Seeded mutations of corpus files: the classic handful (flip, set, insert, delete, repeat, splice, truncate), and the
//! integers at which length checks break.

use dits_testkit::SplitMix64;

/// The longest input made, in bytes.
pub const MAX_LEN: usize = 1 << 16;

/// Numbers around which length fields go wrong, the first of them markers of variable-length integers.
const EDGES: [u64; 12] =
    [251, 252, 253, 0, 1, 255, 0xffff, 0x10000, 0xffff_ffff, 0x1_0000_0000, u64::MAX, i64::MAX as u64];

/// An input made from the corpus: one file or two, mutated a few times.
#[must_use]
pub fn mutated(random: &mut SplitMix64, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = pick(random, corpus).to_vec();
    for _ in 0..random.between(1, 6) {
        once(random, &mut data, corpus);
    }
    data.truncate(MAX_LEN);
    data
}

fn pick<'a>(random: &mut SplitMix64, corpus: &'a [Vec<u8>]) -> &'a [u8] {
    corpus.get(place(random, corpus.len())).map_or(b"", Vec::as_slice)
}

/// A number below `len`, as an index; 0 when there is none.
fn place(random: &mut SplitMix64, len: usize) -> usize {
    usize::try_from(random.below(len as u64)).unwrap_or(0)
}

fn once(random: &mut SplitMix64, data: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let at = place(random, data.len());
    let end = at + place(random, (data.len() - at).min(64) + 1);
    match random.below(8) {
        0 if !data.is_empty() => data[at] ^= 1 << random.below(8),
        1 if !data.is_empty() => data[at] = random.word().to_le_bytes()[0],
        2 => data.insert(at, random.word().to_le_bytes()[0]),
        3 => drop(data.drain(at..end)),
        4 => {
            let piece = data[at..end].to_vec();
            data.splice(at..at, piece);
        }
        5 => data.truncate(at),
        6 => {
            let edge = EDGES[place(random, EDGES.len())].to_le_bytes();
            let width = 1 << random.below(4);
            let over = (at + width).min(data.len());
            data.splice(at..over, edge[..width].iter().copied());
        }
        _ => {
            let other = pick(random, corpus);
            let from = place(random, other.len());
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_inputs_and_they_vary() {
        let corpus = vec![b"hello world".to_vec(), vec![], vec![1, 2, 3]];
        let run = |seed| {
            let mut random = SplitMix64::new(seed);
            (0..500).map(|_| mutated(&mut random, &corpus)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        let distinct: std::collections::HashSet<_> = run(1).into_iter().collect();
        assert!(distinct.len() > 300);
    }

    #[test]
    fn an_empty_corpus_is_enough() {
        let mut random = SplitMix64::new(1);
        assert!((0..100).any(|_| !mutated(&mut random, &[]).is_empty()));
    }
}
