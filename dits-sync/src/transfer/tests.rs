//! A sender and a receiver joined by a simulated network: no threads, no I/O, no clock. Lanes deliver in any order among
//! each other, connections are cut anywhere, and the receiver goes on with what it has kept.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use dits_core::object::{Digest, ObjectKind};
use dits_testkit::SplitMix64;

use super::*;
use crate::wire::{Get, Got, IdFilter, Segment, Want};

mod refusals;

/// An object of metadata.
#[derive(Clone, Debug, Default)]
struct Node {
    meta: Vec<Digest>,
    chunks: Vec<(Digest, u64)>,
}

/// All there is on the sender's side, and its top.
struct World {
    nodes: BTreeMap<Digest, Node>,
    order: Vec<Digest>,
    wants: Vec<Digest>,
}

fn name(random: &mut SplitMix64) -> Digest {
    let mut digest = Digest([0; 32]);
    random.fill(&mut digest.0);
    digest
}

fn pick(random: &mut SplitMix64, below: usize) -> usize {
    usize::try_from(random.below(below as u64)).unwrap()
}

impl World {
    /// Leaves with chunks that they partly share, and nodes above them that share parts too.
    fn random(random: &mut SplitMix64) -> Self {
        let chunks: Vec<(Digest, u64)> =
            (0..random.between(1, 5_000)).map(|_| (name(random), random.between(1, 100))).collect();
        let mut nodes = BTreeMap::new();
        let mut made: Vec<Digest> = Vec::new();
        let count = random.between(1, 60);
        for i in 0..count {
            let mut node = Node::default();
            if random.below(4) > 0 {
                let (from, len) = (pick(random, chunks.len()), pick(random, 400));
                node.chunks = chunks.iter().skip(from).take(len).copied().collect();
            }
            if i > count / 3 && random.below(3) > 0 {
                for _ in 0..random.between(1, 8) {
                    let child = made[pick(random, made.len())];
                    node.meta.push(child);
                }
            }
            let digest = name(random);
            nodes.insert(digest, node);
            made.push(digest);
        }
        let wants: Vec<Digest> = made.iter().rev().take(pick(random, 4) + 1).copied().collect();
        let mut world = Self { nodes, order: Vec::new(), wants };
        world.order = world.walk();
        world
    }

    /// Each object after one that names it.
    fn walk(&self) -> Vec<Digest> {
        let (mut order, mut seen) = (Vec::new(), HashSet::new());
        let mut stack = self.wants.clone();
        while let Some(digest) = stack.pop() {
            if seen.insert(digest) {
                order.push(digest);
                stack.extend(&self.nodes[&digest].meta);
            }
        }
        order
    }

    fn chunks(&self) -> HashSet<Digest> {
        self.order.iter().flat_map(|id| self.nodes[id].chunks.iter().map(|(digest, _)| *digest)).collect()
    }
}

/// What survives a cut.
#[derive(Default)]
struct Kept {
    meta: HashSet<Digest>,
    chunks: HashSet<Digest>,
}

/// What the receiver looks things up in.
struct Holds<'a> {
    kept: &'a Kept,
    world: &'a World,
}

fn filtered(node: &Node) -> Vec<FilteredChunk> {
    node.chunks.iter().map(|(digest, len)| FilteredChunk { digest: *digest, len: *len, wanted: true }).collect()
}

impl Holdings<Violation> for Holds<'_> {
    fn has_chunk(&mut self, digest: &Digest, _len: u64) -> Result<bool, Violation> {
        Ok(self.kept.chunks.contains(digest))
    }

    fn held(&mut self, _kind: ObjectKind, digest: &Digest) -> Result<Option<Vec<FilteredChunk>>, Violation> {
        Ok(self.kept.meta.contains(digest).then(|| filtered(&self.world.nodes[digest])))
    }
}

/// What travels to the receiver.
#[derive(Clone, Debug)]
enum Down {
    Meta(Digest),
    Segment(Segment),
    Sent(u64),
    Chunk(Digest),
    Named(ObjectKind, Digest),
    Got(Got),
}

/// What travels to the sender.
#[derive(Clone, Debug)]
enum Up {
    Want(Want),
    Get(Get),
    Complete,
}

const CONTROL: usize = 0;
const DEMAND: usize = 1;
const LANES: usize = 6;

/// One connection.
struct Connection<'a> {
    world: &'a World,
    sending: Sending,
    receiving: Receiving,
    /// What the sender believes the receiver to hold: with false positives.
    held: HashSet<Digest>,
    to_name: VecDeque<Digest>,
    /// The segment that is served, or the number of a request, and what of it is to be sent.
    jobs: VecDeque<(Option<u64>, VecDeque<Down>)>,
    open_segments: usize,
    down: [VecDeque<Down>; LANES],
    up: VecDeque<Up>,
    asked: HashSet<Digest>,
    lens: HashMap<Digest, u64>,
    /// Gets of what was missing in the end.
    rounds: usize,
    finished: bool,
    sent_chunks: usize,
}

