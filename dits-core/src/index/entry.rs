//! One entry of the index, and its bytes (`docs/format/index.md`).

use super::{FileStat, FsTime};
use crate::object::{ChunkId, Digest, ManifestId};
use crate::path::RepoPath;
use crate::tree::{Content, Mode};

/// The bytes of an entry without its path and link target.
pub(super) const RECORD: usize = 104;

/// The longest target of a symbolic link, in bytes: what Linux holds.
const MAX_LINK: usize = 4095;

/// Which side of a merge an entry stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// None: the entry is what the next commit gets.
    #[default]
    Normal = 0,
    /// The common ancestor.
    Base = 1,
    /// This branch.
    Ours = 2,
    /// The branch being merged.
    Theirs = 3,
}

impl Stage {
    /// All stages, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Base, Self::Ours, Self::Theirs];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// What else is known of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// The stat does not prove the file unmodified ([`FileStat::is_racy`]).
    pub racy: bool,
    /// The path is to be added, but no content is staged yet (`add -N`).
    pub intent_to_add: bool,
    /// The content is not in this repository; in the worktree stands a ghost.
    pub ghost: bool,
}

impl Flags {
    fn code(self) -> u8 {
        u8::from(self.racy) | u8::from(self.intent_to_add) << 1 | u8::from(self.ghost) << 2
    }

    fn from_code(code: u8) -> Option<Self> {
        let bit = |n: u8| code >> n & 1 == 1;
        (code < 8).then_some(Self { racy: bit(0), intent_to_add: bit(1), ghost: bit(2) })
    }
}

/// An entry: one path in one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where in the worktree.
    pub path: RepoPath,
    /// Which side of a merge.
    pub stage: Stage,
    /// A file, executable or not, or a symbolic link.
    pub mode: Mode,
    /// The size of the staged content, in bytes.
    pub size: u64,
    /// What is staged.
    pub content: Content,
    /// The file when it was read; all zero when it never was.
    pub stat: FileStat,
    /// What else is known.
    pub flags: Flags,
}

impl Entry {
    /// The same entry for a file that was found to have this content and `stat`, where `clock` was the file system's
    /// clock before any of that was looked at.
    #[must_use]
    pub fn with_stat(self, stat: FileStat, clock: FsTime) -> Self {
        let flags = Flags { racy: stat.is_racy(clock), ..self.flags };
        Self { stat, flags, ..self }
    }

    /// The same, borrowed.
    #[must_use]
    pub fn view(&self) -> EntryView<'_> {
        let content = self.content.clone();
        let Self { stage, mode, size, stat, flags, .. } = *self;
        EntryView { path: self.path.as_bytes(), stage, mode, size, content, stat, flags }
    }
}

/// An [`Entry`] in the index, whose path is not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryView<'a> {
    /// The bytes of a valid path.
    pub path: &'a [u8],
    /// As in [`Entry`].
    pub stage: Stage,
    /// As in [`Entry`].
    pub mode: Mode,
    /// As in [`Entry`].
    pub size: u64,
    /// As in [`Entry`].
    pub content: Content,
    /// As in [`Entry`].
    pub stat: FileStat,
    /// As in [`Entry`].
    pub flags: Flags,
}

