//! A small repository to merge in, driven through the engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::commit::Commit;
use crate::object::CommitId;
use crate::path::RepoPath;
use crate::progress::Silent;
use crate::refs::{Expected, RefEdit, RefName, RefStore, Target};
use crate::repo::{CommitOptions, Environment, InitOptions, PendingKind, RepoError, Repository};
use crate::signature::Signature;
use crate::worktree::{AddOptions, Destination, Everything};

mod merging;
mod picking;
mod property;
mod stashing;
mod twin;
mod versions;

pub(crate) struct Rig {
    pub dir: TempDir,
    pub repo: Repository,
    time: std::cell::Cell<i64>,
}

impl Rig {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions { branch: "main".into(), bare: false };
        let environment = Environment { threads: 2, ..Environment::default() };
        let (repo, _) = Repository::init(dir.path(), &options, &environment).unwrap();
        Self { dir, repo, time: std::cell::Cell::new(1_000) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn who(&self) -> Signature {
        self.time.set(self.time.get() + 1);
        Signature { name: "Ada".into(), email: "a@x".into(), time: self.time.get(), offset: 0 }
    }

    pub fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn remove(&self, name: &str) -> &Self {
        std::fs::remove_file(self.path(name)).unwrap();
        self
    }

    pub fn rename(&self, from: &str, to: &str) -> &Self {
        std::fs::create_dir_all(self.path(to).parent().unwrap()).unwrap();
        std::fs::rename(self.path(from), self.path(to)).unwrap();
        self
    }

    pub fn add(&self) -> &Self {
        self.repo.add(&Everything, AddOptions::default(), &Silent).unwrap();
        self
    }

    pub fn options(&self, message: &str) -> CommitOptions {
        CommitOptions {
            author: self.who(),
            committer: self.who(),
            message: message.into(),
            amend: false,
            allow_empty: true,
        }
    }

    /// Stages everything and commits it.
    pub fn commit(&self, message: &str) -> CommitId {
        self.add().repo.commit(&self.options(message)).unwrap().id
    }

    pub fn branch(&self, name: &str, at: CommitId) -> &Self {
        let edit = RefEdit::set(RefName::branch(name).unwrap(), Expected::Any, Target::Id(*at.digest()));
        self.repo.refs().transaction(vec![edit]).unwrap();
        self
    }

    pub fn switch(&self, name: &str) -> &Self {
        let branch = Destination::Branch(RefName::branch(name).unwrap());
        self.repo.switch(&branch, &self.who(), false, &Silent).unwrap();
        self
    }

    /// `base` on main and topic; `theirs` is done on topic, then `ours` on main. Returns their commit.
    pub fn fork(&self, base: impl Fn(&Self), ours: impl Fn(&Self), theirs: impl Fn(&Self)) -> CommitId {
        base(self);
        let start = self.commit("base");
        self.branch("topic", start).switch("topic");
        theirs(self);
        let their_commit = self.commit("theirs");
        self.switch("main");
        ours(self);
        self.commit("ours");
        their_commit
    }

    pub fn merge_options(&self) -> MergeOptions {
        MergeOptions {
            fast_forward: FastForward::Allowed,
            no_commit: false,
            unrelated: false,
            message: "merge".into(),
            who: self.who(),
        }
    }

    pub fn merge(&self, theirs: CommitId) -> Result<MergeOutcome, RepoError> {
        self.repo.merge(theirs, &self.merge_options(), &Silent)
    }

    /// The files of the worktree, with what is in them; links as `-> target`, executables with a `*`.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        collect(self.dir.path(), self.dir.path(), &mut files);
        files
    }

    pub fn head(&self) -> CommitId {
        self.repo.head().unwrap().commit().unwrap()
    }

    pub fn parents(&self) -> Vec<CommitId> {
        Commit::read(self.repo.store(), self.head()).unwrap().parents
    }

    /// Nothing is staged, changed or pending.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert_eq!(self.repo.pending().unwrap(), None);
        let index = self.repo.index().unwrap();
        let staged = crate::worktree::changes_to_tree(&self.repo, &index, self.repo.head_tree().unwrap()).unwrap();
        assert_eq!(staged, []);
        let wanted = crate::worktree::ScanOptions { untracked: true, ..crate::worktree::ScanOptions::tracked_only() };
        let scan = crate::worktree::scan(&self.repo, &index, &Everything, wanted, &Silent).unwrap();
        assert_eq!((scan.modified, scan.deleted, scan.untracked, scan.untracked_folders), Default::default());
    }
}

fn collect(top: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
        if name == ".dits" {
            continue;
        }
        if meta.is_dir() {
            collect(top, &path, files);
        } else if meta.is_symlink() {
            files.insert(name, format!("-> {}", std::fs::read_link(&path).unwrap().display()));
        } else {
            let mark = if meta.permissions().mode() & 0o100 == 0 { "" } else { "*" };
            files.insert(name, std::fs::read_to_string(&path).unwrap() + mark);
        }
    }
}

pub(crate) fn files<const N: usize>(list: [(&str, &str); N]) -> BTreeMap<String, String> {
    list.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

pub(crate) fn path(name: &str) -> RepoPath {
    RepoPath::parse(name.as_bytes()).unwrap()
}