impl<'a> Connection<'a> {
    fn new(world: &'a World, kept: &Kept, random: &mut SplitMix64) -> Self {
        let mut seed = [0; 32];
        random.fill(&mut seed);
        let ids: Vec<Digest> = kept.meta.iter().copied().collect();
        let filter = IdFilter::of(&ids, seed).filter(|_| random.below(4) > 0);
        let mut held = HashSet::new();
        for id in &world.order {
            let false_positive = filter.is_some() && random.below(20) == 0;
            if filter.as_ref().is_some_and(|filter| filter.may_contain(id)) || false_positive {
                held.insert(*id);
            }
        }
        Self {
            world,
            sending: Sending::default(),
            receiving: Receiving::new(world.wants.iter().copied(), false),
            held,
            to_name: world.order.iter().copied().collect(),
            jobs: VecDeque::new(),
            open_segments: 0,
            down: Default::default(),
            up: VecDeque::new(),
            asked: HashSet::new(),
            lens: world.nodes.values().flat_map(|node| node.chunks.iter().copied()).collect(),
            rounds: 0,
            finished: false,
            sent_chunks: 0,
        }
    }

    /// One of the things that can happen next happens.
    fn step(&mut self, kept: &mut Kept, random: &mut SplitMix64) {
        let lanes: Vec<usize> = (0..LANES).filter(|lane| !self.down[*lane].is_empty()).collect();
        loop {
            match random.below(5) {
                0 if self.sending.has_room() && !self.finished => return self.name_next(),
                1 if !self.jobs.is_empty() => return self.serve_next(random),
                2 if !self.up.is_empty() => return self.deliver_up(),
                3 | 4 if !lanes.is_empty() => return self.deliver_down(lanes[pick(random, lanes.len())], kept),
                _ => assert!(
                    (self.sending.has_room() && !self.finished)
                        || !self.jobs.is_empty()
                        || !self.up.is_empty()
                        || !lanes.is_empty(),
                    "both wait for each other"
                ),
            }
        }
    }

    fn name_next(&mut self) {
        let Some(digest) = self.to_name.pop_front() else {
            let (last, segments) = self.sending.finish();
            self.finished = true;
            self.close(last);
            self.down[CONTROL].push_back(Down::Sent(segments));
            return;
        };
        let node = &self.world.nodes[&digest];
        let sent = (!node.meta.is_empty() || !self.held.contains(&digest)).then_some(4096);
        if sent.is_some() {
            self.down[CONTROL].push_back(Down::Meta(digest));
        }
        let named = Named { kind: ObjectKind::Tree, digest, chunks: &node.chunks, sent };
        let segment = self.sending.name(named);
        self.close(segment);
    }

    fn close(&mut self, segment: Option<Segment>) {
        if let Some(segment) = segment {
            self.open_segments += 1;
            assert!(self.open_segments <= WINDOW, "the window is exceeded");
            self.down[CONTROL].push_back(Down::Segment(segment));
        }
    }

    fn serve_next(&mut self, random: &mut SplitMix64) {
        let Some((segment, left)) = self.jobs.front_mut() else { return };
        if let Some(down) = left.pop_front() {
            let lane = match down {
                Down::Chunk(_) => {
                    self.sent_chunks += 1;
                    2 + pick(random, LANES - 2)
                }
                _ => DEMAND,
            };
            self.down[lane].push_back(down);
            return;
        }
        match segment {
            Some(segment) => {
                self.sending.served(*segment);
                self.open_segments -= 1;
            }
            None => self.sending.got(),
        }
        self.jobs.pop_front();
    }

    fn deliver_up(&mut self) {
        match self.up.pop_front().unwrap() {
            Up::Want(want) => {
                let chunks = self.sending.want(&want).unwrap();
                for chunk in &chunks {
                    assert!(self.asked.insert(*chunk), "a chunk is asked for twice");
                }
                self.jobs.push_back((Some(want.segment), chunks.into_iter().map(Down::Chunk).collect()));
            }
            Up::Get(get) => {
                self.sending.get().unwrap();
                let named = |(code, digest): &(u8, Digest)| Down::Named(ObjectKind::from_code(*code).unwrap(), *digest);
                let mut answer: VecDeque<Down> = get.objects.iter().map(named).collect();
                answer.push_back(Down::Got(Got { number: get.number, missing: vec![] }));
                self.jobs.push_back((None, answer));
            }
            Up::Complete => {
                assert!(self.sending.is_done() || self.open_segments <= WINDOW);
            }
        }
    }

