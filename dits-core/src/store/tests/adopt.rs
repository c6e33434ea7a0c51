//! What killed processes left unfinished.

use std::fs;

use super::*;

/// The unfinished pack of a writer that is still at work, as a killed process would leave it.
fn leave_behind(dir: &Path, objects: &[Vec<u8>], cut: usize) -> (Vec<Digest>, PathBuf) {
    let writer = odb(dir).writer(WriterOptions::default()).unwrap();
    let digests = objects.iter().map(|bytes| put(&writer, bytes)).collect();
    let draft = files(dir).into_iter().find(|path| path.to_string_lossy().contains("/tmp-")).unwrap();
    let bytes = fs::read(&draft).unwrap();
    let left = draft.with_file_name("tmp-left.pack");
    fs::write(&left, &bytes[..bytes.len() - cut]).unwrap();
    // The one that is still locked is not anybody else's.
    let adopted = odb(dir).adopt_unfinished().unwrap();
    fs::write(&left, &bytes[..bytes.len() - cut]).unwrap();
    assert!(draft.exists() && adopted.packs <= 1);
    for pack in files(dir).into_iter().filter(|path| !path.to_string_lossy().contains("/tmp-")) {
        fs::remove_file(pack).unwrap();
    }
    drop(writer);
    assert!(!draft.exists());
    (digests, left)
}

#[test]
fn whole_frames_are_kept_and_a_torn_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let objects = chunks(1, 60, 100_000);
    let (digests, left) = leave_behind(dir.path(), &objects, 1000);
    let store = odb(dir.path());
    let adopted = store.adopt_unfinished().unwrap();
    assert_eq!(adopted.packs, 1);
    assert!((20..60).contains(&adopted.objects), "{adopted:?}");
    assert!(!left.exists());
    for (i, (digest, bytes)) in digests.iter().zip(&objects).enumerate() {
        let here = store.contains(digest).unwrap();
        assert_eq!(here, (i as u64) < adopted.objects);
        assert!(!here || store.read(ObjectKind::Chunk, digest).unwrap() == *bytes);
    }
    for (id, _) in store.pack_ids().unwrap() {
        store.check_pack(id, Depth::EveryByte, &crate::progress::Silent, &mut |f| panic!("{f:?}")).unwrap();
    }
    assert_eq!(store.adopt_unfinished().unwrap(), Adopted::default());
    // A writer goes on from there.
    add(&store, &objects);
    assert!(digests.iter().all(|digest| store.contains(digest).unwrap()));
}

#[test]
fn what_is_no_pack_or_has_no_frame_goes() {
    let dir = tempfile::tempdir().unwrap();
    let (_, left) = leave_behind(dir.path(), &chunks(2, 60, 100_000), 0);
    let bytes = fs::read(&left).unwrap();
    for (name, bytes) in [("tmp-a.pack", &b""[..]), ("tmp-b.pack", b"ditsmidx"), ("tmp-c.pack", &bytes[..50_000])] {
        fs::write(left.with_file_name(name), bytes).unwrap();
    }
    let mut damaged = bytes.clone();
    damaged[500] ^= 1;
    fs::write(&left, damaged).unwrap();
    assert_eq!(odb(dir.path()).adopt_unfinished().unwrap(), Adopted::default());
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn frames_travel_as_they_are() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let objects = [vec![7; 50_000], noise(3, 50_000)];
    let (from, to) = (odb(a.path()), odb(b.path()));
    let digests = add(&from, &objects);
    let writer = to.writer(WriterOptions::default()).unwrap();
    let mut frame = Vec::new();
    for digest in &digests {
        let header = from.read_frame(ObjectKind::Chunk, digest, &mut frame).unwrap();
        assert_eq!((header.digest, header.frame_len()), (*digest, frame.len()));
        assert!(writer.put_frame(&header, &frame).unwrap().new);
        assert!(!writer.put_frame(&header, &frame).unwrap().new);
    }
    assert_eq!(writer.stats().objects_known, 2);
    writer.finish().unwrap();
    for (digest, bytes) in digests.iter().zip(&objects) {
        assert_eq!(to.read(ObjectKind::Chunk, digest).unwrap(), *bytes);
        assert_eq!(to.info(digest).unwrap().unwrap().stored_len, from.info(digest).unwrap().unwrap().stored_len);
    }
    let missing = ObjectKind::Chunk.digest(b"nobody");
    assert!(matches!(from.read_frame(ObjectKind::Chunk, &missing, &mut frame), Err(StoreError::Missing { .. })));
    let wrong = from.read_frame(ObjectKind::Commit, &digests[0], &mut frame);
    assert!(matches!(wrong, Err(StoreError::WrongKind { .. })));
}
