//! `dits tag`

use dits_core::object::{Digest, ObjectKind, TagId};
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, TAGS, Target};
use dits_core::repo::{RepoError, Repository};
use dits_core::revision::Resolved;
use dits_core::tag::Tag;
use dits_core::tree::{Content, TreeEntry};
use serde::Serialize;

use crate::context::Context;
use crate::editor;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identity::Role;
use crate::moves;
use crate::output::table::{Align, pad};
use crate::repository::Opened;

/// Give versions names that stay
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits tag                              list them
  dits tag -n                           with the first lines of their messages
  dits tag v1.0                         name the last commit
  dits tag -a v1.0 -m 'As delivered'    with a message, who and when
  dits tag v0.9 HEAD~3                  name an older one
  dits tag -d v1.0                      delete one")]
pub struct Args {
    /// The tag, then the version; or the tags to delete, or the patterns to list
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Record a message, who and when
    #[arg(short, long)]
    annotate: bool,
    /// The message; several become paragraphs (implies -a)
    #[arg(short, long = "message", value_name = "MESSAGE")]
    messages: Vec<String>,
    /// A file with the message (implies -a); `-` is standard input
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "messages")]
    file: Option<std::path::PathBuf>,
    /// List those whose names match the patterns
    #[arg(short, long)]
    list: bool,
    /// Delete tags
    #[arg(short, long, conflicts_with_all = ["annotate", "messages", "list"])]
    delete: bool,
    /// Replace a tag that exists
    #[arg(short, long)]
    force: bool,
    /// List with the first line, or N lines, of the message
    #[arg(short = 'n', value_name = "N", num_args = 0..=1, require_equals = false, default_missing_value = "1")]
    lines: Option<usize>,
    /// List those that are at this version
    #[arg(long, value_name = "REV", num_args = 0..=1, default_missing_value = "HEAD")]
    points_at: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    action: &'static str,
    tags: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    /// What the ref names: the tag object, or the version itself.
    id: String,
    target: String,
    target_kind: &'static str,
    annotated: bool,
    message: Option<String>,
}

/// Does what the options say.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    if args.delete {
        return delete(&opened, cx, &args);
    }
    if args.list || args.lines.is_some() || args.points_at.is_some() || args.names.is_empty() {
        return list(&opened, cx, &args);
    }
    create(&opened, cx, &args)
}

fn create(opened: &Opened, cx: &Context, args: &Args) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let (name, revision) = match &args.names[..] {
        [name] => (name, "HEAD".to_owned()),
        [name, revision] => (name, moves::expand(repo, revision)?),
        _ => return Err(CliError::usage("a tag has one name and names one version")),
    };
    let full = RefName::tag(name).map_err(RepoError::from)?;
    let old = repo.refs().read(&full).map_err(RepoError::from)?;
    if old.is_some() && !args.force {
        return Err(CliError::from(RepoError::RefExists { kind: "tag", name: name.clone() })
            .hint("tags are meant to stay; `-f` replaces it all the same"));
    }
    let (kind, target) = object(repo, &revision)?;
    let annotated = args.annotate || !args.messages.is_empty() || args.file.is_some();
    let _held = repo.hold(&[(kind, target)])?;
    let digest = if annotated { write_tag(opened, cx, args, name, kind, target)? } else { target };
    let expected = old.clone().map_or(Expected::Absent, Expected::Is);
    let edit = RefEdit::set(full, expected, Target::Id(digest));
    repo.refs().transaction(vec![edit]).map_err(RepoError::from)?;
    if cx.json() {
        let listed = describe(repo, name, digest)?;
        cx.out().json("tag", &Answer { action: "created", tags: vec![listed] })?;
    } else if let (Some(Target::Id(was)), false) = (&old, cx.quiet())
        && *was != digest
    {
        writeln!(cx.out(), "Updated tag '{name}' (was {})", repo.short_id(was)?)?;
    }
    Ok(Exit::Ok)
}

/// The object that a revision names; a path in a version counts too.
fn object(repo: &Repository, revision: &str) -> Result<(ObjectKind, Digest), CliError> {
    match repo.resolve(revision)? {
        Resolved::Object(kind, digest) => Ok((kind, digest)),
        Resolved::Entry(_, TreeEntry { content, .. }) => match content {
            Content::Tree(id) => Ok((ObjectKind::Tree, *id.digest())),
            Content::Chunk(id) => Ok((ObjectKind::Chunk, *id.digest())),
            Content::Manifest(id) => Ok((ObjectKind::Manifest, *id.digest())),
            _ => Err(CliError::usage(format!("`{revision}` has no object of its own that could be tagged"))),
        },
    }
}

