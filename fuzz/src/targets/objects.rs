//! What is decoded by the codec: metadata objects and their parts.

use dits_core::chunk::{ChunkRef, Profile};
use dits_core::codec;
use dits_core::commit::Commit;
use dits_core::maintain::references;
use dits_core::object::memory::MemoryObjects;
use dits_core::object::{CommitId, Digest, ObjectKind, TagId};
use dits_core::path::RepoPath;
use dits_core::tag::Tag;
use dits_core::tree::TreeEntry;

/// The codec: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn decode(data: &[u8]) {
    if let Ok(value) = codec::decode::<Vec<(u64, Vec<u8>)>, 12_288>(data) {
        assert_eq!(codec::encode(&value), data);
    }
    if let Ok(value) = codec::decode::<Vec<Option<String>>, 1_048_576>(data) {
        assert_eq!(codec::encode(&value), data);
    }
    if let Ok(path) = codec::decode::<RepoPath, 12_288>(data) {
        assert_eq!(codec::encode(&path), data);
    }
    if let Ok(profile) = codec::decode::<Profile, 64>(data) {
        assert_eq!(codec::encode(&profile), data);
        let _ = profile.validate();
    }
    if let Ok(chunk) = codec::decode::<ChunkRef, 64>(data) {
        assert_eq!(codec::encode(&chunk), data);
    }
    if let Ok(entry) = codec::decode::<TreeEntry, 12_288>(data) {
        assert_eq!(codec::encode(&entry), data);
        let _ = entry.check();
    }
}

/// Metadata: the first byte is the kind, the rest the object. Commits and tags that decode, encode to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn object(data: &[u8]) {
    let Some((code, bytes)) = data.split_first() else { return };
    let Some(kind) = ObjectKind::from_code(*code) else { return };
    let digest = kind.digest(bytes);
    let found = references(kind, &digest, bytes);
    let again = match kind {
        ObjectKind::Commit => {
            let commit = Commit::from_bytes(CommitId::from_digest(digest), bytes);
            assert_eq!(commit.is_ok(), found.is_ok());
            commit.ok().and_then(|commit| Some(*commit.write(&MemoryObjects::new()).ok()?.digest()))
        }
        ObjectKind::Tag => {
            let tag = Tag::from_bytes(TagId::from_digest(digest), bytes);
            assert_eq!(tag.is_ok(), found.is_ok());
            tag.ok().and_then(|tag| Some(*tag.write(&MemoryObjects::new()).ok()?.digest()))
        }
        _ => None,
    };
    if let Some(again) = again {
        assert_eq!(again, digest, "it encodes to other bytes");
    }
    let _ = String::from_utf8_lossy(bytes).parse::<Digest>();
}
