//! `dits cat-file`

use std::io;

use dits_core::commit::Commit;
use dits_core::content::{copy_to, if_here};
use dits_core::manifest::Manifest;
use dits_core::object::{ChunkId, CommitId, Digest, ManifestId, ObjectKind, ObjectRead, TagId, TreeId};
use dits_core::repo::{RepoError, Repository};
use dits_core::revision::Resolved;
use dits_core::signature::Signature;
use dits_core::store::StoreError;
use dits_core::tag::Tag;
use dits_core::tree::{Content, Tree};
use serde::Serialize;

use crate::absent;
use crate::content_id::{id_of, kind_of};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::output::path::{Quoting, quote, quote_text};

/// Show what is stored under an id or a name
///
/// OBJECT is an id or the beginning of one, a revision, or REVISION:PATH for a file of a version.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
#[command(after_help = "Examples:
  dits cat-file -t HEAD                   commit
  dits cat-file -p HEAD                   the commit as text
  dits cat-file -p HEAD:clip.mov >old.mov the content of a file
  dits cat-file -p 3f1c9a                 a chunk's bytes, a manifest's chunks, a folder's entries
  dits cat-file -e 3f1c9a && echo there")]
#[allow(clippy::struct_excessive_bools, reason = "they are options")]
pub struct Args {
    /// Its kind
    #[arg(short = 't', group = "what")]
    kind: bool,
    /// Its size in bytes
    #[arg(short = 's', group = "what")]
    size: bool,
    /// What it holds
    #[arg(short = 'p', group = "what")]
    print: bool,
    /// Only the exit code: whether it is there and whole
    #[arg(short = 'e', group = "what")]
    exists: bool,
    /// The object
    object: String,
}

/// What is shown: an object, or a file's content.
enum Shown {
    Object(ObjectKind, Digest),
    File(Content, u64),
}

/// Shows it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let repo = &opened.repo;
    let shown = match repo.resolve(&args.object) {
        Ok(Resolved::Object(kind, digest)) => Shown::Object(kind, digest),
        Ok(Resolved::Entry(_, entry)) => match entry.content {
            Content::Tree(id) => Shown::Object(ObjectKind::Tree, *id.digest()),
            content => Shown::File(content, entry.size),
        },
        Err(error) if args.exists && !error.is_corruption() => return Ok(Exit::Difference),
        Err(error) => return Err(error.into()),
    };
    if args.exists {
        return exists(repo, &shown);
    }
    match (cx.json(), &shown) {
        (true, _) => json(&args, cx, repo, &shown)?,
        (_, Shown::Object(kind, _)) if args.kind => writeln!(cx.out(), "{kind}")?,
        (_, Shown::File(content, _)) if args.kind => writeln!(cx.out(), "{}", kind_of(content))?,
        _ if args.size => writeln!(cx.out(), "{}", size(repo, &shown)?)?,
        (_, Shown::File(content, _)) => print_content(cx, repo, content)?,
        (_, Shown::Object(kind, digest)) => print(cx, repo, *kind, *digest)?,
    }
    Ok(Exit::Ok)
}

/// Reads it whole: damage is an error, also when only its presence is asked for.
fn exists(repo: &Repository, shown: &Shown) -> Result<Exit, CliError> {
    let here = match shown {
        Shown::Object(kind, digest) => if_here(repo.store().read(*kind, digest).map(drop).map_err(RepoError::from))?,
        Shown::File(content, _) => if_here(copy_to(repo.store(), content, &mut io::sink()))?,
    };
    Ok(if here.is_some() { Exit::Ok } else { Exit::Difference })
}

fn size(repo: &Repository, shown: &Shown) -> Result<u64, CliError> {
    match shown {
        Shown::File(_, size) => Ok(*size),
        Shown::Object(kind, digest) => {
            let bytes = repo.store().read(*kind, digest).map_err(|error| absent::explain(repo, error))?;
            Ok(bytes.len() as u64)
        }
    }
}

fn print_content(cx: &Context, repo: &Repository, content: &Content) -> Result<(), CliError> {
    let mut outcome = Ok(());
    cx.out().io(|out| {
        outcome = copy_to(repo.store(), content, out);
        Ok(())
    })?;
    outcome.map_err(|error| absent::explain(repo, error))
}

fn print(cx: &Context, repo: &Repository, kind: ObjectKind, digest: Digest) -> Result<(), CliError> {
    let read = repo.store();
    match kind {
        ObjectKind::Chunk => print_content(cx, repo, &Content::Chunk(ChunkId::from_digest(digest))),
        ObjectKind::Manifest => {
            for item in Manifest::open(read, ManifestId::from_digest(digest))?.iter_from(0)? {
                let (offset, chunk) = item?;
                writeln!(cx.out(), "{offset:>14} {:>9} {}", chunk.len, chunk.id)?;
            }
            Ok(())
        }
        ObjectKind::Tree => {
            for entry in Tree::open(read, TreeId::from_digest(digest))?.iter()? {
                let entry = entry?;
                let (mode, kind, id) = (entry.mode.octal(), kind_of(&entry.content), id_of(&entry.content));
                cx.out().write_bytes(format!("{mode} {kind} {id}\t").as_bytes())?;
                cx.out().write_bytes(&quote(&entry.name, Quoting::Odd))?;
                cx.out().write_bytes(b"\n")?;
            }
            Ok(())
        }
        ObjectKind::Commit => {
            writeln!(cx.out(), "{}", commit_text(&whole_commit(read, CommitId::from_digest(digest))?).trim_end())
        }
        ObjectKind::Tag => {
            let tag = Tag::read(read, TagId::from_digest(digest))?;
            let (target, kind, name, who) = (tag.target, tag.target_kind, &tag.name, person(&tag.tagger));
            writeln!(cx.out(), "object {target}\ntype {kind}\ntag {name}\ntagger {who}\n\n{}", tag.message.trim_end())
        }
        ObjectKind::Tombstone => writeln!(cx.out(), "tombstone"),
    }
}

