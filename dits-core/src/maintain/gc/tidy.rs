//! Gathering small packs and loose objects, and what else is good for speed and space.

use super::{GcOptions, GcReport, pack_names};
use crate::maintain::leftovers::remove_leftovers;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::{Condemned, CondemnedSet, ConsolidateOptions};

/// Packs shorter than this are worth gathering.
const SMALL_PACK: u64 = 256 << 20;

/// From this many packs on, one merged index answers faster than each pack's own.
const MERGE_FROM: usize = 4;

impl Repository {
    /// Whether there are so many loose objects or packs that commands should collect on their own. A limit of 0 never
    /// is exceeded.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub fn gc_is_due(&self, loose_limit: usize, pack_limit: usize) -> Result<bool, RepoError> {
        for odb in [&self.store().content, &self.store().meta] {
            if pack_limit > 0 && odb.pack_ids()?.iter().filter(|(_, len)| *len < SMALL_PACK).count() > pack_limit {
                return Ok(true);
            }
            if loose_limit > 0 && odb.loose_count(loose_limit + 1)? > loose_limit {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gathers small packs and loose objects, refreshes the merged indexes, and removes what killed commands left.
    pub(super) fn tidy(
        &self,
        options: &GcOptions,
        report: &mut GcReport,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        report.leftovers += remove_leftovers(&self.layout().common, options.now)?;
        for odb in [&self.store().content, &self.store().meta] {
            progress.check()?;
            report.leftovers += odb.remove_dead_temps()?.0;
            let small = odb.pack_ids()?.iter().filter(|(_, len)| *len < SMALL_PACK).count();
            let loose = odb.loose_count(options.max_loose.saturating_add(1))?;
            if small > options.max_packs || loose > options.max_loose {
                progress.stage("Gathering packs", None, None);
                let gather =
                    ConsolidateOptions { smaller_than: SMALL_PACK, loose: true, pack_limit: options.pack_limit };
                let gathered = odb.consolidate(gather, progress)?;
                report.packs_gathered += gathered.packs_before;
                report.loose_packed += gathered.loose;
            }
        }
        if report.packs_gathered + report.loose_packed > 0 {
            self.publish_new_places()?;
        }
        self.refresh_merged_indexes()
    }

    /// Condemned copies may have been gathered into new packs, which the list in force does not name. A new one does,
    /// and waits from the same moment; its generation makes the removal wait for everybody who knows the old one.
    fn publish_new_places(&self) -> Result<(), RepoError> {
        let list = Condemned::current(&self.layout().common)?;
        if list.content.digests.is_empty() && list.meta.digests.is_empty() {
            return Ok(());
        }
        let content = CondemnedSet { packs: pack_names(&self.store().content)?, digests: list.content.digests };
        let meta = CondemnedSet { packs: pack_names(&self.store().meta)?, digests: list.meta.digests };
        Condemned::publish(&self.layout().common, content, meta, list.published)?;
        Ok(())
    }

    /// Makes merged indexes cover all packs, where there are so many that one is worth it.
    pub(super) fn refresh_merged_indexes(&self) -> Result<(), RepoError> {
        for odb in [&self.store().content, &self.store().meta] {
            let wanted = odb.pack_ids()?.len() >= MERGE_FROM && odb.uncovered_packs() > 0;
            if wanted || odb.merged_is_damaged() {
                odb.merge_index()?;
            }
        }
        Ok(())
    }
}
