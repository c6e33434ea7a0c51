use proptest::prelude::*;

use crate::worktree::drive::*;

fn id() -> Digest {
    Digest([0xab; 32])
}

fn manifest(size: u64) -> Stored {
    Stored::new(Content::Manifest(ManifestId::from_digest(id())), size).unwrap()
}

fn chunk(size: u64) -> Stored {
    Stored::new(Content::Chunk(ChunkId::from_digest(id())), size).unwrap()
}

fn empty() -> Stored {
    Stored::new(Content::Empty, 0).unwrap()
}

#[test]
fn the_text_is_that_of_the_design() {
    let hex = "ab".repeat(32);
    let content = DriveContent::new(7, 100, manifest(200), [3..5, 90..100]);
    assert_eq!(content.encode(), format!("7 100\nmanifest {hex} 200\n3 5\n90 100\n").into_bytes());
    assert_eq!(DriveContent::new(0, 0, empty(), []).encode(), b"0 0\nempty - 0\n");
    let settled = Settled { generation: 9, stored: chunk(12) };
    assert_eq!(settled.encode(), format!("9 chunk {hex} 12").into_bytes());
    assert_eq!(Settled::decode(&settled.encode()).unwrap(), settled);
    let place = Place::new(b"a film\n\xff", true, manifest(3)).unwrap();
    assert_eq!(place.encode(), [format!("executable manifest {hex} 3 a film\n").as_bytes(), b"\xff"].concat());
    assert_eq!(Place::decode(&place.encode()).unwrap(), place);
    assert_eq!(Place::decode(b"file empty - 0 x").unwrap(), Place::new(b"x", false, empty()).unwrap());
}

#[test]
fn only_content_that_a_file_can_have_is_named() {
    let chunk = |size| Stored::new(Content::Chunk(ChunkId::from_digest(id())), size).is_some();
    assert_eq!([0, 1, MAX_CHUNK as u64, MAX_CHUNK as u64 + 1].map(chunk), [false, true, true, false]);
    let manifest = |size| Stored::new(Content::Manifest(ManifestId::from_digest(id())), size).is_some();
    assert_eq!([1, 2, MAX_SIZE, MAX_SIZE + 1].map(manifest), [false, true, true, false]);
    assert!(Stored::new(Content::Empty, 1).is_none() && Stored::new(Content::Symlink(b"x".to_vec()), 1).is_none());
}

#[test]
fn what_is_past_an_end_is_gone_or_changed() {
    assert_eq!(DriveContent::new(1, 50, manifest(100), [40..60, 70..80]).changed(), [40..50]);
    assert_eq!(DriveContent::new(1, 50, manifest(20), [10..12]).changed(), [10..12, 20..50]);
    assert_eq!(DriveContent::new(1, 50, manifest(20), [10..20]).changed(), [10..50]);
    assert!(DriveContent::new(0, 20, manifest(20), [5..5]).is_base());
    assert!(!DriveContent::new(1, 19, manifest(20), []).is_base());
    let one = DriveContent::new(1, 20, manifest(20), [19..20]);
    assert!(!one.is_base() && one.changed() == [19..20]);
}

#[test]
fn too_many_ranges_are_joined_where_the_least_is_between_them() {
    // Gaps of 1 and 100 in turn.
    let ranges = (0..2000u64).map(|n| (n / 2) * 103 + (n % 2) * 2).map(|start| start..start + 1);
    let content = DriveContent::new(1, 1 << 30, manifest(1 << 30), ranges);
    assert_eq!(content.changed().len(), MAX_RANGES);
    assert!(content.changed().iter().enumerate().all(|(n, range)| *range == (n as u64 * 103..n as u64 * 103 + 3)));
    assert!(content.encode().len() <= MAX_VALUE);
    assert_eq!(DriveContent::decode(&content.encode()).unwrap(), content);
}

#[test]
fn the_longest_value_fits() {
    let end = MAX_SIZE;
    let ranges = (0..1000u64).rev().map(|n| end - 2 * n - 1..end - 2 * n);
    let content = DriveContent::new(u64::MAX, end, manifest(end), ranges);
    assert!(content.changed().len() == MAX_RANGES && content.encode().len() <= MAX_VALUE);
    assert_eq!(DriveContent::decode(&content.encode()).unwrap(), content);
}

