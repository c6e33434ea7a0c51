//! One object database: a folder of loose objects and packs.

mod cache;
mod list;
mod prefix;
mod view;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

pub use self::prefix::HexPrefix;

use self::cache::Cache;
use self::view::View;
use super::StoreError;
use super::folder::{FolderStore, PackStore};
use super::frame::{self, FrameError, Header};
use super::loose::Loose;
use super::pack;
use super::pack::layout::PackId;
use super::pack::page::Entry;
use crate::object::{Digest, ObjectKind, ObjectRead};

/// How an object database is read.
#[derive(Clone, Copy, Debug)]
pub struct OdbOptions {
    /// Whether indexes are mapped into memory. A server says no: a file that somebody cuts would end the process.
    pub map: bool,
    /// Bytes of objects to remember once read; 0 for none. For metadata, which is read again and again.
    pub cache_bytes: usize,
}

impl Default for OdbOptions {
    fn default() -> Self {
        Self { map: true, cache_bytes: 0 }
    }
}

/// Where a copy of an object lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a file of its own.
    Loose,
    /// In a pack.
    Pack {
        /// Which one.
        id: PackId,
        /// Where its frame begins.
        offset: u64,
    },
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// What it is.
    pub kind: ObjectKind,
    /// Bytes of the object.
    pub plain_len: u32,
    /// Bytes it takes in the store, header included.
    pub stored_len: u32,
    /// The number of its encoding.
    pub encoding: u8,
    /// Where it lies.
    pub location: Location,
}

/// A pack in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackInfo {
    /// Its name.
    pub id: PackId,
    /// Bytes of its file.
    pub file_len: u64,
    /// How many objects are in it.
    pub entries: u64,
}

/// An object database, open for reading. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Odb {
    inner: Arc<Inner>,
}

/// Takes the frame of an object and the file it lies in, or says what is wrong with it.
type Accept<'a> = dyn FnMut(&[u8], &Path) -> Result<(), StoreError> + 'a;

/// The most bytes that a thread keeps for the frames it reads.
const KEPT: usize = 2 << 20;

