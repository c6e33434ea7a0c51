//! Paths as the user sees them: relative to where they are, and quoted where a name is odd.

use std::borrow::Cow;

use bstr::ByteSlice;

/// How odd names are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quoting {
    /// Control characters, quotes, backslashes and what is not UTF-8 in C style (`core.quotePath = false`, our
    /// default: names in any language stay readable).
    #[default]
    Odd,
    /// All that is not ASCII too (`core.quotePath = true`).
    NonAscii,
    /// Nothing (`-z`).
    Raw,
}

/// The name as it is, or in double quotes with C escapes, octal for raw bytes. Such a form has no control characters,
/// so a hostile name cannot steer the terminal.
#[must_use]
pub fn quote(name: &[u8], quoting: Quoting) -> Cow<'_, [u8]> {
    let odd = |c: char| c.is_control() || matches!(c, '"' | '\\') || (quoting == Quoting::NonAscii && !c.is_ascii());
    let fine = name.to_str().is_ok_and(|text| !text.contains(odd));
    if fine || quoting == Quoting::Raw {
        return Cow::Borrowed(name);
    }
    let mut quoted = vec![b'"'];
    for (start, end, c) in name.char_indices() {
        let bytes = &name[start..end];
        // A replacement character stands for bytes that are not UTF-8, unless the name really has one.
        let broken = c == char::REPLACEMENT_CHARACTER && bytes != "\u{fffd}".as_bytes();
        if broken || odd(c) { bytes.iter().for_each(|byte| escape(*byte, &mut quoted)) } else { quoted.extend(bytes) }
    }
    quoted.push(b'"');
    Cow::Owned(quoted)
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x07 => b'a',
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0b => b'v',
        0x0c => b'f',
        b'\r' => b'r',
        _ => return out.extend(format!("\\{byte:03o}").bytes()),
    };
    out.extend([b'\\', letter]);
}

/// [`quote`] as text, for messages.
#[must_use]
pub fn quote_text(name: &[u8]) -> String {
    String::from_utf8_lossy(&quote(name, Quoting::Odd)).into_owned()
}

/// `path` as seen from `folder`; both relative to the top of the worktree, which is the empty string.
#[must_use]
pub fn relative_to(folder: &[u8], path: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return path.to_vec();
    }
    let parts = |bytes: &'_ [u8]| -> Vec<Vec<u8>> {
        bytes.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let (from, to) = (parts(folder), parts(path));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut steps = vec![b"..".to_vec(); from.len() - shared];
    steps.extend_from_slice(&to[shared..]);
    match steps.is_empty() {
        true => b"./".to_vec(),
        false => steps.join(&b'/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(name: &[u8], quoting: Quoting) -> String {
        String::from_utf8_lossy(&quote(name, quoting)).into_owned()
    }

    #[test]
    fn only_odd_names_are_quoted() {
        let cases: [(&[u8], &str); 8] = [
            (b"a b.mov", "a b.mov"),
            ("Überblick 映画.mp4".as_bytes(), "Überblick 映画.mp4"),
            (b"a\tb\nc", r#""a\tb\nc""#),
            (b"say \"hi\"", r#""say \"hi\"""#),
            (b"a\\b", r#""a\\b""#),
            (b"\x1b[31m", r#""\033[31m""#),
            (b"a\xff\xe4.wav", r#""a\377\344.wav""#),
            ("\u{9b}x".as_bytes(), r#""\302\233x""#),
        ];
        for (name, expected) in cases {
            assert_eq!(quoted(name, Quoting::Odd), expected);
        }
    }

    #[test]
    fn non_ascii_is_quoted_on_request_and_nothing_when_raw() {
        assert_eq!(quoted("ü.mp4".as_bytes(), Quoting::NonAscii), r#""\303\274.mp4""#);
        assert_eq!(quote(b"a\n\xff", Quoting::Raw).as_ref(), b"a\n\xff");
    }

    #[test]
    fn a_real_replacement_character_is_kept() {
        assert_eq!(quoted("\u{fffd}\"".as_bytes(), Quoting::Odd), "\"\u{fffd}\\\"\"");
    }

    #[test]
    fn paths_are_shown_from_where_the_user_is() {
        let cases = [
            ("", "a/b", "a/b"),
            ("a", "a/b", "b"),
            ("a", "b", "../b"),
            ("a/b/c", "a/x", "../../x"),
            ("a", "a", "./"),
            ("a", "ab/c", "../ab/c"),
            ("a/b", "a", ".."),
        ];
        for (folder, path, expected) in cases {
            assert_eq!(relative_to(folder.as_bytes(), path.as_bytes()).as_bstr(), expected, "{folder} {path}");
        }
    }
}
