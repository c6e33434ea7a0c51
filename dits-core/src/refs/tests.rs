use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::journal::Step;
use super::*;

fn id(n: u8) -> Target {
    Target::Id(Digest([n; 32]))
}

fn branch(name: &str) -> RefName {
    RefName::branch(name).unwrap()
}

fn line(message: &str) -> LogLine {
    let who = Signature::new("A", "a@b", 1, 2).unwrap();
    LogLine { old: None, new: Some(Digest([1; 32])), who, message: message.to_owned() }
}

fn set(name: &str, n: u8) -> RefEdit {
    RefEdit::set(branch(name), Expected::Any, id(n))
}

fn names(refs: &dyn RefStore, prefix: &str) -> Vec<String> {
    refs.list(prefix).unwrap().into_iter().map(|(name, _)| name.to_string()).collect()
}

fn messages(refs: &dyn RefStore, name: &RefName) -> Vec<String> {
    refs.log(name, 100).unwrap().into_iter().map(|entry| entry.message).collect()
}

/// What every [`RefStore`] does. Each function gets an empty one.
const CONFORMANCE: [fn(&dyn RefStore); 7] = [expectations, symbolic, lists, conflicts, logs, log_limits, held];

fn expectations(refs: &dyn RefStore) {
    let main = branch("main");
    assert_eq!(refs.read(&main).unwrap(), None);
    let edit = |expected, n| RefEdit::set(main.clone(), expected, id(n));
    let refused = refs.transaction(vec![set("other", 1), edit(Expected::Is(id(9)), 1)]).unwrap_err();
    assert!(matches!(refused, RefError::Changed { .. }) && !refused.is_corruption());
    let expect = |expected| RefEdit::expect(main.clone(), expected);
    assert!(refs.transaction(vec![set("other", 1), expect(Expected::Is(id(9)))]).is_err());
    assert_eq!(refs.read(&branch("other")).unwrap(), None, "all or nothing");
    refs.transaction(vec![expect(Expected::Absent)]).unwrap();
    assert_eq!(refs.read(&main).unwrap(), None);
    refs.transaction(vec![edit(Expected::Absent, 1)]).unwrap();
    assert!(refs.transaction(vec![edit(Expected::Absent, 2)]).is_err());
    refs.transaction(vec![edit(Expected::Is(id(1)), 2), set("other", 3)]).unwrap();
    assert_eq!(refs.read(&main).unwrap(), Some(id(2)));
    assert_eq!(refs.read(&branch("other")).unwrap(), Some(id(3)));
    assert!(refs.transaction(vec![RefEdit::delete(main.clone(), Expected::Is(id(1)))]).is_err());
    refs.transaction(vec![RefEdit::delete(main.clone(), Expected::Is(id(2)))]).unwrap();
    refs.transaction(vec![RefEdit::delete(main.clone(), Expected::Absent)]).unwrap();
    assert_eq!(refs.read(&main).unwrap(), None);
    assert!(matches!(refs.transaction(vec![set("x", 1), set("x", 2)]), Err(RefError::Twice(_))));
}

fn held(refs: &dyn RefStore) {
    let main = branch("held");
    let held = refs.hold().unwrap();
    assert_eq!((held.read(&main).unwrap(), held.epoch().unwrap()), (None, LockEpoch::default()));
    held.transaction(vec![set("held", 1), set("with", 2)]).unwrap();
    assert_eq!(held.read(&main).unwrap(), Some(id(1)));
    let first = held.raise_epoch("one").unwrap();
    assert_eq!((first.number, &*first.instance), (1, "one"));
    assert!(held.raise_epoch("no spaces").is_err() && held.raise_epoch("").is_err());
    assert_eq!(held.raise_epoch("two").unwrap().number, 2);
    drop(held);
    assert_eq!(refs.hold().unwrap().epoch().unwrap(), LockEpoch { number: 2, instance: "two".to_owned() });
}

fn symbolic(refs: &dyn RefStore) {
    let head = RefName::head();
    let to = |name: &RefName| Target::Symbolic(name.clone());
    refs.transaction(vec![RefEdit::set(head.clone(), Expected::Absent, to(&branch("main")))]).unwrap();
    assert_eq!(refs.follow(&head).unwrap(), (branch("main"), None));
    assert_eq!(refs.resolve(&head).unwrap(), None);
    refs.transaction(vec![set("main", 1)]).unwrap();
    assert_eq!(refs.resolve(&head).unwrap(), Some((branch("main"), Digest([1; 32]))));
    refs.transaction(vec![RefEdit::set(branch("main"), Expected::Any, to(&head))]).unwrap();
    assert!(matches!(refs.resolve(&head), Err(RefError::TooDeep(_))));
}

