//! What the records of a log come to.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::record::{Attributes, Boot, MADE_HERE, Record, Time, kind};
use super::{Fill, Ranges};
use crate::object::CommitId;
use crate::tree::Content;

/// An inode that was made or changed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What the file system tells of it.
    pub attributes: Attributes,
    /// Whether a name leads to it. If none does, somebody has it open still.
    pub linked: bool,
    /// Extended attributes.
    pub extended: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it is.
    pub kind: Kind,
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File(FileState),
    /// A symbolic link and where it leads.
    Link(Vec<u8>),
    /// A pipe or socket, of which only the kernel knows more.
    Special,
}

/// The content of a file that was made or changed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// What lies below the ranges.
    pub base: Content,
    /// The length of the base content.
    pub base_size: u64,
    /// So much of the base content is left: it was truncated to that once.
    pub base_len: u64,
    /// The file's length.
    pub size: u64,
    /// The number of its data file.
    pub layer: u32,
    /// Bytes that are not the base content's.
    pub ranges: Ranges,
    /// Those of them that were written and are not known to be durable.
    pub unsynced: Ranges,
    /// How often bytes that were written went: what was synced before need not be what was written there since.
    pub withdrawn: u64,
    /// Renewed by every change of bytes since the state was made; 0 before.
    pub generation: u64,
    /// Whether bytes may have changed in place since its times were recorded last: such a write leaves no record.
    pub touched: bool,
}

impl Default for FileState {
    fn default() -> Self {
        Self {
            base: Content::Empty,
            base_size: 0,
            base_len: 0,
            size: 0,
            layer: 0,
            ranges: Ranges::default(),
            unsynced: Ranges::default(),
            withdrawn: 0,
            generation: 0,
            touched: false,
        }
    }
}

impl FileState {
    /// Whether the bytes are those of the base content.
    #[must_use]
    pub fn is_base(&self) -> bool {
        self.ranges.is_empty() && self.size == self.base_size && self.base_len == self.base_size
    }

    fn set(&mut self, range: &Range<u64>, fill: Fill) {
        if self.size < range.start {
            self.resize(range.start);
        }
        self.ranges.set(range, fill);
        self.withdrawn += u64::from(fill == Fill::Zero);
        self.size = self.size.max(range.end);
    }

    /// Notes bytes that were written. Those that were durable are so still: they, or what took their place.
    fn write(&mut self, range: &Range<u64>) {
        let before = self.ranges.pieces(range.clone());
        self.set(range, Fill::Data);
        for (piece, _) in before.iter().filter(|(_, fill)| *fill != Some(Fill::Data)) {
            self.unsynced.set(piece, Fill::Data);
        }
    }

    /// Notes that bytes are durable.
    fn keep(&mut self, range: &Range<u64>, fill: Fill) {
        self.set(range, fill);
        self.unsynced.clear(range);
    }

    fn resize(&mut self, size: u64) {
        self.ranges.truncate(size);
        self.unsynced.truncate(size);
        self.withdrawn += u64::from(size < self.size);
        self.base_len = self.base_len.min(size);
        if size > self.size {
            self.ranges.set(&(self.size..size), Fill::Zero);
        }
        self.size = size;
    }
}

/// All that was made or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The commit below.
    pub base: Option<CommitId>,
    /// Inodes, by number.
    pub nodes: HashMap<u64, Node>,
    /// Of folders with changes: the names that lead elsewhere than in the base, or nowhere.
    pub folders: HashMap<u64, BTreeMap<Vec<u8>, Option<u64>>>,
    /// The numbers of base folders, in order.
    pub numbers: Vec<u64>,
    boot: Option<Boot>,
    /// Whether the machine was started since the records were logged that are applied now.
    restarted: bool,
    made: u64,
    generations: u64,
}

impl State {
    /// Nothing yet. Generations that were given out before `since` mean nothing now: nanoseconds since 1970, say. Bytes that
    /// were not synced count if they were written in this `boot`; without one, always.
    #[must_use]
    pub fn new(since: u64, boot: Option<Boot>) -> Self {
        Self { generations: since, boot, ..Self::default() }
    }

    /// A number for a new inode.
    pub fn next_ino(&mut self) -> u64 {
        self.made += 1;
        MADE_HERE | self.made
    }

