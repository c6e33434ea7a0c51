use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::object::{ChunkId, Digest, ManifestId};
use crate::tree::{Content, Mode};

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text.as_bytes()).unwrap()
}

fn entry(at: &str, stage: Stage, n: u8) -> Entry {
    let stat = FileStat { mtime: (n.into(), 5), ctime: (7, 8), dev: 1, ino: 2, size: 3 };
    let content = Content::Chunk(ChunkId::from_digest(Digest([n; 32])));
    Entry { path: path(at), stage, mode: Mode::File, size: 9, content, stat, flags: Flags::default() }
}

fn file(at: &str, n: u8) -> Entry {
    entry(at, Stage::Normal, n)
}

fn link(at: &str, target: &[u8]) -> Entry {
    Entry { mode: Mode::Symlink, content: Content::Symlink(target.to_vec()), ..file(at, 0) }
}

fn all(index: &Index) -> Vec<Entry> {
    index.entries().map(|view| view.to_entry()).collect()
}

fn paths(index: &Index) -> Vec<String> {
    index.entries().map(|view| view.repo_path().to_string()).collect()
}

struct Disk {
    _dir: tempfile::TempDir,
    index: PathBuf,
    journal: PathBuf,
}

fn disk() -> Disk {
    let dir = tempfile::tempdir().unwrap();
    Disk { index: dir.path().join("index"), journal: dir.path().join("index.journal"), _dir: dir }
}

fn stage(at: &Path, entries: impl IntoIterator<Item = Entry>) {
    let mut index = Index::lock(at).unwrap();
    entries.into_iter().for_each(|entry| index.put(entry).unwrap());
    index.commit().unwrap();
}

fn tree(n: u8) -> Option<TreeId> {
    Some(TreeId::from_digest(Digest([n; 32])))
}

#[test]
fn missing_is_empty_and_dropping_changes_nothing() {
    let disk = disk();
    assert!(Index::load(&disk.index).unwrap().is_empty());
    let mut locked = Index::lock(&disk.index).unwrap();
    locked.put(file("a", 1)).unwrap();
    drop(locked);
    Index::lock(&disk.index).unwrap().commit().unwrap();
    assert!(!disk.index.exists());
    stage(&disk.index, [file("b", 1), link("a", b"to/there")]);
    assert!(!disk.journal.exists());
    stage(&disk.index, [file("c", 1)]);
    assert!(disk.journal.exists(), "a small change goes to the journal");
    let index = Index::load(&disk.index).unwrap();
    assert_eq!(all(&index), [link("a", b"to/there"), file("b", 1), file("c", 1)]);
    assert_eq!(index.get(&path("a"), Stage::Normal).unwrap().to_entry(), link("a", b"to/there"));
    assert_eq!(index.get(&path("a"), Stage::Ours), None);
}

#[test]
fn a_path_is_a_file_or_a_folder_and_in_conflict_or_not() {
    let mut index = Index::default();
    for at in ["a/b", "a/c/d", "a.b", "a0"] {
        index.put(file(at, 1)).unwrap();
    }
    index.put(file("a", 2)).unwrap();
    assert_eq!(paths(&index), ["a", "a.b", "a0"]);
    index.put(file("a/b/c", 2)).unwrap();
    assert_eq!(paths(&index), ["a.b", "a/b/c", "a0"]);
    for stage in [Stage::Theirs, Stage::Base, Stage::Ours] {
        index.put(entry("a0", stage, stage as u8)).unwrap();
    }
    index.put(entry("x", Stage::Theirs, 3)).unwrap();
    assert_eq!((index.len(), index.has_conflicts()), (6, true));
    let conflicts = index.conflicts();
    assert_eq!(conflicts.len(), 2);
    assert_eq!(conflicts[0].ours, Some(entry("a0", Stage::Ours, 2)));
    assert_eq!((&conflicts[1].base, &conflicts[1].ours), (&None, &None));
    index.put(file("a0", 9)).unwrap();
    assert!(index.remove_all(&path("x")) && !index.remove_all(&path("x")));
    assert!(!index.has_conflicts() && index.conflicts().is_empty());
    let below: Vec<_> = index.entries_in(Some(&path("a"))).map(|view| view.repo_path().to_string()).collect();
    assert_eq!(below, ["a/b/c"]);
}

