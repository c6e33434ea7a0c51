//! `dits-server fsck`

use dits_core::maintain::{Finding, FsckOptions, Severity};
use dits_core::progress::Silent;
use serde::Serialize;

use super::Which;
use crate::app::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::repositories::{Repositories, RepositoriesError};

/// Which, and how thoroughly.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Read and verify every byte of every object
    #[arg(long)]
    full: bool,
}

#[derive(Serialize)]
struct Answer {
    damaged: bool,
    repositories: Vec<Checked>,
}

#[derive(Serialize)]
struct Checked {
    name: String,
    damaged: bool,
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    severity: &'static str,
    file: Option<String>,
    what: String,
    remedy: Option<String>,
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        let severity = match finding.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let file = finding.file.map(|file| file.display().to_string());
        Self { severity, file, what: finding.what, remedy: finding.remedy }
    }
}

/// Runs it.
pub fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let repositories = Repositories::new(&cx.root()?, &cx.env);
    let mut checked = Vec::new();
    for name in args.which.names(&repositories)? {
        let options = FsckOptions { full: args.full, ..FsckOptions::default() };
        match repositories.open(&name).and_then(|repository| Ok(repository.fsck(options, &Silent)?)) {
            Ok(report) => {
                let damaged = report.is_damaged();
                let findings = report.findings.into_iter().map(Found::from).collect();
                checked.push(Checked { name: name.to_string(), damaged, findings });
            }
            // What is too damaged to be opened must not keep the others from being checked.
            Err(RepositoriesError::Repo(error)) if error.is_corruption() => {
                let found = Found { severity: "error", file: None, what: error.to_string(), remedy: None };
                checked.push(Checked { name: name.to_string(), damaged: true, findings: vec![found] });
            }
            Err(error) => return Err(error.into()),
        }
    }
    let damaged = checked.iter().any(|repository| repository.damaged);
    if cx.json() {
        output::json("fsck", &Answer { damaged, repositories: checked })?;
    } else {
        for Checked { name, damaged, findings } in checked {
            for Found { severity, what, remedy, .. } in findings {
                output::text(&format!("{name}: {severity}: {what}\n"))?;
                if let Some(remedy) = remedy {
                    output::text(&format!("  next: {remedy}\n"))?;
                }
            }
            output::text(&format!("{name}: {}\n", if damaged { "damaged" } else { "nothing is damaged" }))?;
        }
    }
    Ok(if damaged { Exit::Corruption } else { Exit::Ok })
}
