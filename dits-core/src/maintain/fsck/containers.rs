//! Packs, their indexes and loose files, whether anything refers to them or not.

use super::{FsckOptions, FsckReport, Severity};
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::{Condemned, Depth, Finding};

impl Repository {
    pub(super) fn check_containers(
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
            let mut found = |finding: Finding| {
                report.add_error(Severity::Error, Some(finding.file), &finding.error, "");
            };
            for (id, _) in &packs {
                odb.check_pack(*id, depth, progress, &mut found)?;
                progress.check()?;
            }
            odb.check_loose(depth, progress, &mut found)?;
            let mut merged = |finding: Finding| {
                let remedy = "run `dits fsck --repair`: it is made anew from the packs, nothing is lost";
                report.add(Severity::Error, Some(finding.file), finding.error.to_string(), Some(remedy));
            };
            odb.check_merged(progress, &mut merged)?;
            progress.check()?;
            if options.full {
                report.verified_bytes += bytes;
            }
        }
        match Condemned::current(&self.layout().common) {
            Ok(_) => Ok(()),
            Err(error) if error.is_corruption() => {
                let file = self.layout().common.join(crate::store::condemned::FILE_NAME);
                let remedy = "run `dits fsck --repair` when no other dits runs: nothing is lost with it";
                report.add(Severity::Error, Some(file), error.to_string(), Some(remedy));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