#[test]
fn what_cannot_be_committed_is_refused() {
    let mut index = Index::default();
    let bad = [
        Entry { mode: Mode::Symlink, ..file("a", 1) },
        Entry { mode: Mode::File, ..link("a", b"x") },
        link("a", b""),
        link("a", b"a\0b"),
        link("a", &[b'a'; 4096]),
        Entry { mode: Mode::Directory, ..file("a", 1) },
        Entry { content: Content::Tree(tree(1).unwrap()), ..file("a", 1) },
        Entry { content: Content::Empty, ..file("a", 1) },
    ];
    for entry in bad {
        assert!(index.put(entry.clone()).is_err(), "{entry:?}");
        assert!(index.replace_sorted([entry]).is_err());
    }
    assert!(matches!(index.replace_sorted([file("b", 1), file("a", 1)]), Err(IndexError::Unsorted(_))));
    assert!(index.is_empty());
}

#[test]
fn the_tree_is_known_until_something_is_staged() {
    let disk = disk();
    stage(&disk.index, [file("a", 1), file("b", 1)]);
    for in_journal in [true, false] {
        let mut index = Index::lock(&disk.index).unwrap();
        if !in_journal {
            let entries = all(&index);
            index.replace_sorted(entries).unwrap();
        }
        index.set_tree(tree(1));
        assert!(index.is_changed());
        index.commit().unwrap();
        assert_eq!(disk.journal.exists(), in_journal);
        assert_eq!(Index::load(&disk.index).unwrap().matches_tree(), tree(1));
    }
    let renewed = Entry { stat: FileStat::default(), flags: Flags { racy: true, ..Flags::default() }, ..file("a", 1) };
    stage(&disk.index, [renewed.clone()]);
    let index = Index::load(&disk.index).unwrap();
    assert_eq!((index.matches_tree(), index.entries().next()), (tree(1), Some(renewed.view())));
    stage(&disk.index, [file("a", 2)]);
    assert_eq!(Index::load(&disk.index).unwrap().matches_tree(), None);
    let mut index = Index::lock(&disk.index).unwrap();
    index.set_tree(tree(2));
    assert!(!index.remove(&path("nothing"), Stage::Normal) && index.matches_tree() == tree(2));
    assert!(index.remove(&path("a"), Stage::Normal) && index.matches_tree().is_none());
}

#[test]
fn a_long_journal_becomes_a_base() {
    let disk = disk();
    stage(&disk.index, [file("a", 1)]);
    let base = fs::read(&disk.index).unwrap();
    let mut rewritten = false;
    for round in 0..8 {
        stage(&disk.index, (0..400).map(|n| file(&format!("{}/{round}-{n}", "f".repeat(60)), 1)));
        rewritten |= fs::read(&disk.index).unwrap() != base;
        assert_eq!(Index::load(&disk.index).unwrap().len(), 1 + 400 * (round + 1));
    }
    assert!(rewritten && fs::metadata(&disk.journal).map_or(0, |meta| meta.len()) < 256 << 10);
}

/// The reader sees the first `n` batches, for some `n`; with the acknowledgement lost in the crash it may be fewer.
#[test]
fn a_torn_journal_shows_whole_batches_and_is_cut() {
    let disk = disk();
    stage(&disk.index, [file("a", 1)]);
    stage(&disk.index, [file("b", 1)]);
    let first = fs::read(&disk.journal).unwrap();
    stage(&disk.index, [file("c", 1), file("d", 1)]);
    let good = fs::read(&disk.journal).unwrap();
    let unacknowledged = [&first[..journal::HEADER], &good[journal::HEADER..]].concat();
    for len in first.len()..=good.len() {
        for filled in [false, true] {
            let mut torn = unacknowledged[..len].to_vec();
            torn.resize(if filled { good.len() } else { len }, 0);
            let whole = torn == unacknowledged;
            fs::write(&disk.journal, &torn).unwrap();
            assert_eq!(Index::load(&disk.index).unwrap().len(), if whole { 4 } else { 2 }, "{len}");
        }
        if len % 16 == 0 {
            stage(&disk.index, [file("e", 1)]);
            assert_eq!(paths(&Index::load(&disk.index).unwrap()), ["a", "b", "e"]);
        }
    }
    for len in 0..good.len() {
        fs::write(&disk.journal, &good[..len]).unwrap();
        assert!(Index::load(&disk.index).unwrap_err().is_corruption(), "what was acknowledged must be there: {len}");
    }
}

