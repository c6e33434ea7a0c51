//! Names that Windows or macOS could not hold, found before anything is staged.

use std::collections::{HashMap, HashSet};

use crate::index::{Index, Stage};
use crate::path::RepoPath;
use crate::path::portable::{PortableError, check_component, fold_path};
use crate::repo::{RepoError, Repository};

/// What stands against staging paths while `core.portable` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unportable {
    /// Files and folders whose own name is refused, and why; each once, however much is below it.
    pub names: Vec<(RepoPath, PortableError)>,
    /// What is there, and what would be one name with it on a file system that folds names.
    pub collisions: Vec<(RepoPath, RepoPath)>,
}

impl Repository {
    /// Refuses `new` names that Windows or macOS could not hold beside what is staged without `gone`, unless
    /// `core.portable` is off.
    pub(crate) fn check_portable(&self, index: &Index, new: &[RepoPath], gone: &[RepoPath]) -> Result<(), RepoError> {
        if new.is_empty() || !self.config().get_bool("core.portable")?.unwrap_or(true) {
            return Ok(());
        }
        let gone: HashSet<&RepoPath> = gone.iter().collect();
        let mut found = Unportable::default();
        let mut folded = HashMap::new();
        for path in index.entries().map(|entry| entry.repo_path()).filter(|path| !gone.contains(path)) {
            // What is staged already is not the fault of what is added now.
            let _ = collision(&mut folded, &path);
        }
        for path in new.iter().filter(|path| index.get(path, Stage::Normal).is_none()) {
            if path.components().any(|name| check_component(name).is_err()) {
                found.refuse(path);
            }
            found.collisions.extend(collision(&mut folded, path).filter(|pair| !found.collisions.contains(pair)));
        }
        if found == Unportable::default() { Ok(()) } else { Err(RepoError::NotPortable(found)) }
    }
}

impl Unportable {
    fn refuse(&mut self, path: &RepoPath) {
        let mut next = Some(path.clone());
        while let Some(part) = next {
            next = part.parent();
            if let Err(why) = check_component(part.name())
                && !self.names.iter().any(|(known, _)| *known == part)
            {
                self.names.push((part, why));
            }
        }
    }
}

/// Records how a path and its folders look folded; finds another spelling of one that is there already.
fn collision(folded: &mut HashMap<Vec<u8>, RepoPath>, path: &RepoPath) -> Option<(RepoPath, RepoPath)> {
    let mut next = Some(path.clone());
    let mut found = None;
    while let Some(part) = next {
        next = part.parent();
        match folded.get(&fold_path(&part)) {
            Some(known) if *known == part => break,
            // The outermost folder that differs says it for all below it.
            Some(known) => found = Some((known.clone(), part)),
            None => {
                folded.insert(fold_path(&part), part);
            }
        }
    }
    found
}
