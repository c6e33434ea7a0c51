//! `dits-server gc`

use std::time::Duration;

use dits_core::config::parse_duration;
use dits_core::maintain::GcReport;
use dits_core::progress::Silent;
use serde::Serialize;

use super::Which;
use crate::app::Context;
use crate::audit::AuditLog;
use crate::env;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::repo_name::RepoName;
use crate::repositories::Repositories;
use crate::upkeep;

/// Which, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// How long to keep what nothing refers to: `now`, `12h`, `14d`, `never` [default: gc.pruneExpire]
    #[arg(long, value_name = "TIME")]
    prune: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    repositories: Vec<Tidied>,
}

#[derive(Serialize)]
struct Tidied {
    name: String,
    dry_run: bool,
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

impl Tidied {
    fn new(name: String, dry_run: bool, report: &GcReport) -> Self {
        Self {
            name,
            dry_run,
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

    fn text(&self) -> String {
        let removed = if self.dry_run { "would be removed" } else { "removed" };
        format!(
            "{}: {} objects in use, {} {removed} ({} bytes), {} waiting ({} bytes)\n",
            self.name, self.reachable, self.removed, self.removed_bytes, self.waiting, self.waiting_bytes
        )
    }
}

/// Runs it.
pub fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let bad = |text: &String| {
        CliError::usage(format!("`--prune={text}` is no time")).hint("use now, never, or a time such as 12h or 14d")
    };
    let grace = args.prune.as_ref().map(|text| parse_duration(text).ok_or_else(|| bad(text))).transpose()?;
    let root = cx.root()?;
    let (repositories, audit) = (Repositories::new(&root, &cx.env), AuditLog::new(root.audit()));
    let (mut tidied, mut failed) = (Vec::new(), None);
    for name in args.which.names(&repositories)? {
        let done = tidy(&repositories, &name, grace, args.dry_run);
        let report = match done {
            Ok(report) => report,
            // The others are tidied all the same.
            Err(mut error) => {
                error.message = format!("{name}: {}", error.message);
                if let Some(earlier) = failed.replace(error) {
                    earlier.print(cx.json());
                }
                continue;
            }
        };
        if !args.dry_run {
            audit.append(env::now(), &upkeep::record(&name, "admin", &report), true)?;
        }
        let line = Tidied::new(name.to_string(), args.dry_run, &report);
        if !cx.json() {
            output::text(&line.text())?;
        }
        tidied.push(line);
    }
    if cx.json() {
        output::json("gc", &Answer { repositories: tidied })?;
    }
    failed.map_or(Ok(Exit::Ok), Err)
}

fn tidy(
    repositories: &Repositories,
    name: &RepoName,
    grace: Option<Duration>,
    dry_run: bool,
) -> Result<GcReport, CliError> {
    let repository = repositories.open(name)?;
    Ok(repository.gc(&upkeep::options(&repository, grace, dry_run)?, &Silent)?)
}
