//! Content from whichever remote has it, for as long as a mount lives.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use dits_core::chunk::ChunkRef;
use dits_core::object::Digest;
use dits_core::partial::{Arrived, ChunkSink, ChunkSource, Fetched, SourceError};
use dits_core::progress::Progress;
use dits_core::remote::Remote;
use dits_core::repo::RepoError;
use dits_core::store::StoreError;
use dits_sync::client::LiveChunks;

use super::peer::{Peer, Surroundings};
use crate::cmd::fetch::Content;
use crate::context::Context;
use crate::error::CliError;
use crate::repository::Opened;

/// Remotes that are asked one after the other.
pub struct Remotes(Vec<LiveChunks>);

impl Remotes {
    /// These; `None` when there are none.
    #[must_use]
    pub fn new(remotes: Vec<LiveChunks>) -> Option<Self> {
        (!remotes.is_empty()).then_some(Self(remotes))
    }

    /// Those that have promised content; where nothing was promised, all that there are.
    ///
    /// # Errors
    /// When those that have promised something cannot be found by the settings.
    pub fn of(opened: &Opened, cx: &Context) -> Result<Option<Self>, CliError> {
        let repo = &opened.repo;
        if !repo.promises()?.is_empty() {
            let holders = Content { opened, cx, limit: None, dry_run: false }.holders()?;
            return Ok(Self::new(holders.into_iter().map(Peer::into_live).collect()));
        }
        let around = Surroundings { cx, config: repo.config(), repo: Some(repo), who: opened.who(cx)?, limit: None };
        let all = Remote::all(repo.config()).map_err(RepoError::from)?.into_iter();
        // Nothing depends on them yet: one that cannot be reached is none.
        Ok(Self::new(all.filter_map(|remote| Peer::named(&around, remote, false).ok()).map(Peer::into_live).collect()))
    }

    /// Dials the first, without waiting.
    pub fn warm_up(&self) {
        self.0.iter().take(1).for_each(LiveChunks::warm_up);
    }
}

/// Remembers what has come, so that the next remote is not asked for it.
struct Noting<'a> {
    into: &'a dyn ChunkSink,
    taken: Mutex<HashSet<Digest>>,
    bytes: AtomicU64,
}

impl ChunkSink for Noting<'_> {
    fn take(&self, chunk: Arrived<'_>) -> Result<(), StoreError> {
        let (digest, bytes) = (chunk.header.digest, chunk.frame.len() as u64);
        self.into.take(chunk)?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        Ok(())
    }
}

impl ChunkSource for Remotes {
    fn fetch(
        &self,
        chunks: &[ChunkRef],
        into: &dyn ChunkSink,
        progress: &dyn Progress,
    ) -> Result<Fetched, SourceError> {
        let noting = Noting { into, taken: Mutex::default(), bytes: AtomicU64::default() };
        let (mut wanted, mut failed) = (chunks.to_vec(), None);
        for remote in &self.0 {
            match remote.fetch(&wanted, &noting, progress) {
                Ok(_) => {
                    let came = noting.taken.lock().unwrap_or_else(PoisonError::into_inner).len();
                    return Ok(Fetched { chunks: came as u64, bytes: noting.bytes.load(Ordering::Relaxed) });
                }
                Err(error @ (SourceError::Interrupted(_) | SourceError::Store(_))) => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
            let taken = noting.taken.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.retain(|chunk| !taken.contains(chunk.id.digest()));
        }
        failed.map_or(Ok(Fetched::default()), Err)
    }

    fn received(&self) -> u64 {
        self.0.iter().map(ChunkSource::received).sum()
    }
}
