//! Files that a client reads or writes.

use std::fmt;
use std::io::SeekFrom;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use dav_server::fs::{DavFile, DavMetaData, FsError, FsFuture, FsResult};
use tokio::sync::oneshot;

use super::bridge::{answered, work};
use super::meta::Meta;
use crate::drive::Drive;
use crate::error::Reach;
use crate::read::OpenFile;

/// The most that is read or written at a time.
pub(super) const PIECE: usize = 1 << 20;

/// A file that a client reads.
pub(super) struct Reading {
    pub(super) drive: Arc<Drive>,
    pub(super) file: Arc<OpenFile>,
    pub(super) meta: Meta,
    pub(super) at: u64,
}

impl Reading {
    async fn read(&mut self, count: usize) -> FsResult<Bytes> {
        let (send, receive) = oneshot::channel();
        let len = count.min(PIECE) as u32;
        self.drive.read(&self.file, self.at, len, move |gathered| _ = send.send(gathered));
        let gathered = answered(receive).await?;
        let bytes = gathered.in_one().unwrap_or_else(|| {
            let mut bytes = Vec::with_capacity(len as usize);
            gathered.append_to(&mut bytes);
            bytes.into()
        });
        // The file was cut meanwhile. dav-server would make zeros of that; an answer that breaks off is the truth.
        if bytes.is_empty() && count > 0 {
            return Err(FsError::GeneralFailure);
        }
        self.at += bytes.len() as u64;
        Ok(bytes)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.drive.close(&self.file);
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reading({:?} at {})", self.meta, self.at)
    }
}

impl DavFile for Reading {
    fn metadata(&'_ mut self) -> FsFuture<'_, Box<dyn DavMetaData>> {
        Box::pin(std::future::ready(Ok(Box::new(self.meta.clone()) as Box<dyn DavMetaData>)))
    }

    fn write_buf(&'_ mut self, _: Box<dyn Buf + Send>) -> FsFuture<'_, ()> {
        Box::pin(std::future::ready(Err(FsError::Forbidden)))
    }

    fn write_bytes(&'_ mut self, _: Bytes) -> FsFuture<'_, ()> {
        Box::pin(std::future::ready(Err(FsError::Forbidden)))
    }

    fn read_bytes(&'_ mut self, count: usize) -> FsFuture<'_, Bytes> {
        Box::pin(self.read(count))
    }

    fn seek(&'_ mut self, to: SeekFrom) -> FsFuture<'_, u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.meta.len().checked_add_signed(by),
        };
        self.at = at.unwrap_or(self.at);
        Box::pin(std::future::ready(at.ok_or(FsError::GeneralFailure)))
    }

    fn flush(&'_ mut self) -> FsFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A file that a client writes.
pub(super) struct Writing {
    pub(super) drive: Arc<Drive>,
    pub(super) ino: u64,
    pub(super) at: u64,
    /// What has come and is not written yet.
    pub(super) pending: Vec<u8>,
    /// The name that it gets when it is complete, if it has none yet.
    pub(super) name: Option<(u64, Vec<u8>)>,
    /// How many bytes the client announced.
    pub(super) expected: Option<u64>,
}

impl Writing {
    async fn write(&mut self, bytes: &[u8]) -> FsResult<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PIECE { self.store().await } else { Ok(()) }
    }

    /// Writes what has come.
    async fn store(&mut self) -> FsResult<()> {
        let (ino, at, bytes) = (self.ino, self.at, std::mem::take(&mut self.pending));
        self.at += bytes.len() as u64;
        work(&self.drive, move |drive| drive.writable()?.write_bytes(&drive.view, ino, at, &bytes, true, Reach::Disk))
            .await
    }

    async fn finish(&mut self) -> FsResult<()> {
        self.store().await?;
        let complete = self.expected.is_none_or(|expected| expected == self.at);
        // What is not complete gets no name; dav-server says so to the client.
        let Some((folder, name)) = self.name.take_if(|_| complete) else { return Ok(()) };
        let ino = self.ino;
        work(&self.drive, move |drive| drive.writable()?.name(&drive.view, ino, (folder, &name), true, Reach::Disk))
            .await
    }

    async fn told(&self) -> FsResult<Box<dyn DavMetaData>> {
        let ino = self.ino;
        let meta = work(&self.drive, move |drive| Meta::new(drive, drive.stat(ino, Reach::Disk)?, Reach::Disk)).await?;
        Ok(Box::new(meta))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(overlay) = self.drive.overlay() {
            overlay.closed(self.ino);
        }
    }
}

impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writing({:x} at {})", self.ino, self.at)
    }
}

impl DavFile for Writing {
    fn metadata(&'_ mut self) -> FsFuture<'_, Box<dyn DavMetaData>> {
        Box::pin(self.told())
    }

    fn write_buf(&'_ mut self, mut bytes: Box<dyn Buf + Send>) -> FsFuture<'_, ()> {
        Box::pin(async move {
            let bytes = bytes.copy_to_bytes(bytes.remaining());
            self.write(&bytes).await
        })
    }

    fn write_bytes(&'_ mut self, bytes: Bytes) -> FsFuture<'_, ()> {
        Box::pin(async move { self.write(&bytes).await })
    }

    fn read_bytes(&'_ mut self, _: usize) -> FsFuture<'_, Bytes> {
        Box::pin(std::future::ready(Err(FsError::Forbidden)))
    }

    fn seek(&'_ mut self, to: SeekFrom) -> FsFuture<'_, u64> {
        Box::pin(async move {
            // The only one that dav-server asks for.
            let SeekFrom::Start(at) = to else { return Err(FsError::NotImplemented) };
            self.store().await?;
            self.at = at;
            Ok(at)
        })
    }

    fn flush(&'_ mut self) -> FsFuture<'_, ()> {
        Box::pin(self.finish())
    }
}
