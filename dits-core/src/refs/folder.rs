//! Refs as files in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::durable::{self, IoContext, IoError, read_limited, sync_dir, write_atomic};
use crate::lockfile::{FileLock, PATIENCE};
use crate::object::Digest;
use crate::refs::files::{
    append_at, dir_entries, is_absent, make_room, read_if_file, remove_if_empty, sync_appended, walk,
};
use crate::refs::journal::{self, MAX_JOURNAL, Place, Step};
use crate::refs::record::{self, MAX_RECORD};
use crate::refs::{
    Change, Expected, HeldRefs, LockEpoch, LogEntry, RefEdit, RefError, RefName, RefStore, Target, epoch, reflog,
};

/// With so many steps the file system is synced once, not each file and folder.
const MANY: usize = 64;
/// The longest log that is read, in bytes.
const MAX_LOG: u64 = 1 << 30;

/// The refs of a repository as one of its worktrees sees them.
#[derive(Debug)]
pub struct FolderRefs {
    common: PathBuf,
    worktree: Option<String>,
    patience: Duration,
}

impl FolderRefs {
    /// The refs in `common` (`.dits`), with the names that each worktree has for itself taken from the worktree `id`,
    /// in `common/worktrees/<id>`; `None` is the main worktree. Nothing is read or created yet.
    ///
    /// # Errors
    /// When `id` is not the name of a folder.
    pub fn open(common: &Path, id: Option<&str>) -> Result<Self, RefError> {
        if let Some(Err(what)) = id.map(journal::check_worktree) {
            return Err(RefError::Corrupt { file: common.join("worktrees"), what });
        }
        Ok(Self { common: common.to_owned(), worktree: id.map(str::to_owned), patience: PATIENCE })
    }

    /// The same, waiting that long for another writer instead of [`PATIENCE`].
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    fn place(&self, name: &RefName) -> Place {
        Place { worktree: self.worktree.clone().filter(|_| name.is_per_worktree()), name: name.clone() }
    }

    fn base(&self, place: &Place) -> PathBuf {
        match &place.worktree {
            Some(id) => self.common.join("worktrees").join(id),
            None => self.common.clone(),
        }
    }

    fn ref_file(&self, place: &Place) -> PathBuf {
        let base = self.base(place);
        match place.name.is_per_worktree() && place.worktree.is_none() {
            true => base.join("refs").join(place.name.as_str()),
            false => base.join(place.name.as_str()),
        }
    }

    fn log_file(&self, place: &Place) -> PathBuf {
        self.base(place).join("logs").join(place.name.as_str())
    }

    fn journal_file(&self) -> PathBuf {
        self.common.join("refs.journal")
    }

    fn epoch_file(&self) -> PathBuf {
        self.common.join("refs.epoch")
    }

    /// Takes the lock and completes what a dead writer left.
    fn lock(&self) -> Result<FileLock, RefError> {
        let lock = FileLock::acquire(&self.common.join("refs.lock"), self.patience)?;
        let path = self.journal_file();
        if let Some(bytes) = read_limited(&path, (MAX_JOURNAL + 64) as u64)? {
            let steps = journal::decode(&bytes).map_err(|what| RefError::Corrupt { file: path.clone(), what })?;
            self.carry_out_journal(&steps)?;
            durable::remove_file(&path)?;
        }
        Ok(lock)
    }

    /// What a reader does first: usually one look for a file that is not there.
    fn settle(&self) -> Result<(), RefError> {
        match fs::symlink_metadata(self.journal_file()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            _ => self.lock().map(drop),
        }
    }

    fn read_place(&self, place: &Place) -> Result<Option<Target>, RefError> {
        let file = self.ref_file(place);
        let Some(bytes) = read_if_file(&file, MAX_RECORD as u64 + 1)? else { return Ok(None) };
        record::decode(&bytes).map(Some).map_err(|what| RefError::Corrupt { file, what })
    }

    fn read_log(&self, place: &Place) -> Result<Vec<u8>, RefError> {
        Ok(read_if_file(&self.log_file(place), MAX_LOG)?.unwrap_or_default())
    }

