//! `dits fsck --repair`: what can be put right without guessing.
//!
//! Damaged packs and loose objects are moved to `.dits/damaged`, after what is good in them was saved to a new pack: as
//! long as they stand where objects are looked for, an object in them would not be stored again. Refs come back from their logs.

use std::fs;
use std::path::Path;

use super::{FsckOptions, FsckReport};
use crate::durable::{self, IoContext};
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::{Condemned, Depth, Finding, Odb, live_writers_older_than};

impl Repository {
    pub(super) fn repair(
        &self,
        options: FsckOptions,
        report: &mut FsckReport,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        let depth = if options.full { Depth::EveryByte } else { Depth::Structure };
        progress.stage("Repairing", None, None);
        for odb in [&self.store().content, &self.store().meta] {
            self.repair_packs(odb, depth, report, progress)?;
            self.repair_loose(odb, depth, report, progress)?;
            let mut damaged = odb.merged_is_damaged();
            if !damaged {
                odb.check_merged(progress, &mut |_| damaged = true)?;
            }
            if damaged {
                odb.remove_merged_index()?;
                odb.merge_index()?;
                report.repaired.push(format!("made the merged index in {} anew", odb.dir().display()));
            }
        }
        self.repair_condemned(report)?;
        self.repair_refs(report)
    }

    fn repair_packs(
        &self,
        odb: &Odb,
        depth: Depth,
        report: &mut FsckReport,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        for (id, _) in odb.pack_ids()? {
            progress.check()?;
            let mut damaged = false;
            odb.check_pack(id, depth, progress, &mut |_| damaged = true)?;
            if !damaged {
                continue;
            }
            let saved = odb.salvage(id)?;
            let name = id.file_name();
            self.set_aside(&odb.dir().join("pack").join(&name))?;
            odb.refresh()?;
            report.repaired.push(format!(
                "saved {} objects of the damaged pack {name}, which is now in {}",
                saved.objects,
                self.layout().common.join("damaged").display()
            ));
        }
        Ok(())
    }

    fn repair_loose(
        &self,
        odb: &Odb,
        depth: Depth,
        report: &mut FsckReport,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        let mut damaged = Vec::new();
        odb.check_loose(depth, progress, &mut |finding: Finding| damaged.push(finding.file))?;
        progress.check()?;
        for file in damaged {
            self.set_aside(&file)?;
            report.repaired.push(format!("set the damaged {} aside", file.display()));
        }
        Ok(())
    }

    /// Without the list, what it condemned waits anew. Nobody may be writing who goes by it.
    fn repair_condemned(&self, report: &mut FsckReport) -> Result<(), RepoError> {
        let common = &self.layout().common;
        match Condemned::current(common) {
            Err(error) if error.is_corruption() => {}
            other => return Ok(other.map(drop)?),
        }
        if live_writers_older_than(common, u64::MAX)?.is_empty() {
            let file = common.join(crate::store::condemned::FILE_NAME);
            durable::remove_file(&file)?;
            report.repaired.push(format!("removed {}, which `dits gc` makes anew", file.display()));
        }
        Ok(())
    }

    /// Moves a file to `.dits/damaged`, beside what is there.
    pub(super) fn set_aside(&self, file: &Path) -> Result<(), RepoError> {
        let folder = self.layout().common.join("damaged");
        durable::create_dir_all(&folder)?;
        let parent = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // A loose object is named by its folder and its file.
        let stem = if parent.len() == 2 { format!("{parent}{name}") } else { name.into_owned() };
        let free = (0_u32..).map(|n| folder.join(if n == 0 { stem.clone() } else { format!("{stem}.{n}") }));
        let Some(to) = free.into_iter().find(|path| !path.exists()) else { return Ok(()) };
        fs::rename(file, &to).at("move", file)?;
        durable::sync_dir(&folder)?;
        if let Some(from) = file.parent() {
            durable::sync_dir(from)?;
        }
        Ok(())
    }
}
