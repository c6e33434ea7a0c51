//! `dits du`: how much space a version takes, and with what it shares it.

use std::collections::{HashMap, HashSet};

use super::{Mark, Met, Reached, roots};
use crate::chunk::ChunkRef;
use crate::diff::{self, FileVersion};
use crate::object::{CommitId, Digest, ObjectKind};
use crate::partial::each_chunk;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::StoreError;

/// A number of objects, their plain bytes, and the bytes of their frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub plain: u64,
    /// What they take in the store.
    pub stored: u64,
}

impl Amount {
    fn add(&mut self, plain: u64, stored: u64) {
        self.objects += 1;
        self.plain += plain;
        self.stored += stored;
    }
}

/// The space of a group of files. Each chunk is in exactly one of the three amounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupUsage {
    /// Files in the group.
    pub files: u64,
    /// The sum of their sizes.
    pub logical: u64,
    /// Chunks that no other group and no other version has.
    pub unique: Amount,
    /// Chunks that other groups of this version have too.
    pub shared_here: Amount,
    /// Of the rest, chunks that other versions have too.
    pub shared_elsewhere: Amount,
}

impl GroupUsage {
    /// The bytes that all its chunks take in the store, each counted once.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.unique.stored + self.shared_here.stored + self.shared_elsewhere.stored
    }
}

/// The space of a version.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Its groups, in the order in which they were first met.
    pub groups: Vec<(RepoPath, GroupUsage)>,
    /// Files in all groups.
    pub files: u64,
    /// The sum of their sizes.
    pub logical: u64,
    /// All their chunks, each counted once.
    pub chunks: Amount,
    /// Those of them that are not here, and take nothing in the store.
    pub absent: Amount,
}

/// What is known of a chunk.
struct Known {
    plain: u32,
    stored: u32,
    here: bool,
    /// The only group that has it so far.
    group: usize,
    several: bool,
}

impl Repository {
    /// The space that a version's files take. `group` says which group a file belongs to; `None` leaves it out.
    ///
    /// # Errors
    /// When something cannot be read, or the user interrupts.
    pub fn usage(
        &self,
        commit: CommitId,
        group: &mut dyn FnMut(&RepoPath) -> Option<RepoPath>,
        progress: &dyn Progress,
    ) -> Result<Usage, RepoError> {
        let tree = crate::commit::Commit::read(self.store(), commit)?.tree;
        progress.stage("Counting", None, None);
        let (mut usage, mut numbers) = (Usage::default(), HashMap::new());
        let mut chunks: HashMap<Digest, Known> = HashMap::new();
        for change in diff::trees(self.store(), None, Some(tree))? {
            let Some(version) = change.new else { continue };
            let Some(name) = group(&change.path) else { continue };
            let number = *numbers.entry(name.clone()).or_insert_with(|| {
                usage.groups.push((name, GroupUsage::default()));
                usage.groups.len() - 1
            });
            usage.groups[number].1.files += 1;
            usage.groups[number].1.logical += version.size;
            for chunk in self.chunks_of(&version)? {
                self.count_chunk(&mut chunks, chunk, number)?;
            }
            progress.check()?;
            progress.advance(version.size, 1);
        }
        let elsewhere = self.chunks_of_other_versions(commit, progress)?;
        for (digest, known) in &chunks {
            let (plain, stored) = (u64::from(known.plain), u64::from(known.stored));
            usage.chunks.add(plain, stored);
            if !known.here {
                usage.absent.add(plain, 0);
            }
            if !known.several {
                let group = &mut usage.groups[known.group].1;
                let amount = if elsewhere.contains(digest) { &mut group.shared_elsewhere } else { &mut group.unique };
                amount.add(plain, stored);
            }
        }
        self.count_shared(tree, group, &chunks, &numbers, &mut usage)?;
        usage.files = usage.groups.iter().map(|(_, group)| group.files).sum();
        usage.logical = usage.groups.iter().map(|(_, group)| group.logical).sum();
        Ok(usage)
    }

