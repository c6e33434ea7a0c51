use proptest::prelude::*;

use super::*;
use crate::chunk::Splice;
use crate::object::ChunkId;
use crate::object::memory::MemoryObjects;

const PROFILE: Profile =
    Profile { algorithm: 1, normalization: 1, seed: 0, min: 16 << 10, avg: 64 << 10, max: 256 << 10 };

/// A made-up chunk of 64 to 80 KiB.
fn chunk(number: u64) -> ChunkRef {
    let id = ChunkId::of(&number.to_le_bytes());
    ChunkRef { id, len: 65536 + (id.digest().prefix_u64() % 16384) as u32 }
}

fn build(store: &MemoryObjects, chunks: &[ChunkRef]) -> Content {
    write(PROFILE, chunks.iter().copied(), store).unwrap()
}

fn id_of(content: Content) -> ManifestId {
    match content {
        Content::Manifest(id) => id,
        other => panic!("{other:?} is no manifest"),
    }
}

fn offset_of(chunks: &[ChunkRef], at: usize) -> u64 {
    chunks[..at].iter().map(|chunk| u64::from(chunk.len)).sum()
}

/// Chunks `from..to` replaced by `new`.
fn one_splice(chunks: &[ChunkRef], from: usize, to: usize, new: Vec<ChunkRef>) -> Splice {
    Splice { old: offset_of(chunks, from)..offset_of(chunks, to), new }
}

/// A store with the manifest of a file of ten gigabytes.
fn ten_gigabytes() -> (MemoryObjects, ManifestId, Vec<ChunkRef>) {
    let store = MemoryObjects::new();
    let mut chunks = Vec::new();
    let mut bytes = 0;
    while bytes < 10_000_000_000 {
        chunks.push(chunk(chunks.len() as u64));
        bytes += u64::from(chunks[chunks.len() - 1].len);
    }
    let id = id_of(build(&store, &chunks));
    (store, id, chunks)
}

#[test]
fn files_of_fewer_than_two_chunks_have_no_manifest() {
    let store = MemoryObjects::new();
    assert_eq!(build(&store, &[]), Content::Empty);
    assert_eq!(build(&store, &[chunk(1)]), Content::Chunk(chunk(1).id));
    assert!(store.is_empty());
    assert!(matches!(build(&store, &[chunk(1), chunk(2)]), Content::Manifest(_)));
    assert_eq!(store.len(), 1);
}

#[test]
fn lengths_out_of_bounds_are_refused() {
    let store = MemoryObjects::new();
    for len in [0, MAX_CHUNK as u32 + 1] {
        let bad = ChunkRef { len, ..chunk(1) };
        assert!(matches!(write(PROFILE, [bad], &store), Err(ManifestError::ChunkLength(found)) if found == len));
    }
}

#[test]
fn ten_gigabytes_open_with_one_small_node_and_seek_with_a_few() {
    let (store, id, chunks) = ten_gigabytes();
    store.reset();
    let manifest = Manifest::open(&store, id).unwrap();
    assert_eq!(store.read_tally().objects, 1);
    assert!(store.read_tally().bytes <= merkle::CAP as u64, "{:?}", store.read_tally());
    assert_eq!(manifest.chunk_count(), chunks.len() as u64);
    assert_eq!(manifest.len(), offset_of(&chunks, chunks.len()));
    assert_eq!(manifest.profile(), PROFILE);
    let depth = u64::from(manifest.root.level);
    assert!((1..=3).contains(&depth));
    for at in [0, 1, 77_777, chunks.len() - 1] {
        let start = offset_of(&chunks, at);
        for offset in [start, start + 1, start + u64::from(chunks[at].len) - 1] {
            store.reset();
            assert_eq!(manifest.at_offset(offset).unwrap(), Some((start, chunks[at])));
            assert!(store.read_tally().objects <= depth);
            assert!(store.read_tally().bytes <= 50_000);
        }
    }
    assert_eq!(manifest.at_offset(manifest.len()).unwrap(), None);
    assert_eq!(manifest.at_offset(u64::MAX).unwrap(), None);
    let listed: Vec<_> = manifest.iter_from(0).unwrap().map(|step| step.unwrap().1).collect();
    assert!(listed == chunks);
}

