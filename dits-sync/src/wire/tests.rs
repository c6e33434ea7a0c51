use dits_core::object::{CommitId, ObjectKind};
use dits_core::refs::RefName;
use proptest::prelude::*;

use super::*;

mod filter;
mod golden;
mod limits;
mod locks;

fn digest(byte: u8) -> dits_core::object::Digest {
    dits_core::object::Digest([byte; 32])
}

fn commit(byte: u8) -> CommitId {
    CommitId::from_digest(digest(byte))
}

fn main_branch() -> RefName {
    RefName::branch("main").unwrap()
}

fn round_trip(message: &Message) {
    let bytes = message.encode();
    assert_eq!(Message::decode(&bytes).unwrap().as_ref(), Some(message));
}

fn digests(most: usize) -> impl Strategy<Value = Vec<dits_core::object::Digest>> {
    prop::collection::vec(any::<[u8; 32]>().prop_map(dits_core::object::Digest), 0..most)
}

fn commits(most: usize) -> impl Strategy<Value = Vec<CommitId>> {
    digests(most).prop_map(|ids| ids.into_iter().map(CommitId::from_digest).collect())
}

fn filters() -> impl Strategy<Value = Option<IdFilter>> {
    (digests(50), any::<[u8; 32]>()).prop_map(|(ids, seed)| IdFilter::of(&ids, seed))
}

fn runs() -> impl Strategy<Value = Runs> {
    prop::collection::vec(any::<bool>(), 0..100).prop_map(Runs::of)
}

fn outcomes() -> impl Strategy<Value = UpdateOutcome> {
    prop_oneof![
        Just(UpdateOutcome::Done),
        Just(UpdateOutcome::UpToDate),
        Just(UpdateOutcome::NotFastForward),
        Just(UpdateOutcome::Changed),
        ".*".prop_map(UpdateOutcome::Refused),
    ]
}

fn updates() -> impl Strategy<Value = Vec<Update>> {
    let id = || prop::option::of(any::<[u8; 32]>().prop_map(dits_core::object::Digest));
    let update = ("[a-z]{1,20}", id(), id(), any::<bool>());
    let update = update.prop_map(|(name, old, new, force)| Update {
        name: RefName::parse(&format!("refs/branches/x{name}")).unwrap(),
        old,
        new,
        force,
    });
    prop::collection::vec(update, 0..20)
}

fn objects() -> impl Strategy<Value = Vec<(u8, dits_core::object::Digest)>> {
    prop::collection::vec((any::<u8>(), any::<[u8; 32]>().prop_map(dits_core::object::Digest)), 0..50)
}

fn openings() -> impl Strategy<Value = Message> {
    let hello = (any::<u16>(), ".{0,60}", any::<u64>(), any::<[u32; 2]>(), ".{0,60}", prop::option::of(".{0,60}"));
    let welcome = (any::<u16>(), ".{0,60}", any::<u64>(), any::<[u32; 2]>(), any::<(u8, bool)>());
    let limits = |[frame, haves]: [u32; 2]| Limits { frame, haves };
    prop_oneof![
        hello.prop_map(move |(protocol, agent, features, both, repository, token)| {
            let (features, limits) = (Features(features), limits(both));
            Message::Hello(Hello { protocol, agent, features, limits, repository, token })
        }),
        welcome.prop_map(move |(protocol, agent, features, both, (may, partial))| {
            let (features, limits) = (Features(features), limits(both));
            Message::Welcome(Welcome { protocol, agent, features, limits, may, partial })
        }),
        ".*".prop_map(|text| Message::Error(Failure { code: ErrorCode::Busy, text })),
        prop::option::of(any::<[u8; 32]>()).prop_map(Message::ListRefs),
        (updates(), any::<bool>()).prop_map(|(updates, more)| {
            let refs = updates.into_iter().filter_map(|update| Some((update.name, update.new?))).collect();
            Message::Refs(Refs::Some { head: Some(main_branch()), refs, more })
        }),
        Just(Message::Refs(Refs::Unchanged)),
        Just(Message::More),
    ]
}

fn requests() -> impl Strategy<Value = Message> {
    let fetch = (digests(30), commits(30), any::<bool>(), commits(30), any::<u32>(), filters());
    let start = (prop::collection::vec(any::<u32>(), 0..30), commits(30), commits(30), filters());
    prop_oneof![
        fetch.prop_map(|(wants, haves, more, shallow, depth, held)| {
            Message::Fetch(Fetch { wants, haves, more, shallow, depth, held })
        }),
        start.prop_map(|(common, shallow, lifted, held)| Message::Start(Start { common, shallow, lifted, held })),
        (updates(), commits(30), any::<[bool; 3]>()).prop_map(|(updates, haves, [unrelated, atomic, dry_run])| {
            Message::Push(Push { updates, haves, unrelated, atomic, dry_run })
        }),
        (prop::collection::vec(outcomes(), 0..20), ".*")
            .prop_map(|(outcomes, text)| Message::Pushed(Pushed { outcomes, text })),
    ]
}

