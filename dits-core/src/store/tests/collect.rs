//! What garbage collection does with files, beside writers.

use super::*;
use crate::progress::Silent;
use condemned::{Condemned, CondemnedSet, DigestSet};
use writers::{WriterGuard, live_writers_older_than};

const CHUNK: ObjectKind = ObjectKind::Chunk;

fn packs(store: &Odb) -> Vec<PackId> {
    store.pack_ids().unwrap().into_iter().map(|(id, _)| id).collect()
}

fn total(dir: &Path) -> u64 {
    files(dir).iter().filter(|path| !path.ends_with("merged.idx")).map(|path| path.metadata().unwrap().len()).sum()
}

#[test]
fn removal_keeps_what_lives_and_frees_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let (mixed, doomed, loose) = (chunks(1, 300, 100), chunks(2, 20, 100), chunks(3, 8, 100));
    let digests = [add(&store, &mixed), add(&store, &doomed), add(&store, &loose)].concat();
    let objects = [mixed, doomed, loose].concat();
    store.merge_index().unwrap();
    let dead = |i: usize| (300..320).contains(&i) || i.is_multiple_of(3);
    let (mut gone, mut live) = (Vec::new(), Vec::new());
    digests.iter().enumerate().for_each(|(i, d)| if dead(i) { gone.push(*d) } else { live.push(i) });
    let gone = DigestSet::new(gone);
    let before = total(dir.path());
    let plan = store.remove_objects(&gone, &packs(&store), true, &Silent).unwrap();
    assert_eq!(total(dir.path()), before);
    let done = store.remove_objects(&gone, &packs(&store), false, &Silent).unwrap();
    assert_eq!(plan, done);
    assert_eq!(done.freed, before - total(dir.path()));
    assert_eq!((done.packs_deleted, done.packs_rewritten, done.loose_deleted), (1, 1, 3));
    assert_eq!(done.objects as usize, gone.as_slice().len());
    for store in [store, odb(dir.path())] {
        for i in &live {
            assert_eq!(store.read(CHUNK, &digests[*i]).unwrap(), objects[*i]);
        }
        assert!(gone.as_slice().iter().all(|d| !store.contains(d).unwrap()));
    }
}

#[test]
fn what_a_writer_adds_again_survives() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let objects = [chunks(4, 5, 100), chunks(5, 30, 100)].concat();
    let digests = [add(&store.content, &objects[..5]), add(&store.content, &objects[5..])].concat();
    let set = CondemnedSet { packs: packs(&store.content), digests: DigestSet::new(digests.clone()).into() };
    let list = Condemned::publish(dir.path(), set.clone(), CondemnedSet::default(), 7).unwrap();
    assert_eq!(list.generation, 1);
    // Readers still read them; a writer writes them again: exactly the same objects, in the same order.
    assert_eq!(store.read_chunk(&digests[0]), objects[0]);
    let writer = store.writer(StoreWriterOptions::default()).unwrap();
    assert!(!writer.content.contains(&digests[0]).unwrap());
    for bytes in &objects {
        assert!(writer.put(CHUNK, CHUNK.digest(bytes), bytes, Hint::default()).unwrap().new);
    }
    let _guard = writer.finish().unwrap().guard;
    let removed = store.content.remove_objects(&set.digests, &set.packs, false, &Silent).unwrap();
    assert_eq!((removed.objects, removed.loose_deleted), (35, 5));
    for (digest, bytes) in digests.iter().zip(&objects) {
        assert_eq!(&store.read_chunk(digest), bytes);
    }
}

impl Store {
    fn read_chunk(&self, digest: &Digest) -> Vec<u8> {
        self.content.read(CHUNK, digest).unwrap()
    }
}

#[test]
fn one_condemned_object_added_again_does_not_become_loose() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let digests = add(&store, &chunks(6, 1, 100));
    let condemned = DigestSet::new(digests).into();
    let writer = store.writer(WriterOptions { condemned, ..WriterOptions::default() }).unwrap();
    put(&writer, &chunks(6, 1, 100)[0]);
    writer.finish().unwrap();
    assert_eq!(packs(&store).len(), 1);
}

