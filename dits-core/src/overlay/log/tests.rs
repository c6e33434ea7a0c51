//! Logs that are written, cut off, changed and written anew lead to the state that they should.

use proptest::prelude::*;

use super::super::{Attributes, Boot, Fill, MADE_HERE, Time};
use super::*;
use crate::object::{ChunkId, Digest, ManifestId};

/// Few inodes and names, so that records meet.
fn record() -> impl Strategy<Value = Record> {
    let made = || (1..4_u64).prop_map(|n| MADE_HERE | n);
    let ino = prop_oneof![2..5_u64, made()];
    let mode = prop_oneof![Just(0o100_644), Just(0o040_755), Just(0o120_777)];
    let name = prop::collection::vec(b'a'..b'd', 1..3);
    let time = (0..9_i64, 0..9_u32);
    let content = prop_oneof![
        Just((Content::Empty, 0)),
        (1..40_u64).prop_map(|size| (Content::Chunk(ChunkId::from_digest(Digest([1; 32]))), size)),
        (1..40_u64).prop_map(|size| (Content::Manifest(ManifestId::from_digest(Digest([2; 32]))), size)),
    ];
    let fill = prop_oneof![Just(Fill::Data), Just(Fill::Zero)];
    let attributes = (mode, 0..3_u32, time.clone()).prop_map(|(mode, uid, time)| Attributes {
        mode,
        uid,
        gid: uid,
        mtime: time,
        ctime: time,
    });
    prop_oneof![
        3 => (ino.clone(), attributes).prop_map(|(ino, attributes)| Record::Node { ino, attributes }),
        2 => (2..5_u64, name.clone(), made()).prop_map(|(folder, name, ino)| Record::Link { folder, name, ino }),
        1 => (2..5_u64, name.clone(), made()).prop_map(|(folder, name, ino)| Record::Unlink { folder, name, ino }),
        2 => (ino.clone(), content, 0..3_u32)
            .prop_map(|(ino, (content, size), layer)| Record::Content { ino, content, size, layer }),
        4 => (ino.clone(), 0..40_u64, 1..9_u64, fill, time.clone())
            .prop_map(|(ino, start, len, fill, time)| Record::Range { ino, start, end: start + len, fill, time }),
        4 => (ino.clone(), 0..40_u64, 1..9_u64, time.clone())
            .prop_map(|(ino, start, len, time)| Record::Written { ino, start, end: start + len, time }),
        2 => (ino.clone(), 0..40_u64, 1..9_u64)
            .prop_map(|(ino, start, len)| Record::Kept { ino, start, end: start + len }),
        2 => (ino.clone(), 0..50_u64, time).prop_map(|(ino, size, time)| Record::Size { ino, size, time }),
        1 => (ino.clone(), name.clone()).prop_map(|(ino, target)| Record::Target { ino, target }),
        1 => (ino.clone(), name.clone(), prop::option::of(name))
            .prop_map(|(ino, name, value)| Record::Attribute { ino, name, value }),
        1 => ino.prop_map(|ino| Record::Gone { ino }),
    ]
}

/// Whether a file system may do this: an inode has one name, and goes when it has none.
fn sensible(state: &State, record: &Record) -> bool {
    let at = |folder, name| state.folders.get(folder).and_then(|names| names.get(name).copied().flatten());
    match record {
        Record::Link { folder, name, ino } => {
            at(folder, name).is_none() && state.nodes.get(ino).is_some_and(|node| !node.linked)
        }
        Record::Unlink { folder, name, ino } => at(folder, name) == Some(*ino),
        Record::Gone { ino } => {
            let empty = state.folders.get(ino).is_none_or(|names| names.values().all(Option::is_none));
            empty && state.nodes.get(ino).is_some_and(|node| !node.linked)
        }
        _ => true,
    }
}

/// The records that a state takes, one after the other.
fn accepted(records: Vec<Record>) -> (Vec<Record>, State) {
    let mut state = State::default();
    let mut taken = vec![Record::Folder { number: 0, ino: 1 }];
    state.apply(&taken[0]).unwrap();
    taken.extend(records.into_iter().filter(|record| sensible(&state, record) && state.apply(record).is_ok()));
    (taken, state)
}

