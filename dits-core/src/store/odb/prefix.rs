//! The beginning of an object's name, as people type it.

use std::fmt;
use std::str::FromStr;

use crate::object::{Digest, ParseIdError};

/// One to 64 hexadecimal digits that begin a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HexPrefix {
    /// The digits, followed by zeros.
    first: Digest,
    digits: usize,
}

impl HexPrefix {
    /// The first name that begins so.
    #[must_use]
    pub fn first(&self) -> &Digest {
        &self.first
    }

    /// How many digits there are.
    #[must_use]
    pub fn digits(&self) -> usize {
        self.digits
    }

    /// Whether a name begins so.
    #[must_use]
    pub fn matches(&self, digest: &Digest) -> bool {
        let whole = self.digits / 2;
        digest.0[..whole] == self.first.0[..whole]
            && (self.digits % 2 == 0 || digest.0[whole] & 0xf0 == self.first.0[whole])
    }
}

impl FromStr for HexPrefix {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bad = || ParseIdError(text.chars().take(80).collect());
        if text.is_empty() || text.len() > 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        Ok(Self { first: format!("{text:0<64}").parse()?, digits: text.len() })
    }
}

impl fmt::Display for HexPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.to_string()[..self.digits])
    }
}

impl fmt::Debug for HexPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_by_digit() {
        let prefix: HexPrefix = "a7b".parse().unwrap();
        assert_eq!(prefix.to_string(), "a7b");
        let named = |hex: &str| format!("{hex:0<64}").parse::<Digest>().unwrap();
        assert!(prefix.matches(&named("a7b")) && prefix.matches(&named("a7bf")));
        assert!(!prefix.matches(&named("a7c")) && !prefix.matches(&named("a70b")));
        for bad in ["", "xyz", "a7-", &"0".repeat(65)] {
            assert!(bad.parse::<HexPrefix>().is_err(), "{bad}");
        }
    }
}
