//! Edits of files in place, as the acceptance tables name them, and files with holes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Overwrites bytes; the size stays unless `bytes` reach past the end.
///
/// # Errors
/// Those of the file system.
pub fn overwrite(path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all_at(bytes, offset)
}

/// Appends bytes.
///
/// # Errors
/// Those of the file system.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(bytes)
}

/// Inserts bytes: what follows `offset` moves back. Works in constant memory, through a second file.
///
/// # Errors
/// Those of the file system.
pub fn insert(path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
    splice(path, offset, 0, bytes)
}

/// Removes `len` bytes: what follows them moves forward.
///
/// # Errors
/// Those of the file system.
pub fn remove(path: &Path, offset: u64, len: u64) -> io::Result<()> {
    splice(path, offset, len, b"")
}

/// Replaces `len` bytes at `offset` by others. The file gets a new inode, as from most editors.
///
/// # Errors
/// Those of the file system.
pub fn splice(path: &Path, offset: u64, len: u64, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".edited");
    let mut old = File::open(path)?;
    let mut new = File::create(&name)?;
    io::copy(&mut (&mut old).take(offset), &mut new)?;
    new.write_all(bytes)?;
    io::copy(&mut (&mut old).take(len), &mut io::sink())?;
    io::copy(&mut old, &mut new)?;
    new.set_permissions(old.metadata()?.permissions())?;
    fs::rename(name, path)
}

/// Makes a file of `len` bytes that is a hole except for the given pieces `(offset, bytes)`.
///
/// # Errors
/// Those of the file system.
pub fn sparse(path: &Path, len: u64, pieces: &[(u64, &[u8])]) -> io::Result<()> {
    let file = File::create(path)?;
    file.set_len(len)?;
    pieces.iter().try_for_each(|(offset, bytes)| file.write_all_at(bytes, *offset))
}

/// Bytes of disk a file takes: less than its size when it has holes.
///
/// # Errors
/// When it cannot be examined.
pub fn allocated(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.blocks() * 512)
}

/// The sizes of all files below a folder added up; the folder's absence counts as 0.
///
/// # Errors
/// When something in it cannot be examined.
pub fn folder_size(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        sum += if kind.is_dir() { folder_size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_do_what_they_say() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"0123456789").unwrap();
        insert(&path, 0, b"x").unwrap();
        append(&path, b"end").unwrap();
        overwrite(&path, 1, b"Z").unwrap();
        remove(&path, 3, 2).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"xZ1456789end");
        assert_eq!(folder_size(dir.path()).unwrap(), 12);
        assert_eq!(folder_size(&dir.path().join("absent")).unwrap(), 0);
    }

    #[test]
    fn a_sparse_file_takes_little_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        sparse(&path, 64 << 20, &[(32 << 20, b"middle")]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 64 << 20);
        assert!(allocated(&path).unwrap() < 1 << 20);
    }
}
