//! An overlay and what it should be, side by side, through changes, kills and power cuts.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use dits_core::worktree::drive::{Place, Settled};
use dits_testkit::random::bytes;
use proptest::prelude::*;
use rustix::io::Errno;

use super::model::{Id, Model, What};
use super::rig::Rig;
use crate::error::ReadError;
use crate::overlay::{Changes, Maker, Rename};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Do {
    File,
    Folder,
    Link,
    Pipe,
    Remove,
    Rename,
    Write,
    Resize,
    Zero,
    Grow,
    Mode,
    Owner,
    Time,
    Extended,
    Settle,
    Place,
    Open,
    Close,
    Sync,
    SyncAll,
    SyncSome,
    Tidy,
    Kill,
    Cut,
    Compare,
}

/// A step; what it is about is chosen from what there is by then.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub kind: Do,
    pub picks: [usize; 4],
}

pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    use Do::*;
    let often =
        [File, Remove, Rename, Rename, Write, Write, Write, Write, Resize, Resize, Zero, Mode, Settle, Open, Sync];
    let seldom = [
        Folder, Link, Pipe, Grow, Owner, Time, Extended, Place, Close, Close, SyncAll, SyncSome, Tidy, Kill, Cut,
        Compare,
    ];
    let kind = prop_oneof![2 => prop::sample::select(often.to_vec()), 1 => prop::sample::select(seldom.to_vec())];
    let step =
        (kind, [0..10_000_usize, 0..10_000, 0..10_000, 0..10_000]).prop_map(|(kind, picks)| Step { kind, picks });
    prop::collection::vec(step, 1..most)
}

const NAMES: [&[u8]; 8] = [b"a", b"b", b"deep", b"film", b"note", b"n1", b"n2", b"z"];
/// What a disk writes whole or not at all.
const BLOCK: usize = 512;
const MODES: [u32; 6] = [0o644, 0o755, 0o600, 0o4755, 0o2755, 0o2644];

/// What should be after so many steps, when the log had this length.
struct Past {
    len: u64,
    model: Model,
}

pub struct World {
    pub rig: Rig,
    pub model: Model,
    open: Vec<(Id, u64)>,
    step: usize,
    /// States that a power cut may lead to; the first one is durable.
    past: Vec<Past>,
    /// Which bytes were written since then.
    writes: HashMap<Id, Vec<Range<usize>>>,
    /// What files held since their bytes were made durable last, one after the other.
    versions: HashMap<Id, Vec<Vec<u8>>>,
    /// Data files as they are durable.
    shadow: HashMap<PathBuf, Vec<u8>>,
}

fn without_privileges(mode: u32) -> u32 {
    mode & !0o4000 & if mode & 0o010 == 0 { !0 } else { !0o2000 }
}

fn errno(result: Result<(), ReadError>) -> Result<(), Errno> {
    result.map_err(|error| match error {
        ReadError::System(errno) => errno,
        error => panic!("{error:?}"),
    })
}

impl World {
    pub fn new() -> Self {
        let (rig, model) = Rig::new();
        let past = vec![Past { len: rig.log_len(), model: model.clone() }];
        let (open, writes, versions, shadow) = Default::default();
        let mut world = Self { rig, model, open, step: 0, past, writes, versions, shadow };
        world.note_versions();
        world
    }

    fn folder(&self, pick: usize) -> (Id, u64) {
        let folders = self.model.folders();
        let id = folders[pick % folders.len()];
        (id, self.rig.ino(&self.model, id))
    }

    /// A file with a name, or one that is open.
    fn file(&self, pick: usize) -> Option<(Id, u64)> {
        let mut files: Vec<(Id, Option<u64>)> = self.model.files().into_iter().map(|id| (id, None)).collect();
        files.extend(self.open.iter().map(|(id, ino)| (*id, Some(*ino))));
        let (id, ino) = *files.get(pick.checked_rem(files.len())?)?;
        Some((id, ino.unwrap_or_else(|| self.rig.ino(&self.model, id))))
    }