#[test]
fn any_flipped_bit_is_found_and_the_file_named() {
    let disk = disk();
    stage(&disk.index, [file("a", 1), link("l", b"x")]);
    stage(&disk.index, [file("b", 1)]);
    for file in [&disk.index, &disk.journal] {
        let good = fs::read(file).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(file, &bad).unwrap();
            match Index::load(&disk.index) {
                Err(error) if error.is_corruption() => assert!(error.to_string().contains(file.to_str().unwrap())),
                other => panic!("{at}: {other:?}"),
            }
            assert!(Index::lock(&disk.index).is_err());
            assert_eq!(fs::read(file).unwrap(), bad, "a damaged file is left as it is");
        }
        fs::write(file, &good).unwrap();
    }
    Index::load(&disk.index).unwrap();
}

#[test]
fn newer_versions_are_not_damage() {
    let disk = disk();
    stage(&disk.index, [file("a", 1)]);
    let mut bytes = fs::read(&disk.index).unwrap();
    bytes[8] = 2;
    let checksum = crc32fast::hash(&bytes[..124]).to_le_bytes();
    bytes[124..128].copy_from_slice(&checksum);
    fs::write(&disk.index, bytes).unwrap();
    let error = Index::load(&disk.index).unwrap_err();
    assert!(matches!(error, IndexError::TooNew { version: 2, .. }) && !error.is_corruption());
}

/// A writer that dies after it has put a new base in place leaves the old journal, whose changes the base has already.
#[test]
fn a_stale_journal_is_ignored_and_replaced() {
    let disk = disk();
    stage(&disk.index, [file("a", 1)]);
    stage(&disk.index, [file("b", 1)]);
    let stale = fs::read(&disk.journal).unwrap();
    let mut index = Index::lock(&disk.index).unwrap();
    index.replace_sorted([file("c", 1)]).unwrap();
    index.commit().unwrap();
    fs::write(&disk.journal, &stale).unwrap();
    assert_eq!(paths(&Index::load(&disk.index).unwrap()), ["c"]);
    stage(&disk.index, [file("d", 1)]);
    assert_eq!(paths(&Index::load(&disk.index).unwrap()), ["c", "d"]);
    fs::remove_file(&disk.index).unwrap();
    assert!(Index::load(&disk.index).unwrap().is_empty(), "a journal without its base means nothing");
    stage(&disk.index, [file("e", 1)]);
    assert_eq!(paths(&Index::load(&disk.index).unwrap()), ["e"]);
}

#[test]
fn writers_wait_and_readers_see_whole_batches() {
    let disk = disk();
    let (writers, rounds) = (3, 6);
    let write = |writer: usize| {
        for round in 0..rounds {
            let mut index = Index::lock(&disk.index).unwrap();
            if round % 3 == 2 {
                let entries = all(&index);
                index.replace_sorted(entries).unwrap(); // a new base
            }
            for half in ["x", "y"] {
                index.put(file(&format!("{writer}-{round}-{half}"), 1)).unwrap();
            }
            index.commit().unwrap();
        }
    };
    let read = || {
        let mut last = 0;
        while last < 2 * writers * rounds {
            let len = Index::load(&disk.index).unwrap().len();
            assert!(len >= last && len.is_multiple_of(2), "{len} after {last}");
            last = len;
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(read);
        (0..writers).for_each(|writer| _ = scope.spawn(move || write(writer)));
    });
    assert_eq!(Index::load(&disk.index).unwrap().len(), 2 * writers * rounds);
}

#[test]
fn a_killed_writer_leaves_whole_batches_and_no_lock() {
    use crate::lockfile::killed;
    let write = |at: &Path, n: u8| {
        let mut index = Index::lock(at).unwrap();
        if n.is_multiple_of(5) {
            let entries = all(&index);
            index.replace_sorted(entries).unwrap(); // a new base
        }
        index.put(file("a", n)).unwrap();
        index.put(file("b", n)).unwrap();
        index.commit().unwrap();
    };
    if let Some(dir) = killed::folder() {
        // Until the test that started this process kills it.
        for n in (0..=255).cycle() {
            write(&dir.join("index"), n);
        }
    }
    let disk = disk();
    for round in 0..12 {
        let after = Duration::from_millis(5 + 7 * round);
        let dir = disk.index.parent().unwrap();
        killed::run("index::tests::a_killed_writer_leaves_whole_batches_and_no_lock", dir, after);
        let index = Index::load(&disk.index).unwrap();
        let [a, b] = ["a", "b"].map(|at| index.get(&path(at), Stage::Normal).map(|view| view.content));
        assert_eq!(a, b);
        drop(LockedIndex::lock(&disk.index, Duration::from_secs(2)).unwrap());
    }
    assert!(!Index::load(&disk.index).unwrap().is_empty(), "some writer must have got somewhere");
}

