//! What an overlay's lock protects: the state, its log, and what is known of who uses what.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use dits_core::overlay::{Attributes, FileState, Fill, Kind, Log, MADE_HERE, Node, Record, State, Time};
use dits_core::tree::Content;
use rustix::io::Errno;

use crate::error::{Reach, ReadError};
use crate::stat::{Defaults, Stat};
use crate::view::{LINK, ROOT, View};

/// See [`super::Overlay`].
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) log: Log,
    /// The length of the log when it was written afresh.
    pub(super) afresh: u64,
    /// How often each inode is open.
    pub(super) opens: HashMap<u64, u32>,
    /// Data files that nobody needs once the log that says so is durable.
    pub(super) garbage: Vec<PathBuf>,
    /// Files that are shorter than they were: once that is durable, so may their data files be.
    pub(super) cuts: HashSet<u64>,
    /// What is in the base and has no name any more, and that nobody has open. Only the kernel may still speak of it.
    pub(super) gone: HashSet<u64>,
    /// Files that were replaced a moment ago: somebody who found one by its name may be about to open it. Those of the
    /// time before the last tidying come second.
    pub(super) leaving: [Vec<u64>; 2],
    /// When something was read last, if somebody said so. That is not kept: nobody writes it down when files are read.
    pub(super) accessed: HashMap<u64, Time>,
    /// How often names have changed.
    pub(super) moves: u64,
    /// The folder and the name of each inode that was given one here.
    pub(super) places: HashMap<u64, (u64, Vec<u8>)>,
}

impl Inner {
    /// What is told of an inode.
    pub(super) fn stat(&self, view: &View, defaults: &Defaults, ino: u64, reach: Reach) -> Result<Stat, ReadError> {
        match self.state.nodes.get(&ino) {
            Some(node) => Ok(Stat { atime: self.accessed.get(&ino).copied(), ..stat_of(ino, node) }),
            None => {
                let stat = defaults.stat(&view.attr(ino, reach)?);
                Ok(Stat { named: !self.gone.contains(&ino), ..stat })
            }
        }
    }

    /// The records by which something of the base gets a node of its own, and the attributes it has; no records if it has one.
    pub(super) fn copied(
        &self,
        view: &View,
        defaults: &Defaults,
        ino: u64,
        reach: Reach,
    ) -> Result<(Vec<Record>, Attributes), ReadError> {
        if let Some(node) = self.state.nodes.get(&ino) {
            return Ok((Vec::new(), node.attributes));
        }
        match ino {
            LINK => return Err(Errno::PERM.into()),
            // A node of it would be there for ever.
            ino if self.gone.contains(&ino) => return Err(Errno::STALE.into()),
            _ => {}
        }
        let attributes = defaults.stat(&view.attr(ino, reach)?).attributes;
        let mut records = vec![Record::Node { ino, attributes }];
        if ino != ROOT {
            let entry = view.entry(ino, reach)?;
            match entry.content {
                Content::Symlink(target) => records.push(Record::Target { ino, target }),
                Content::Tree(_) => {}
                Content::Recipe(_) => return Err(ReadError::TooNew),
                content => records.push(Record::Content { ino, content, size: entry.size, layer: 0 }),
            }
        }
        Ok((records, attributes))
    }

    /// Logs a batch and applies it.
    pub(super) fn commit(&mut self, view: &View, batch: Vec<Record>) -> Result<(), ReadError> {
        // What the batch names may lie in folders that the log does not know yet.
        let known = self.state.numbers.len();
        let folders = view.numbers_from(known).into_iter().zip(known as u32..);
        let mut records: Vec<Record> = folders.map(|(ino, number)| Record::Folder { number, ino }).collect();
        if records.len() > 1000 {
            for part in records.chunks(1000) {
                self.commit_known(part.to_vec())?;
            }
            records.clear();
        }
        let removed = batch.iter().filter_map(|record| match record {
            Record::Unlink { folder, name, .. } => Some((*folder, name.clone())),
            _ => None,
        });
        let removed: Vec<_> = removed.collect();
        records.extend(batch);
        self.commit_known(records)?;
        for (folder, name) in removed {
            self.forget_name(view, folder, &name);
        }
        Ok(())
    }

