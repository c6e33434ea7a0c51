//! Repositories on this machine: the server's end runs on a thread of the same process.

use std::path::Path;
use std::thread;

use dits_core::repo::{DITS, Environment, Layout, Repository};

use crate::link::{Link, LinkError, OpenLocal, pair};
use crate::server::{LocalHost, serve};

/// What opens repositories on this machine for their user. `name` and `email` sign the reflog there.
#[must_use]
pub fn open_local(environment: Environment, name: String, email: String) -> OpenLocal {
    Box::new(move |path| {
        let repository = open(path, &environment).map_err(LinkError::Unusable)?;
        let host = LocalHost::new(repository, name.clone(), email.clone());
        let (near, far) = pair(&path.display().to_string());
        let run = move || serve(&far, &host);
        let spawned = thread::Builder::new().name("server".to_owned()).spawn(run);
        spawned.map_err(|error| LinkError::Unusable(format!("cannot start a thread: {error}")))?;
        Ok(Box::new(near) as Box<dyn Link>)
    })
}

/// Opens the repository whose folder or worktree this is; one further up is another repository.
fn open(path: &Path, environment: &Environment) -> Result<Repository, String> {
    let none = || format!("{} is no dits repository", path.display());
    let path = path.canonicalize().map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    let layout = Layout::discover(&path).map_err(|_| none())?;
    let here = layout.worktree.as_deref() == Some(&path) || layout.common == path || layout.common == path.join(DITS);
    if !here {
        return Err(none());
    }
    Repository::open(layout, environment).map_err(|error| error.to_string())
}