    fn log_error(&self, place: &Place, (line, what): (usize, String)) -> RefError {
        RefError::Corrupt { file: self.log_file(place), what: format!("line {line}: {what}") }
    }

    /// All names that have a file below `refs` or `logs`, and those of this worktree.
    fn names(&self, logs: bool) -> Result<BTreeSet<RefName>, IoError> {
        let mut names = BTreeSet::new();
        let shared = if logs { self.common.join("logs/refs") } else { self.common.join("refs") };
        walk(&shared, "refs/", &mut names)?;
        let own = match (&self.worktree, logs) {
            (None, false) => self.common.join("refs"),
            (None, true) => self.common.join("logs"),
            (Some(id), false) => self.common.join("worktrees").join(id),
            (Some(id), true) => self.common.join("worktrees").join(id).join("logs"),
        };
        for (name, is_dir) in dir_entries(&own)? {
            if let Some(name) = RefName::parse(&name).ok().filter(|name| !is_dir && name.is_per_worktree()) {
                names.insert(name);
            }
        }
        Ok(names)
    }

    /// The refs whose files do not say what they must: what [`RefStore::list`] would fail at.
    ///
    /// # Errors
    /// When the operating system refuses, or a journal of refs is damaged.
    pub fn damaged(&self) -> Result<Vec<RefName>, RefError> {
        self.settle()?;
        let mut damaged = Vec::new();
        for name in self.names(false)? {
            match self.read_place(&self.place(&name)) {
                Err(RefError::Corrupt { .. }) => damaged.push(name),
                other => drop(other?),
            }
        }
        Ok(damaged)
    }

    /// Checks the edits against what is there, and turns them into steps: deletions, then refs, then logs.
    pub(super) fn prepare(&self, edits: &[RefEdit]) -> Result<Vec<Step>, RefError> {
        let mut edited = BTreeMap::new();
        let (mut steps, mut sets, mut logs) = (Vec::new(), Vec::new(), Vec::new());
        for edit in edits {
            if edited.insert(edit.name.as_str(), &edit.change).is_some() {
                return Err(RefError::Twice(edit.name.clone()));
            }
            let place = self.place(&edit.name);
            let found = self.read_place(&place)?;
            check_expected(edit, found.as_ref())?;
            logs.extend(self.log_step(edit, found.is_some())?);
            match &edit.change {
                Change::Keep => {}
                Change::Set(target) if found.as_ref() == Some(target) => {}
                Change::Set(target) => sets.push(Step::Set(place, target.clone())),
                Change::Delete if found.is_some() || self.log_file(&place).is_file() => steps.push(Step::Delete(place)),
                Change::Delete => {}
            }
        }
        for step in &sets {
            self.check_name_conflicts(&step.place().name, &edited)?;
        }
        steps.append(&mut sets);
        steps.append(&mut logs);
        Ok(steps)
    }

    fn log_step(&self, edit: &RefEdit, exists: bool) -> Result<Option<Step>, RefError> {
        match &edit.change {
            Change::Delete => return Ok(None),
            Change::Keep if !exists && !edit.name.is_per_worktree() && edit.log.is_some() => {
                return Err(RefError::NoSuchRef(edit.name.clone()));
            }
            _ => {}
        }
        let line = match &edit.log {
            Some(line) => {
                line.who.validate()?;
                reflog::encode(line).into_bytes()
            }
            None => Vec::new(),
        };
        let place = self.place(&edit.name);
        let (at, mut bytes) = match &edit.inherit_log {
            Some(from) => {
                let mut log = self.read_log(&self.place(from))?;
                log.truncate(reflog::whole_len(&log));
                (0, log)
            }
            None if line.is_empty() => return Ok(None),
            None => (reflog::whole_len(&self.read_log(&place)?) as u64, Vec::new()),
        };
        bytes.extend(line);
        Ok(Some(Step::Log { place, at, bytes }))
    }

