//! The protocol: messages, and the machines of a transfer fed with any order of them.

use std::collections::HashSet;

use bytes::Bytes;
use dits_core::object::{Digest, ObjectKind};
use dits_sync::transfer::{FilteredChunk, Holdings, Named, OPEN_GETS, Receiving, Sending, Violation, WINDOW};
use dits_sync::wire::{BatchBuilder, Got, IdFilter, Listing, MAX_MESSAGE, Message, Refs, Runs, Segment, Want};

/// A message, and what can be asked of it: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken, or a selection is longer than its list.
pub fn message(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let Ok(Some(message)) = Message::decode(&bytes) else { return };
    assert_eq!(message.encode(), bytes);
    let ask = |filter: &Option<IdFilter>| _ = filter.as_ref().map(|filter| filter.may_contain(&Digest([7; 32])));
    match &message {
        Message::Fetch(fetch) => ask(&fetch.held),
        Message::Start(start) => ask(&start.held),
        Message::Want(want) => {
            for (len, runs) in want.held.iter().chain([&want.sent]).enumerate() {
                if let Ok(selected) = runs.selected(len * 100) {
                    assert!(selected.len() <= len * 100 && selected.iter().all(|at| *at < len * 100));
                    assert_eq!(selected.is_empty(), runs.is_empty());
                }
            }
        }
        _ => {}
    }
}

/// A listing that comes in parts, each with its length before it: what is taken is sorted, and says the same again.
///
/// # Panics
/// When it is not.
pub fn listing(mut data: &[u8]) {
    let mut listing = Listing::default();
    while let Some(([low, high], rest)) = data.split_first_chunk() {
        let len = (usize::from(*low) | usize::from(*high) << 8).min(rest.len());
        let (part, rest) = rest.split_at(len);
        data = rest;
        if let Ok(Some(Message::Refs(Refs::Some { head, refs, more }))) = Message::decode(&Bytes::copy_from_slice(part))
            && listing.extend(head, refs, more).is_err()
        {
            return;
        }
    }
    assert!(listing.refs.is_sorted_by(|a, b| a.0 < b.0));
    let mut again = Listing::default();
    for part in listing.messages() {
        let Refs::Some { head, refs, more } = part else { return };
        assert_eq!(again.extend(head, refs, more), Ok(()));
    }
    assert_eq!(again.digest(), listing.digest());
}