    fn thing(&self, pick: usize) -> Option<(Id, Vec<u8>, Id)> {
        let all = self.model.all();
        all.get(pick.checked_rem(all.len())?).cloned()
    }

    pub fn take(&mut self, step: Step) {
        self.step += 1;
        let [a, b, c, d] = step.picks;
        match step.kind {
            Do::File | Do::Folder | Do::Link | Do::Pipe => self.make(step.kind, a, b, c),
            Do::Remove => self.remove(a, b),
            Do::Rename => self.rename(a, b, c, d),
            Do::Write | Do::Resize | Do::Zero | Do::Grow => self.change(step.kind, a, b, c, d),
            Do::Mode | Do::Owner | Do::Time | Do::Extended => self.set(step.kind, a, b, c),
            Do::Settle => self.settle(a, b),
            Do::Place => self.place(a, b, c),
            Do::Open => {
                if let Some((id, ino)) = self.file(a) {
                    self.rig.ask(|rig, reach| rig.overlay.opened(&rig.view, ino, reach)).unwrap();
                    self.open.push((id, ino));
                }
            }
            Do::Close => self.close(a),
            Do::Sync | Do::SyncAll | Do::SyncSome | Do::Tidy => self.sync(step.kind, a),
            Do::Kill => self.kill(),
            Do::Cut => self.power_cut(a, b, c),
            Do::Compare => self.compare(),
        }
        self.note_versions();
        self.past.push(Past { len: self.rig.log_len(), model: self.model.clone() });
    }

    /// Remembers what files hold now.
    fn note_versions(&mut self) {
        for (id, thing) in &self.model.things {
            let What::File(bytes) = &thing.what else { continue };
            let versions = self.versions.entry(*id).or_default();
            if versions.last() != Some(bytes) {
                versions.push(bytes.clone());
            }
        }
    }

    fn make(&mut self, kind: Do, a: usize, b: usize, c: usize) {
        let ((folder, ino), name) = (self.folder(a), NAMES[b % NAMES.len()].to_vec());
        let (maker, target) = (Maker { uid: 1, gid: 2 }, format!("../{c}").into_bytes());
        let (what, mut mode, kind) = match kind {
            Do::File => (What::File(Vec::new()), MODES[c % MODES.len()], 0o100_000),
            Do::Folder => (What::Folder(Default::default()), [0o755, 0o2775][c % 2], 0o040_000),
            Do::Link => (What::Link(target.clone()), 0o777, 0o120_000),
            _ => (What::Pipe, 0o600, 0o010_000),
        };
        let made = self.rig.ask(|rig, reach| match kind {
            0o120_000 => rig.overlay.symlink(&rig.view, (ino, &name), &target, maker, reach),
            _ => rig.overlay.make(&rig.view, (ino, &name), kind | mode, maker, reach),
        });
        if self.model.names(folder).contains_key(&name) {
            return assert_eq!(errno(made.map(drop)), Err(Errno::EXIST));
        }
        let above = self.model.things[&folder].clone();
        let group = self.group_in(folder, 2);
        if kind == 0o040_000 {
            mode |= above.mode & 0o2000;
        }
        assert_eq!(made.unwrap().attributes.mode, kind | mode);
        let id = self.model.add(what, mode, (1, group));
        self.model.names_mut(folder).insert(name, id);
    }

    /// The group of what somebody of a group makes in a folder.
    fn group_in(&self, folder: Id, own: u32) -> u32 {
        let above = &self.model.things[&folder];
        if above.mode & 0o2000 == 0 { own } else { above.owner.1 }
    }

    fn remove(&mut self, a: usize, b: usize) {
        let Some((folder, name, id)) = self.thing(a) else { return };
        let ino = self.rig.ino(&self.model, folder);
        let as_folder = b.is_multiple_of(5) || self.model.is_folder(id);
        let removed = errno(self.rig.ask(|rig, reach| match as_folder {
            true => rig.overlay.rmdir(&rig.view, ino, &name, reach),
            false => rig.overlay.unlink(&rig.view, ino, &name, reach),
        }));
        let expected = match (self.model.is_folder(id), as_folder) {
            (false, true) => Err(Errno::NOTDIR),
            (true, _) if !self.model.names(id).is_empty() => Err(Errno::NOTEMPTY),
            _ => Ok(()),
        };
        assert_eq!(removed, expected);
        if removed.is_ok() {
            self.model.names_mut(folder).remove(&name);
        }
    }

