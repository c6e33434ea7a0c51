//! What staging a file of the worktree would record, without recording it.

use std::io::{Read, Seek, SeekFrom};

use super::add::ingest_error;
use super::ghost::{LinkTarget, link_target};
use super::{EntryKind, Meta, WorkDirs};
use crate::attributes::Attributes;
use crate::chunk::Profile;
use crate::content::{EachChunk, Rehearsal, profile_of};
use crate::diff::FileVersion;
use crate::durable::IoContext;
use crate::media::{self, FileType, HEAD_LEN};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository, profile_of_setting};
use crate::tree::{Content, Mode};

/// A file as staging it would record it.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// Mode, size and content.
    pub version: FileVersion,
    /// What the system says about it.
    pub meta: Meta,
    /// What it was recognised as; a symbolic link is [`FileType::Text`].
    pub file_type: FileType,
    /// How it was cut; `None` for a symbolic link.
    pub profile: Option<Profile>,
}

/// Reads a file of the worktree and cuts it: by `recorded` if given, so that it can be compared with what was cut so,
/// else as `attributes`, settings and its type say. `each` sees every chunk with its bytes.
///
/// # Errors
/// When it is no file or link, a ghost ([`Repository::ghost_version`] tells of which file), cannot be read, or the user
/// stops it.
pub fn rehearse(
    repo: &Repository,
    dirs: &WorkDirs,
    into: &Rehearsal<'_>,
    path: &RepoPath,
    (attributes, recorded): (&Attributes, Option<Profile>),
    progress: &dyn Progress,
    each: &mut EachChunk<'_>,
) -> Result<Rehearsed, RepoError> {
    let gone = || RepoError::Vanished { path: path.clone() };
    let meta = dirs.stat(path)?.ok_or_else(gone)?;
    if meta.kind() == EntryKind::Symlink {
        let target = dirs.read_link(path)?;
        if link_target(&target) != LinkTarget::Elsewhere {
            return Err(RepoError::Absent { path: path.clone() });
        }
        let version = FileVersion { mode: Mode::Symlink, size: target.len() as u64, content: Content::Symlink(target) };
        return Ok(Rehearsed { version, meta, file_type: FileType::Text, profile: None });
    }
    let (mut file, meta) = dirs.open_file(path)?;
    let mode = meta.kind().mode().ok_or_else(|| RepoError::NotAFile { content: path.to_string() })?;
    let shown = dirs.shown(Some(path));
    let mut head = Vec::new();
    (&mut file).take(HEAD_LEN as u64).read_to_end(&mut head).at("read", &shown)?;
    file.seek(SeekFrom::Start(0)).at("read", &shown)?;
    let file_type = media::detect(&head, meta.size);
    let profile = match recorded {
        Some(profile) => profile,
        None => wanted_profile(repo, attributes, file_type, meta.size)?,
    };
    let taken = into.take(&mut file, profile, progress, each);
    let (content, size) = taken.map_err(|e| ingest_error(path, e))?;
    let version = FileVersion { mode, size, content };
    Ok(Rehearsed { version, meta, file_type, profile: Some(profile) })
}

/// The profile that staging would choose.
fn wanted_profile(
    repo: &Repository,
    attributes: &Attributes,
    file_type: FileType,
    size: u64,
) -> Result<Profile, RepoError> {
    let by_attribute = attributes.preset()?.map(profile_of_setting).transpose()?.flatten();
    let by_setting = repo.default_profile()?;
    Ok(by_attribute.or(by_setting).unwrap_or_else(|| profile_of(file_type.preset(size))))
}
