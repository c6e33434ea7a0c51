//! The log of one ref: a line per change, oldest first (`docs/format/refs.md`).

use std::fmt::Write;

use crate::object::Digest;
use crate::refs::LogLine;
use crate::refs::record::{seal, unseal};
use crate::signature::Signature;

/// The longest message, in bytes; a longer one is cut.
pub const MAX_MESSAGE: usize = 4096;

/// The longest line, in bytes: every byte of the longest texts may be escaped as four.
pub const MAX_LINE: usize = 4 * (MAX_MESSAGE + 2 * crate::signature::MAX_PART) + 256;

/// A line of a log. It has the fields of the [`LogLine`] it was written from.
pub type LogEntry = LogLine;

/// The line for an entry.
#[must_use]
pub fn encode(entry: &LogEntry) -> String {
    let id = |id: &Option<Digest>| id.unwrap_or(Digest([0; 32]));
    let who = &entry.who;
    let mut line = format!("{} {} {} {}\t", id(&entry.old), id(&entry.new), who.time, who.offset);
    escape(&who.name, &mut line);
    line.push('\t');
    escape(&who.email, &mut line);
    line.push('\t');
    escape(cut(&entry.message), &mut line);
    line.push('\t');
    seal(&line)
}

/// Reads a line made by [`encode`], including its line feed.
///
/// # Errors
/// What is wrong with it.
pub fn decode(bytes: &[u8]) -> Result<LogEntry, String> {
    if bytes.len() > MAX_LINE {
        return Err("it is too long".to_owned());
    }
    let entry = parse(unseal(bytes)?).ok_or("it does not have the parts of a log line")?;
    entry.who.validate().map_err(|e| e.to_string())?;
    if encode(&entry).as_bytes() != bytes {
        return Err("it is not in canonical form".to_owned());
    }
    Ok(entry)
}

fn parse(text: &str) -> Option<LogEntry> {
    let [head, name, email, message, ""] = text.split('\t').collect::<Vec<_>>()[..] else { return None };
    let [old, new, time, offset] = head.split(' ').collect::<Vec<_>>()[..] else { return None };
    let id = |text: &str| Some(text.parse::<Digest>().ok()?).map(|id| (id != Digest([0; 32])).then_some(id));
    let (time, offset) = (time.parse().ok()?, offset.parse().ok()?);
    let who = Signature { name: unescape(name)?, email: unescape(email)?, time, offset };
    Some(LogEntry { old: id(old)?, new: id(new)?, who, message: unescape(message)? })
}

/// The length of the part of a log that is whole lines. Behind it may lie what a crash left of an unfinished write:
/// bytes without a line feed, or a last line with blocks that were never written and so read as NUL.
#[must_use]
pub fn whole_len(log: &[u8]) -> usize {
    let mut end = log.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let start = |end: usize| log[..end - 1].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    while end > 0 && log[start(end)..end].contains(&0) {
        end = start(end);
    }
    end
}

/// The newest `limit` entries of a log's bytes, newest first.
///
/// # Errors
/// The number of the damaged line, from 1, and what is wrong with it.
pub fn newest(log: &[u8], limit: usize) -> Result<Vec<LogEntry>, (usize, String)> {
    let lines = log[..whole_len(log)].split_inclusive(|b| *b == b'\n').enumerate();
    let lines: Vec<_> = lines.collect();
    let entry = |(at, line): &(usize, &[u8])| decode(line).map_err(|what| (at + 1, what));
    lines.iter().rev().take(limit).map(entry).collect()
}

fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_MESSAGE)]
}

fn escape(text: &str, to: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\0'..='\x1f' | '\x7f' => {
                let _ = write!(to, "\\x{:02x}", u32::from(c)); // writing to a string cannot fail
            }
            _ => to.push(c),
        }
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                'n' => '\n',
                'x' => char::from_u32(chars.next()?.to_digit(16)? * 16 + chars.next()?.to_digit(16)?)?,
                _ => return None,
            },
            c => c,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: &str) -> LogEntry {
        let who = Signature::new("Zoë \t\\", "z@x.org", 1_700_000_000, -90).unwrap();
        LogEntry { old: None, new: Some(Digest([1; 32])), who, message: message.to_owned() }
    }

    #[test]
    fn golden() {
        let line = encode(&entry("commit: a\nb\x07"));
        let zeros = "0".repeat(64);
        let ones = "01".repeat(32);
        let text = format!("{zeros} {ones} 1700000000 -90\tZoë \\x09\\\\\tz@x.org\tcommit: a\\nb\\x07\t 5b8217a3\n");
        assert_eq!(line, text);
        assert_eq!(decode(line.as_bytes()).unwrap(), entry("commit: a\nb\x07"));
    }

    #[test]
    fn any_damage_is_found_and_any_torn_tail_ignored() {
        let good = [encode(&entry("a")), encode(&entry("b"))].concat().into_bytes();
        let first = good.len() / 2;
        for at in first..good.len() {
            assert_eq!(newest(&good[..at], 9).unwrap(), [entry("a")]);
            let mut zeros = good[..at].to_vec();
            zeros.resize(good.len() - 1, 0);
            zeros.push(b'\n');
            if at < good.len() - 1 {
                assert_eq!(newest(&zeros, 9).unwrap(), [entry("a")]);
            }
        }
        for at in 0..good.len() - 1 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(newest(&bad, 9).is_err(), "{at}");
        }
        assert_eq!(newest(&good, 1).unwrap(), [entry("b")]);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let line = encode(&entry(&"ä\x01".repeat(3000)));
        let back = decode(line.as_bytes()).unwrap();
        assert!(back.message.len() <= MAX_MESSAGE && back.message.len() > MAX_MESSAGE - 4);
    }
}
