//! Bringing chunks by name: folders of a partial clone, what a mount reads.

use dits_core::object::Digest;
use dits_core::progress::Progress;
use dits_core::repo::Repository;
use dits_core::store::{Store, StoreWriter};

use super::{Client, stored_new};
use crate::error::SyncError;
use crate::exchange::{self, Chunks, Receive, Received};
use crate::transfer::{ContentFilter, Violation};
use crate::wire::{Got, Has, MAX_GET, Message};

/// Chunks to be brought, and from where besides the server.
#[derive(Default)]
pub struct RemoteChunks<'a> {
    /// The chunks with their lengths, in the order in which they are needed.
    pub chunks: &'a [(Digest, u64)],
    /// Stores on this machine from which chunks are copied rather than fetched.
    pub alternates: &'a [Store],
    /// Only counts what would come.
    pub dry_run: bool,
}

impl Client<'_> {
    /// Puts chunks into a store; what is there already is not asked for. What came before a failure stays in the writer.
    ///
    /// # Errors
    /// When the server does not have one of them, it or the link fails, or the store cannot be written.
    pub fn get(
        &mut self,
        repository: &Repository,
        writer: &StoreWriter,
        wanted: &RemoteChunks<'_>,
        progress: &dyn Progress,
    ) -> Result<Received, SyncError> {
        self.welcome(progress)?;
        progress.stage("Receiving", None, Some(wanted.chunks.len() as u64));
        let none = std::collections::HashSet::new();
        let job = Receive {
            store: repository.store(),
            writer,
            wants: &[],
            known: &[],
            known_shallow: &none,
            cut: &none,
            filter: ContentFilter::all(),
            alternates: wanted.alternates,
            quota: None,
            chunks: if wanted.dry_run { Chunks::Count } else { Chunks::Receive },
            threads: repository.threads(),
            progress,
        };
        let before = stored_new(writer);
        let received = exchange::receive_named(&self.session, job, wanted.chunks);
        self.lasting.stored += stored_new(writer) - before;
        received.map_err(|error| self.give_up(error))
    }

    /// Which of these chunks the server does not have, or is about to remove.
    ///
    /// # Errors
    /// When the server does not answer, or with something else.
    pub fn lacking(&mut self, chunks: &[Digest], progress: &dyn Progress) -> Result<Vec<Digest>, SyncError> {
        self.try_lacking(chunks, progress).map_err(|error| self.give_up(error))
    }

    fn try_lacking(&mut self, chunks: &[Digest], progress: &dyn Progress) -> Result<Vec<Digest>, SyncError> {
        let mut lacking = Vec::new();
        for (number, some) in (0..).zip(chunks.chunks(MAX_GET)) {
            self.session.control(&Message::Has(Has { number, chunks: some.to_vec() }))?;
            let missing = match self.recv(progress)? {
                Message::Got(Got { number: answered, missing }) if answered == number => missing,
                other => return Err(Violation(format!("{} instead of an answer to Has", other.name())).into()),
            };
            for at in missing {
                let chunk = some.get(at as usize).ok_or_else(|| Violation("a chunk that was not asked about".into()))?;
                lacking.push(*chunk);
            }
        }
        Ok(lacking)
    }
}
