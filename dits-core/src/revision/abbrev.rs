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
        let others = [self.store().meta.resolve_prefix(&prefix)?, self.store().content.resolve_prefix(&prefix)?];
        let digits = digits_needed(digest, others.iter().flatten().map(|(other, _)| other));
        Ok(text[..digits].to_owned())
    }
}

/// How many digits of an id none of the others begins with; at least [`SHORTEST`].
fn digits_needed<'o>(digest: &Digest, others: impl Iterator<Item = &'o Digest>) -> usize {
    let text = digest.to_string();
    let shared = |other: &Digest| text.bytes().zip(other.to_string().bytes()).take_while(|(a, b)| a == b).count();
    let needed = others.filter(|other| *other != digest).map(|other| shared(other) + 1).max();
    needed.unwrap_or(SHORTEST).clamp(SHORTEST, text.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn as_many_digits_as_tell_it_from_the_others() {
        let id = |start: &str| format!("{start:0<64}").parse::<Digest>().unwrap();
        let this = id("a7b9c3d1e2");
        let others = [this, id("a7b9c3d1f"), id("a7b9c3d0"), id("ff")];
        assert_eq!(digits_needed(&this, others[..1].iter()), 7);
        assert_eq!(digits_needed(&this, others[2..].iter()), 8);
        assert_eq!(digits_needed(&this, others.iter()), 9);
    }
}