/// Frames of the lengths that the input says, each three bytes, in messages and out of them again.
///
/// # Panics
/// When they are not the same bytes, or a message is too long.
pub fn batch(data: &[u8]) {
    let mut builder = BatchBuilder::default();
    let (mut went, mut came, mut total) = (Vec::new(), Vec::new(), 0);
    let mut messages = Vec::new();
    for (i, chunk) in data.chunks_exact(3).enumerate() {
        let len =
            (usize::from(chunk[0]) | usize::from(chunk[1]) << 8 | usize::from(chunk[2]) << 16) % (3 * MAX_MESSAGE);
        total += len;
        if len == 0 || total > 4 * MAX_MESSAGE {
            continue;
        }
        let frame = vec![i as u8; len];
        messages.extend(builder.push(&frame));
        went.extend(frame);
    }
    messages.extend(builder.finish());
    let mut open = false;
    for message in messages {
        assert!(message.len() <= MAX_MESSAGE);
        match Message::decode(&message) {
            Ok(Some(Message::Objects(frames))) => {
                assert!(!open && !frames.is_empty(), "something inside a frame");
                came.extend_from_slice(&frames);
            }
            Ok(Some(Message::Part(part))) => {
                assert!(!part.bytes.is_empty());
                came.extend_from_slice(&part.bytes);
                open = !part.last;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(!open && went == came);
}

/// How many steps of a machine one input plays.
const MOST: usize = 400;

/// One of 256 objects.
fn id(byte: u8) -> Digest {
    Digest([byte; 32])
}

/// One of many.
fn numbered(i: u32) -> Digest {
    let mut digest = id(0);
    digest.0[..4].copy_from_slice(&i.to_le_bytes());
    digest
}

/// Chunks as an object names them.
fn chunks(bytes: &[u8]) -> Vec<FilteredChunk> {
    bytes.iter().map(|byte| FilteredChunk { digest: id(*byte), len: 10, wanted: !byte.is_multiple_of(5) }).collect()
}

/// A receiver that has a quarter of all chunks, and every third object.
struct Few;

impl Holdings<Violation> for Few {
    fn has_chunk(&mut self, digest: &Digest, _len: u64) -> Result<bool, Violation> {
        Ok(digest.0[0].is_multiple_of(4))
    }

    fn held(&mut self, _kind: ObjectKind, digest: &Digest) -> Result<Option<Vec<FilteredChunk>>, Violation> {
        let byte = digest.0[0];
        Ok(byte.is_multiple_of(3).then(|| chunks(&[byte, byte.wrapping_add(1)])))
    }
}

/// What a receiver may take, said in the simplest way.
#[derive(Default)]
struct Model {
    expected: HashSet<Digest>,
    list: Vec<Digest>,
    chunks: HashSet<Digest>,
    gets: Vec<(u64, HashSet<Digest>)>,
}

/// Any messages in any order for a receiver: it takes nothing that it has not asked for.
///
/// # Panics
/// When it does.
pub fn receiving(data: &[u8]) {
    let mut machine = Receiving::new([id(1), id(2)], false);
    let mut model = Model { expected: HashSet::from([id(1), id(2)]), ..Model::default() };
    for op in data.chunks_exact(6).take(MOST) {
        let [what, a, b, rest @ ..] = op else { return };
        let taken = match what % 8 {
            0 | 1 => meta(&mut machine, &mut model, *a, &[*b], rest),
            2 => segment(&mut machine, &mut model, u64::from(*a % 16), rest),
            3 => machine.sent(u64::from(*a % 16)).is_ok(),
            4 => {
                let taken = machine.chunk(&id(*a), 10 + u64::from(*b % 8 == 7)).is_ok();
                assert!(model.chunks.remove(&id(*a)) || !taken, "a chunk nobody asked for");
                taken
            }
            5 => {
                let taken = machine.named(ObjectKind::Chunk, &id(*a)).is_ok();
                let asked = model.gets.iter_mut().any(|(_, open)| open.remove(&id(*a)));
                assert_eq!(taken, asked, "an object nobody asked for by name");
                taken
            }
            6 => {
                let get = machine.get(rest.iter().map(|byte| (ObjectKind::Chunk, id(*byte))).collect());
                model.gets.push((get.number, rest.iter().map(|byte| id(*byte)).collect()));
                true
            }
            _ => {
                let missing = if *b % 2 == 0 { vec![] } else { rest.iter().map(|n| u32::from(*n % 4)).collect() };
                let taken = machine.got(&Got { number: u64::from(*a % 8), missing }).is_ok();
                model.gets.retain(|(number, _)| *number != u64::from(*a % 8));
                taken
            }
        };
        // Whoever breaks a rule is not listened to any more.
        if !taken {
            return;
        }
        assert_eq!(machine.open_gets(), model.gets.len());
        assert!(!machine.is_done() || (model.chunks.is_empty() && model.gets.is_empty()));
    }
}

fn meta(machine: &mut Receiving, model: &mut Model, digest: u8, names: &[u8], list: &[u8]) -> bool {
    let names: Vec<Digest> = names.iter().map(|byte| id(*byte)).collect();
    let list = chunks(list);
    let taken = machine.metadata(&id(digest), &names, &list).is_ok();
    assert!(model.expected.remove(&id(digest)) || !taken, "an object that nothing named");
    model.expected.extend(names);
    for chunk in list {
        if !model.list.contains(&chunk.digest) {
            model.list.push(chunk.digest);
        }
    }
    taken
}

fn segment(machine: &mut Receiving, model: &mut Model, number: u64, held: &[u8]) -> bool {
    let held: Vec<(u8, Digest)> = held.iter().filter(|b| **b > 127).map(|b| (b % 8, id(*b))).collect();
    let Ok(want) = machine.segment(&Segment { number, held: held.clone() }, &mut Few) else { return false };
    let list = std::mem::take(&mut model.list);
    let mut ask = |list: &[Digest], runs: &Runs| {
        for at in runs.selected(list.len()).unwrap_or_else(|why| panic!("{why}")) {
            assert!(
                !list[at].0[0].is_multiple_of(4) && !list[at].0[0].is_multiple_of(5),
                "it asks for what it has or wants not"
            );
            assert!(model.chunks.insert(list[at]), "it asks twice");
        }
    };
    ask(&list, &want.sent);
    assert_eq!(want.held.len(), held.len());
    for ((_, digest), runs) in held.iter().zip(&want.held) {
        assert!(model.expected.contains(digest), "held, and nothing named it");
        let byte = digest.0[0];
        let there = byte.is_multiple_of(3);
        let list = if there { vec![id(byte), id(byte.wrapping_add(1))] } else { Vec::new() };
        ask(&list, runs);
    }
    true
}

/// Any answers in any order for a sender: it sends nothing that it has not named, and its window holds.
///
/// # Panics
/// When it does, or the window does not.
pub fn sending(data: &[u8]) {
    let mut machine = Sending::default();
    let (mut unanswered, mut answered, mut gets) = (HashSet::new(), HashSet::new(), 0);
    let mut named = HashSet::new();
    for op in data.chunks_exact(4).take(MOST) {
        let [what, a, b, c] = *op else { return };
        let list: Vec<(Digest, u64)> = (0..u32::from(b) * 4).map(|i| (numbered(i + u32::from(a)), 10)).collect();
        match what % 6 {
            0 if machine.has_room() => {
                let sent = (c % 4 > 0).then_some(usize::from(c) << 12);
                named.extend(list.iter().map(|(digest, _)| *digest));
                let segment = machine.name(Named { kind: ObjectKind::Tree, digest: id(a), chunks: &list, sent });
                unanswered.extend(segment.map(|segment| segment.number));
                assert!(unanswered.len() + answered.len() <= WINDOW);
            }
            1 => {
                let held = vec![Runs::of(vec![true; usize::from(c)]); usize::from(c % 3)];
                let sent = Runs::of((0..u32::from(b)).map(|i| i % (u32::from(c) + 1) == 0));
                let Ok(chunks) = machine.want(&Want { segment: u64::from(a % 16), sent, held }) else { return };
                let number = u64::from(a % 16);
                assert!(unanswered.remove(&number) && answered.insert(number), "it was not asked");
                assert!(chunks.iter().all(|chunk| named.contains(chunk)));
            }
            2 => {
                machine.served(u64::from(a % 16));
                answered.remove(&u64::from(a % 16));
            }
            3 => {
                gets += 1;
                assert_eq!(machine.get().is_ok(), gets <= OPEN_GETS);
                if gets > OPEN_GETS {
                    return;
                }
            }
            4 if gets > 0 => {
                machine.got();
                gets -= 1;
            }
            _ => {}
        }
    }
    let (last, count) = machine.finish();
    assert!(last.as_ref().is_none_or(|segment| segment.number + 1 == count));
    unanswered.extend(last.map(|segment| segment.number));
    assert_eq!(machine.is_done(), unanswered.is_empty() && answered.is_empty() && gets == 0);
}
