//! Names that some file system takes for a repository's own folder.
//!
//! HFS+ and APFS ignore some code points and fold case; NTFS drops trailing dots and spaces, has short names (`GIT~1`)
//! and streams (`.git::$INDEX_ALLOCATION`), and reads a backslash as a separator. The check is deliberately wider than
//! any one of them: it folds compatibility forms too, and refuses every short-name number.

use bstr::ByteSlice;
use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// The folder that `name` could be taken for.
pub(super) fn reserved_as(name: &[u8]) -> Option<&'static str> {
    // Nearly every name is plain and is let through without folding anything.
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ');
    if name.iter().all(plain) && !matches!(name[0], b'.') {
        return None;
    }
    name.split(|byte| *byte == b'\\').find_map(part_reserved_as)
}

fn part_reserved_as(part: &[u8]) -> Option<&'static str> {
    let text = part.to_str_lossy();
    let folded: String = text.chars().filter(|c| !is_ignorable(*c)).nfkc().default_case_fold().nfkc().collect();
    let base = folded.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    match base {
        ".dits" => Some("`.dits`"),
        ".git" => Some("`.git`"),
        _ => short_name_of(base),
    }
}

fn short_name_of(base: &str) -> Option<&'static str> {
    let (stem, number) = base.split_once('~')?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match stem {
        "dits" => Some("`.dits`"),
        "git" => Some("`.git`"),
        _ => None,
    }
}

/// Code points that HFS+ ignores when it compares names, and the rest of Unicode's Default_Ignorable_Code_Point.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::reserved_as;

    #[test]
    fn disguises_are_seen_through() {
        for name in [
            ".dits",
            ".DITS",
            ".Dits.",
            ".dits ",
            ".dits. .",
            ".git",
            ".GiT",
            ".g\u{200c}it",
            "\u{feff}.git",
            "git~1",
            "GIT~2",
            "DITS~1",
            "dits~12",
            ".git::$INDEX_ALLOCATION",
            ".dits:stream",
            ".dit\u{17f}",
            "a\\.git\\b",
            "\u{ff0e}git",
            ".\u{ff47}it",
            "x\\..\\.dits",
        ] {
            assert!(reserved_as(name.as_bytes()).is_some(), "{name:?} went through");
        }
    }

    #[test]
    fn ordinary_names_go_through() {
        for name in
            [".gitignore", ".ditsignore", ".ditsattributes", "git", "dits", "digit~1", "a.git", "..git", "git~x"]
        {
            assert_eq!(reserved_as(name.as_bytes()), None, "{name:?}");
        }
    }
}
