//! Chunks of a stream, of bytes in memory, and the first chunk of what is left.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read};

use fastcdc::v2020::{self, Normalization};

use super::profile::{FIXED, Profile};

/// Least size of the buffer of a [`StreamChunker`], in bytes.
const BUFFER: usize = 1 << 20;

/// A profile made ready for cutting: masks chosen, gear tables at hand.
#[derive(Clone, Debug)]
pub struct Cutter {
    profile: Profile,
    /// Strict and loose mask of FastCDC; unused for fixed sizes.
    masks: (u64, u64),
    /// The gear table and the same shifted left by one.
    gear: (Cow<'static, [u64]>, Cow<'static, [u64]>),
}

impl Cutter {
    /// Makes a profile ready.
    ///
    /// # Panics
    /// For a profile that does not pass [`Profile::validate`].
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        profile.validate().expect("a profile is validated where it comes from");
        let level = match profile.normalization {
            0 => Normalization::Level0,
            1 => Normalization::Level1,
            2 => Normalization::Level2,
            _ => Normalization::Level3,
        };
        let fixed = profile.algorithm == FIXED;
        let masks = if fixed { (0, 0) } else { v2020::select_masks(profile.avg as usize, level) };
        Self { profile: *profile, masks, gear: v2020::get_gear_with_seed(profile.seed) }
    }

    /// The profile this cuts by.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The longest chunk, in bytes: as much as has to be seen, or all up to the end, before a cut is certain.
    #[must_use]
    pub fn max(&self) -> usize {
        self.profile.max as usize
    }

    /// The length of the first chunk of `data`, which holds at least [`Cutter::max`] bytes or everything up to the end
    /// of the content. 0 for no data.
    #[must_use]
    pub fn first_cut(&self, data: &[u8]) -> usize {
        let Profile { algorithm, min, avg, max, .. } = self.profile;
        if algorithm == FIXED {
            return data.len().min(max as usize);
        }
        let (strict, loose) = self.masks;
        let (min, avg, max) = (min as usize, avg as usize, max as usize);
        let (gear, shifted) = &self.gear;
        v2020::cut_gear(data, min, avg, max, strict, loose, strict << 1, loose << 1, gear, shifted).1
    }

    /// The chunks of content that is in memory as a whole.
    #[must_use]
    pub fn slices<'a>(&'a self, data: &'a [u8]) -> SliceChunks<'a> {
        SliceChunks { cutter: self, rest: data }
    }
}

/// The length of the first chunk of `data`, which holds at least `profile.max` bytes or everything up to the end of the
/// content. 0 for no data. Who cuts more than once keeps a [`Cutter`].
///
/// # Panics
/// For a profile that does not pass [`Profile::validate`].
#[must_use]
pub fn first_cut(profile: &Profile, data: &[u8]) -> usize {
    Cutter::new(profile).first_cut(data)
}

/// The chunks of content that is in memory as a whole, in order.
#[derive(Clone, Debug)]
pub struct SliceChunks<'a> {
    cutter: &'a Cutter,
    rest: &'a [u8],
}

impl<'a> Iterator for SliceChunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (chunk, rest) = self.rest.split_at(self.cutter.first_cut(self.rest));
        self.rest = rest;
        Some(chunk)
    }
}

/// The chunks of a stream, through one buffer that is used again and again. The cuts are the same however many bytes
/// the reader gives at a time.
#[derive(Debug)]
pub struct StreamChunker<R> {
    cutter: Cutter,
    reader: R,
    buffer: Vec<u8>,
    /// What is in the buffer and not handed out yet.
    start: usize,
    end: usize,
    at_eof: bool,
    frugal: bool,
}

impl<R: Read> StreamChunker<R> {
    /// Cuts what `reader` gives up to its end. It reads ahead in big steps: no buffering is needed around it.
    ///
    /// # Panics
    /// For a profile that does not pass [`Profile::validate`].
    pub fn new(profile: &Profile, reader: R) -> Self {
        let cutter = Cutter::new(profile);
        let size = BUFFER.max(4 * cutter.max());
        Self::with_buffer(cutter, reader, size, false)
    }

    /// Reads no further than the longest chunk could reach, for content that is probably needed only in part.
    pub(super) fn frugal(cutter: Cutter, reader: R) -> Self {
        let size = 2 * cutter.max();
        Self::with_buffer(cutter, reader, size, true)
    }

    fn with_buffer(cutter: Cutter, reader: R, size: usize, frugal: bool) -> Self {
        Self { cutter, reader, buffer: vec![0; size], start: 0, end: 0, at_eof: false, frugal }
    }

    /// Goes on with other content, by another profile if need be, and keeps the buffer.
    ///
    /// # Panics
    /// For a profile that does not pass [`Profile::validate`].
    pub fn restart(&mut self, profile: &Profile, reader: R) {
        if self.cutter.profile() != profile {
            self.cutter = Cutter::new(profile);
        }
        let needed = self.cutter.max() * if self.frugal { 2 } else { 4 };
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        (self.start, self.end, self.at_eof) = (0, 0, false);
        self.reader = reader;
    }

