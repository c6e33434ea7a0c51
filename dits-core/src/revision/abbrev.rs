//! The shortest beginning of an id that is still its own.

use crate::object::Digest;
use crate::repo::{RepoError, Repository};
use crate::store::HexPrefix;

/// The fewest digits an abbreviation has, as in git.
pub const SHORTEST: usize = 7;

impl Repository {
    /// The beginning of an id, at least [`SHORTEST`] digits, with which nothing else in the store begins. An id that is
    /// not in the store is abbreviated all the same.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn short_id(&self, digest: &Digest) -> Result<String, RepoError> {
        let text = digest.to_string();
        let Ok(prefix) = text[..SHORTEST].parse::<HexPrefix>() else { return Ok(text) };
        let mut digits = SHORTEST;
        let others = [self.store().meta.resolve_prefix(&prefix)?, self.store().content.resolve_prefix(&prefix)?];
        for (other, _) in others.iter().flatten().filter(|(other, _)| other != digest) {
            let other = other.to_string();
            let shared = text.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
            digits = digits.max(shared + 1);
        }
        Ok(text[..digits.min(text.len())].to_owned())
    }
}
