//! Who did something, and when: the author of a commit, the writer of a reflog line.

use bincode::{Decode, Encode};

/// The longest name or address, in bytes.
pub const MAX_PART: usize = 1024;

/// Why a signature was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A character that would break the lines signatures are shown and stored in.
    #[error("the {part} `{text}` has a character that is not allowed: no line break, NUL, `<` or `>`")]
    Character {
        /// `name` or `email`.
        part: &'static str,
        /// What was given.
        text: String,
    },
    /// Over [`MAX_PART`].
    #[error("the {0} is longer than 1024 bytes")]
    TooLong(&'static str),
    /// A zone that no clock has.
    #[error("{0} minutes is no time zone: at most 1439 either way")]
    Zone(i16),
}

/// A person and a moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode)]
pub struct Signature {
    /// The person's name.
    pub name: String,
    /// The person's address.
    pub email: String,
    /// Seconds since 1970 began in UTC.
    pub time: i64,
    /// The zone the person was in, in minutes east of UTC.
    pub offset: i16,
}

impl Signature {
    /// A checked signature.
    ///
    /// # Errors
    /// As [`Signature::validate`].
    pub fn new(name: &str, email: &str, time: i64, offset: i16) -> Result<Self, SignatureError> {
        let made = Self { name: name.to_owned(), email: email.to_owned(), time, offset };
        made.validate()?;
        Ok(made)
    }

    /// Checks what every stored signature obeys.
    ///
    /// # Errors
    /// For line breaks, NUL, `<` or `>` in the name or address, over-long ones, and zones of a day or more.
    pub fn validate(&self) -> Result<(), SignatureError> {
        for (part, text) in [("name", &self.name), ("email", &self.email)] {
            if text.len() > MAX_PART {
                return Err(SignatureError::TooLong(part));
            }
            if text.contains(['\n', '\r', '\0', '<', '>']) {
                return Err(SignatureError::Character { part, text: text.clone() });
            }
        }
        match self.offset {
            -1439..=1439 => Ok(()),
            offset => Err(SignatureError::Zone(offset)),
        }
    }
}

impl<C> Decode<C> for Signature {
    fn decode<D: bincode::de::Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let (name, email) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        let (time, offset) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        let made = Self { name, email, time, offset };
        made.validate().map_err(|e| bincode::error::DecodeError::OtherString(e.to_string()))?;
        Ok(made)
    }
}

bincode::impl_borrow_decode!(Signature);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_breaks_lines_and_decodes_only_valid_ones() {
        assert!(Signature::new("A\nB", "a@b", 0, 0).is_err());
        assert!(Signature::new("A", "<a@b>", 0, 0).is_err());
        assert!(Signature::new("A", "a@b", 0, 1440).is_err());
        let good = Signature::new("Ä", "a@b", -5, -90).unwrap();
        assert_eq!(crate::codec::decode::<Signature, 4096>(&crate::codec::encode(&good)).unwrap(), good);
        let bad = Signature { name: "\0".to_owned(), ..good };
        assert!(crate::codec::decode::<Signature, 4096>(&crate::codec::encode(&bad)).is_err());
    }
}
