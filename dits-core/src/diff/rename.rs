//! Finding moves and copies: exactly by content, and by shared chunks for files that were edited on the way.

use std::collections::{HashMap, HashSet};

use super::{Change, FileVersion};
use crate::manifest::Manifest;
use crate::object::{ChunkId, ObjectRead};
use crate::path::RepoPath;
use crate::store::StoreError;
use crate::tree::{Content, Mode};

/// How hard to look.
#[derive(Clone, Copy, Debug)]
pub struct RenameOptions {
    /// The share of bytes in common, in percent of the larger file, from which an edited file counts as moved.
    pub threshold: u8,
    /// No similarity is computed when removed × added files are more than the square of this.
    pub limit: usize,
}

impl Default for RenameOptions {
    fn default() -> Self {
        Self { threshold: 50, limit: 1000 }
    }
}

/// A file that was found again under another path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Where it was.
    pub from: RepoPath,
    /// Where it is.
    pub to: RepoPath,
    /// The share of bytes in common, in percent; 100 only when the content is the same.
    pub similarity: u8,
}

/// Pairs removed files with added ones. Each removed file is the source of one rename at most.
///
/// # Errors
/// When the manifest of a candidate cannot be read.
pub fn find_renames(
    read: &dyn ObjectRead,
    changes: &[Change],
    options: RenameOptions,
) -> Result<Vec<Rename>, StoreError> {
    let mut removed: Vec<_> = changes.iter().filter_map(|c| only(&c.old, &c.new).map(|v| (&c.path, v))).collect();
    let mut added: Vec<_> = changes.iter().filter_map(|c| only(&c.new, &c.old).map(|v| (&c.path, v))).collect();
    let mut renames = exact(&mut removed, &mut added);
    if removed.len().saturating_mul(added.len()) <= options.limit.saturating_mul(options.limit) {
        renames.extend(similar(read, &removed, &added, options.threshold)?);
    }
    renames.sort_by(|a, b| a.to.cmp(&b.to));
    Ok(renames)
}

type Side<'a> = (&'a RepoPath, &'a FileVersion);

/// The version on a side that has no counterpart; empty files say nothing about where they came from.
fn only<'a>(this: &'a Option<FileVersion>, other: &Option<FileVersion>) -> Option<&'a FileVersion> {
    this.as_ref().filter(|version| other.is_none() && version.content != Content::Empty)
}

/// Pairs files of equal content, preferring the same file name, and takes them off both lists.
fn exact(removed: &mut Vec<Side<'_>>, added: &mut Vec<Side<'_>>) -> Vec<Rename> {
    let mut by_content: HashMap<&Content, Vec<&RepoPath>> = HashMap::new();
    for (path, version) in removed.iter().rev() {
        by_content.entry(&version.content).or_default().push(path);
    }
    let mut used = HashSet::new();
    let mut renames = Vec::new();
    added.retain(|(to, version)| {
        let Some(sources) = by_content.get_mut(&version.content) else { return true };
        let same_name = sources.iter().rposition(|from| from.name() == to.name());
        let Some(at) = same_name.or(sources.len().checked_sub(1)) else { return true };
        let from = sources.remove(at);
        used.insert(from.clone());
        renames.push(Rename { from: from.clone(), to: (*to).clone(), similarity: 100 });
        false
    });
    removed.retain(|(path, _)| !used.contains(*path));
    renames
}

/// The chunks of a file with more than one, and how many bytes each stands for.
fn chunks(read: &dyn ObjectRead, version: &FileVersion) -> Result<HashMap<ChunkId, u64>, StoreError> {
    let mut lengths = HashMap::new();
    if let (Content::Manifest(id), true) = (&version.content, version.mode != Mode::Symlink) {
        for chunk in Manifest::open(read, *id)?.iter_from(0)? {
            let (_, chunk) = chunk?;
            *lengths.entry(chunk.id).or_default() += u64::from(chunk.len);
        }
    }
    Ok(lengths)
}

fn similar(
    read: &dyn ObjectRead,
    removed: &[Side<'_>],
    added: &[Side<'_>],
    threshold: u8,
) -> Result<Vec<Rename>, StoreError> {
    if removed.is_empty() || added.is_empty() {
        return Ok(Vec::new());
    }
    let mut holders: HashMap<ChunkId, Vec<(usize, u64)>> = HashMap::new();
    for (i, (_, version)) in removed.iter().enumerate() {
        for (id, bytes) in chunks(read, version)? {
            holders.entry(id).or_default().push((i, bytes));
        }
    }
    let mut pairs = Vec::new();
    for (j, (_, version)) in added.iter().enumerate() {
        let mut shared: HashMap<usize, u64> = HashMap::new();
        for (id, bytes) in chunks(read, version)? {
            for (i, old_bytes) in holders.get(&id).into_iter().flatten() {
                *shared.entry(*i).or_default() += bytes.min(*old_bytes);
            }
        }
        for (i, bytes) in shared {
            let larger = version.size.max(removed[i].1.size).max(1);
            // Files that differ are never 100 % alike, however little it is that differs.
            let similarity = (u128::from(bytes) * 100 / u128::from(larger)).min(99) as u8;
            if similarity >= threshold {
                pairs.push((similarity, i, j));
            }
        }
    }
    pairs.sort_by_key(|&(similarity, i, j)| (std::cmp::Reverse(similarity), i, j));
    let (mut taken_old, mut taken_new) = (HashSet::new(), HashSet::new());
    let mut renames = Vec::new();
    for (similarity, i, j) in pairs {
        if !taken_old.contains(&i) && taken_new.insert(j) {
            taken_old.insert(i);
            renames.push(Rename { from: removed[i].0.clone(), to: added[j].0.clone(), similarity });
        }
    }
    Ok(renames)
}
