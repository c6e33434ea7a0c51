//! Ghosts: links that stand for files whose content is not here (`docs/format/partial.md`).
//!
//! They lead into `.dits/ghost`, which never exists, so no program can read or write through one.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::{Meta, WorkDirs};
use crate::diff::FileVersion;
use crate::durable::IoError;
use crate::index::{Index, Stage};
use crate::object::Digest;
use crate::partial::{Promised, id_of};
use crate::path::{self, PathError, RepoPath, portable};
use crate::repo::{RepoError, Repository};
use crate::tree::Content;

/// Where the target of a link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// To a ghost of this content.
    Ghost(Digest),
    /// Into the ghosts, but to none that can be.
    BadGhost,
    /// Anywhere else.
    Elsewhere,
}

/// The target of the ghost of this content at a path; `None` for what never is one.
#[must_use]
pub fn ghost_target(at: &RepoPath, content: &Content) -> Option<Vec<u8>> {
    let id = id_of(content)?;
    let up = b"../".repeat(at.components().count() - 1);
    Some([&up, &b".dits/ghost/"[..], id.to_string().as_bytes()].concat())
}

/// Where a link leads, by what its target says: nothing is looked up.
#[must_use]
pub fn link_target(target: &[u8]) -> LinkTarget {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in target.split(|byte| matches!(byte, b'/' | b'\\')) {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    let Some(at) = parts.windows(2).rposition(|pair| is_dits(pair[0]) && is_ghost(pair[1])) else {
        return LinkTarget::Elsewhere;
    };
    match parts[at + 2..] {
        [name] => std::str::from_utf8(name)
            .ok()
            .and_then(|hex| hex.parse().ok())
            .map_or(LinkTarget::BadGhost, LinkTarget::Ghost),
        _ => LinkTarget::BadGhost,
    }
}

/// Whether some file system takes a name for `.dits`.
fn is_dits(name: &[u8]) -> bool {
    matches!(path::check_component(name), Err(PathError::Reserved(_, "`.dits`")))
}

/// Whether some file system takes a name for `ghost`.
fn is_ghost(name: &[u8]) -> bool {
    let end = name.iter().rposition(|byte| !matches!(byte, b'.' | b' ')).map_or(0, |last| last + 1);
    portable::fold(&name[..end]) == b"ghost"
}

/// The content that the link at a path is a ghost of; `None` when it is none, or no link.
///
/// # Errors
/// When it cannot be read.
pub fn ghost_at(dirs: &WorkDirs, path: &RepoPath, meta: &Meta) -> Result<Option<Digest>, IoError> {
    if meta.kind() != super::EntryKind::Symlink {
        return Ok(None);
    }
    match link_target(&dirs.read_link(path)?) {
        LinkTarget::Ghost(id) => Ok(Some(id)),
        LinkTarget::BadGhost | LinkTarget::Elsewhere => Ok(None),
    }
}

impl Repository {
    /// The file that stands at a path as a ghost; `None` when there is no ghost.
    ///
    /// # Errors
    /// [`RepoError::UnknownGhost`] when nobody knows its content; when something cannot be read.
    pub fn ghost_version(
        &self,
        index: &Index,
        dirs: &WorkDirs,
        path: &RepoPath,
    ) -> Result<Option<FileVersion>, RepoError> {
        let Some(meta) = dirs.stat(path)? else { return Ok(None) };
        let Some(content) = ghost_at(dirs, path, &meta)? else { return Ok(None) };
        GhostVersions::new(self, index)?.version(path, &content).map(Some)
    }
}

/// Finds out which file a ghost stands for: its target names the content alone.
pub struct GhostVersions<'a> {
    index: &'a Index,
    by_content: OnceLock<HashMap<Digest, FileVersion>>,
    promised: Promised<'a>,
}

impl<'a> GhostVersions<'a> {
    /// Looks in a staging area, and then in what was promised to the repository.
    ///
    /// # Errors
    /// When the promises cannot be read.
    pub fn new(repo: &'a Repository, index: &'a Index) -> Result<Self, RepoError> {
        Ok(Self { index, by_content: OnceLock::new(), promised: repo.promised()? })
    }

    /// The file that the ghost at `path` stands for. Its mode is that of the file at that path, if that has the
    /// content.
    ///
    /// # Errors
    /// [`RepoError::UnknownGhost`] when neither knows the content.
    pub fn version(&self, path: &RepoPath, content: &Digest) -> Result<FileVersion, RepoError> {
        let same = |version: &FileVersion| id_of(&version.content).as_ref() == Some(content);
        for stage in Stage::ALL {
            let staged = self.index.get(path, stage).map(|entry| FileVersion::from(&entry));
            if let Some(version) = staged.filter(same) {
                return Ok(version);
            }
        }
        let known = self.by_content.get_or_init(|| {
            let entries = self.index.entries();
            entries.filter_map(|entry| Some((id_of(&entry.content)?, FileVersion::from(&entry)))).collect()
        });
        match known.get(content) {
            Some(version) => Ok(version.clone()),
            None => self.promised.file_of(content)?.ok_or_else(|| RepoError::UnknownGhost { path: path.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ChunkId;

    #[test]
    fn a_target_says_how_deep_the_link_is_and_what_it_stands_for() {
        let content = Content::Chunk(ChunkId::of(b"x"));
        let hex = ChunkId::of(b"x").to_string();
        for (at, up) in [("a.mov", ""), ("shots/a.mov", "../"), ("x/y/z", "../../")] {
            let target = ghost_target(&RepoPath::parse(at.as_bytes()).unwrap(), &content).unwrap();
            assert_eq!(target, format!("{up}.dits/ghost/{hex}").as_bytes());
            assert_eq!(link_target(&target), LinkTarget::Ghost(*ChunkId::of(b"x").digest()));
        }
        assert_eq!(ghost_target(&RepoPath::parse(b"a").unwrap(), &Content::Empty), None);
        assert_eq!(ghost_target(&RepoPath::parse(b"a").unwrap(), &Content::Symlink(b"x".to_vec())), None);
    }

    #[test]
    fn links_into_the_ghosts_are_seen_through_their_disguises() {
        let hex = ChunkId::of(b"x").to_string();
        let ghost = LinkTarget::Ghost(*ChunkId::of(b"x").digest());
        for (target, expected) in [
            ("/home/ada/project/.dits/ghost/HEX", ghost),
            ("../../../.DITS/Ghost/HEX", ghost),
            (".dits//./ghost/HEX", ghost),
            (".dits/x/../ghost/HEX", ghost),
            ("./a/../.dits/ghost/y/../HEX", ghost),
            (".dits./GHOST /HEX", ghost),
            ("..\\.dits\\ghost\\HEX", ghost),
            (".dits/ghost/HEX/", ghost),
            ("dits~1/ghost/HEX", ghost),
            (".dits/ghost/HEX/more", LinkTarget::BadGhost),
            (".dits/ghost/short", LinkTarget::BadGhost),
            (".dits/ghost", LinkTarget::BadGhost),
            (".dits/ghost/../objects", LinkTarget::Elsewhere),
            (".git/ghost/HEX", LinkTarget::Elsewhere),
            ("ghost/HEX", LinkTarget::Elsewhere),
            (".dits/ghosts/HEX", LinkTarget::Elsewhere),
            ("../..", LinkTarget::Elsewhere),
            ("", LinkTarget::Elsewhere),
        ] {
            assert_eq!(link_target(target.replace("HEX", &hex).as_bytes()), expected, "{target}");
        }
    }
}