    fn count_chunk(&self, chunks: &mut HashMap<Digest, Known>, chunk: ChunkRef, group: usize) -> Result<(), RepoError> {
        let digest = *chunk.id.digest();
        if let Some(known) = chunks.get_mut(&digest) {
            known.several |= known.group != group;
            return Ok(());
        }
        let info = self.store().content.info(&digest)?;
        let known = match info {
            Some(info) => Known { plain: info.plain_len, stored: info.stored_len, here: true, group, several: false },
            None => {
                self.store().check_absent(&digest)?;
                Known { plain: chunk.len, stored: 0, here: false, group, several: false }
            }
        };
        chunks.insert(digest, known);
        Ok(())
    }

    /// A chunk of several groups counts once in each of them.
    fn count_shared(
        &self,
        tree: crate::object::TreeId,
        group: &mut dyn FnMut(&RepoPath) -> Option<RepoPath>,
        chunks: &HashMap<Digest, Known>,
        numbers: &HashMap<RepoPath, usize>,
        usage: &mut Usage,
    ) -> Result<(), RepoError> {
        if !chunks.values().any(|known| known.several) {
            return Ok(());
        }
        let mut counted: HashSet<(usize, Digest)> = HashSet::new();
        for change in diff::trees(self.store(), None, Some(tree))? {
            let Some(version) = change.new else { continue };
            let Some(number) = group(&change.path).and_then(|name| numbers.get(&name).copied()) else { continue };
            for chunk in self.chunks_of(&version)? {
                let digest = *chunk.id.digest();
                let Some(known) = chunks.get(&digest).filter(|known| known.several) else { continue };
                if counted.insert((number, digest)) {
                    usage.groups[number].1.shared_here.add(known.plain.into(), known.stored.into());
                }
            }
        }
        Ok(())
    }

    fn chunks_of(&self, version: &FileVersion) -> Result<Vec<ChunkRef>, RepoError> {
        let mut chunks = Vec::new();
        each_chunk(self.store(), &version.content, version.size, &mut |chunk| {
            chunks.push(chunk);
            Ok(true)
        })?;
        Ok(chunks)
    }

    /// The chunks that versions other than `commit` have, as far as something leads to them.
    fn chunks_of_other_versions(&self, commit: CommitId, progress: &dyn Progress) -> Result<Reached, RepoError> {
        let mut mark = Mark::default();
        // As if it was followed already, so that it is not; its parents are.
        mark.meta.insert(*commit.digest());
        let parents = crate::commit::Commit::read(self.store(), commit)?.parents;
        let mut tips: Vec<(ObjectKind, Digest)> =
            parents.iter().map(|parent| (ObjectKind::Commit, *parent.digest())).collect();
        for root in roots(self)? {
            // What is staged is mostly this version again.
            if matches!(root.kind, None | Some(ObjectKind::Commit))
                && let Some(info) = self.store().meta.info(&root.digest)?
            {
                tips.push((info.kind, root.digest));
            }
        }
        for (kind, digest) in tips {
            mark.reach(self.store(), kind, digest, progress, &mut |_, _, met| match met {
                // A log may name what is gone.
                Met::Unreadable(StoreError::Missing { .. }) | Met::NewChunk { .. } | Met::Unknown | Met::Node(_) => {
                    Ok(())
                }
                Met::Unreadable(error) => Err(error.into()),
            })?;
        }
        Ok(mark.content)
    }

    /// What the store holds, by kind. A copy counts once for each time it is stored.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn stored_by_kind(&self) -> Result<Vec<(ObjectKind, StoredKind)>, RepoError> {
        let mut kinds: HashMap<ObjectKind, StoredKind> = HashMap::new();
        for odb in [&self.store().content, &self.store().meta] {
            odb.for_each(|_, info| {
                let kind = kinds.entry(info.kind).or_default();
                let amount = match info.location {
                    crate::store::Location::Loose => &mut kind.loose,
                    crate::store::Location::Pack { .. } => &mut kind.packed,
                };
                amount.add(info.plain_len.into(), info.stored_len.into());
                Ok::<_, RepoError>(())
            })?;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_unstable_by_key(|(kind, _)| *kind);
        Ok(kinds)
    }
}

/// The objects of one kind in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredKind {
    /// In files of their own.
    pub loose: Amount,
    /// In packs.
    pub packed: Amount,
}
