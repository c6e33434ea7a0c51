//! The repositories below a server's folder.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dits_core::durable::{self, IoContext, IoError};
use dits_core::repo::{Environment, InitOptions, Layout, RepoError, Repository};

use crate::env::Env;
use crate::repo_name::{RepoName, SUFFIX};
use crate::root::Root;

/// How deep names go.
const DEPTH: usize = 8;

/// A repository that cannot be found, made or removed.
#[derive(Debug, thiserror::Error)]
pub enum RepositoriesError {
    /// There is none of this name.
    #[error("there is no repository `{0}`")]
    NotFound(RepoName),
    /// It cannot be opened or made.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// All repositories of a server. Those that are open are shared among connections.
pub struct Repositories {
    folder: PathBuf,
    temp: PathBuf,
    environment: Environment,
    open: Mutex<HashMap<RepoName, (Stamp, Weak<Repository>)>>,
}

/// What changes when a repository is another one, or its settings are others.
type Stamp = [Option<(u64, u64, i64, i64)>; 3];

impl Repositories {
    /// Those of this folder.
    #[must_use]
    pub fn new(root: &Root, env: &Env) -> Self {
        let environment = environment(Some(root.config()), env);
        Self { folder: root.repositories(), temp: root.temp(), environment, open: Mutex::default() }
    }

    /// Opens a repository.
    ///
    /// # Errors
    /// When there is none of this name, or it cannot be used.
    pub fn open(&self, name: &RepoName) -> Result<Arc<Repository>, RepositoriesError> {
        let layout = self.layout(name)?;
        let stamp = self.stamp(&layout);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.get(name).filter(|(seen, _)| *seen == stamp).and_then(|(_, weak)| weak.upgrade()) {
            return Ok(shared);
        }
        let repository = Arc::new(Repository::open(layout, &self.environment)?);
        open.retain(|_, (_, weak)| weak.strong_count() > 0);
        open.insert(name.clone(), (stamp, Arc::downgrade(&repository)));
        Ok(repository)
    }

    fn layout(&self, name: &RepoName) -> Result<Layout, RepositoriesError> {
        let folder = name.folder(&self.folder);
        match is_repository(&folder) {
            true => Ok(bare(&folder)),
            false => Err(RepositoriesError::NotFound(name.clone())),
        }
    }

    fn stamp(&self, layout: &Layout) -> Stamp {
        let stamp = |path: &Path| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec()))
        };
        let system = self.environment.system_config.as_deref().and_then(stamp);
        [stamp(&layout.format()), stamp(&layout.config()), system]
    }

    /// Makes a repository; one that is there is left as it is, and the second value is `false`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self, name: &RepoName, branch: Option<String>) -> Result<(PathBuf, bool), RepositoriesError> {
        let folder = name.folder(&self.folder);
        let configured = self.environment.config(None).map_err(RepoError::from)?;
        let configured = configured.get_str("init.defaultBranch").map_err(RepoError::from)?;
        let branch = branch.or(configured).unwrap_or_else(|| "main".to_owned());
        let (_, created) = Repository::init(&folder, &InitOptions { branch, bare: true }, &self.environment)?;
        durable::create_dir_all(&folder.join("hooks"))?;
        Ok((folder, created))
    }

    /// Removes a repository with everything in it, and says how many bytes it had.
    ///
    /// # Errors
    /// When there is none, or it cannot be removed.
    pub fn remove(&self, name: &RepoName) -> Result<u64, RepositoriesError> {
        let folder = self.layout(name)?.common;
        let bytes = folder_bytes(&folder)?;
        // First out of sight, all at once: what is left by a crash is no repository any more.
        let aside = tempfile::Builder::new().prefix("removed-").tempdir_in(&self.temp);
        let aside = aside.at("create a folder in", &self.temp)?;
        let parent = folder.parent().unwrap_or(&self.folder);
        fs::rename(&folder, aside.path().join("repository")).at("move aside", &folder)?;
        durable::sync_dir(parent)?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        let path = aside.path().to_owned();
        aside.close().at("remove", &path)?;
        for parent in parent.ancestors().take_while(|parent| *parent != self.folder) {
            // Not empty: another repository is there.
            if fs::remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(bytes)
    }

    /// Their names, sorted.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn list(&self) -> Result<Vec<RepoName>, IoError> {
        let mut names = Vec::new();
        self.collect(&self.folder, "", DEPTH, &mut names)?;
        names.sort();
        Ok(names)
    }

    fn collect(&self, folder: &Path, above: &str, depth: usize, names: &mut Vec<RepoName>) -> Result<(), IoError> {
        for entry in entries(folder)? {
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            if !kind.is_dir() {
                continue;
            }
            let path = entry.path();
            if name.ends_with(SUFFIX) {
                let name = RepoName::parse(&format!("{above}{name}")).ok();
                names.extend(name.filter(|_| is_repository(&path)));
            } else if depth > 1 {
                self.collect(&path, &format!("{above}{name}/"), depth - 1, names)?;
            }
        }
        Ok(())
    }
}

/// What a server tells the engine: the settings of its folder and of the repository, never those of a user.
#[must_use]
pub fn environment(system_config: Option<PathBuf>, env: &Env) -> Environment {
    Environment { system_config, threads: env.threads(), unmapped: true, ..Environment::default() }
}

/// The layout of a bare repository.
#[must_use]
pub fn bare(folder: &Path) -> Layout {
    Layout { worktree: None, ..Layout::main(folder) }
}

fn is_repository(folder: &Path) -> bool {
    folder.join("format").is_file()
}

/// The bytes of the objects in a repository, with what waits for `gc` and what is being written.
///
/// # Errors
/// When a folder cannot be read.
pub fn stored_bytes(repository: &Repository) -> Result<u64, IoError> {
    let store = repository.store();
    Ok(folder_bytes(store.content.dir())? + folder_bytes(store.meta.dir())?)
}

/// The bytes of all files below a folder; what goes away meanwhile does not count.
fn folder_bytes(folder: &Path) -> Result<u64, IoError> {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => bytes += meta.len(),
                Err(_) => {}
            }
        }
    }
    Ok(bytes)
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, IoError> {
    match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.and_then(Iterator::collect).at("read", folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RepoName {
        RepoName::parse(text).unwrap()
    }

    #[test]
    fn are_made_listed_shared_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open_or_create(&dir.path().join("root")).unwrap();
        let all = Repositories::new(&root, &Env::default());
        assert!(all.create(&name("studio/a"), None).unwrap().1 && all.create(&name("b"), None).unwrap().1);
        assert!(!all.create(&name("b"), None).unwrap().1);
        fs::create_dir(root.repositories().join("stray.dits")).unwrap();
        assert_eq!(all.list().unwrap(), [name("b"), name("studio/a")]);
        let (one, other) = (all.open(&name("b")).unwrap(), all.open(&name("b")).unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        fs::write(one.layout().config(), "server.quota = '1K'\n").unwrap();
        let changed = all.open(&name("b")).unwrap();
        assert!(!Arc::ptr_eq(&one, &changed));
        assert_eq!(changed.config().get_size("server.quota").unwrap(), Some(1024));
        assert!(all.remove(&name("studio/a")).unwrap() > 0);
        assert!(!root.repositories().join("studio").exists());
        assert_eq!(fs::read_dir(root.temp()).unwrap().count(), 0);
        assert!(matches!(all.open(&name("studio/a")), Err(RepositoriesError::NotFound(_))));
        assert!(matches!(all.open(&name("stray")), Err(RepositoriesError::NotFound(_))));
    }
}
