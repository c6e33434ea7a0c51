//! `dits show`

use std::ffi::OsString;

use dits_core::commit::Commit;
use dits_core::content::{copy_to, detect_if_here, detect_stored};
use dits_core::media::FileType;
use dits_core::object::{CommitId, Digest, ManifestId, ObjectKind, TagId, TreeId};
use dits_core::path::RepoPath;
use dits_core::revision::{Range, Resolved};
use dits_core::tag::Tag;
use dits_core::tree::{Content, Mode, Tree, TreeEntry};
use dits_core::worktree::WorkDirs;
use serde::Serialize;
use serde_json::{Value, json};

use crate::changes::json::ChangeJson;
use crate::changes::{Changes, Form, FormArgs, Item};
use crate::context::Context;
use crate::date::Moment;
use crate::error::CliError;
use crate::exit::Exit;
use crate::history::format::Formatter;
use crate::history::json::{CommitJson, Who};
use crate::history::options::FormatArgs;
use crate::output::color::COMMIT;
use crate::output::json::Bytes;
use crate::output::path::quote_text;
use crate::pathspec::Pathspecs;
use crate::repository::Opened;

/// Show a commit, a tag, a folder or a file of a version
///
/// A commit comes with what it changed; of a merge, only what is like none of its parents. `VERSION:FILE` writes the
/// file's content as it is stored.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits show                          the newest commit
  dits show v1 --stat                a version and how much it changed
  dits show HEAD~1:shots/a.mp4 > a.mp4   a file as it was
  dits show HEAD:shots/              the files of a folder")]
pub struct Args {
    /// What to show
    #[arg(value_name = "VERSION")]
    arguments: Vec<OsString>,
    /// Show only what changed in these files
    #[arg(last = true, value_name = "FILE")]
    paths: Vec<OsString>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    form: FormArgs,
}

/// What all parts need.
struct Show<'a> {
    cx: &'a Context,
    opened: &'a Opened,
    form: &'a Form,
    formatter: &'a Formatter<'a>,
    changes: Changes<'a>,
    paths: &'a Pathspecs,
}

#[derive(Serialize)]
struct CommitAnswer {
    kind: &'static str,
    #[serde(flatten)]
    commit: CommitJson,
    changes: Vec<ChangeJson>,
}

/// Shows them.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let form = args.form.resolve(opened.repo.config(), true)?;
    let given = opened.split(cx, &args.arguments, &args.paths)?;
    let paths = opened.select(&given.paths)?;
    let formatter = args.format.resolve(cx, &opened)?;
    let dirs: Option<WorkDirs> = opened.repo.worktree().is_ok().then(|| opened.repo.work_dirs()).transpose()?;
    let changes = Changes::new(cx, &opened, &form, dirs.as_ref())?;
    let show = Show { cx, opened: &opened, form: &form, formatter: &formatter, changes, paths: &paths };
    let mut objects = Vec::new();
    for range in &given.revisions {
        let Range::Single(revision) = range else {
            return Err(CliError::usage("`show` takes single versions").hint("`dits log -p A..B` shows a range"));
        };
        objects.push((revision.text.clone(), opened.repo.resolve_parsed(revision)?));
    }
    if objects.is_empty() {
        let (id, _) = opened.repo.head_commit()?;
        objects.push(("HEAD".to_owned(), Resolved::Object(ObjectKind::Commit, *id.digest())));
    }
    if cx.json() {
        let shown = objects.iter().map(|(_, object)| show.to_json(object)).collect::<Result<Vec<_>, _>>()?;
        cx.out().json("show", &json!({ "objects": shown }))?;
        return Ok(Exit::Ok);
    }
    for (number, (name, object)) in objects.iter().enumerate() {
        show.one(number > 0, name, object)?;
    }
    Ok(Exit::Ok)
}

