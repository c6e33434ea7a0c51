//! Reading the rules that users write into `.ditsignore` and `.ditsattributes`, from folders that are not trusted.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::durable::{IoContext, IoError};
use crate::path::RepoPath;

/// The longest file of rules, in bytes.
pub const MAX_RULES_FILE: usize = 1 << 20;

/// A file of rules that cannot be used. The user wrote it, so it is never called corrupt.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Over [`MAX_RULES_FILE`].
    #[error("{} is too long for a file of rules: at most 1 MiB", .0.display())]
    TooLong(PathBuf),
    /// A symbolic link in the worktree: following it would let a checkout read any file of the user's.
    #[error("{} is a symbolic link, which is not followed; replace it by a plain file", .0.display())]
    Symlink(PathBuf),
    /// Not a plain file.
    #[error("{} is not a plain file; remove or rename it", .0.display())]
    NotAFile(PathBuf),
    /// A line that says nothing dits can act on.
    #[error("{} line {line}: {what}", .file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Where the rules files of folders come from: the worktree, or a commit's tree.
pub trait FolderFiles {
    /// The content of `folder`'s file `name`; `None` when there is no such folder or file.
    ///
    /// # Errors
    /// When the file is there and cannot be used.
    fn rules_file(&self, folder: Option<&RepoPath>, name: &str) -> Result<Option<Vec<u8>>, RulesError>;
}

/// The rules in force in one folder, whatever they are about. Cloning is cheap.
pub trait FolderRules: Clone {
    /// The name of a folder's file of such rules.
    const FILE: &'static str;

    /// Whether files of rules are heeded here at all.
    fn heeds_files(&self) -> bool {
        true
    }

    /// The rules in force inside `folder` (`None`: the top one), given the content of its file; `self` is in force in the
    /// folder around it.
    ///
    /// # Errors
    /// When a line cannot be understood.
    fn inside(&self, folder: Option<&RepoPath>, content: Option<&[u8]>) -> Result<Self, RulesError>;
}

/// Finds the rules of any folder, in any order, reading the files of the folders around it as needed and keeping them.
pub struct RulesLookup<F, R> {
    files: F,
    global: R,
    known: Mutex<HashMap<Option<RepoPath>, R>>,
}

impl<F: FolderFiles, R: FolderRules> RulesLookup<F, R> {
    /// `global` are the rules that hold everywhere.
    pub fn new(files: F, global: R) -> Self {
        Self { files, global, known: Mutex::default() }
    }

    /// The rules in force inside `folder`.
    ///
    /// # Errors
    /// When the file of a folder on the way cannot be used.
    pub fn rules_in(&self, folder: Option<&RepoPath>) -> Result<R, RulesError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing = Vec::new();
        let mut at = folder.cloned();
        let mut rules = loop {
            if let Some(rules) = known.get(&at) {
                break rules.clone();
            }
            missing.push(at.clone());
            match at {
                None => break self.global.clone(),
                Some(inner) => at = inner.parent(),
            }
        };
        for folder in missing.into_iter().rev() {
            let heeded = rules.heeds_files();
            let content = if heeded { self.files.rules_file(folder.as_ref(), R::FILE)? } else { None };
            rules = rules.inside(folder.as_ref(), content.as_deref())?;
            known.insert(folder, rules.clone());
        }
        Ok(rules)
    }
}

/// Reads the file `name` of an open folder; `None` when there is none. `shown` is what errors call it.
///
/// # Errors
/// When it is a symbolic link, no plain file, too long, or cannot be read.
pub fn read_at(dir: BorrowedFd<'_>, name: &str, shown: &Path) -> Result<Option<Vec<u8>>, RulesError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => read_open(File::from(fd), shown).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err(RulesError::Symlink(shown.to_owned())),
        Err(Errno::NXIO) => Err(RulesError::NotAFile(shown.to_owned())),
        Err(errno) => Err(errno).at("open", shown)?,
    }
}

/// Reads a file of rules that the user named (`core.excludesFile`) or that lies in `.dits`; links are followed.
///
/// # Errors
/// When it is no plain file, too long, or cannot be read.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, RulesError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => read_open(File::from(fd), path).map(Some),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno).at("open", path)?,
    }
}

fn read_open(file: File, shown: &Path) -> Result<Vec<u8>, RulesError> {
    if !file.metadata().at("stat", shown)?.is_file() {
        return Err(RulesError::NotAFile(shown.to_owned()));
    }
    let mut bytes = Vec::new();
    let read: io::Result<usize> = file.take(MAX_RULES_FILE as u64 + 1).read_to_end(&mut bytes);
    read.at("read", shown)?;
    if bytes.len() > MAX_RULES_FILE {
        return Err(RulesError::TooLong(shown.to_owned()));
    }
    Ok(bytes)
}

/// The lines of a rules file with their numbers from 1: a byte order mark is dropped, and the CR of a CRLF.
pub(crate) fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    content.split(|byte| *byte == b'\n').enumerate().map(|(i, line)| (i + 1, line.strip_suffix(b"\r").unwrap_or(line)))
}