    fn deliver_down(&mut self, lane: usize, kept: &mut Kept) {
        let world = self.world;
        match self.down[lane].pop_front().unwrap() {
            Down::Meta(digest) => {
                let node = &world.nodes[&digest];
                self.receiving.metadata(&digest, &node.meta, &filtered(node)).unwrap();
                kept.meta.insert(digest);
            }
            Down::Segment(segment) => {
                let want = self.receiving.segment(&segment, &mut Holds { kept, world }).unwrap();
                self.up.push_back(Up::Want(want));
            }
            Down::Sent(segments) => self.receiving.sent(segments).unwrap(),
            Down::Chunk(digest) => {
                self.receiving.chunk(&digest, self.lens[&digest]).unwrap();
                assert!(kept.chunks.insert(digest), "a chunk comes that is here");
            }
            Down::Named(kind, digest) => {
                self.receiving.named(kind, &digest).unwrap();
                let half = if kind.is_content() { &mut kept.chunks } else { &mut kept.meta };
                assert!(half.insert(digest), "an object comes by name that is here");
            }
            Down::Got(got) => assert!(self.receiving.got(&got).unwrap().is_empty()),
        }
        if self.receiving.is_done() {
            self.check(kept);
        }
    }

    /// Everything has come: is anything missing?
    fn check(&mut self, kept: &Kept) {
        let (mut missing, mut seen) = (Vec::new(), HashSet::new());
        let mut stack = self.world.wants.clone();
        while let Some(digest) = stack.pop() {
            if !seen.insert(digest) {
                continue;
            }
            if !kept.meta.contains(&digest) {
                missing.push((ObjectKind::Tree, digest));
                continue;
            }
            let node = &self.world.nodes[&digest];
            stack.extend(&node.meta);
            let lacking = node.chunks.iter().filter(|(chunk, _)| !kept.chunks.contains(chunk) && seen.insert(*chunk));
            missing.extend(lacking.map(|(chunk, _)| (ObjectKind::Chunk, *chunk)));
        }
        if missing.is_empty() {
            self.up.push_back(Up::Complete);
            return;
        }
        self.rounds += 1;
        let chunks = missing.iter().filter(|(kind, _)| kind.is_content()).count();
        self.sent_chunks += chunks;
        self.up.push_back(Up::Get(self.receiving.get(missing)));
    }

    fn is_complete(&self) -> bool {
        matches!(self.up.front(), Some(Up::Complete))
    }

    /// Chunks that were sent or are about to be, and will not arrive.
    fn lost(&self) -> usize {
        let is_chunk = |down: &&Down| matches!(down, Down::Chunk(_) | Down::Named(ObjectKind::Chunk, _));
        let flying: usize = self.down.iter().map(|lane| lane.iter().filter(is_chunk).count()).sum();
        let named = |down: &&Down| matches!(down, Down::Named(ObjectKind::Chunk, _));
        let waiting: usize = self.jobs.iter().map(|(_, left)| left.iter().filter(named).count()).sum();
        let asked = |up: &Up| match up {
            Up::Get(get) => get.objects.iter().filter(|(code, _)| *code == ObjectKind::Chunk as u8).count(),
            _ => 0,
        };
        flying + waiting + self.up.iter().map(asked).sum::<usize>()
    }
}

/// Plays a transfer with cuts to its end; says how many connections it took.
fn play(seed: u64) -> usize {
    let random = &mut SplitMix64::new(seed);
    let world = World::random(random);
    let all = world.chunks();
    let mut kept = Kept::default();
    // What an earlier transfer, a crash or other history left.
    let (few, some) = (random.below(3), random.below(3));
    kept.meta.extend(world.order.iter().filter(|_| random.below(3) < few));
    kept.chunks.extend(all.iter().filter(|_| random.below(3) < some));
    let had = kept.chunks.len();
    let (mut sent, mut lost, mut connections) = (0, 0, 0);
    loop {
        connections += 1;
        assert!(connections < 1000);
        // The later, the longer the connections last.
        let life = random.between(1, 400 * connections as u64);
        let mut connection = Connection::new(&world, &kept, random);
        let mut age = 0;
        while age < life && !connection.is_complete() {
            connection.step(&mut kept, random);
            age += 1;
        }
        sent += connection.sent_chunks;
        lost += connection.lost();
        assert!(connection.rounds <= 2, "more than one round trip for false positives and one for what they hid");
        if connection.is_complete() {
            break;
        }
    }
    assert_eq!(kept.meta, world.order.iter().copied().collect::<HashSet<_>>());
    assert_eq!(kept.chunks, all, "not what the wants reach, or more than that");
    // Whatever arrived is not sent again, however often the connection was cut.
    assert_eq!(sent - lost, all.len() - had);
    connections
}

#[test]
fn whatever_is_cut_the_receiver_ends_with_everything_and_nothing_comes_twice() {
    let connections: usize = (0..60).map(play).sum();
    assert!(connections > 200, "hardly anything was cut: {connections}");
}
