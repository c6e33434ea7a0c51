//! What a remote had when it was last asked: `.dits/listings/NAME`. A remote that has nothing new then answers with a
//! handful of bytes, however many branches it has.
//!
//! The file is a hint. What it holds counts only if the remote confirms its digest, so no damage to it does any harm.

use std::path::PathBuf;

use dits_core::codec;
use dits_core::durable;
use dits_core::progress::Progress;
use dits_core::repo::Repository;
use dits_sync::SyncError;
use dits_sync::client::{Client, Listing};

use super::peer::Peer;

/// The longest file that is read, in bytes.
const LIMIT: usize = 64 << 20;

fn file(repo: &Repository, remote: &str) -> PathBuf {
    repo.layout().common.join("listings").join(remote)
}

/// What the remote has now.
///
/// # Errors
/// When it does not answer.
pub fn listing(
    repo: &Repository,
    peer: &Peer,
    client: &mut Client<'_>,
    progress: &dyn Progress,
) -> Result<Listing, SyncError> {
    let Some(remote) = &peer.remote else { return client.listing(None, progress) };
    let file = file(repo, &remote.name);
    let bytes = durable::read_limited(&file, LIMIT as u64).ok().flatten();
    let known = bytes.and_then(|bytes| codec::decode::<Listing, LIMIT>(&bytes).ok());
    let listing = client.listing(known.as_ref(), progress)?;
    if known.as_ref() != Some(&listing) {
        // Without it the next answer is longer, and no less right.
        let folder = repo.layout().common.join("listings");
        let _ = durable::create_dir_all(&folder).and_then(|()| durable::write_atomic(&file, &codec::encode(&listing)));
    }
    Ok(listing)
}

/// Forgets it, when the remote goes or gets another name.
pub fn forget(repo: &Repository, remote: &str) {
    // What stays is confirmed before it counts.
    let _ = durable::remove_file(&file(repo, remote));
}
