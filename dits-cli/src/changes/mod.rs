//! Showing what differs between two versions: for `diff`, `show` and `log`.

use dits_core::attributes::AttributeLookup;
use dits_core::content::{Rehearsal, copy_to, detect_if_here, if_here};
use dits_core::diff::{Change, FileVersion, RenameOptions};
use dits_core::durable::IoContext;
use dits_core::media::{self, FileType, HEAD_LEN};
use dits_core::path::RepoPath;
use dits_core::tree::{Content, Mode};
use dits_core::worktree::WorkDirs;

use crate::context::Context;
use crate::error::CliError;
use crate::repository::Opened;

mod binary;
pub mod form;
mod gather;
pub mod json;
mod names;
mod patch;
mod stat;

pub use form::{Form, FormArgs};
pub use gather::Against;

/// From this size on text is not compared line by line.
const MAX_TEXT: u64 = 8 << 20;

/// One side of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// File, executable or symlink.
    pub mode: Mode,
    /// The length of the content.
    pub size: u64,
    /// The content; `None` for a file of the worktree that did not have to be read.
    pub content: Option<Content>,
    /// Whether the bytes are in the worktree only.
    pub in_worktree: bool,
}

impl Side {
    fn stored(version: FileVersion) -> Self {
        Self { mode: version.mode, size: version.size, content: Some(version.content), in_worktree: false }
    }

    fn version(&self) -> Option<FileVersion> {
        let content = self.content.clone()?;
        Some(FileVersion { mode: self.mode, size: self.size, content })
    }
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its path; the new one if it was moved.
    pub path: RepoPath,
    /// The file before.
    pub old: Option<Side>,
    /// The file after.
    pub new: Option<Side>,
    /// Where it was before, and how similar it is in per cent.
    pub moved: Option<(RepoPath, u8)>,
    /// Whether a merge has left it in conflict.
    pub conflict: bool,
}

impl Item {
    fn of(change: Change) -> Self {
        let (old, new) = (change.old.map(Side::stored), change.new.map(Side::stored));
        Self { path: change.path, old, new, moved: None, conflict: false }
    }

    /// The path it had before.
    #[must_use]
    pub fn old_path(&self) -> &RepoPath {
        self.moved.as_ref().map_or(&self.path, |(from, _)| from)
    }

    /// git's letter for it.
    #[must_use]
    pub fn letter(&self) -> char {
        match (&self.old, &self.new) {
            _ if self.conflict => 'U',
            _ if self.moved.is_some() => 'R',
            (None, _) => 'A',
            (_, None) => 'D',
            (Some(old), Some(new)) if (old.mode == Mode::Symlink) != (new.mode == Mode::Symlink) => 'T',
            _ => 'M',
        }
    }

    fn same_content(&self) -> bool {
        let content = |side: &Option<Side>| side.as_ref().and_then(|side| side.content.clone());
        self.old.is_some() && self.new.is_some() && content(&self.old) == content(&self.new)
    }
}

/// What a file holds, as far as it can be shown.
enum Body {
    /// Lines on both sides.
    Text(Vec<u8>, Vec<u8>),
    /// Something else, of these types.
    Binary(Option<FileType>, Option<FileType>),
}

/// Compares versions and shows how they differ.
pub struct Changes<'a> {
    cx: &'a Context,
    opened: &'a Opened,
    form: &'a Form,
    dirs: Option<&'a WorkDirs>,
    attributes: Option<AttributeLookup<&'a WorkDirs>>,
    read: Rehearsal<'a>,
}

impl<'a> Changes<'a> {
    /// For a repository; `dirs` is its worktree, if it has one.
    ///
    /// # Errors
    /// When its attributes cannot be read.
    pub fn new(
        cx: &'a Context,
        opened: &'a Opened,
        form: &'a Form,
        dirs: Option<&'a WorkDirs>,
    ) -> Result<Self, CliError> {
        let attributes = dirs.map(|dirs| opened.repo.attributes(dirs)).transpose()?;
        Ok(Self { cx, opened, form, dirs, attributes, read: Rehearsal::new(opened.repo.store()) })
    }

