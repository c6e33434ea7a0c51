//! `dits status`

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::ValueEnum;
use dits_core::diff::ChangeKind;
use dits_core::worktree::{Everything, StagedChange, Status, StatusOptions, UntrackedMode};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::unheld::{self, Unheld};
use crate::repository::Opened;
use crate::tracking::Tracking;

mod answer;
mod long;
mod short;

/// Show what has changed
///
/// Compares the last commit, what is staged and the files in the worktree. Files are recognised as unchanged by their
/// times, inodes and sizes; what these leave open is read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits status              for people
  dits status -s           one line per file
  dits status -z           for scripts: as `git status --porcelain=v1 -z`
  dits status -uno         without looking for new files
  dits status shots        only below a folder")]
pub struct Args {
    /// Only these files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// One line per file
    #[arg(short, long, overrides_with_all = ["long", "porcelain"])]
    short: bool,
    /// The long form, which is the default
    #[arg(long, overrides_with_all = ["short", "porcelain"])]
    long: bool,
    /// The short form, the same in every version and whatever is configured
    #[arg(long, value_name = "VERSION", num_args = 0..=1, require_equals = true, default_missing_value = "v1",
          overrides_with_all = ["short", "long"])]
    porcelain: Option<Porcelain>,
    /// End lines with NUL and quote no names; implies --porcelain
    #[arg(short = 'z')]
    nul: bool,
    /// Also show the branch, in the short form
    #[arg(short, long)]
    branch: bool,
    /// How to show files that are not tracked; without a value, all
    #[arg(short, long, value_name = "MODE", num_args = 0..=1, default_missing_value = "all")]
    untracked_files: Option<Mode>,
    /// Also show what is ignored
    #[arg(long)]
    ignored: bool,
    /// Do not look for renames
    #[arg(long)]
    no_renames: bool,
}

/// The forms that scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Porcelain {
    /// git's first
    #[value(alias = "1")]
    V1,
}

/// How untracked files are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Not at all
    No,
    /// Folders as a whole where nothing in them is tracked
    Normal,
    /// Every file
    All,
}

impl From<Mode> for UntrackedMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::No => Self::No,
            Mode::Normal => Self::Normal,
            Mode::All => Self::All,
        }
    }
}

/// Shows it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let specs = opened.select(&args.paths)?;
    let options = options(&args, &opened)?;
    let progress = cx.progress();
    let status = opened.repo.status(&specs, options, &progress)?;
    drop(progress);
    show(&args, &status, options, &opened, cx)?;
    report_unreadable(&status, &opened, cx)
}

/// Shows the long form, as a commit that cannot be made or is only tried does. Answers whether something is staged.
///
/// # Errors
/// When the status cannot be found out.
pub fn show_long(opened: &Opened, cx: &Context) -> Result<bool, CliError> {
    let options = StatusOptions { renames: opened.repo.rename_options()?, ..StatusOptions::default() };
    let status = opened.repo.status(&Everything, options, &cx.progress())?;
    match cx.json() {
        true => {
            let unheld = unheld(&status, opened, cx)?;
            cx.out().json("status", &answer::Answer::new(&status, tracking(opened, &status)?.as_ref(), &unheld))?;
        }
        false => {
            let (tracking, unheld) = (tracking(opened, &status)?, unheld(&status, opened, cx)?);
            long::Long { status: &status, tracking, unheld, options, opened, cx }.show()?;
        }
    }
    report_unreadable(&status, opened, cx)?;
    Ok(!status.staged.is_empty())
}

/// The staged changes, one line each, for the template of a commit's message.
///
/// # Errors
/// When they cannot be found out.
pub fn staged_lines(opened: &Opened, cx: &Context) -> Result<Vec<String>, CliError> {
    let renames = opened.repo.rename_options()?;
    let options = StatusOptions { untracked: UntrackedMode::No, renames, ..StatusOptions::default() };
    let status = opened.repo.status(&Everything, options, &cx.progress())?;
    Ok(status.staged.iter().map(|staged| long::staged_line(staged, opened)).collect())
}

fn options(args: &Args, opened: &Opened) -> Result<StatusOptions, CliError> {
    let configured = || opened.repo.config().get("status.showUntracked").and_then(|s| s.value.to_text());
    let mode = match args.untracked_files {
        Some(mode) => mode,
        None => configured().and_then(|text| Mode::from_str(&text, true).ok()).unwrap_or(Mode::Normal),
    };
    let renames = if args.no_renames { None } else { opened.repo.rename_options()? };
    Ok(StatusOptions { untracked: mode.into(), ignored: args.ignored, renames })
}

fn show(args: &Args, status: &Status, options: StatusOptions, opened: &Opened, cx: &Context) -> Result<(), CliError> {
    if cx.json() {
        let unheld = unheld(status, opened, cx)?;
        return cx.out().json("status", &answer::Answer::new(status, tracking(opened, status)?.as_ref(), &unheld));
    }
    let form = match (args.porcelain, args.short, args.nul) {
        (_, _, true) => short::Form::Nul,
        (Some(Porcelain::V1), ..) => short::Form::Porcelain,
        (None, true, _) => short::Form::Short,
        (None, false, _) => {
            cx.start_pager()?;
            let (tracking, unheld) = (tracking(opened, status)?, unheld(status, opened, cx)?);
            return long::Long { status, tracking, unheld, options, opened, cx }.show();
        }
    };
    let tracking = args.branch.then(|| tracking(opened, status)).transpose()?.flatten();
    short::show(status, form, args.branch.then_some(tracking.as_ref()), opened, cx.out())
}

/// Changed files that this clone has not locked, as far as it knows: nobody is asked.
fn unheld(status: &Status, opened: &Opened, cx: &Context) -> Result<Vec<Unheld>, CliError> {
    let mut changed = BTreeMap::new();
    for StagedChange { change, rename } in &status.staged {
        let is_new = change.old.is_none() || rename.is_some();
        changed.insert(&change.path, is_new);
        changed.extend(rename.iter().map(|rename| (&rename.from, false)));
    }
    for change in &status.unstaged {
        changed.entry(&change.path).or_insert(change.kind == ChangeKind::Added);
    }
    unheld::among(opened, cx, changed)
}

/// How far the branch is from what it follows.
fn tracking(opened: &Opened, status: &Status) -> Result<Option<Tracking>, CliError> {
    let Some(branch) = status.head.branch() else { return Ok(None) };
    Ok(Tracking::of(&opened.repo, branch, status.head.commit())?)
}

/// Nothing is known of these, so the answer is not whole.
fn report_unreadable(status: &Status, opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let Some((path, error)) = status.unreadable.first() else { return Ok(Exit::Ok) };
    cx.out().flush()?;
    let more = match status.unreadable.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more like this)"),
    };
    Err(CliError::usage(format!("cannot say anything about {}: {error}{more}", opened.show(path))))
}
