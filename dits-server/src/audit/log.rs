//! Appending. Several processes may do it: each takes the lock and looks where the log ends.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dits_core::durable::{self, IoContext, IoError};
use dits_core::lockfile::{FileLock, PATIENCE};

use super::AuditError;
use super::line::{self, Head, Record};

/// The longest line, in bytes: a push of many refs.
const MAX_LINE: u64 = 64 << 20;

/// The log in a folder.
pub struct AuditLog {
    folder: PathBuf,
    /// Where the log ended when this process last wrote it: its length and its head.
    end: Mutex<Option<(u64, Head)>>,
}

impl AuditLog {
    /// The log in this folder, which must exist.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, end: Mutex::new(None) }
    }

    /// The lines' file.
    #[must_use]
    pub fn file(folder: &Path) -> PathBuf {
        folder.join("log")
    }

    /// The file that says where the durable part ends.
    #[must_use]
    pub fn head_file(folder: &Path) -> PathBuf {
        folder.join("head")
    }

    /// Makes sure that the log can be continued.
    ///
    /// # Errors
    /// When it cannot, or the operating system refuses.
    pub fn check(&self, time: i64) -> Result<(), AuditError> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = FileLock::acquire(&self.folder.join("lock"), PATIENCE)?;
        let (_, length, head) = self.open(&mut end, time)?;
        *end = Some((length, head));
        Ok(())
    }

    /// Writes a line, durably if `durable`.
    ///
    /// # Errors
    /// When the log cannot be continued, or the operating system refuses.
    pub fn append(&self, time: i64, record: &Record, durable: bool) -> Result<Head, AuditError> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = FileLock::acquire(&self.folder.join("lock"), PATIENCE)?;
        let path = Self::file(&self.folder);
        let (mut file, mut length, mut head) = self.open(&mut end, time)?;
        let is_new = length == 0;
        let (line, next) = line::encode(&head, time, record);
        file.write_all(line.as_bytes()).at("write", &path)?;
        (length, head) = (length + line.len() as u64, next);
        if durable {
            file.sync_data().at("sync", &path)?;
            if is_new {
                durable::sync_dir(&self.folder)?;
            }
            durable::write_private(&Self::head_file(&self.folder), format!("{head}\n").as_bytes())?;
        }
        *end = Some((length, head.clone()));
        Ok(head)
    }

    /// The file, its length and its head. Takes what is known of its end: whoever writes knows a new one.
    fn open(&self, end: &mut Option<(u64, Head)>, time: i64) -> Result<(File, u64, Head), AuditError> {
        let path = Self::file(&self.folder);
        let options = File::options().read(true).append(true).create(true).mode(0o600).clone();
        let mut file = options.open(&path).at("open", &path)?;
        let length = file.metadata().at("look at", &path)?.len();
        let (length, head) = match end.take() {
            Some((known, head)) if known == length => (known, head),
            _ => self.find_end(&mut file, &path, length, time)?,
        };
        Ok((file, length, head))
    }

    /// Looks where the log ends, and removes a line that a crash left half written.
    fn find_end(&self, file: &mut File, path: &Path, length: u64, time: i64) -> Result<(u64, Head), AuditError> {
        let whole = length - torn_bytes(file, path, length)?;
        let head = last_head(file, path, whole)?;
        if whole == length {
            return Ok((length, head));
        }
        file.set_len(whole).at("cut", path)?;
        let note = format!("{} bytes of a half written line removed", length - whole);
        let (line, head) =
            line::encode(&head, time, &Record { event: "recovered", note: Some(note), ..Record::default() });
        file.write_all(line.as_bytes()).at("write", path)?;
        Ok((whole + line.len() as u64, head))
    }
}

/// How many bytes follow the last line break.
fn torn_bytes(file: &mut File, path: &Path, length: u64) -> Result<u64, IoError> {
    let mut torn = 0;
    while let Some(block) = block_before(file, path, length - torn)? {
        match block.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => return Ok(torn + (block.len() - at - 1) as u64),
            None => torn += block.len() as u64,
        }
    }
    Ok(torn)
}