    /// That a name leads nowhere need not be known of one that is not in the base: a program that makes and removes files
    /// for ever would fill the memory.
    pub(super) fn forget_name(&mut self, view: &View, folder: u64, name: &[u8]) {
        if let Some(names) = self.state.folders.get_mut(&folder)
            && names.get(name) == Some(&None)
            && matches!(view.lookup(folder, name, Reach::Memory), Ok(None))
        {
            names.remove(name);
        }
    }

    /// Notes that an inode has no name, and nobody has it open.
    pub(super) fn no_more(&mut self, ino: u64) {
        self.cuts.remove(&ino);
        self.accessed.remove(&ino);
        if ino & MADE_HERE == 0 {
            self.gone.insert(ino);
        }
    }

    /// Files that are shorter than they were, and that nobody has open; with the layer and how much of it is needed.
    pub(super) fn cut_and_closed(&mut self) -> Vec<(u64, u32, u64)> {
        let closed: Vec<u64> = self.cuts.iter().copied().filter(|ino| !self.is_open(*ino)).collect();
        closed.iter().for_each(|ino| _ = self.cuts.remove(ino));
        let needed = |ino: u64| self.state.file(ino).map(|file| (ino, file.layer, data_end(file)));
        closed.into_iter().filter_map(needed).collect()
    }

    pub(super) fn commit_known(&mut self, batch: Vec<Record>) -> Result<(), ReadError> {
        // Nothing is logged that could not be read again.
        batch.iter().try_for_each(Record::check).map_err(|_| Errno::INVAL)?;
        self.log.append(&batch).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        self.moves +=
            u64::from(batch.iter().any(|record| matches!(record, Record::Link { .. } | Record::Unlink { .. })));
        for record in &batch {
            self.note_place(record);
            let applied = self.state.apply(record);
            debug_assert!(applied.is_ok(), "{applied:?}: {record:?}");
        }
        Ok(())
    }

    fn note_place(&mut self, record: &Record) {
        match record {
            Record::Link { folder, name, ino } => _ = self.places.insert(*ino, (*folder, name.clone())),
            Record::Unlink { ino, .. } | Record::Gone { ino } => _ = self.places.remove(ino),
            _ => {}
        }
    }

    pub(super) fn is_open(&self, ino: u64) -> bool {
        self.opens.contains_key(&ino)
    }

    pub(super) fn is_leaving(&self, ino: u64) -> bool {
        self.leaving.iter().flatten().any(|leaving| *leaving == ino)
    }

    /// The names of a folder that are not the base's.
    pub(super) fn changes(&self, folder: u64) -> Option<&BTreeMap<Vec<u8>, Option<u64>>> {
        self.state.folders.get(&folder).filter(|names| !names.is_empty())
    }
}

pub(super) fn stat_of(ino: u64, node: &Node) -> Stat {
    let size = match &node.kind {
        Kind::File(file) => file.size,
        Kind::Link(target) => target.len() as u64,
        Kind::Folder | Kind::Special => 0,
    };
    Stat { ino, attributes: node.attributes, size, named: node.linked, atime: None }
}

/// How much of a file's data file is needed.
pub(super) fn data_end(file: &FileState) -> u64 {
    file.ranges.iter().filter(|(_, fill)| *fill == Fill::Data).map(|(range, _)| range.end).last().unwrap_or(0)
}

/// Forgets of names that lead nowhere that they do, where the base has none such.
pub(super) fn forget_names(state: &mut State, view: &View) -> Result<(), ReadError> {
    for (folder, names) in &mut state.folders {
        let removed: Vec<Vec<u8>> =
            names.iter().filter(|(_, ino)| ino.is_none()).map(|(name, _)| name.clone()).collect();
        for name in removed {
            if view.lookup(*folder, &name, Reach::Disk)?.is_none() {
                names.remove(&name);
            }
        }
    }
    state.folders.retain(|_, names| !names.is_empty());
    Ok(())
}
