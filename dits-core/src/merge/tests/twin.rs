//! The same random histories in dits and in git: same trees where neither has conflicts, same conflicts otherwise.

use dits_testkit::{Sandbox, SplitMix64};

use super::*;
use crate::diff::FileVersion;
use crate::object::ChunkId;
use crate::tree::Content;

const NAMES: [&str; 8] = ["a", "b", "c/d", "c/e", "f/g/h", "i", "j.bin", "k"];

struct Twin {
    rig: Rig,
    git: Sandbox,
}

impl Twin {
    fn new() -> Self {
        let twin = Self { rig: Rig::new(), git: Sandbox::new("/nonexistent") };
        twin.git(&["init", "-q", "-b", "main"]);
        twin
    }

    fn git(&self, args: &[&str]) -> dits_testkit::Finished {
        let mut command = self.git.command("git");
        command.args(["-c", "core.fsync=none", "-c", "gc.auto=0", "-c", "merge.directoryRenames=false"]).args(args);
        self.git.run(command)
    }

    fn tops(&self) -> [PathBuf; 2] {
        [self.rig.dir.path().to_owned(), self.git.path("")]
    }

    fn write(&self, name: &str, bytes: &[u8], executable: bool) {
        use std::os::unix::fs::PermissionsExt;
        for top in self.tops() {
            let path = top.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let mode = if executable { 0o755 } else { 0o644 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    /// Some changes, and moves if they are wanted.
    fn change(&self, random: &mut SplitMix64, moves: bool) {
        for _ in 0..random.between(1, 4) {
            let name = NAMES[random.below(8) as usize];
            let exists = self.rig.path(name).exists();
            match random.below(6) {
                0 if exists => self.tops().iter().for_each(|top| std::fs::remove_file(top.join(name)).unwrap()),
                1 | 2 if exists && moves => {
                    let to = format!("moved-{}", random.below(3));
                    if !self.rig.path(&to).exists() {
                        self.tops().iter().for_each(|top| std::fs::rename(top.join(name), top.join(&to)).unwrap());
                    }
                }
                _ => {
                    // Binary, and never two alike.
                    let mut bytes = vec![0; 64];
                    random.fill(&mut bytes[1..]);
                    self.write(name, &bytes, random.below(4) == 0);
                }
            }
        }
    }

    fn commit(&self, message: &str) -> CommitId {
        self.git(&["add", "-A"]).ok();
        self.git(&["commit", "-q", "--allow-empty", "-m", message]).ok();
        self.rig.commit(message)
    }

    fn fork(&self, random: &mut SplitMix64, moves: bool) -> CommitId {
        for name in NAMES {
            let bytes = dits_testkit::random::bytes(random.word(), 64);
            self.write(name, &[&[0], &bytes[..]].concat(), false);
        }
        let base = self.commit("base");
        self.git(&["branch", "topic"]).ok();
        self.change(random, moves);
        self.commit("ours");
        self.git(&["switch", "-q", "topic"]).ok();
        self.rig.branch("topic", base).switch("topic");
        self.change(random, moves);
        let theirs = self.commit("theirs");
        self.git(&["switch", "-q", "main"]).ok();
        self.rig.switch("main");
        theirs
    }

    /// What is committed, as paths with git's modes and the bytes.
    fn listing(&self, top: &Path) -> BTreeMap<PathBuf, (bool, Vec<u8>)> {
        use std::os::unix::fs::PermissionsExt;
        let (mut all, mut folders) = (BTreeMap::new(), vec![top.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let short = path.strip_prefix(top).unwrap().to_owned();
                if path.is_dir() && !short.starts_with(".git") && !short.starts_with(".dits") {
                    folders.push(path);
                } else if path.is_file() {
                    let executable = path.metadata().unwrap().permissions().mode() & 0o100 != 0;
                    all.insert(short, (executable, std::fs::read(path).unwrap()));
                }
            }
        }
        all
    }
}

#[test]
fn git_merges_alike() {
    if !dits_testkit::installed("git") {
        return dits_testkit::skip("git_merges_alike", "no git");
    }
    let long = std::env::var_os(dits_testkit::LONG).is_some_and(|value| value == "1");
    let (mut clean, mut stopped, mut cautious) = (0, 0, 0);
    for seed in 0..if long { 200 } else { 4 } {
        let mut random = SplitMix64::new(seed);
        let moves = seed % 2 == 1;
        let twin = Twin::new();
        let theirs = twin.fork(&mut random, moves);
        let renames = format!("merge.renames={moves}");
        let git = twin.git(&["-c", &renames, "merge", "-q", "--no-ff", "-m", "merge", "topic"]);
        let ours = match twin.rig.merge(theirs) {
            Ok(MergeOutcome::Conflicts(applied)) => Some(applied.conflicts),
            Ok(_) => None,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        if let (true, Some(0), Some(conflicts)) = (moves, git.code, &ours) {
            // A file that both moved to one place, and one of them then wrote anew in the old one: git drops the new one
            // in silence, dits asks.
            let kept: Vec<_> = twin.listing(&twin.tops()[1]).into_values().map(|file| ChunkId::of(&file.1)).collect();
            for Conflict { path, base, ours, theirs, .. } in conflicts {
                let contents = [ours, theirs].into_iter().flatten().filter(|side| Some(*side) != base.as_ref());
                let dropped = |side: &FileVersion| kept.iter().all(|id| side.content != Content::Chunk(*id));
                assert!(contents.into_iter().any(dropped), "seed {seed}: git keeps all that was at {path}");
            }
            cautious += 1;
            continue;
        }
        assert_eq!(git.code != Some(0), ours.is_some(), "seed {seed}: {ours:?} {git}");
        let Some(conflicts) = ours else {
            clean += 1;
            let [dits, git] = twin.tops().map(|top| twin.listing(&top));
            assert_eq!(dits, git, "seed {seed}");
            continue;
        };
        stopped += 1;
        let listed = twin.git(&["diff", "--name-only", "--diff-filter=U"]).ok().out();
        let paths: Vec<String> = conflicts.iter().map(|c| c.path.to_string()).collect();
        if moves {
            // Where both moved a file, git lists its old place too.
            assert!(
                paths.iter().all(|path| listed.lines().any(|line| line == path)),
                "seed {seed}: {paths:?} {listed}"
            );
        } else {
            assert_eq!(paths, listed.lines().collect::<Vec<_>>(), "seed {seed}");
        }
    }
    assert!(clean > 0 && stopped > 0 && cautious * 20 < clean + stopped, "{clean} {stopped} {cautious}");
}
