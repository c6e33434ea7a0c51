//! `dits locks`

use std::ffi::OsString;
use std::time::Duration;

use dits_core::lock::{CloneId, LocalLocks, Lock, LockKey, local};
use dits_core::lockfile::{FileLock, LockError};
use dits_core::path::RepoPath;
use dits_core::worktree::{Everything, Loosen, Protected};
use serde::Serialize;

use crate::context::Context;
use crate::date::Moment;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::desk::{Desk, tell_damage};
use crate::locking::show::{self, LockJson};
use crate::locking::table;
use crate::locking::take::PATIENCE;
use crate::output::json::Bytes;
use crate::output::size::plural;
use crate::output::table::{Align, Table};
use crate::pathspec::Pathspecs;
use crate::repository::Opened;

/// List who has locked what
///
/// The server is asked for what has changed since the last time; not at all while `dits locks --watch` or a mount of this
/// clone follows the changes, or with --cached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits locks                  all
  dits locks --mine           what you have in this clone
  dits locks shots/010        below a folder
  dits locks --watch          goes on, with each change, until Ctrl-C
  dits locks --apply          makes files read-only or writable, as rules and locks have it now

`dits help locking` tells what locks are for.")]
pub struct Args {
    /// Only these files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// The same
    #[arg(long = "path", value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    named: Vec<OsString>,
    /// Only yours, in this clone
    #[arg(long, conflicts_with = "theirs")]
    mine: bool,
    /// Only those of others, and yours in other clones
    #[arg(long)]
    theirs: bool,
    /// Follow the changes until Ctrl-C
    #[arg(short, long, conflicts_with_all = ["cached", "apply"])]
    watch: bool,
    /// Ask nobody: what was last seen
    #[arg(long)]
    cached: bool,
    /// Make files read-only or writable as `.ditsattributes` and locks have it now, also after rules were changed by hand
    #[arg(long)]
    apply: bool,
}

#[derive(Serialize)]
struct Answer {
    remote: String,
    /// Who the server takes you for; null before it was ever asked.
    you: Option<String>,
    /// When the server was last asked.
    seen: Option<i64>,
    locks: Vec<LockJson>,
    /// Files that were made editable and are not locked yet.
    offline: Vec<Bytes>,
    /// Locks that this clone had and has no more.
    lost: Vec<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<AppliedJson>,
}

#[derive(Serialize)]
struct AppliedJson {
    read_only: Vec<Bytes>,
    writable: Vec<Bytes>,
}

/// Lists.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let desk = Desk::open(&opened, cx)?;
    let given: Vec<OsString> = args.paths.iter().chain(&args.named).cloned().collect();
    let list = List { desk: &desk, specs: opened.select(&given)?, mine: args.mine, theirs: args.theirs };
    if args.watch {
        return list.watch();
    }
    let fresh = args.cached || table::is_followed(&opened.repo, &desk.remote.name);
    let asked = if fresh { Ok(()) } else { refresh(&desk) };
    let applied = if args.apply { Some(opened.repo.protect(&Everything, Loosen::All)?) } else { None };
    let state = desk.state()?;
    if asked.is_err() && !cx.json() {
        let seen = state.seen.as_ref().map(|seen| Moment { seconds: seen.at, offset: 0 });
        cx.note(match seen {
            Some(seen) => format!("as of {}:", seen.format(crate::date::DateStyle::Relative, cx.now()?)),
            None => "nothing is known from before:".to_owned(),
        });
    }
    list.show(&state, applied.as_ref(), false)?;
    cx.out().flush()?;
    asked.map(|()| Exit::Ok)
}

/// Asks for what has changed.
fn refresh(desk: &Desk<'_>) -> Result<(), CliError> {
    let state = desk.state()?;
    let progress = desk.cx.progress();
    let (news, _) = desk.peer.talk(&progress, |client, progress| table::ask(client, &state, 0, desk.now, progress))?;
    drop(progress);
    keep(desk, news)
}

fn keep(desk: &Desk<'_>, news: local::News) -> Result<(), CliError> {
    if let Some(damage) = table::take(&desk.opened.repo, &desk.remote.name, news)? {
        tell_damage(&damage, desk.cx);
    }
    Ok(())
}

/// What is to be listed.
struct List<'a> {
    desk: &'a Desk<'a>,
    specs: Pathspecs,
    mine: bool,
    theirs: bool,
}