#[test]
fn an_edit_in_ten_gigabytes_costs_a_few_nodes() {
    let (store, id, mut chunks) = ten_gigabytes();
    for at in [0, 1, 50_000, 123_456, chunks.len() - 1] {
        store.reset();
        let edit = one_splice(&chunks, at, at + 1, vec![chunk(1 << 40)]);
        let changed = splice(&store, id, &[edit]).unwrap();
        let (read, written) = (store.read_tally(), store.written_tally());
        assert!(written.bytes < 50_000 && written.objects <= 12, "{written:?}");
        assert!(read.objects <= 16, "{read:?}");
        let old = std::mem::replace(&mut chunks[at], chunk(1 << 40));
        store.reset();
        assert_eq!(build(&store, &chunks), changed);
        assert_eq!(store.written_tally().objects, 0);
        chunks[at] = old;

        store.reset();
        let Diff { only_old, only_new } = diff(&store, id, id_of(changed)).unwrap();
        assert_eq!(only_old, [Span { offset: offset_of(&chunks, at), chunk: old }]);
        assert_eq!(only_new, [Span { offset: offset_of(&chunks, at), chunk: chunk(1 << 40) }]);
        assert!(store.read_tally().objects <= 20, "{:?}", store.read_tally());
    }
}

#[test]
fn nodes_have_the_size_they_should() {
    let (store, id, chunks) = ten_gigabytes();
    let mut sizes = Vec::new();
    let mut todo = vec![*id.digest()];
    while let Some(digest) = todo.pop() {
        let bytes = store.read(ObjectKind::Manifest, &digest).unwrap();
        sizes.push(bytes.len());
        todo.extend(references(&digest, &bytes).unwrap().nodes);
    }
    let average = sizes.iter().sum::<usize>() / sizes.len();
    assert!((3000..=4600).contains(&average), "{average}");
    assert!(sizes.iter().all(|len| *len <= merkle::CAP));
    assert!(sizes.iter().sum::<usize>() < chunks.len() * 42);
}

/// Leaves that ended where the rule says may follow each other in any order: so a few hundred make a file that no test
/// could write.
#[test]
fn ten_terabytes_open_with_one_node_and_seek_and_change_with_a_few() {
    let store = MemoryObjects::new();
    let chunks: Vec<ChunkRef> = (0..30_000).map(|i| ChunkRef { len: 256 << 10, ..chunk(i) }).collect();
    let small = id_of(build(&store, &chunks));
    let leaves = leaf_links(&store, *small.digest());
    let mut tree = Builder::<Chunks>::above(1, profile_extension(&PROFILE));
    let mut leaf_starts = vec![0];
    let mut state = 1u64;
    while leaf_starts[leaf_starts.len() - 1] < 10_000_000_000_000 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let link = &leaves[(state >> 33) as usize % (leaves.len() - 1)];
        leaf_starts.push(leaf_starts[leaf_starts.len() - 1] + link.sum.bytes);
        tree.push(Entry::Link(link.clone()), &store).unwrap();
    }
    let id = ManifestId::from_digest(tree.finish(&store).unwrap());
    store.reset();
    let manifest = Manifest::open(&store, id).unwrap();
    assert!(manifest.len() >= 10_000_000_000_000);
    assert_eq!(store.read_tally().objects, 1);
    assert!(store.read_tally().bytes <= merkle::CAP as u64);
    let depth = u64::from(manifest.root.level);
    assert!((3..=4).contains(&depth), "{depth}");
    for leaf in [0, 1, leaf_starts.len() / 3, leaf_starts.len() - 2] {
        store.reset();
        let start = leaf_starts[leaf] + (256 << 10);
        let (found, old) = manifest.at_offset(start + 5).unwrap().unwrap();
        assert_eq!(found, start);
        assert!(store.read_tally().objects <= depth, "{:?}", store.read_tally());

        store.reset();
        let edit = Splice { old: start..start + u64::from(old.len), new: vec![chunk(1 << 50), chunk(1 << 51)] };
        let changed = id_of(splice(&store, id, &[edit]).unwrap());
        assert!(store.read_tally().objects <= 30, "{:?}", store.read_tally());
        assert!(store.written_tally().bytes < 50_000, "{:?}", store.written_tally());
        let changed = Manifest::open(&store, changed).unwrap();
        assert_eq!(changed.at_offset(start).unwrap(), Some((start, chunk(1 << 50))));
    }
    // Most of the file goes: what lies between is not read.
    store.reset();
    let old = leaf_starts[1000]..leaf_starts[leaf_starts.len() - 1000];
    let shorter = id_of(splice(&store, id, &[Splice { old: old.clone(), new: Vec::new() }]).unwrap());
    assert!(store.read_tally().objects <= 30, "{:?}", store.read_tally());
    assert_eq!(Manifest::open(&store, shorter).unwrap().len(), manifest.len() - (old.end - old.start));
}

