//! `dits fsck`

use dits_core::maintain::{FsckOptions, FsckReport, Severity};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes, plural};

/// Check that everything is there and undamaged
///
/// Without options the structure is checked: indexes, headers, references, refs, logs and records. With `--full` every
/// stored byte is read and compared with its checksum. Exits with 6 if anything is damaged or lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits fsck
  dits fsck --full                 read and verify every byte
  dits fsck --repair               set damaged files aside, save what is good in them, bring back refs")]
pub struct Args {
    /// Read and verify every byte of every object
    #[arg(long)]
    full: bool,
    /// List objects that nothing refers to
    #[arg(long)]
    unreachable: bool,
    /// Save what is good in damaged files, set these aside, and make anew what can be: refs by their logs. Every byte is read
    #[arg(long)]
    repair: bool,
}

#[derive(Serialize)]
struct Answer {
    damaged: bool,
    findings: Vec<Line>,
    repaired: Vec<String>,
    metadata: u64,
    chunks: u64,
    absent: u64,
    unreachable: u64,
    verified_bytes: u64,
}

/// How many findings with one remedy that are in no file are shown: a lost pack has thousands of chunks.
const SHOWN: usize = 20;

#[derive(Serialize)]
struct Line {
    severity: &'static str,
    file: Option<String>,
    what: String,
    remedy: Option<String>,
}

fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// Checks it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let progress = cx.progress();
    // What to save is only known when it has been read.
    let full = args.full || args.repair;
    let options = FsckOptions { full, unreachable: args.unreachable, repair: args.repair };
    let report = opened.repo.fsck(options, &progress)?;
    progress.clear();
    match cx.json() {
        true => cx.out().json("fsck", &answer(&report))?,
        false => tell(&report, &args, cx)?,
    }
    Ok(if report.is_damaged() { Exit::Corruption } else { Exit::Ok })
}

fn answer(report: &FsckReport) -> Answer {
    let findings = report.findings.iter().map(|finding| Line {
        severity: name(finding.severity),
        file: finding.file.as_ref().map(|file| file.display().to_string()),
        what: finding.what.clone(),
        remedy: finding.remedy.clone(),
    });
    Answer {
        damaged: report.is_damaged(),
        findings: findings.collect(),
        repaired: report.repaired.clone(),
        metadata: report.metadata,
        chunks: report.chunks,
        absent: report.absent,
        unreachable: report.unreachable,
        verified_bytes: report.verified_bytes,
    }
}

fn tell(report: &FsckReport, args: &Args, cx: &Context) -> Result<(), CliError> {
    for line in &report.repaired {
        writeln!(cx.out(), "repaired: {line}")?;
    }
    // One remedy for many findings is told once, after the last of them.
    let findings = &report.findings;
    for alike in findings
        .chunk_by(|one, next| one.remedy.is_some() && (&one.remedy, one.severity) == (&next.remedy, next.severity))
    {
        // What is in files is not so many, and each of them is named.
        let (mut shown, mut more) = (0, 0);
        for finding in alike {
            if finding.file.is_none() && shown == SHOWN {
                more += 1;
                continue;
            }
            shown += usize::from(finding.file.is_none());
            let file = finding.file.as_ref().map(|file| file.display().to_string());
            let place = file.filter(|file| !finding.what.contains(file)).map_or(String::new(), |f| format!("{f}: "));
            writeln!(cx.out(), "{}: {place}{}", name(finding.severity), finding.what)?;
        }
        if more > 0 {
            writeln!(cx.out(), "…and {more} more like these; `--json` has all")?;
        }
        if let Some(remedy) = &alike[0].remedy {
            writeln!(cx.out(), "  next: {remedy}")?;
        }
    }
    if cx.quiet() {
        return Ok(());
    }
    let (meta, chunks) = (plural(report.metadata, "metadata object", "metadata objects"), report.chunks);
    let checked = format!("{meta} and {} checked", plural(chunks, "chunk", "chunks"));
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count() as u64;
    match errors {
        0 => writeln!(cx.out(), "{checked}; nothing is damaged")?,
        _ => writeln!(cx.out(), "{checked}; {}", plural(errors, "problem", "problems"))?,
    }
    if report.absent > 0 {
        let verb = if report.absent == 1 { "is" } else { "are" };
        writeln!(cx.out(), "{} {verb} not here, as remotes hold them", plural(report.absent, "chunk", "chunks"))?;
    }
    match args.full || args.repair {
        true => writeln!(cx.out(), "{} of packs read and verified", format_bytes(report.verified_bytes))?,
        false if errors == 0 => writeln!(cx.out(), "`dits fsck --full` reads and verifies every byte too")?,
        false => {}
    }
    if report.unreachable > 0 {
        let objects = plural(report.unreachable, "object", "objects");
        writeln!(cx.out(), "{objects} that nothing refers to; `dits gc` removes them in time")?;
    }
    Ok(())
}
