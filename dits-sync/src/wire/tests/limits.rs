//! Each limit: what it allows passes, one more does not.

use super::*;

pub(super) fn refused(message: &Message) -> bool {
    matches!(Message::decode(&message.encode()), Err(WireError::Malformed { .. }))
}

/// `make(n)` passes, `make(n + 1)` does not.
pub(super) fn limit(n: usize, make: impl Fn(usize) -> Message) {
    round_trip(&make(n));
    let more = make(n + 1);
    assert!(refused(&more), "{} of {} is taken", more.name(), n + 1);
}

pub(super) fn letters(n: usize) -> String {
    "x".repeat(n)
}

fn hello(agent: usize, repository: usize, token: usize) -> Message {
    Message::Hello(Hello {
        protocol: 1,
        agent: letters(agent),
        features: Features::ALL,
        limits: Limits::default(),
        repository: letters(repository),
        token: Some(letters(token)),
    })
}

#[test]
fn texts() {
    limit(256, |n| hello(n, 0, 0));
    limit(1024, |n| hello(0, n, 0));
    limit(4096, |n| hello(0, 0, n));
    assert!(hello(256, 1024, 4096).encode().len() <= MAX_HELLO);
    limit(256, |n| {
        let (features, limits) = (Features::ALL, Limits::default());
        Message::Welcome(Welcome { protocol: 1, agent: letters(n), features, limits, may: 0, partial: false })
    });
    limit(MAX_TEXT, |n| Message::Error(Failure { code: ErrorCode::Internal, text: letters(n) }));
    limit(MAX_TEXT, |n| Message::Progress(letters(n)));
    limit(MAX_TEXT, |n| Message::Pushed(Pushed { outcomes: vec![], text: letters(n) }));
}

#[test]
fn lists() {
    let empty = Fetch { wants: vec![], haves: vec![], more: false, shallow: vec![], depth: 0, held: None };
    limit(MAX_WANTS, |n| Message::Fetch(Fetch { wants: vec![digest(1); n], ..empty.clone() }));
    limit(MAX_HAVES, |n| Message::Fetch(Fetch { haves: vec![commit(1); n], ..empty.clone() }));
    limit(MAX_SHALLOW, |n| Message::Fetch(Fetch { shallow: vec![commit(1); n], ..empty.clone() }));
    limit(MAX_HAVES, |n| Message::Start(Start { common: vec![1; n], ..Start::default() }));
    limit(MAX_SHALLOW, |n| Message::Start(Start { shallow: vec![commit(1); n], ..Start::default() }));
    limit(MAX_SHALLOW, |n| Message::Start(Start { lifted: vec![commit(1); n], ..Start::default() }));
    let push = Push { updates: vec![], haves: vec![], unrelated: false, atomic: false, dry_run: false };
    let update = Update { name: main_branch(), old: None, new: None, force: false };
    limit(MAX_WANTS, |n| Message::Push(Push { updates: vec![update.clone(); n], ..push.clone() }));
    limit(MAX_HAVES, |n| Message::Push(Push { haves: vec![commit(1); n], ..push.clone() }));
    limit(MAX_WANTS, |n| Message::Pushed(Pushed { outcomes: vec![UpdateOutcome::Done; n], text: String::new() }));
    limit(MAX_HELD, |n| Message::Segment(Segment { number: 0, held: vec![(3, digest(1)); n] }));
    limit(MAX_HELD, |n| Message::Want(Want { segment: 0, sent: Runs::default(), held: vec![Runs::default(); n] }));
    limit(MAX_GET, |n| Message::Get(Get { number: 0, objects: vec![(1, digest(1)); n] }));
    limit(MAX_GET, |n| Message::Got(Got { number: 0, missing: vec![1; n] }));
}

#[test]
fn the_largest_fetch_and_get_fit_a_message() {
    let ids: Vec<_> = (0..IdFilter::MAX_IDS as u64).map(|i| ObjectKind::Chunk.digest(&i.to_le_bytes())).collect();
    let fetch = Message::Fetch(Fetch {
        wants: vec![digest(1); MAX_WANTS],
        haves: vec![commit(1); MAX_HAVES],
        more: true,
        shallow: vec![commit(2); MAX_SHALLOW],
        depth: ALL,
        held: IdFilter::of(&ids, [3; 32].map(|x: u8| x.wrapping_mul(7))),
    });
    assert!(fetch.encode().len() <= MAX_MESSAGE, "{}", fetch.encode().len());
}

#[test]
fn messages() {
    let long = Bytes::from(vec![OBJECTS; MAX_MESSAGE]);
    assert!(Message::decode(&long).is_ok());
    let longer = Bytes::from(vec![OBJECTS; MAX_MESSAGE + 1]);
    assert_eq!(Message::decode(&longer), Err(WireError::TooLong(MAX_MESSAGE + 1)));
}

#[test]
fn listings() {
    let name = |i: u32| RefName::branch(&format!("b{i:07}")).unwrap();
    let mut listing = Listing::default();
    let refs = |from: u32, to: u32| (from..to).map(|i| (name(i), digest(1))).collect::<Vec<_>>();
    listing.extend(None, refs(0, MAX_REFS as u32), true).unwrap();
    assert!(listing.clone().extend(None, vec![], true).is_err(), "it goes on for ever");
    assert!(listing.extend(None, refs(MAX_REFS as u32, MAX_REFS as u32 + 1), false).is_err());
    let mut listing = Listing::default();
    listing.extend(None, refs(5, 10), true).unwrap();
    assert!(listing.clone().extend(None, refs(9, 12), false).is_err());
    assert!(listing.clone().extend(None, vec![(name(12), digest(1)), (name(11), digest(1))], false).is_err());
    assert!(listing.extend(None, refs(10, 12), false).is_ok());
}

#[test]
fn a_selection_is_no_longer_than_the_list() {
    // Millions of chunks in a few bytes, of a list of three.
    let body = |runs: &[u32]| {
        let want = (0u64, runs.to_vec(), Vec::<Vec<u32>>::new());
        let mut bytes = vec![WANT];
        bytes.extend(codec::encode(&want));
        Message::decode(&Bytes::from(bytes))
    };
    let Ok(Some(Message::Want(want))) = body(&[0, u32::MAX]) else { panic!("not a want") };
    assert!(want.sent.selected(3).is_err());
    assert!(want.sent.selected(0).is_err());
    assert_eq!(Runs::of([false, true, true]).selected(3).map(|all| all.capacity() <= 4), Ok(true));
    // One selection, one encoding.
    for runs in [&[0u32][..], &[3], &[0, 0], &[1, 2, 0, 1], &[1, 0], &[u32::MAX, u32::MAX, u32::MAX]] {
        assert!(matches!(body(runs), Err(WireError::Malformed { .. })), "{runs:?}");
    }
    assert!(matches!(body(&[1, 2, 3, 4]), Ok(Some(Message::Want(_)))));
    assert!(matches!(body(&[]), Ok(Some(Message::Want(_)))));
}

#[test]
fn a_short_message_claims_no_long_list() {
    // A list of half a million ids, of which none is there: 16 MiB would be reserved.
    let mut bytes = vec![GET];
    bytes.extend(codec::encode(&(0u64, 500_000u64)));
    let Err(WireError::Malformed { what, .. }) = Message::decode(&Bytes::from(bytes)) else { panic!("taken") };
    assert!(what.contains("LimitExceeded"), "{what}");
}
