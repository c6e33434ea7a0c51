//! gzip and zip.

use super::Facts;
use super::source::{Parse, Source, Stop, WINDOW, past};

/// Facts of a gzip stream (RFC 1952): the name it was made from.
pub(super) fn gzip(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let flags = src.u8(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at = past(12, src.le16(10)?.into())?;
    }
    if flags & 8 != 0 {
        facts.text("original-name", src.up_to(at, super::MAX_TEXT)?.0);
    }
    Ok(())
}

/// Facts of a zip archive: how many entries its end record counts (the one behind a comment up to 4 KiB is found).
pub(super) fn zip(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    const RECORD: usize = 22;
    let tail_len = (WINDOW as u64).min(src.len());
    let start = src.len() - tail_len;
    let tail = src.get(start, tail_len as usize)?;
    let last = tail.0.len().checked_sub(RECORD).ok_or(Stop::Malformed)?;
    let record = (0..=last).rev().find(|&at| {
        tail.is(at, b"PK\x05\x06") && tail.le16(at + 20).map(usize::from) == Some(tail.0.len() - at - RECORD)
    });
    let record = record.ok_or(Stop::Malformed)?;
    let entries = tail.le16(record + 10).ok_or(Stop::Malformed)?;
    let locator = record.checked_sub(20).filter(|&at| tail.is(at, b"PK\x06\x07"));
    if let (u16::MAX, Some(locator)) = (entries, locator) {
        // zip64: a locator in front of the record says where the wide record is.
        let wide = src.le64(past(start, locator as u64 + 8)?)?;
        let entries = src.le64(past(wide, 32)?)?;
        facts.number("entries", entries);
    } else {
        facts.number("entries", entries);
    }
    Ok(())
}