/// A commit as it was written: with its parents, also where they are absent.
fn whole_commit(read: &dyn ObjectRead, id: CommitId) -> Result<Commit, StoreError> {
    Commit::from_bytes(id, &read.read(ObjectKind::Commit, id.digest())?)
}

fn commit_text(commit: &Commit) -> String {
    let mut text = format!("tree {}\n", commit.tree);
    commit.parents.iter().for_each(|parent| text.push_str(&format!("parent {parent}\n")));
    text.push_str(&format!("author {}\ncommitter {}\n", person(&commit.author), person(&commit.committer)));
    for (old, new) in &commit.moves {
        text.push_str(&format!("move {}\t{}\n", quote_text(old.as_bytes()), quote_text(new.as_bytes())));
    }
    text.push('\n');
    text.push_str(&commit.message);
    text
}

/// A person and a moment, as git writes them.
fn person(who: &Signature) -> String {
    let (sign, minutes) = (if who.offset < 0 { '-' } else { '+' }, who.offset.unsigned_abs());
    format!("{} <{}> {} {sign}{:02}{:02}", who.name, who.email, who.time, minutes / 60, minutes % 60)
}

#[derive(Serialize)]
struct Answer {
    kind: &'static str,
    id: String,
    size: u64,
    #[serde(flatten)]
    body: Option<Body>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body {
    Chunks { length: u64, chunks: Vec<Chunk> },
    Entries { entries: Vec<Entry> },
    Commit { tree: String, parents: Vec<String>, author: Person, committer: Person, message: String, moves: Vec<Move> },
    Tag { target: String, target_kind: &'static str, name: String, tagger: Person, message: String },
    Content { content: Bytes },
}

#[derive(Serialize)]
struct Chunk {
    offset: u64,
    length: u32,
    id: String,
}

#[derive(Serialize)]
struct Entry {
    name: Bytes,
    mode: &'static str,
    kind: &'static str,
    id: String,
    size: u64,
}

#[derive(Serialize)]
struct Person {
    name: String,
    email: String,
    time: i64,
    offset: i16,
}

#[derive(Serialize)]
struct Move {
    from: Bytes,
    to: Bytes,
}

impl From<Signature> for Person {
    fn from(who: Signature) -> Self {
        Self { name: who.name, email: who.email, time: who.time, offset: who.offset }
    }
}

fn json(args: &Args, cx: &Context, repo: &Repository, shown: &Shown) -> Result<(), CliError> {
    let (kind, id) = match shown {
        Shown::Object(kind, digest) => (kind.name(), *digest),
        Shown::File(content, _) => (kind_of(content), id_of(content)),
    };
    let body = match (args.print, shown) {
        (false, _) => None,
        (true, Shown::File(content, _)) => Some(content_body(repo, content)?),
        (true, Shown::Object(kind, digest)) => Some(object_body(repo, *kind, *digest)?),
    };
    cx.out().json("cat-file", &Answer { kind, id: id.to_string(), size: size(repo, shown)?, body })
}

fn content_body(repo: &Repository, content: &Content) -> Result<Body, CliError> {
    match content {
        Content::Manifest(id) => object_body(repo, ObjectKind::Manifest, *id.digest()),
        content => {
            let mut bytes = Vec::new();
            copy_to(repo.store(), content, &mut bytes).map_err(|error| absent::explain(repo, error))?;
            Ok(Body::Content { content: Bytes(bytes) })
        }
    }
}

fn object_body(repo: &Repository, kind: ObjectKind, digest: Digest) -> Result<Body, CliError> {
    let read = repo.store();
    Ok(match kind {
        ObjectKind::Manifest => {
            let manifest = Manifest::open(read, ManifestId::from_digest(digest))?;
            let mut chunks = Vec::new();
            for item in manifest.iter_from(0)? {
                let (offset, chunk) = item?;
                chunks.push(Chunk { offset, length: chunk.len, id: chunk.id.to_string() });
            }
            Body::Chunks { length: manifest.len(), chunks }
        }
        ObjectKind::Tree => {
            let entries = Tree::open(read, TreeId::from_digest(digest))?.entries()?.into_iter().map(|entry| Entry {
                mode: entry.mode.octal(),
                kind: kind_of(&entry.content),
                id: id_of(&entry.content).to_string(),
                size: entry.size,
                name: Bytes(entry.name),
            });
            Body::Entries { entries: entries.collect() }
        }
        ObjectKind::Commit => {
            let commit = whole_commit(read, CommitId::from_digest(digest))?;
            let moves = commit.moves.iter().map(|(from, to)| Move { from: from.into(), to: to.into() });
            Body::Commit {
                tree: commit.tree.to_string(),
                parents: commit.parents.iter().map(ToString::to_string).collect(),
                moves: moves.collect(),
                author: commit.author.into(),
                committer: commit.committer.into(),
                message: commit.message,
            }
        }
        ObjectKind::Tag => {
            let tag = Tag::read(read, TagId::from_digest(digest))?;
            Body::Tag {
                target: tag.target.to_string(),
                target_kind: tag.target_kind.name(),
                name: tag.name,
                tagger: tag.tagger.into(),
                message: tag.message,
            }
        }
        ObjectKind::Chunk | ObjectKind::Tombstone => {
            let bytes = read.read(kind, &digest).map_err(|error| absent::explain(repo, error))?;
            Body::Content { content: Bytes(bytes) }
        }
    })
}
