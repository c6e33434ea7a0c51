//! `dits log`

use std::ffi::OsString;

use dits_core::commit::Commit;
use dits_core::history::{Interest, Limited, Step, connected};
use dits_core::object::CommitId;
use dits_core::refs::RefStore;
use dits_core::store::StoreError;
use serde::Serialize;

use crate::changes::json::ChangeJson;
use crate::changes::{Changes, Form, FormArgs, Item};
use crate::context::Context;
use crate::date::Moment;
use crate::error::CliError;
use crate::exit::Exit;
use crate::history::format::{Format, Formatter};
use crate::history::graph::Graph;
use crate::history::json::CommitJson;
use crate::history::options::FormatArgs;
use crate::pathspec::Pathspecs;
use crate::repository::Opened;

/// Show the history
///
/// The commits that led to a version, newest first. With files, only those that changed them; of a merge, only a side
/// that has the files as they are is looked at, if there is one.
#[derive(Debug, clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:
  dits log --oneline --graph --all      all branches at a glance
  dits log -3 --stat                    the last three commits and what they changed
  dits log --follow shots/a.mp4         one file, also under its former names
  dits log main..cut                    what `cut` has that `main` has not
  dits log --since='2 weeks ago' --author=Ada --format='%h %ad %s' --date=short"
)]
pub struct Args {
    /// Versions, then files; -3 is short for -n 3
    #[arg(value_name = "VERSION|FILE")]
    arguments: Vec<OsString>,
    /// Files, behind `--`
    #[arg(last = true, value_name = "FILE")]
    paths: Vec<OsString>,
    /// Show so many commits at most
    #[arg(short = 'n', long, value_name = "COUNT")]
    max_count: Option<usize>,
    /// Leave out so many first
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    skip: usize,
    /// Draw the lines of history
    #[arg(long, conflicts_with = "reverse")]
    graph: bool,
    /// Do not mix commits of lines that went apart
    #[arg(long)]
    topo_order: bool,
    /// Oldest first
    #[arg(long)]
    reverse: bool,
    /// Begin at all branches, tags and HEAD
    #[arg(long)]
    all: bool,
    /// Of merges, follow only the side they were made on
    #[arg(long)]
    first_parent: bool,
    /// Follow one file through renames
    #[arg(long)]
    follow: bool,
    /// Only merges
    #[arg(long, conflicts_with = "no_merges")]
    merges: bool,
    /// No merges
    #[arg(long)]
    no_merges: bool,
    /// Only commits whose author has this in name or address (may be repeated)
    #[arg(long, value_name = "TEXT")]
    author: Vec<String>,
    /// Only commits with this in the message (may be repeated)
    #[arg(long, value_name = "TEXT")]
    grep: Vec<String>,
    /// --author and --grep do not tell capitals from small letters
    #[arg(short = 'i', long)]
    ignore_case: bool,
    /// Only commits since then: a date, or `2 weeks ago`
    #[arg(long, visible_alias = "after", value_name = "DATE")]
    since: Option<String>,
    /// Only commits until then
    #[arg(long, visible_alias = "before", value_name = "DATE")]
    until: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    form: FormArgs,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    commit: CommitJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeJson>>,
}

/// Which commits are shown of those that are walked over.
struct Filter {
    author: Vec<String>,
    grep: Vec<String>,
    ignore_case: bool,
    since: Option<i64>,
    until: Option<i64>,
    merges: Option<bool>,
}