    /// Whether nothing was made or changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.folders.is_empty()
    }

    /// The content of a file that was made or changed.
    #[must_use]
    pub fn file(&self, ino: u64) -> Option<&FileState> {
        match self.nodes.get(&ino)?.kind {
            Kind::File(ref file) => Some(file),
            _ => None,
        }
    }

    /// Notes that bytes changed that were not the base content's before.
    pub fn touch(&mut self, ino: u64, time: Time) {
        self.generations += 1;
        let generation = self.generations;
        if let Some(node) = self.nodes.get_mut(&ino)
            && let Kind::File(file) = &mut node.kind
        {
            (file.generation, file.touched) = (generation, true);
            (node.attributes.mtime, node.attributes.ctime) = (time, time);
        }
    }

    /// Applies a record.
    ///
    /// # Errors
    /// What is wrong with it: then nothing has changed.
    pub fn apply(&mut self, record: &Record) -> Result<(), &'static str> {
        record.check()?;
        let restarted = self.restarted;
        match record {
            Record::Folder { number, ino } => {
                if *number as usize != self.numbers.len() {
                    return Err("a folder's number that is not the next");
                }
                self.numbers.push(*ino);
            }
            Record::Node { ino, attributes } => self.set_attributes(*ino, *attributes)?,
            Record::Link { folder, name, ino } => {
                self.known(*ino)?;
                self.folders.entry(*folder).or_default().insert(name.clone(), Some(*ino));
                if let Some(node) = self.nodes.get_mut(ino) {
                    node.linked = true;
                }
            }
            Record::Unlink { folder, name, ino } => {
                self.known(*ino)?;
                // A new folder has nothing below: what is not named is not there.
                let names = self.folders.entry(*folder).or_default();
                match folder & MADE_HERE {
                    0 => _ = names.insert(name.clone(), None),
                    _ => _ = names.remove(name),
                }
                if let Some(node) = self.nodes.get_mut(ino) {
                    node.linked = false;
                }
            }
            Record::Content { ino, content, size, layer } => {
                let FileState { generation, withdrawn, .. } = *self.node_of_file(*ino)?;
                *self.node_of_file(*ino)? = FileState {
                    base: content.clone(),
                    base_size: *size,
                    base_len: *size,
                    size: *size,
                    layer: *layer,
                    withdrawn: withdrawn + 1,
                    generation,
                    ..FileState::default()
                };
            }
            Record::Range { ino, start, end, fill, time } => {
                self.node_of_file(*ino)?.keep(&(*start..*end), *fill);
                self.touch(*ino, *time);
            }
            Record::Written { ino, start, end, time } => {
                let file = self.node_of_file(*ino)?;
                // The data file may have these bytes, others, or none: what was there before still is. Where that is in the
                // same data file it may have changed, so the time counts.
                if !restarted {
                    file.write(&(*start..*end));
                }
                self.touch(*ino, *time);
            }
            Record::Kept { ino, start, end } => self.node_of_file(*ino)?.keep(&(*start..*end), Fill::Data),
            Record::Boot { id } => self.restarted = self.boot.is_some_and(|boot| boot != *id),
            Record::Size { ino, size, time } => {
                self.node_of_file(*ino)?.resize(*size);
                self.touch(*ino, *time);
            }
            Record::Target { ino, target } => match self.node(*ino)?.kind {
                Kind::Link(ref mut to) => to.clone_from(target),
                _ => return Err("a target of what is no link"),
            },
            Record::Attribute { ino, name, value } => {
                let extended = &mut self.node(*ino)?.extended;
                match value {
                    Some(value) => _ = extended.insert(name.clone(), value.clone()),
                    None => _ = extended.remove(name),
                }
            }
            Record::Base { commit } => {
                if self.base.is_some() || !self.is_empty() || !self.numbers.is_empty() {
                    return Err("a base that is not the first record");
                }
                self.base = Some(*commit);
            }
            Record::Gone { ino } => {
                self.nodes.remove(ino);
                self.folders.remove(ino);
            }
        }
        Ok(())
    }

    fn set_attributes(&mut self, ino: u64, attributes: Attributes) -> Result<(), &'static str> {
        if let Some(node) = self.nodes.get_mut(&ino) {
            if node.attributes.mode & kind::MASK != attributes.mode & kind::MASK {
                return Err("a node that becomes something else");
            }
            node.attributes = attributes;
            if let Kind::File(file) = &mut node.kind {
                file.touched = false;
            }
            return Ok(());
        }
        let kind = match attributes.mode & kind::MASK {
            kind::FOLDER => Kind::Folder,
            kind::FILE => Kind::File(FileState::default()),
            kind::LINK => Kind::Link(Vec::new()),
            _ => Kind::Special,
        };
        // What is in the base has its name already.
        let linked = ino & MADE_HERE == 0;
        self.made = self.made.max(if linked { 0 } else { ino & !MADE_HERE });
        self.nodes.insert(ino, Node { attributes, linked, extended: BTreeMap::new(), kind });
        Ok(())
    }

    fn known(&self, ino: u64) -> Result<(), &'static str> {
        match ino & MADE_HERE != 0 && !self.nodes.contains_key(&ino) {
            true => Err("an inode that nobody made"),
            false => Ok(()),
        }
    }

    fn node(&mut self, ino: u64) -> Result<&mut Node, &'static str> {
        self.nodes.get_mut(&ino).ok_or("an inode that nobody made")
    }

    fn node_of_file(&mut self, ino: u64) -> Result<&mut FileState, &'static str> {
        match &mut self.node(ino)?.kind {
            Kind::File(file) => Ok(file),
            _ => Err("content of what is no file"),
        }
    }

    /// Notes that all bytes are durable that were written, and that what comes now is logged in this boot.
    pub fn all_is_synced(&mut self) {
        self.restarted = false;
        for node in self.nodes.values_mut() {
            if let Kind::File(file) = &mut node.kind {
                file.unsynced = Ranges::default();
            }
        }
    }

    /// Forgets inodes that no name leads to.
    pub fn forget_orphans(&mut self) {
        let orphans: Vec<u64> = self.nodes.iter().filter(|(_, node)| !node.linked).map(|(ino, _)| *ino).collect();
        for ino in &orphans {
            self.nodes.remove(ino);
            self.folders.remove(ino);
        }
    }

    /// Whether something that no name leads to is still there, for whoever has it open.
    #[must_use]
    pub fn has_orphans(&self) -> bool {
        self.nodes.values().any(|node| !node.linked)
    }

    /// Records that lead to this state from nothing, in batches. There must be no orphans.
    pub fn records(&self) -> impl Iterator<Item = Vec<Record>> {
        let numbers = self.numbers.iter().zip(0..).map(|(ino, number)| vec![Record::Folder { number, ino: *ino }]);
        let nodes = |made: u64| {
            let nodes = self.nodes.iter().filter(move |(ino, _)| *ino & MADE_HERE == made);
            nodes.flat_map(|(ino, node)| records_of(*ino, node))
        };
        let names = self.folders.iter().flat_map(|(folder, names)| {
            let record = |(name, ino): (&Vec<u8>, &Option<u64>)| match ino {
                Some(ino) => Record::Link { folder: *folder, name: name.clone(), ino: *ino },
                None => Record::Unlink { folder: *folder, name: name.clone(), ino: 0 },
            };
            names.iter().map(move |entry| vec![record(entry)])
        });
        let base = self.base.map(|commit| vec![Record::Base { commit }]);
        let boot = self.boot.map(|id| vec![Record::Boot { id }]);
        base.into_iter().chain(boot).chain(numbers).chain(nodes(MADE_HERE)).chain(nodes(0)).chain(names)
    }
}

