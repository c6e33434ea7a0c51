use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::merkle::CAP;
use crate::object::memory::MemoryObjects;
use crate::object::{ChunkId, ObjectKind, ObjectWrite};

fn file(name: impl Into<Vec<u8>>, version: u64) -> TreeEntry {
    let content = Content::Chunk(ChunkId::of(&version.to_le_bytes()));
    TreeEntry { name: name.into(), mode: Mode::File, size: 1000 + version % 100_000, content }
}

fn symlink(name: &[u8], target: Vec<u8>) -> TreeEntry {
    let size = target.len() as u64;
    TreeEntry { name: name.to_vec(), mode: Mode::Symlink, size, content: Content::Symlink(target) }
}

fn frames(count: u64) -> Vec<TreeEntry> {
    (0..count).map(|i| file(format!("shot_010_beauty_{i:07}.exr"), i)).collect()
}

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text.as_bytes()).unwrap()
}

#[test]
fn one_file_of_200_000_costs_a_few_nodes() {
    let store = MemoryObjects::new();
    let entries = frames(200_000);
    let id = write_sorted(entries.iter().cloned(), &store).unwrap();
    let tree = Tree::open(&store, id).unwrap();
    assert_eq!(tree.len(), 200_000);
    let depth = u64::from(tree.root.level);
    for at in [0, 1, 123_456, 199_999] {
        store.reset();
        assert_eq!(tree.lookup(&entries[at].name).unwrap().as_ref(), Some(&entries[at]));
        assert!(store.read_tally().objects <= depth);

        store.reset();
        let new = file(entries[at].name.clone(), 1 << 40);
        let changed = edit(&store, id, vec![(new.name.clone(), Some(new.clone()))]).unwrap();
        // The name alone decides where nodes end: one node per level is new.
        assert_eq!(store.written_tally().objects, depth + 1);
        assert!(store.written_tally().bytes <= 64_000, "{:?}", store.written_tally());
        assert!(store.read_tally().objects <= 12, "{:?}", store.read_tally());

        store.reset();
        let pairs = diff(&store, Some(id), Some(changed)).unwrap();
        assert_eq!(pairs, [(Some(entries[at].clone()), Some(new))]);
        assert_eq!(store.read_tally().objects, 2 * (depth + 1));
    }
    assert_eq!(tree.lookup(b"shot_010_beauty_0123456.exs").unwrap(), None);
    assert_eq!(tree.lookup(b"zzz").unwrap(), None);
    assert_eq!(tree.lookup(b"").unwrap(), None);
    store.reset();
    assert_eq!(tree.iter().unwrap().next().unwrap().unwrap(), entries[0]);
    assert!(store.read_tally().objects <= depth, "a listing reads as it goes");
    assert!(tree.entries().unwrap() == entries);
}

#[test]
fn an_empty_folder_is_one_node() {
    let store = MemoryObjects::new();
    let id = write_sorted([], &store).unwrap();
    assert_eq!(store.read(ObjectKind::Tree, id.digest()).unwrap(), [1, 0, 0, 0]);
    let tree = Tree::open(&store, id).unwrap();
    assert!(tree.is_empty());
    assert_eq!((tree.len(), tree.entries().unwrap(), tree.lookup(b"a").unwrap()), (0, vec![], None));
    assert_eq!(from_paths([], &store).unwrap(), id);
    let one = edit(&store, id, vec![(b"a".to_vec(), Some(file("a", 1)))]).unwrap();
    assert_eq!(one, write_sorted([file("a", 1)], &store).unwrap());
    assert_eq!(edit(&store, one, vec![(b"a".to_vec(), None)]).unwrap(), id);
}

#[test]
fn the_longest_entries_fit_their_nodes() {
    let store = MemoryObjects::new();
    let longest = |i: usize| symlink(format!("{i:0255}").as_bytes(), vec![b'x'; MAX_SYMLINK]);
    let entries: Vec<TreeEntry> = (0..300).map(longest).collect();
    let id = write_sorted(entries.iter().cloned(), &store).unwrap();
    let mut todo = vec![*id.digest()];
    while let Some(digest) = todo.pop() {
        let bytes = store.read(ObjectKind::Tree, &digest).unwrap();
        assert!(bytes.len() <= CAP);
        todo.extend(references(&digest, &bytes).unwrap().nodes);
    }
    assert_eq!(Tree::open(&store, id).unwrap().entries().unwrap(), entries);
}

