//! `dits fsck`: is everything there, and is it what it says it is?

use std::path::PathBuf;

use super::{Mark, Met, Root, roots};
use crate::object::{Digest, ObjectKind};
use crate::progress::Progress;
use crate::refs::RefStore;
use crate::repo::{RepoError, Repository};
use crate::store::{Depth, Finding as Damage, Odb, StoreError};

/// How much to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsckOptions {
    /// Reads and verifies every byte of every object, also of unreachable ones.
    pub full: bool,
    /// Lists objects that nothing refers to.
    pub unreachable: bool,
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
    /// Chunks reached.
    pub chunks: u64,
    /// Bytes of packs read and verified.
    pub verified_bytes: u64,
    /// Objects that nothing refers to.
    pub unreachable: u64,
}

impl FsckReport {
    /// Whether anything is damaged or lost.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn add(&mut self, severity: Severity, file: Option<PathBuf>, what: String, remedy: Option<&str>) {
        self.findings.push(Finding { severity, file, what, remedy: remedy.map(str::to_owned) });
    }
}

const RESTORE: &str = "restore the object from another copy of the repository, or commit the file again if you have it";

impl Repository {
    /// Checks the whole repository. Changes nothing.
    ///
    /// # Errors
    /// When it was interrupted, or the operating system refused; damage is a finding, not an error.
    pub fn fsck(&self, options: FsckOptions, progress: &dyn Progress) -> Result<FsckReport, RepoError> {
        let mut report = FsckReport::default();
        self.check_containers(options, &mut report, progress)?;
        self.check_records(&mut report)?;
        let roots = match roots(self) {
            Ok(roots) => roots,
            Err(error) if error.is_corruption() => {
                let what = format!("what the repository keeps cannot be listed: {error}");
                report.add(Severity::Error, None, what, None);
                return Ok(report);
            }
            Err(error) => return Err(error),
        };
        let mark = self.check_reachable(&roots, &mut report, progress)?;
        self.check_unreachable(&mark, options, &mut report, progress)?;
        Ok(report)
    }

    /// Packs, their indexes and loose files, whether reachable or not.
    fn check_containers(
        &self,
        options: FsckOptions,
        report: &mut FsckReport,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        let depth = if options.full { Depth::EveryByte } else { Depth::Structure };
        for odb in [&self.store().content, &self.store().meta] {
            let packs = odb.pack_ids()?;
            let bytes = packs.iter().map(|(_, len)| len).sum();
            progress.stage(if options.full { "Verifying every byte" } else { "Checking packs" }, Some(bytes), None);
            let mut found = |finding: Damage| {
                report.add(Severity::Error, Some(finding.file), finding.error.to_string(), Some(RESTORE));
            };
            for (id, _) in &packs {
                odb.check_pack(*id, depth, progress, &mut found)?;
                progress.check()?;
            }
            odb.check_loose(depth, progress, &mut found)?;
            odb.check_merged(progress, &mut found)?;
            progress.check()?;
            if options.full {
                report.verified_bytes += bytes;
            }
        }
        Ok(())
    }

    /// Refs, logs, and the records of each worktree.
    fn check_records(&self, report: &mut FsckReport) -> Result<(), RepoError> {
        let mut note = |result: Result<(), RepoError>, remedy: &str| match result {
            Err(error) if error.is_corruption() => {
                report.add(Severity::Error, None, error.to_string(), Some(remedy));
                Ok(())
            }
            other => other,
        };
        let anew =
            "set it anew with `dits branch -f`, `dits tag -f` or `dits switch -f`; `dits reflog` may know where it was";
        note(self.refs().list("").map(drop).map_err(Into::into), anew)?;
        for name in self.refs().logs()? {
            note(self.refs().log(&name, usize::MAX).map(drop).map_err(Into::into), "remove the damaged log")?;
        }
        note(
            self.index().map(drop),
            "move it away and run `dits reset`: staged changes are lost, files and commits are not",
        )?;
        note(self.pending().map(drop), "move it away; `dits status` tells what is left to do")
    }

    fn check_reachable(
        &self,
        roots: &[Root],
        report: &mut FsckReport,
        progress: &dyn Progress,
    ) -> Result<Mark, RepoError> {
        progress.stage("Following references", None, None);
        let mut mark = Mark::default();
        for root in roots {
            let kind = match self.kind_of_root(root) {
                Ok(kind) => kind,
                Err(error) => {
                    let severity = if root.required { Severity::Error } else { Severity::Note };
                    report.add(severity, None, format!("{}: {error}", root.named_by), root.required.then_some(RESTORE));
                    continue;
                }
            };
            if kind.is_content() {
                if mark.content.insert(root.digest) {
                    self.check_chunk(root.digest, None, &root.named_by, report)?;
                }
                continue;
            }
            let mut met = |kind: ObjectKind, digest: Digest, met: Met| -> Result<(), RepoError> {
                match met {
                    Met::NewChunk { len, named_by } => {
                        self.check_chunk(digest, Some(len), &format!("{} via {named_by:.12}", root.named_by), report)
                    }
                    Met::Unknown => {
                        let what = format!("{kind} {digest} has parts that only a newer dits knows");
                        report.add(Severity::Warning, None, what, Some("use a newer dits"));
                        Ok(())
                    }
                    Met::Unreadable(error) => unreadable(root, &error, report),
                }
            };
            mark.reach(self.store(), kind, root.digest, progress, &mut met)?;
        }
        super::shape::check(self.store(), &mark, progress, &mut |error| {
            report.add(Severity::Error, None, error.to_string(), Some(RESTORE));
        })?;
        report.metadata = mark.meta.len() as u64;
        report.chunks = mark.content.len() as u64;
        Ok(mark)
    }

    fn kind_of_root(&self, root: &Root) -> Result<ObjectKind, StoreError> {
        if let Some(kind) = root.kind {
            return Ok(kind);
        }
        let missing = StoreError::Missing { kind: ObjectKind::Commit, digest: root.digest };
        self.store().meta.info(&root.digest)?.map(|info| info.kind).ok_or(missing)
    }

    fn check_chunk(
        &self,
        digest: Digest,
        len: Option<u64>,
        named_by: &str,
        report: &mut FsckReport,
    ) -> Result<(), RepoError> {
        match self.store().content.info(&digest) {
            Ok(Some(info)) => {
                if len.is_some_and(|len| len != u64::from(info.plain_len)) {
                    let what = format!(
                        "chunk {digest} has {} bytes, but {named_by} says {}",
                        info.plain_len,
                        len.unwrap_or_default()
                    );
                    report.add(Severity::Error, None, what, Some(RESTORE));
                }
                Ok(())
            }
            Ok(None) => {
                let what = format!("chunk {digest} is missing, which {named_by} needs");
                report.add(Severity::Error, None, what, Some(RESTORE));
                Ok(())
            }
            Err(error) if error.is_corruption() => {
                report.add(Severity::Error, None, error.to_string(), Some(RESTORE));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
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
        let sides: [(&Odb, _); 2] = [(&self.store().content, &mark.content), (&self.store().meta, &mark.meta)];
        for (odb, reached) in sides {
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

fn unreadable(root: &Root, error: &StoreError, report: &mut FsckReport) -> Result<(), RepoError> {
    let severity = if root.required { Severity::Error } else { Severity::Warning };
    report.add(severity, None, format!("{error} (needed by {})", root.named_by), Some(RESTORE));
    Ok(())
}
