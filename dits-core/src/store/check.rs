//! What fsck asks of the store: is every file what it must be?

use std::path::{Path, PathBuf};

use super::StoreError;
use super::frame::Header;
use super::loose::read_file;
use super::odb::{Odb, open_frame, whole_frame};
use super::pack::layout::{HEADER_LEN, PackId, decode_header};
use super::pack::merged::{self, Merged};
use super::pack::page::{Entry, PAGE, PER_PAGE, encode_page};
use super::pack::{Pack, corrupt};
use crate::object::{Digest, ObjectKind};
use crate::progress::Progress;

/// How deep a check goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Lengths, headers, indexes and their checksums: not the objects themselves.
    Structure,
    /// Every byte of every file, and that every object hashes to its name.
    EveryByte,
}

/// Something that is wrong.
#[derive(Debug)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The object, where the damage is in one.
    pub digest: Option<Digest>,
    /// What is wrong.
    pub error: StoreError,
}

type Sink<'a> = &'a mut dyn FnMut(Finding);

impl Odb {
    /// Checks one pack; `found` hears of everything that is wrong. Stops early when `progress` is interrupted.
    ///
    /// # Errors
    /// When a file cannot be read, as opposed to being damaged.
    pub fn check_pack(
        &self,
        id: PackId,
        depth: Depth,
        progress: &dyn Progress,
        found: Sink<'_>,
    ) -> Result<(), StoreError> {
        let file = self.dir().join("pack").join(id.file_name());
        let pack = match self.open_pack(id) {
            Ok(Some(pack)) => pack,
            // Garbage collection may have rewritten it: its objects are in another pack then.
            Ok(None) => return Ok(()),
            Err(e) => return report(e, &file, None, found),
        };
        let entries = match checked_entries(&pack) {
            Ok(entries) => entries,
            Err(e) => return report(e, &file, None, found),
        };
        if depth == Depth::EveryByte {
            check_frames(&pack, &entries, progress, found)?;
            check_padding(&pack).or_else(|e| report(e, &file, None, found))?;
        }
        Ok(())
    }

    /// Checks all loose objects; `found` hears of everything that is wrong.
    ///
    /// # Errors
    /// As for [`Odb::check_pack`].
    pub fn check_loose(&self, depth: Depth, progress: &dyn Progress, found: Sink<'_>) -> Result<(), StoreError> {
        self.loose().for_each(0..=u8::MAX, |digest, path| {
            if progress.interrupted() {
                return Ok(());
            }
            let checked = match depth {
                Depth::Structure => self.loose().header(&digest).map(|_| ()),
                Depth::EveryByte => check_loose_file(&digest, path),
            };
            progress.advance(0, 1);
            checked.or_else(|e| report(e, path, Some(digest), found))
        })
    }

    /// Checks the merged index: its pages, their order, and that it says what the packs it covers say.
    ///
    /// # Errors
    /// As for [`Odb::check_pack`].
    pub fn check_merged(&self, progress: &dyn Progress, found: Sink<'_>) -> Result<(), StoreError> {
        let Some(blob) = self.packs().open(merged::FILE_NAME)? else { return Ok(()) };
        let file = blob.path().to_owned();
        let checked = Merged::open(&blob).and_then(|merged| self.compare_merged(&merged, progress));
        checked.or_else(|e| report(e, &file, None, found))
    }

    fn compare_merged(&self, merged: &Merged, progress: &dyn Progress) -> Result<(), StoreError> {
        let mut packs = Vec::new();
        for id in merged.packs() {
            // Damage of a pack is found when the pack is checked.
            packs.push(self.open_pack(*id).ok().flatten());
        }
        let mut counts = vec![0; packs.len()];
        let mut last = None;
        for entry in merged.index().iter_from(0) {
            let entry = entry?;
            let wrong = || merged.index().corrupt(&format!("its entry of {} is wrong", entry.digest));
            let key = (entry.digest, entry.pack);
            let pack = packs.get(entry.pack as usize).filter(|_| last < Some(key)).ok_or_else(wrong)?;
            last = Some(key);
            counts[entry.pack as usize] += 1;
            if let Some(pack) = pack
                && pack.index().find(&entry.digest).ok().flatten() != Some(Entry { pack: 0, ..entry })
            {
                return Err(wrong());
            }
            progress.advance(0, 1);
        }
        for (pack, count) in packs.iter().zip(counts) {
            if let Some(pack) = pack
                && pack.index().len() != count
            {
                return Err(merged.index().corrupt("entries are missing from it"));
            }
        }
        Ok(())
    }
}