fn leaf_links(store: &MemoryObjects, root: Digest) -> Vec<Link<Chunks>> {
    let node: Node<Chunks> = merkle::decode_node(&root, &store.read(ObjectKind::Manifest, &root).unwrap()).unwrap();
    let links = node.entries.into_iter().filter_map(|entry| match entry {
        Entry::Link(link) => Some(link),
        Entry::Item(_) => None,
    });
    if node.level == 1 { links.collect() } else { links.flat_map(|link| leaf_links(store, link.child)).collect() }
}

#[test]
fn a_change_in_a_long_hole_reads_little() {
    let store = MemoryObjects::new();
    let hole = vec![ChunkRef { len: 256 << 10, ..chunk(0) }; 40_000];
    let id = id_of(build(&store, &hole));
    store.reset();
    let edit = one_splice(&hole, 10_000, 10_001, vec![chunk(1), chunk(2)]);
    let changed = splice(&store, id, std::slice::from_ref(&edit)).unwrap();
    assert!(store.read_tally().objects <= 20, "{:?}", store.read_tally());
    let mut chunks = hole;
    chunks.splice(10_000..10_001, edit.new);
    assert_eq!(build(&store, &chunks), changed);

    store.reset();
    let found = diff(&store, id, id_of(changed)).unwrap();
    assert_eq!(found.only_new.iter().map(|span| span.chunk).collect::<Vec<_>>(), [chunk(1), chunk(2)]);
    assert_eq!(found.only_new[0].offset, 10_000 * (256 << 10));
    assert!(store.read_tally().objects <= 30, "{:?}", store.read_tally());
}

#[test]
fn an_insertion_at_the_front_shows_as_itself() {
    let (store, id, chunks) = ten_gigabytes();
    let new: Vec<ChunkRef> = (0..3).map(|i| chunk((1 << 41) + i)).collect();
    let changed = id_of(splice(&store, id, &[one_splice(&chunks, 0, 0, new.clone())]).unwrap());
    store.reset();
    let found = diff(&store, id, changed).unwrap();
    assert_eq!(found.only_old, []);
    assert_eq!(found.only_new.iter().map(|span| span.chunk).collect::<Vec<_>>(), new);
    assert_eq!(found.only_new[1].offset, u64::from(new[0].len));
    assert!(store.read_tally().objects <= 20, "{:?}", store.read_tally());
}

