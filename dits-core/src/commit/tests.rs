use proptest::prelude::*;

use super::*;
use crate::object::memory::MemoryObjects;

fn someone() -> Signature {
    Signature {
        name: "Ada Ødegård".to_owned(), email: "ada@example.org".to_owned(), time: 1_790_000_000, offset: 120
    }
}

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text.as_bytes()).unwrap()
}

fn commit() -> Commit {
    let parents = vec![CommitId::of(b"second"), CommitId::of(b"first")];
    let committer = Signature { time: -1, offset: -570, ..someone() };
    let mut commit = Commit::new(parents, TreeId::of(b"tree"), someone(), committer, "Cut the opening\n".to_owned());
    commit.moves = vec![(path("a/old.mp4"), path("b/new.mp4")), (path("z"), path("a/z"))];
    commit.signature = Some(vec![1, 2, 3]);
    commit
}

#[test]
fn a_commit_comes_back_as_it_was() {
    let store = MemoryObjects::new();
    let id = commit().write(&store).unwrap();
    assert_eq!(Commit::read(&store, id).unwrap(), commit());
    assert_eq!(commit().write(&store).unwrap(), id);
    let unsigned = Commit { signature: None, ..commit() };
    assert_eq!(unsigned.signed_bytes(), commit().signed_bytes());
    assert_eq!(CommitId::of(&unsigned.signed_bytes()), unsigned.write(&store).unwrap());
    assert!(!commit().has_unknown_extensions());
}

#[test]
fn commits_that_break_a_rule_are_refused_on_both_ways() {
    let name = |name: &str| Commit { author: Signature { name: name.to_owned(), ..someone() }, ..commit() };
    let extension = |tag| Extension { tag, bytes: vec![] };
    let bad = [
        name("a\nb"),
        name("a <b"),
        name("a> b"),
        name("a\0b"),
        name(&"x".repeat(crate::signature::MAX_PART + 1)),
        Commit { committer: Signature { email: "a>".to_owned(), ..someone() }, ..commit() },
        Commit { committer: Signature { offset: 1440, ..someone() }, ..commit() },
        Commit { committer: Signature { offset: i16::MIN, ..someone() }, ..commit() },
        Commit { message: "x".repeat(MAX_MESSAGE + 1), ..commit() },
        Commit { parents: vec![CommitId::of(b"1"), CommitId::of(b"2"), CommitId::of(b"1")], ..commit() },
        Commit { moves: vec![(path("b"), path("c")), (path("a"), path("d"))], ..commit() },
        Commit { moves: vec![(path("a"), path("c")), (path("a"), path("d"))], ..commit() },
        Commit { moves: vec![(path("a"), path("a"))], ..commit() },
        Commit { signature: Some(vec![0; MAX_SIGNATURE + 1]), ..commit() },
        Commit { extensions: vec![extension(2), extension(1)], ..commit() },
        Commit { extensions: vec![extension(2), extension(2)], ..commit() },
    ];
    let store = MemoryObjects::new();
    for (number, commit) in bad.iter().enumerate() {
        assert!(commit.write(&store).is_err(), "{number}");
        let bytes = codec::encode(&(VERSION, commit));
        let read = Commit::from_bytes(CommitId::of(&bytes), &bytes);
        assert!(matches!(read, Err(StoreError::Malformed { .. })), "{number}");
    }
    assert!(store.is_empty());
}

#[test]
fn what_a_newer_version_adds_is_kept_or_told() {
    let store = MemoryObjects::new();
    let newer = Commit { extensions: vec![Extension { tag: 9, bytes: vec![1, 2] }], ..commit() };
    let id = newer.write(&store).unwrap();
    let read = Commit::read(&store, id).unwrap();
    assert!(read.has_unknown_extensions());
    assert_eq!(read.write(&store).unwrap(), id);
    let mut bytes = newer.signed_bytes();
    bytes[0] = 2;
    assert!(matches!(Commit::from_bytes(id, &bytes), Err(StoreError::TooNew { .. })));
    bytes[0] = 0;
    assert!(matches!(Commit::from_bytes(id, &bytes), Err(StoreError::Malformed { .. })));
    assert!(matches!(Commit::from_bytes(id, &[]), Err(StoreError::Malformed { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_decoder_takes_any_bytes(random in prop::collection::vec(any::<u8>(), 0..300), flip in any::<(u16, u8)>()) {
        let id = CommitId::of(b"");
        let _ = Commit::from_bytes(id, &random);
        let mut bytes = codec::encode(&(VERSION, commit()));
        let at = usize::from(flip.0) % bytes.len();
        bytes[at] ^= flip.1;
        if let Ok(read) = Commit::from_bytes(id, &bytes) {
            prop_assert_eq!(codec::encode(&(VERSION, read)), bytes);
        }
    }
}

/// Frozen: a change here is a change of the format.
#[test]
fn golden() {
    let store = MemoryObjects::new();
    let id = commit().write(&store).unwrap();
    let bytes = store.read(ObjectKind::Commit, id.digest()).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "01024908304e5d95ed4edbbd549ff7fc895dee08d506504c115e05e762b1accf5240a23c61ecbac181b9bfd41cc8f71c\
        72af445c9ff7f8d09e84ef35cc4f4423d94a65eb44c0d34984dceac73499070766bda3c9459a9a22e339c4e679d0e745\
        3ebf0d41646120c398646567c3a572640f616461406578616d706c652e6f7267fc007762d5f00d41646120c398646567\
        c3a572640f616461406578616d706c652e6f726701fb73041043757420746865206f70656e696e670a0209612f6f6c64\
        2e6d703409622f6e65772e6d7034017a03612f7a010301020300"
    );
    assert_eq!(id.to_string(), "c67692a6a6d6243d563ec3d3ba21569cd2a1c56b6a9fddd8890a464c47d2d0fb");
}