/// Up to 64 KiB that end at `end`; `None` at the beginning of the file.
fn block_before(file: &mut File, path: &Path, end: u64) -> Result<Option<Vec<u8>>, IoError> {
    if end == 0 {
        return Ok(None);
    }
    let begin = end.saturating_sub(64 << 10);
    file.seek(SeekFrom::Start(begin)).at("read", path)?;
    let mut block = Vec::new();
    file.take(end - begin).read_to_end(&mut block).at("read", path)?;
    Ok(if block.is_empty() { None } else { Some(block) })
}

/// The head of a log that ends with a whole line at `end`.
fn last_head(file: &mut File, path: &Path, end: u64) -> Result<Head, AuditError> {
    if end == 0 {
        return Ok(Head::default());
    }
    let damaged = |what: &str| AuditError::Damaged { file: path.to_owned(), what: what.to_owned() };
    let body = end - 1;
    let line = torn_bytes(file, path, body)?;
    if line > MAX_LINE {
        return Err(damaged("its last line is too long"));
    }
    file.seek(SeekFrom::Start(body - line)).at("read", path)?;
    let mut bytes = Vec::new();
    file.take(line).read_to_end(&mut bytes).at("read", path)?;
    line::decode(&bytes).map(|link| link.head).map_err(|what| damaged(&format!("in its last line, {what}")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::verify;
    use super::*;

    fn record(event: &'static str) -> Record {
        Record { event, who: Some("admin".into()), ..Record::default() }
    }

    #[test]
    fn two_processes_write_one_chain() {
        let dir = tempfile::tempdir().unwrap();
        let logs = [AuditLog::new(dir.path().into()), AuditLog::new(dir.path().into())];
        for number in 0..6 {
            logs[number % 2].append(number as i64, &record("push"), number == 3).unwrap();
        }
        let verified = verify(dir.path(), None).unwrap();
        assert_eq!((verified.lines, verified.findings.len(), verified.head.seq), (6, 0, 6));
        assert!(fs::read_to_string(dir.path().join("head")).unwrap().starts_with("4:"));
        for file in ["log", "head"] {
            assert_eq!(fs::metadata(dir.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_torn_line_is_removed_at_any_length_and_said() {
        let dir = tempfile::tempdir().unwrap();
        AuditLog::new(dir.path().into()).append(1, &record("serve"), true).unwrap();
        let path = dir.path().join("log");
        let whole = fs::read(&path).unwrap();
        let (next, _) = line::encode(&verify(dir.path(), None).unwrap().head, 2, &record("push"));
        for cut in 1..next.len() - 1 {
            fs::write(&path, [&whole, &next.as_bytes()[..cut]].concat()).unwrap();
            assert_eq!(verify(dir.path(), None).unwrap().torn, cut as u64);
            AuditLog::new(dir.path().into()).append(3, &record("push"), false).unwrap();
            let verified = verify(dir.path(), None).unwrap();
            assert_eq!((verified.lines, verified.torn, verified.findings.len()), (3, 0, 0), "cut at {cut}");
        }
        assert!(fs::read_to_string(&path).unwrap().contains("recovered"));
    }

    #[test]
    fn a_changed_last_line_is_not_continued() {
        let dir = tempfile::tempdir().unwrap();
        AuditLog::new(dir.path().into()).append(1, &record("serve"), true).unwrap();
        let path = dir.path().join("log");
        let text = fs::read_to_string(&path).unwrap().replace("admin", "nobody");
        fs::write(&path, text).unwrap();
        let log = AuditLog::new(dir.path().into());
        assert!(log.check(2).unwrap_err().to_string().contains("hash does not match"));
        let error = log.append(2, &record("push"), true).unwrap_err();
        assert!(error.to_string().contains("hash does not match"), "{error}");
    }
}