fn lists(refs: &dyn RefStore) {
    let tag = RefEdit::set(RefName::tag("v1").unwrap(), Expected::Any, id(1));
    let stash = RefEdit::set(RefName::stash(), Expected::Any, id(1));
    let head = RefEdit::set(RefName::head(), Expected::Any, id(1));
    refs.transaction(vec![set("b", 1), set("a/c", 1), set("a-b", 1), tag, stash, head]).unwrap();
    assert_eq!(names(refs, BRANCHES), ["refs/branches/a-b", "refs/branches/a/c", "refs/branches/b"]);
    assert_eq!(names(refs, "refs/branches/a/"), ["refs/branches/a/c"]);
    assert_eq!(names(refs, "").len(), 6);
    assert_eq!(names(refs, "refs/").len(), 5);
    assert_eq!(names(refs, REMOTES).len(), 0);
}

fn conflicts(refs: &dyn RefStore) {
    refs.transaction(vec![set("a/b/c", 1)]).unwrap();
    for name in ["a", "a/b", "a/b/c/d"] {
        assert!(matches!(refs.transaction(vec![set(name, 1)]), Err(RefError::NameConflict { .. })), "{name}");
    }
    assert!(refs.transaction(vec![set("x", 1), set("x/y", 1)]).is_err());
    assert_eq!(names(refs, "").len(), 1);
    let delete = |name| RefEdit::delete(branch(name), Expected::Any);
    refs.transaction(vec![set("a", 2).with_log(line("1")), delete("a/b/c")]).unwrap();
    refs.transaction(vec![delete("a"), set("a/b/c", 3).with_log(line("2"))]).unwrap();
    assert_eq!(names(refs, ""), ["refs/branches/a/b/c"]);
    refs.transaction(vec![delete("a/b/c")]).unwrap();
    refs.transaction(vec![set("a", 4)]).unwrap();
}

fn logs(refs: &dyn RefStore) {
    let main = branch("main");
    assert!(messages(refs, &main).is_empty());
    assert!(matches!(refs.transaction(vec![RefEdit::log_only(main.clone(), line("x"))]), Err(RefError::NoSuchRef(_))));
    let head = RefEdit::log_only(RefName::head(), line("h1"));
    refs.transaction(vec![set("main", 1).with_log(line("1")), head]).unwrap();
    refs.transaction(vec![set("main", 1).with_log(line("2\n\\"))]).unwrap();
    assert_eq!(messages(refs, &main), ["2\n\\", "1"]);
    assert_eq!(messages(refs, &RefName::head()), ["h1"]);
    assert_eq!(refs.logs().unwrap(), [RefName::head(), main.clone()]);
    let renamed = RefEdit { inherit_log: Some(main.clone()), ..set("main/x", 1).with_log(line("3")) };
    refs.transaction(vec![RefEdit::delete(main.clone(), Expected::Any), renamed]).unwrap();
    assert_eq!(messages(refs, &branch("main/x")), ["3", "2\n\\", "1"]);
    assert!(messages(refs, &main).is_empty(), "a log goes with its ref");
    let bad = LogLine { who: Signature { offset: 9999, ..line("").who }, ..line("") };
    assert!(refs.transaction(vec![set("main/x", 1).with_log(bad)]).is_err());
}

fn log_limits(refs: &dyn RefStore) {
    for n in 0..5 {
        refs.transaction(vec![set("main", n).with_log(line(&n.to_string()))]).unwrap();
    }
    let newest: Vec<_> = refs.log(&branch("main"), 2).unwrap().into_iter().map(|e| e.message).collect();
    assert_eq!(newest, ["4", "3"]);
    assert_eq!(refs.expire_log(&branch("main"), &mut |e| e.message.as_str() >= "3").unwrap(), 3);
    assert_eq!(messages(refs, &branch("main")), ["4", "3"]);
    assert_eq!(refs.expire_log(&branch("none"), &mut |_| false).unwrap(), 0);
}

#[test]
fn folders_conform_in_the_main_and_in_further_worktrees() {
    for test in CONFORMANCE {
        let dir = tempfile::tempdir().unwrap();
        test(&FolderRefs::open(dir.path(), None).unwrap());
        let dir = tempfile::tempdir().unwrap();
        test(&FolderRefs::open(dir.path(), Some("w1")).unwrap());
    }
}

