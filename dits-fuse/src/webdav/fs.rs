//! A drive as dav-server wants it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dav_server::davpath::DavPath;
use dav_server::fs::{
    DavDirEntry, DavFile, DavFileSystem, DavMetaData, DavProp, FsError, FsFuture, FsStream, OpenOptions, ReadDirMeta,
};
use http::StatusCode;

use super::bridge::{ask, work};
use super::file::Reading;
use super::meta::{Entry, Meta};
use super::place::{Place, find, find_from, is_file, is_folder, is_hidden, is_link};
use super::{change, props};
use crate::drive::Drive;
use crate::error::{Reach, ReadError};

/// A drive, for one request.
#[derive(Clone)]
pub(super) struct DriveFs {
    pub(super) drive: Arc<Drive>,
    /// The request replaces what has its destination's name (`MOVE`, `COPY`).
    pub(super) replaces: bool,
    /// The request is about the root.
    pub(super) at_root: bool,
    /// A folder was listed for this request.
    listed: Arc<AtomicBool>,
}

impl DriveFs {
    pub(super) fn new(drive: Arc<Drive>, replaces: bool, at_root: bool) -> Self {
        Self { drive, replaces, at_root, listed: Arc::default() }
    }

    fn meta(&self, path: &DavPath, follow: bool) -> FsFuture<'_, Box<dyn DavMetaData>> {
        let path = path.as_bytes().to_vec();
        Box::pin(async move {
            let found = ask(&self.drive, move |drive, reach| {
                let stat = find(drive, &path, follow, reach)?.existing()?;
                if is_folder(&stat) {
                    // dav-server lists one that cannot be read as if it were empty.
                    drive.open_folder(stat.ino, reach)?;
                }
                Meta::new(drive, stat, reach)
            });
            match found.await {
                Ok(meta) => Ok(Box::new(meta) as Box<dyn DavMetaData>),
                // What is hidden is not there.
                Err(FsError::Forbidden) => Err(FsError::NotFound),
                Err(error) => Err(error),
            }
        })
    }

    /// Does something to a path that changes it.
    fn change<'a>(
        &'a self,
        path: &DavPath,
        change: impl FnOnce(&Drive, &[u8]) -> Result<(), ReadError> + Send + 'static,
    ) -> FsFuture<'a, ()> {
        let path = path.as_bytes().to_vec();
        Box::pin(work(&self.drive, move |drive| change(drive, &path)))
    }
}

/// The entries of a folder. Where clients look at them, symbolic links are what they lead to, and what is neither file nor
/// folder is left out.
fn list(drive: &Drive, path: &[u8], follow: bool) -> Result<Vec<Entry>, ReadError> {
    let Place { mut above, stat, .. } = find(drive, path, true, Reach::Disk)?;
    let ino = stat.map_or(crate::view::ROOT, |stat| stat.ino);
    if above.last() != Some(&ino) {
        above.push(ino);
    }
    let folder = drive.open_folder(ino, Reach::Disk)?;
    let mut found = Vec::new();
    drive.visit(&folder, 0, &mut |_, name, stat| {
        if !matches!(name, b"." | b"..") && !is_hidden(ino, name) {
            found.push((name.to_vec(), *stat));
        }
        true
    })?;
    let mut entries = Vec::new();
    for (name, mut stat) in found {
        if follow && is_link(&stat) {
            let led = find_from(drive, above.clone(), &name, true, Reach::Disk).and_then(|place| place.existing());
            let Ok(led) = led else { continue };
            stat = led;
        }
        if !follow || is_file(&stat) || is_folder(&stat) {
            entries.push(Entry { meta: Meta::new(drive, stat, Reach::Disk)?, name });
        }
    }
    Ok(entries)
}

impl DavFileSystem for DriveFs {
    fn open<'a>(&'a self, path: &'a DavPath, options: OpenOptions) -> FsFuture<'a, Box<dyn DavFile>> {
        let path = path.as_bytes().to_vec();
        let drive = Arc::clone(&self.drive);
        Box::pin(async move {
            if options.write {
                let shared = Arc::clone(&drive);
                let writing = work(&drive, move |_| change::open(&shared, &path, &options)).await?;
                return Ok(Box::new(writing) as Box<dyn DavFile>);
            }
            let (file, meta) = work(&drive, move |drive| {
                let stat = find(drive, &path, true, Reach::Disk)?.existing()?;
                let meta = Meta::new(drive, stat, Reach::Disk)?;
                Ok((Arc::new(drive.open(stat.ino, Reach::Disk)?), meta))
            })
            .await?;
            Ok(Box::new(Reading { drive, file, meta, at: 0 }) as Box<dyn DavFile>)
        })
    }

