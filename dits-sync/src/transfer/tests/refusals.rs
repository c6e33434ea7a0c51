//! What breaks the rules is refused, by the machine that sees it.

use super::*;
use crate::wire::{MAX_HELD, Runs};

fn id(i: u32) -> Digest {
    ObjectKind::Tree.digest(&i.to_le_bytes())
}

fn chunks(from: u32, to: u32) -> Vec<(Digest, u64)> {
    (from..to).map(|i| (ObjectKind::Chunk.digest(&i.to_le_bytes()), 10)).collect()
}

fn wanted(chunks: &[(Digest, u64)]) -> Vec<FilteredChunk> {
    chunks.iter().map(|(digest, len)| FilteredChunk { digest: *digest, len: *len, wanted: true }).collect()
}

/// Has no chunk; holds every object, with as many chunks as it is told.
struct Nothing(u32);

impl Holdings<Violation> for Nothing {
    fn has_chunk(&mut self, _digest: &Digest, _len: u64) -> Result<bool, Violation> {
        Ok(false)
    }

    fn held(&mut self, _kind: ObjectKind, _digest: &Digest) -> Result<Option<Vec<FilteredChunk>>, Violation> {
        Ok((self.0 > 0).then(|| wanted(&chunks(0, self.0))))
    }
}

fn segment(number: u64, held: &[Digest]) -> Segment {
    Segment { number, held: held.iter().map(|digest| (ObjectKind::Tree as u8, *digest)).collect() }
}

/// A receiver that was sent a root with two children and ten chunks, and has asked for these.
fn receiver() -> Receiving {
    let mut receiving = Receiving::new([id(0)], false);
    receiving.metadata(&id(0), &[id(1), id(2)], &wanted(&chunks(0, 10))).unwrap();
    let want = receiving.segment(&segment(0, &[]), &mut Nothing(0)).unwrap();
    assert_eq!(want.sent.selected(10).unwrap().len(), 10);
    receiving
}

#[test]
fn what_comes_twice_or_unasked() {
    let mut receiving = receiver();
    let chunk = chunks(0, 1)[0].0;
    receiving.chunk(&chunk, 10).unwrap();
    receiving.chunk(&chunk, 10).unwrap_err();
    receiving.chunk(&chunks(1, 2)[0].0, 11).unwrap_err();
    receiving.chunk(&chunks(99, 100)[0].0, 10).unwrap_err();
    receiving.metadata(&id(0), &[], &[]).unwrap_err();
    receiving.metadata(&id(9), &[], &[]).unwrap_err();
    receiving.named(ObjectKind::Chunk, &chunk).unwrap_err();
    receiving.got(&Got { number: 0, missing: vec![] }).unwrap_err();
    receiving.metadata(&id(1), &[], &[]).unwrap();
    receiving.metadata(&id(1), &[], &[]).unwrap_err();
}

#[test]
fn segments_out_of_order_of_nothing_or_of_too_much() {
    let none = &mut Nothing(0);
    receiver().segment(&segment(0, &[id(1)]), none).unwrap_err();
    receiver().segment(&segment(2, &[id(1)]), none).unwrap_err();
    receiver().segment(&segment(1, &[]), none).unwrap_err();
    receiver().segment(&segment(1, &[id(9)]), none).unwrap_err();
    receiver().segment(&segment(1, &[id(1)]), none).unwrap();
    let mut twice = receiver();
    twice.segment(&segment(1, &[id(1)]), none).unwrap();
    twice.segment(&segment(2, &[id(1)]), none).unwrap_err();
    receiver().segment(&segment(1, &[id(1), id(1)]), none).unwrap_err();
    let chunk = Segment { number: 1, held: vec![(ObjectKind::Chunk as u8, id(1))] };
    receiver().segment(&chunk, none).unwrap_err();
    let unknown = Segment { number: 1, held: vec![(200, id(1))] };
    receiver().segment(&unknown, none).unwrap_err();
    receiver().segment(&segment(1, &[id(1)]), &mut Nothing(8 * 1024)).unwrap();
    receiver().segment(&segment(1, &[id(1)]), &mut Nothing(8 * 1024 + 1)).unwrap_err();
    receiver().metadata(&id(1), &[], &wanted(&chunks(100, 100 + 8 * 1024))).unwrap();
    receiver().metadata(&id(1), &[], &wanted(&chunks(100, 101 + 8 * 1024))).unwrap_err();
}

#[test]
fn the_end_comes_once_and_when_all_was_counted() {
    receiver().sent(0).unwrap_err();
    receiver().sent(2).unwrap_err();
    let mut receiving = receiver();
    receiving.metadata(&id(1), &[], &[]).unwrap();
    receiving.sent(1).unwrap_err();
    let mut receiving = receiver();
    receiving.sent(1).unwrap();
    receiving.sent(1).unwrap_err();
    receiving.metadata(&id(1), &[], &[]).unwrap_err();
    receiving.segment(&segment(1, &[id(1)]), &mut Nothing(0)).unwrap_err();
    assert!(!receiving.is_done());
    for (digest, len) in chunks(0, 10) {
        receiving.chunk(&digest, len).unwrap();
    }
    assert!(receiving.is_done());
}