fn write_tag(
    opened: &Opened,
    cx: &Context,
    args: &Args,
    name: &str,
    target_kind: ObjectKind,
    target: Digest,
) -> Result<Digest, CliError> {
    let message = message(opened, cx, args, name)?;
    if message.is_empty() {
        return Err(CliError::usage("the message is empty, so no tag was made").hint("give one with `-m MESSAGE`"));
    }
    let tagger = opened.signature(cx, Role::Committer)?;
    let tag = Tag { target, target_kind, name: name.to_owned(), tagger, message, signature: None, extensions: vec![] };
    let writer = opened.repo.writer()?;
    let id = tag.write(&writer).map_err(RepoError::from)?;
    writer.finish().map_err(RepoError::from)?;
    Ok(*id.digest())
}

fn message(opened: &Opened, cx: &Context, args: &Args, name: &str) -> Result<String, CliError> {
    use dits_core::durable::IoContext;
    if !args.messages.is_empty() {
        return Ok(editor::clean_given(&args.messages.join("\n\n")));
    }
    match &args.file {
        Some(file) if file.as_os_str() == "-" => {
            Ok(editor::clean_given(&std::io::read_to_string(std::io::stdin()).at("read", file)?))
        }
        Some(file) => Ok(editor::clean_given(&std::fs::read_to_string(cx.cwd.join(file)).at("read", file)?)),
        None => {
            let command = editor::choose(&cx.env, opened.repo.config())?;
            let template = format!("\n# The message of the tag {name}. Lines that begin with # do not count.\n");
            editor::edit(&command, &opened.repo.layout().private.join("TAG_EDITMSG"), &template)
        }
    }
}

fn delete(opened: &Opened, cx: &Context, args: &Args) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    if args.names.is_empty() {
        return Err(CliError::usage("which tag? name at least one"));
    }
    let mut edits = Vec::new();
    let mut gone = Vec::new();
    for name in &args.names {
        let full = RefName::tag(name).map_err(RepoError::from)?;
        let Some(Target::Id(digest)) = repo.refs().read(&full).map_err(RepoError::from)? else {
            return Err(
                CliError::new(Exit::Difference, format!("there is no tag `{name}`")).hint("`dits tag` lists the tags")
            );
        };
        gone.push(describe(repo, name, digest)?);
        edits.push(RefEdit::delete(full, Expected::Is(Target::Id(digest))));
    }
    repo.refs().transaction(edits).map_err(RepoError::from)?;
    if cx.json() {
        cx.out().json("tag", &Answer { action: "deleted", tags: gone })?;
        return Ok(Exit::Ok);
    }
    for tag in gone.iter().filter(|_| !cx.quiet()) {
        writeln!(cx.out(), "Deleted tag '{}' (was {})", tag.name, &tag.id[..7])?;
    }
    Ok(Exit::Ok)
}

fn list(opened: &Opened, cx: &Context, args: &Args) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let at = args.points_at.as_ref().map(|text| object(repo, text)).transpose()?.map(|(_, digest)| digest.to_string());
    let mut tags = Vec::new();
    for (full, target) in repo.refs().list(TAGS).map_err(RepoError::from)? {
        let Target::Id(digest) = target else { continue };
        let name = full.short();
        if args.names.is_empty() || args.names.iter().any(|pattern| super::glob(pattern, name)) {
            let tag = describe(repo, name, digest)?;
            if at.as_ref().is_none_or(|at| *at == tag.id || *at == tag.target) {
                tags.push(tag);
            }
        }
    }
    if cx.json() {
        cx.out().json("tag", &Answer { action: "listed", tags })?;
        return Ok(Exit::Ok);
    }
    cx.start_pager()?;
    for tag in tags {
        let message = tag.message.unwrap_or_default();
        let mut lines = message.lines().take(args.lines.unwrap_or(0));
        match lines.next() {
            Some(first) => writeln!(cx.out(), "{} {first}", pad(&tag.name, 15, Align::Left))?,
            None => writeln!(cx.out(), "{}", tag.name)?,
        }
        lines.try_for_each(|line| writeln!(cx.out(), "    {line}"))?;
    }
    Ok(Exit::Ok)
}

fn describe(repo: &Repository, name: &str, digest: Digest) -> Result<Listed, RepoError> {
    let info = repo.store().meta.info(&digest)?;
    let kind = info.map_or(ObjectKind::Commit, |info| info.kind);
    let (target, target_kind, message) = match kind {
        ObjectKind::Tag => {
            let tag = Tag::read(repo.store(), TagId::from_digest(digest))?;
            (tag.target, tag.target_kind, Some(tag.message))
        }
        ObjectKind::Commit => {
            let id = dits_core::object::CommitId::from_digest(digest);
            (digest, kind, Some(dits_core::commit::Commit::read(repo.store(), id)?.message))
        }
        other => (digest, other, None),
    };
    Ok(Listed {
        name: name.to_owned(),
        id: digest.to_string(),
        target: target.to_string(),
        target_kind: target_kind.name(),
        annotated: kind == ObjectKind::Tag,
        message,
    })
}
