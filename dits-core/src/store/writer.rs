//! Writing objects: few stay loose, many become packs. See `docs/format/store.md`.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::StoreError;
use super::condemned::DigestSet;
use super::filter::Filter;
use super::folder::FileBlob;
use super::frame::{self, Encoding, Header};
use super::odb::{Odb, open_frame};
use super::pack::Pack;
use super::pack::page::Entry;
use super::pack::write::{MAX_PACK, PackBuilder, Sealed};
use super::pending::Pending;
use super::relied::Relied;
use crate::compress::{Encoder, Policy};
use crate::object::{Digest, ObjectKind, ObjectRead, ObjectWrite};

/// Up to that many objects stay loose,
const LOOSE_OBJECTS: usize = 8;
/// as long as their frames have no more bytes than this together.
const LOOSE_BYTES: u64 = 1 << 20;
/// A pack is full with that many objects: their entries are in memory while it is written.
const PACK_OBJECTS: usize = 1 << 19;
/// With that many full packs, which are open files, a writer publishes them before it goes on.
const MAX_SEALED: usize = 64;
/// When a writer leaves more packs than this outside the merged index, it builds a new one.
const MAX_UNCOVERED: usize = 32;

/// How a writer stores objects.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// The zstd level, 1 to 22; 0 stores everything raw.
    pub level: i32,
    /// Bytes after which a new pack is begun.
    pub pack_limit: u64,
    /// Objects that garbage collection is about to remove: they are written again.
    pub condemned: Arc<DigestSet>,
    /// Makes a pack also of few objects.
    pub packs_only: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { level: 1, pack_limit: 1 << 30, condemned: Arc::default(), packs_only: false }
    }
}

/// What the caller knows about an object's bytes that spares work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// The bytes are compressed already; compressing them again does not pay.
    pub precompressed: bool,
    /// Compresses at this level whatever the writer's is; 0 is not at all.
    pub level: Option<i32>,
}

impl Hint {
    fn policy(self, writer_level: i32) -> Policy {
        match self.level.unwrap_or(writer_level) {
            0 => Policy::Never,
            _ if self.precompressed && self.level.is_none() => Policy::Never,
            level => Policy::Level(level),
        }
    }
}

thread_local! {
    static ENCODER: RefCell<(Encoder, Vec<u8>)> = RefCell::default();
}

/// What became of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// Whether it was not there before.
    pub new: bool,
    /// Bytes it took, header included; 0 when it was there.
    pub stored_len: u64,
}

/// What a writer did in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteStats {
    /// Objects that were not there before.
    pub objects_new: u64,
    /// Objects that were.
    pub objects_known: u64,
    /// Plain bytes of the new ones.
    pub plain_new: u64,
    /// Plain bytes of the known ones.
    pub plain_known: u64,
    /// Bytes the new ones took, headers included.
    pub stored_new: u64,
}

/// Takes objects from any number of threads. They can be read back through it at once; others see them, and they are
/// durable, after [`Writer::finish`]. Dropping it instead leaves nothing behind.
pub struct Writer {
    odb: Odb,
    options: WriterOptions,
    /// What the unfinished pack holds. Looked at before `sealed`: an entry moves there before it leaves here.
    pending: RwLock<Pending>,
    /// Full packs, in files without a name yet. Looked at before the store: a pack is there before it leaves here.
    sealed: RwLock<Vec<(Filter, Arc<Pack>)>>,
    state: Mutex<State>,
    relied: Relied,
    stats: Counters,
}

struct State {
    builder: PackBuilder,
    /// The files behind `Writer::sealed`.
    drafts: Vec<Sealed>,
    /// Whether a condemned object was written again. It must not become loose, where the condemned copy may lie.
    readded: bool,
    /// How writing failed: what the file holds is then unknown, and nothing may be built on it.
    failed: Option<Failure>,
}

/// A failed write, to be reported again to whoever asks next: which of several threads is heard is chance.
#[derive(Clone)]
struct Failure {
    op: &'static str,
    path: std::path::PathBuf,
    errno: Option<i32>,
}

