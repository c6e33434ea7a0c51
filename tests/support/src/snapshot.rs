//! What a folder holds, to be compared: bytes, executable bits, symlink targets.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// One thing in a folder. Contents stay on disk and are compared there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A regular file.
    File {
        /// Size in bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link and its target.
    Symlink(PathBuf),
    /// A device, socket or pipe.
    Special,
}

/// All that is below a folder, except what is below `.dits` and `.git` at its top.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The folder.
    pub root: PathBuf,
    /// Relative path → what is there.
    pub nodes: BTreeMap<PathBuf, Node>,
}

impl Snapshot {
    /// Walks a folder; symlinks are not followed.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn of(root: &Path) -> io::Result<Self> {
        let mut nodes = BTreeMap::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(root.join(&folder))? {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                if is_repository(&folder, &entry.file_name()) {
                    continue;
                }
                let node = node(&entry)?;
                if node == Node::Folder {
                    folders.push(path.clone());
                }
                nodes.insert(path, node);
            }
        }
        Ok(Self { root: root.to_owned(), nodes })
    }

    /// Everything that differs from `other`, one line each, empty folders left out (dits does not version them).
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn differences(&self, other: &Self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for (path, node) in self.nodes.iter().filter(|(_, node)| **node != Node::Folder) {
            match other.nodes.get(path) {
                None => found.push(format!("{}: only in {}", path.display(), self.root.display())),
                Some(theirs) if node != theirs => found.push(format!("{}: {node:?} and {theirs:?}", path.display())),
                Some(Node::File { .. }) => {
                    if let Some(at) = first_difference(&self.root.join(path), &other.root.join(path))? {
                        found.push(format!("{}: bytes differ from offset {at} on", path.display()));
                    }
                }
                Some(_) => {}
            }
        }
        let theirs =
            other.nodes.iter().filter(|(path, node)| **node != Node::Folder && !self.nodes.contains_key(*path));
        found.extend(theirs.map(|(path, _)| format!("{}: only in {}", path.display(), other.root.display())));
        Ok(found)
    }
}

fn is_repository(folder: &Path, name: &OsString) -> bool {
    folder.as_os_str().is_empty() && (name == ".dits" || name == ".git")
}

fn node(entry: &fs::DirEntry) -> io::Result<Node> {
    let meta = entry.metadata()?;
    Ok(if meta.is_dir() {
        Node::Folder
    } else if meta.is_symlink() {
        Node::Symlink(fs::read_link(entry.path())?)
    } else if meta.is_file() {
        Node::File { size: meta.len(), executable: meta.permissions().mode() & 0o100 != 0 }
    } else {
        Node::Special
    })
}

/// Where two files first differ; `None` when they are equal byte for byte.
///
/// # Errors
/// When one cannot be read.
pub fn first_difference(a: &Path, b: &Path) -> io::Result<Option<u64>> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut offset = 0;
    loop {
        let n = fill(&mut a, &mut left)?;
        let m = fill(&mut b, &mut right)?;
        if let Some(at) = left[..n].iter().zip(&right[..m]).position(|(x, y)| x != y) {
            return Ok(Some(offset + at as u64));
        }
        if n != m {
            return Ok(Some(offset + n.min(m) as u64));
        }
        if n == 0 {
            return Ok(None);
        }
        offset += n as u64;
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Asserts that two folders hold the same: bytes, executable bits, symlink targets.
///
/// # Panics
/// With every difference (the first 50), or when something cannot be read.
#[track_caller]
pub fn assert_same(a: &Path, b: &Path) {
    let (left, right) = (Snapshot::of(a).expect("walks the first folder"), Snapshot::of(b).expect("walks the second"));
    let found = left.differences(&right).expect("reads both folders");
    let shown = found.iter().take(50).cloned().collect::<Vec<_>>().join("\n  ");
    assert!(found.is_empty(), "{} and {} differ in {} places:\n  {shown}", a.display(), b.display(), found.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sub/.dits")).unwrap();
        fs::create_dir(dir.path().join(".dits")).unwrap();
        fs::write(dir.path().join("sub/f"), b"bytes").unwrap();
        symlink("f", dir.path().join("sub/link")).unwrap();
        dir
    }

    #[test]
    fn equal_folders_are_equal_whatever_their_repositories_hold() {
        let (a, b) = (folder(), folder());
        fs::write(a.path().join(".dits/x"), b"").unwrap();
        fs::create_dir(b.path().join("empty")).unwrap();
        assert_same(a.path(), b.path());
    }

    #[test]
    fn sees_bytes_modes_links_and_absence() {
        let (a, b) = (folder(), folder());
        let differs = || {
            let (a, b) = (Snapshot::of(a.path()).unwrap(), Snapshot::of(b.path()).unwrap());
            (a.differences(&b).unwrap().len(), b.differences(&a).unwrap().len())
        };
        fs::write(b.path().join("sub/f"), b"byteS").unwrap();
        assert_eq!(differs(), (1, 1));
        fs::write(b.path().join("sub/f"), b"bytes").unwrap();
        fs::set_permissions(b.path().join("sub/f"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(differs(), (1, 1));
        fs::remove_file(b.path().join("sub/link")).unwrap();
        symlink("g", b.path().join("sub/link")).unwrap();
        fs::write(b.path().join("new"), b"").unwrap();
        assert_eq!(differs(), (3, 3));
    }

    #[test]
    fn finds_the_first_different_byte() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, vec![7; 2_000_000]).unwrap();
        fs::write(&b, vec![7; 1_500_000]).unwrap();
        assert_eq!(first_difference(&a, &b).unwrap(), Some(1_500_000));
        assert_eq!(first_difference(&a, &a).unwrap(), None);
    }
}