#[test]
fn a_tree_that_grows_or_shrinks_by_a_level_compares_with_few_reads() {
    let store = MemoryObjects::new();
    let chunks: Vec<ChunkRef> = (0..30_000).map(chunk).collect();
    let mut levels = std::collections::BTreeMap::new();
    for len in [2, 60, 300, 3000, 9000, 30_000] {
        let id = id_of(build(&store, &chunks[..len]));
        levels.insert(Manifest::open(&store, id).unwrap().root.level, (len, id));
    }
    assert!(levels.len() >= 3);
    let all: Vec<_> = levels.values().copied().collect();
    for pair in all.windows(2) {
        let ((short, a), (long, b)) = (pair[0], pair[1]);
        let found = diff(&store, a, b).unwrap();
        assert_eq!(found.only_old, []);
        assert_eq!(found.only_new.len(), long - short);
        let found = diff(&store, b, a).unwrap();
        assert_eq!((found.only_old.len(), found.only_new.len()), (long - short, 0));
        let tail = one_splice(&chunks[..long], short, long, Vec::new());
        assert_eq!(splice(&store, b, &[tail]).unwrap(), Content::Manifest(a));
        let grown = one_splice(&chunks[..short], short, short, chunks[short..long].to_vec());
        assert_eq!(splice(&store, a, &[grown]).unwrap(), Content::Manifest(b));
    }
}

#[test]
fn splices_off_the_boundaries_are_refused() {
    let store = MemoryObjects::new();
    for count in [3, 1000] {
        let chunks: Vec<ChunkRef> = (0..count).map(chunk).collect();
        let id = id_of(build(&store, &chunks));
        let len = offset_of(&chunks, chunks.len());
        let second = offset_of(&chunks, 1);
        let reversed = second..0;
        for old in [1..second, 0..second + 1, 0..1, len..len + 1, reversed, len - 1..len] {
            let splices = [Splice { old: old.clone(), new: vec![chunk(9)] }];
            assert!(matches!(splice(&store, id, &splices), Err(ManifestError::Position(_))), "{old:?}");
        }
        let overlapping = [one_splice(&chunks, 0, 2, Vec::new()), one_splice(&chunks, 1, 2, Vec::new())];
        assert!(matches!(splice(&store, id, &overlapping), Err(ManifestError::Position(_))));
    }
}

/// Edits as generated: how many chunks to keep, to drop and to insert, and with which number the inserted begin.
type Edits = Vec<(usize, usize, usize, u64)>;

fn apply(chunks: &[ChunkRef], edits: &Edits, variety: u64) -> (Vec<Splice>, Vec<ChunkRef>) {
    let (mut splices, mut result, mut at) = (Vec::new(), Vec::new(), 0);
    for (keep, drop, insert, seed) in edits {
        let from = (at + keep).min(chunks.len());
        let to = (from + drop).min(chunks.len());
        let new: Vec<ChunkRef> = (0..*insert as u64).map(|i| chunk((seed + i) % variety)).collect();
        result.extend_from_slice(&chunks[at..from]);
        result.extend_from_slice(&new);
        splices.push(one_splice(chunks, from, to, new));
        at = to;
    }
    result.extend_from_slice(&chunks[at..]);
    (splices, result)
}