impl List<'_> {
    fn us(&self) -> CloneId {
        self.desk.place.clone
    }

    fn locks<'s>(&self, state: &'s LocalLocks) -> Vec<&'s Lock> {
        let all = state.seen.iter().flat_map(|seen| seen.locks.values().flatten());
        let wanted = |lock: &&Lock| match lock.holder.clone == self.us() {
            true => !self.theirs,
            false => !self.mine,
        };
        let stands = |lock: &&Lock| !lock.is_over(self.desk.now);
        let mut found: Vec<&Lock> =
            all.filter(wanted).filter(stands).filter(|lock| self.specs.matches(&lock.path, false)).collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// Of files that are marked here and not there.
    fn offline<'s>(&self, state: &'s LocalLocks) -> Vec<&'s RepoPath> {
        state.offline.values().filter(|path| !self.theirs && self.specs.matches(path, false)).collect()
    }

    fn lost<'s>(&self, state: &'s LocalLocks) -> Vec<&'s RepoPath> {
        let Some(seen) = &state.seen else { return Vec::new() };
        let gone = |path: &RepoPath| {
            let locks = seen.locks.get(&LockKey::of(path));
            !locks.is_some_and(|locks| locks.iter().any(|lock| lock.holder.clone == self.us()))
        };
        let tokens = state.tokens.values().map(|token| &token.path);
        tokens.filter(|path| !self.theirs && gone(path) && self.specs.matches(path, false)).collect()
    }

    fn show(&self, state: &LocalLocks, applied: Option<&Protected>, stream: bool) -> Result<(), CliError> {
        let (cx, opened) = (self.desk.cx, self.desk.opened);
        let (locks, offline, lost) = (self.locks(state), self.offline(state), self.lost(state));
        if cx.json() {
            let paths = |list: &[RepoPath]| list.iter().map(Bytes::from).collect();
            let answer = Answer {
                remote: self.desk.remote.name.clone(),
                you: state.seen.as_ref().map(|seen| seen.you.clone()),
                seen: state.seen.as_ref().map(|seen| seen.at),
                locks: locks.iter().map(|lock| LockJson::new(lock, Some(self.us()))).collect(),
                offline: offline.iter().map(|path| Bytes::from(*path)).collect(),
                lost: lost.iter().map(|path| Bytes::from(*path)).collect(),
                applied: applied
                    .map(|done| AppliedJson { read_only: paths(&done.read_only), writable: paths(&done.writable) }),
            };
            return if stream { cx.out().json_line("locks", &answer) } else { cx.out().json("locks", &answer) };
        }
        let now = cx.now()?;
        write!(cx.out(), "{}", self.table(opened, &locks, state, now))?;
        for path in offline {
            writeln!(cx.out(), "{}  (editable, and not locked yet)", opened.show(path))?;
        }
        for path in &lost {
            cx.note(format!("{} was locked by you, and is not any more", opened.show(path)));
        }
        match (locks.is_empty(), stream) {
            (true, true) => writeln!(cx.out(), "nothing is locked")?,
            (true, false) => cx.note("nothing is locked"),
            (false, _) => {}
        }
        if let Some(done) = applied {
            let files = |count: usize| plural(count as u64, "file", "files");
            cx.note(format!("{} read-only now, {} writable", files(done.read_only.len()), files(done.writable.len())));
        }
        Ok(())
    }

    fn table(&self, opened: &Opened, locks: &[&Lock], state: &LocalLocks, now: Moment) -> String {
        let you = state.seen.as_ref().map_or("", |seen| &seen.you);
        let mut table = Table::new(&[Align::Left; 5]);
        for lock in locks {
            let who = match (&lock.holder.name, lock.holder.clone == self.us()) {
                (_, true) => "you".to_owned(),
                (name, false) if name == you => format!("{name} (another clone)"),
                (name, false) => name.clone(),
            };
            let remarks = show::remarks(lock, now).join(", ");
            let note = match (remarks.as_str(), lock.reason.as_str()) {
                ("", reason) => reason.replace(['\n', '\t'], " "),
                (remarks, "") => format!("({remarks})"),
                (remarks, reason) => format!("{} ({remarks})", reason.replace(['\n', '\t'], " ")),
            };
            let place = if lock.holder.clone == self.us() { String::new() } else { show::place(lock) };
            table.row([opened.show(&lock.path), who, show::since(lock, now), place, note]);
        }
        table.render()
    }

    /// Lists, and lists again with each change.
    fn watch(&self) -> Result<Exit, CliError> {
        let (desk, repo) = (self.desk, &self.desk.opened.repo);
        let file = local::follower(&repo.layout().common, &desk.remote.name);
        dits_core::durable::create_dir_all(file.parent().unwrap_or(&repo.layout().common))?;
        // Whoever holds this keeps what is known here fresh for all other commands. One is enough.
        let followed = match FileLock::acquire(&file, Duration::ZERO) {
            Err(LockError::Busy { .. }) => None,
            lock => Some(lock.map_err(dits_core::repo::RepoError::from)?),
        };
        let progress = desk.cx.progress();
        let (mut first, mut failed) = (true, None);
        let talked = desk.peer.talk(&progress, |client, progress| {
            loop {
                let state = desk.state().unwrap_or_default();
                let wait = if first { 0 } else { PATIENCE };
                let before = state.seen.as_ref().map(|seen| (seen.instance.clone(), seen.version));
                let news =
                    table::ask(client, &state, wait, desk.cx.now().map_or(desk.now, |now| now.seconds), progress)?;
                let changed = before != Some(news.now.clone());
                let told = keep(desk, news)
                    .and_then(|()| desk.state())
                    .and_then(|state| if first || changed { self.show_again(&state, first) } else { Ok(()) });
                first = false;
                if let Err(error) = told {
                    failed = Some(error);
                    return Ok(());
                }
            }
        });
        drop(followed);
        match failed {
            Some(error) => Err(error),
            None => talked.map(|_| Exit::Ok),
        }
    }

    fn show_again(&self, state: &LocalLocks, first: bool) -> Result<(), CliError> {
        let cx = self.desk.cx;
        if !first && !cx.json() {
            let now = cx.now()?;
            writeln!(cx.out(), "\n{}", now.format(crate::date::DateStyle::Iso, now))?;
        }
        self.show(state, None, true)?;
        cx.out().flush()
    }
}