    /// `a` and `a/b` cannot both be refs.
    fn check_name_conflicts(&self, name: &RefName, edited: &BTreeMap<&str, &Change>) -> Result<(), RefError> {
        let conflict = |other: RefName| Err(RefError::NameConflict { name: name.clone(), other });
        let stays = |other: &RefName| -> Result<bool, RefError> {
            match edited.get(other.as_str()) {
                Some(Change::Set(_)) => Ok(true),
                Some(Change::Delete) => Ok(false),
                Some(Change::Keep) | None => Ok(self.read_place(&self.place(other))?.is_some()),
            }
        };
        let slashes = name.as_str().match_indices('/').map(|(at, _)| &name.as_str()[..at]);
        for above in slashes.filter_map(|above| RefName::parse(above).ok()) {
            if stays(&above)? {
                return conflict(above);
            }
        }
        let mut below = BTreeSet::new();
        let prefix = format!("{name}/");
        let dir = self.ref_file(&self.place(name));
        if dir.is_dir() {
            walk(&dir, &prefix, &mut below)?;
        }
        let edited_below = edited.range(&prefix[..]..).take_while(|(other, _)| other.starts_with(&prefix));
        below.extend(edited_below.filter_map(|(other, _)| RefName::parse(other).ok()));
        for other in below {
            if stays(&other)? {
                return conflict(other);
            }
        }
        Ok(())
    }

    pub(super) fn carry_out(&self, steps: &[Step]) -> Result<(), IoError> {
        steps.iter().try_for_each(|step| match step {
            Step::Delete(place) => {
                self.remove(place, &self.log_file(place))?;
                self.remove(place, &self.ref_file(place))
            }
            Step::Set(place, target) => {
                let file = self.ref_file(place);
                make_room(&file)?;
                write_atomic(&file, record::encode(target).as_bytes())
            }
            Step::Log { place, at, bytes } => {
                let file = self.log_file(place);
                make_room(&file)?;
                append_at(&file, *at, bytes)?;
                sync_appended(&file, *at)
            }
        })
    }

    /// Carries out what is in the journal. It stays there until all is durable, so many steps are synced at once: after a
    /// crash they are done again.
    fn carry_out_journal(&self, steps: &[Step]) -> Result<(), IoError> {
        if steps.len() < MANY {
            return self.carry_out(steps);
        }
        for step in steps {
            match step {
                Step::Delete(_) => self.carry_out(std::slice::from_ref(step))?,
                Step::Set(place, target) => {
                    let file = self.ref_file(place);
                    make_room(&file)?;
                    durable::replace(&file, record::encode(target).as_bytes())?;
                }
                Step::Log { place, at, bytes } => {
                    let file = self.log_file(place);
                    make_room(&file)?;
                    append_at(&file, *at, bytes)?;
                }
            }
        }
        match durable::sync_file_system(&self.common)? {
            true => Ok(()),
            false => self.carry_out(steps),
        }
    }

    /// Removes a file and the folders that get empty, up to the one that holds all names of its kind.
    fn remove(&self, place: &Place, file: &Path) -> Result<(), IoError> {
        match fs::remove_file(file) {
            Err(e) if is_absent(&e) || e.kind() == io::ErrorKind::IsADirectory => {}
            done => done.at("remove", file)?,
        }
        let depth = place.name.as_str().split('/').count().saturating_sub(3);
        let mut dir = file.parent();
        for _ in 0..depth {
            let Some(at) = dir.filter(|at| remove_if_empty(at)) else { break };
            dir = at.parent();
        }
        match dir {
            Some(dir) if dir.is_dir() => sync_dir(dir),
            _ => Ok(()),
        }
    }
}

/// The refs with the lock of all writers.
struct Held<'a> {
    refs: &'a FolderRefs,
    _lock: FileLock,
}

