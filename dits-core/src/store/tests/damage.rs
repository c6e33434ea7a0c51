//! Damage is named, never believed, and never a panic.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::progress::Silent;

const CHUNK: ObjectKind = ObjectKind::Chunk;

fn overwrite(path: &Path, bytes: &[u8]) {
    // Replaced, not changed in place, so that mappings of the old file stay whole.
    let temp = path.with_extension("damage");
    fs::write(&temp, bytes).unwrap();
    fs::set_permissions(&temp, fs::Permissions::from_mode(0o644)).unwrap();
    fs::rename(temp, path).unwrap();
}

fn findings(store: &Odb, depth: Depth) -> Vec<Finding> {
    let mut all = Vec::new();
    for (id, _) in store.pack_ids().unwrap() {
        store.check_pack(id, depth, &Silent, &mut |f| all.push(f)).unwrap();
    }
    store.check_loose(depth, &Silent, &mut |f| all.push(f)).unwrap();
    store.check_merged(&Silent, &mut |f| all.push(f)).unwrap();
    all
}

/// Every byte, but of the long runs of zeros that fill pages only some.
fn worth_flipping(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len())
        .filter(|at| bytes[*at] != 0 || bytes[at.saturating_sub(8)..*at].iter().any(|b| *b != 0) || at % 61 == 0)
        .collect()
}

/// Flips bits of every byte of `path` in turn; every answer is right or an error that names a file, and fsck sees it.
fn flip_every_byte(dir: &Path, path: &Path, digests: &[Digest], objects: &[Vec<u8>]) {
    assert!(findings(&odb(dir), Depth::EveryByte).is_empty());
    let good = fs::read(path).unwrap();
    for at in worth_flipping(&good) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        overwrite(path, &bad);
        let store = odb(dir);
        for (digest, bytes) in digests.iter().zip(objects) {
            match store.read(CHUNK, digest) {
                Ok(read) => assert!(&read == bytes, "wrong bytes with byte {at} flipped"),
                Err(StoreError::Missing { .. }) => panic!("byte {at} flipped hides an object"),
                Err(e) => {
                    let text = e.to_string();
                    let named = text.contains(dir.to_str().unwrap()) || matches!(e, StoreError::TooNew { .. });
                    assert!(named, "byte {at}: {text}");
                }
            }
            assert!(!matches!(store.contains(digest), Ok(false)), "byte {at} flipped hides an object");
        }
        assert!(!findings(&store, Depth::EveryByte).is_empty(), "fsck does not see byte {at}");
    }
    overwrite(path, &good);
}

#[test]
fn every_byte_of_a_loose_object() {
    let dir = tempfile::tempdir().unwrap();
    for object in [noise(1, 90), b"compressible ".repeat(20)] {
        let objects = vec![object];
        let digests = add(&odb(dir.path()), &objects);
        let path = files(dir.path()).pop().unwrap();
        flip_every_byte(dir.path(), &path, &digests, &objects);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn every_byte_of_a_pack() {
    let dir = tempfile::tempdir().unwrap();
    let mut objects = chunks(2, 8, 70);
    objects.push(b"compressible ".repeat(20));
    let digests = add(&odb(dir.path()), &objects);
    let path = files(dir.path()).pop().unwrap();
    flip_every_byte(dir.path(), &path, &digests, &objects);
}

#[test]
fn every_byte_of_a_merged_index() {
    let dir = tempfile::tempdir().unwrap();
    let (mut objects, more) = (chunks(3, 9, 20), chunks(4, 9, 20));
    let mut digests = add(&odb(dir.path()), &objects);
    digests.extend(add(&odb(dir.path()), &more));
    objects.extend(more);
    odb(dir.path()).merge_index().unwrap();
    let path = dir.path().join("pack/merged.idx");
    let good = fs::read(&path).unwrap();
    for at in worth_flipping(&good) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        overwrite(&path, &bad);
        let store = odb(dir.path());
        for (digest, bytes) in digests.iter().zip(&objects).step_by(5) {
            match store.read(CHUNK, digest) {
                Ok(read) => assert_eq!(&read, bytes),
                Err(e) => assert!(e.to_string().contains("merged.idx") && e.to_string().contains("dits gc"), "{e}"),
            }
        }
    }
    // The remedy helps.
    let mut bad = good.clone();
    bad[5000] ^= 1;
    overwrite(&path, &bad);
    let store = odb(dir.path());
    assert_eq!(findings(&store, Depth::Structure).len(), 1);
    store.merge_index().unwrap();
    assert_eq!(fs::read(&path).unwrap(), good);
    assert!(findings(&store, Depth::EveryByte).is_empty());
    assert_eq!(store.read(CHUNK, &digests[0]).unwrap(), objects[0]);
}

#[test]
fn another_copy_stands_in_for_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let objects = chunks(5, 20, 100);
    let digests = add(&odb(dir.path()), &objects);
    let pack = files(dir.path()).pop().unwrap();
    let condemned = condemned::DigestSet::new(digests.clone()).into();
    let writer = odb(dir.path()).writer(WriterOptions { condemned, ..WriterOptions::default() }).unwrap();
    objects.iter().for_each(|bytes| {
        put(&writer, bytes);
    });
    writer.finish().unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    bytes[40..3000].fill(0xee);
    overwrite(&pack, &bytes);
    for (digest, bytes) in digests.iter().zip(&objects) {
        assert_eq!(&odb(dir.path()).read(CHUNK, digest).unwrap(), bytes);
    }
}

#[test]
fn a_pack_that_lost_its_end_is_salvaged() {
    let dir = tempfile::tempdir().unwrap();
    let objects = chunks(6, 40, 1000);
    let digests = add(&odb(dir.path()), &objects);
    let path = files(dir.path()).pop().unwrap();
    let good = fs::read(&path).unwrap();
    // Cut in the middle of the 31st frame, with damage in the third.
    let frame = 1000 + frame::HEADER_LEN;
    let mut bad = good[..32 + 30 * frame + 500].to_vec();
    bad[32 + 2 * frame + 300] ^= 0x10;
    overwrite(&path, &bad);
    let store = odb(dir.path());
    let error = store.read(CHUNK, &digests[0]).unwrap_err();
    assert!(error.is_corruption() && error.to_string().contains("fsck --repair"), "{error}");
    let id = store.pack_ids().unwrap()[0].0;
    let salvaged = store.salvage(id).unwrap();
    assert_eq!(salvaged.objects, 29);
    assert_eq!(salvaged.skipped as usize, 32 + frame + 500);
    store.delete_packs(&[id]).unwrap();
    let read = |digest| store.read(CHUNK, digest);
    let saved = digests.iter().zip(&objects).filter(|(digest, bytes)| read(digest).is_ok_and(|read| read == **bytes));
    assert_eq!(saved.count(), 29);
    assert!(matches!(store.read(CHUNK, &digests[2]), Err(StoreError::Missing { .. })));
    assert!(findings(&store, Depth::EveryByte).is_empty());
}

#[test]
fn every_length_of_a_cut_pack_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let objects = chunks(7, 10, 30);
    let digests = add(&odb(dir.path()), &objects);
    let path = files(dir.path()).pop().unwrap();
    let good = fs::read(&path).unwrap();
    for len in (0..good.len()).step_by(7) {
        overwrite(&path, &good[..len]);
        let error = odb(dir.path()).contains(&digests[0]).unwrap_err();
        assert!(error.is_corruption(), "{error}");
    }
}
