//! `dits fsck`: is everything there, and is it what it says it is?

mod containers;
mod reach;
mod records;
mod repair;
mod repair_refs;
mod sizes;

use std::collections::HashSet;
use std::path::PathBuf;

use super::{Mark, roots};
use crate::lockfile::FileLock;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::StoreError;

/// How much to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsckOptions {
    /// Reads and verifies every byte of every object, also of unreachable ones.
    pub full: bool,
    /// Lists objects that nothing refers to.
    pub unreachable: bool,
    /// Sets damaged files aside, saves what is good in them, and makes anew what can be.
    pub repair: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong.
    Note,
    /// Something is wrong that no content depends on.
    Warning,
    /// Something is damaged or lost.
    Error,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file it is about, where there is one.
    pub file: Option<PathBuf>,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default)]
pub struct FsckReport {
    /// What was found, worst last within each stage.
    pub findings: Vec<Finding>,
    /// Metadata objects reached.
    pub metadata: u64,
    /// Chunks reached and looked at.
    pub chunks: u64,
    /// Chunks reached that are not here, since a remote has promised to hold them.
    pub absent: u64,
    /// Bytes of packs read and verified.
    pub verified_bytes: u64,
    /// Objects that nothing refers to.
    pub unreachable: u64,
    /// What was repaired, one sentence each.
    pub repaired: Vec<String>,
    /// Damage of the store that was told: every look into a broken pack meets it again.
    told: HashSet<String>,
}

impl FsckReport {
    /// Whether anything is damaged or lost.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Adds a finding of the store, unless the same was found before; `and` says more about it.
    fn add_error(&mut self, severity: Severity, file: Option<PathBuf>, error: &StoreError, and: &str) {
        let what = error.to_string();
        if !matches!(error, StoreError::Corrupt { .. }) || self.told.insert(what.clone()) {
            self.add(severity, file, format!("{what}{and}"), Some(RESTORE));
        }
    }

    fn add(&mut self, severity: Severity, file: Option<PathBuf>, what: String, remedy: Option<&str>) {
        self.findings.push(Finding { severity, file, what, remedy: remedy.map(str::to_owned) });
    }
}

/// What to do about an object that is damaged or lost.
const RESTORE: &str = "run `dits fsck --repair`, then `dits fetch FILE`: content comes back from a worktree or a remote \
                       that still has it. The rest does with `touch FILE` and `dits add FILE` from a file that has \
                       it, or from another copy of the repository";

impl Repository {
    /// Checks the whole repository. Changes nothing unless it is to repair.
    ///
    /// # Errors
    /// When it was interrupted, or the operating system refused; damage is a finding, not an error.
    pub fn fsck(&self, options: FsckOptions, progress: &dyn Progress) -> Result<FsckReport, RepoError> {
        let mut report = FsckReport::default();
        if options.repair {
            // Packs must not be gathered or rewritten meanwhile.
            let _lock = FileLock::acquire(&self.layout().gc_lock(), std::time::Duration::ZERO)?;
            self.repair(options, &mut report, progress)?;
        }
        self.check_containers(options, &mut report, progress)?;
        let before = report.findings.len();
        self.check_records(&mut report)?;
        let roots = match roots(self) {
            Ok(roots) => roots,
            Err(error) if error.is_corruption() => {
                // Mostly it was found above, with what to do about it.
                if report.findings.len() == before {
                    let what = format!("what the repository keeps cannot be listed: {error}");
                    report.add(Severity::Error, None, what, None);
                }
                return Ok(report);
            }
            Err(error) => return Err(error),
        };
        let promises = self.promises().unwrap_or_default();
        let mark = self.check_reachable(&promises.commits(), &roots, &mut report, progress)?;
        self.check_unreachable(&mark, options, &mut report, progress)?;
        Ok(report)
    }

    fn check_unreachable(
        &self,
        mark: &Mark,
        options: FsckOptions,
        report: &mut FsckReport,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        if report.is_damaged() {
            // What hangs below something damaged would be listed as unreachable, which would mislead.
            return Ok(());
        }
        for (odb, reached) in [(&self.store().content, &mark.content), (&self.store().meta, &mark.meta)] {
            odb.for_each(|digest, info| {
                progress.check()?;
                if !reached.contains(digest) {
                    report.unreachable += 1;
                    if options.unreachable {
                        report.add(Severity::Note, None, format!("unreachable {} {digest}", info.kind), None);
                    }
                }
                Ok::<_, RepoError>(())
            })?;
        }
        Ok(())
    }
}
