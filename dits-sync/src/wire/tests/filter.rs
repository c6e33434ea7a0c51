//! Filters of ids: how often they are wrong, and what is no filter.

use dits_core::object::Digest;

use super::*;

const SEED: [u8; 32] = *b"a seed of two different halves!!";

fn ids(from: u64, to: u64) -> Vec<Digest> {
    (from..to).map(|i| ObjectKind::Manifest.digest(&i.to_le_bytes())).collect()
}

#[test]
fn one_in_a_thousand_is_wrong_and_nothing_is_forgotten() {
    for count in [1, 10, 1000, 20_000] {
        let (set, others) = (ids(0, count), ids(1 << 40, (1 << 40) + 30_000));
        let filter = IdFilter::of(&set, SEED).unwrap();
        assert!(set.iter().all(|id| filter.may_contain(id)));
        let wrong = others.iter().filter(|id| filter.may_contain(id)).count();
        assert!(wrong <= 90, "{wrong} of 30 000 for {count}");
        // 14.4 bits an id, and its header.
        let len = codec::encode(&filter).len();
        assert!(len as u64 <= count.max(64) * 144 / 80 + 64, "{len} bytes for {count}");
        let message = Message::Start(Start { held: Some(filter.clone()), ..Start::default() });
        let Ok(Some(Message::Start(again))) = Message::decode(&message.encode()) else { panic!("not a start") };
        assert!(set.iter().all(|id| again.held.as_ref().unwrap().may_contain(id)));
    }
    assert!(IdFilter::of(&[], SEED).is_none());
    assert!(IdFilter::of(&vec![digest(1); IdFilter::MAX_IDS + 1], SEED).is_none());
}

/// A filter as it travels: version, bytes of bits, hash functions, seed, bits.
fn filter(version: u8, len: u64, hashes: u32, seed: [u8; 32], bits: &[u8]) -> Vec<u8> {
    [&[version][..], &len.to_le_bytes(), &hashes.to_le_bytes(), &seed, bits].concat()
}

fn taken(filter: Vec<u8>) -> bool {
    let mut bytes = vec![START];
    bytes.extend(codec::encode(&(Vec::<u32>::new(), [Vec::<CommitId>::new(), Vec::new()], Some(filter))));
    match Message::decode(&Bytes::from(bytes)) {
        Ok(Some(Message::Start(start))) => {
            // Whatever is taken can be asked.
            let _ = start.held.is_some_and(|filter| filter.may_contain(&digest(3)));
            true
        }
        Err(WireError::Malformed { .. }) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_that_nobody_chooses_are_refused() {
    let bits = [0x55; 100];
    assert!(taken(filter(1, 100, 10, SEED, &bits)));
    assert!(taken(filter(1, 100, 32, SEED, &bits)));
    assert!(!taken(filter(1, 100, 33, SEED, &bits)), "hash functions without end");
    assert!(!taken(filter(1, 100, u32::MAX, SEED, &bits)));
    assert!(!taken(filter(1, 100, 0, SEED, &bits)));
    assert!(!taken(filter(1, 100, 10, [7; 32], &bits)), "a seed of equal halves");
    assert!(!taken(filter(2, 100, 10, SEED, &bits)));
    assert!(!taken(filter(1, 99, 10, SEED, &bits)));
    assert!(!taken(filter(1, u64::MAX, 10, SEED, &bits)));
    assert!(!taken(filter(1, 0, 10, SEED, &[])), "a filter of no bits divides by zero");
    assert!(!taken(vec![]));
    assert!(!taken(filter(1, 0, 10, SEED, &[])[..44].to_vec()));
    let most = 512 << 10;
    assert!(taken(filter(1, most, 10, SEED, &vec![0x55; most as usize])));
    assert!(!taken(filter(1, most + 65, 10, SEED, &vec![0x55; most as usize + 65])));
}

#[test]
fn nothing_is_reserved_for_bytes_that_are_not_there() {
    let mut bytes = vec![START];
    bytes.extend(codec::encode(&(Vec::<u32>::new(), Vec::<CommitId>::new(), Some(500_000u64))));
    let Err(WireError::Malformed { what, .. }) = Message::decode(&Bytes::from(bytes)) else { panic!("taken") };
    assert!(what.contains("UnexpectedEnd") || what.contains("LimitExceeded"), "{what}");
}
