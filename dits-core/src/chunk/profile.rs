//! The parameters that decide where content is cut.

use std::fmt;
use std::str::FromStr;

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use fastcdc::v2020;

use crate::object::MAX_CHUNK;

/// Number of FastCDC in its 2020 version.
pub const FASTCDC_2020: u8 = 1;
/// Number of cutting at multiples of one size.
pub const FIXED: u8 = 2;

/// The normalisation level of every preset: see `docs/format/chunking.md` for the measurement behind it.
const NORMALIZATION: u8 = 1;

/// Everything that decides where content is cut: same bytes and same profile give the same chunks, for ever.
///
/// Every profile that was parsed, decoded or made by [`Profile::new`] or [`Profile::fixed`] is valid; one put together
/// by hand has to pass [`Profile::validate`] before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode)]
pub struct Profile {
    /// How cuts are found: [`FASTCDC_2020`] or [`FIXED`].
    pub algorithm: u8,
    /// FastCDC's normalisation level, 0 to 3: how strongly lengths are drawn towards `avg`. 0 for fixed sizes.
    pub normalization: u8,
    /// Mixed into the gear table, so that lengths tell nothing about content. 0 leaves the table as it is.
    pub seed: u64,
    /// Shortest chunk, in bytes, except for the last of a file. Even.
    pub min: u32,
    /// The length that lengths gather around, in bytes. Even.
    pub avg: u32,
    /// Longest chunk, in bytes, at most [`MAX_CHUNK`]. Even.
    pub max: u32,
}

/// Parameters or text that make no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// An algorithm number of a newer dits, or nonsense.
    #[error("chunking algorithm {0} is not known to this version of dits; a newer one may be needed")]
    Algorithm(u8),
    /// A normalisation level FastCDC does not have.
    #[error("normalisation level {0} is not one of 0 to 3")]
    Normalization(u8),
    /// An odd length.
    #[error("chunk size {0} is odd; sizes must be even")]
    Odd(u32),
    /// A length outside what the algorithm can do.
    #[error("{which} chunk size {value} is not between {low} and {high}")]
    Bounds {
        /// Which of the three.
        which: &'static str,
        /// What it is.
        value: u32,
        /// The least it may be.
        low: u32,
        /// The most it may be.
        high: u32,
    },
    /// Lengths that are not ascending.
    #[error("chunk sizes {min}/{avg}/{max} must ascend: min < avg < max")]
    Order {
        /// Shortest.
        min: u32,
        /// Average.
        avg: u32,
        /// Longest.
        max: u32,
    },
    /// A fixed size with three different lengths, a seed or a normalisation level.
    #[error("a fixed chunk size has min = avg = max, no seed and no normalisation")]
    NotFixed,
    /// Text that is no profile.
    #[error(
        "`{0}` is not a chunking profile; write e.g. `16K/64K/256K`, `default`, `video`, `project`, `small` or `fixed:4M`"
    )]
    Text(String),
}

impl Profile {
    /// For what nothing better is known about.
    pub const DEFAULT: Self = Self::fastcdc(16 << 10, 64 << 10, 256 << 10);
    /// For audio and video.
    pub const VIDEO: Self = Self::DEFAULT;
    /// For project files, which are rewritten often and in small places.
    pub const PROJECT: Self = Self::fastcdc(2 << 10, 8 << 10, 32 << 10);
    /// For small files.
    pub const SMALL: Self = Self::fastcdc(1 << 10, 4 << 10, 16 << 10);

    const fn fastcdc(min: u32, avg: u32, max: u32) -> Self {
        Self { algorithm: FASTCDC_2020, normalization: NORMALIZATION, seed: 0, min, avg, max }
    }

    /// A FastCDC profile with the usual normalisation and no seed. Lengths in bytes.
    ///
    /// # Errors
    /// When the lengths are odd, out of bounds or do not ascend.
    pub fn new(min: u32, avg: u32, max: u32) -> Result<Self, ProfileError> {
        let profile = Self::fastcdc(min, avg, max);
        profile.validate().map(|()| profile)
    }

