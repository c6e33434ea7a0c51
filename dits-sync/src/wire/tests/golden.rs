//! The bytes of the messages, frozen. A change here is a new version of the protocol, not a new expectation.

use super::*;

fn samples() -> Vec<Message> {
    let limits = Limits { frame: 8_393_576, haves: 4096 };
    let held = IdFilter::of(&[digest(1), digest(2)], *b"a seed of two different halves!!");
    let update = |old, new, force| Update { name: main_branch(), old, new, force };
    let outcomes = vec![
        UpdateOutcome::Done,
        UpdateOutcome::UpToDate,
        UpdateOutcome::NotFastForward,
        UpdateOutcome::Changed,
        UpdateOutcome::Refused("no".into()),
    ];
    vec![
        Message::Hello(Hello {
            protocol: 1,
            agent: "dits/0.1.0".into(),
            features: Features::ZSTD,
            limits,
            repository: "film/one".into(),
            token: Some("secret".into()),
        }),
        Message::Welcome(Welcome {
            protocol: 1,
            agent: "dits/0.1.0".into(),
            features: Features::ZSTD,
            limits,
            may: 3,
            partial: true,
        }),
        Message::Error(Failure { code: ErrorCode::Limit, text: "full".into() }),
        Message::ListRefs(None),
        Message::ListRefs(Some([9; 32])),
        Message::Refs(Refs::Unchanged),
        Message::Refs(Refs::Some { head: Some(main_branch()), refs: vec![(main_branch(), digest(4))], more: false }),
        Message::Fetch(Fetch {
            wants: vec![digest(1)],
            haves: vec![commit(2), commit(3)],
            more: true,
            shallow: vec![commit(4)],
            depth: ALL,
            held: held.clone(),
        }),
        Message::Start(Start { common: vec![0, 300], shallow: vec![commit(5)], lifted: vec![commit(4)], held }),
        Message::More,
        Message::Push(Push {
            updates: vec![update(None, Some(digest(1)), false), update(Some(digest(2)), None, true)],
            haves: vec![commit(3)],
            unrelated: true,
            atomic: false,
            dry_run: true,
        }),
        Message::Pushed(Pushed { outcomes, text: "thanks".into() }),
        Message::Objects(Bytes::from_static(b"frames")),
        Message::Part(Part { last: false, bytes: Bytes::from_static(b"half a ") }),
        Message::Part(Part { last: true, bytes: Bytes::from_static(b"frame") }),
        Message::Segment(Segment { number: 7, held: vec![(ObjectKind::Manifest as u8, digest(6))] }),
        Message::Want(Want {
            segment: 7,
            sent: Runs::of([true, false, false, true, true]),
            held: vec![Runs::of([false, true]), Runs::default()],
        }),
        Message::Sent(8),
        Message::Get(Get { number: 1, objects: vec![(ObjectKind::Chunk as u8, digest(7))] }),
        Message::Got(Got { number: 1, missing: vec![0] }),
        Message::Complete,
        Message::Has(Has { number: 2, chunks: vec![digest(8)] }),
        Message::Progress("checking connectivity".into()),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect::<Vec<_>>().into()
}

#[test]
fn every_message() {
    let golden = include_str!("../../../../tests/golden/wire/messages.hex");
    let golden: Vec<(&str, &str)> = golden.lines().filter_map(|line| line.split_once(' ')).collect();
    let samples = [samples(), locks::samples()].concat();
    let now: Vec<(&str, String)> = samples.iter().map(|message| (message.name(), hex(&message.encode()))).collect();
    let shown: String = now.iter().map(|(name, hex)| format!("{name} {hex}\n")).collect();
    assert_eq!(now.len(), golden.len(), "now:\n{shown}");
    for ((message, now), golden) in samples.iter().zip(&now).zip(golden) {
        assert_eq!((now.0, &now.1[..]), golden);
        assert_eq!(Message::decode(&bytes(golden.1)).unwrap().as_ref(), Some(message));
    }
}

#[test]
fn the_numbers_of_errors_and_the_digest_of_a_listing() {
    let all = [
        ErrorCode::Protocol,
        ErrorCode::Version,
        ErrorCode::NotFound,
        ErrorCode::Denied,
        ErrorCode::Refused,
        ErrorCode::Limit,
        ErrorCode::Busy,
        ErrorCode::GoingAway,
        ErrorCode::Damaged,
        ErrorCode::Internal,
    ];
    for (number, code) in (0u8..).zip(all) {
        assert_eq!(codec::encode(&code), [number]);
    }
    let listing = Listing { head: Some(main_branch()), refs: vec![(main_branch(), digest(4))] };
    assert_eq!(hex(&listing.digest()), include_str!("../../../../tests/golden/wire/listing.hex").trim());
}
