//! What `core.portable` asks of names, so that a project made on Linux opens on Windows and macOS.

use bstr::ByteSlice;
use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use super::RepoPath;

/// Why a name cannot be held by every common file system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortableError {
    /// Not UTF-8.
    #[error("it is not UTF-8, which macOS and Windows need")]
    NotUtf8,
    /// `CON`, `NUL`, `COM1` and the like, with any extension.
    #[error("Windows takes it for a device")]
    Device,
    /// A dot or space at the end.
    #[error("it ends in a dot or space, which Windows drops")]
    Trailing,
    /// One of `\ : * ? " < > |` or a control character.
    #[error("it has `{0}`, which Windows does not allow in names")]
    Character(char),
}

/// Checks one component.
///
/// # Errors
/// When Windows or macOS could not hold a file of this name.
pub fn check_component(name: &[u8]) -> Result<(), PortableError> {
    let text = name.to_str().map_err(|_| PortableError::NotUtf8)?;
    if let Some(c) = text.chars().find(|c| (*c as u32) < 32 || "\\:*?\"<>|".contains(*c)) {
        return Err(PortableError::Character(c));
    }
    if text.ends_with(['.', ' ']) {
        return Err(PortableError::Trailing);
    }
    if is_device(text) { Err(PortableError::Device) } else { Ok(()) }
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let Some(number) = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")) else { return false };
    let mut digits = number.chars();
    matches!((digits.next(), digits.next()), (Some('1'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'), None))
}

/// What two names have in common when a case-folding or normalising file system takes them for one.
#[must_use]
pub fn fold(name: &[u8]) -> Vec<u8> {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    match name.to_str() {
        Ok(text) => text.chars().nfc().default_case_fold().nfc().collect::<String>().into_bytes(),
        Err(_) => name.to_owned(),
    }
}

/// [`fold`] of a whole path: the key of locks, and of collisions between paths.
#[must_use]
pub fn fold_path(path: &RepoPath) -> Vec<u8> {
    fold(path.as_bytes())
}
