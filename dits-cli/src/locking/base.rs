//! Which version of a file a lock is asked for: it makes sense only on the newest one.

use dits_core::commit::Commit;
use dits_core::history::merge_bases;
use dits_core::lock::FileVersion;
use dits_core::object::{CommitId, TreeId};
use dits_core::path::RepoPath;
use dits_core::refs::{RefName, RefStore, Target};
use dits_core::remote::Remote;
use dits_core::repo::{RepoError, Repository};
use dits_core::tree::Tree;

/// How many common ancestors are named to the server, with the version of HEAD no more than it takes.
const BASES: usize = 3;

/// What versions of files are compared with.
pub struct Base {
    /// The branch of the server.
    pub upstream: Option<RefName>,
    /// The version of the project there, as last seen.
    pub tracking: Option<TreeId>,
    head: Option<TreeId>,
    bases: Vec<TreeId>,
}

impl Base {
    /// The branch that the one worked on follows, or the main one of the remote.
    ///
    /// # Errors
    /// When refs or history cannot be read.
    pub fn of(repo: &Repository, remote: &Remote) -> Result<Self, RepoError> {
        let head = repo.head()?;
        let (upstream, seen) = seen(repo, remote)?;
        let tree = |id| Commit::read(repo.store(), id).map(|commit| commit.tree);
        let bases = match (head.commit(), seen) {
            (Some(head), Some(seen)) => merge_bases(repo.store(), head, seen)?,
            _ => Vec::new(),
        };
        Ok(Self {
            upstream,
            tracking: seen.map(tree).transpose()?,
            head: head.commit().map(tree).transpose()?,
            bases: bases.into_iter().take(BASES).map(tree).collect::<Result<_, _>>()?,
        })
    }

    /// The same for another worktree. Where its branch follows nothing, this one's branch of the server is what counts.
    ///
    /// # Errors
    /// As [`Base::of`].
    pub fn beside(&self, repo: &Repository, remote: &Remote) -> Result<Self, RepoError> {
        let other = Self::of(repo, remote)?;
        if other.tracking.is_some() {
            return Ok(other);
        }
        let (upstream, bases) = (self.upstream.clone(), self.bases.clone());
        Ok(Self { upstream, tracking: self.tracking, head: other.head, bases })
    }

    /// What a file may be on the server's branch: what it was where the histories part, and what it is in HEAD.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn versions(&self, repo: &Repository, path: &RepoPath) -> Result<Vec<Option<FileVersion>>, RepoError> {
        let mut versions = Vec::new();
        let ahead = Some(self.head).filter(|head| !self.bases.iter().any(|base| Some(*base) == *head));
        for tree in self.bases.iter().map(|tree| Some(*tree)).chain(ahead) {
            let version = version(repo, tree, path)?;
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        Ok(versions)
    }

    /// Whether HEAD has another version than the server had when it was last seen.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn is_ahead(&self, repo: &Repository, path: &RepoPath) -> Result<bool, RepoError> {
        let base = self.bases.first().copied().or(self.tracking);
        Ok(version(repo, self.head, path)? != version(repo, base, path)?)
    }
}

fn version(repo: &Repository, tree: Option<TreeId>, path: &RepoPath) -> Result<Option<FileVersion>, RepoError> {
    let Some(tree) = tree else { return Ok(None) };
    Ok(Tree::at_path(repo.store(), tree, path)?.map(|entry| FileVersion::of(&entry)))
}

/// The server's branch, and the commit that it had when it was last seen.
///
/// # Errors
/// When refs cannot be read.
pub fn seen(repo: &Repository, remote: &Remote) -> Result<(Option<RefName>, Option<CommitId>), RepoError> {
    let (upstream, tracking) = upstream(repo, remote, repo.head()?.branch())?;
    let seen = match &tracking {
        Some(name) => repo.refs().resolve(name)?.map(|(_, id)| CommitId::from_digest(id)),
        None => None,
    };
    Ok((upstream, seen))
}

/// The server's branch, and the ref that has it here.
fn upstream(
    repo: &Repository,
    remote: &Remote,
    branch: Option<&RefName>,
) -> Result<(Option<RefName>, Option<RefName>), RepoError> {
    let followed = branch.map(|branch| repo.upstream(branch)).transpose()?.flatten();
    if let Some(upstream) = followed.filter(|upstream| upstream.follow.remote == remote.name) {
        return Ok((RefName::parse(&upstream.follow.merge).ok(), upstream.tracking));
    }
    let Ok(main) = RefName::remote(&remote.name, "HEAD") else { return Ok((None, None)) };
    let Some(Target::Symbolic(tracking)) = repo.refs().read(&main)? else { return Ok((None, None)) };
    let there = remote.source(&tracking).and_then(|name| RefName::parse(&name).ok());
    Ok((there, Some(tracking)))
}
