//! What every lock store must do, as a test that any store can be given: [`check`].

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use dits_core::lock::LockKey;

use super::store::{Edit, LockStore, Seen, Written};
use crate::wire::LockStamp;

/// Checks a store. `open` opens the same, at first empty store each time, as another process would.
///
/// # Panics
/// When it does not do what it must.
pub fn check(open: &dyn Fn() -> Box<dyn LockStore>) {
    reads_what_was_written(open);
    writes_at_another_state_change_nothing(open);
    many_at_once_are_one_change(open);
    one_of_many_writers_wins(open);
    a_change_wakes_who_waits(open);
}

fn edit(key: &str, value: Option<&str>) -> Edit {
    (LockKey::from_bytes(key.as_bytes().to_vec()), value.map(|value| value.as_bytes().to_vec()))
}

fn read(store: &dyn LockStore, since: Option<&LockStamp>) -> Seen {
    let mut seen = store.read(since).expect("it can be read");
    seen.records.sort();
    seen
}

fn write(store: &dyn LockStore, at: &LockStamp, edits: &[Edit]) -> LockStamp {
    match store.write(at, edits).expect("it can be written") {
        Written::Done(stamp) => stamp,
        Written::Changed => panic!("nobody else writes"),
    }
}

fn reads_what_was_written(open: &dyn Fn() -> Box<dyn LockStore>) {
    let store = open();
    let absent = read(&*store, None).stamp;
    assert_eq!(absent.version, 0);
    // One that has to be made first may answer that it has changed; then it is there.
    if store.write(&absent, &[]).expect("it can be written") == Written::Changed {
        assert_ne!(read(&*store, None).stamp, absent);
    }
    let new = read(&*store, None);
    assert!(new.whole && new.records.is_empty() && new.stamp.version == 0, "{new:?}");
    assert!(!new.stamp.instance.is_empty() && new.stamp.instance.len() <= 256);
    assert_eq!(write(&*store, &new.stamp, &[]), new.stamp, "nothing is no change");
    let one = write(&*store, &new.stamp, &[edit("a", Some("1")), edit("b", Some("2")), edit("\u{fc}/\0", Some("\0"))]);
    assert_eq!((one.version, &one.instance), (1, &new.stamp.instance));
    let two = write(&*store, &one, &[edit("a", None), edit("c", Some("3")), edit("never", None)]);
    assert_eq!(two.version, 2);

    let all = vec![edit("b", Some("2")), edit("c", Some("3")), edit("\u{fc}/\0", Some("\0"))];
    let again = open();
    for store in [&store, &again] {
        assert_eq!(read(&**store, None), Seen { stamp: two.clone(), whole: true, records: all.clone() });
        let nothing = Seen { stamp: two.clone(), whole: false, records: Vec::new() };
        assert_eq!(read(&**store, Some(&two)), nothing);
        let news = read(&**store, Some(&one));
        if news.whole {
            assert_eq!(news.records, all, "too long ago");
        } else {
            let news: Vec<_> = news.records.into_iter().filter(|(key, _)| key.as_bytes() != b"never").collect();
            assert_eq!(news, [edit("a", None), edit("c", Some("3"))]);
        }
        for stranger in [
            LockStamp { instance: "another".to_owned(), version: 2 },
            LockStamp { instance: two.instance.clone(), version: 99 },
        ] {
            assert_eq!(read(&**store, Some(&stranger)), Seen { stamp: two.clone(), whole: true, records: all.clone() });
        }
    }
    let long = vec![7; 100_000];
    let three = write(&*store, &two, &[(LockKey::from_bytes(b"c".to_vec()), Some(long.clone()))]);
    let news = read(&*again, Some(&two));
    assert!(news.records.iter().any(|(_, value)| value.as_ref() == Some(&long)) && news.stamp == three);
}

fn writes_at_another_state_change_nothing(open: &dyn Fn() -> Box<dyn LockStore>) {
    let store = open();
    let before = read(&*store, None);
    let LockStamp { instance, version } = before.stamp.clone();
    for stamp in [
        LockStamp { instance: instance.clone(), version: version - 1 },
        LockStamp { instance: instance.clone(), version: version + 1 },
        LockStamp { instance: "another".to_owned(), version },
    ] {
        assert_eq!(store.write(&stamp, &[edit("x", Some("1"))]).expect("it answers"), Written::Changed);
    }
    assert_eq!(read(&*store, None), before);
}

fn many_at_once_are_one_change(open: &dyn Fn() -> Box<dyn LockStore>) {
    let store = open();
    let before = read(&*store, None);
    let edits = |value: fn(usize) -> Option<String>| -> Vec<Edit> {
        (0..2345).map(|number| edit(&format!("many/{number:04}"), value(number).as_deref())).collect()
    };
    let all = edits(|number| Some(format!("first {number}")));
    let first = write(&*store, &before.stamp, &all);
    assert_eq!(first.version, before.stamp.version + 1);
    assert_eq!(read(&*store, Some(&before.stamp)).records.iter().filter(|edit| all.contains(edit)).count(), all.len());
    let mixed = edits(|number| (number % 2 == 0).then(|| format!("second {number}")));
    let second = write(&*store, &first, &mixed);
    let seen = read(&*open(), Some(&first));
    assert!(seen.whole || seen.records == mixed);
    write(&*store, &second, &edits(|_| None));
    assert_eq!(read(&*open(), None).records, before.records);
}

/// Counts in one record, from several stores at once: no count is lost.
fn one_of_many_writers_wins(open: &dyn Fn() -> Box<dyn LockStore>) {
    const WRITERS: usize = 4;
    const TIMES: usize = 25;
    let start = Barrier::new(WRITERS);
    let count = |store: &dyn LockStore| {
        let mut done = 0;
        while done < TIMES {
            let seen = read(store, None);
            let key = LockKey::from_bytes(b"count".to_vec());
            let found = seen.records.iter().find(|(other, _)| *other == key).and_then(|(_, value)| value.clone());
            let now: usize = found.map_or(0, |text| String::from_utf8_lossy(&text).parse().expect("a number"));
            let value = Some((now + 1).to_string().into_bytes());
            if let Written::Done(stamp) = store.write(&seen.stamp, &[(key, value)]).expect("it can be written") {
                assert_eq!(stamp.version, seen.stamp.version + 1);
                done += 1;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            let store = open();
            let (start, count) = (&start, &count);
            scope.spawn(move || {
                start.wait();
                count(&*store);
            });
        }
    });
    let seen = read(&*open(), None);
    assert!(seen.records.contains(&edit("count", Some(&(WRITERS * TIMES).to_string()))), "{seen:?}");
}

fn a_change_wakes_who_waits(open: &dyn Fn() -> Box<dyn LockStore>) {
    let (store, other) = (open(), open());
    let stamp = read(&*store, None).stamp;
    let began = Instant::now();
    store.wait(&stamp, Duration::from_millis(100)).expect("it can wait");
    let old = LockStamp { version: stamp.version - 1, ..stamp.clone() };
    store.wait(&old, Duration::from_secs(60)).expect("it can wait");
    assert!(began.elapsed() < Duration::from_secs(20), "what has changed before need not be waited for");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            write(&*other, &stamp, &[edit("woken", Some("1"))]);
        });
        let until = Instant::now() + Duration::from_secs(20);
        while read(&*store, Some(&stamp)).stamp == stamp {
            assert!(Instant::now() < until, "it must be woken");
            store.wait(&stamp, Duration::from_secs(60)).expect("it can wait");
        }
    });
}