    /// The next chunk, or nothing at the end of the stream. No chunk is empty.
    ///
    /// # Errors
    /// When the reader fails; interrupted reads are tried again. After an error nothing is lost: the next call reads on.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its buffer")]
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.fill()?;
        if self.start == self.end {
            return Ok(None);
        }
        let length = self.cutter.first_cut(&self.buffer[self.start..self.end]);
        let chunk = self.start..self.start + length;
        self.start = chunk.end;
        Ok(Some(&self.buffer[chunk]))
    }

    /// Sees to it that a cut is certain: as many bytes as the longest chunk, or all that are left.
    fn fill(&mut self) -> io::Result<()> {
        let max = self.cutter.max();
        if self.end - self.start >= max || self.at_eof {
            return Ok(());
        }
        // Moves less than one chunk, and only when the buffer has been used up.
        if self.start + max > self.buffer.len() || self.start == self.end {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < max {
            let limit = if self.frugal { self.start + max } else { self.buffer.len() };
            match self.reader.read(&mut self.buffer[self.end..limit]) {
                Ok(0) => {
                    self.at_eof = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::random;
    use super::*;
    use proptest::prelude::*;

    /// Gives at most so many bytes at a time, in turn, and is interrupted before every third read.
    struct Odd<'a> {
        rest: &'a [u8],
        steps: &'a [usize],
        calls: usize,
    }

    impl Read for Odd<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls % 3 == 0 {
                return Err(ErrorKind::Interrupted.into());
            }
            let step = self.steps[self.calls % self.steps.len()].min(buf.len()).min(self.rest.len());
            let (now, rest) = self.rest.split_at(step);
            buf[..step].copy_from_slice(now);
            self.rest = rest;
            Ok(step)
        }
    }

    fn streamed(profile: &Profile, reader: impl Read) -> Vec<Vec<u8>> {
        let mut chunker = StreamChunker::new(profile, reader);
        let mut chunks = Vec::new();
        while let Some(chunk) = chunker.next().unwrap() {
            chunks.push(chunk.to_vec());
        }
        assert!(chunker.next().unwrap().is_none(), "the end stays the end");
        chunks
    }

    #[test]
    fn nothing_gives_no_chunk() {
        assert!(streamed(&Profile::DEFAULT, io::empty()).is_empty());
        assert_eq!(first_cut(&Profile::DEFAULT, &[]), 0);
        assert_eq!(Cutter::new(&Profile::DEFAULT).slices(&[]).count(), 0);
    }

    #[test]
    fn agrees_with_the_crate_s_own_iterator() {
        let data = random(9, 3 << 20);
        for (profile, seed) in [(Profile::DEFAULT, 0), (Profile::SMALL, 0), (Profile::PROJECT, 0x1234_5678_9abc)] {
            let profile = Profile { seed, ..profile };
            let (min, avg, max) = (profile.min as usize, profile.avg as usize, profile.max as usize);
            let theirs = v2020::FastCDC::with_level_and_seed(&data, min, avg, max, Normalization::Level1, seed);
            let ours = streamed(&profile, &data[..]);
            assert!(theirs.map(|c| c.length).eq(ours.iter().map(Vec::len)));
            assert_eq!(ours.concat(), data);
        }
    }

    #[test]
    fn a_seed_and_a_level_move_the_cuts() {
        let data = random(10, 1 << 20);
        let lens = |profile: Profile| Cutter::new(&profile).slices(&data).map(<[u8]>::len).collect::<Vec<_>>();
        assert_ne!(lens(Profile::SMALL), lens(Profile { seed: 1 << 20, ..Profile::SMALL }));
        assert_ne!(lens(Profile::SMALL), lens(Profile { normalization: 3, ..Profile::SMALL }));
    }

    #[test]
    fn fixed_sizes() {
        let lens: Vec<_> = streamed(&Profile::fixed(4096).unwrap(), &[7; 10_000][..]).iter().map(Vec::len).collect();
        assert_eq!(lens, [4096, 4096, 1808]);
    }

    #[test]
    fn a_failed_read_loses_nothing() {
        struct Flaky<'a>(&'a [u8], bool);
        impl Read for Flaky<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                let end = buf.len().min(1000);
                if self.1 { Err(io::Error::other("flaky")) } else { self.0.read(&mut buf[..end]) }
            }
        }
        let data = random(11, 100_000);
        let mut chunker = StreamChunker::new(&Profile::SMALL, Flaky(&data, false));
        let mut got = Vec::new();
        let mut failures = 0;
        loop {
            match chunker.next() {
                Ok(None) => break,
                Ok(Some(chunk)) => got.push(chunk.to_vec()),
                Err(_) => failures += 1,
            }
        }
        assert!(failures > 90);
        assert_eq!(got, streamed(&Profile::SMALL, &data[..]));
    }

    #[test]
    fn restart_with_a_larger_profile() {
        let data = random(12, 1 << 20);
        let mut chunker = StreamChunker::new(&Profile::SMALL, &data[..]);
        chunker.next().unwrap();
        let large = Profile::fixed(512 << 10).unwrap();
        chunker.restart(&large, &data[5..]);
        assert_eq!(chunker.next().unwrap(), Some(&data[5..5 + (512 << 10)]));
        chunker.restart(&Profile::SMALL, &data[..]);
        let first = chunker.next().unwrap().unwrap().len();
        assert_eq!(first, first_cut(&Profile::SMALL, &data));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn cuts_do_not_depend_on_the_feeding(
            seed: u64, len in 0usize..20_000, steps in prop::collection::vec(1usize..3000, 1..5), one_by_one: bool,
        ) {
            let profile = Profile::new(64, 256, 1024).unwrap();
            let data = random(seed, len);
            let steps = if one_by_one { &[1][..] } else { &steps };
            let reader = Odd { rest: &data, steps, calls: 0 };
            let cutter = Cutter::new(&profile);
            let mut frugal = StreamChunker::frugal(cutter.clone(), Odd { rest: &data, steps, calls: 0 });
            let whole: Vec<_> = cutter.slices(&data).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(&streamed(&profile, reader), &whole);
            for chunk in &whole {
                prop_assert_eq!(frugal.next().unwrap(), Some(&chunk[..]));
            }
            prop_assert!(frugal.next().unwrap().is_none());
            prop_assert_eq!(whole.concat(), data);
        }
    }
}