#[test]
fn worktrees_share_branches_but_not_head() {
    let dir = tempfile::tempdir().unwrap();
    let main = FolderRefs::open(dir.path(), None).unwrap();
    let other = FolderRefs::open(dir.path(), Some("w")).unwrap();
    let head = |n| RefEdit::set(RefName::head(), Expected::Any, id(n)).with_log(line("h"));
    main.transaction(vec![head(1), set("a", 1)]).unwrap();
    other.transaction(vec![head(2), set("a", 2)]).unwrap();
    assert_eq!(main.read(&RefName::head()).unwrap(), Some(id(1)));
    assert_eq!(main.read(&branch("a")).unwrap(), Some(id(2)));
    assert_eq!(main.log(&RefName::head(), 9).unwrap().len(), 1);
    for file in ["refs/HEAD", "logs/HEAD", "worktrees/w/HEAD", "worktrees/w/logs/HEAD", "refs/branches/a"] {
        assert!(dir.path().join(file).is_file(), "{file}");
    }
    assert!(FolderRefs::open(dir.path(), Some("..")).is_err());
}

/// A writer that dies anywhere after the journal is in place has happened, and one that dies before has not.
#[test]
fn a_journal_is_carried_out_from_wherever_its_writer_died() {
    for done in 0..=5 {
        let dir = tempfile::tempdir().unwrap();
        let refs = FolderRefs::open(dir.path(), None).unwrap();
        refs.transaction(vec![set("a", 1).with_log(line("1")), set("old/er", 1).with_log(line("1"))]).unwrap();
        let edits = [
            set("a", 2).with_log(line("2")),
            RefEdit { inherit_log: Some(branch("old/er")), ..set("old", 3).with_log(line("3")) },
            RefEdit::delete(branch("old/er"), Expected::Any),
        ];
        let steps = refs.prepare(&edits).unwrap();
        assert_eq!(steps.len(), 5);
        refs.carry_out(&steps[..done]).unwrap();
        if let Some(Step::Log { place, at, bytes }) = steps.get(done) {
            let part = bytes[..bytes.len() / 2].to_vec(); // and died within a write
            refs.carry_out(&[Step::Log { place: place.clone(), at: *at, bytes: part }]).unwrap();
        }
        std::fs::write(dir.path().join("refs.journal"), journal::encode(&steps).unwrap()).unwrap();
        let after = FolderRefs::open(dir.path(), None).unwrap();
        assert_eq!(after.list("").unwrap(), [(branch("a"), id(2)), (branch("old"), id(3))]);
        assert_eq!(messages(&after, &branch("a")), ["2", "1"]);
        assert_eq!(messages(&after, &branch("old")), ["3", "1"]);
        assert!(!dir.path().join("refs.journal").exists());
    }
}

#[test]
fn damage_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let refs = FolderRefs::open(dir.path(), None).unwrap();
    refs.transaction(vec![set("a", 1).with_log(line("1"))]).unwrap();
    refs.transaction(vec![set("a", 2).with_log(line("2"))]).unwrap();
    let damage = |file: &str| {
        let path = dir.path().join(file);
        let good = std::fs::read(&path).unwrap_or_default();
        let mut bad = good.clone();
        if let Some(byte) = bad.get_mut(3) {
            *byte ^= 1;
        }
        std::fs::write(&path, bad).unwrap();
        (path, good)
    };
    let (path, good) = damage("refs/branches/a");
    for error in [refs.read(&branch("a")).unwrap_err(), refs.transaction(vec![set("a", 3)]).unwrap_err()] {
        assert!(error.is_corruption() && error.to_string().contains("refs/branches/a"), "{error}");
    }
    std::fs::write(path, good).unwrap();
    let (path, good) = damage("logs/refs/branches/a");
    let error = refs.log(&branch("a"), 9).unwrap_err().to_string();
    assert!(error.contains("logs/refs/branches/a") && error.contains("line 1"), "{error}");
    std::fs::write(path, good).unwrap();
    damage("refs.journal");
    assert!(refs.read(&branch("a")).unwrap_err().to_string().contains("refs.journal"));
}