impl Failure {
    fn of(error: &StoreError, dir: &std::path::Path) -> Self {
        match error {
            StoreError::Io(error) => {
                Self { op: error.op, path: error.path.clone(), errno: error.source.raw_os_error() }
            }
            _ => Self { op: "write objects to", path: dir.to_owned(), errno: None },
        }
    }

    fn again(&self) -> StoreError {
        let earlier = || std::io::Error::other("an earlier write failed");
        let source = self.errno.map_or_else(earlier, std::io::Error::from_raw_os_error);
        crate::durable::IoError { op: self.op, path: self.path.clone(), source }.into()
    }
}

#[derive(Default)]
struct Counters {
    objects_new: AtomicU64,
    objects_known: AtomicU64,
    plain_new: AtomicU64,
    plain_known: AtomicU64,
    stored_new: AtomicU64,
}

impl Odb {
    /// Begins to write. Packs are listed again first: what garbage collection removed before is not taken as present.
    ///
    /// # Errors
    /// When the packs cannot be listed.
    pub fn writer(&self, options: WriterOptions) -> Result<Writer, StoreError> {
        self.refresh()?;
        let builder = PackBuilder::new(Arc::clone(self.packs()))?;
        let state = State { builder, drafts: Vec::new(), readded: false, failed: None };
        Ok(Writer {
            odb: self.clone(),
            options,
            pending: RwLock::default(),
            sealed: RwLock::default(),
            state: Mutex::new(state),
            relied: Relied::default(),
            stats: Counters::default(),
        })
    }
}

