//! `dits reflog`

use clap::Subcommand;
use dits_core::refs::{LogEntry, RefName, RefStore};
use dits_core::repo::{RepoError, Repository};
use serde::Serialize;

use crate::context::Context;
use crate::date::Moment;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::color;
use crate::output::size::plural;
use crate::repository::Opened;

/// See where branches and HEAD have been
///
/// Every commit, switch, reset and merge leaves a line. `HEAD@{1}` names where HEAD was before the last of them, and
/// `main@{2}` where a branch was: lost work is found here.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  dits reflog                        where HEAD has been
  dits reflog main -n 5              the last five moves of a branch
  dits reset --hard HEAD@{1}         go back one
  dits reflog expire --expire=30d --all   forget what is older"
)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    show: Show,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the log of a branch or HEAD
    Show(Show),
    /// Forget old lines
    Expire(Expire),
    /// Say by the exit code whether there is a log: 0 or 1
    Exists {
        /// The branch, tag or HEAD
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The branch; HEAD if there is none
    #[arg(value_name = "REF")]
    name: Option<String>,
    /// At most so many lines
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    count: Option<usize>,
}

#[derive(Debug, clap::Args)]
struct Expire {
    /// The branches, or HEAD
    #[arg(value_name = "REF", required_unless_present = "all")]
    names: Vec<String>,
    /// All logs but that of the stash
    #[arg(long)]
    all: bool,
    /// Forget lines older than this: `30d`, `2 weeks ago`, a date, `now`, `never` (default: gc.reflogExpire)
    #[arg(long, value_name = "TIME")]
    expire: Option<String>,
    /// Only say how many lines would go
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    #[serde(rename = "ref")]
    full: String,
    entries: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    number: usize,
    old: Option<String>,
    new: Option<String>,
    name: String,
    email: String,
    time: i64,
    offset: i16,
    message: String,
}

#[derive(Serialize)]
struct Expired {
    dry_run: bool,
    logs: Vec<ExpiredLog>,
}

#[derive(Serialize)]
struct ExpiredLog {
    #[serde(rename = "ref")]
    full: String,
    removed: usize,
}

/// Does what was asked.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    match args.action {
        None => show(&opened, cx, &args.show),
        Some(Action::Show(args)) => show(&opened, cx, &args),
        Some(Action::Expire(args)) => expire(&opened, cx, &args),
        Some(Action::Exists { name }) => exists(&opened, cx, &name),
    }
}

fn find(repo: &Repository, name: &str) -> Result<RefName, CliError> {
    if let Some(found) = repo.ref_named(name)? {
        return Ok(found);
    }
    // A branch without commits has no ref yet, and HEAD then leads nowhere, but may have a log.
    let logs = repo.refs().logs().map_err(RepoError::from)?;
    let named = logs.into_iter().find(|log| log.as_str() == name || log.as_branch() == Some(name));
    match named {
        Some(found) => Ok(found),
        None if name == "HEAD" => Ok(RefName::head()),
        None => Err(CliError::new(Exit::Difference, format!("`{name}` is no branch or tag, and has no log"))
            .hint("`dits branch` lists the branches")),
    }
}

fn show(opened: &Opened, cx: &Context, args: &Show) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let name = args.name.as_deref().unwrap_or("HEAD");
    let full = find(repo, name)?;
    let entries = repo.refs().log(&full, args.count.unwrap_or(usize::MAX)).map_err(RepoError::from)?;
    if cx.json() {
        let entries = entries.into_iter().enumerate().map(|(number, entry)| line(number, entry)).collect();
        cx.out().json("reflog", &Answer { full: full.to_string(), entries })?;
        return Ok(Exit::Ok);
    }
    cx.start_pager()?;
    for (number, entry) in entries.iter().enumerate() {
        let id = entry.new.map(|digest| repo.short_id(&digest)).transpose()?.unwrap_or_else(|| "0".repeat(7));
        let id = cx.out().paint(color::COMMIT, id);
        writeln!(cx.out(), "{id} {name}@{{{number}}}: {}", entry.message)?;
    }
    Ok(Exit::Ok)
}

fn line(number: usize, entry: LogEntry) -> Line {
    let text = |id: Option<dits_core::object::Digest>| id.map(|id| id.to_string());
    Line {
        number,
        old: text(entry.old),
        new: text(entry.new),
        name: entry.who.name,
        email: entry.who.email,
        time: entry.who.time,
        offset: entry.who.offset,
        message: entry.message,
    }
}

fn exists(opened: &Opened, cx: &Context, name: &str) -> Result<Exit, CliError> {
    let found = match find(&opened.repo, name) {
        Ok(full) => !opened.repo.refs().log(&full, 1).map_err(RepoError::from)?.is_empty(),
        Err(_) => false,
    };
    if cx.json() {
        cx.out().json("reflog", &serde_json::json!({ "exists": found }))?;
    }
    Ok(if found { Exit::Ok } else { Exit::Difference })
}

fn expire(opened: &Opened, cx: &Context, args: &Expire) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let cutoff = cutoff(repo, cx, args.expire.as_deref())?;
    let names = match args.all {
        true => {
            repo.refs().logs().map_err(RepoError::from)?.into_iter().filter(|log| *log != RefName::stash()).collect()
        }
        false => args.names.iter().map(|name| find(repo, name)).collect::<Result<Vec<_>, _>>()?,
    };
    let mut logs = Vec::new();
    for full in names {
        let stays = |entry: &LogEntry| cutoff.is_none_or(|cutoff| entry.who.time >= cutoff);
        let removed = if args.dry_run {
            let entries = repo.refs().log(&full, usize::MAX).map_err(RepoError::from)?;
            entries.iter().filter(|entry| !stays(entry)).count()
        } else {
            repo.refs().expire_log(&full, &mut |entry| stays(entry)).map_err(RepoError::from)?
        };
        logs.push(ExpiredLog { full: full.to_string(), removed });
    }
    let total: usize = logs.iter().map(|log| log.removed).sum();
    if cx.json() {
        cx.out().json("reflog", &Expired { dry_run: args.dry_run, logs })?;
    } else {
        let verb = if args.dry_run { "would be removed" } else { "removed" };
        cx.note(format!("{} {verb}", plural(total as u64, "line", "lines")));
    }
    Ok(Exit::Ok)
}

/// Lines before this go; `None` keeps all.
fn cutoff(repo: &Repository, cx: &Context, given: Option<&str>) -> Result<Option<i64>, CliError> {
    let now = cx.now()?;
    let ago = |duration: std::time::Duration| {
        now.seconds.saturating_sub(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
    };
    match given {
        None => Ok(repo.config().get_duration("gc.reflogExpire").map_err(RepoError::from)?.map(ago)),
        Some("never") => Ok(None),
        // Everything, also what was logged in this very second.
        Some("now" | "all") => Ok(Some(i64::MAX)),
        Some(text) => match dits_core::config::parse_duration(text) {
            Some(duration) => Ok(Some(ago(duration))),
            None => Ok(Some(Moment::parse(text, now)?.seconds)),
        },
    }
}