    /// A profile that cuts at every multiple of `size` bytes.
    ///
    /// # Errors
    /// When the size is odd or out of bounds.
    pub fn fixed(size: u32) -> Result<Self, ProfileError> {
        let profile = Self { algorithm: FIXED, normalization: 0, seed: 0, min: size, avg: size, max: size };
        profile.validate().map(|()| profile)
    }

    /// Whether content can be cut by this profile.
    ///
    /// # Errors
    /// Says which parameter cannot be.
    pub fn validate(&self) -> Result<(), ProfileError> {
        let Self { min, avg, max, .. } = *self;
        match self.algorithm {
            FASTCDC_2020 => {
                bounds("minimum", min, v2020::MINIMUM_MIN, v2020::MINIMUM_MAX)?;
                bounds("average", avg, v2020::AVERAGE_MIN, v2020::AVERAGE_MAX)?;
                bounds("maximum", max, v2020::MAXIMUM_MIN, v2020::MAXIMUM_MAX.min(MAX_CHUNK))?;
                if self.normalization > 3 {
                    return Err(ProfileError::Normalization(self.normalization));
                }
                if min >= avg || avg >= max {
                    return Err(ProfileError::Order { min, avg, max });
                }
            }
            FIXED => {
                bounds("fixed", max, v2020::MINIMUM_MIN, MAX_CHUNK)?;
                if min != max || avg != max || self.seed != 0 || self.normalization != 0 {
                    return Err(ProfileError::NotFixed);
                }
            }
            other => return Err(ProfileError::Algorithm(other)),
        }
        match [min, avg, max].into_iter().find(|size| size % 2 == 1) {
            Some(size) => Err(ProfileError::Odd(size)),
            None => Ok(()),
        }
    }
}

fn bounds(which: &'static str, value: u32, low: usize, high: usize) -> Result<(), ProfileError> {
    // FastCDC's bounds and MAX_CHUNK are below 16 MiB.
    let (low, high) = (low as u32, high as u32);
    if (low..=high).contains(&value) { Ok(()) } else { Err(ProfileError::Bounds { which, value, low, high }) }
}

impl<C> Decode<C> for Profile {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let profile = Self {
            algorithm: u8::decode(decoder)?,
            normalization: u8::decode(decoder)?,
            seed: u64::decode(decoder)?,
            min: u32::decode(decoder)?,
            avg: u32::decode(decoder)?,
            max: u32::decode(decoder)?,
        };
        profile.validate().map_err(|e| DecodeError::OtherString(e.to_string()))?;
        Ok(profile)
    }
}

bincode::impl_borrow_decode!(Profile);

/// A size the way people write it: `64K`, `4M`, `1000`.
struct Size(u32);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes != 0 && bytes % (1 << 20) == 0 => write!(f, "{}M", bytes >> 20),
            bytes if bytes != 0 && bytes % (1 << 10) == 0 => write!(f, "{}K", bytes >> 10),
            bytes => write!(f, "{bytes}"),
        }
    }
}