/// Shows it.
pub fn run(mut args: Args, cx: &Context) -> Result<Exit, CliError> {
    args.take_counts();
    let opened = cx.open()?;
    let form = args.form.resolve(opened.repo.config(), false)?;
    let given = opened.split(cx, &args.arguments, &args.paths)?;
    let paths = opened.select(&given.paths)?;
    let (mut tips, hidden) = opened.repo.resolve_ranges(&given.revisions)?;
    if args.all {
        tips.extend(all_tips(&opened)?);
    } else if tips.is_empty() {
        tips.push(opened.repo.head_commit()?.0);
    }
    let interest = interest(&args, &paths, &form)?;
    let walk = Limited::new(opened.repo.store(), &tips, &hidden, interest, args.first_parent)?;
    let filter = Filter::new(&args, cx)?;
    let filtered = walk.map(|step| {
        step.map(|mut step| {
            step.shown = step.shown && filter.takes(&step.commit);
            step
        })
    });
    let dirs = opened.repo.worktree().is_ok().then(|| opened.repo.work_dirs()).transpose()?;
    let formatter = args.format.resolve(cx, &opened)?;
    let changes = Changes::new(cx, &opened, &form, dirs.as_ref())?;
    cx.start_pager()?;
    let mut log = Log {
        cx,
        opened: &opened,
        form: &form,
        formatter: &formatter,
        changes: &changes,
        paths: &paths,
        first_parent: args.first_parent,
        graph: args.graph.then(Graph::default),
        between: None,
    };
    args.emit(filtered, &mut |step| log.show(&step))?;
    // As in git: in this form line breaks stand between commits only, unless a person would be left beside the text.
    if log.between.is_some() && matches!(formatter.format, Format::Template(_, false)) && cx.out().is_terminal() {
        writeln!(cx.out())?;
    }
    Ok(Exit::Ok)
}

impl Args {
    /// `-3` comes as an argument that is a negative number.
    fn take_counts(&mut self) {
        let count = |argument: &OsString| argument.to_str()?.strip_prefix('-')?.parse().ok();
        self.max_count = self.arguments.iter().rev().find_map(count).or(self.max_count);
        self.arguments.retain(|argument| count(argument).is_none());
    }

    /// Brings commits into order and hands over those that are wanted.
    fn emit(
        &self,
        walk: impl Iterator<Item = Result<Step, StoreError>>,
        show: &mut dyn FnMut(Step) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let most = self.max_count.unwrap_or(usize::MAX);
        if self.graph || self.topo_order {
            let steps = connected(walk.collect::<Result<_, _>>()?);
            let mut wanted: Vec<Step> = steps.into_iter().skip(self.skip).take(most).collect();
            if self.reverse {
                wanted.reverse();
            }
            return wanted.into_iter().try_for_each(show);
        }
        let mut wanted = walk.filter(|step| step.as_ref().map_or(true, |step| step.shown)).skip(self.skip).take(most);
        if self.reverse {
            let mut all: Vec<Step> = wanted.collect::<Result<_, _>>()?;
            all.reverse();
            return all.into_iter().try_for_each(show);
        }
        wanted.try_for_each(|step| show(step?))
    }
}

fn interest<'p>(args: &Args, paths: &'p Pathspecs, form: &Form) -> Result<Interest<'p>, CliError> {
    if args.follow {
        let names = paths.names()?;
        let [path] = &names[..] else { return Err(CliError::usage("--follow takes one file")) };
        // Following means finding renames, whatever --no-renames says of how changes are shown.
        return Ok(Interest::Follow(path.clone(), form.renames.unwrap_or_default()));
    }
    Ok(if paths.is_all() { Interest::All } else { Interest::Paths(paths) })
}

fn all_tips(opened: &Opened) -> Result<Vec<CommitId>, CliError> {
    let mut tips = Vec::new();
    tips.extend(opened.repo.head()?.commit());
    for (name, _) in opened.repo.refs().list("refs/")? {
        // A tag may name a file or folder; that has no history.
        tips.extend(opened.repo.resolve_commit(name.as_str()).ok());
    }
    Ok(tips)
}

impl Filter {
    fn new(args: &Args, cx: &Context) -> Result<Self, CliError> {
        let now = cx.now()?;
        let seconds = |text: &Option<String>| -> Result<Option<i64>, CliError> {
            Ok(text.as_deref().map(|text| Moment::parse(text, now)).transpose()?.map(|moment| moment.seconds))
        };
        Ok(Self {
            author: args.author.clone(),
            grep: args.grep.clone(),
            ignore_case: args.ignore_case,
            since: seconds(&args.since)?,
            until: seconds(&args.until)?,
            merges: if args.merges { Some(true) } else { args.no_merges.then_some(false) },
        })
    }