fn entry(mode: Mode, size: u64, content: Content) -> TreeEntry {
    TreeEntry { name: b"name".to_vec(), mode, size, content }
}

#[test]
fn entries_that_break_a_rule_are_refused_on_both_ways() {
    use Mode::{Directory, Executable, File, Symlink};
    let store = MemoryObjects::new();
    let chunk = || Content::Chunk(ChunkId::of(b"x"));
    let folder = || Content::Tree(TreeId::of(b"x"));
    let manifest = || Content::Manifest(crate::object::ManifestId::of(b"x"));
    let link = |target: &[u8]| Content::Symlink(target.to_vec());
    let mut bad = vec![
        entry(File, 1, Content::Empty),
        entry(Executable, 0, chunk()),
        entry(File, (8 << 20) + 1, chunk()),
        entry(File, 1, manifest()),
        entry(Symlink, 1, chunk()),
        entry(Symlink, 0, Content::Empty),
        entry(Directory, 1, chunk()),
        entry(File, 1, folder()),
        entry(File, 1, link(b"t")),
        entry(Symlink, 2, link(b"t")),
        entry(Symlink, 0, link(b"")),
        entry(Symlink, 3, link(b"t\0t")),
        entry(Symlink, 4096, link(&[b't'; 4096])),
    ];
    for name in [&b""[..], b".", b"..", b"a/b", b"a\0", b".dits", b".GIT", &[b'x'; 256]] {
        bad.push(file(name, 1));
    }
    for entry in bad {
        assert!(matches!(write_sorted([entry.clone()], &store), Err(TreeError::Entry { .. })), "{entry:?}");
        let node = Node::<Names> { level: 0, entries: vec![Entry::Item(entry.clone())], extensions: vec![] };
        let id = TreeId::from_digest(node.write_root(&store).unwrap());
        assert!(matches!(Tree::open(&store, id).map(drop), Err(StoreError::Malformed { .. })), "{entry:?}");
    }
}

#[test]
fn names_out_of_order_are_refused_on_both_ways() {
    let store = MemoryObjects::new();
    for names in [["b", "a"], ["a", "a"]] {
        let entries = names.map(|name| file(name, 1));
        assert!(matches!(write_sorted(entries.clone(), &store), Err(TreeError::Order(_))));
        let entries = entries.map(Entry::Item).to_vec();
        let node = Node::<Names> { level: 0, entries, extensions: vec![] };
        let bytes = crate::codec::encode(&node);
        let id = TreeId::from_digest(store.write(ObjectKind::Tree, &bytes).unwrap());
        assert!(matches!(Tree::open(&store, id).map(drop), Err(StoreError::Malformed { .. })));
    }
    // Across nodes: the second leaf begins before the first ends, though their last names are in order.
    let leaf = |names: &[&str]| {
        let entries = names.iter().map(|name| Entry::Item(file(*name, 1))).collect();
        Entry::Link(Node::<Names> { level: 0, entries, extensions: vec![] }.write(&store).unwrap().unwrap())
    };
    let node = Node { level: 1, entries: vec![leaf(&["a", "m"]), leaf(&["k", "z"])], extensions: vec![] };
    let id = TreeId::from_digest(node.write_root(&store).unwrap());
    let tree = Tree::open(&store, id).unwrap();
    assert!(matches!(tree.entries(), Err(StoreError::Malformed { .. })));
    assert!(matches!(tree.lookup(b"z"), Err(StoreError::Malformed { .. })));
    assert!(edit(&store, id, vec![(b"z".to_vec(), None)]).is_err());
}

/// Everything that is no folder, by path, the slow way.
fn flat(store: &MemoryObjects, id: TreeId, folder: Option<&RepoPath>, into: &mut BTreeMap<RepoPath, TreeEntry>) -> u64 {
    let mut size = 0;
    for entry in Tree::open(store, id).unwrap().entries().unwrap() {
        let path = RepoPath::join_to(folder, &entry.name).unwrap();
        size += entry.size;
        match entry.content {
            Content::Tree(below) => assert_eq!(flat(store, below, Some(&path), into), entry.size),
            _ => assert_eq!(into.insert(path, entry), None),
        }
    }
    size
}

type Listing = BTreeMap<RepoPath, u64>;

