//! What a client tells of its history, little by little.

use std::collections::HashSet;

use dits_core::history::Walk;
use dits_core::object::{CommitId, ObjectKind};
use dits_core::refs::{RefName, RefStore, Target};
use dits_core::repo::Repository;

use crate::error::SyncError;
use crate::wire::MAX_HAVES;

/// How many haves the first message has: what a usual pull needs, in half a kilobyte.
const FIRST: usize = 16;
/// How many times more each further message has.
const GROWTH: usize = 8;
/// After this many the client gives up looking for something common.
const ENOUGH: usize = 3 * MAX_HAVES;

/// Commits that the client has with everything they reach, in the order in which they are told.
pub(super) struct Haves<'a> {
    repository: &'a Repository,
    tips: Vec<CommitId>,
    all: Vec<CommitId>,
    told: usize,
    next: usize,
    /// Whether the ancestors have been looked for.
    walked: bool,
}

impl<'a> Haves<'a> {
    /// What came in this conversation; then what refs name, those in `first` before others; and then their ancestors at
    /// growing distances.
    pub(super) fn of(repository: &'a Repository, arrived: &[CommitId], first: &[CommitId]) -> Result<Self, SyncError> {
        let tips = tips(repository)?;
        let complete: HashSet<CommitId> = tips.iter().copied().collect();
        let mut seen = HashSet::new();
        let likely = first.iter().copied().filter(|id| complete.contains(id));
        let all = arrived.iter().copied().chain(likely).chain(tips.iter().copied());
        let all = all.filter(|id| seen.insert(*id)).collect();
        let walked = tips.is_empty();
        // What came is known to be common: the more is told of it, the less comes twice.
        let next = if arrived.is_empty() { FIRST } else { MAX_HAVES };
        Ok(Self { repository, tips, all, told: 0, next, walked })
    }

    /// The next few.
    pub(super) fn next(&mut self) -> Result<Vec<CommitId>, SyncError> {
        if self.told == self.all.len() && !self.walked {
            self.walk()?;
        }
        let end = (self.told + self.next.min(MAX_HAVES)).min(self.all.len());
        let some = self.all[self.told..end].to_vec();
        self.told = end;
        self.next *= GROWTH;
        Ok(some)
    }

    /// Whether there are more.
    pub(super) fn has_more(&self) -> bool {
        self.told < self.all.len() || !self.walked
    }

    fn walk(&mut self) -> Result<(), SyncError> {
        self.walked = true;
        let mut seen: HashSet<CommitId> = self.all.iter().copied().collect();
        let mut step = 1;
        for (at, commit) in Walk::new(self.repository.store(), &self.tips, &[])?.enumerate() {
            let (id, _) = commit?;
            if self.all.len() >= ENOUGH {
                break;
            }
            if at == step {
                // Each at first, then ever further apart: by a tenth of the distance so far.
                step += 1 + step / 10;
                self.all.extend(seen.insert(id).then_some(id));
            }
        }
        Ok(())
    }
}

/// The commits that refs name, those of remotes first, as they are likely to be known elsewhere.
pub(super) fn tips(repository: &Repository) -> Result<Vec<CommitId>, SyncError> {
    let mut tips = Vec::new();
    let mut listed = repository.refs().list("refs/")?;
    listed.sort_by_key(|(name, _)| !name.as_str().starts_with(dits_core::refs::REMOTES));
    for (name, target) in listed {
        let Target::Id(digest) = target else { continue };
        // A stash is nobody else's.
        if name != RefName::stash()
            && repository.store().meta.info(&digest)?.is_some_and(|info| info.kind == ObjectKind::Commit)
        {
            tips.push(CommitId::from_digest(digest));
        }
    }
    Ok(tips)
}
