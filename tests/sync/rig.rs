//! Repositories, and links between them.

use std::cell::Cell;
use std::path::PathBuf;
use std::thread;

use dits_core::maintain::{FsckOptions, Severity};
use dits_core::object::{CommitId, Digest};
use dits_core::progress::Silent;
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{CommitOptions, Environment, InitOptions, Repository};
use dits_core::signature::Signature;
use dits_core::worktree::{AddOptions, Everything};
use dits_sync::SyncError;
use dits_sync::client::{Client, FetchRequest, Fetched, Introduction, Listing, PushRequest, PushedRefs, Update};
use dits_sync::link::{Link, Traffic, pair};
use dits_sync::server::{Host, LocalHost, serve};
use tempfile::TempDir;

/// A repository with a worktree, or bare.
pub struct Rig {
    pub dir: TempDir,
    pub repo: Repository,
    time: Cell<i64>,
}

impl Rig {
    pub fn new() -> Self {
        Self::init(false)
    }

    pub fn bare() -> Self {
        Self::init(true)
    }

    fn init(bare: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions { branch: "main".into(), bare };
        let (repo, _) = Repository::init(dir.path(), &options, &environment()).unwrap();
        Self { dir, repo, time: Cell::new(1_000) }
    }

    /// A repository that somebody else made.
    pub fn at(repo: Repository) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), repo, time: Cell::new(1_000) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    pub fn commit(&self, message: &str) -> CommitId {
        self.repo.add(&Everything, AddOptions::default(), &Silent).unwrap();
        self.time.set(self.time.get() + 10);
        let who = Signature { name: "Ada".into(), email: "a@x".into(), time: self.time.get(), offset: 0 };
        let options = CommitOptions {
            author: who.clone(),
            committer: who,
            message: message.into(),
            amend: false,
            allow_empty: true,
        };
        self.repo.commit(&options).unwrap().id
    }

    /// Makes the files be those of HEAD.
    pub fn check_out(&self) {
        self.repo.reset_hard(self.repo.head_tree().unwrap(), &Silent).unwrap();
    }

    pub fn set(&self, name: &str, id: Digest) {
        let name = RefName::parse(name).unwrap();
        self.repo.refs().transaction(vec![RefEdit::set(name, Expected::Any, Target::Id(id))]).unwrap();
    }

    pub fn branch(&self, name: &str) -> Option<Digest> {
        match self.repo.refs().read(&RefName::branch(name).unwrap()).unwrap()? {
            Target::Id(id) => Some(id),
            Target::Symbolic(_) => None,
        }
    }

    /// The server's `main` as it was last seen.
    pub fn branch_of_origin(&self) -> Digest {
        match self.repo.refs().read(&RefName::parse("refs/remotes/origin/main").unwrap()).unwrap() {
            Some(Target::Id(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    /// Makes the worktree what `main` is.
    pub fn check_out_main(&self) {
        let id = CommitId::from_digest(self.branch("main").unwrap());
        let tree = dits_core::commit::Commit::read(self.repo.store(), id).unwrap().tree;
        self.repo.reset_hard(Some(tree), &Silent).unwrap();
    }

    /// How many refs there are.
    pub fn refs_named(&self) -> usize {
        self.repo.refs().list("refs/").unwrap().len()
    }

    /// Another handle to the same repository, as another process would have.
    pub fn reopen(&self) -> Repository {
        Repository::open(self.repo.layout().clone(), &environment()).unwrap()
    }

    /// Every byte is read; nothing may be wrong.
    pub fn assert_sound(&self) {
        let report = self.reopen().fsck(FsckOptions { full: true, ..FsckOptions::default() }, &Silent).unwrap();
        let wrong: Vec<_> = report.findings.iter().filter(|f| f.severity != Severity::Note).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    /// Holds a conversation with this repository as the server.
    pub fn serve<T>(&self, talk: impl FnOnce(&dyn Link) -> T) -> T {
        self.serve_as(&LocalHost::new(self.reopen(), "server".into(), "s@x".into()), talk)
    }

    pub fn serve_as<T>(&self, host: &dyn Host, talk: impl FnOnce(&dyn Link) -> T) -> T {
        let (near, far) = pair("test");
        thread::scope(|scope| {
            scope.spawn(move || serve(&far, host));
            let result = talk(&near);
            drop(near);
            result
        })
    }

    /// Fetches all branches of `from` into `refs/remotes/origin`.
    pub fn fetch(&self, from: &Rig) -> Result<(Fetched, Traffic), SyncError> {
        self.fetch_with(from, FetchRequest::default())
    }

    pub fn fetch_with(&self, from: &Rig, request: FetchRequest) -> Result<(Fetched, Traffic), SyncError> {
        from.serve(|link| self.fetch_over(link, request))
    }

    pub fn fetch_from(&self, host: &dyn Host, request: FetchRequest) -> Result<(Fetched, Traffic), SyncError> {
        let (near, far) = pair("test");
        thread::scope(|scope| {
            scope.spawn(move || serve(&far, host));
            let result = self.fetch_over(&near, request);
            drop(near);
            result
        })
    }

    pub fn fetch_over(&self, link: &dyn Link, mut request: FetchRequest) -> Result<(Fetched, Traffic), SyncError> {
        let mut client = Client::new(link, &Introduction::default())?;
        let listing = client.listing(None, &Silent)?;
        request.wants = listing.refs.iter().map(|(_, id)| *id).collect();
        let dry_run = request.dry_run;
        let fetched = client.fetch(&self.repo, request, &Silent)?;
        if !dry_run {
            for (name, id) in &listing.refs {
                let local = name.as_branch().map(|short| format!("refs/remotes/origin/{short}"));
                self.set(&local.unwrap_or_else(|| name.to_string()), *id);
            }
        }
        Ok((fetched, client.traffic()))
    }

    /// Pushes one branch to `to`, under the same name.
    pub fn push(&self, to: &Rig, branch: &str) -> Result<(PushedRefs, Traffic), SyncError> {
        to.serve(|link| self.push_over(link, branch, false, false))
    }

    pub fn push_over(
        &self,
        link: &dyn Link,
        branch: &str,
        force: bool,
        dry_run: bool,
    ) -> Result<(PushedRefs, Traffic), SyncError> {
        let mut client = Client::new(link, &Introduction::default())?;
        let listing = client.listing(None, &Silent)?;
        let update = self.update(&listing, branch, force);
        let request = PushRequest { updates: vec![update], dry_run, ..PushRequest::default() };
        let pushed = client.push(&self.repo, &request, &listing, &Silent)?;
        Ok((pushed, client.traffic()))
    }

    pub fn update(&self, listing: &Listing, branch: &str, force: bool) -> Update {
        let name = RefName::branch(branch).unwrap();
        Update { old: listing.get(&name), new: self.branch(branch), name, force }
    }
}

pub fn environment() -> Environment {
    Environment { threads: 2, ..Environment::default() }
}