fn transfers() -> impl Strategy<Value = Message> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    prop_oneof![
        bytes().prop_map(Message::Objects),
        (any::<bool>(), bytes()).prop_map(|(last, bytes)| Message::Part(Part { last, bytes })),
        (any::<u64>(), objects()).prop_map(|(number, held)| Message::Segment(Segment { number, held })),
        (any::<u64>(), runs(), prop::collection::vec(runs(), 0..20))
            .prop_map(|(segment, sent, held)| Message::Want(Want { segment, sent, held })),
        any::<u64>().prop_map(Message::Sent),
        (any::<u64>(), objects()).prop_map(|(number, objects)| Message::Get(Get { number, objects })),
        (any::<u64>(), prop::collection::vec(any::<u32>(), 0..50))
            .prop_map(|(number, missing)| Message::Got(Got { number, missing })),
        Just(Message::Complete),
        ".*".prop_map(Message::Progress),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_decodes(message in prop_oneof![openings(), requests(), transfers()]) {
        round_trip(&message);
    }

    /// Whatever decodes has one encoding: nothing can be hidden in another.
    #[test]
    fn decoding_is_canonical(
        message in prop_oneof![openings(), requests(), transfers()],
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        more in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut bytes = message.encode().to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend(more);
        let bytes = Bytes::from(bytes);
        if let Ok(Some(message)) = Message::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes);
        }
    }

    #[test]
    fn runs_are_a_selection(bits in prop::collection::vec(prop::bool::weighted(0.3), 0..300), more in 0usize..5) {
        let runs = Runs::of(bits.iter().copied());
        let expected: Vec<usize> = (0..bits.len()).filter(|i| bits[*i]).collect();
        prop_assert_eq!(runs.selected(bits.len() + more).unwrap(), expected.clone());
        prop_assert_eq!(runs.is_empty(), expected.is_empty());
        prop_assert!(runs.is_canonical());
        if let Some(last) = expected.last() {
            prop_assert!(runs.selected(*last).is_err(), "it reaches beyond the list");
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn frames_in_messages_are_the_same_frames(lens in prop::collection::vec(prop_oneof![
        1usize..2_000, 200_000usize..300_000, MAX_MESSAGE - 3..MAX_MESSAGE + 3, Just(5 * MAX_MESSAGE)
    ], 1..12)) {
        let frames: Vec<Vec<u8>> = lens.iter().enumerate().map(|(i, len)| vec![i as u8; *len]).collect();
        let mut batch = BatchBuilder::default();
        let mut messages: Vec<Bytes> = frames.iter().flat_map(|frame| batch.push(frame)).collect();
        messages.extend(batch.finish());
        prop_assert!(batch.finish().is_none());
        let (mut whole, mut open) = (Vec::new(), false);
        for message in messages {
            prop_assert!(message.len() <= MAX_MESSAGE);
            match Message::decode(&message).unwrap().unwrap() {
                Message::Objects(frames) => {
                    prop_assert!(!open && !frames.is_empty());
                    whole.extend_from_slice(&frames);
                }
                Message::Part(part) => {
                    prop_assert!(!part.bytes.is_empty());
                    whole.extend_from_slice(&part.bytes);
                    open = !part.last;
                }
                other => panic!("{}", other.name()),
            }
        }
        prop_assert!(!open && whole == frames.concat());
    }
}

#[test]
fn what_is_not_known_is_skipped_only_if_it_says_so() {
    let message = |bytes: &'static [u8]| Message::decode(&Bytes::from_static(bytes));
    assert_eq!(message(&[0x80]), Ok(None));
    assert_eq!(message(&[0xff, 1, 2, 3]), Ok(None));
    assert_eq!(message(&[0x7f]), Err(WireError::UnknownType(0x7f)));
    assert_eq!(message(&[0]), Err(WireError::UnknownType(0)));
    assert_eq!(message(&[]), Err(WireError::Empty));
}

#[test]
fn a_listing_is_cut_into_messages_and_put_together() {
    for count in [0, 1, 512, 513, 2000] {
        let refs = (0..count).map(|i| (RefName::branch(&format!("b{i:05}")).unwrap(), digest(1))).collect();
        let listing = Listing { head: Some(main_branch()), refs };
        let mut again = Listing::default();
        let messages = listing.messages();
        for (i, message) in messages.iter().enumerate() {
            let Refs::Some { head, refs, more } = message.clone() else { panic!("unchanged") };
            assert_eq!(more, i + 1 < messages.len());
            again.extend(head, refs, more).unwrap();
        }
        assert_eq!(again, listing);
        assert_eq!(again.digest(), listing.digest());
    }
}