#[test]
fn every_other_text_is_refused() {
    let hex = "ab".repeat(32);
    let upper = hex.to_uppercase();
    let good = format!("7 100\nmanifest {hex} 200\n3 5\n");
    DriveContent::decode(good.as_bytes()).unwrap();
    let head = format!("manifest {hex} 200");
    let many: String = (0..1001).map(|n| format!("{} {}\n", 2 * n, 2 * n + 1)).collect();
    for bad in [
        String::new(),
        "7 100".into(),
        "7 100\n".into(),
        format!("7 100\n{head}"),
        format!("07 100\n{head}\n"),
        format!("+7 100\n{head}\n"),
        format!(" 100\n{head}\n"),
        format!("7  100\n{head}\n"),
        format!("7 100 \n{head}\n"),
        format!("7 9223372036854775808\n{head}\n"),
        format!("18446744073709551616 100\n{head}\n"),
        format!("7 100\nmanifest {upper} 200\n"),
        format!("7 100\nmanifest {hex} 1\n"),
        format!("7 100\nrecipe {hex} 200\n"),
        format!("7 100\nempty {hex} 0\n"),
        "7 100\nchunk - 5\n".into(),
        format!("7 100\n{head} 1\n"),
        format!("7 100\n{head}\n\n"),
        format!("7 100\n{head}\n5 3\n"),
        format!("7 100\n{head}\n5 5\n"),
        format!("7 100\n{head}\n3 5\n5 6\n"),
        format!("7 100\n{head}\n5 6\n3 4\n"),
        format!("7 100\n{head}\n3 101\n"),
        format!("7 100\n{head}\n3 5"),
        format!("7 300\n{head}\n"),
        format!("7 5000\nmanifest {hex} 5000\n{many}"),
        format!("7 100\r\n{head}\n"),
    ] {
        assert!(DriveContent::decode(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert!(DriveContent::decode(&[good.as_bytes(), b"\xff\n"].concat()).is_err());
    assert!(DriveContent::decode(&vec![b'1'; MAX_VALUE + 1]).is_err());
    for bad in ["", "1", "1 empty - 0\n", "1 empty - 1", "x empty - 0", "1 empty - 0 0", "01 empty - 0"] {
        assert!(Settled::decode(bad.as_bytes()).is_err(), "{bad:?}");
    }
    let names = ["", ".", "..", "a/b", "a\0b", ".dits", ".GIT", &"n".repeat(256)];
    let places = names.iter().map(|name| format!("file empty - 0 {name}"));
    for bad in
        places.chain(["link empty - 0 x", "file empty - 0", "file empty - 1 x", "file tree - 0 x"].map(Into::into))
    {
        assert!(Place::decode(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert!(Place::decode(&[b"file empty - 0 ".as_slice(), &vec![b'n'; MAX_VALUE]].concat()).is_err());
    assert!(Place::new(b".dits", false, empty()).is_none());
}

fn stored() -> impl Strategy<Value = Stored> {
    prop_oneof![
        Just(empty()),
        (1..=MAX_CHUNK as u64).prop_map(chunk),
        (2..=MAX_SIZE).prop_map(manifest),
        (2..5000u64).prop_map(manifest)
    ]
}

proptest! {
    #[test]
    fn round_trips(
        generation: u64,
        size in prop_oneof![0..=MAX_SIZE, 0..5000u64],
        base in stored(),
        steps in proptest::collection::vec((0..50u64, 0..50u64), 0..1500),
    ) {
        let mut at = 0;
        let ranges: Vec<_> = steps.into_iter().map(|(skip, len)| {
            let start = at + skip;
            at = start + len;
            start..at
        }).collect();
        let content = DriveContent::new(generation, size, base.clone(), ranges.iter().cloned());
        prop_assert_eq!(DriveContent::decode(&content.encode()).unwrap(), content.clone());
        // Nothing that was changed goes missing.
        for range in ranges.iter().map(|range| range.start..range.end.min(size)).filter(|range| !range.is_empty()) {
            prop_assert!(content.changed().iter().any(|found| found.start <= range.start && range.end <= found.end));
        }
        let settled = Settled { generation, stored: base };
        prop_assert_eq!(Settled::decode(&settled.encode()).unwrap(), settled);
    }

    #[test]
    fn any_text_is_refused_or_means_one_thing(text in "[0-9a ]{0,6}(\n(empty - 0|chunk [ab]{64} [0-9]{1,3})\n)?([0-9]{0,3} [0-9]{0,3}\n){0,3}") {
        if let Ok(content) = DriveContent::decode(text.as_bytes()) {
            prop_assert_eq!(content.encode(), text.into_bytes());
        }
    }
}
