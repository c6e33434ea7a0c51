//! Which clone this is: `.dits/clone` (`docs/format/locks-here.md`).
//!
//! The record has the inode of the `.dits` folder, so that a clone that somebody copies with all its files is another one.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bincode::{Decode, Encode};

use super::CloneId;
use crate::codec;
use crate::durable::IoContext;
use crate::lockfile::{FileLock, PATIENCE};
use crate::record::{RecordError, RecordKind};
use crate::repo::RepoError;

const RECORD: RecordKind = RecordKind { magic: *b"DITSCLON", version: 1 };
const FILE: &str = "clone";
const LOCK: &str = "clone.lock";
const LIMIT: usize = 64;

#[derive(Debug, PartialEq, Eq, Encode, Decode)]
struct Identity {
    id: CloneId,
    inode: u64,
}

/// The id of the clone with this `.dits` folder, if it has one. A copy has none, and neither has one whose record is damaged:
/// nobody can tell any more which one it was.
///
/// # Errors
/// When it cannot be read.
pub fn known(common: &Path) -> Result<Option<CloneId>, RepoError> {
    let payload = match RECORD.read(&common.join(FILE)) {
        Err(RecordError::Corrupt { .. }) => None,
        payload => payload?,
    };
    let Some(found) = payload.and_then(|payload| codec::decode::<Identity, LIMIT>(&payload).ok()) else {
        return Ok(None);
    };
    Ok((found.inode == inode(common)?).then_some(found.id))
}

/// The same; one that has none is given one.
///
/// # Errors
/// When it cannot be read or written.
pub fn of(common: &Path) -> Result<CloneId, RepoError> {
    if let Some(id) = known(common)? {
        return Ok(id);
    }
    let _lock = FileLock::acquire(&common.join(LOCK), PATIENCE)?;
    // Another process may have been faster.
    if let Some(id) = known(common)? {
        return Ok(id);
    }
    let mut id = CloneId([0; 16]);
    let random = Path::new("/dev/urandom");
    File::open(random).and_then(|mut file| file.read_exact(&mut id.0)).at("read", random)?;
    RECORD.write(&common.join(FILE), &codec::encode(&Identity { id, inode: inode(common)? }))?;
    Ok(id)
}

fn inode(common: &Path) -> Result<u64, RepoError> {
    Ok(std::fs::metadata(common).at("look at", common)?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_its_id_and_a_copy_gets_another() {
        let dir = tempfile::tempdir().unwrap();
        let (one, copy) = (dir.path().join("one"), dir.path().join("copy"));
        [&one, &copy].iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        assert_eq!(known(&one).unwrap(), None);
        let id = of(&one).unwrap();
        assert_eq!((of(&one).unwrap(), known(&one).unwrap()), (id, Some(id)));
        std::fs::copy(one.join(FILE), copy.join(FILE)).unwrap();
        assert_eq!(known(&copy).unwrap(), None);
        assert_ne!(of(&copy).unwrap(), id);
        std::fs::write(one.join(FILE), "damaged").unwrap();
        assert_ne!(of(&one).unwrap(), id);
    }

    #[test]
    fn golden() {
        let bytes = RECORD.encode(&codec::encode(&Identity { id: CloneId([7; 16]), inode: 300 }));
        // docs/format/locks-here.md describes these bytes.
        let expected = ["44495453434c4f4e01000000", "13000000", "07070707070707070707070707070707", "fb2c01"].concat();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex[..hex.len() - 8], expected);
    }
}