impl Writer {
    /// Whether an object is there: in the store and not condemned, or written through this writer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        if self.in_hand(digest)? {
            return Ok(true);
        }
        if self.options.condemned.contains(digest) {
            return Ok(false);
        }
        let loose = self.odb.is_loose(digest)?;
        loose.iter().for_each(|loose| self.relied.note(digest, *loose));
        Ok(loose.is_some())
    }

    /// How long an object is in plain bytes, if it is there as [`Writer::contains`] says.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn plain_len(&self, digest: &Digest) -> Result<Option<u32>, StoreError> {
        if !self.contains(digest)? {
            return Ok(None);
        }
        let mut entry = self.pending.read().unwrap_or_else(PoisonError::into_inner).get(digest);
        if entry.is_none() {
            entry = self.in_sealed(digest)?.map(|(_, entry)| entry);
        }
        if let Some(entry) = entry {
            return Ok(Some(entry.plain_len));
        }
        Ok(self.odb.info(digest)?.map(|info| info.plain_len))
    }

    fn in_hand(&self, digest: &Digest) -> Result<bool, StoreError> {
        let pending = self.pending.read().unwrap_or_else(PoisonError::into_inner).contains(digest);
        Ok(pending || self.in_sealed(digest)?.is_some())
    }

    fn in_sealed(&self, digest: &Digest) -> Result<Option<(Arc<Pack>, Entry)>, StoreError> {
        for (filter, pack) in self.sealed.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if filter.may_contain(digest)
                && let Some(entry) = pack.index().find(digest)?
            {
                return Ok(Some((Arc::clone(pack), entry)));
            }
        }
        Ok(None)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores an object unless it is there. `digest` is its name, which the caller has computed.
    ///
    /// # Errors
    /// When the object is too long, or the store cannot be read or written. The operation must then be given up.
    pub fn put(&self, kind: ObjectKind, digest: Digest, plain: &[u8], hint: Hint) -> Result<Put, StoreError> {
        debug_assert!(kind.digest(plain) == digest, "the digest given is not that of the bytes");
        if plain.len() > frame::plain_limit(kind) {
            let what = format!("{} bytes, where at most {} are allowed", plain.len(), frame::plain_limit(kind));
            return Err(StoreError::Malformed { kind, digest, what });
        }
        if self.contains(&digest)? {
            return Ok(self.count_known(plain.len()));
        }
        let (header, added) = ENCODER.with_borrow_mut(|(encoder, packed)| {
            let encoding = encoder.encode(hint.policy(self.options.level), plain, packed);
            let payload = if encoding == Encoding::Raw { plain } else { &packed[..] };
            let header = Header::new(kind, encoding, digest, payload, plain.len());
            self.append(&header, &[&header.encode(), payload]).map(|added| (header, added))
        })?;
        Ok(if added { self.count_new(&header, plain.len()) } else { self.count_known(plain.len()) })
    }

    /// Stores an object that comes as a frame from elsewhere, unless it is there; it stays encoded as it is. `header` is
    /// the frame's, and the caller has [opened](Header::open) the frame with it, which verifies it.
    ///
    /// # Errors
    /// When the store cannot be read or written. The operation must then be given up.
    pub fn put_frame(&self, header: &Header, frame: &[u8]) -> Result<Put, StoreError> {
        debug_assert!(header.open(frame, &mut Vec::new()).is_ok(), "the frame has not been verified");
        let plain_len = header.plain_len as usize;
        if self.contains(&header.digest)? || !self.append(header, &[frame])? {
            return Ok(self.count_known(plain_len));
        }
        Ok(self.count_new(header, plain_len))
    }

    fn count_new(&self, header: &Header, plain_len: usize) -> Put {
        let stored_len = header.frame_len() as u64;
        self.stats.objects_new.fetch_add(1, Ordering::Relaxed);
        self.stats.plain_new.fetch_add(plain_len as u64, Ordering::Relaxed);
        self.stats.stored_new.fetch_add(stored_len, Ordering::Relaxed);
        Put { new: true, stored_len }
    }

    fn count_known(&self, plain_len: usize) -> Put {
        self.stats.objects_known.fetch_add(1, Ordering::Relaxed);
        self.stats.plain_known.fetch_add(plain_len as u64, Ordering::Relaxed);
        Put { new: false, stored_len: 0 }
    }

    /// Appends a frame unless another thread did meanwhile.
    fn append(&self, header: &Header, parts: &[&[u8]]) -> Result<bool, StoreError> {
        let mut state = self.state();
        if self.in_hand(&header.digest)? {
            return Ok(false);
        }
        self.check(&state)?;
        let full = state.builder.end() >= self.options.pack_limit.min(MAX_PACK)
            || self.pending.read().unwrap_or_else(PoisonError::into_inner).len() >= PACK_OBJECTS;
        let was_spilled = state.builder.spilled();
        let done = if full { self.roll(&mut state) } else { Ok(()) };
        let done = done.and_then(|()| state.builder.append(parts));
        state.failed = done.as_ref().err().map(|error| Failure::of(error, self.odb.dir()));
        let entry = Entry {
            digest: header.digest,
            offset: done?,
            kind: header.kind as u8,
            encoding: header.encoding,
            stored_len: header.frame_len() as u32,
            plain_len: header.plain_len,
            pack: 0,
        };
        state.readded |= self.options.condemned.contains(&header.digest);
        let mut pending = self.pending.write().unwrap_or_else(PoisonError::into_inner);
        if header.kind.is_content() && !was_spilled && state.builder.spilled() {
            pending.reserve(self.options.pack_limit);
        }
        pending.insert(entry);
        Ok(true)
    }

    fn check(&self, state: &State) -> Result<(), StoreError> {
        state.failed.as_ref().map_or(Ok(()), |failure| Err(failure.again()))
    }

    /// Seals the pack in hand and begins another.
    fn roll(&self, state: &mut State) -> Result<(), StoreError> {
        let mut pending = self.pending.write().unwrap_or_else(PoisonError::into_inner);
        let entries = pending.entries_mut();
        let filter = Filter::of(entries.iter().map(|entry| &entry.digest));
        let sealed = state.builder.seal(entries)?;
        let pack = open_sealed(&sealed)?;
        state.drafts.push(sealed);
        self.sealed.write().unwrap_or_else(PoisonError::into_inner).push((filter, Arc::new(pack)));
        pending.clear();
        drop(pending);
        if state.drafts.len() >= MAX_SEALED {
            publish(&self.odb, std::mem::take(&mut state.drafts))?;
            self.sealed.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
        Ok(())
    }

    /// Reads an object, verified, also one that was only just written, into `out`.
    ///
    /// # Errors
    /// As for [`Odb::read`], and when writing has failed.
    pub fn read_into(&self, kind: ObjectKind, digest: &Digest, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let mut frame = Vec::new();
        let pending = || self.pending.read().unwrap_or_else(PoisonError::into_inner).get(digest);
        // Looked up once more under the lock: the pack may have been sealed in between.
        if pending().is_some() {
            let state = self.state();
            self.check(&state)?;
            if let Some(entry) = pending() {
                state.builder.read_frame(&entry, &mut frame)?;
                drop(state);
                return open_frame(&frame, kind, digest, self.odb.dir(), out);
            }
        }
        if let Some((pack, entry)) = self.in_sealed(digest)? {
            pack.read_frame(&entry, &mut frame)?;
            return open_frame(&frame, kind, digest, pack.path(), out);
        }
        self.odb.read_into(kind, digest, out)
    }

    /// What was written so far.
    #[must_use]
    pub fn stats(&self) -> WriteStats {
        let Counters { objects_new, objects_known, plain_new, plain_known, stored_new } = &self.stats;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WriteStats {
            objects_new: get(objects_new),
            objects_known: get(objects_known),
            plain_new: get(plain_new),
            plain_known: get(plain_known),
            stored_new: get(stored_new),
        }
    }

    /// Publishes everything: once this returns, it survives a power cut and others see it.
    ///
    /// # Errors
    /// When something cannot be made durable. Some objects may then be there; nothing refers to them.
    pub fn finish(self) -> Result<WriteStats, StoreError> {
        let stats = self.stats();
        let Self { odb, options, pending, sealed, state, relied, .. } = self;
        let mut pending = pending.into_inner().unwrap_or_else(PoisonError::into_inner);
        let entries = pending.entries_mut();
        // The files of full packs are mapped while they have no name; that is over.
        drop(sealed);
        let State { mut builder, mut drafts, readded, failed } =
            state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = failed {
            return Err(failure.again());
        }
        let few = drafts.is_empty() && !builder.spilled() && !readded && !options.packs_only;
        if few && entries.len() <= LOOSE_OBJECTS && builder.end() <= LOOSE_BYTES {
            put_loose(&odb, &builder, entries)?;
        } else {
            if !entries.is_empty() {
                drafts.push(builder.seal(entries)?);
            }
            publish(&odb, drafts)?;
        }
        relied.sync(&odb)?;
        Ok(stats)
    }
}