fn from_listing(store: &MemoryObjects, listing: &Listing) -> Result<TreeId, TreeError> {
    let entries = listing.iter().map(|(path, version)| {
        let TreeEntry { mode, size, content, .. } = file("x", *version);
        (path.clone(), mode, size, content)
    });
    from_paths(entries, store)
}

/// Listings in which names around the slash (`-`, `.`, `0`) meet folders, without a path that is file and folder.
fn listing() -> impl Strategy<Value = Listing> {
    let name = prop::sample::select(vec!["a", "a-", "a.b", "a0", "b", "b-c"]);
    let file = (prop::collection::vec(name, 1..5), 0u64..3);
    prop::collection::vec(file, 0..40).prop_map(|files| {
        let mut listing = Listing::new();
        for (names, version) in files {
            let path = path(&names.join("/"));
            let above = |other: &RepoPath| other.is_within(&path) || path.is_within(other);
            if !listing.keys().any(above) {
                listing.insert(path, version);
            }
        }
        listing
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folders_from_paths_and_their_changes(old in listing(), new in listing()) {
        let store = MemoryObjects::new();
        let (a, b) = (from_listing(&store, &old).unwrap(), from_listing(&store, &new).unwrap());
        let (mut old_flat, mut new_flat) = (BTreeMap::new(), BTreeMap::new());
        flat(&store, a, None, &mut old_flat);
        flat(&store, b, None, &mut new_flat);
        prop_assert!(old_flat.keys().eq(old.keys()));
        for (path, entry) in &old_flat {
            prop_assert!(Tree::at_path(&store, a, path).unwrap().as_ref() == Some(entry));
        }
        let changes: Vec<Change> = diff_recursive(&store, Some(a), Some(b)).collect::<Result<_, _>>().unwrap();
        let mut expected: Vec<Change> = Vec::new();
        let paths: std::collections::BTreeSet<&RepoPath> = old_flat.keys().chain(new_flat.keys()).collect();
        for path in paths {
            let (old, new) = (old_flat.get(path).cloned(), new_flat.get(path).cloned());
            if old != new {
                expected.push(Change { path: path.clone(), old, new });
            }
        }
        prop_assert_eq!(changes, expected);
        let all: Vec<Change> = diff_recursive(&store, None, Some(b)).collect::<Result<_, _>>().unwrap();
        prop_assert!(all.iter().map(|change| &change.path).eq(new.keys()));
    }

    #[test]
    fn an_edit_gives_what_a_build_gives(
        count in prop_oneof![0u64..50, 50u64..1500],
        changes in prop::collection::btree_map(0u64..3200, prop::option::weighted(0.6, 0u64..1000), 0..40),
        gone in (0u64..3200, 0u64..3200),
    ) {
        let store = MemoryObjects::new();
        let name = |i: u64| format!("frame-{i:06}").into_bytes();
        let mut names: BTreeMap<Vec<u8>, TreeEntry> = (0..count).map(|i| (name(2 * i), file(name(2 * i), i))).collect();
        let id = write_sorted(names.values().cloned(), &store).unwrap();
        let mut edits: BTreeMap<Vec<u8>, Option<TreeEntry>> =
            changes.iter().map(|(i, version)| (name(*i), version.map(|version| file(name(*i), version)))).collect();
        for i in gone.0..gone.1 {
            edits.entry(name(i)).or_insert(None);
        }
        for (name, new) in &edits {
            match new {
                Some(new) => names.insert(name.clone(), new.clone()),
                None => names.remove(name),
            };
        }
        let edited = edit(&store, id, edits.into_iter().collect()).unwrap();
        prop_assert_eq!(edited, write_sorted(names.values().cloned(), &store).unwrap());
    }

    #[test]
    fn a_decoder_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), flip in any::<(u16, u8)>()) {
        let digest = ObjectKind::Tree.digest(&bytes);
        let _ = references(&digest, &bytes);
        let entries = vec![Entry::Item(file("a", 1)), Entry::Item(symlink(b"b", b"target".to_vec()))];
        let mut bytes = crate::codec::encode(&Node::<Names> { level: 0, entries, extensions: vec![] });
        let at = usize::from(flip.0) % bytes.len();
        bytes[at] ^= flip.1;
        if let Ok(node) = merkle::decode_node::<Names>(&digest, &bytes) {
            prop_assert_eq!(crate::codec::encode(&node), bytes);
        }
    }
}