    fn takes(&self, commit: &Commit) -> bool {
        let author = || format!("{} <{}>", commit.author.name, commit.author.email);
        let time = commit.committer.time;
        self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time <= until)
            && self.merges.is_none_or(|merges| merges == (commit.parents.len() > 1))
            && (self.author.is_empty() || self.has(&author(), &self.author))
            && (self.grep.is_empty() || self.has(&commit.message, &self.grep))
    }

    fn has(&self, text: &str, wanted: &[String]) -> bool {
        match self.ignore_case {
            true => wanted.iter().any(|wanted| text.to_lowercase().contains(&wanted.to_lowercase())),
            false => wanted.iter().any(|wanted| text.contains(wanted)),
        }
    }
}

/// What all commits need.
struct Log<'a> {
    cx: &'a Context,
    opened: &'a Opened,
    form: &'a Form,
    formatter: &'a Formatter<'a>,
    changes: &'a Changes<'a>,
    paths: &'a Pathspecs,
    first_parent: bool,
    graph: Option<Graph>,
    /// What stands beside the line between two commits, once there was one.
    between: Option<String>,
}

impl Log<'_> {
    fn show(&mut self, step: &Step) -> Result<(), CliError> {
        let items = if self.form.shows() { self.items(step)? } else { Vec::new() };
        if self.cx.json() {
            let refs = self.formatter.decorations.names(step.id);
            let commit = CommitJson::new(&self.opened.repo, step.id, &step.commit, refs)?;
            let details = self.form.needs_content();
            let changes = self.form.shows().then(|| self.changes.json(&items, details)).transpose()?;
            return self.cx.out().json_line("log", &Line { commit, changes });
        }
        let mut text = self.formatter.text(step.id, &step.commit)?.into_bytes();
        if !items.is_empty() {
            if !text.ends_with(b"\n") {
                text.push(b'\n');
            }
            if self.formatter.format.is_spaced() {
                text.push(b'\n');
            }
            self.changes.write(&items, &mut text)?;
        }
        self.put(step, &text)
    }

    /// What a commit changed, as far as it is shown: of a merge nothing, unless only first parents are followed.
    fn items(&self, step: &Step) -> Result<Vec<Item>, CliError> {
        let parents = &step.commit.parents;
        if parents.len() > 1 && !self.first_parent {
            return Ok(Vec::new());
        }
        let old = match parents.first() {
            Some(parent) => Some(Commit::read(self.opened.repo.store(), *parent)?.tree),
            None => None,
        };
        let Some((path, _)) = &step.path else { return self.changes.trees(old, Some(step.commit.tree), self.paths) };
        let mut items = self.changes.trees(old, Some(step.commit.tree), &Pathspecs::default())?;
        items.retain(|item| item.path == *path);
        Ok(items)
    }

    /// Writes a commit, beside the graph if there is one.
    fn put(&mut self, step: &Step, text: &[u8]) -> Result<(), CliError> {
        let out = self.cx.out();
        let spaced = self.formatter.format.is_spaced() || matches!(self.formatter.format, Format::Template(_, false));
        if let Some(padding) = self.between.take().filter(|_| spaced) {
            writeln!(out, "{}", padding.trim_end())?;
        }
        let Some(graph) = &mut self.graph else {
            self.between = Some(String::new());
            return out.write_bytes(text);
        };
        let rows = graph.commit(step.id, &step.followed, '*');
        for row in &rows.before {
            writeln!(out, "{}", row.trim_end())?;
        }
        let mut after = rows.after.iter();
        let whole = text.strip_suffix(b"\n").unwrap_or(text);
        for (number, line) in whole.split(|byte| *byte == b'\n').enumerate() {
            let beside = if number == 0 { &rows.commit } else { after.next().unwrap_or(&rows.padding) };
            let beside = if line.is_empty() { beside.trim_end() } else { beside };
            out.write_bytes(&[beside.as_bytes(), line, b"\n"].concat())?;
        }
        for row in after {
            writeln!(out, "{}", row.trim_end())?;
        }
        self.between = Some(rows.padding);
        Ok(())
    }
}
