//! Everything that something refers to.

use super::sizes::Sizes;
use super::{FsckReport, RESTORE, Severity};
use crate::maintain::shape;
use crate::maintain::{Mark, Met, Root};
use crate::object::{CommitId, Digest, ObjectKind};
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::StoreError;

impl Repository {
    /// What was promised is followed first: a chunk that is met there may be absent.
    pub(super) fn check_reachable(
        &self,
        promised: &[CommitId],
        roots: &[Root],
        report: &mut FsckReport,
        progress: &dyn Progress,
    ) -> Result<Mark, RepoError> {
        progress.stage("Following references", None, None);
        let (mut mark, mut sizes) = (Mark::default(), Sizes::default());
        for commit in promised {
            if self.store().meta.contains(commit.digest())? {
                let root = Root {
                    kind: Some(ObjectKind::Commit),
                    digest: *commit.digest(),
                    named_by: "what a remote has promised".to_owned(),
                    required: true,
                };
                self.follow_root(&root, ObjectKind::Commit, true, (&mut mark, &mut sizes), report, progress)?;
            }
        }
        for root in roots {
            let kind = match self.kind_of_root(root) {
                Ok(kind) => kind,
                Err(error) => {
                    let severity = if root.required { Severity::Error } else { Severity::Note };
                    match root.required {
                        true => report.add_error(severity, None, &error, &format!(" (needed by {})", root.named_by)),
                        false => report.add(severity, None, format!("{}: {error}", root.named_by), None),
                    }
                    continue;
                }
            };
            if kind.is_content() {
                if mark.content.insert(root.digest) {
                    self.check_chunk(root.digest, None, &root.named_by, report)?;
                }
                continue;
            }
            self.follow_root(root, kind, false, (&mut mark, &mut sizes), report, progress)?;
        }
        shape::check(self.store(), &mark, progress, &mut |error| {
            report.add_error(Severity::Error, None, error, "");
        })?;
        for what in sizes.wrong() {
            report.add(Severity::Error, None, what, Some("commit the folder's files again: the sizes are made anew"));
        }
        report.metadata = mark.meta.len() as u64;
        Ok(mark)
    }

    fn follow_root(
        &self,
        root: &Root,
        kind: ObjectKind,
        may_be_absent: bool,
        (mark, sizes): (&mut Mark, &mut Sizes),
        report: &mut FsckReport,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        mark.reach(self.store(), kind, root.digest, progress, &mut |kind, digest, met| {
            match met {
                Met::Node(node) => sizes.take(digest, node),
                Met::NewChunk { len, named_by } => {
                    if may_be_absent && !self.store().content.contains(&digest).unwrap_or(true) {
                        report.absent += 1;
                        return Ok(());
                    }
                    let named_by = format!("{} via {:.12}", root.named_by, named_by.to_string());
                    self.check_chunk(digest, Some(len), &named_by, report)?;
                }
                Met::Unknown => {
                    let what = format!("{kind} {digest} has parts that only a newer dits knows");
                    report.add(Severity::Warning, None, what, Some("use a newer dits"));
                }
                Met::Unreadable(error) => {
                    let severity = if root.required { Severity::Error } else { Severity::Warning };
                    report.add_error(severity, None, &error, &format!(" (needed by {})", root.named_by));
                }
            }
            Ok(())
        })
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
        report.chunks += 1;
        let what = match (self.store().content.info(&digest), len) {
            (Ok(Some(info)), Some(len)) if len != u64::from(info.plain_len) => {
                format!("chunk {digest} has {} bytes, but {named_by} says {len}", info.plain_len)
            }
            (Ok(Some(_)), _) => return Ok(()),
            (Ok(None), _) => format!("chunk {digest} is missing, which {named_by} needs"),
            (Err(error), _) if error.is_corruption() => {
                report.add_error(Severity::Error, None, &error, "");
                return Ok(());
            }
            (Err(error), _) => return Err(error.into()),
        };
        report.add(Severity::Error, None, what, Some(RESTORE));
        Ok(())
    }
}