#[test]
fn a_writer_sees_what_was_removed_before_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let (old, other) = (odb(dir.path()), odb(dir.path()));
    let objects = chunks(7, 20, 100);
    let digests = add(&old, &objects);
    assert!(old.contains(&digests[0]).unwrap());
    other.remove_objects(&DigestSet::new(digests.clone()), &packs(&other), false, &Silent).unwrap();
    let writer = old.writer(WriterOptions::default()).unwrap();
    assert!(!writer.contains(&digests[0]).unwrap());
}

#[test]
fn small_packs_and_loose_objects_are_gathered() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let (mut objects, mut digests) = (Vec::new(), Vec::new());
    for round in 0..40 {
        let some = chunks(100 + round, if round % 2 == 0 { 3 } else { 12 }, 80);
        digests.extend(add(&store, &some));
        objects.extend(some);
    }
    let reader = odb(dir.path());
    assert_eq!(reader.read(CHUNK, &digests[0]).unwrap(), objects[0]);
    let options = ConsolidateOptions { smaller_than: 1 << 20, loose: true, pack_limit: 1 << 30 };
    let done = store.consolidate(options, &Silent).unwrap();
    assert_eq!(done, Consolidated { packs_before: 20, packs_after: 1, loose: 60, duplicates: 0 });
    assert_eq!(files(dir.path()).len(), 1);
    // A reader that listed the packs before finds everything at its new place.
    for store in [&store, &reader] {
        for (digest, bytes) in digests.iter().zip(&objects) {
            assert_eq!(&store.read(CHUNK, digest).unwrap(), bytes);
        }
    }
    assert_eq!(store.consolidate(options, &Silent).unwrap(), Consolidated::default());
}

#[test]
fn writers_show_what_they_respect_and_dead_ones_are_cleaned_up() {
    let dir = tempfile::tempdir().unwrap();
    assert!(live_writers_older_than(dir.path(), 9).unwrap().is_empty());
    let (old, list) = WriterGuard::register(dir.path()).unwrap();
    assert_eq!((old.generation(), list), (0, Condemned::default()));
    Condemned::publish(dir.path(), CondemnedSet::default(), CondemnedSet::default(), 1).unwrap();
    let (new, _) = WriterGuard::register(dir.path()).unwrap();
    assert_eq!(new.generation(), 1);
    let older = live_writers_older_than(dir.path(), 1).unwrap();
    assert_eq!(older.iter().map(|w| (w.generation, w.pid)).collect::<Vec<_>>(), [(0, std::process::id())]);
    assert_eq!(live_writers_older_than(dir.path(), 2).unwrap().len(), 2);
    drop(old);
    assert!(live_writers_older_than(dir.path(), 1).unwrap().is_empty());
    // A file without a lock is what a killed process leaves.
    std::fs::write(dir.path().join("writers/dead"), [0; 16]).unwrap();
    assert!(live_writers_older_than(dir.path(), 1).unwrap().is_empty());
    assert!(!dir.path().join("writers/dead").exists());
}

#[test]
fn only_the_unfinished_files_of_the_dead_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = odb(dir.path());
    let digests = add(&store, &chunks(8, 3, 10));
    let writer = store.writer(WriterOptions::default()).unwrap();
    chunks(9, 10, 1_000_000).iter().for_each(|bytes| {
        put(&writer, bytes);
    });
    let hex = digests[0].to_string();
    std::fs::write(dir.path().join("pack/tmp-dead.pack"), [1; 100]).unwrap();
    std::fs::write(dir.path().join(&hex[..2]).join("tmp-dead"), [1; 10]).unwrap();
    assert_eq!(store.remove_dead_temps().unwrap(), (2, 110));
    writer.finish().unwrap();
    assert!(store.contains(&CHUNK.digest(&chunks(9, 10, 1_000_000)[9])).unwrap());
}

#[test]
fn the_condemned_list_survives_nothing_but_itself() {
    let packs = vec![PackId(Digest([7; 32]))];
    let set = CondemnedSet { packs, digests: DigestSet::new(vec![Digest([2; 32]), Digest([1; 32])]).into() };
    let list = Condemned { generation: 3, published: -5, content: set, meta: CondemnedSet::default() };
    let bytes = list.encode();
    assert_eq!(Condemned::decode(&bytes).unwrap(), list);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 4;
        assert!(Condemned::decode(&bad).is_err(), "byte {at}");
        assert!(Condemned::decode(&bytes[..at]).is_err(), "length {at}");
    }
}
