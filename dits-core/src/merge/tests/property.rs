//! The three-way comparison against a flat model: no path looks at another.

use std::collections::BTreeSet;

use dits_testkit::SplitMix64;

use super::*;
use crate::diff::{FileVersion, RenameOptions};
use crate::object::memory::MemoryObjects;
use crate::object::{ChunkId, TreeId};
use crate::tree::{self, Content, Mode};

type Flat = BTreeMap<RepoPath, FileVersion>;

const PATHS: [&str; 12] = ["a", "a.b", "a/b", "a/b/c", "a/d", "b", "c/d", "c/d/e", "c/f", "d", "e/f/g", "e/h"];

/// No two files are alike, so nothing is ever taken for a move.
fn version(random: &mut SplitMix64) -> FileVersion {
    match random.below(10) {
        0 => {
            let target = random.word().to_string().into_bytes();
            FileVersion { mode: Mode::Symlink, size: target.len() as u64, content: Content::Symlink(target) }
        }
        n => FileVersion {
            mode: if n < 4 { Mode::Executable } else { Mode::File },
            size: 8,
            content: Content::Chunk(ChunkId::of(&random.word().to_le_bytes())),
        },
    }
}

fn fits(flat: &Flat, path: &RepoPath) -> bool {
    flat.keys().all(|other| other == path || (!other.is_within(path) && !path.is_within(other)))
}

fn edit(flat: &Flat, random: &mut SplitMix64) -> Flat {
    let mut edited = flat.clone();
    for _ in 0..random.below(6) {
        let path = path(PATHS[random.below(PATHS.len() as u64) as usize]);
        match random.below(4) {
            0 => _ = edited.remove(&path),
            1 => {
                let other = |mode| if mode == Mode::File { Mode::Executable } else { Mode::File };
                if let Some(file) = edited.get_mut(&path).filter(|file| file.mode.is_file()) {
                    file.mode = other(file.mode);
                }
            }
            _ => {
                let new = version(random);
                if random.below(2) == 0 {
                    edited.retain(|other, _| *other == path || !(other.is_within(&path) || path.is_within(other)));
                }
                if fits(&edited, &path) {
                    edited.insert(path, new);
                }
            }
        }
    }
    edited
}

fn written(flat: &Flat, objects: &MemoryObjects) -> TreeId {
    let entries = flat.iter().map(|(path, v)| (path.clone(), v.mode, v.size, v.content.clone()));
    tree::from_paths(entries, objects).unwrap()
}

/// `Err` is a conflict.
fn expected(
    base: Option<&FileVersion>,
    ours: Option<&FileVersion>,
    theirs: Option<&FileVersion>,
) -> Result<Option<FileVersion>, ()> {
    match (base, ours, theirs) {
        _ if ours == theirs || theirs == base => Ok(ours.cloned()),
        _ if ours == base => Ok(theirs.cloned()),
        (Some(b), Some(o), Some(t)) if b.mode.is_file() && o.mode.is_file() && t.mode.is_file() => {
            let mode = if o.mode == b.mode { t.mode } else { o.mode };
            match (o.content == b.content, t.content == b.content || t.content == o.content) {
                (_, true) => Ok(Some(FileVersion { mode, ..o.clone() })),
                (true, _) => Ok(Some(FileVersion { mode, ..t.clone() })),
                _ => Err(()),
            }
        }
        _ => Err(()),
    }
}

#[test]
fn three_way_is_the_flat_model() {
    let mut seen = [0; 3];
    for seed in 0..1000 {
        let mut random = SplitMix64::new(seed);
        let base = edit(&edit(&Flat::new(), &mut random), &mut random);
        let (ours, mut theirs) = (edit(&base, &mut random), edit(&base, &mut random));
        for (path, version) in &ours {
            // The same change on both sides now and then.
            if random.below(6) == 0 && fits(&theirs, path) {
                theirs.insert(path.clone(), version.clone());
            }
        }
        let objects = MemoryObjects::new();
        let [b, o, t] = [&base, &ours, &theirs].map(|flat| Some(written(flat, &objects)));
        let merged = three_way(&objects, b, o, t, RenameOptions::default()).unwrap();
        let paths: BTreeSet<&RepoPath> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
        let (mut result, mut conflicts, mut present) = (Flat::new(), Vec::new(), Vec::new());
        for path in paths {
            match expected(base.get(path), ours.get(path), theirs.get(path)) {
                Ok(None) => continue,
                Ok(Some(version)) => _ = result.insert(path.clone(), version),
                Err(()) => conflicts.push(path.clone()),
            }
            present.push(path.clone());
        }
        let clash = present.iter().any(|a| present.iter().any(|b| a != b && a.is_within(b)));
        assert_eq!(!merged.file_and_folder.is_empty(), clash, "seed {seed}: {merged:?}");
        let found: Vec<_> = merged.conflicts.iter().map(|c| c.path.clone()).collect();
        assert_eq!(found, conflicts, "seed {seed}");
        let mut applied = ours.clone();
        for change in &merged.changes {
            assert_eq!(change.old.as_ref(), ours.get(&change.path), "seed {seed}");
            match &change.new {
                Some(new) => _ = applied.insert(change.path.clone(), new.clone()),
                None => _ = applied.remove(&change.path),
            }
        }
        applied.retain(|path, _| !conflicts.contains(path));
        assert_eq!(applied, result, "seed {seed}");
        seen[if clash { 2 } else { usize::from(!conflicts.is_empty()) }] += 1;
    }
    assert!(seen.iter().all(|n| *n > 50), "{seen:?}");
}
