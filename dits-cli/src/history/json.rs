//! The JSON form of a commit, in `log` and `show`.

use dits_core::commit::Commit;
use dits_core::object::CommitId;
use dits_core::repo::Repository;
use dits_core::signature::Signature;
use serde::Serialize;

use crate::error::CliError;
use crate::output::json::Bytes;

/// A person and a moment.
#[derive(Serialize)]
pub struct Who {
    name: String,
    email: String,
    time: i64,
    offset: i16,
}

impl From<&Signature> for Who {
    fn from(who: &Signature) -> Self {
        Self { name: who.name.clone(), email: who.email.clone(), time: who.time, offset: who.offset }
    }
}

#[derive(Serialize)]
struct Move {
    from: Bytes,
    to: Bytes,
}

/// A commit.
#[derive(Serialize)]
pub struct CommitJson {
    id: String,
    short: String,
    parents: Vec<String>,
    tree: String,
    author: Who,
    committer: Who,
    message: String,
    refs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moves: Vec<Move>,
}

impl CommitJson {
    /// The JSON form, with the refs at the commit.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(repo: &Repository, id: CommitId, commit: &Commit, refs: Vec<String>) -> Result<Self, CliError> {
        Ok(Self {
            id: id.to_string(),
            short: repo.short_id(id.digest())?,
            parents: commit.parents.iter().map(ToString::to_string).collect(),
            tree: commit.tree.to_string(),
            author: (&commit.author).into(),
            committer: (&commit.committer).into(),
            message: commit.message.clone(),
            refs,
            moves: commit.moves.iter().map(|(from, to)| Move { from: from.into(), to: to.into() }).collect(),
        })
    }
}
