//! Further worktrees of a repository.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{DITS, Environment, Layout, RepoError, Repository, mounted};
use crate::durable::{self, IoContext};
use crate::refs::{Expected, FolderRefs, RefEdit, RefName, RefStore, Target};

/// A worktree of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedWorktree {
    /// Its name inside the repository; `None` for the main worktree.
    pub id: Option<String>,
    /// Its top folder; `None` for a bare repository.
    pub path: Option<PathBuf>,
    /// What its HEAD holds.
    pub head: Option<Target>,
    /// Whether its folder is gone; of a mount, whether its daemon is and nothing of it is kept.
    pub missing: bool,
    /// Whether it is a mount rather than a folder of files.
    pub mount: bool,
    /// Whether it is a mount that nobody serves now, with what was written in it: it can be mounted again.
    pub waiting: bool,
}

impl Repository {
    /// All worktrees, the main one first.
    ///
    /// # Errors
    /// When one's record cannot be read.
    pub fn worktrees(&self) -> Result<Vec<LinkedWorktree>, RepoError> {
        let common = &self.layout().common;
        let main = Layout::main(common).worktree;
        let head_of = |id: Option<&str>| FolderRefs::open(common, id)?.read(&RefName::head());
        let of_main =
            |head| LinkedWorktree { id: None, path: main, head, missing: false, mount: false, waiting: false };
        let mut found = vec![of_main(head_of(None)?)];
        for id in self.linked_ids()? {
            let private = self.layout().linked_worktrees().join(&id);
            let head = head_of(Some(&id))?;
            found.push(match mounted::look(&private)? {
                Some((path, state)) => LinkedWorktree {
                    id: Some(id),
                    path: Some(path),
                    head,
                    missing: state == mounted::State::Dead,
                    mount: true,
                    waiting: state == mounted::State::Waits,
                },
                None => {
                    let path = read_path(&private)?;
                    let missing = !path.as_ref().is_some_and(|p| p.join(DITS).is_file());
                    LinkedWorktree { id: Some(id), path, head, missing, mount: false, waiting: false }
                }
            });
        }
        Ok(found)
    }

