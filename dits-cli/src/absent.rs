//! Content that is not here on purpose: which file lacks it, and what brings it.

use dits_core::object::Digest;
use dits_core::partial::Owner;
use dits_core::repo::{RepoError, Repository};
use dits_core::store::StoreError;

use crate::error::CliError;
use crate::output::path::quote_text;

/// Says of an absent chunk what a person knows; other failures stay what they are.
pub fn explain(repo: &Repository, error: impl Into<RepoError>) -> CliError {
    match error.into() {
        RepoError::Store(StoreError::Absent { digest }) => of_chunk(repo, &digest),
        other => other.into(),
    }
}

/// The same, of a chunk that is known to be absent.
pub fn of_chunk(repo: &Repository, chunk: &Digest) -> CliError {
    match repo.owner_of(chunk) {
        Ok(Some(Owner { path, commit: None })) => {
            let path = quote_text(path.as_bytes());
            CliError::usage(format!("the content of `{path}` is not here"))
                .hint(format!("`dits fetch {path}` brings it"))
        }
        Ok(Some(Owner { path, commit: Some(commit) })) => {
            let (path, commit) = (quote_text(path.as_bytes()), commit.to_string());
            let commit = &commit[..12];
            CliError::usage(format!("the content of `{path}` in {commit} is not here"))
                .hint(format!("`dits switch --detach {commit}`, then `dits fetch {path}` brings it"))
        }
        // That is not what the user asked about.
        Ok(None) | Err(_) => StoreError::Absent { digest: *chunk }.into(),
    }
}
