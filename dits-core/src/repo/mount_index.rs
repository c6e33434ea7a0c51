//! The staging area of a new mount.

use super::{RepoError, Repository};
use crate::index::{Entry, FileStat, Flags, Stage};
use crate::object::TreeId;
use crate::tree;

impl Repository {
    /// Makes this worktree's staging area be `tree`, without looking at a file: those of a mount look as their daemon says,
    /// and nobody has touched them. `time` is that of their last change, in seconds since 1970. Returns how many there are.
    ///
    /// # Errors
    /// When the tree cannot be read or the index cannot be written; then it is as it was.
    pub fn write_mount_index(&self, tree: TreeId, time: i64) -> Result<usize, RepoError> {
        let mut index = self.lock_index_anew()?;
        let mut failed = None;
        let files = tree::diff_recursive(self.store(), None, Some(tree)).map_while(|file| match file {
            Ok(file) => Some(file),
            Err(error) => {
                failed = Some(error);
                None
            }
        });
        let entries = files.filter_map(|file| {
            let version = file.new?;
            Some(Entry {
                path: file.path,
                stage: Stage::Normal,
                mode: version.mode,
                size: version.size,
                content: version.content,
                stat: FileStat { mtime: (time, 0), ctime: (time, 0), dev: 0, ino: 0, size: version.size },
                flags: Flags::default(),
            })
        });
        index.replace_sorted(entries)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        index.set_tree(Some(tree));
        Ok(index.commit()?.len())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::merge::tests::Rig;

    #[test]
    fn it_is_the_tree_and_nothing_in_it_has_to_be_looked_at() {
        let rig = Rig::new();
        rig.write("a.b", "x");
        rig.write("a/b", "y");
        rig.write("a/c/d", "z");
        rig.commit("files");
        let (_, commit) = rig.repo.head_commit().unwrap();
        let before = rig.repo.index().unwrap();
        assert_eq!(rig.repo.write_mount_index(commit.tree, 1_700_000_000).unwrap(), before.len());
        let index = rig.repo.index().unwrap();
        assert_eq!(index.matches_tree(), Some(commit.tree));
        for (was, is) in before.entries().zip(index.entries()) {
            assert_eq!((was.path, was.mode, &was.content), (is.path, is.mode, &is.content));
            let looks =
                FileStat { mtime: (1_700_000_000, 0), ctime: (1_700_000_000, 0), dev: 7, ino: 9, size: is.size };
            assert!(is.is_unmodified(&looks) && !is.is_unmodified(&FileStat { ctime: (1_700_000_000, 1), ..looks }));
        }
    }

    #[test]
    fn many_files() {
        if std::env::var_os("DITS_TEST_LONG").is_none() {
            println!("skipped: many_files is long (DITS_TEST_LONG=1 runs it)");
            return;
        }
        let rig = Rig::new();
        let writer = rig.repo.writer().unwrap();
        let files = (0..200_000u32).map(|n| {
            let path = format!("project/shots/{:03}/renders/take_{:06}.exr", n / 500, n);
            let path = crate::path::RepoPath::parse(path.as_bytes()).unwrap();
            let id = crate::object::ChunkId::of(&n.to_le_bytes());
            (path, crate::tree::Mode::File, 4, crate::tree::Content::Chunk(id))
        });
        let tree = tree::from_paths(files, &writer).unwrap();
        writer.finish().unwrap();
        let begun = std::time::Instant::now();
        assert_eq!(rig.repo.write_mount_index(tree, 1_700_000_000).unwrap(), 200_000);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        println!("{:?}, {peak}", begun.elapsed());
    }
}