fn edits() -> impl Strategy<Value = Edits> {
    let small = (0usize..400, 0usize..6, 0usize..6, any::<u64>().prop_map(|seed| seed >> 1));
    let large = (0usize..2000, 0usize..1500, 0usize..700, any::<u64>().prop_map(|seed| seed >> 1));
    prop_oneof![
        prop::collection::vec(small, 0..8),
        prop::collection::vec(large, 0..4),
        Just(vec![(usize::MAX >> 1, 0, 30, 7)]),
        Just(vec![(0, usize::MAX >> 1, 0, 0)]),
        Just(vec![(0, usize::MAX >> 1, 1, 0)]),
        Just(vec![(1, usize::MAX >> 1, 0, 0)]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_splice_gives_what_a_build_gives(
        count in prop_oneof![2usize..200, 200usize..4000],
        variety in prop_oneof![Just(1u64), Just(2), Just(5), Just(1 << 60)],
        edits in edits(),
    ) {
        let store = MemoryObjects::new();
        let chunks: Vec<ChunkRef> = (0..count as u64).map(|i| chunk(i.wrapping_mul(i) % variety)).collect();
        let id = id_of(build(&store, &chunks));
        let (splices, result) = apply(&chunks, &edits, variety);
        let spliced = splice(&store, id, &splices).unwrap();
        prop_assert_eq!(&spliced, &build(&store, &result));
        if let Content::Manifest(new) = spliced {
            let found = diff(&store, id, new).unwrap();
            for span in &found.only_new {
                let (start, at) = Manifest::open(&store, new).unwrap().at_offset(span.offset).unwrap().unwrap();
                prop_assert_eq!((start, at), (span.offset, span.chunk));
            }
            let old: std::collections::HashSet<ChunkRef> = chunks.iter().copied().collect();
            let claimed: std::collections::HashSet<ChunkRef> = found.only_new.iter().map(|span| span.chunk).collect();
            prop_assert!(result.iter().all(|chunk| old.contains(chunk) || claimed.contains(chunk)));
        }
    }

    #[test]
    fn a_decoder_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), flip in any::<(u16, u8)>()) {
        let digest = ObjectKind::Manifest.digest(&bytes);
        let _ = references(&digest, &bytes);
        let node = Node::<Chunks> {
            level: 0,
            entries: (0..4).map(|i| Entry::Item(chunk(i))).collect(),
            extensions: profile_extension(&PROFILE),
        };
        let mut bytes = codec::encode(&node);
        let at = usize::from(flip.0) % bytes.len();
        bytes[at] ^= flip.1;
        if let Ok(node) = merkle::decode_node::<Chunks>(&digest, &bytes) {
            prop_assert_eq!(codec::encode(&node), bytes);
        }
    }
}

fn hostile(entries: Vec<Entry<Chunks>>, level: u8, extensions: Vec<Extension>) -> Result<Content, StoreError> {
    let store = MemoryObjects::new();
    build(&store, &(0..2000).map(chunk).collect::<Vec<_>>());
    let id = Node { level, entries, extensions }.write_root(&store)?;
    let manifest = Manifest::open(&store, ManifestId::from_digest(id))?;
    manifest.iter_from(0)?.try_for_each(|step| step.map(drop))?;
    Ok(Content::Empty)
}

#[test]
fn nodes_that_break_a_rule_are_malformed() {
    let store = MemoryObjects::new();
    let good: Vec<Entry<Chunks>> = (0..60).map(|i| Entry::Item(chunk(i))).collect();
    let leaf = Node { level: 0, entries: good.clone(), extensions: Vec::new() }.write(&store).unwrap().unwrap();
    let profile = || profile_extension(&PROFILE);
    let link = |bytes, chunks| Entry::Link(Link::<Chunks> { child: leaf.child, sum: Sum { bytes, chunks } });
    let zero = Entry::Item(ChunkRef { len: 0, ..chunk(1) });
    let unsorted = vec![Extension { tag: 2, bytes: vec![] }, profile().remove(0)];
    let cases = [
        hostile(good[..1].to_vec(), 0, profile()),
        hostile(good.clone(), 0, Vec::new()),
        hostile(good.clone(), 0, unsorted),
        hostile(good.clone(), 0, vec![Extension { tag: 1, bytes: vec![1, 2] }]),
        hostile(vec![good[0].clone(), zero], 0, profile()),
        hostile(Vec::new(), 1, profile()),
        hostile(vec![link(1000, 60)], 1, profile()),
        hostile(vec![link(1000, 0), link(1000, 3)], 1, profile()),
        hostile(vec![link(10, 60), link(1000, 3)], 1, profile()),
        hostile(vec![link(u64::MAX, 60), link(1000, 3)], 1, profile()),
        hostile(vec![link(1000, 60), link(1000, 60)], 33, profile()),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        assert!(matches!(case, Err(StoreError::Malformed { .. })), "case {number}: {case:?}");
    }
    let newer = references(&leaf.child, &[2, 0, 0]);
    assert!(matches!(newer, Err(StoreError::TooNew { .. })));
}

