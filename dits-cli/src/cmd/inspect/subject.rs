//! The file that is described, of the worktree or of a version.

use std::ffi::{OsStr, OsString};
use std::fs::File;

use dits_core::chunk::{ChunkRef, Profile};
use dits_core::content::{ContentReader, Rehearsal, detect_if_here, if_here, store_error};
use dits_core::diff::FileVersion;
use dits_core::durable::IoContext;
use dits_core::index::Stage;
use dits_core::manifest::Manifest;
use dits_core::media::{self, Facts, FileType};
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::repo::{RepoError, Repository};
use dits_core::revision::Resolved;
use dits_core::tree::{Content, Mode};
use dits_core::worktree::{self, Meta, WorkDirs};

use super::survey::Survey;
use super::{NOT_HERE, STORED};
use crate::error::CliError;
use crate::exit::Exit;
use crate::repository::Opened;

/// What a file turned out to be.
pub(super) struct Subject {
    pub(super) path: RepoPath,
    pub(super) version: Option<String>,
    pub(super) found: FileVersion,
    /// Not known where the content is not here.
    pub(super) file_type: Option<FileType>,
    pub(super) facts: Facts,
    pub(super) profile: Option<Profile>,
    pub(super) state: &'static str,
}

/// A file as it is in the worktree.
pub(super) fn worktree_file(
    opened: &Opened,
    dirs: &WorkDirs,
    file: &OsStr,
    survey: &mut Survey<'_>,
    progress: &dyn Progress,
) -> Result<Subject, CliError> {
    let repo = &opened.repo;
    let mut literal = OsString::from(":(literal)");
    literal.push(file);
    let specs = opened.select(&[literal])?;
    let names = if specs.is_all() { Vec::new() } else { specs.names()? };
    let meta = names.first().map(|path| dirs.stat(path)).transpose()?.flatten();
    let (Some(path), false) = (names.first(), meta.as_ref().is_none_or(Meta::is_dir)) else {
        let message = format!("`{}` is a folder; name a file", file.to_string_lossy());
        return Err(CliError::usage(message).hint("`dits du PATH` measures folders"));
    };
    let index = repo.index()?;
    let entry = index.get(path, Stage::Normal);
    if let Some(version) = repo.ghost_version(&index, dirs, path)? {
        let subject = stored_subject(repo, path.clone(), version, survey)?;
        return Ok(Subject { state: NOT_HERE, ..subject });
    }
    let recorded = match entry.as_ref().map(|entry| &entry.content) {
        Some(Content::Manifest(id)) => Some(Manifest::open(repo.store(), *id)?.profile()),
        _ => None,
    };
    let lookup = repo.attributes(dirs)?;
    let attributes = lookup.attributes_of(path).map_err(RepoError::from)?;
    let rehearsal = Rehearsal::new(repo.store());
    progress.stage("Reading", meta.map(|meta| meta.size), None);
    let mut each = |chunk, bytes: &[u8]| survey.take(chunk, bytes.iter().all(|byte| *byte == 0));
    let rehearsed = worktree::rehearse(repo, dirs, &rehearsal, path, (&attributes, recorded), progress, &mut each)?;
    let state = match entry {
        None => "not tracked",
        Some(entry) if entry.content == rehearsed.version.content => "as it was added",
        Some(_) => "changed since it was added",
    };
    let facts = match rehearsed.version.mode {
        Mode::Symlink => Facts::default(),
        _ => {
            let (mut opened, _): (File, _) = dirs.open_file(path)?;
            media::facts(&mut opened, rehearsed.file_type, rehearsed.version.size)
                .at("read", &dirs.shown(Some(path)))?
        }
    };
    Ok(Subject {
        path: path.clone(),
        version: None,
        found: rehearsed.version,
        file_type: Some(rehearsed.file_type),
        facts,
        profile: rehearsed.profile,
        state,
    })
}

/// A file as a version has it: `VERSION:FILE`.
pub(super) fn stored_file(opened: &Opened, file: &OsStr, survey: &mut Survey<'_>) -> Result<Subject, CliError> {
    let (repo, text) = (&opened.repo, file.to_string_lossy());
    if !text.contains(':') {
        let message = format!("there is no file `{text}` in the worktree");
        return Err(CliError::new(Exit::Difference, message)
            .hint(format!("`dits inspect HEAD:{text}` looks at the version in HEAD")));
    }
    let Resolved::Entry(path, entry) = repo.resolve(&text)? else {
        return Err(CliError::usage(format!("`{text}` is no file of a version")));
    };
    if matches!(entry.content, Content::Tree(_)) {
        return Err(CliError::usage(format!("`{text}` is a folder")));
    }
    let version = text.split_once(':').map(|(version, _)| version.to_owned());
    Ok(Subject { version, ..stored_subject(repo, path, entry.into(), survey)? })
}

/// A file described by its recipe, and by its content as far as that is here.
fn stored_subject(
    repo: &Repository,
    path: RepoPath,
    entry: FileVersion,
    survey: &mut Survey<'_>,
) -> Result<Subject, CliError> {
    let store = repo.store();
    let mut profile = None;
    match &entry.content {
        Content::Chunk(id) => survey.take_stored(ChunkRef { id: *id, len: entry.size as u32 }, entry.size as u32)?,
        Content::Manifest(id) => {
            let manifest = Manifest::open(store, *id)?;
            profile = Some(manifest.profile());
            for chunk in manifest.iter_from(0)? {
                survey.take_stored(chunk?.1, manifest.profile().max)?;
            }
        }
        _ => {}
    }
    let is_link = entry.mode == Mode::Symlink;
    let file_type = match is_link {
        true => Some(FileType::Text),
        false => detect_if_here(store, &entry.content, entry.size)?,
    };
    let facts = match file_type.filter(|_| !is_link) {
        None => Facts::default(),
        Some(found) => {
            let reader = ContentReader::open(store, &entry.content, entry.size);
            let read = |mut reader| media::facts(&mut reader, found, entry.size).map_err(store_error);
            if_here(reader.and_then(read))?.unwrap_or_default()
        }
    };
    Ok(Subject { path, version: None, found: entry, file_type, facts, profile, state: STORED })
}
