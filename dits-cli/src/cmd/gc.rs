//! `dits gc`

use std::time::Duration;

use dits_core::config::parse_duration;
use dits_core::maintain::{GcOptions, GcReport};
use dits_core::repo::Repository;
use serde::Serialize;

use crate::context::Context;
use crate::date::{DateStyle, Moment};

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes_exact, plural};
use crate::repository::Opened;

/// How long a removal waits for commands that are writing.
const WAIT: Duration = Duration::from_secs(30);

/// Give back the space of what nothing refers to, and tidy the store
///
/// What nothing refers to is first written down, and removed by a later `dits gc` when it has waited for
/// `gc.pruneExpire`. Commands may run beside it at any time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits gc
  dits gc --dry-run --prune=now    what could be given back at most
  dits gc --prune=now              do not wait")]
pub struct Args {
    /// How long to keep what nothing refers to: `now`, `12h`, `14d`, `never` (default: gc.pruneExpire)
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "now")]
    prune: Option<String>,
    /// Remove nothing
    #[arg(long, conflicts_with = "prune")]
    no_prune: bool,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do something only if there are many loose objects or packs
    #[arg(long)]
    auto: bool,
}

#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    ran: bool,
    reachable: u64,
    removed: u64,
    removed_bytes: u64,
    waiting: u64,
    waiting_bytes: u64,
    waiting_until: Option<i64>,
    writers: usize,
    packs_gathered: u64,
    loose_packed: u64,
    leftovers: u64,
}

/// Does it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let repo = &opened.repo;
    if args.auto && !is_due(repo)? {
        if cx.json() {
            cx.out().json("gc", &answer(&GcReport::default(), args.dry_run, false))?;
        }
        return Ok(Exit::Ok);
    }
    let options = options(&args, repo, cx.now()?.seconds)?;
    let progress = cx.progress();
    let report = repo.gc(&options, &progress)?;
    progress.clear();
    if cx.json() {
        cx.out().json("gc", &answer(&report, args.dry_run, true))?;
    } else if !cx.quiet() {
        tell(&report, args.dry_run, cx)?;
    }
    Ok(Exit::Ok)
}

/// Whether so much has piled up that commands tidy on their own.
fn is_due(repo: &Repository) -> Result<bool, CliError> {
    let limit = |key: &str| -> Result<usize, CliError> {
        Ok(repo.config().get_int(key)?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(0))
    };
    Ok(repo.gc_is_due(limit("gc.auto")?, limit("gc.autoPackLimit")?)?)
}

/// Tidies after another command if much has piled up. That command has done its work: a failure here is a warning.
pub fn after_command(opened: &Opened, cx: &Context) {
    if let Err(error) = tidy_if_due(opened, cx) {
        cx.warn(format!("the store was not tidied: {}", error.message));
    }
}

fn tidy_if_due(opened: &Opened, cx: &Context) -> Result<(), CliError> {
    let repo = &opened.repo;
    if !is_due(repo)? {
        return Ok(());
    }
    cx.note("Tidying the store …");
    let args = Args { prune: None, no_prune: false, dry_run: false, auto: true };
    let progress = cx.progress();
    repo.gc(&options(&args, repo, cx.now()?.seconds)?, &progress)?;
    Ok(())
}

fn options(args: &Args, repo: &Repository, now: i64) -> Result<GcOptions, CliError> {
    let config = repo.config();
    let grace = match &args.prune {
        Some(text) => parse_duration(text).ok_or_else(|| {
            CliError::usage(format!("`--prune={text}` is no time")).hint("use now, never, or a time such as 12h or 14d")
        })?,
        None if args.no_prune => Duration::MAX,
        None => config.get_duration("gc.pruneExpire")?.unwrap_or(Duration::MAX),
    };
    let reflog = config.get_duration("gc.reflogExpire")?.filter(|age| *age != Duration::MAX);
    Ok(GcOptions {
        now,
        grace,
        reflog_expire: reflog,
        dry_run: args.dry_run,
        max_packs: 1,
        max_loose: 0,
        pack_limit: config.get_size("core.packSize")?.unwrap_or(1 << 30),
        // What runs after another command must not keep the user waiting: the next one tries again.
        wait: if args.auto { Duration::ZERO } else { WAIT },
    })
}

fn answer(report: &GcReport, dry_run: bool, ran: bool) -> Answer {
    Answer {
        dry_run,
        ran,
        reachable: report.reachable,
        removed: report.removed,
        removed_bytes: report.removed_bytes,
        waiting: report.waiting,
        waiting_bytes: report.waiting_bytes,
        waiting_until: report.waiting_until,
        writers: report.writers,
        packs_gathered: report.packs_gathered,
        loose_packed: report.loose_packed,
        leftovers: report.leftovers,
    }
}

fn tell(report: &GcReport, dry_run: bool, cx: &Context) -> Result<(), CliError> {
    let out = cx.out();
    let objects = |count| plural(count, "object", "objects");
    writeln!(out, "{} in use", objects(report.reachable))?;
    if report.removed == 0 && report.waiting == 0 {
        writeln!(out, "there is nothing that could be removed")?;
    } else if report.removed > 0 {
        let done = if dry_run { "would be removed" } else { "removed" };
        let bytes = format_bytes_exact(report.removed_bytes);
        writeln!(out, "{} that nothing refers to {done}: {bytes} given back", objects(report.removed))?;
    }
    if report.waiting > 0 {
        let bytes = format_bytes_exact(report.waiting_bytes);
        let verb = if report.waiting == 1 { "takes" } else { "take" };
        writeln!(out, "{} that nothing refers to {verb} {bytes}", objects(report.waiting))?;
        match report.waiting_until {
            Some(i64::MAX) => writeln!(out, "  they are kept for ever; `dits gc --prune=now` removes them")?,
            Some(seconds) => {
                let date = Moment { seconds, offset: cx.now()?.offset }.format(DateStyle::Iso, cx.now()?);
                writeln!(out, "  they are kept until {date}; `dits gc --prune=now` removes them at once")?;
            }
            None => {}
        }
    }
    if report.writers > 0 {
        let writers = plural(report.writers as u64, "command is", "commands are");
        writeln!(out, "nothing was removed, since {writers} still writing; run `dits gc` again later")?;
    }
    if report.packs_gathered + report.loose_packed > 0 {
        let (packs, loose) = (report.packs_gathered, report.loose_packed);
        let packs = plural(packs, "pack", "packs");
        writeln!(out, "{packs} and {} gathered", plural(loose, "loose object", "loose objects"))?;
    }
    if report.leftovers > 0 {
        let files = plural(report.leftovers, "file", "files");
        writeln!(out, "{files} removed that killed commands had left")?;
    }
    Ok(())
}
