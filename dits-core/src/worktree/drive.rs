//! Extended attributes by which dits and the daemon of a writable mount talk about content instead of moving bytes
//! (`docs/design/0006-writing-in-a-mount.md`).
//!
//! What is here is the text of the three attributes, for both sides, and asking and telling them for dits' side. Each
//! value has exactly one text: what decodes encodes to the same bytes.

use std::ops::Range;

use crate::object::{ChunkId, Digest, MAX_CHUNK, ManifestId};
use crate::tree::{Content, Mode};

mod ask;
mod holds;
#[cfg(test)]
mod tests;

pub(crate) use ask::{Settling, ask, has_changed, place};
pub(crate) use holds::holds;

/// Of a file, to be got: its [`DriveContent`].
pub const CONTENT: &str = "user.dits.content";
/// Of a file, to be set: that it is [`Settled`].
pub const SETTLED: &str = "user.dits.settled";
/// Of a folder, to be set: the [`Place`] for a new file in it.
pub const PLACE: &str = "user.dits.place";

/// The longest value of any of the three, in bytes: what Linux allows.
pub const MAX_VALUE: usize = 64 << 10;
/// How many changed ranges are named at most.
pub const MAX_RANGES: usize = 1000;
/// The longest file, in bytes.
const MAX_SIZE: u64 = i64::MAX as u64;

/// Text that is no value of the attribute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{attribute}` is not understood: {what}")]
pub struct DriveError {
    /// Which attribute.
    pub attribute: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Content of the store that a file can have, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    content: Content,
    size: u64,
}

impl Stored {
    /// Takes content that the attributes can name: nothing, a chunk or a manifest, whose size is possible. `None` for
    /// all else.
    #[must_use]
    pub fn new(content: Content, size: u64) -> Option<Self> {
        let fits = match &content {
            Content::Empty => size == 0,
            Content::Chunk(_) => (1..=MAX_CHUNK as u64).contains(&size),
            Content::Manifest(_) => (2..=MAX_SIZE).contains(&size),
            Content::Recipe(_) | Content::Symlink(_) | Content::Tree(_) => false,
        };
        fits.then_some(Self { content, size })
    }

    /// The content.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether a file that is said to have this content and size has this.
    #[must_use]
    pub fn is(&self, content: &Content, size: u64) -> bool {
        self.content == *content && self.size == size
    }

    fn encode(&self) -> String {
        match &self.content {
            Content::Chunk(id) => format!("chunk {} {}", id.digest(), self.size),
            Content::Manifest(id) => format!("manifest {} {}", id.digest(), self.size),
            _ => format!("empty - {}", self.size),
        }
    }

    fn decode(kind: &str, id: &str, size: &str) -> Option<Self> {
        // Upper-case digits would be a second text for the same.
        let digest = || id.parse::<Digest>().ok().filter(|_| !id.bytes().any(|byte| byte.is_ascii_uppercase()));
        let content = match kind {
            "empty" if id == "-" => Content::Empty,
            "chunk" => Content::Chunk(ChunkId::from_digest(digest()?)),
            "manifest" => Content::Manifest(ManifestId::from_digest(digest()?)),
            _ => return None,
        };
        Self::new(content, number(size)?)
    }
}

/// What a file of the mount holds, as [`CONTENT`] says it: content of the store, and where it differs from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveContent {
    generation: u64,
    size: u64,
    base: Stored,
    changed: Vec<Range<u64>>,
}

impl DriveContent {
    /// A file of `size` bytes which outside of `changed` has the bytes that `base` has there. The ranges are sorted and
    /// disjoint; empty ones go, those that touch are joined, and then those with the least between them until there are
    /// no more than [`MAX_RANGES`]. What lies past the end goes, and what lies past the end of `base` is changed.
    #[must_use]
    pub fn new(generation: u64, size: u64, base: Stored, changed: impl IntoIterator<Item = Range<u64>>) -> Self {
        let common = size.min(base.size);
        let mut joined: Vec<Range<u64>> = Vec::new();
        let within = changed.into_iter().map(|range| range.start..range.end.min(common));
        for range in within.chain(std::iter::once(common..size)).filter(|range| !range.is_empty()) {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self { generation, size, base, changed: bounded(joined) }
    }

    /// A number that every change of the file's bytes renews.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The file's size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The content below the changes.
    #[must_use]
    pub fn base(&self) -> &Stored {
        &self.base
    }

    /// Which bytes of the file may differ from those of the base content: sorted, disjoint, none empty.
    #[must_use]
    pub fn changed(&self) -> &[Range<u64>] {
        &self.changed
    }

    /// Whether the file holds its base content and nothing else.
    #[must_use]
    pub fn is_base(&self) -> bool {
        self.changed.is_empty() && self.size == self.base.size
    }

    /// The value of the attribute.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{} {}\n{}\n", self.generation, self.size, self.base.encode());
        for Range { start, end } in &self.changed {
            text.push_str(&format!("{start} {end}\n"));
        }
        text.into_bytes()
    }

