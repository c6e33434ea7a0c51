//! What killed commands leave behind outside of the store: files that were never given their names.

use std::fs;
use std::io;
use std::path::Path;

use crate::durable::{IoContext, IoError};

/// Younger files may belong to a command that still runs.
const OLD: i64 = 24 * 3600;

/// Folders with a housekeeping of their own.
const STORES: [&str; 3] = ["objects", "manifests", "writers"];

/// How names of unfinished files begin: of records, and of files for the worktree.
const PREFIXES: [&str; 3] = [".tmp-", "checkout-", "resolve-"];

/// Removes unfinished files in a `.dits` folder that are older than a day, and says how many there were.
///
/// # Errors
/// When a folder cannot be listed or a file not removed.
pub(super) fn remove_leftovers(dits: &Path, now: i64) -> Result<u64, IoError> {
    let mut removed = 0;
    let mut folders = vec![dits.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.at("list", &folder)?,
        };
        for entry in entries {
            let entry = entry.at("list", &folder)?;
            let (name, path) = (entry.file_name(), entry.path());
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if meta.is_dir() {
                let has_own = folder == dits && STORES.iter().any(|store| name == *store);
                folders.extend((!has_own).then_some(path));
                continue;
            }
            let is_temporary = PREFIXES.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()));
            let changed = std::os::unix::fs::MetadataExt::mtime(&meta);
            // No ref begins with a dot, but one may be called `checkout-…`.
            let in_place = name.as_encoded_bytes().starts_with(b".") || is_temporary_folder(dits, &folder);
            if is_temporary && in_place && changed.saturating_add(OLD) < now {
                match fs::remove_file(&path) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    done => done.at("remove", &path)?,
                }
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Whether files for the worktree are prepared in this folder: `tmp`, and `worktrees/<id>/tmp`.
fn is_temporary_folder(dits: &Path, folder: &Path) -> bool {
    let linked = || folder.parent().and_then(Path::parent) == Some(&dits.join("worktrees"));
    folder == dits.join("tmp") || (folder.file_name() == Some("tmp".as_ref()) && linked())
}

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn only_old_unfinished_files_go() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["refs/branches/tmp", "tmp", "objects/pack"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let dead = [".tmp-a", "refs/branches/.tmp-b", "tmp/checkout-c", "tmp/resolve-d"];
        let kept = ["config", "refs/branches/tmp/checkout-x", "objects/.tmp-d", "tmp/other"];
        for name in dead.iter().chain(&kept) {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
        assert_eq!(super::remove_leftovers(dir.path(), now).unwrap(), 0);
        assert_eq!(super::remove_leftovers(dir.path(), now + super::OLD + 60).unwrap(), 4);
        for name in dead {
            assert!(!dir.path().join(name).exists(), "{name}");
        }
        for name in kept {
            assert!(dir.path().join(name).exists(), "{name}");
        }
    }
}
