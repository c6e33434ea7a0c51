//! What is written is read back.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::object::{ObjectRead, ObjectWrite};

const CHUNK: ObjectKind = ObjectKind::Chunk;

fn check(odb: &Odb, digests: &[Digest], objects: &[Vec<u8>]) {
    for (digest, bytes) in digests.iter().zip(objects) {
        assert!(odb.contains(digest).unwrap());
        assert_eq!(odb.info(digest).unwrap().unwrap().plain_len as usize, bytes.len());
        assert_eq!(&odb.read(CHUNK, digest).unwrap(), bytes);
    }
    let absent = CHUNK.digest(b"never stored");
    assert!(!odb.contains(&absent).unwrap() && odb.info(&absent).unwrap().is_none());
    assert!(matches!(odb.read(CHUNK, &absent), Err(StoreError::Missing { .. })));
}

#[test]
fn few_objects_stay_loose() {
    let dir = tempfile::tempdir().unwrap();
    let mut objects = chunks(1, 7, 100);
    objects.push(b"compressible ".repeat(400));
    let store = odb(dir.path());
    let digests = add(&store, &objects);
    check(&store, &digests, &objects);
    let all = files(dir.path());
    assert_eq!(all.len(), 8);
    for path in all {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o444);
    }
    assert!(digests.iter().all(|d| store.info(d).unwrap().unwrap().location == Location::Loose));
    assert!(store.info(&digests[7]).unwrap().unwrap().stored_len < 200);
}

#[test]
fn many_objects_become_a_pack() {
    let dir = tempfile::tempdir().unwrap();
    for map in [true, false] {
        let store = Odb::open(dir.path().join(map.to_string()), OdbOptions { map, cache_bytes: 1 << 16 }).unwrap();
        let objects = chunks(2, 500, 300);
        let digests = add(&store, &objects);
        assert_eq!(files(store.dir()).len(), 1);
        check(&store, &digests, &objects);
        check(&Odb::open(store.dir(), OdbOptions { map, cache_bytes: 0 }).unwrap(), &digests, &objects);
        assert_eq!(store.pack_list().unwrap()[0].entries, 500);
    }
}

#[test]
fn eight_big_objects_become_a_pack_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    add(&store, &chunks(3, 2, 600_000));
    assert_eq!(store.pack_list().unwrap().len(), 1);
}

#[test]
fn packs_roll_and_read_back_before_they_have_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let writer = store.writer(WriterOptions { pack_limit: 100_000, ..WriterOptions::default() }).unwrap();
    let objects = chunks(4, 100, 10_000);
    let digests: Vec<_> = objects.iter().map(|bytes| put(&writer, bytes)).collect();
    for (digest, bytes) in digests.iter().zip(&objects) {
        assert_eq!(&ObjectRead::read(&writer, CHUNK, digest).unwrap(), bytes);
        assert!(!store.contains(digest).unwrap(), "visible before it is finished");
        let again = writer.put(CHUNK, *digest, bytes, Hint::default()).unwrap();
        assert!(!again.new);
    }
    let stats = writer.finish().unwrap();
    assert_eq!((stats.objects_new, stats.objects_known), (100, 100));
    assert_eq!((stats.plain_new, stats.plain_known), (1_000_000, 1_000_000));
    assert_eq!(stats.stored_new, 1_000_000 + 100 * frame::HEADER_LEN as u64);
    assert_eq!(store.pack_list().unwrap().len(), 10);
    check(&store, &digests, &objects);
}

#[test]
fn a_writer_publishes_before_it_holds_too_many_packs() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let writer = store.writer(WriterOptions { pack_limit: 500, ..WriterOptions::default() }).unwrap();
    let objects = chunks(7, 150, 1000);
    let digests: Vec<_> = objects.iter().map(|bytes| put(&writer, bytes)).collect();
    assert!(store.contains(&digests[0]).unwrap() && !store.contains(&digests[149]).unwrap());
    for (digest, bytes) in digests.iter().zip(&objects) {
        assert_eq!(&ObjectRead::read(&writer, CHUNK, digest).unwrap(), bytes);
        assert!(!writer.put(CHUNK, *digest, bytes, Hint::default()).unwrap().new);
    }
    writer.finish().unwrap();
    assert_eq!(store.pack_list().unwrap().len(), 150);
    check(&store, &digests, &objects);
}