    fn rename(&mut self, a: usize, b: usize, c: usize, d: usize) {
        let Some((from, name, moved)) = self.thing(a) else { return };
        let ((to, to_ino), new) = (self.folder(b), NAMES[c % NAMES.len()].to_vec());
        let (from_ino, keep, exchange) = (self.rig.ino(&self.model, from), d.is_multiple_of(5), d % 5 == 1);
        let there = self.model.names(to).get(&new).copied();
        // The kernel lets no folder into itself.
        let inside = |inner, outer| self.model.is_folder(outer) && self.model.is_within(inner, outer);
        if inside(to, moved) || there.is_some_and(|there| there != moved && inside(from, there)) {
            return;
        }
        let rename = Rename { from: (from_ino, &name), to: (to_ino, &new), keep, exchange };
        let renamed = errno(self.rig.ask(|rig, reach| rig.overlay.rename(&rig.view, &rename, reach)));
        let is_folder = |id| self.model.is_folder(id);
        let expected = match there {
            None if exchange => Err(Errno::NOENT),
            Some(_) if keep => Err(Errno::EXIST),
            Some(there) if there == moved => return assert_eq!(renamed, Ok(())),
            Some(there) if !exchange && is_folder(moved) && !is_folder(there) => Err(Errno::NOTDIR),
            Some(there) if !exchange && !is_folder(moved) && is_folder(there) => Err(Errno::ISDIR),
            Some(there) if !exchange && is_folder(there) && !self.model.names(there).is_empty() => Err(Errno::NOTEMPTY),
            _ => Ok(()),
        };
        assert_eq!(renamed, expected);
        if renamed.is_err() {
            return;
        }
        self.model.names_mut(from).remove(&name);
        self.model.names_mut(to).insert(new, moved);
        if let (Some(there), true) = (there, exchange) {
            self.model.names_mut(from).insert(name, there);
        }
    }

    fn change(&mut self, kind: Do, a: usize, b: usize, c: usize, d: usize) {
        let Some((id, ino)) = self.file(a) else { return };
        let (start, len, kill) = (b % 6_000 * (1 + d % 3), c % [9, 300, 5_000][d % 3], d.is_multiple_of(2));
        let new = bytes(self.step as u64, len);
        let range = start as u64..(start + len) as u64;
        self.rig
            .ask(|rig, reach| match kind {
                Do::Write => rig.overlay.write_bytes(&rig.view, ino, range.start, &new, kill, reach),
                Do::Resize => rig.overlay.resize(&rig.view, ino, range.start * u64::from(!d.is_multiple_of(4)), reach),
                Do::Zero => rig.overlay.zero(&rig.view, ino, range.clone(), kill, reach),
                _ => rig.overlay.grow(&rig.view, ino, range.start, reach),
            })
            .unwrap();
        let size = self.model.bytes(id).len();
        let whole = match kind {
            Do::Write | Do::Zero if len == 0 => return,
            Do::Zero if !kill && start >= size => return,
            Do::Grow if start <= size => return,
            _ => self.model.bytes_mut(id),
        };
        match kind {
            Do::Write => {
                whole.resize(size.max(start + len), 0);
                whole[start..start + len].copy_from_slice(&new);
                self.writes.entry(id).or_default().push(start..start + len);
                let thing = self.model.things.get_mut(&id).unwrap();
                thing.mode = if kill { without_privileges(thing.mode) } else { thing.mode };
            }
            Do::Zero => {
                let end = if kill { start + len } else { (start + len).min(size) };
                whole.resize(size.max(end), 0);
                whole[start..end].fill(0);
            }
            Do::Grow => whole.resize(start, 0),
            _ => whole.resize(if d.is_multiple_of(4) { 0 } else { start }, 0),
        }
    }

