//! Files that are prepared in the worktree itself, where nothing else is on the same file system: a note in the
//! repository names each of them, so that the next checkout removes what a killed one has left.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::durable::{IoContext, IoError};
use crate::path::RepoPath;
use crate::store::lockfile;
use crate::worktree::WorkDirs;

/// How names of notes begin.
const PREFIX: &str = "beside-";
/// How names of files begin that are prepared in the worktree, and how they end.
const NAME: (&str, &str) = (".checkout-", ".tmp");

/// The name of a prepared file.
pub(super) fn name(process: u32, number: u64) -> String {
    let (begin, end) = NAME;
    format!("{begin}{process}-{number}{end}")
}

/// Notes that a file is being prepared, as long as this lives.
pub(super) fn note(temp: &Path, beside: &RepoPath) -> Result<NamedTempFile, IoError> {
    let mut note = lockfile::create(temp, PREFIX, "")?;
    note.write_all(beside.as_path().as_os_str().as_bytes()).at("write", note.path())?;
    Ok(note)
}

/// Removes the files that dead processes noted. Who may write in the repository could name any file in a note: only
/// what is called like a prepared one goes.
pub(super) fn sweep(temp: &Path, dirs: &WorkDirs) -> Result<(), IoError> {
    for entry in std::fs::read_dir(temp).at("list", temp)? {
        let entry = entry.at("list", temp)?;
        if !entry.file_name().as_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let Some(mut note) = lockfile::take_dead(&entry.path())? else { continue };
        let mut noted = Vec::new();
        note.read_to_end(&mut noted).at("read", &entry.path())?;
        if let Ok(path) = RepoPath::parse(&noted)
            && path.name().starts_with(NAME.0.as_bytes())
            && path.name().ends_with(NAME.1.as_bytes())
        {
            dirs.unlink(&path)?;
        }
        std::fs::remove_file(entry.path()).at("remove", &entry.path())?;
    }
    Ok(())
}

/// The last component of a path, for a system call.
pub(super) fn last(path: &RepoPath) -> &Path {
    Path::new(OsStr::from_bytes(path.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_noted_goes_and_nothing_else() {
        let (temp, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dirs = WorkDirs::open(work.path()).unwrap();
        let (dead, live, other) = (name(1, 1), name(1, 2), "film.mov".to_owned());
        for file in [&dead, &live, &other] {
            std::fs::write(work.path().join(file), "x").unwrap();
        }
        let path = |name: &str| RepoPath::parse(name.as_bytes()).unwrap();
        // Without its lock a note looks as if its process had died.
        for file in [&dead, &other] {
            std::fs::write(temp.path().join(format!("{PREFIX}{file}")), file).unwrap();
        }
        let _live = note(temp.path(), &path(&live)).unwrap();
        sweep(temp.path(), &dirs).unwrap();
        let left = |name: &str| work.path().join(name).exists();
        assert_eq!((left(&dead), left(&live), left(&other)), (false, true, true));
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }
}