fn records_of(ino: u64, node: &Node) -> Vec<Vec<Record>> {
    let Node { attributes, extended, kind, .. } = node;
    let (mut batches, mut first) = (Vec::new(), vec![Record::Node { ino, attributes: *attributes }]);
    match kind {
        Kind::File(file) => {
            let FileState { base, base_size, base_len, layer, ranges, unsynced, .. } = file;
            first.push(Record::Content { ino, content: base.clone(), size: *base_size, layer: *layer });
            let time = attributes.mtime;
            if base_len < base_size {
                first.push(Record::Size { ino, size: *base_len, time });
            }
            batches.push(first);
            for (range, fill) in ranges.iter() {
                let record = |(Range { start, end }, unsynced): (Range<u64>, Option<Fill>)| match unsynced {
                    Some(_) => vec![Record::Written { ino, start, end, time }],
                    None => vec![Record::Range { ino, start, end, fill, time }],
                };
                batches.extend(unsynced.pieces(range).into_iter().map(record));
            }
            // Ranges set the times.
            batches.push(vec![Record::Node { ino, attributes: *attributes }]);
        }
        Kind::Link(target) => {
            first.extend((!target.is_empty()).then(|| Record::Target { ino, target: target.clone() }));
            batches.push(first);
        }
        Kind::Folder | Kind::Special => batches.push(first),
    }
    let attribute = |(name, value): (&Vec<u8>, &Vec<u8>)| {
        vec![Record::Attribute { ino, name: name.clone(), value: Some(value.clone()) }]
    };
    batches.extend(extended.iter().map(attribute));
    batches
}