    fn set(&mut self, kind: Do, a: usize, b: usize, c: usize) {
        let Some((.., id)) = self.thing(a) else { return };
        let ino = self.rig.ino(&self.model, id);
        let folder = self.model.is_folder(id);
        let (mode, owner, time) = (MODES[b % MODES.len()], (b as u32, c as u32), (b as i64 - 5_000, c as u32));
        let (name, value) = (format!("user.n{}", b % 3).into_bytes(), bytes(c as u64, c % 400));
        let set = |changes: Changes| {
            self.rig.ask(|rig, reach| rig.overlay.set(&rig.view, ino, &changes, reach)).unwrap();
        };
        let thing = self.model.things.get(&id).unwrap();
        match kind {
            Do::Mode => set(Changes { mode: Some(mode), ..Changes::default() }),
            Do::Owner => set(Changes { uid: Some(owner.0), gid: Some(owner.1), kill: true, ..Changes::default() }),
            Do::Time => set(Changes { mtime: Some(time), ..Changes::default() }),
            _ => {
                let (value, exists) = match c % 4 {
                    0 => (None, Some(true)),
                    1 => (Some(&value[..]), Some(false)),
                    _ => (Some(&value[..]), None),
                };
                let had = thing.extended.contains_key(&name);
                let attribute = (&name[..], value);
                let done = errno(
                    self.rig.ask(|rig, reach| rig.overlay.set_attribute(&rig.view, ino, attribute, exists, reach)),
                );
                match (exists, had) {
                    (Some(true), false) => return assert_eq!(done, Err(Errno::NODATA)),
                    (Some(false), true) => return assert_eq!(done, Err(Errno::EXIST)),
                    _ => assert_eq!(done, Ok(())),
                }
            }
        }
        let thing = self.model.things.get_mut(&id).unwrap();
        match kind {
            Do::Mode => thing.mode = mode,
            Do::Owner => {
                thing.owner = owner;
                thing.mode = if folder { thing.mode } else { without_privileges(thing.mode) };
            }
            Do::Time => thing.mtime = Some(time),
            _ if c.is_multiple_of(4) => _ = thing.extended.remove(&name),
            _ => _ = thing.extended.insert(name, value),
        }
    }

    fn settle(&mut self, a: usize, b: usize) {
        let Some((id, ino)) = self.file(a) else { return };
        let whole = self.model.bytes(id).to_vec();
        let stored = self.rig.put(&whole);
        let said = self.rig.ask(|rig, reach| rig.overlay.content(&rig.view, ino, reach)).unwrap();
        let generation = said.generation();
        if b.is_multiple_of(4) {
            // Somebody writes the same again: that it is the same is not known.
            let all = |rig: &Rig, reach| rig.overlay.write_bytes(&rig.view, ino, 0, &whole, false, reach);
            self.rig.ask(all).unwrap();
            self.model.bytes_mut(id);
            self.writes.entry(id).or_default().push(0..whole.len());
        }
        let settled = Settled { generation, stored };
        let expected = if b.is_multiple_of(4) && !whole.is_empty() { Err(Errno::BUSY) } else { Ok(()) };
        assert_eq!(errno(self.rig.overlay.settle(&self.rig.view, ino, &settled)), expected);
        if expected.is_ok() {
            let said = self.rig.ask(|rig, reach| rig.overlay.content(&rig.view, ino, reach)).unwrap();
            assert!(said.is_base());
        }
    }

    fn place(&mut self, a: usize, b: usize, c: usize) {
        let ((folder, ino), name) = (self.folder(a), NAMES[b % NAMES.len()].to_vec());
        let whole = bytes(c as u64 % 5, c % 5 * 1_700);
        let stored = self.rig.put(&whole);
        let (place, maker) = (Place::new(&name, c.is_multiple_of(2), stored).unwrap(), Maker { uid: 3, gid: 4 });
        let placed = errno(self.rig.ask(|rig, reach| rig.overlay.place(&rig.view, ino, &place, maker, reach)));
        if self.model.names(folder).contains_key(&name) {
            return assert_eq!(placed, Err(Errno::EXIST));
        }
        placed.unwrap();
        let (mode, group) = (if c.is_multiple_of(2) { 0o755 } else { 0o644 }, self.group_in(folder, 4));
        let id = self.model.add(What::File(whole), mode, (3, group));
        self.model.names_mut(folder).insert(name, id);
    }

