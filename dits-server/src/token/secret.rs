//! The secret of a token, and the hash that the server keeps of it.

use std::fmt;

use bincode::{Decode, Encode};

const PREFIX: &str = "dits_";
const CONTEXT: &str = "dits 2026 server token v1";

/// A new token's secret: 256 random bits. It is printed once and kept nowhere.
pub struct Secret(String);

impl Secret {
    /// Makes one.
    ///
    /// # Errors
    /// When the system has no random bits.
    pub fn generate() -> Result<Self, std::io::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(std::io::Error::other)?;
        let digits: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(format!("{PREFIX}{digits}")))
    }

    /// The text that its owner gets.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What recognises it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

/// What recognises a token. A secret of 256 random bits needs neither salt nor a slow hash.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of what a client sent.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(blake3::derive_key(CONTEXT, text.as_bytes()))
    }
}

/// Takes the same time whatever differs: BLAKE3 hashes are compared so.
impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(other.0)
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognised_and_not_shown() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_eq!(one.reveal().len(), "dits_".len() + 64);
        assert!(one.hash() == TokenHash::of(one.reveal()) && one.hash() != other.hash());
        assert!(!format!("{one:?}{:?}", one.hash()).contains(&one.reveal()[5..]));
    }
}