/// What survives a state that was written down: neither generations nor what was touched.
fn plain(state: &State) -> String {
    let mut nodes: Vec<_> = state.nodes.iter().collect();
    nodes.sort_by_key(|(ino, _)| **ino);
    let mut folders: Vec<_> = state.folders.iter().filter(|(_, names)| !names.is_empty()).collect();
    folders.sort();
    let text = format!("{:?} {folders:?} {nodes:#?}", state.numbers);
    text.lines()
        .filter(|line| !["generation:", "touched:", "withdrawn:"].iter().any(|word| line.contains(word)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_log_leads_to_its_state_also_when_written_anew(records in prop::collection::vec(record(), 0..60)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (taken, state) = accepted(records);
        let mut log = Log::open(&path, &mut State::default()).unwrap();
        for batch in taken.chunks(3) {
            log.append(batch).unwrap();
        }
        let mut replayed = State::default();
        let mut log = Log::open(&path, &mut replayed).unwrap();
        prop_assert_eq!(&replayed, &state);
        replayed.forget_orphans();
        log.rewrite(&replayed).unwrap();
        let mut anew = State::default();
        let mut log = Log::open(&path, &mut anew).unwrap();
        prop_assert_eq!(plain(&anew), plain(&replayed));
        log.append(&[Record::Gone { ino: 2 }]).unwrap();
        prop_assert!(Log::open(&path, &mut State::default()).is_ok());
    }

    #[test]
    fn a_log_that_is_cut_off_or_changed_leads_to_a_state_from_before(
        records in prop::collection::vec(record(), 1..20),
        cut in any::<prop::sample::Index>(),
        flip in prop::option::of(0..8_u8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (taken, _) = accepted(records);
        let mut states = vec![State::default()];
        let mut log = Log::open(&path, &mut State::default()).unwrap();
        for record in &taken {
            log.append(std::slice::from_ref(record)).unwrap();
            let mut next = states.last().unwrap().clone();
            next.apply(record).unwrap();
            states.push(next);
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let at = cut.index(bytes.len());
        match flip {
            Some(bit) => bytes[at] ^= 1 << bit,
            None => bytes.truncate(at),
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut state = State::default();
        match Log::open(&path, &mut state) {
            Ok(_) => prop_assert!(states.contains(&state)),
            Err(error) => prop_assert!(at < HEADER as usize, "{error}"),
        }
    }
}

#[test]
fn a_log_knows_the_commit_below() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    assert_eq!(base(&path).unwrap(), None);
    let [one, other] = [1, 2].map(|byte| CommitId::from_digest(Digest([byte; 32])));
    Log::begin(&path, one).unwrap();
    let mut state = State::default();
    let mut log = Log::open(&path, &mut state).unwrap();
    assert_eq!((state.base, base(&path).unwrap()), (Some(one), Some(one)));
    log.append(&[Record::Folder { number: 0, ino: 1 }]).unwrap();
    log.rewrite(&state).unwrap();
    assert_eq!(base(&path).unwrap(), Some(one));
    Log::begin(&path, other).unwrap();
    assert_eq!(base(&path).unwrap(), Some(other));
    let mut late = State::default();
    late.apply(&Record::Folder { number: 0, ino: 1 }).unwrap();
    assert!(late.apply(&Record::Base { commit: one }).is_err());
}

/// What is left of bytes that were written, in a file with a base content of 10 bytes.
fn left(records: &[Record], boot: Boot) -> (u64, Vec<(std::ops::Range<u64>, Fill)>, Time) {
    let attributes = Attributes { mode: 0o100_644, uid: 0, gid: 0, mtime: (1, 0), ctime: (1, 0) };
    let mut state = State::new(0, Some(boot));
    let content = Content::Chunk(ChunkId::from_digest(Digest([7; 32])));
    let before = [
        Record::Boot { id: [1; 16] },
        Record::Node { ino: 9, attributes },
        Record::Content { ino: 9, content, size: 10, layer: 0 },
    ];
    before.iter().chain(records).for_each(|record| state.apply(record).unwrap());
    let file = state.file(9).unwrap();
    (file.size, file.ranges.iter().collect(), state.nodes[&9].attributes.mtime)
}

#[test]
fn bytes_that_were_not_synced_count_until_the_machine_is_started_again() {
    let (same, other) = ([1; 16], [2; 16]);
    let written = |start, end| Record::Written { ino: 9, start, end, time: (2, 0) };
    let kept = |start, end| Record::Kept { ino: 9, start, end };
    let (data, zero) = (|range| (range, Fill::Data), |range| (range, Fill::Zero));
    assert_eq!(left(&[written(4, 20)], same), (20, vec![data(4..20)], (2, 0)));
    assert_eq!(left(&[written(4, 20)], other), (10, vec![], (2, 0)));
    assert_eq!(left(&[written(4, 20), kept(4, 12), written(12, 30)], other), (12, vec![data(4..12)], (2, 0)));
    let beyond = [written(14, 20), kept(14, 20)];
    assert_eq!(left(&beyond, other), (20, vec![zero(10..14), data(14..20)], (2, 0)));
    // What came in between counts: only where there never was anything else there are zeros.
    let size = |size| Record::Size { ino: 9, size, time: (3, 0) };
    assert_eq!(left(&[written(4, 20), size(15)], other), (15, vec![zero(10..15)], (3, 0)));
    let boot = Record::Boot { id: other };
    assert_eq!(left(&[written(4, 6), boot, written(8, 9)], other), (10, vec![data(8..9)], (2, 0)));
}

#[test]
fn what_a_log_names_is_known_without_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    assert_eq!(contents(&path).unwrap(), []);
    let mut log = Log::open(&path, &mut State::default()).unwrap();
    let content = Content::Chunk(ChunkId::from_digest(Digest([7; 32])));
    let attributes = Attributes { mode: 0o100_644, uid: 0, gid: 0, mtime: (0, 0), ctime: (0, 0) };
    let named = Record::Content { ino: 9, content: content.clone(), size: 5, layer: 0 };
    log.append(&[Record::Node { ino: 9, attributes }, named]).unwrap();
    assert_eq!(contents(&path).unwrap(), [content]);
}

#[test]
fn the_bytes_of_a_log_stay_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut log = Log::open(&path, &mut State::default()).unwrap();
    let attributes = Attributes { mode: 0o100_644, uid: 1000, gid: 1001, mtime: (1, 2), ctime: (3, 4) };
    let ino = MADE_HERE | 1;
    let content = Content::Manifest(ManifestId::from_digest(Digest([9; 32])));
    let all = [
        Record::Folder { number: 0, ino: 1 },
        Record::Node { ino, attributes },
        Record::Link { folder: 1, name: b"shot".to_vec(), ino },
        Record::Content { ino, content, size: 300, layer: 2 },
        Record::Range { ino, start: 10, end: 20, fill: Fill::Data, time: (5, 6) },
        Record::Range { ino, start: 20, end: 30, fill: Fill::Zero, time: (5, 6) },
        Record::Size { ino, size: 25, time: (7, 8) },
        Record::Attribute { ino, name: b"user.a".to_vec(), value: Some(b"b".to_vec()) },
        Record::Unlink { folder: 1, name: b"shot".to_vec(), ino },
        Record::Gone { ino },
    ];
    log.append(&all).unwrap();
    let link = Attributes { mode: 0o120_777, ..attributes };
    log.append(&[Record::Node { ino: 5, attributes: link }, Record::Target { ino: 5, target: b"to".to_vec() }])
        .unwrap();
    let written = Record::Written { ino, start: 10, end: 20, time: (5, 6) };
    let kept = Record::Kept { ino, start: 10, end: 15 };
    log.append(&[Record::Boot { id: [3; 16] }, Record::Node { ino, attributes }, written, kept]).unwrap();
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let golden = include_str!("golden.txt").split_whitespace().collect::<String>();
    assert_eq!(hex(std::fs::read(&path).unwrap()), golden);
}