impl HeldRefs for Held<'_> {
    fn read(&self, name: &RefName) -> Result<Option<Target>, RefError> {
        self.refs.read_place(&self.refs.place(name))
    }

    fn transaction(&self, edits: Vec<RefEdit>) -> Result<(), RefError> {
        let steps = self.refs.prepare(&edits)?;
        match &steps[..] {
            [] => return Ok(()),
            // One atomic rename needs no journal.
            [Step::Set(..)] => return Ok(self.refs.carry_out(&steps)?),
            _ => {}
        }
        let journal = self.refs.journal_file();
        let bytes = journal::encode(&steps)?;
        write_atomic(&journal, &bytes).inspect_err(|_| {
            let _ = durable::remove_file(&journal); // it may be in place already, with only its folder not synced
        })?;
        self.refs.carry_out_journal(&steps).map_err(RefError::Unfinished)?;
        durable::remove_file(&journal).map_err(RefError::Unfinished)
    }

    fn epoch(&self) -> Result<LockEpoch, RefError> {
        let file = self.refs.epoch_file();
        match read_if_file(&file, epoch::MAX_RECORD as u64)? {
            Some(bytes) => epoch::decode(&bytes).map_err(|what| RefError::Corrupt { file, what }),
            None => Ok(LockEpoch::default()),
        }
    }

    fn raise_epoch(&self, instance: &str) -> Result<LockEpoch, RefError> {
        let file = self.refs.epoch_file();
        if !LockEpoch::can_name(instance) {
            return Err(RefError::Corrupt { file, what: "the lock store gives itself no usable name".to_owned() });
        }
        let next = self.epoch()?.next(instance);
        write_atomic(&file, epoch::encode(&next).as_bytes())?;
        Ok(next)
    }
}

impl RefStore for FolderRefs {
    fn read(&self, name: &RefName) -> Result<Option<Target>, RefError> {
        self.settle()?;
        self.read_place(&self.place(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<(RefName, Target)>, RefError> {
        self.settle()?;
        let mut found = Vec::new();
        for name in self.names(false)?.into_iter().filter(|name| name.as_str().starts_with(prefix)) {
            // One that was deleted meanwhile is not there.
            found.extend(self.read_place(&self.place(&name))?.map(|target| (name, target)));
        }
        Ok(found)
    }

    fn hold(&self) -> Result<Box<dyn HeldRefs + '_>, RefError> {
        Ok(Box::new(Held { refs: self, _lock: self.lock()? }))
    }

    fn log(&self, name: &RefName, limit: usize) -> Result<Vec<LogEntry>, RefError> {
        self.settle()?;
        let place = self.place(name);
        reflog::newest(&self.read_log(&place)?, limit).map_err(|e| self.log_error(&place, e))
    }

    fn logs(&self) -> Result<Vec<RefName>, RefError> {
        self.settle()?;
        Ok(self.names(true)?.into_iter().collect())
    }

    fn expire_log(&self, name: &RefName, keep: &mut dyn FnMut(&LogEntry) -> bool) -> Result<usize, RefError> {
        let _lock = self.lock()?;
        let place = self.place(name);
        let mut entries = reflog::newest(&self.read_log(&place)?, usize::MAX).map_err(|e| self.log_error(&place, e))?;
        let before = entries.len();
        entries.reverse();
        entries.retain(|entry| keep(entry));
        let gone = before - entries.len();
        if gone > 0 {
            let text: String = entries.iter().map(reflog::encode).collect();
            write_atomic(&self.log_file(&place), text.as_bytes())?;
        }
        Ok(gone)
    }
}

fn check_expected(edit: &RefEdit, found: Option<&Target>) -> Result<(), RefError> {
    let shown = |target: Option<&Target>| match target {
        Some(Target::Id(Digest(id))) => Digest(*id).to_string(),
        Some(Target::Symbolic(name)) => format!("a link to `{name}`"),
        None => "absent".to_owned(),
    };
    let wanted = match &edit.expected {
        Expected::Any => return Ok(()),
        Expected::Absent => None,
        Expected::Is(target) => Some(target),
    };
    if wanted == found {
        return Ok(());
    }
    Err(RefError::Changed { name: edit.name.clone(), found: shown(found), wanted: shown(wanted) })
}
