//! The file in which a client remembers servers: a line for each, `host:port fingerprint`. Empty lines and lines that begin
//! with `#` mean nothing.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use dits_core::durable::{self, IoContext, IoError};
use rustix::fs::FlockOperation;

use super::Fingerprint;

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Why known hosts could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KnownHostsError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A line about this host is not understood.
    #[error("line {line} of {} is not understood; a line is host:port and a fingerprint", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
    },
}

/// What is remembered of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub fingerprint: Fingerprint,
    /// The line's number, from 1.
    pub line: usize,
}

/// A file of known hosts. It need not exist.
#[derive(Clone, Debug)]
pub struct KnownHosts {
    path: PathBuf,
}

impl KnownHosts {
    /// The known hosts in this file.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is remembered of `host` (`name:port`).
    pub(super) fn find(&self, host: &str) -> Result<Option<Known>, KnownHostsError> {
        let bytes = durable::read_limited(&self.path, MAX_FILE)?.unwrap_or_default();
        self.find_in(&bytes, host)
    }

    fn find_in(&self, bytes: &[u8], host: &str) -> Result<Option<Known>, KnownHostsError> {
        for (line, number) in String::from_utf8_lossy(bytes).lines().zip(1..) {
            let mut words = line.split_ascii_whitespace();
            if words.next() != Some(host) {
                continue;
            }
            let fingerprint = words.next().and_then(|text| text.parse().ok());
            return match (fingerprint, words.next()) {
                (Some(fingerprint), None) => Ok(Some(Known { fingerprint, line: number })),
                _ => Err(KnownHostsError::Malformed { path: self.path.clone(), line: number }),
            };
        }
        Ok(None)
    }

    /// Remembers a server, durably, unless it has been remembered meanwhile; what is remembered then.
    pub(super) fn remember(&self, host: &str, fingerprint: Fingerprint) -> Result<Known, KnownHostsError> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            durable::create_dir_all(folder)?;
        }
        let mut file = self.lock()?;
        let mut bytes = Vec::new();
        (&mut file).take(MAX_FILE).read_to_end(&mut bytes).at("read", &self.path)?;
        if let Some(known) = self.find_in(&bytes, host)? {
            return Ok(known);
        }
        let separator = if bytes.last().is_none_or(|last| *last == b'\n') { "" } else { "\n" };
        let text = format!("{separator}{host} {fingerprint}\n");
        file.seek(std::io::SeekFrom::End(0)).at("write", &self.path)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).at("write", &self.path)?;
        let line = bytes.split(|byte| *byte == b'\n').count() + separator.len();
        Ok(Known { fingerprint, line })
    }

    /// The file, created if need be, locked until it is closed.
    fn lock(&self) -> Result<File, IoError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .at("open", &self.path)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).at("lock", &self.path)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(letter: char) -> Fingerprint {
        format!("SHA256:{}A", letter.to_string().repeat(42)).parse().unwrap()
    }

    #[test]
    fn servers_are_remembered_once() {
        let folder = tempfile::tempdir().unwrap();
        let hosts = KnownHosts::at(&folder.path().join("sub/known_hosts"));
        assert_eq!(hosts.find("a:1").unwrap(), None);
        let a = hosts.remember("a:1", fingerprint('A')).unwrap();
        assert_eq!((a.line, hosts.find("a:1").unwrap()), (1, Some(a)));
        assert_eq!(hosts.remember("a:1", fingerprint('B')).unwrap(), a);
        assert_eq!(hosts.remember("b:1", fingerprint('B')).unwrap().line, 2);
        assert_eq!(hosts.find("a:12").unwrap(), None);
    }

    #[test]
    fn comments_stay_and_a_last_line_without_end_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, "# mine\n\nx:1 nonsense\n# end").unwrap();
        let hosts = KnownHosts::at(&path);
        let known = hosts.remember("y:2", fingerprint('C')).unwrap();
        assert_eq!((known.line, hosts.find("y:2").unwrap()), (5, Some(known)));
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("# mine\n\nx:1 nonsense\n# end\ny:2 SHA256:"));
        assert!(matches!(hosts.find("x:1"), Err(KnownHostsError::Malformed { line: 3, .. })));
    }

    #[test]
    fn many_at_once_do_not_lose_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::thread::scope(|scope| {
            for n in 0..16 {
                let hosts = KnownHosts::at(&path);
                scope.spawn(move || hosts.remember(&format!("h{}:1", n / 2), fingerprint('D')).unwrap());
            }
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 8);
    }
}
