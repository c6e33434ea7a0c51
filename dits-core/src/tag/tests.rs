use proptest::prelude::*;

use super::*;
use crate::object::memory::MemoryObjects;

fn tag() -> Tag {
    Tag {
        target: ObjectKind::Commit.digest(b"target"),
        target_kind: ObjectKind::Commit,
        name: "delivery-1".to_owned(),
        tagger: Signature { name: "Ada".to_owned(), email: String::new(), time: 1_790_000_000, offset: 0 },
        message: "To the client\n".to_owned(),
        signature: None,
        extensions: Vec::new(),
    }
}

#[test]
fn a_tag_comes_back_as_it_was() {
    let store = MemoryObjects::new();
    for target_kind in [ObjectKind::Chunk, ObjectKind::Manifest, ObjectKind::Tree, ObjectKind::Commit, ObjectKind::Tag]
    {
        let signed = Tag { target_kind, signature: Some(vec![7; 100]), ..tag() };
        let id = signed.write(&store).unwrap();
        assert_eq!(Tag::read(&store, id).unwrap(), signed);
        assert_eq!(signed.signed_bytes(), Tag { signature: None, ..signed.clone() }.signed_bytes());
    }
}

#[test]
fn tags_that_break_a_rule_are_refused_on_both_ways() {
    let store = MemoryObjects::new();
    let bad = [
        Tag { name: String::new(), ..tag() },
        Tag { name: "x".repeat(256), ..tag() },
        Tag { name: "a\nb".to_owned(), ..tag() },
        Tag { target_kind: ObjectKind::Tombstone, ..tag() },
        Tag { message: "x".repeat((1 << 20) + 1), ..tag() },
        Tag { tagger: Signature { name: "<".to_owned(), ..tag().tagger }, ..tag() },
        Tag { signature: Some(vec![0; (64 << 10) + 1]), ..tag() },
    ];
    for tag in &bad {
        assert!(tag.write(&store).is_err(), "{tag:?}");
        let bytes = codec::encode(&(VERSION, tag.to_wire()));
        assert!(matches!(Tag::from_bytes(TagId::of(&bytes), &bytes), Err(StoreError::Malformed { .. })), "{tag:?}");
    }
    let bytes = codec::encode(&(VERSION, Wire { target_kind: 99, ..tag().to_wire() }));
    assert!(matches!(Tag::from_bytes(TagId::of(&bytes), &bytes), Err(StoreError::Malformed { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_decoder_takes_any_bytes(random in prop::collection::vec(any::<u8>(), 0..300), flip in any::<(u16, u8)>()) {
        let id = TagId::of(b"");
        let _ = Tag::from_bytes(id, &random);
        let mut bytes = codec::encode(&(VERSION, tag().to_wire()));
        let at = usize::from(flip.0) % bytes.len();
        bytes[at] ^= flip.1;
        if let Ok(read) = Tag::from_bytes(id, &bytes) {
            prop_assert_eq!(codec::encode(&(VERSION, read.to_wire())), bytes);
        }
    }
}

/// Frozen: a change here is a change of the format.
#[test]
fn golden() {
    let store = MemoryObjects::new();
    let id = tag().write(&store).unwrap();
    let bytes = store.read(ObjectKind::Tag, id.digest()).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "01c9d851545b08f60deed47abf5d3a2940d5af9f8116b4dbfd7f94271720e1eade040a64656c69766572792d31034164\
        6100fc007762d5000e546f2074686520636c69656e740a0000"
    );
    assert_eq!(id.to_string(), "8b856fb243540dfdaca4729cc0a49bcfc9a09981263b2b97d1c2f76b715f54cc");
}