    /// Reads a value of the attribute.
    ///
    /// # Errors
    /// When it is too long, has another form, or its ranges are not as [`DriveContent::new`] leaves them.
    pub fn decode(value: &[u8]) -> Result<Self, DriveError> {
        let wrong = |what| DriveError { attribute: CONTENT, what };
        let mut lines = text(CONTENT, value)?.split_terminator('\n');
        let first = lines.next().and_then(|line| fields(line)).ok_or_else(|| wrong("no generation and size"))?;
        let [generation, size] = first.map(number);
        let (Some(generation), Some(size)) = (generation, size.filter(|size| *size <= MAX_SIZE)) else {
            return Err(wrong("no generation and size"));
        };
        let base = lines.next().and_then(fields).and_then(|[kind, id, size]| Stored::decode(kind, id, size));
        let base = base.ok_or_else(|| wrong("no base content"))?;
        let mut changed = Vec::new();
        for line in lines {
            let range = fields(line).and_then(|[start, end]| Some(number(start)?..number(end)?));
            changed.push(range.ok_or_else(|| wrong("a line that is no range"))?);
            if changed.len() > MAX_RANGES {
                return Err(wrong("too many ranges"));
            }
        }
        let content = Self::new(generation, size, base, changed.iter().cloned());
        if content.changed != changed || content.encode() != value {
            return Err(wrong("its ranges are not in order, or past the end of the file"));
        }
        Ok(content)
    }
}

/// Joins ranges with the least between them until there are no more than may be named.
fn bounded(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let Some(excess) = ranges.len().checked_sub(MAX_RANGES).filter(|excess| *excess > 0) else { return ranges };
    let mut gaps: Vec<(u64, usize)> =
        ranges.windows(2).enumerate().map(|(at, pair)| (pair[1].start - pair[0].end, at)).collect();
    gaps.select_nth_unstable(excess - 1);
    gaps.truncate(excess);
    let mut closed = vec![false; ranges.len()];
    gaps.iter().for_each(|(_, at)| closed[at + 1] = true);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(MAX_RANGES);
    for (range, closed) in ranges.into_iter().zip(closed) {
        match joined.last_mut() {
            Some(last) if closed => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// That the store has, durably, what a file held when it was of one generation, as [`SETTLED`] says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The generation.
    pub generation: u64,
    /// What the file held.
    pub stored: Stored,
}

impl Settled {
    /// The value of the attribute.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        format!("{} {}", self.generation, self.stored.encode()).into_bytes()
    }

    /// Reads a value of the attribute.
    ///
    /// # Errors
    /// When it is too long or has another form.
    pub fn decode(value: &[u8]) -> Result<Self, DriveError> {
        let settled = fields(text(SETTLED, value)?).and_then(|[generation, kind, id, size]| {
            Some(Self { generation: number(generation)?, stored: Stored::decode(kind, id, size)? })
        });
        settled.ok_or(DriveError { attribute: SETTLED, what: "it has another form" })
    }
}

/// A file to be made of content of the store, as [`PLACE`] says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    executable: bool,
    stored: Stored,
    name: Vec<u8>,
}

impl Place {
    /// A file of this name. `None` for a name that no versioned file has ([`crate::path::check_component`]).
    #[must_use]
    pub fn new(name: &[u8], executable: bool, stored: Stored) -> Option<Self> {
        let allowed = crate::path::check_component(name).is_ok();
        allowed.then(|| Self { executable, stored, name: name.to_owned() })
    }

    /// Whether its owner may run it.
    #[must_use]
    pub fn executable(&self) -> bool {
        self.executable
    }

    /// The same, as a version of the project calls it.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.executable { Mode::Executable } else { Mode::File }
    }

    /// What it holds.
    #[must_use]
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Its name in the folder: a name that every path may have.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The value of the attribute.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mode = if self.executable { "executable" } else { "file" };
        [format!("{mode} {} ", self.stored.encode()).as_bytes(), &self.name].concat()
    }

    /// Reads a value of the attribute.
    ///
    /// # Errors
    /// When it is too long or has another form, or the name is not allowed.
    pub fn decode(value: &[u8]) -> Result<Self, DriveError> {
        let wrong = |what| DriveError { attribute: PLACE, what };
        if value.len() > MAX_VALUE {
            return Err(wrong("it is too long"));
        }
        // The name, which comes last, may hold any byte but two.
        let mut parts = value.splitn(5, |byte| *byte == b' ');
        let mut word = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
        let (mode, kind, id, size) = (word(), word(), word(), word());
        let executable = match mode {
            Some("file") => false,
            Some("executable") => true,
            _ => return Err(wrong("its mode is not known")),
        };
        let stored = kind.zip(id).zip(size).and_then(|((kind, id), size)| Stored::decode(kind, id, size));
        let stored = stored.ok_or_else(|| wrong("no content of the store"))?;
        Self::new(parts.next().unwrap_or_default(), executable, stored).ok_or_else(|| wrong("the name is not allowed"))
    }
}

fn text<'a>(attribute: &'static str, value: &'a [u8]) -> Result<&'a str, DriveError> {
    if value.len() > MAX_VALUE {
        return Err(DriveError { attribute, what: "it is too long" });
    }
    std::str::from_utf8(value).map_err(|_| DriveError { attribute, what: "it is no text" })
}

/// Exactly so many words with one space between them.
fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    let mut words = line.split(' ');
    let mut found = [""; N];
    for field in &mut found {
        *field = words.next()?;
    }
    words.next().is_none().then_some(found)
}

/// A decimal number in the one way to write it.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}
