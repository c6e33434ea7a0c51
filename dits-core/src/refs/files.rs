//! The files and folders that refs are kept in: folders come and go with the names below them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::durable::{self, IoContext, IoError, read_limited, sync_dir};
use crate::refs::RefName;

/// Whether a name is not there, or lies below a file: `a/b` where `a` is a ref.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// [`read_limited`] where a folder of the name also means that there is no such ref.
pub(super) fn read_if_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, IoError> {
    match read_limited(path, limit) {
        Err(e) if is_absent(&e.source) || e.source.kind() == io::ErrorKind::IsADirectory => Ok(None),
        done => done,
    }
}

/// The names in a folder that are text and do not start with a dot, and whether each is a folder.
pub(super) fn dir_entries(dir: &Path) -> Result<Vec<(String, bool)>, IoError> {
    let entries = match fs::read_dir(dir) {
        Err(e) if is_absent(&e) => return Ok(Vec::new()),
        entries => entries.at("list", dir)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.at("list", dir)?;
        let is_dir = entry.file_type().at("list", dir)?.is_dir();
        found.extend(entry.file_name().into_string().ok().filter(|n| !n.starts_with('.')).map(|name| (name, is_dir)));
    }
    Ok(found)
}

/// Collects the refs below a folder; files whose names no ref can have are passed over.
pub(super) fn walk(dir: &Path, prefix: &str, into: &mut BTreeSet<RefName>) -> Result<(), IoError> {
    let mut rest = vec![(dir.to_owned(), prefix.to_owned())];
    while let Some((dir, prefix)) = rest.pop() {
        for (name, is_dir) in dir_entries(&dir)? {
            let full = format!("{prefix}{name}");
            match is_dir {
                true => rest.push((dir.join(name), format!("{full}/"))),
                false => into.extend(RefName::parse(&full).ok()),
            }
        }
    }
    Ok(())
}

/// Makes the folder for a file, and removes empty folders that stand in the file's place.
pub(super) fn make_room(file: &Path) -> Result<(), IoError> {
    if file.is_dir() {
        remove_empty_tree(file)?;
    }
    durable::create_dir_all(file.parent().unwrap_or(Path::new(".")))
}

fn remove_empty_tree(dir: &Path) -> Result<(), IoError> {
    for (name, is_dir) in dir_entries(dir)? {
        if is_dir {
            remove_empty_tree(&dir.join(name))?;
        }
    }
    remove_if_empty(dir);
    if dir.is_dir() { Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty)).at("remove", dir) } else { Ok(()) }
}

/// Removes a folder unless something is in it. Temporary files can only be those of dead writers, as the lock is held.
pub(super) fn remove_if_empty(dir: &Path) -> bool {
    if fs::remove_dir(dir).is_ok() {
        return true;
    }
    let Ok(entries) = fs::read_dir(dir) else { return !dir.exists() };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(".tmp-") {
            let _ = fs::remove_file(entry.path());
        }
    }
    fs::remove_dir(dir).is_ok()
}

pub(super) fn append_at(path: &Path, at: u64, bytes: &[u8]) -> Result<(), IoError> {
    use std::io::{Seek, SeekFrom};
    let options = File::options().write(true).create(true).truncate(false).clone();
    let mut file = options.open(path).at("open", path)?;
    let len = file.metadata().at("look at", path)?.len();
    file.set_len(at.min(len)).at("cut", path)?;
    file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(bytes)).at("append to", path)
}

/// Makes durable what was appended at `at`.
pub(super) fn sync_appended(path: &Path, at: u64) -> Result<(), IoError> {
    File::open(path).and_then(|file| file.sync_all()).at("sync", path)?;
    if at == 0 { sync_dir(path.parent().unwrap_or(Path::new("."))) } else { Ok(()) }
}