    fn linked_ids(&self) -> Result<Vec<String>, RepoError> {
        let folder = self.layout().linked_worktrees();
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut ids = Vec::new();
        for entry in fs::read_dir(&folder).at("list", &folder)? {
            let entry = entry.at("list", &folder)?;
            if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
                ids.push(name);
            }
        }
        ids.sort();
        Ok(ids)
    }

    /// The private folders of all worktrees: where heads, indexes and pending operations are.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn private_folders(&self) -> Result<Vec<PathBuf>, RepoError> {
        let linked = self.linked_ids()?.into_iter().map(|id| self.layout().linked_worktrees().join(id));
        Ok(std::iter::once(self.layout().common.clone()).chain(linked).collect())
    }

    /// The worktrees that are on a branch, by branch; mounts, also those that wait, are among them. A branch is in one
    /// worktree at a time.
    ///
    /// # Errors
    /// When a worktree's record cannot be read.
    pub fn branches_in_use(&self) -> Result<HashMap<RefName, PathBuf>, RepoError> {
        Ok(on_branch(self.worktrees()?.into_iter()).collect())
    }

    /// Fails if another worktree than this one is on `branch`.
    ///
    /// # Errors
    /// [`RepoError::BranchInUse`], then.
    pub fn check_branch_free(&self, branch: &RefName) -> Result<(), RepoError> {
        let here = self.layout().worktree_id();
        let others = self.worktrees()?.into_iter().filter(|worktree| worktree.id.as_deref() != here);
        match on_branch(others).find(|(used, _)| used == branch) {
            Some((_, worktree)) => Err(RepoError::BranchInUse { branch: branch.short().to_owned(), worktree }),
            None => Ok(()),
        }
    }

    /// Makes a worktree at `path` with HEAD at `head`; its files are not written yet.
    ///
    /// # Errors
    /// When there is something at `path`, the branch is in use, or it cannot be written.
    pub fn add_worktree(&self, path: &Path, head: Target, environment: &Environment) -> Result<Self, RepoError> {
        if path.exists() && fs::read_dir(path).at("list", path)?.next().is_some() {
            return Err(RepoError::FolderNotEmpty { path: path.to_owned() });
        }
        if let Target::Symbolic(branch) = &head {
            self.check_branch_free(branch)?;
        }
        durable::create_dir_all(path)?;
        let path = fs::canonicalize(path).at("look at", path)?;
        let common = fs::canonicalize(&self.layout().common).at("look at", &self.layout().common)?;
        let private = self.free_private_folder(&common, &path)?;
        durable::create_dir_all(&private.join("tmp"))?;
        let layout = Layout { common: common.clone(), private: private.clone(), worktree: Some(path.clone()) };
        let refs = FolderRefs::open(&common, layout.worktree_id())?;
        refs.transaction(vec![RefEdit::set(RefName::head(), Expected::Any, head)])?;
        use std::os::unix::ffi::OsStrExt;
        durable::write_atomic(&private.join("worktree"), path.as_os_str().as_bytes())?;
        durable::write_atomic(&path.join(DITS), &Layout::link_text(&private))?;
        Self::open(layout, environment)
    }

    pub(super) fn free_private_folder(&self, common: &Path, path: &Path) -> Result<PathBuf, RepoError> {
        let stem: String = path
            .file_name()
            .map(|name| {
                name.to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
            })
            .unwrap_or_else(|| "worktree".to_owned());
        let folder = common.join("worktrees");
        durable::create_dir_all(&folder)?;
        for number in 1_u32.. {
            let id = if number == 1 { stem.clone() } else { format!("{stem}-{number}") };
            let private = folder.join(id);
            match fs::create_dir(&private) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => {
                    made.at("create", &private)?;
                    return Ok(private);
                }
            }
        }
        Err(RepoError::FolderNotEmpty { path: folder })
    }

    /// Forgets a worktree by its id. Its files stay, except for the link to the repository; of a mount, what was written
    /// in it goes.
    ///
    /// # Errors
    /// When its record cannot be removed; [`LockError::Busy`](crate::lockfile::LockError::Busy) for a mount that lives.
    pub fn forget_worktree(&self, id: &str) -> Result<(), RepoError> {
        let private = self.layout().linked_worktrees().join(id);
        let _lock = mounted::lock_dead(&private)?;
        if let Some(path) = read_path(&private)? {
            let link = path.join(DITS);
            if fs::read(&link).is_ok_and(|text| text == Layout::link_text(&private)) {
                durable::remove_file(&link)?;
            }
        }
        fs::remove_dir_all(&private).at("remove", &private)?;
        Ok(durable::sync_dir(&self.layout().linked_worktrees())?)
    }
}

/// Those that are on a branch.
fn on_branch(worktrees: impl Iterator<Item = LinkedWorktree>) -> impl Iterator<Item = (RefName, PathBuf)> {
    worktrees.filter_map(|worktree| match (worktree.head, worktree.path, worktree.missing) {
        (Some(Target::Symbolic(branch)), Some(path), false) => Some((branch, path)),
        _ => None,
    })
}

/// Where the worktree or mount of a private folder is, as that says.
pub(crate) fn place_of(private: &Path) -> Result<Option<PathBuf>, RepoError> {
    match mounted::read_place(private)? {
        Some(place) => Ok(Some(place)),
        None => read_path(private),
    }
}

fn read_path(private: &Path) -> Result<Option<PathBuf>, RepoError> {
    use std::os::unix::ffi::OsStringExt;
    let text = durable::read_limited(&private.join("worktree"), 8192)?;
    Ok(text.map(|bytes| PathBuf::from(std::ffi::OsString::from_vec(bytes))))
}
