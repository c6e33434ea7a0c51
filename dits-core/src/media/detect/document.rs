//! Documents, markup and plain text.

use super::super::bytes::Bytes;
use super::super::file_type::FileType;

/// How far an XML root element or a JSON schema key is looked for.
const ROOT_REACH: usize = 4096;

pub(super) fn magic(head: Bytes<'_>, _size: u64) -> Option<FileType> {
    const PREFIXES: &[(&[u8], FileType)] = &[
        (b"%PDF-", FileType::Pdf),
        (b"%!PS", FileType::PostScript),
        (b"{\\rtf", FileType::Rtf),
        (b"wOFF", FileType::WebFont),
        (b"wOF2", FileType::WebFont),
        (b"OTTO\0", FileType::Font),
        (b"ttcf\0", FileType::Font),
        (b"\0\x01\0\0\0", FileType::Font),
    ];
    let found = PREFIXES.iter().find(|(prefix, _)| head.starts(prefix))?.1;
    // TrueType's magic is weak: the table count and its derived search range have to agree.
    let weak = head.starts(b"\0\x01\0\0");
    (!weak || is_truetype(head)).then_some(found)
}

fn is_truetype(head: Bytes<'_>) -> bool {
    match (head.be16(4), head.be16(6)) {
        (Some(tables @ 1..=255), Some(range)) => range == 16 << tables.ilog2(),
        _ => false,
    }
}

/// Text of any kind: UTF-8 without control characters, or UTF-16 with a byte order mark.
pub(super) fn text(head: Bytes<'_>, size: u64) -> Option<FileType> {
    if head.starts(b"\xff\xfe") || head.starts(b"\xfe\xff") {
        return is_utf16(head).then_some(FileType::Utf16);
    }
    let whole = head.0.len() as u64 >= size;
    if head.0.is_empty() || !is_utf8(head.0, whole) {
        return None;
    }
    let body = head.0.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head.0).trim_ascii_start();
    Some(match body.first() {
        Some(b'<') => markup(body),
        Some(b'{' | b'[') if is_json(body) => {
            if Bytes(body).has(b"\"OTIO_SCHEMA\"", ROOT_REACH) {
                FileType::Otio
            } else {
                FileType::Json
            }
        }
        _ => FileType::Text,
    })
}

/// Every line control is allowed, other control characters are not. A character cut by the end of the head is fine.
fn is_utf8(head: &[u8], whole: bool) -> bool {
    let controls = |b: &u8| matches!(b, 0..=7 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    if head.iter().any(controls) {
        return false;
    }
    match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => !whole && error.error_len().is_none(),
    }
}

/// After the mark, no NUL character and no other control than white space among the first units.
fn is_utf16(head: Bytes<'_>) -> bool {
    let big_endian = head.starts(b"\xfe\xff");
    let unit = |pair: &[u8]| if big_endian { [pair[0], pair[1]] } else { [pair[1], pair[0]] };
    let mut units = head.0[2..].chunks_exact(2).take(256).map(|pair| u16::from_be_bytes(unit(pair)));
    head.0.len() >= 4 && units.all(|u| u >= 0x20 || matches!(u, 9 | 10 | 13))
}

fn markup(body: &[u8]) -> FileType {
    let reach = Bytes(&body[..body.len().min(ROOT_REACH)]);
    let begins = |prefix: &str| body.get(..prefix.len()).is_some_and(|b| b.eq_ignore_ascii_case(prefix.as_bytes()));
    if begins("<!doctype html") || begins("<html") {
        return FileType::Html;
    }
    let declared = begins("<?xml") || begins("<!doctype ");
    const ROOTS: &[(&[u8], FileType)] = &[
        (b"<fcpxml", FileType::Fcpxml),
        (b"<xmeml", FileType::Xmeml),
        (b"<PremiereData", FileType::PremiereXml),
        (b"<svg", FileType::Svg),
    ];
    let root = ROOTS.iter().find(|(root, _)| if declared { reach.has(root, ROOT_REACH) } else { reach.starts(root) });
    match root {
        Some((_, found)) => *found,
        None if declared => FileType::Xml,
        None => FileType::Text,
    }
}

/// An opening brace before a key (or its end), or an opening bracket before something a JSON array holds.
fn is_json(body: &[u8]) -> bool {
    let next = body[1..].trim_ascii_start().first();
    match body[0] {
        b'{' => matches!(next, Some(b'"' | b'}')),
        _ => matches!(next, Some(b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9')),
    }
}