#[test]
fn a_held_lock_is_a_clear_error() {
    let disk = disk();
    let _held = Index::lock(&disk.index).unwrap();
    let error = LockedIndex::lock(&disk.index, Duration::from_millis(10)).unwrap_err().to_string();
    assert!(error.contains("index.lock is held by process"), "{error}");
}

#[test]
fn a_stat_proves_only_what_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("f");
    let stat = |at: &Path| FileStat::of(&rustix::fs::lstat(at).unwrap());
    fs::write(&at, "abc").unwrap();
    let clock = loop {
        let clock = fs_clock(dir.path()).unwrap();
        if clock > stat(&at).ctime {
            break clock;
        }
    };
    let old = file("f", 1).with_stat(stat(&at), clock);
    assert!(old.view().is_unmodified(&stat(&at)));
    let times = fs::metadata(&at).unwrap().modified().unwrap();
    fs::write(&at, "abd").unwrap();
    fs::File::options().write(true).open(&at).unwrap().set_modified(times).unwrap();
    assert_eq!(stat(&at).mtime, old.stat.mtime);
    assert!(!old.view().is_unmodified(&stat(&at)), "the modification time was put back");
    let racy = file("f", 1).with_stat(stat(&at), clock);
    assert!(racy.flags.racy && !racy.view().is_unmodified(&stat(&at)));
    let mut by_a_nanosecond = old.stat;
    by_a_nanosecond.mtime.1 ^= 1;
    assert!(!old.stat.matches(&by_a_nanosecond) && old.stat.matches(&FileStat { dev: 99, ..old.stat }));
}

#[test]
fn golden() {
    let manifest = Content::Manifest(ManifestId::from_digest(Digest([0xbb; 32])));
    let flags = Flags { racy: true, intent_to_add: false, ghost: true };
    let second = Entry { mode: Mode::Executable, content: manifest, flags, ..entry("b", Stage::Theirs, 2) };
    let mut index = Index::default();
    index.put(link("a/l", b"to")).unwrap();
    index.put(second).unwrap();
    index.set_tree(tree(0x77));
    let base = index.to_base([0xee; 16]);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(
        hex(base.bytes()),
        include_str!("../../../tests/golden/index/base.hex").replace(char::is_whitespace, "")
    );
    let mut body = Vec::new();
    index.put(file("c", 3)).unwrap();
    index.remove(&path("b"), Stage::Theirs);
    index.set_tree(tree(0x78));
    index.changed.retain(|key| !key.starts_with(b"a"));
    body.extend(index.batch());
    let frame = journal::frame(&[0xee; 16], 48, &body);
    let bytes = [journal::header(&[0xee; 16], 48 + frame.len() as u64), frame].concat();
    assert_eq!(hex(&bytes), include_str!("../../../tests/golden/index/journal.hex").replace(char::is_whitespace, ""));
    let back = decode_journal(&bytes).unwrap();
    let removed = Record::Remove(path("b"), Stage::Theirs);
    assert_eq!(back.records, [removed, Record::Put(file("c", 3)), Record::Tree(tree(0x78))]);
    assert_eq!(Base::open(base.bytes().to_vec()).unwrap().len(), 2);
}

#[test]
fn hostile_bases_with_fitting_checksums_are_refused() {
    let built = |views: &[Entry]| {
        let mut builder = BaseBuilder::default();
        views.iter().for_each(|entry| builder.push(&entry.view()));
        builder.finish([1; 16], None).bytes().to_vec()
    };
    assert!(Base::open(built(&[file("a", 1), file("b", 1)])).is_ok());
    assert!(Base::open(built(&[file("b", 1), file("a", 1)])).is_err());
    assert!(Base::open(built(&[file("a", 1), file("a", 1)])).is_err());
    assert!(Base::open(built(&[link("a", b"a\0b")])).is_err());
    for bad in [&b"../x"[..], b"aa/.git", b"/abs", b"aa/", b"aa//b", b"aa/..", b"a\0", b".dits"] {
        let mut builder = BaseBuilder::default();
        builder.push(&file("aa/b", 1).view());
        builder.push(&EntryView { path: bad, ..file("x", 1).view() });
        let bytes = builder.finish([1; 16], None).bytes().to_vec();
        assert!(Base::open(bytes).is_err(), "{bad:?}");
    }
}