thread_local! {
    /// Where frames are read into: fresh memory for each costs as much as reading it.
    static FRAME: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

struct Inner {
    dir: PathBuf,
    packs: Arc<dyn PackStore>,
    loose: Loose,
    cache: Cache,
    view: RwLock<Arc<View>>,
}

impl Odb {
    /// Opens the object database in `dir`. Nothing is created; a folder that does not exist is an empty database.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn open(dir: impl Into<PathBuf>, options: OdbOptions) -> Result<Self, StoreError> {
        let dir = dir.into();
        let packs = Arc::new(FolderStore::new(dir.join("pack"), options.map));
        Self::with_packs(dir, packs, options)
    }

    /// Opens an object database whose packs lie elsewhere than in `dir`.
    ///
    /// # Errors
    /// When the packs cannot be listed.
    pub fn with_packs(dir: PathBuf, packs: Arc<dyn PackStore>, options: OdbOptions) -> Result<Self, StoreError> {
        let view = RwLock::new(Arc::new(View::load(Arc::clone(&packs), None)?));
        let (loose, cache) = (Loose::new(dir.clone()), Cache::new(options.cache_bytes));
        Ok(Self { inner: Arc::new(Inner { dir, packs, loose, cache, view }) })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    pub(super) fn packs(&self) -> &Arc<dyn PackStore> {
        &self.inner.packs
    }

    pub(super) fn loose(&self) -> &Loose {
        &self.inner.loose
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.inner.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks again which packs there are.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn refresh(&self) -> Result<(), StoreError> {
        self.reload().map(|_| ())
    }

    fn reload(&self) -> Result<Arc<View>, StoreError> {
        let view = Arc::new(View::load(Arc::clone(&self.inner.packs), Some(&self.view()))?);
        *self.inner.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&view);
        Ok(view)
    }

    /// A new view if the folder of packs has changed since `seen` was made, or may have: one system call when it has not.
    fn changed_since(&self, seen: &View) -> Result<Option<Arc<View>>, StoreError> {
        if !seen.is_racy && self.inner.packs.stamp()? == seen.stamp { Ok(None) } else { self.reload().map(Some) }
    }

    /// Whether an object is there. It may still be damaged.
    ///
    /// # Errors
    /// When it is not found and something that may hold it is damaged or cannot be read.
    pub fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.place(digest)?.is_some())
    }

    /// Whether an object is there and loose (`Some(true)`), in a pack (`Some(false)`), or not there.
    pub(super) fn is_loose(&self, digest: &Digest) -> Result<Option<bool>, StoreError> {
        Ok(self.place(digest)?.map(|packed| packed.is_none()))
    }

    /// What is known of an object without reading it.
    ///
    /// # Errors
    /// As for [`Odb::contains`].
    pub fn info(&self, digest: &Digest) -> Result<Option<ObjectInfo>, StoreError> {
        match self.place(digest)? {
            None => Ok(None),
            Some(Some(info)) => Ok(Some(info?)),
            Some(None) => Ok(self.inner.loose.header(digest)?.map(|(header, len)| loose_info(&header, len))),
        }
    }

    /// Where an object is: `None` nowhere, `Some(None)` loose, `Some(Some(_))` in a pack.
    #[allow(clippy::type_complexity)] // private, and spelt out above
    fn place(&self, digest: &Digest) -> Result<Option<Option<Result<ObjectInfo, StoreError>>>, StoreError> {
        let mut view = self.view();
        loop {
            let mut found = None;
            let damage = view
                .find(digest, |slot, entry| {
                    found = Some(info_of(slot.id, entry));
                    Ok(true)
                })
                .err();
            if found.is_some() {
                return Ok(Some(found));
            }
            if self.inner.loose.contains(digest)? {
                return Ok(Some(None));
            }
            match (self.changed_since(&view)?, damage) {
                (Some(fresh), _) => view = fresh,
                (None, Some(damage)) => return Err(damage),
                (None, None) => return Ok(None),
            }
        }
    }

    /// Reads an object, verified.
    ///
    /// # Errors
    /// When it is missing, damaged, of another kind, or cannot be read.
    pub fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        if let Some(bytes) = self.inner.cache.get(kind, digest) {
            return Ok(bytes.to_vec());
        }
        let mut out = Vec::new();
        self.read_uncached(kind, digest, &mut out)?;
        self.inner.cache.put(kind, *digest, out.as_slice().into());
        Ok(out)
    }

    /// Reads an object, verified, into `out`, replacing what is there.
    ///
    /// # Errors
    /// As for [`Odb::read`]; `out` is then empty.
    pub fn read_into(&self, kind: ObjectKind, digest: &Digest, out: &mut Vec<u8>) -> Result<(), StoreError> {
        if let Some(bytes) = self.inner.cache.get(kind, digest) {
            out.clear();
            out.extend_from_slice(&bytes);
            return Ok(());
        }
        self.read_uncached(kind, digest, out)
    }

    fn read_uncached(&self, kind: ObjectKind, digest: &Digest, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let read = self.with_frame(kind, digest, &mut |frame, file| open_frame(frame, kind, digest, file, out));
        if read.is_err() {
            out.clear();
        }
        read
    }

    /// Reads an object as it is stored, into `frame`, for somebody who will decode and verify it. Only its checksums are
    /// verified here.
    ///
    /// # Errors
    /// When the object is missing, damaged, of another kind, or cannot be read.
    pub fn read_frame(&self, kind: ObjectKind, digest: &Digest, frame: &mut Vec<u8>) -> Result<Header, StoreError> {
        let mut found = None;
        self.with_frame(kind, digest, &mut |bytes, file| {
            let header = whole_frame(bytes, digest, file)?;
            if header.kind != kind {
                return Err(StoreError::WrongKind { digest: *digest, wanted: kind, found: header.kind });
            }
            frame.clear();
            frame.extend_from_slice(bytes);
            found = Some(header);
            Ok(())
        })?;
        found.ok_or(StoreError::Missing { kind, digest: *digest })
    }

    /// Finds the first copy of an object that `accept` takes, given its frame and the file it lies in.
    fn with_frame(&self, kind: ObjectKind, digest: &Digest, accept: &mut Accept<'_>) -> Result<(), StoreError> {
        let mut view = self.view();
        loop {
            let failed = match self.with_frame_in(&view, digest, accept) {
                Ok(true) => return Ok(()),
                Ok(false) => None,
                Err(e) => Some(e),
            };
            // Another process may have packed or moved it meanwhile, and again while this one looked: only where nothing has
            // changed it is lost.
            match self.changed_since(&view)? {
                Some(fresh) => view = fresh,
                None => return Err(failed.unwrap_or(StoreError::Missing { kind, digest: *digest })),
            }
        }
    }

    /// When there are copies and none is accepted, that is an error.
    fn with_frame_in(&self, view: &View, digest: &Digest, accept: &mut Accept<'_>) -> Result<bool, StoreError> {
        let mut damage = None;
        let mut frame = FRAME.take();
        let found = view.find(digest, |slot, entry| {
            let read = view.open(slot).and_then(|pack| match pack {
                None => Ok(false),
                Some(pack) => {
                    pack.read_frame(entry, &mut frame)?;
                    accept(&frame, pack.path()).map(|()| true)
                }
            });
            Ok(read.unwrap_or_else(|e| {
                damage = Some(e);
                false
            }))
        });
        if frame.capacity() <= KEPT {
            FRAME.set(frame);
        }
        match found {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(e) => damage = damage.or(Some(e)),
        }
        if let Some(bytes) = self.inner.loose.read(digest)? {
            match accept(&bytes, &self.inner.loose.path(digest)) {
                Ok(()) => return Ok(true),
                Err(e) => damage = damage.or(Some(e)),
            }
        }
        damage.map_or(Ok(false), Err)
    }

    /// Whether there is a merged index, damaged or not.
    pub(super) fn has_merged_index(&self) -> bool {
        self.view().has_merged()
    }

    /// Forgets what was read: for after objects were removed.
    pub(super) fn forget(&self) -> Result<(), StoreError> {
        self.inner.cache.clear();
        self.refresh()
    }
}

