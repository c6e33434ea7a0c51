//! `audit verify`: is every line where and what it was?

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use dits_core::durable::{self, IoContext, IoError};

use super::line::{self, Head, Link};
use super::log::AuditLog;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which line, from 1; the one after the last for what is missing at the end.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Whole lines.
    pub lines: u64,
    /// Where the log ends.
    pub head: Head,
    /// Bytes of a half written last line; a crash leaves such, so it is no finding.
    pub torn: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Verified {
    fn add(&mut self, line: u64, what: impl Into<String>) {
        self.findings.push(Finding { line, what: what.into() });
    }

    fn follow(&mut self, number: u64, link: Link) {
        let (expected, found) = (self.head.seq + 1, link.head.seq);
        match found {
            _ if found > expected => {
                let missing = if found == expected + 1 {
                    format!("record {expected} is missing before this line")
                } else {
                    format!("records {expected} to {} are missing before this line", found - 1)
                };
                self.add(number, missing);
            }
            _ if found < expected => {
                self.add(number, format!("this is record {found}, which does not belong here: moved or inserted"));
            }
            // After a line that was changed there is nothing to compare with.
            _ if !self.head.hash.is_empty() && link.prev != self.head.hash => {
                self.add(number, format!("record {found} does not follow the line before: one of them was replaced"));
            }
            _ => {}
        }
        // A line that was moved here must not make all that follow look wrong.
        if found >= expected {
            self.head = link.head;
        }
    }
}

/// Reads the whole log in a folder. `expected` is an end that somebody noted earlier.
///
/// # Errors
/// When it cannot be read.
pub fn verify(folder: &Path, expected: Option<&Head>) -> Result<Verified, IoError> {
    let mut verified = Verified::default();
    let mut noted: Vec<(Head, &str)> = expected.map(|head| (head.clone(), "the one to expect")).into_iter().collect();
    let head_file = AuditLog::head_file(folder);
    if let Some(bytes) = durable::read_limited(&head_file, 4096)? {
        match String::from_utf8_lossy(&bytes).parse() {
            Ok(head) => noted.push((head, "audit/head")),
            Err(what) => verified.add(0, format!("{} cannot be used: {what}", head_file.display())),
        }
    }
    let path = AuditLog::file(folder);
    let file = match File::open(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        opened => Some(opened.at("open", &path)?),
    };
    let mut lines = file.map(BufReader::new);
    let mut seen = vec![false; noted.len()];
    while let Some(line) = lines.as_mut().map(|lines| read_line(lines, &path)).transpose()?.flatten() {
        let Some(whole) = line.strip_suffix(b"\n") else {
            verified.torn = line.len() as u64;
            break;
        };
        verified.lines += 1;
        let number = verified.lines;
        match line::decode(whole) {
            Ok(link) => {
                noted
                    .iter()
                    .zip(&mut seen)
                    .filter(|((head, _), _)| *head == link.head)
                    .for_each(|(_, seen)| *seen = true);
                verified.follow(number, link);
            }
            Err(what) => {
                verified.add(number, what);
                // Its number is taken, whatever it says.
                verified.head.seq += 1;
                verified.head.hash = String::new();
            }
        }
    }
    check_ends(&mut verified, &noted, &seen);
    Ok(verified)
}

fn check_ends(verified: &mut Verified, noted: &[(Head, &str)], seen: &[bool]) {
    let next = verified.lines + 1;
    for ((head, name), seen) in noted.iter().zip(seen) {
        if *seen || head.seq == 0 {
            continue;
        }
        let what = if head.seq > verified.head.seq {
            format!("the log ends before record {}, which {name} names: its end is missing", head.seq)
        } else {
            format!("record {} is not the one that {name} names", head.seq)
        };
        verified.add(next, what);
    }
}

fn read_line(lines: &mut impl BufRead, path: &Path) -> Result<Option<Vec<u8>>, IoError> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line).at("read", path)?;
    Ok(if line.is_empty() { None } else { Some(line) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{AuditLog, Record};
    use super::*;

    /// The lines and the findings after `change` was done to a log of six.
    fn after(change: impl FnOnce(&mut Vec<String>)) -> Vec<(u64, String)> {
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::new(dir.path().into());
        for time in 0..6 {
            let record = Record { event: "push", who: Some(format!("token t{time}")), ..Record::default() };
            log.append(time, &record, true).unwrap();
        }
        let path = dir.path().join("log");
        let mut lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(|l| format!("{l}\n")).collect();
        change(&mut lines);
        fs::write(&path, lines.concat()).unwrap();
        verify(dir.path(), None).unwrap().findings.into_iter().map(|f| (f.line, f.what)).collect()
    }

    #[track_caller]
    fn names(findings: &[(u64, String)], line: u64, what: &str) {
        assert!(findings.iter().any(|(l, w)| *l == line && w.contains(what)), "{findings:?}");
    }

    #[test]
    fn an_untouched_log_is_intact() {
        assert_eq!(after(|_| {}), []);
    }

    #[test]
    fn each_kind_of_tampering_is_found_and_named() {
        let found = after(|lines| lines[2] = lines[2].replace("t2", "t9"));
        names(&found, 3, "was changed");
        assert_eq!(found.len(), 1, "{found:?}");
        names(&after(|lines| drop(lines.remove(2))), 3, "record 3 is missing");
        names(&after(|lines| drop(lines.drain(1..4))), 2, "records 2 to 4 are missing");
        names(&after(|lines| lines.insert(2, lines[4].clone())), 3, "missing");
        names(&after(|lines| lines.insert(4, lines[1].clone())), 5, "record 2, which does not belong here");
        names(&after(|lines| lines.swap(2, 3)), 3, "record 3 is missing");
        names(&after(|lines| drop(lines.pop())), 6, "ends before record 6");
        names(&after(Vec::clear), 1, "ends before record 6");
        names(&after(|lines| lines[3] = "\n".into()), 4, "too short");
        // A line that is bound in itself, in place of another.
        let (forged, _) = line::encode(&Head { seq: 2, hash: "0".repeat(64) }, 9, &Record::default());
        names(&after(|lines| lines[2] = forged), 3, "does not follow");
        // The whole log made anew ends otherwise than `head` says.
        let anew = after(|lines| {
            let mut head = Head::default();
            for line in lines.iter_mut() {
                (*line, head) = line::encode(&head, 1, &Record { event: "push", ..Record::default() });
            }
        });
        names(&anew, 7, "not the one that audit/head names");
    }

    #[test]
    fn a_noted_end_is_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::new(dir.path().into());
        let noted = log.append(1, &Record::default(), true).unwrap();
        log.append(2, &Record::default(), true).unwrap();
        assert!(verify(dir.path(), Some(&noted)).unwrap().findings.is_empty());
        let other = Head { seq: 1, hash: "a".repeat(64) };
        assert_eq!(verify(dir.path(), Some(&other)).unwrap().findings.len(), 1);
        assert_eq!(noted.to_string().parse::<Head>().unwrap(), noted);
    }
}