#[test]
fn threads_that_put_the_same_store_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let writer = store.writer(WriterOptions { pack_limit: 300_000, ..WriterOptions::default() }).unwrap();
    let objects = chunks(5, 400, 3000);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (writer, objects) = (&writer, &objects);
            scope.spawn(move || {
                for i in 0..objects.len() {
                    let bytes = &objects[(i * 7 + thread * 3) % objects.len()];
                    let digest = put(writer, bytes);
                    assert_eq!(&ObjectRead::read(writer, CHUNK, &digest).unwrap(), bytes);
                }
            });
        }
    });
    let stats = writer.finish().unwrap();
    assert_eq!((stats.objects_new, stats.objects_known), (400, 1200));
    let mut seen = 0;
    store
        .for_each::<StoreError>(|_, _| {
            seen += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, 400);
}

#[test]
fn readers_see_what_writers_finish_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    let reader = odb(dir.path());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let store = odb(dir.path());
            for round in 0..40 {
                add(&store, &chunks(100 + round, 12, 50));
            }
            done.store(true, Ordering::Release);
        });
        let mut round = 0;
        while round < 40 {
            let finished = done.load(Ordering::Acquire);
            let expected = chunks(100 + round, 12, 50);
            match reader.read(CHUNK, &CHUNK.digest(&expected[11])) {
                Ok(bytes) => {
                    assert_eq!(bytes, expected[11]);
                    round += 1;
                }
                Err(StoreError::Missing { .. }) => assert!(!finished, "round {round} is not seen"),
                Err(e) => panic!("{e}"),
            }
        }
    });
    assert!(dir.path().join("pack/merged.idx").exists(), "40 packs are merged");
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let writer = store.writer(WriterOptions { pack_limit: 1 << 20, ..WriterOptions::default() }).unwrap();
    chunks(6, 50, 200_000).iter().for_each(|bytes| {
        put(&writer, bytes);
    });
    assert!(!files(dir.path()).is_empty());
    drop(writer);
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn reading_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(&dir.path().join("objects"));
    check(&store, &[], &[]);
    store.writer(WriterOptions::default()).unwrap().finish().unwrap();
    assert!(!dir.path().join("objects").exists());
}

#[test]
fn copies_in_several_packs_and_a_merged_index_that_is_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let objects = chunks(7, 200, 64);
    let digests = add(&store, &objects);
    // A second copy of half of them, as a writer that respects a condemned list leaves it.
    let condemned = condemned::DigestSet::new(digests.clone()).into();
    let writer = store.writer(WriterOptions { condemned, ..WriterOptions::default() }).unwrap();
    objects[..100].iter().for_each(|bytes| {
        put(&writer, bytes);
    });
    writer.finish().unwrap();
    assert_eq!(store.merge_index().unwrap(), 2);
    assert_eq!(store.uncovered_packs(), 0);
    let later = chunks(8, 50, 64);
    let later_digests = add(&store, &later);
    let packs = store.pack_list().unwrap();
    check(&store, &digests, &objects);
    check(&store, &later_digests, &later);
    // The merged index still names the pack of the second copies; the first ones must be found.
    let second = packs.iter().find(|pack| pack.entries == 100).unwrap();
    std::fs::remove_file(dir.path().join("pack").join(second.id.file_name())).unwrap();
    check(&store, &digests, &objects);
    check(&odb(dir.path()), &digests, &objects);
}

#[test]
fn prefixes_resolve_in_packs_and_loose() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let mut digests = add(&store, &chunks(9, 300, 40));
    digests.extend(add(&store, &chunks(10, 8, 40)));
    digests.sort_unstable();
    for digits in [1, 2, 3, 8] {
        for digest in digests.iter().step_by(23) {
            let prefix: HexPrefix = digest.to_string()[..digits].parse().unwrap();
            let expected: Vec<_> = digests.iter().filter(|d| prefix.matches(d)).map(|d| (*d, CHUNK)).collect();
            assert_eq!(store.resolve_prefix(&prefix).unwrap(), expected);
        }
    }
}

#[test]
fn the_store_keeps_content_and_metadata_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let writer = store.writer(StoreWriterOptions::default()).unwrap();
    let chunk = writer.write(CHUNK, b"content").unwrap();
    let tree = writer.write(ObjectKind::Tree, b"folder").unwrap();
    let done = writer.finish().unwrap();
    assert_eq!((done.content.objects_new, done.meta.objects_new), (1, 1));
    assert_eq!(writers::live_writers_older_than(dir.path(), 1).unwrap().len(), 1);
    drop(done);
    assert!(writers::live_writers_older_than(dir.path(), 1).unwrap().is_empty());
    assert!(store.content.contains(&chunk).unwrap() && !store.meta.contains(&chunk).unwrap());
    assert_eq!(store.read(ObjectKind::Tree, &tree).unwrap(), b"folder");
    assert!(matches!(store.meta.read(ObjectKind::Commit, &tree), Err(StoreError::WrongKind { .. })));
}