    fn close(&mut self, a: usize) {
        if self.open.is_empty() {
            return;
        }
        let (id, ino) = self.open.remove(a % self.open.len());
        if !self.model.all().iter().any(|(.., named)| *named == id) {
            assert!(self.rig.read(ino) == self.model.bytes(id), "an open file without a name");
        }
        self.rig.overlay.closed(ino);
    }

    /// Names and attributes are durable.
    fn durable(&mut self) {
        self.past.clear();
        self.past.push(Past { len: self.rig.log_len(), model: self.model.clone() });
    }

    /// A file's bytes are.
    fn safe(&mut self, id: Id) {
        self.writes.remove(&id);
        self.versions.remove(&id);
        self.note_versions();
    }

    /// Everything is.
    fn all_safe(&mut self) {
        self.shadow = self.rig.data();
        (self.writes, self.versions) = Default::default();
        self.note_versions();
        self.durable();
    }

    /// A file's data file is as it should be after a power cut.
    fn synced(&mut self, id: Id, ino: u64) {
        let layer = self.rig.overlay.read().state.file(ino).map(|file| file.layer);
        let path = layer.map(|layer| self.rig.overlay.data.path(ino, layer));
        if let Some(path) = path.filter(|path| path.exists()) {
            self.shadow.insert(path.clone(), fs::read(path).unwrap());
        }
        self.safe(id);
    }

    fn sync_written(&mut self) {
        let named = self.model.files().into_iter().map(|id| (id, self.rig.ino(&self.model, id)));
        let files: Vec<(Id, u64)> = named.chain(self.open.iter().copied()).collect();
        let written: Vec<u64> = self.rig.overlay.unsynced().iter().map(|file| file.ino).collect();
        self.rig.overlay.sync_written().unwrap();
        for (id, ino) in files.into_iter().filter(|(_, ino)| written.contains(ino)) {
            self.synced(id, ino);
        }
        if !written.is_empty() {
            self.durable();
        }
    }

    fn sync(&mut self, kind: Do, a: usize) {
        match kind {
            Do::Sync => {
                let Some((id, ino)) = self.file(a) else { return };
                self.rig.overlay.sync(ino).unwrap();
                self.synced(id, ino);
                self.durable();
            }
            Do::SyncAll => {
                self.rig.overlay.sync_all().unwrap();
                self.all_safe();
            }
            Do::SyncSome => self.sync_written(),
            _ => {
                let (long, synced) = {
                    let inner = self.rig.overlay.read();
                    let leaving = &inner.leaving[usize::from(!inner.is_long())..];
                    let garbage = !inner.garbage.is_empty() || leaving.iter().any(|files| !files.is_empty());
                    (inner.is_long(), garbage || inner.cuts.iter().any(|ino| !inner.is_open(*ino)))
                };
                self.rig.overlay.tidy().unwrap();
                if long {
                    // It may have been written afresh, which is durable.
                    self.durable();
                }
                if synced {
                    self.all_safe();
                }
            }
        }
    }

    /// What was open is closed, and what has no name is gone.
    fn forget_open(&mut self) {
        self.open.clear();
        let named: Vec<Id> = self.model.all().into_iter().map(|(.., id)| id).collect();
        self.model.things.retain(|id, _| *id == super::model::TOP || named.contains(id));
    }

    fn kill(&mut self) {
        self.forget_open();
        self.rig.again(false);
        self.compare();
        self.all_safe();
    }

    pub fn compare(&mut self) {
        let (rig, model) = (&self.rig, &self.model);
        let mut bytes = |id, ino, size| {
            assert_eq!(size, model.bytes(id).len() as u64, "{:?}", model.path(id));
            assert!(rig.read(ino) == model.bytes(id), "other bytes in {:?}", model.path(id));
            rig.check_content(ino, model.bytes(id));
        };
        rig.compare(model, &mut bytes).unwrap();
    }