/// The links above must say what the children hold, at the right level, and only roots carry the profile.
#[test]
fn links_that_lie_are_malformed() {
    let store = MemoryObjects::new();
    let entries: Vec<Entry<Chunks>> = (0..60).map(|i| Entry::Item(chunk(i))).collect();
    let leaf = Node { level: 0, entries: entries.clone(), extensions: Vec::new() }.write(&store).unwrap().unwrap();
    let root_leaf = Node { level: 0, entries, extensions: profile_extension(&PROFILE) };
    let root_leaf = root_leaf.write(&store).unwrap().unwrap();
    let wrong_sum = Link { sum: Sum { bytes: leaf.sum.bytes + 1, ..leaf.sum.clone() }, ..leaf.clone() };
    for (level, bad) in [(1, wrong_sum), (2, leaf.clone()), (1, root_leaf)] {
        let entries = vec![Entry::Link(leaf.clone()), Entry::Link(bad)];
        let id = Node { level, entries, extensions: profile_extension(&PROFILE) }.write_root(&store).unwrap();
        let manifest = Manifest::open(&store, ManifestId::from_digest(id)).unwrap();
        let read: Result<Vec<_>, _> =
            manifest.iter_from(0).unwrap_or_else(|_| manifest.iter_from(u64::MAX).unwrap()).collect();
        let seek = manifest.at_offset(manifest.len() - 1);
        assert!(read.is_err() || level == 2);
        assert!(matches!(seek, Err(StoreError::Malformed { .. })));
    }
}

#[test]
fn an_extension_from_the_future_is_kept_and_told() {
    let store = MemoryObjects::new();
    let entries: Vec<Entry<Chunks>> = (0..3).map(|i| Entry::Item(chunk(i))).collect();
    let mut extensions = profile_extension(&PROFILE);
    extensions.push(Extension { tag: 77, bytes: vec![1] });
    let id = Node { level: 0, entries, extensions }.write_root(&store).unwrap();
    let manifest = Manifest::open(&store, ManifestId::from_digest(id)).unwrap();
    assert!(manifest.has_unknown_extensions());
    assert_eq!(manifest.chunk_count(), 3);
}

#[test]
fn a_lost_node_is_named() {
    let (store, id, _) = ten_gigabytes();
    let bytes = store.read(ObjectKind::Manifest, id.digest()).unwrap();
    let child = references(id.digest(), &bytes).unwrap().nodes[0];
    store.remove(&child);
    let manifest = Manifest::open(&store, id).unwrap();
    assert!(matches!(manifest.at_offset(0), Err(StoreError::Missing { digest, .. }) if digest == child));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Frozen: a change here is a change of the format.
#[test]
fn golden() {
    let store = MemoryObjects::new();
    let small = [
        ChunkRef { id: ChunkId::of(b"one"), len: 70_000 },
        ChunkRef { id: ChunkId::of(b"two"), len: 16_384 },
        ChunkRef { id: ChunkId::of(b"three"), len: 5 },
    ];
    let id = id_of(build(&store, &small));
    assert_eq!(
        hex(&store.read(ObjectKind::Manifest, id.digest()).unwrap()),
        "010003d33fb48ab5adff269ae172b29a6913ff04f6f266207a7a8e976f2ecd571d4492fc70110100dc770fff53f50835\
        f8cc957e01c0d5731d3c2ed544c375493a28c09be5e09763fb0040dbec0e689fb63bd729147727129d854e9d590ab620\
        a18bbbcb3317d268d6fd7205010110010100fb0040fc00000100fc00000400"
    );
    assert_eq!(id.to_string(), "147b7dd7a86df01e3556a2557ce20b0a8f619e16581d6de75216892a59dcd23d");
    let large: Vec<ChunkRef> = (0..20_000).map(chunk).collect();
    assert_eq!(
        id_of(build(&store, &large)).to_string(),
        "6aa37a6e09eac4b5231bd2b62b7ccf41ba4d5012c79b771307c79dcd4668439f"
    );
}
