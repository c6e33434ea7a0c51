//! Seeded bytes: the same on every machine and in every run.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Steele, Lea and Flood's `SplitMix64`: one 64-bit word of state, any seed is good.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts the sequence that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (at least 1); the bias is below 2⁻³² for bounds below 2³².
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.word()) * u128::from(bound.max(1))) >> 64).unwrap_or(0)
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Fills a buffer.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for part in buffer.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
    }
}

/// `len` incompressible bytes.
#[must_use]
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut buffer = vec![0; len];
    SplitMix64::new(seed).fill(&mut buffer);
    buffer
}

/// `len` bytes of lines that compress to about a quarter, as project files and subtitles do.
#[must_use]
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "clip", "track", "sequence", "in", "out", "media", "path", "rate", "frame", "audio", "video", "marker",
        "speed", "layer", "effect", "scale",
    ];
    let mut random = SplitMix64::new(seed);
    let mut out = Vec::with_capacity(len + 64);
    while out.len() < len {
        let word = WORDS[usize::try_from(random.below(16)).unwrap_or(0)];
        let line = format!("<{word} id=\"{}\" start=\"{}\"/>\n", random.below(100_000), random.below(10_000));
        out.extend_from_slice(line.as_bytes());
    }
    out.truncate(len);
    out
}

/// Writes a file of `len` incompressible bytes in constant memory.
///
/// # Errors
/// Those of the file system.
pub fn file(path: &Path, seed: u64, len: u64) -> io::Result<()> {
    let mut random = SplitMix64::new(seed);
    let mut buffer = vec![0; 1 << 20];
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut left = len;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        random.fill(&mut buffer[..part]);
        out.write_all(&buffer[..part])?;
        left -= part as u64;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_sequence() {
        // The reference implementation's first outputs for seed 1234567.
        let mut random = SplitMix64::new(1_234_567);
        assert_eq!([random.word(), random.word()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_file_equals_the_bytes_of_the_same_seed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        file(&path, 5, 1_500_001).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), bytes(5, 1_500_001));
    }

    #[test]
    fn between_reaches_both_ends() {
        let mut random = SplitMix64::new(1);
        let seen: std::collections::BTreeSet<u64> = (0..200).map(|_| random.between(3, 6)).collect();
        assert_eq!(seen, [3, 4, 5, 6].into());
    }
}
