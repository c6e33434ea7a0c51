//! Keeping objects that nothing may refer to from garbage collection until a ref or the index names them.

use super::{RepoError, Repository};
use crate::lockfile::{FileLock, PATIENCE};
use crate::object::{Digest, ObjectKind};
use crate::store::{StoreError, WriterGuard};

/// Keeps garbage collection from removing what is held, while it lives.
#[derive(Debug)]
pub struct Held {
    // A collection that begins now waits for this one, as for any writer, and marks again after it.
    _guard: WriterGuard,
    // One that has published the object already would not: it is kept out, or it is over.
    _gc: Option<FileLock>,
}

impl Repository {
    /// Holds objects that exist, with all that they refer to, while something is made to name them. See "Writers and
    /// gc" in `docs/format/store.md`.
    ///
    /// # Errors
    /// When one is not there (any more), or a running garbage collection may be about to remove it.
    pub fn hold(&self, objects: &[(ObjectKind, Digest)]) -> Result<Held, RepoError> {
        let dits = &self.layout().common;
        let (guard, list) = WriterGuard::register(dits)?;
        let condemned = |digest: &Digest| list.meta.digests.contains(digest) || list.content.digests.contains(digest);
        let gc = match objects.iter().any(|(_, digest)| condemned(digest)) {
            true => Some(FileLock::acquire(&self.layout().gc_lock(), PATIENCE)?),
            false => None,
        };
        // Content may be absent on purpose; who named it has looked.
        for (kind, digest) in objects.iter().filter(|(kind, _)| !kind.is_content()) {
            let odb = self.store().odb(*kind);
            odb.refresh()?;
            if !odb.contains(digest)? {
                return Err(StoreError::Missing { kind: *kind, digest: *digest }.into());
            }
        }
        Ok(Held { _guard: guard, _gc: gc })
    }
}