#[test]
fn an_answer_by_name_is_complete_and_nothing_else() {
    let ask = || {
        let mut receiving = Receiving::by_name();
        let get =
            receiving.get(vec![(ObjectKind::Chunk, id(1)), (ObjectKind::Chunk, id(2)), (ObjectKind::Chunk, id(1))]);
        assert_eq!((get.number, get.objects.len()), (0, 2), "each once");
        receiving
    };
    let got = |missing: &[u32]| Got { number: 0, missing: missing.to_vec() };
    let mut receiving = ask();
    receiving.named(ObjectKind::Tree, &id(1)).unwrap_err();
    receiving.named(ObjectKind::Chunk, &id(3)).unwrap_err();
    receiving.named(ObjectKind::Chunk, &id(1)).unwrap();
    receiving.named(ObjectKind::Chunk, &id(1)).unwrap_err();
    assert!(!receiving.is_done());
    assert_eq!(receiving.got(&got(&[1])).unwrap(), [(ObjectKind::Chunk, id(2))]);
    assert!(receiving.is_done());
    ask().got(&got(&[])).unwrap_err();
    ask().got(&got(&[0])).unwrap_err();
    ask().got(&got(&[0, 1, 2])).unwrap_err();
    ask().got(&Got { number: 1, missing: vec![] }).unwrap_err();
    assert_eq!(ask().got(&got(&[0, 1])).unwrap().len(), 2);
    // Asked for in two requests, it comes twice.
    let mut receiving = ask();
    receiving.get(vec![(ObjectKind::Chunk, id(1))]);
    receiving.named(ObjectKind::Chunk, &id(1)).unwrap();
    receiving.named(ObjectKind::Chunk, &id(1)).unwrap();
    receiving.named(ObjectKind::Chunk, &id(1)).unwrap_err();
}

#[test]
fn chunks_that_are_named_and_never_sent_fill_no_memory() {
    let mut receiving = Receiving::new([id(0)], false);
    let mut refused = None;
    for i in 0..2 * OUTSTANDING as u32 / 8192 {
        receiving.metadata(&id(i), &[id(i + 1)], &wanted(&chunks(i * 8192, (i + 1) * 8192))).unwrap();
        refused = receiving.segment(&segment(i.into(), &[]), &mut Nothing(0)).err();
        if refused.is_some() {
            break;
        }
    }
    assert!(refused.is_some_and(|why| why.0.contains("not sent")));
}

#[test]
fn what_is_remembered_is_counted() {
    let mut receiving = Receiving::new([id(0)], true);
    receiving.metadata(&id(0), &[id(1), id(2)], &wanted(&chunks(0, 10))).unwrap();
    assert_eq!(receiving.names(), 2);
    receiving.segment(&segment(0, &[id(1)]), &mut Nothing(0)).unwrap();
    assert_eq!(receiving.names(), 1 + 10, "in a dry run what was asked for never comes");
}

/// A sender that has closed a segment of 1024 chunks and one held object with ten.
fn sender() -> Sending {
    let mut sending = Sending::default();
    let (kind, held, of_held) = (ObjectKind::Tree, id(1), chunks(5000, 5010));
    assert!(sending.name(Named { kind, digest: held, chunks: &of_held, sent: None }).is_none());
    let segment = sending.name(Named { kind, digest: id(0), chunks: &chunks(0, 1024), sent: Some(100) }).unwrap();
    assert_eq!(segment, Segment { number: 0, held: vec![(ObjectKind::Tree as u8, held)] });
    sending
}

#[test]
fn wants_beyond_the_list() {
    let want = |segment, sent: usize, held: &[usize]| Want {
        segment,
        sent: Runs::of(vec![true; sent]),
        held: held.iter().map(|n| Runs::of(vec![true; *n])).collect(),
    };
    assert_eq!(sender().want(&want(0, 1024, &[10])).unwrap().len(), 1034);
    assert_eq!(sender().want(&want(0, 0, &[])).unwrap().len(), 0);
    sender().want(&want(0, 1025, &[])).unwrap_err();
    sender().want(&want(0, 0, &[11])).unwrap_err();
    sender().want(&want(0, 0, &[0, 1])).unwrap_err();
    sender().want(&want(1, 0, &[])).unwrap_err();
    let mut sending = sender();
    sending.want(&want(0, 1, &[])).unwrap();
    sending.want(&want(0, 1, &[])).unwrap_err();
}

#[test]
fn requests_by_name_do_not_pile_up() {
    let mut sending = sender();
    for _ in 0..OPEN_GETS {
        sending.get().unwrap();
    }
    sending.get().unwrap_err();
}

#[test]
fn the_window_closes_and_opens() {
    let mut sending = Sending::default();
    let list = chunks(0, 1024);
    let mut segments = 0;
    while sending.has_room() {
        let named = Named { kind: ObjectKind::Tree, digest: id(segments), chunks: &list, sent: Some(100) };
        segments += u32::from(sending.name(named).is_some());
    }
    assert_eq!(segments as usize, WINDOW);
    sending.want(&Want { segment: 3, sent: Runs::default(), held: vec![] }).unwrap();
    assert!(!sending.has_room(), "it is answered, and not served");
    sending.served(3);
    assert!(sending.has_room());
    let (last, count) = sending.finish();
    assert!(last.is_none() && count == WINDOW as u64 && !sending.is_done());
}

#[test]
fn many_held_objects_close_a_segment() {
    let mut sending = Sending::default();
    let held = |i| Named { kind: ObjectKind::Tree, digest: id(i), chunks: &[], sent: None };
    let closed: Vec<u32> = (0..MAX_HELD as u32 + 10).filter(|i| sending.name(held(*i)).is_some()).collect();
    assert_eq!(closed, [MAX_HELD as u32 - 1]);
}
