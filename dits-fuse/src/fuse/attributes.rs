//! Extended attributes: what a file is made of, and what is mounted.

use dits_core::overlay::MADE_HERE;
use dits_core::tree::Content;
use dits_core::worktree::drive::CONTENT;

use super::Adapter;
use crate::drive::Drive;
use crate::error::{Reach, ReadError};
use crate::view::ROOT;

const OF_ROOT: [&str; 6] = ["commit", "id", "pid", "received", "ref", "repository"];

impl Adapter {
    /// An attribute's value, if the inode has it.
    pub(super) fn attribute(
        &self,
        drive: &Drive,
        ino: u64,
        name: &[u8],
        reach: Reach,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        if let Some(overlay) = drive.overlay() {
            if name == CONTENT.as_bytes() {
                return Ok(Some(overlay.content(&drive.view, ino, reach)?.encode()));
            }
            if !name.starts_with(b"user.dits.") || ino & MADE_HERE != 0 {
                return Ok(Some(overlay.attribute(ino, name)?));
            }
        }
        let Some(name) = name.strip_prefix(b"user.dits.") else { return Ok(None) };
        if ino == ROOT {
            return Ok(Some(match name {
                b"commit" => self.label.commit.clone().into_bytes(),
                b"id" => drive.view.tree(ROOT, reach)?.to_string().into_bytes(),
                b"pid" => std::process::id().to_string().into_bytes(),
                b"received" => drive.chunks().received().to_string().into_bytes(),
                b"ref" => self.label.reference.clone().into_bytes(),
                b"repository" => self.label.repository.clone(),
                _ => return Ok(None),
            }));
        }
        let entry = drive.view.entry(ino, reach)?;
        match (name, &entry.content) {
            (b"here", Content::Empty | Content::Chunk(_) | Content::Manifest(_)) => {
                if reach == Reach::Memory {
                    return Err(ReadError::OutOfReach);
                }
                Ok(Some(drive.here(ino)?.to_string().into_bytes()))
            }
            (b"id", content) => Ok(id_of(content).map(String::into_bytes)),
            _ => Ok(None),
        }
    }

    /// The names of an inode's attributes, each followed by a NUL.
    pub(super) fn attribute_names(&self, drive: &Drive, ino: u64, reach: Reach) -> Result<Vec<u8>, ReadError> {
        let here = drive.overlay().map(|overlay| overlay.attribute_names(ino)).unwrap_or_default();
        let names: &[&str] = match ino {
            ino if ino & MADE_HERE != 0 => &[],
            ROOT => &OF_ROOT,
            _ => match drive.view.entry(ino, reach)?.content {
                Content::Empty => &["here"],
                Content::Chunk(_) | Content::Manifest(_) => &["here", "id"],
                Content::Tree(_) | Content::Recipe(_) => &["id"],
                Content::Symlink(_) => &[],
            },
        };
        Ok(names.iter().flat_map(|name| format!("user.dits.{name}\0").into_bytes()).chain(here).collect())
    }
}

fn id_of(content: &Content) -> Option<String> {
    match content {
        Content::Chunk(id) => Some(id.to_string()),
        Content::Manifest(id) => Some(id.to_string()),
        Content::Recipe(digest) => Some(digest.to_string()),
        Content::Tree(id) => Some(id.to_string()),
        Content::Empty | Content::Symlink(_) => None,
    }
}