    /// Of the data that was not synced nothing is left, or all, or some; and so of the log.
    fn power_cut(&mut self, a: usize, b: usize, c: usize) {
        let (least, most) = (self.past[0].len, self.rig.log_len());
        let len = least + a as u64 % (most - least + 1);
        let mut log = fs::read(self.rig.log_path()).unwrap();
        match b % 3 {
            0 => log.truncate(len as usize),
            1 => log[len as usize..].fill(0),
            _ => log[len as usize..].reverse(),
        }
        fs::write(self.rig.log_path(), log).unwrap();
        match c % 3 {
            0 => self.lose_data(|_| true),
            1 => self.lose_data(|block| bytes((c + block) as u64, 1)[0].is_multiple_of(2)),
            _ => {}
        }
        self.rig.again(true);
        let at = self.past.iter().rposition(|past| past.len <= len).unwrap();
        let mut wrong = Vec::new();
        // A step may be more than one batch, or be whole because what was cut off was zero.
        for past in self.past.iter().skip(at).take(2) {
            match self.after_cut(&past.model) {
                Ok(model) => {
                    self.model = model;
                    self.forget_open();
                    return self.all_safe();
                }
                Err(error) => wrong.push(error),
            }
        }
        panic!("after a power cut: {wrong:?}");
    }

    /// Blocks of data files are as they were when they were synced last; what was not there by then is zero.
    fn lose_data(&self, lost: impl Fn(usize) -> bool) {
        for (path, now) in self.rig.data() {
            let before = self.shadow.get(&path).cloned().unwrap_or_default();
            let block = |(place, now): (usize, &[u8])| {
                let from = (place * BLOCK).min(before.len());
                let mut old = before[from..before.len().min(from + BLOCK)].to_vec();
                old.resize(now.len(), 0);
                if lost(place) { old } else { now.to_vec() }
            };
            let mut left: Vec<u8> = now.chunks(BLOCK).enumerate().flat_map(block).collect();
            if (0..now.len().div_ceil(BLOCK)).all(&lost) {
                left = before;
            }
            fs::write(path, left).unwrap();
        }
    }

    /// What is there, if it can be what is left of a state.
    fn after_cut(&self, past: &Model) -> Result<Model, String> {
        let mut read = Vec::new();
        self.rig.compare(past, &mut |id, ino, size| {
            let whole = self.rig.read(ino);
            assert_eq!(whole.len() as u64, size);
            read.push((id, whole));
        })?;
        let mut model = past.clone();
        for (id, bytes) in read {
            self.check_after_cut(id, past.bytes(id), &bytes).map_err(|what| format!("{id}: {what}"))?;
            model.things.get_mut(&id).unwrap().what = What::File(bytes);
        }
        Ok(model)
    }

    /// Bytes must be as they were, unless they were written since they were synced: then there is one of those that were
    /// there since. Only where there was none there may be a gap.
    fn check_after_cut(&self, id: Id, before: &[u8], after: &[u8]) -> Result<(), String> {
        let none = Vec::new();
        let (writes, versions) = (self.writes.get(&id).unwrap_or(&none), &self.versions[&id]);
        let shortest = versions.iter().map(Vec::len).min().unwrap_or(0);
        let cut = after.len() < before.len() && writes.iter().any(|range| range.end == before.len());
        if after.len() != before.len() && !(cut && after.len() >= shortest) {
            return Err(format!("{} bytes, not {}", after.len(), before.len()));
        }
        for (at, byte) in after.iter().enumerate() {
            let fits = match writes.iter().any(|range| range.contains(&at)) {
                false => *byte == before[at],
                true => {
                    let one_of_them = versions.iter().any(|version| version.get(at) == Some(byte));
                    one_of_them || (*byte == 0 && shortest <= at)
                }
            };
            if !fits {
                return Err(format!("byte {at} is what nobody wrote"));
            }
        }
        Ok(())
    }
}
