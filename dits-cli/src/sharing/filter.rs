//! `--filter`: which content a partial clone brings.

use std::fmt;

use dits_core::config::parse_size;
use dits_sync::client::ContentFilter;

/// Which content comes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// None; files are ghosts until they are fetched.
    Nothing,
    /// That of files up to this size.
    UpTo(u64),
}

impl Filter {
    /// Reads what stands behind `--filter=`.
    ///
    /// # Errors
    /// What may stand there.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            // The second is git's word.
            "none" | "blob:none" => Ok(Self::Nothing),
            _ => {
                let size = text.strip_prefix("blob:limit=").and_then(parse_size);
                size.map(Self::UpTo).ok_or_else(|| "use none, all or blob:limit=SIZE, such as blob:limit=1M".to_owned())
            }
        }
    }

    /// The filter of a transfer.
    #[must_use]
    pub fn content(self) -> ContentFilter {
        match self {
            Self::All => ContentFilter::all(),
            Self::Nothing => ContentFilter::at_most(0),
            Self::UpTo(size) => ContentFilter::at_most(size),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Nothing => f.write_str("none"),
            Self::UpTo(size) => write!(f, "blob:limit={size}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_written() {
        for text in ["all", "none", "blob:limit=1024"] {
            assert_eq!(Filter::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Filter::parse("blob:limit=2M"), Ok(Filter::UpTo(2 << 20)));
        assert_eq!(Filter::parse("blob:none"), Ok(Filter::Nothing));
        for bad in ["", "blob", "blob:limit=", "blob:limit=x", "tree:0"] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