    fn read_dir<'a>(&'a self, path: &'a DavPath, meta: ReadDirMeta) -> FsFuture<'a, FsStream<Box<dyn DavDirEntry>>> {
        let path = path.as_bytes().to_vec();
        self.listed.store(true, Ordering::Relaxed);
        Box::pin(async move {
            let entries = work(&self.drive, move |drive| list(drive, &path, meta == ReadDirMeta::Data)).await?;
            let boxed = entries.into_iter().map(|entry| Ok(Box::new(entry) as Box<dyn DavDirEntry>));
            Ok(Box::pin(futures_util::stream::iter(boxed)) as FsStream<Box<dyn DavDirEntry>>)
        })
    }

    fn metadata<'a>(&'a self, path: &'a DavPath) -> FsFuture<'a, Box<dyn DavMetaData>> {
        self.meta(path, true)
    }

    fn symlink_metadata<'a>(&'a self, path: &'a DavPath) -> FsFuture<'a, Box<dyn DavMetaData>> {
        self.meta(path, false)
    }

    fn create_dir<'a>(&'a self, path: &'a DavPath) -> FsFuture<'a, ()> {
        let replace = self.replaces && !self.listed.load(Ordering::Relaxed);
        self.change(path, move |drive, path| change::make_folder(drive, path, replace))
    }

    fn remove_dir<'a>(&'a self, path: &'a DavPath) -> FsFuture<'a, ()> {
        self.change(path, |drive, path| change::remove(drive, path, true))
    }

    fn remove_file<'a>(&'a self, path: &'a DavPath) -> FsFuture<'a, ()> {
        // dav-server removes the destination of a MOVE or COPY before it knows whether that will work. If it is a file
        // this is the first thing it does, and what comes next replaces it in one step. A folder it lists before.
        if self.replaces && !self.listed.load(Ordering::Relaxed) {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.change(path, |drive, path| change::remove(drive, path, false))
    }

    fn rename<'a>(&'a self, from: &'a DavPath, to: &'a DavPath) -> FsFuture<'a, ()> {
        let to = to.as_bytes().to_vec();
        self.change(from, move |drive, from| change::rename(drive, from, &to))
    }

    fn copy<'a>(&'a self, from: &'a DavPath, to: &'a DavPath) -> FsFuture<'a, ()> {
        let to = to.as_bytes().to_vec();
        self.change(from, move |drive, from| change::copy(drive, from, &to))
    }

    fn have_props<'a>(&'a self, _: &'a DavPath) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(std::future::ready(self.drive.overlay().is_some()))
    }

    fn patch_props<'a>(
        &'a self,
        path: &'a DavPath,
        patch: Vec<(bool, DavProp)>,
    ) -> FsFuture<'a, Vec<(StatusCode, DavProp)>> {
        let path = path.as_bytes().to_vec();
        Box::pin(work(&self.drive, move |drive| props::patch(drive, &path, patch)))
    }

    fn get_props<'a>(&'a self, path: &'a DavPath, content: bool) -> FsFuture<'a, Vec<DavProp>> {
        let path = path.as_bytes().to_vec();
        Box::pin(work(&self.drive, move |drive| props::all(drive, &path, content)))
    }

    fn get_prop<'a>(&'a self, path: &'a DavPath, prop: DavProp) -> FsFuture<'a, Vec<u8>> {
        let path = path.as_bytes().to_vec();
        Box::pin(work(&self.drive, move |drive| props::one(drive, &path, &prop)))
    }

    fn get_quota(&'_ self) -> FsFuture<'_, (u64, Option<u64>)> {
        let at_root = self.at_root;
        Box::pin(work(&self.drive, move |drive| {
            let used = drive.view.size(Reach::Disk)?;
            let free = match drive.overlay() {
                Some(overlay) => {
                    let room = overlay.room()?;
                    room.f_bavail.saturating_mul(room.f_frsize)
                }
                None => 0,
            };
            // dav-server subtracts what is used of the root from the sum of both, and nothing of other folders.
            Ok(if at_root { (used, Some(used.saturating_add(free))) } else { (0, Some(free)) })
        }))
    }
}