#[test]
fn a_torn_line_is_cut_by_the_next_writer() {
    let dir = tempfile::tempdir().unwrap();
    let refs = FolderRefs::open(dir.path(), None).unwrap();
    refs.transaction(vec![set("a", 1).with_log(line("1"))]).unwrap();
    let path = dir.path().join("logs/refs/branches/a");
    let mut log = std::fs::read(&path).unwrap();
    log.extend(b"0000 torn");
    std::fs::write(&path, log).unwrap();
    assert_eq!(messages(&refs, &branch("a")), ["1"]);
    refs.transaction(vec![set("a", 2).with_log(line("2"))]).unwrap();
    assert_eq!(messages(&refs, &branch("a")), ["2", "1"]);
}

#[test]
fn empty_folders_go_with_the_last_ref_and_strays_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let refs = FolderRefs::open(dir.path(), None).unwrap();
    refs.transaction(vec![set("a/b/c", 1).with_log(line("1"))]).unwrap();
    std::fs::write(dir.path().join("refs/branches/a/b/.tmp-dead"), "").unwrap();
    std::fs::write(dir.path().join("refs/branches/x.lock"), "").unwrap();
    assert_eq!(names(&refs, "").len(), 1);
    refs.transaction(vec![RefEdit::delete(branch("a/b/c"), Expected::Any)]).unwrap();
    assert!(!dir.path().join("refs/branches/a").exists() && !dir.path().join("logs/refs/branches/a").exists());
    assert!(dir.path().join("refs/branches").exists());
}

#[test]
fn no_increment_is_lost_among_threads() {
    let dir = tempfile::tempdir().unwrap();
    let (threads, each) = (4, 8);
    let retries = AtomicUsize::new(0);
    let refs = FolderRefs::open(dir.path(), None).unwrap();
    refs.transaction(vec![set("n", 0)]).unwrap();
    let work = || {
        let refs = FolderRefs::open(dir.path(), None).unwrap();
        for _ in 0..each {
            loop {
                let Some(Target::Id(Digest([n, ..]))) = refs.read(&branch("n")).unwrap() else { panic!() };
                let edit = RefEdit::set(branch("n"), Expected::Is(id(n)), id(n + 1));
                match refs.transaction(vec![edit.with_log(line("+"))]) {
                    Ok(()) => break,
                    Err(RefError::Changed { .. }) => _ = retries.fetch_add(1, Ordering::Relaxed),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| _ = scope.spawn(work)));
    assert_eq!(refs.read(&branch("n")).unwrap(), Some(id(threads * each)));
    assert_eq!(refs.log(&branch("n"), 100).unwrap().len(), usize::from(threads * each));
}

#[test]
fn a_held_lock_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let refs = FolderRefs::open(dir.path(), None).unwrap().with_patience(Duration::from_millis(20));
    let _held = crate::lockfile::FileLock::acquire(&dir.path().join("refs.lock"), Duration::ZERO).unwrap();
    assert!(refs.transaction(vec![set("a", 1)]).unwrap_err().to_string().contains("held by process"));
    assert_eq!(refs.read(&branch("a")).unwrap(), None, "readers do not wait");
}

#[test]
fn a_killed_writer_leaves_whole_transactions_and_no_lock() {
    use crate::lockfile::killed;
    if let Some(dir) = killed::folder() {
        let refs = FolderRefs::open(&dir, None).unwrap();
        for n in (0..=255).cycle() {
            let edit = |name| set(name, n).with_log(line(&n.to_string()));
            let third = if n % 2 == 0 { edit("c/d") } else { RefEdit::delete(branch("c/d"), Expected::Any) };
            refs.transaction(vec![edit("a"), third, edit("b")]).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let refs = FolderRefs::open(dir.path(), None).unwrap().with_patience(Duration::from_secs(2));
    for round in 0..12 {
        let after = Duration::from_millis(5 + 7 * round);
        killed::run("refs::tests::a_killed_writer_leaves_whole_transactions_and_no_lock", dir.path(), after);
        let (a, b) = (refs.read(&branch("a")).unwrap(), refs.read(&branch("b")).unwrap());
        assert_eq!(a, b);
        let Some(Target::Id(Digest([n, ..]))) = a else { continue };
        assert_eq!(refs.read(&branch("c/d")).unwrap().is_some(), n % 2 == 0);
        for name in ["a", "b"] {
            assert_eq!(refs.log(&branch(name), 1).unwrap()[0].message, n.to_string());
            refs.log(&branch(name), usize::MAX).unwrap();
        }
        refs.transaction(vec![set("e", 1)]).unwrap();
    }
    assert!(refs.read(&branch("a")).unwrap().is_some(), "some writer must have got somewhere");
}
