//! Which branch a branch follows.

use super::{HERE, Remote};
use crate::refs::{BRANCHES, RefName, RefStore};
use crate::repo::{RepoError, Repository};

/// What a branch follows, as its two settings say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// `branch.NAME.remote`; [`HERE`] for a branch of this repository.
    pub remote: String,
    /// `branch.NAME.merge`: the full name of a branch over there.
    pub merge: String,
}

/// What a branch follows, and where that is seen here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// What the settings say.
    pub follow: Follow,
    /// The ref that has it here, whether or not it exists; `None` when the remote's refspecs leave it out.
    pub tracking: Option<RefName>,
}

impl Follow {
    /// The short name of the branch over there.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.merge.strip_prefix(BRANCHES).unwrap_or(&self.merge)
    }
}

impl Repository {
    /// What a branch follows.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn upstream(&self, branch: &RefName) -> Result<Option<Upstream>, RepoError> {
        let setting = |key: &str| self.config().get_str(&format!("branch.{}.{key}", branch.short()));
        let (Some(remote), Some(merge)) = (setting("remote")?, setting("merge")?) else { return Ok(None) };
        let merge = if merge.starts_with("refs/") { merge } else { format!("{BRANCHES}{merge}") };
        let tracking = match remote.as_str() {
            HERE => RefName::parse(&merge).ok(),
            name => Remote::find(self.config(), name)?.and_then(|remote| remote.tracking(&merge)),
        };
        Ok(Some(Upstream { follow: Follow { remote, merge }, tracking }))
    }

    /// What a branch has to be set to follow so that `start` is its upstream; `None` when `start` is neither a branch
    /// nor one of a remote that is set up, or several remotes claim it.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn to_follow(&self, start: &RefName) -> Result<Option<Follow>, RepoError> {
        if start.as_branch().is_some() {
            return Ok(Some(Follow { remote: HERE.to_owned(), merge: start.to_string() }));
        }
        let mut found = Vec::new();
        for remote in Remote::all(self.config())? {
            found.extend(remote.source(start).map(|merge| Follow { remote: remote.name, merge }));
        }
        Ok(if found.len() == 1 { found.pop() } else { None })
    }

    /// The branches of remotes that are called `name` there, each with the ref that has it here.
    ///
    /// # Errors
    /// When a setting makes no sense or a ref cannot be read.
    pub fn remote_branches(&self, name: &str) -> Result<Vec<(Follow, RefName)>, RepoError> {
        let merge = format!("{BRANCHES}{name}");
        let mut found = Vec::new();
        for remote in Remote::all(self.config())? {
            if let Some(tracking) = remote.tracking(&merge)
                && self.refs().resolve(&tracking)?.is_some()
            {
                found.push((Follow { remote: remote.name, merge: merge.clone() }, tracking));
            }
        }
        Ok(found)
    }
}