impl Size {
    fn parse(text: &str) -> Option<u32> {
        let (digits, unit) = match text.as_bytes().last()? {
            b'K' | b'k' => (&text[..text.len() - 1], 1 << 10),
            b'M' | b'm' => (&text[..text.len() - 1], 1 << 20),
            _ => (text, 1),
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse::<u32>().ok()?.checked_mul(unit)
    }
}

/// `fastcdc-2020 16K/64K/256K` or `fixed:4M`; normalisation and seed are added where they are not the usual ones.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.algorithm == FIXED {
            return write!(f, "fixed:{}", Size(self.max));
        }
        write!(f, "fastcdc-2020 {}/{}/{}", Size(self.min), Size(self.avg), Size(self.max))?;
        if self.normalization != NORMALIZATION {
            write!(f, " level {}", self.normalization)?;
        }
        if self.seed != 0 {
            write!(f, " seed {:#x}", self.seed)?;
        }
        Ok(())
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    /// Reads `16K/64K/256K`, the same with `fastcdc-2020` before it, `fixed:4M`, or the name of a preset.
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let bad = || ProfileError::Text(text.chars().take(80).collect());
        match text {
            "default" => return Ok(Self::DEFAULT),
            "video" => return Ok(Self::VIDEO),
            "project" => return Ok(Self::PROJECT),
            "small" => return Ok(Self::SMALL),
            _ => {}
        }
        if let Some(size) = text.strip_prefix("fixed:") {
            return Self::fixed(Size::parse(size).ok_or_else(bad)?);
        }
        let sizes: Vec<_> = text.strip_prefix("fastcdc-2020 ").unwrap_or(text).split('/').map(Size::parse).collect();
        match sizes[..] {
            [Some(min), Some(avg), Some(max)] => Self::new(min, avg, max),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn parse(text: &str) -> Result<Profile, ProfileError> {
        text.parse()
    }

    #[test]
    fn texts_come_back() {
        for profile in [Profile::DEFAULT, Profile::PROJECT, Profile::SMALL, Profile::fixed(4 << 20).unwrap()] {
            profile.validate().unwrap();
            assert_eq!(parse(&profile.to_string()), Ok(profile));
        }
        assert_eq!(Profile::DEFAULT.to_string(), "fastcdc-2020 16K/64K/256K");
        assert_eq!(
            Profile { seed: 255, normalization: 3, ..Profile::SMALL }.to_string(),
            "fastcdc-2020 1K/4K/16K level 3 seed 0xff"
        );
        assert_eq!(parse("16k/65536/256K"), Ok(Profile::VIDEO));
        assert_eq!(parse("project"), Ok(Profile::PROJECT));
        assert_eq!(parse("fixed:4M").unwrap().to_string(), "fixed:4M");
        assert_eq!(parse("1M/2M/8M").unwrap().max, 8 << 20);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "/",
            "16K",
            "16K/64K",
            "16K/64K/256K/1M",
            "K/K/K",
            "+1K/4K/16K",
            "fixed:",
            "fixed:é",
            "é/é/é",
            "9999999M/1/1",
        ] {
            assert!(matches!(parse(text), Err(ProfileError::Text(_))), "{text}: {:?}", parse(text));
        }
        assert_eq!(parse("64K/64K/256K"), Err(ProfileError::Order { min: 65536, avg: 65536, max: 262_144 }));
        assert_eq!(parse("1025/4096/16384"), Err(ProfileError::Odd(1025)));
        assert!(matches!(parse("62/256/1024"), Err(ProfileError::Bounds { which: "minimum", .. })));
        assert!(matches!(parse("1M/4M/16M"), Err(ProfileError::Bounds { which: "maximum", .. })));
        assert!(matches!(parse("fixed:9M"), Err(ProfileError::Bounds { .. })));
        assert!(matches!(parse("fixed:65"), Err(ProfileError::Odd(65))));
        assert_eq!(Profile { algorithm: 3, ..Profile::DEFAULT }.validate(), Err(ProfileError::Algorithm(3)));
        assert_eq!(Profile { normalization: 4, ..Profile::DEFAULT }.validate(), Err(ProfileError::Normalization(4)));
        assert_eq!(Profile { algorithm: FIXED, ..Profile::DEFAULT }.validate(), Err(ProfileError::NotFixed));
    }

    #[test]
    fn bytes_come_back_and_are_frozen() {
        let bytes = codec::encode(&Profile::DEFAULT);
        assert_eq!(bytes, [1, 1, 0, 0xfb, 0x00, 0x40, 0xfc, 0, 0, 1, 0, 0xfc, 0, 0, 4, 0]);
        assert_eq!(codec::decode::<Profile, 64>(&bytes).unwrap(), Profile::DEFAULT);
        let bad = codec::encode(&Profile { min: 3, ..Profile::DEFAULT });
        assert!(codec::decode::<Profile, 64>(&bad).unwrap_err().to_string().contains("minimum chunk size 3"));
    }
}