impl EntryView<'_> {
    /// The path, as a value of its own.
    #[must_use]
    pub fn repo_path(&self) -> RepoPath {
        RepoPath::from_checked(self.path)
    }

    /// The entry, as a value of its own.
    #[must_use]
    pub fn to_entry(&self) -> Entry {
        let Self { stage, mode, size, stat, flags, .. } = *self;
        Entry { path: self.repo_path(), stage, mode, size, content: self.content.clone(), stat, flags }
    }

    /// Whether a file with this stat is proven to have the staged content, unread.
    #[must_use]
    pub fn is_unmodified(&self, now: &FileStat) -> bool {
        !self.flags.racy && !self.flags.intent_to_add && self.stat.matches(now)
    }

    /// Whether a commit gets the same from both.
    pub(super) fn commits_as(&self, other: &Self) -> bool {
        let key = |e: &Self| (e.stage, e.mode, e.size, e.flags.intent_to_add);
        key(self) == key(other) && self.content == other.content
    }

    /// What keeps it from being in an index.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.flags.ghost && matches!(self.content, Content::Empty | Content::Symlink(_) | Content::Tree(_)) {
            return Err("a ghost of what has no content");
        }
        match (self.mode, &self.content) {
            (Mode::File | Mode::Executable, Content::Empty) => match self.size {
                0 => Ok(()),
                _ => Err("a file of some size without content"),
            },
            (Mode::File | Mode::Executable, Content::Chunk(_) | Content::Manifest(_) | Content::Recipe(_)) => Ok(()),
            (Mode::Symlink, Content::Symlink(link)) if link.is_empty() || link.len() > MAX_LINK => {
                Err("a symbolic link whose target is empty or over 4095 bytes")
            }
            (Mode::Symlink, Content::Symlink(link)) if link.contains(&0) => Err("a symbolic link with a NUL byte"),
            (Mode::Symlink, Content::Symlink(_)) => Ok(()),
            _ => Err("a mode that does not go with the content"),
        }
    }

    /// Appends the record; path and link target go to `strings`, whose length before is `at`.
    pub(super) fn encode(&self, at: u64, record: &mut Vec<u8>, strings: &mut Vec<u8>) {
        let (kind, id, link): (u8, [u8; 32], &[u8]) = match &self.content {
            Content::Empty => (0, [0; 32], b""),
            Content::Chunk(id) => (1, id.digest().0, b""),
            Content::Manifest(id) => (2, id.digest().0, b""),
            Content::Recipe(id) => (3, id.0, b""),
            Content::Symlink(link) => (4, [0; 32], link),
            Content::Tree(id) => (5, id.digest().0, b""),
        };
        let short = |len: usize| u16::try_from(len).expect("checked: a path or link has at most 4095 bytes");
        let stat = &self.stat;
        record.extend(at.to_le_bytes());
        record.extend(short(self.path.len()).to_le_bytes());
        record.extend(short(link.len()).to_le_bytes());
        record.extend([self.stage as u8, self.mode as u8, kind, self.flags.code()]);
        record.extend(self.size.to_le_bytes());
        record.extend(stat.mtime.0.to_le_bytes());
        record.extend(stat.ctime.0.to_le_bytes());
        record.extend(stat.mtime.1.to_le_bytes());
        record.extend(stat.ctime.1.to_le_bytes());
        record.extend([stat.dev, stat.ino, stat.size].map(u64::to_le_bytes).concat());
        record.extend(id);
        strings.extend(self.path);
        strings.extend(link);
    }
}

/// Where a record says its strings are: offset, length of the path, length of the link target.
pub(super) fn strings_of(record: &[u8; RECORD]) -> (u64, usize, usize) {
    let short = |at: usize| usize::from(u16::from_le_bytes([record[at], record[at + 1]]));
    (u64_at(record, 0), short(8), short(10))
}

fn u64_at(record: &[u8; RECORD], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&record[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Reads a record, given the strings it says it has. The path's rules are not checked here.
pub(super) fn decode<'a>(record: &[u8; RECORD], strings: &'a [u8]) -> Result<EntryView<'a>, &'static str> {
    let (_, path_len, _) = strings_of(record);
    let (path, link) = strings.split_at_checked(path_len).ok_or("it is too short for its path")?;
    let word = |at: usize| u64_at(record, at);
    let time = |seconds: usize, nanos: usize| {
        (word(seconds).cast_signed(), u32::from_le_bytes([0, 1, 2, 3].map(|n| record[nanos + n])))
    };
    let mut id = Digest([0; 32]);
    id.0.copy_from_slice(&record[72..]);
    let content = match record[14] {
        0 => Content::Empty,
        1 => Content::Chunk(ChunkId::from_digest(id)),
        2 => Content::Manifest(ManifestId::from_digest(id)),
        3 => Content::Recipe(id),
        4 => Content::Symlink(link.to_vec()),
        _ => return Err("an unknown kind of content"),
    };
    if matches!(content, Content::Empty | Content::Symlink(_)) && id.0 != [0; 32]
        || !matches!(content, Content::Symlink(_)) && !link.is_empty()
    {
        return Err("content of two kinds");
    }
    let mode = match record[13] {
        0 => Mode::File,
        1 => Mode::Executable,
        2 => Mode::Symlink,
        _ => return Err("an unknown mode"),
    };
    let view = EntryView {
        path,
        stage: Stage::from_code(record[12]).ok_or("an unknown stage")?,
        mode,
        size: word(16),
        content,
        stat: FileStat { mtime: time(24, 40), ctime: time(32, 44), dev: word(48), ino: word(56), size: word(64) },
        flags: Flags::from_code(record[15]).ok_or("an unknown flag")?,
    };
    view.check()?;
    Ok(view)
}