impl Show<'_> {
    fn one(&self, further: bool, name: &str, object: &Resolved) -> Result<(), CliError> {
        match object {
            Resolved::Entry(_, TreeEntry { content: Content::Tree(tree), .. }) => self.tree(name, *tree),
            Resolved::Entry(path, entry) => self.file(path, entry),
            Resolved::Object(kind, digest) => match kind {
                ObjectKind::Tree => self.tree(name, TreeId::from_digest(*digest)),
                ObjectKind::Tag => self.tag(further, TagId::from_digest(*digest)),
                ObjectKind::Commit => self.commit(further, CommitId::from_digest(*digest)),
                _ => self.bytes(*kind, digest),
            },
        }
    }

    /// What a commit changed.
    fn items(&self, commit: &Commit) -> Result<Vec<Item>, CliError> {
        let store = self.opened.repo.store();
        let mut trees = Vec::new();
        for parent in &commit.parents {
            trees.push(Commit::read(store, *parent)?.tree);
        }
        let Some((first, others)) = trees.split_first() else {
            return self.changes.trees(None, Some(commit.tree), self.paths);
        };
        let mut items = self.changes.trees(Some(*first), Some(commit.tree), self.paths)?;
        // --stat of a merge says what it brought to the first parent, as in git.
        if self.form.stat || self.form.numstat || self.form.shortstat {
            return Ok(items);
        }
        for other in others {
            let differ = self.changes.trees(Some(*other), Some(commit.tree), self.paths)?;
            items.retain(|item| differ.iter().any(|other| other.path == item.path));
        }
        Ok(items)
    }

    fn commit(&self, further: bool, id: CommitId) -> Result<(), CliError> {
        self.cx.start_pager()?;
        let commit = Commit::read(self.opened.repo.store(), id)?;
        let spaced = self.formatter.format.is_spaced();
        let out = self.cx.out();
        if further && spaced {
            writeln!(out)?;
        }
        write!(out, "{}", self.formatter.text(id, &commit)?)?;
        let items = if self.form.shows() { self.items(&commit)? } else { Vec::new() };
        if !items.is_empty() && spaced {
            writeln!(out)?;
        }
        self.changes.print(&items)
    }

    fn tag(&self, further: bool, id: TagId) -> Result<(), CliError> {
        self.cx.start_pager()?;
        let tag = Tag::read(self.opened.repo.store(), id)?;
        let out = self.cx.out();
        if further {
            writeln!(out)?;
        }
        let when = Moment { seconds: tag.tagger.time, offset: tag.tagger.offset };
        writeln!(out, "{}", out.paint(COMMIT, format!("tag {}", tag.name)))?;
        writeln!(out, "Tagger: {} <{}>", tag.tagger.name, tag.tagger.email)?;
        writeln!(out, "Date:   {}\n", when.format(self.formatter.date, self.formatter.now))?;
        if !tag.message.trim().is_empty() {
            writeln!(out, "{}\n", tag.message.trim_end())?;
        }
        let name = self.opened.repo.short_id(&tag.target)?;
        self.one(false, &name, &Resolved::Object(tag.target_kind, tag.target))
    }

    fn tree(&self, name: &str, id: TreeId) -> Result<(), CliError> {
        self.cx.start_pager()?;
        let out = self.cx.out();
        writeln!(out, "{}\n", out.paint(COMMIT, format!("tree {name}")))?;
        for entry in Tree::open(self.opened.repo.store(), id)?.iter()? {
            let entry = entry?;
            let slash = if entry.mode == Mode::Directory { "/" } else { "" };
            writeln!(out, "{}{slash}", quote_text(&entry.name))?;
        }
        Ok(())
    }

    fn file(&self, path: &RepoPath, entry: &TreeEntry) -> Result<(), CliError> {
        let (store, out) = (self.opened.repo.store(), self.cx.out());
        if out.is_terminal() && entry.mode != Mode::Symlink {
            let found = detect_stored(store, &entry.content, entry.size).map_err(|error| error.in_file(path))?;
            if !found.is_text() && entry.size > 0 {
                let message = format!("`{path}` is no text ({}): it would garble the terminal", found.description());
                return Err(CliError::usage(message)
                    .hint("send it to a file: `dits show VERSION:FILE > FILE`")
                    .hint("`dits inspect VERSION:FILE` describes it"));
            }
            self.cx.start_pager()?;
        }
        self.copy(Some(path), &entry.content)
    }

    fn copy(&self, path: Option<&RepoPath>, content: &Content) -> Result<(), CliError> {
        let mut sink = Sink(self.cx);
        match copy_to(self.opened.repo.store(), content, &mut sink) {
            // A reader that went away is no failure of the store.
            Ok(()) => Ok(()),
            Err(dits_core::repo::RepoError::Io(error)) if error.op == "write" => Err(CliError::output(&error.source)),
            Err(error) => Err(match path {
                Some(path) => error.in_file(path).into(),
                None => error.into(),
            }),
        }
    }

    fn bytes(&self, kind: ObjectKind, digest: &Digest) -> Result<(), CliError> {
        match kind {
            ObjectKind::Manifest => self.copy(None, &Content::Manifest(ManifestId::from_digest(*digest))),
            _ => {
                use dits_core::object::ObjectRead;
                self.cx.out().write_bytes(&self.opened.repo.store().read(kind, digest)?)
            }
        }
    }

    fn to_json(&self, object: &Resolved) -> Result<Value, CliError> {
        let store = self.opened.repo.store();
        let value = match object {
            Resolved::Entry(path, entry) if !matches!(entry.content, Content::Tree(_)) => json!({
                "kind": "file",
                "path": Bytes::from(path),
                "mode": entry.mode.octal(),
                "size": entry.size,
                "type": detect_if_here(store, &entry.content, entry.size)?.map(FileType::name),
            }),
            Resolved::Entry(_, TreeEntry { content: Content::Tree(id), .. }) => self.tree_json(*id)?,
            Resolved::Object(ObjectKind::Tree, digest) => self.tree_json(TreeId::from_digest(*digest))?,
            Resolved::Object(ObjectKind::Commit, digest) => {
                let id = CommitId::from_digest(*digest);
                let commit = Commit::read(store, id)?;
                let changes = self.changes.json(&self.items(&commit)?, self.form.needs_content())?;
                let refs = self.formatter.decorations.names(id);
                let commit = CommitJson::new(&self.opened.repo, id, &commit, refs)?;
                to_value(&CommitAnswer { kind: "commit", commit, changes })
            }
            Resolved::Object(ObjectKind::Tag, digest) => {
                let tag = Tag::read(store, TagId::from_digest(*digest))?;
                json!({
                    "kind": "tag",
                    "id": digest.to_string(),
                    "name": tag.name,
                    "tagger": to_value(&Who::from(&tag.tagger)),
                    "message": tag.message,
                    "target": self.to_json(&Resolved::Object(tag.target_kind, tag.target))?,
                })
            }
            Resolved::Object(kind, digest) => json!({ "kind": kind.name(), "id": digest.to_string() }),
            Resolved::Entry(..) => Value::Null,
        };
        Ok(value)
    }

    fn tree_json(&self, id: TreeId) -> Result<Value, CliError> {
        let mut entries = Vec::new();
        for entry in Tree::open(self.opened.repo.store(), id)?.iter()? {
            let entry = entry?;
            entries.push(json!({ "name": Bytes(entry.name), "mode": entry.mode.octal(), "size": entry.size }));
        }
        Ok(json!({ "kind": "tree", "id": id.to_string(), "entries": entries }))
    }
}

fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("strings and numbers always have a JSON form")
}

/// Standard output as a stream; what it refuses comes out as the error it is.
struct Sink<'a>(&'a Context);

impl std::io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut outcome = Ok(());
        let written = self.0.out().io(|writer| {
            outcome = writer.write_all(bytes);
            Ok(())
        });
        outcome?;
        written.map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