impl ObjectRead for Writer {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut out = Vec::new();
        self.read_into(kind, digest, &mut out)?;
        Ok(out)
    }
}

impl ObjectWrite for Writer {
    fn write(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = kind.digest(bytes);
        self.put(kind, digest, bytes, Hint::default())?;
        Ok(digest)
    }
}

/// Gives full packs their names, durably, and has the store know them.
fn publish(odb: &Odb, drafts: Vec<Sealed>) -> Result<(), StoreError> {
    odb.packs().put(drafts.into_iter().map(|Sealed { draft, id }| (draft, id.file_name())).collect())?;
    odb.refresh()?;
    if odb.uncovered_packs() > MAX_UNCOVERED {
        match odb.merge_index() {
            // What was written is safe; lookups and fsck will name the damaged pack.
            Err(e) if e.is_corruption() => {}
            done => drop(done?),
        }
    }
    Ok(())
}

fn open_sealed(sealed: &Sealed) -> Result<Pack, StoreError> {
    let path = sealed.draft.path().to_owned();
    let blob = FileBlob::open(path, true)?.ok_or_else(|| super::pack::corrupt(sealed.draft.path(), "it is gone"))?;
    Pack::open(Arc::new(blob), sealed.id)
}

fn put_loose(odb: &Odb, builder: &PackBuilder, entries: &[Entry]) -> Result<(), StoreError> {
    let mut frames = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut frame = Vec::new();
        builder.read_frame(entry, &mut frame)?;
        frames.push((entry.digest, frame));
    }
    let frames: Vec<_> = frames.iter().map(|(digest, frame)| (*digest, frame.as_slice())).collect();
    odb.loose().put(&frames)
}