/// Passes damage on to `found`; what is not damage is an error of the check itself.
fn report(error: StoreError, file: &Path, digest: Option<Digest>, found: Sink<'_>) -> Result<(), StoreError> {
    if !error.is_corruption() && !matches!(error, StoreError::TooNew { .. } | StoreError::FileTooNew { .. }) {
        return Err(error);
    }
    found(Finding { file: file.to_owned(), digest, error });
    Ok(())
}

/// The entries of a pack in the order of their frames, after everything but the frames was checked.
fn checked_entries(pack: &Pack) -> Result<Vec<Entry>, StoreError> {
    let mut header = [0; HEADER_LEN];
    pack.blob().read_at(&mut header, 0)?;
    decode_header(&header).map_err(|e| corrupt(pack.path(), &e.to_string()))?;
    let mut entries = pack.index().iter_from(0).collect::<Result<Vec<_>, _>>()?;
    if !entries.is_sorted_by(|a, b| a.digest < b.digest) || entries.iter().any(|entry| entry.pack != 0) {
        return Err(corrupt(pack.path(), "its index is out of order"));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header);
    entries.chunks(PER_PAGE).for_each(|page| {
        hasher.update(&encode_page(page));
    });
    if Digest(*hasher.finalize().as_bytes()) != pack.id().0 {
        return Err(corrupt(pack.path(), "its index does not hash to its name"));
    }
    entries.sort_unstable_by_key(|entry| entry.offset);
    let mut end = HEADER_LEN as u64;
    for entry in &entries {
        if entry.offset != end {
            return Err(corrupt(pack.path(), &format!("its frames do not lie back to back at byte {end}")));
        }
        end += u64::from(entry.stored_len);
    }
    if end.next_multiple_of(PAGE as u64) != pack.trailer().footer {
        return Err(corrupt(pack.path(), "its frames do not end where its index begins"));
    }
    Ok(entries)
}

fn check_frames(pack: &Pack, entries: &[Entry], progress: &dyn Progress, found: Sink<'_>) -> Result<(), StoreError> {
    let (mut frame, mut plain) = (Vec::new(), Vec::new());
    for entry in entries {
        if progress.interrupted() {
            break;
        }
        let checked = pack.read_frame(entry, &mut frame).and_then(|()| check_frame(pack, entry, &frame, &mut plain));
        checked.or_else(|e| report(e, pack.path(), Some(entry.digest), found))?;
        progress.advance(frame.len() as u64, 1);
    }
    Ok(())
}

fn check_frame(pack: &Pack, entry: &Entry, frame: &[u8], plain: &mut Vec<u8>) -> Result<(), StoreError> {
    let kind = ObjectKind::from_code(entry.kind).ok_or_else(|| StoreError::FileTooNew {
        file: pack.path().to_owned(),
        what: format!("object {} of kind {}", entry.digest, entry.kind),
    })?;
    open_frame(frame, kind, &entry.digest, pack.path(), plain)?;
    // Whoever gives it to others looks at the checksum alone.
    whole_frame(frame, &entry.digest, pack.path())?;
    let header = Header::decode(frame).ok();
    if header.is_none_or(|h| h.encoding != entry.encoding || h.plain_len != entry.plain_len) {
        return Err(corrupt(pack.path(), &format!("its index and the frame of {} disagree", entry.digest)));
    }
    Ok(())
}

/// Between the last frame and the index there are only zeros.
fn check_padding(pack: &Pack) -> Result<(), StoreError> {
    let mut end = HEADER_LEN as u64;
    for entry in pack.index().iter_from(0) {
        end += u64::from(entry?.stored_len);
    }
    let mut padding = vec![0; (pack.trailer().footer - end) as usize];
    pack.blob().read_at(&mut padding, end)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(corrupt(pack.path(), "there are stray bytes between its frames and its index"));
    }
    Ok(())
}

fn check_loose_file(digest: &Digest, path: &Path) -> Result<(), StoreError> {
    let Some(frame) = read_file(path)? else { return Ok(()) };
    let kind = Header::decode(&frame).map_err(|e| super::loose::frame_error(e, path))?.kind;
    open_frame(&frame, kind, digest, path, &mut Vec::new())?;
    whole_frame(&frame, digest, path).map(drop)
}