    /// Writes the changes in the form that was asked for.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn write(&self, items: &[Item], out: &mut Vec<u8>) -> Result<(), CliError> {
        let form = self.form;
        if form.name_only || form.name_status {
            names::write(form, items, out);
        }
        if form.numstat || form.stat || form.shortstat {
            stat::write(self, items, out)?;
        }
        if form.patch {
            if (form.stat || form.shortstat || form.numstat) && !items.is_empty() {
                out.push(b'\n');
            }
            items.iter().try_for_each(|item| patch::write(self, item, out))?;
        }
        Ok(())
    }

    /// Prints the changes, one file after the other where the form allows it.
    ///
    /// # Errors
    /// When a file cannot be read, or the output not be written.
    pub fn print(&self, items: &[Item]) -> Result<(), CliError> {
        let mut text = Vec::new();
        if self.form.patch && !self.form.stat && !self.form.numstat && !self.form.shortstat {
            for item in items {
                self.write(std::slice::from_ref(item), &mut text)?;
                self.cx.out().write_bytes(&text)?;
                text.clear();
            }
            return Ok(());
        }
        self.write(items, &mut text)?;
        self.cx.out().write_bytes(&text)
    }

    /// The files of a change, as lines or not.
    fn body(&self, item: &Item) -> Result<Body, CliError> {
        let sides = [(item.old_path(), &item.old), (&item.path, &item.new)];
        let types = [self.file_type(sides[0].0, sides[0].1)?, self.file_type(sides[1].0, sides[1].1)?];
        let known = sides.iter().zip(types).all(|((_, side), found)| side.is_none() || found.is_some());
        let small = known && sides.iter().all(|(_, side)| side.as_ref().is_none_or(|side| side.size <= MAX_TEXT));
        let by_content = types.iter().flatten().all(|found| is_lines(*found));
        let text = small && (self.form.text || self.by_attribute(&item.path)?.unwrap_or(by_content));
        if !text {
            return Ok(Body::Binary(types[0], types[1]));
        }
        match (self.bytes(sides[0].0, sides[0].1)?, self.bytes(sides[1].0, sides[1].1)?) {
            (Some(old), Some(new)) => Ok(Body::Text(old, new)),
            _ => Ok(Body::Binary(types[0], types[1])),
        }
    }

    /// Whether attributes say that a file is text.
    fn by_attribute(&self, path: &RepoPath) -> Result<Option<bool>, CliError> {
        use dits_core::attributes::State;
        let Some(lookup) = &self.attributes else { return Ok(None) };
        let attributes = lookup.attributes_of(path).map_err(dits_core::repo::RepoError::from)?;
        Ok(match attributes.diff() {
            Some(State::Unset) => Some(false),
            Some(State::Set | State::Value(_)) => Some(true),
            None => attributes.binary().map(|binary| !binary),
        })
    }

    /// The type of a side; `None` when there is no such side, or its content is not here.
    fn file_type(&self, path: &RepoPath, side: &Option<Side>) -> Result<Option<FileType>, CliError> {
        let Some(side) = side else { return Ok(None) };
        if side.mode == Mode::Symlink {
            return Ok(Some(FileType::Text));
        }
        match (&side.content, self.dirs) {
            (_, Some(dirs)) if side.in_worktree => {
                use std::io::Read;
                let (file, meta) = dirs.open_file(path)?;
                let mut head = Vec::new();
                file.take(HEAD_LEN as u64).read_to_end(&mut head).at("read", &dirs.shown(Some(path)))?;
                Ok(Some(media::detect(&head, meta.size)))
            }
            (Some(content), _) => Ok(detect_if_here(&self.read, content, side.size)?),
            _ => Ok(None),
        }
    }

    /// The content of a side; `None` when it is not here.
    fn bytes(&self, path: &RepoPath, side: &Option<Side>) -> Result<Option<Vec<u8>>, CliError> {
        let Some(side) = side else { return Ok(Some(Vec::new())) };
        let mut bytes = Vec::new();
        match (&side.content, self.dirs) {
            (_, Some(dirs)) if side.in_worktree && side.mode != Mode::Symlink => {
                use std::io::Read;
                let (file, _) = dirs.open_file(path)?;
                file.take(MAX_TEXT + 1).read_to_end(&mut bytes).at("read", &dirs.shown(Some(path)))?;
            }
            (Some(content), _) => return Ok(if_here(copy_to(&self.read, content, &mut bytes))?.map(|()| bytes)),
            _ => {}
        }
        Ok(Some(bytes))
    }

    fn renames(&self) -> Option<RenameOptions> {
        self.form.renames
    }
}

fn is_lines(found: FileType) -> bool {
    (found.is_text() && found != FileType::Utf16) || found == FileType::Empty
}
