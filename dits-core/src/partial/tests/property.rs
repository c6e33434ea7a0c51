//! Any sequence of edits, commits, pushes, drops, fetches and checkouts, against a model that knows no ghosts.

use dits_testkit::SplitMix64;

use super::*;
use crate::worktree::Destination;

type Flat = BTreeMap<String, String>;

const PATHS: [&str; 9] = ["a", "a.b", "a/b", "a/b/c", "d/e", "d/f", "d/g/h", "i", "j"];

struct World {
    rig: Rig,
    remote: Remote,
    /// What the worktree holds, had it everything.
    files: Flat,
    commits: Vec<(CommitId, Flat)>,
    pushed: Vec<CommitId>,
    /// The commit that HEAD is on, and whether the worktree is as it says.
    head: usize,
}

impl World {
    fn new() -> Self {
        let rig = Rig::new();
        let first = rig.commit("empty");
        let remote = rig.remote();
        Self { rig, remote, files: Flat::new(), commits: vec![(first, Flat::new())], pushed: Vec::new(), head: 0 }
    }

    fn edit(&mut self, random: &mut SplitMix64) {
        let path = PATHS[random.below(PATHS.len() as u64) as usize];
        let on_disk = self.rig.path(path);
        match random.below(4) {
            0 if self.files.remove(path).is_some() => std::fs::remove_file(on_disk).unwrap(),
            // A ghost goes wherever `mv` takes it.
            1 => {
                let Some(from) = self.files.keys().nth(random.below(9) as usize).cloned() else { return };
                if from == path || !self.fits(path) {
                    return;
                }
                let content = self.files.remove(&from).unwrap();
                self.files.insert(path.to_owned(), content);
                self.make_way(path);
                self.rig.rename(&from, path);
            }
            _ if self.fits(path) => {
                // Now and then the same as another file.
                let content = format!("content {}", random.below(40));
                self.files.insert(path.to_owned(), content.clone());
                let _ = std::fs::remove_file(&on_disk);
                self.make_way(path);
                self.rig.write(path, &content);
            }
            _ => {}
        }
    }

    /// Removes a folder that has only empty ones left.
    fn make_way(&self, path: &str) {
        let at = self.rig.path(path);
        if at.is_dir() && !at.is_symlink() {
            std::fs::remove_dir_all(at).unwrap();
        }
    }

    fn fits(&self, path: &str) -> bool {
        let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        self.files.keys().all(|other| !within(other, path) && !within(path, other))
    }

    fn commit(&mut self) {
        let id = self.rig.commit("step");
        // A name of its own, so that it stays when HEAD goes elsewhere.
        self.rig.branch(&format!("step-{}", self.commits.len()), id);
        self.commits.push((id, self.files.clone()));
        self.head = self.commits.len() - 1;
    }

    fn push(&mut self) {
        for folder in ["objects", "manifests"] {
            copy_folder(&self.rig.path(".dits").join(folder), &self.remote.0.path().join(folder));
        }
        self.pushed = self.commits.iter().map(|(id, _)| *id).collect();
    }

    fn drop_some(&self, random: &mut SplitMix64) {
        let names: Vec<&str> = PATHS.into_iter().filter(|_| random.below(2) == 0).collect();
        let before = self.rig.seen();
        match self.rig.drop_files(&names, &self.pushed) {
            Ok(dropped) => assert!(dropped.files.iter().all(|file| self.rig.is_ghost(&file.to_string()))),
            Err(RepoError::KeptBack(_)) => assert_eq!(self.rig.seen(), before, "nothing was touched"),
            Err(error) => panic!("{error}"),
        }
    }

    fn checkout(&mut self, random: &mut SplitMix64) {
        self.commit();
        self.head = random.below(self.commits.len() as u64) as usize;
        let (id, files) = &self.commits[self.head];
        self.files.clone_from(files);
        self.rig.repo.switch(&Destination::Commit(*id), &self.rig.who(), false, &Silent).unwrap();
    }

    fn step(&mut self, random: &mut SplitMix64) -> &'static str {
        match random.below(12) {
            0..=4 => {
                self.edit(random);
                "edit"
            }
            5 => {
                self.commit();
                "commit"
            }
            6 => {
                self.push();
                "push"
            }
            7..=8 => {
                self.drop_some(random);
                "drop"
            }
            9 => {
                let names: Vec<&str> = PATHS.into_iter().filter(|_| random.below(3) == 0).collect();
                self.rig.fetch(&names, &self.remote);
                "fetch"
            }
            10 => {
                self.checkout(random);
                "checkout"
            }
            _ => {
                self.rig.gc();
                "gc"
            }
        }
    }

    /// Each file is there as it shall be, or its ghost; and everybody agrees on whether something has changed.
    fn check(&self, what: &str) {
        let seen = self.rig.files();
        assert_eq!(seen.keys().collect::<Vec<_>>(), self.files.keys().collect::<Vec<_>>(), "{what}");
        for (path, text) in &seen {
            let content = &self.files[path];
            if let Some(target) = text.strip_prefix("-> ") {
                let id = *ChunkRef::of(content.as_bytes()).id.digest();
                assert_eq!(link_target(target.as_bytes()), LinkTarget::Ghost(id), "{what}: {path}");
            } else {
                assert_eq!(text, content, "{what}: {path}");
            }
        }
        let status = self.rig.status();
        let clean = status.is_clean() && status.untracked.is_empty();
        assert_eq!(clean, self.files == self.commits[self.head].1, "{what}: {status:?}");
        assert!(!self.rig.fsck().is_damaged(), "{what}: {:?}", self.rig.fsck().findings);
    }
}

#[test]
fn nothing_that_was_ever_committed_is_lost() {
    for seed in 0..4 {
        let mut random = SplitMix64::new(seed);
        let mut world = World::new();
        let mut steps = Vec::new();
        for _ in 0..40 {
            steps.push(world.step(&mut random));
            world.check(&format!("seed {seed}, {steps:?}"));
        }
        world.commit();
        for at in 0..world.commits.len() {
            let (id, files) = world.commits[at].clone();
            world.rig.repo.switch(&Destination::Commit(id), &world.rig.who(), false, &Silent).unwrap();
            world.rig.repo.fetch_content(&Everything, &world.remote, &Silent).unwrap();
            assert_eq!(world.rig.files(), files, "seed {seed}, commit {at}");
        }
        world.rig.assert_clean();
    }
}