#[test]
fn lists_of_paths_that_make_no_sense_are_refused() {
    let store = MemoryObjects::new();
    let list = |paths: &[&str]| {
        let entries = paths.iter().map(|text| {
            let TreeEntry { mode, size, content, .. } = file("x", 1);
            (path(text), mode, size, content)
        });
        from_paths(entries.collect::<Vec<_>>(), &store)
    };
    assert!(matches!(list(&["b", "a"]), Err(TreeError::Order(_))));
    assert!(matches!(list(&["a", "a"]), Err(TreeError::Order(_))));
    assert!(matches!(list(&["a", "a.b", "a/b"]), Err(TreeError::FileAndFolder(_))));
    let huge = ["a", "b"]
        .map(|text| (path(text), Mode::File, u64::MAX, Content::Manifest(crate::object::ManifestId::of(b""))));
    assert!(matches!(from_paths(huge, &store), Err(TreeError::TooLarge(_))));
}

#[test]
fn paths_lead_through_folders_only() {
    let store = MemoryObjects::new();
    let top = from_listing(&store, &Listing::from([(path("a/b/c"), 1), (path("a/d"), 2)])).unwrap();
    let at = |text: &str| Tree::at_path(&store, top, &path(text)).unwrap();
    assert_eq!(at("a/b/c"), Some(file("c", 1)));
    assert_eq!(at("a/b").map(|entry| (entry.mode, entry.size)), Some((Mode::Directory, 1001)));
    assert_eq!(at("a").map(|entry| entry.size), Some(2003));
    assert_eq!((at("a/d/c"), at("a/x"), at("x/y")), (None, None, None));
}

#[test]
fn a_change_deep_down_reads_only_the_folders_on_its_way() {
    let store = MemoryObjects::new();
    let mut listing = Listing::new();
    for a in 0..30 {
        for b in 0..30 {
            listing.insert(path(&format!("a{a}/b{b}/c")), a * b);
        }
    }
    let old = from_listing(&store, &listing).unwrap();
    listing.insert(path("a7/b7/c"), 9999);
    let new = from_listing(&store, &listing).unwrap();
    store.reset();
    let changes: Vec<Change> = diff_recursive(&store, Some(old), Some(new)).collect::<Result<_, _>>().unwrap();
    let expected = Change { path: path("a7/b7/c"), old: Some(file("c", 49)), new: Some(file("c", 9999)) };
    assert_eq!(changes, [expected]);
    // Three folders, two versions of each, of one leaf or a few.
    assert!(store.read_tally().objects <= 12, "{:?}", store.read_tally());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Frozen: a change here is a change of the format.
#[test]
fn golden() {
    let store = MemoryObjects::new();
    let mut all = vec![
        file("clip.mp4", 7),
        entry(Mode::Directory, 300, Content::Tree(write_sorted([], &store).unwrap())),
        symlink(b"shortcut", b"clip.mp4".to_vec()),
        entry(Mode::Executable, 0, Content::Empty),
        entry(Mode::File, 1 << 40, Content::Manifest(crate::object::ManifestId::of(b"m"))),
    ];
    all[1].name = b"folder".to_vec();
    all[3].name = b"tool".to_vec();
    all[4].name = b"\xff not UTF-8".to_vec();
    let id = write_sorted(all, &store).unwrap();
    assert_eq!(
        hex(&store.read(ObjectKind::Tree, id.digest()).unwrap()),
        "01000508636c69702e6d703400fbef03016f3287cd13d7e1d790ece8ec6da9b2a553d1506c07351269ff230d3b1de63a\
        4406666f6c64657203fb2c01059e69303566b30aea11d1ac32c3489af718a4c2c1c59cbb4b852e942c6305f276087368\
        6f727463757402080408636c69702e6d703404746f6f6c0100000bff206e6f74205554462d3800fd0000000000010000\
        02dbf4dd4a1e16009fa523818f85f6ed094c0403fc8295508c4df53dd4569b511800"
    );
    assert_eq!(id.to_string(), "3f284aff46c97c6da5768e064681f52ff4859cbf2974e68900cfb7239dc7c215");
    assert_eq!(
        write_sorted(frames(20_000), &store).unwrap().to_string(),
        "f79d716bb7be1dc28b916b37672e672addea79809e71bf1a8c98116ba0185c84"
    );
}