impl ObjectRead for Odb {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        Self::read(self, kind, digest)
    }
}

fn info_of(pack: PackId, entry: &Entry) -> Result<ObjectInfo, StoreError> {
    let kind = ObjectKind::from_code(entry.kind).ok_or_else(|| StoreError::FileTooNew {
        file: pack.file_name().into(),
        what: format!("object {} of kind {}", entry.digest, entry.kind),
    })?;
    let Entry { plain_len, stored_len, encoding, offset, .. } = *entry;
    Ok(ObjectInfo { kind, plain_len, stored_len, encoding, location: Location::Pack { id: pack, offset } })
}

fn loose_info(header: &Header, len: u64) -> ObjectInfo {
    ObjectInfo {
        kind: header.kind,
        plain_len: header.plain_len,
        stored_len: u32::try_from(len).unwrap_or(u32::MAX),
        encoding: header.encoding,
        location: Location::Loose,
    }
}

/// Decodes and verifies the frame of the object asked for; its checksum only where the digest does not say more.
pub(super) fn open_frame(
    frame: &[u8],
    kind: ObjectKind,
    digest: &Digest,
    file: &Path,
    out: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let fail = |e: FrameError| match e {
        FrameError::TooNew { .. } => StoreError::TooNew { kind, digest: *digest, what: e.to_string() },
        e => pack::corrupt(file, &format!("{kind} {digest}: {e}")),
    };
    let header = Header::decode(frame).map_err(fail)?;
    if header.digest != *digest {
        return Err(pack::corrupt(file, &format!("it holds {} where {digest} should be", header.digest)));
    }
    if header.kind != kind {
        return Err(StoreError::WrongKind { digest: *digest, wanted: kind, found: header.kind });
    }
    header.open_stored(frame, out).map_err(fail)
}

/// Checks that a frame is whole, without decoding it.
pub(super) fn whole_frame(frame: &[u8], digest: &Digest, file: &Path) -> Result<Header, StoreError> {
    let header = frame::Header::decode(frame).and_then(|header| header.payload(frame).map(|_| header));
    let header = header.map_err(|e| super::loose::frame_error(e, file))?;
    if header.digest != *digest {
        return Err(pack::corrupt(file, &format!("it holds {} where {digest} should be", header.digest)));
    }
    Ok(header)
}
