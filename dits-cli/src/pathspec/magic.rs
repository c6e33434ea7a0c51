//! The part of a pathspec that says how to read the rest: `:/`, `:!`, `:(exclude,icase)`.

use bstr::ByteSlice;

use crate::error::CliError;

/// How to read a pathspec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Magic {
    /// Relative to the top of the worktree.
    pub top: bool,
    /// Takes away instead of adding.
    pub exclude: bool,
    /// Wildcards do not match `/`, `**` does.
    pub glob: bool,
    /// There are no wildcards.
    pub literal: bool,
    /// ASCII letters match in both cases.
    pub ignore_case: bool,
}

impl Magic {
    /// Parts a pathspec into its magic and the rest.
    ///
    /// # Errors
    /// When a word of the magic is unknown, or two contradict.
    pub fn split(text: &[u8]) -> Result<(Self, &[u8]), CliError> {
        let mut magic = Self::default();
        let Some(rest) = text.strip_prefix(b":") else { return Ok((magic, text)) };
        if let Some(long) = rest.strip_prefix(b"(") {
            let Some((words, rest)) = long.split_once_str(")") else {
                return Err(CliError::usage(format!("`{}` lacks a `)`", text.as_bstr())));
            };
            words.split(|byte| *byte == b',').filter(|word| !word.is_empty()).try_for_each(|word| magic.add(word))?;
            if magic.glob && magic.literal {
                return Err(CliError::usage(format!("`{}` cannot be both glob and literal", text.as_bstr())));
            }
            return Ok((magic, rest));
        }
        let signs = rest.iter().take_while(|byte| b"/!^".contains(byte)).count();
        for sign in &rest[..signs] {
            if *sign == b'/' { magic.top = true } else { magic.exclude = true }
        }
        let rest = &rest[signs..];
        Ok((magic, rest.strip_prefix(b":").unwrap_or(rest)))
    }

    fn add(&mut self, word: &[u8]) -> Result<(), CliError> {
        match word {
            b"top" => self.top = true,
            b"exclude" => self.exclude = true,
            b"glob" => self.glob = true,
            b"literal" => self.literal = true,
            b"icase" => self.ignore_case = true,
            _ => {
                return Err(CliError::usage(format!("`{}` is no pathspec magic", word.as_bstr()))
                    .hint("there are top, exclude, glob, literal and icase"));
            }
        }
        Ok(())
    }
}