#[derive(Clone, Debug)]
enum Act {
    Put(u8, u8, u8),
    Remove(u8, u8),
    Commit,
    Forget,
    Replace,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (0..24u8, 0..4u8, 0..3u8).prop_map(|(p, s, n)| Act::Put(p, s, n)),
        4 => (0..24u8, 0..4u8).prop_map(|(p, s)| Act::Remove(p, s)),
        3 => Just(Act::Commit),
        1 => Just(Act::Forget),
        1 => Just(Act::Replace),
    ];
    prop::collection::vec(act, 0..60)
}

type Model = BTreeMap<(Vec<u8>, Stage), Entry>;

fn name(n: u8) -> String {
    ["a", "a/b", "a/b/c", "a.", "a0", "b", "b/a", "c"][usize::from(n % 8)].to_owned()
        + ["", "/x", "é"][usize::from(n / 8)]
}

fn model_put(model: &mut Model, new: Entry) {
    let within = |a: &[u8], b: &[u8]| a.len() > b.len() && a.starts_with(b) && a[b.len()] == b'/';
    let at = new.path.as_bytes().to_vec();
    model.retain(|(path, stage), _| {
        let replaced = *path == at && (*stage == Stage::Normal) != (new.stage == Stage::Normal);
        !(replaced || *stage == new.stage && (within(path, &at) || within(&at, path)))
    });
    model.insert((at, new.stage), new);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn behaves_as_a_map(acts in acts()) {
        let disk = disk();
        let (mut saved, mut model) = (Model::new(), Model::new());
        let mut index = Index::lock(&disk.index).unwrap();
        for act in acts {
            match act {
                Act::Put(p, s, n) => {
                    let new = entry(&name(p), Stage::ALL[usize::from(s)], n);
                    model_put(&mut model, new.clone());
                    index.put(new).unwrap();
                }
                Act::Remove(p, s) => {
                    let (at, stage) = (path(&name(p)), Stage::ALL[usize::from(s)]);
                    let there = model.remove(&(at.as_bytes().to_vec(), stage)).is_some();
                    prop_assert_eq!(index.remove(&at, stage), there);
                }
                Act::Replace => index.replace_sorted(model.values().cloned().collect::<Vec<_>>()).unwrap(),
                Act::Commit => {
                    let after = index.commit().unwrap();
                    prop_assert!(!after.is_changed());
                    prop_assert_eq!(all(&after), all(&Index::load(&disk.index).unwrap()));
                    saved = model.clone();
                    index = Index::lock(&disk.index).unwrap();
                }
                Act::Forget => {
                    drop(index);
                    model = saved.clone();
                    index = Index::lock(&disk.index).unwrap();
                }
            }
            prop_assert_eq!(index.len(), model.len());
            prop_assert_eq!(index.has_conflicts(), model.keys().any(|(_, stage)| *stage != Stage::Normal));
        }
        prop_assert_eq!(all(&index), model.values().cloned().collect::<Vec<_>>());
        for n in 0..24 {
            let at = path(&name(n));
            for stage in Stage::ALL {
                let wanted = model.get(&(at.as_bytes().to_vec(), stage)).cloned();
                prop_assert_eq!(index.get(&at, stage).map(|view| view.to_entry()), wanted);
            }
            let within = |path: &[u8]| path.strip_prefix(at.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"));
            let below: Vec<_> = model.iter().filter(|((p, _), _)| within(p)).map(|(_, e)| e.clone()).collect();
            prop_assert_eq!(index.entries_in(Some(&at)).map(|v| v.to_entry()).collect::<Vec<_>>(), below);
        }
    }

    #[test]
    fn decoders_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), which in 0..2) {
        let magic = [b"DITSIDXB", b"DITSIDXJ"][which as usize];
        if bytes.len() >= 16 {
            bytes[..8].copy_from_slice(magic);
            bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
        }
        prop_assert!(Base::open(bytes.clone()).is_err());
        prop_assert!(decode_journal(&bytes).is_err());
        let frame = journal::frame(&[0; 16], 48, &bytes);
        let whole = [journal::header(&[0; 16], 0), frame].concat();
        let _ = decode_journal(&whole);
    }
}
