//! Commits for tests, made without a worktree.

use dits_core::commit::Commit;
use dits_core::object::{ChunkId, CommitId, ObjectKind, ObjectWrite};
use dits_core::path::RepoPath;
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::Repository;
use dits_core::signature::Signature;
use dits_core::tree::{self, Content, Mode};

/// A commit whose files are these, each with one byte.
pub fn commit(repo: &Repository, parents: &[CommitId], files: &[(&str, u8)]) -> CommitId {
    let writer = repo.writer().unwrap();
    let entries = files.iter().map(|(path, byte)| {
        let path = RepoPath::parse(path.as_bytes()).unwrap();
        let chunk = writer.write(ObjectKind::Chunk, &[*byte]).unwrap();
        (path, Mode::File, 1, Content::Chunk(ChunkId::from_digest(chunk)))
    });
    let tree = tree::from_paths(entries, &writer).unwrap();
    let who = Signature::new("Ada", "ada@example.org", 1_767_323_045, 0).unwrap();
    let commit = Commit::new(parents.to_vec(), tree, who.clone(), who, "forged\n".to_owned());
    let id = commit.write(&writer).unwrap();
    writer.finish().unwrap();
    id
}

/// Points a branch at a commit.
pub fn set(repo: &Repository, branch: &str, commit: CommitId) {
    let name = RefName::branch(branch).unwrap();
    let edit = RefEdit::set(name, Expected::Any, Target::Id(*commit.digest()));
    repo.refs().transaction(vec![edit]).unwrap();
}
