//! Cuts that must never change: a change here means that every repository would store everything again.

use super::{Cutter, Profile, StreamChunker};
use std::io::{self, Read};

/// Bytes of SplitMix64 (Steele, Lea and Flood, 2014), little endian.
pub fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Gives at most so many bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.1.min(buf.len());
        self.0.read(&mut buf[..len])
    }
}

fn lengths(profile: &Profile, data: &[u8], piece: usize) -> Vec<u32> {
    let mut chunker = StreamChunker::new(profile, Pieces(data, piece));
    let mut lengths = Vec::new();
    while let Some(chunk) = chunker.next().unwrap() {
        lengths.push(chunk.len() as u32);
    }
    lengths
}

fn hash(lengths: &[u32]) -> String {
    let bytes: Vec<u8> = lengths.iter().flat_map(|len| len.to_le_bytes()).collect();
    blake3::hash(&bytes).to_hex().to_string()
}

/// Profile, how many chunks 8 MiB of `random(0)` give, the first dozen lengths, and BLAKE3 of all lengths.
fn golden() -> [(Profile, usize, [u32; 12], &'static str); 4] {
    [
        (
            Profile::DEFAULT,
            108,
            [115_493, 193_725, 21_347, 93_035, 74_240, 89_798, 96_841, 38_738, 44_277, 32_678, 21_616, 160_367],
            "08d548b93b15c38d429333177476fc470bf63d81d567753be93184212277aba8",
        ),
        (
            Profile::PROJECT,
            826,
            [3843, 3403, 3389, 10_669, 2125, 8629, 11_182, 8791, 14_011, 5982, 14_395, 13_193],
            "77cc78effec4091fd9e63cdee5cdcf0d8e23e9cab35084285d086f344fcfdc0f",
        ),
        (
            Profile::SMALL,
            1664,
            [2017, 1826, 3403, 3389, 5370, 5299, 2125, 4827, 3802, 1312, 5063, 4807],
            "ac810b9c79a13168fd1f5dffe8cbb748de278530f2717d7990625ffa935a306f",
        ),
        (
            Profile { seed: 0x0123_4567_89ab_cdef, ..Profile::DEFAULT },
            112,
            [123_800, 29_918, 57_127, 112_629, 78_686, 97_213, 78_741, 53_406, 123_300, 98_648, 69_908, 73_689],
            "4814ecc8b5d915e4a313391e5b3fe3b50e44a1d13e74f66b4222c8f94a84ab17",
        ),
    ]
}

#[test]
fn cuts_of_random_bytes_never_change() {
    let data = random(0, 8 << 20);
    assert_eq!(data[..8], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes(), "the generator's published first word");
    for (profile, count, first, digest) in golden() {
        for piece in [7, 4093, 65_537, usize::MAX] {
            let lengths = lengths(&profile, &data, piece);
            assert_eq!(lengths[..12], first, "{profile} in pieces of {piece}");
            assert_eq!((lengths.len(), &hash(&lengths)[..]), (count, digest), "{profile} in pieces of {piece}");
        }
    }
    // Byte by byte takes its time: a part of the data has to do.
    let start: Vec<_> = lengths(&Profile::SMALL, &data[..1 << 20], 1);
    let whole = lengths(&Profile::SMALL, &data, usize::MAX);
    assert_eq!(start[..start.len() - 1], whole[..start.len() - 1]);
}

#[test]
fn cuts_of_zeros_never_change() {
    for (profile, ..) in golden() {
        let data = vec![0; 3 * profile.max as usize + 5];
        for piece in [4093, usize::MAX] {
            assert_eq!(lengths(&profile, &data, piece), [profile.max, profile.max, profile.max, 5], "{profile}");
        }
    }
    let fixed = Profile::fixed(4 << 20).expect("a valid size");
    assert_eq!(lengths(&fixed, &random(1, (4 << 20) + 1), 65_537), [4 << 20, 1]);
}

#[test]
fn cuts_of_little_never_change() {
    for (profile, ..) in golden() {
        assert_eq!(lengths(&profile, &[], 1), []);
        for len in [1, 2, profile.min - 1, profile.min, profile.min + 1] {
            assert_eq!(lengths(&profile, &random(0, len as usize), 7), [len], "{profile}");
        }
    }
    // Bytes are looked at in pairs: an even cut is seen once two bytes follow it, an odd one once one byte does.
    let data = random(0, 4096);
    let first = |len: usize| Cutter::new(&Profile::SMALL).first_cut(&data[..len]);
    assert_eq!([2016, 2017, 2018, 2019].map(first), [2016, 2017, 2017, 2017]);
    let second = |len: usize| Cutter::new(&Profile::SMALL).first_cut(&data[2017..][..len]);
    assert_eq!([1825, 1826, 1827, 1828, 1829].map(second), [1825, 1826, 1827, 1826, 1826]);
}
