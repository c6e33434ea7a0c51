//! What clients are told of files and folders.

use std::time::SystemTime;

use dav_server::fs::{DavDirEntry, DavMetaData, FsFuture, FsResult};
use dits_core::tree::Content;

use super::place::{is_file, is_folder, is_link};
use crate::drive::Drive;
use crate::error::{Reach, ReadError};
use crate::stat::{Stat, system_time};

/// Hexadecimal digits of an id that make an entity tag.
const TAG: usize = 32;

/// What a client is told of a file or folder.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    stat: Stat,
    tag: String,
}

impl Meta {
    /// Asks for what is told of an inode.
    ///
    /// # Errors
    /// When its content cannot be named.
    pub(super) fn new(drive: &Drive, stat: Stat, reach: Reach) -> Result<Self, ReadError> {
        let tag = if is_file(&stat) { content_tag(drive, &stat, reach)? } else { None };
        let ((seconds, nanos), ino) = (stat.attributes.mtime, stat.ino);
        Ok(Self { stat, tag: tag.unwrap_or_else(|| format!("{ino:x}-{seconds:x}.{nanos:x}")) })
    }
}

/// An entity tag must never be the same for other bytes: files of one commit have the same time, and inode numbers begin
/// anew with each start. So it is the content's own name as far as it has one, and else that of the change.
fn content_tag(drive: &Drive, stat: &Stat, reach: Reach) -> Result<Option<String>, ReadError> {
    let (content, changed) = match drive.overlay() {
        Some(overlay) => match overlay.content(&drive.view, stat.ino, reach) {
            Ok(content) => {
                let changed = !content.changed().is_empty() || content.size() != content.base().size();
                (content.base().content().clone(), changed.then(|| content.generation()))
            }
            Err(ReadError::System(_)) => return Ok(None),
            Err(error) => return Err(error),
        },
        None => (drive.view.entry(stat.ino, reach)?.content, None),
    };
    let digits = match content {
        _ if changed.is_some() => format!("{:x}-{:x}", stat.ino, changed.unwrap_or_default()),
        Content::Chunk(id) => id.to_string(),
        Content::Manifest(id) => id.to_string(),
        Content::Empty => "empty".to_owned(),
        _ => return Ok(None),
    };
    Ok(Some(digits.chars().take(TAG).collect()))
}

impl DavMetaData for Meta {
    fn len(&self) -> u64 {
        self.stat.size
    }

    fn modified(&self) -> FsResult<SystemTime> {
        Ok(system_time(self.stat.attributes.mtime))
    }

    fn status_changed(&self) -> FsResult<SystemTime> {
        Ok(system_time(self.stat.attributes.ctime))
    }

    fn is_dir(&self) -> bool {
        is_folder(&self.stat)
    }

    fn is_file(&self) -> bool {
        is_file(&self.stat)
    }

    fn is_symlink(&self) -> bool {
        is_link(&self.stat)
    }

    fn executable(&self) -> FsResult<bool> {
        Ok(self.stat.attributes.mode & 0o111 != 0)
    }

    fn etag(&self) -> Option<String> {
        Some(self.tag.clone())
    }
}

/// A name in a folder.
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) meta: Meta,
}

impl DavDirEntry for Entry {
    fn name(&self) -> Vec<u8> {
        self.name.clone()
    }

    fn metadata(&'_ self) -> FsFuture<'_, Box<dyn DavMetaData>> {
        Box::pin(std::future::ready(Ok(Box::new(self.meta.clone()) as Box<dyn DavMetaData>)))
    }
}
