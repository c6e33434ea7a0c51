use super::*;
use crate::lock::{Holder, LockKind, Release};

const US: CloneId = CloneId([1; 16]);
const THEM: CloneId = CloneId([2; 16]);

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text.as_bytes()).unwrap()
}

fn lock(at: &str, clone: CloneId, counter: u64) -> Lock {
    let holder = Holder { name: "ada".into(), clone, host: "ws-7".into(), folder: "/film".into() };
    Lock {
        path: path(at),
        holder,
        kind: LockKind::Exclusive,
        branch: None,
        reason: "light".into(),
        since: 100,
        expires: None,
        fence: Fence { epoch: 1, counter },
        release: Release::Push,
        retained: None,
    }
}

fn news(since: Option<u64>, now: u64, changed: &[&str], locks: Vec<Lock>) -> News {
    let stamp = |version| ("life".to_owned(), version);
    let changed = changed.iter().map(|text| LockKey::of(&path(text))).collect();
    News { since: since.map(stamp), now: stamp(now), at: 50, you: "ada".into(), changed, locks }
}

#[test]
fn news_are_taken_in_whatever_their_order() {
    let mut state = LocalLocks::default();
    state.take(news(Some(3), 4, &["a"], vec![lock("a", THEM, 4)]));
    assert_eq!(state.seen, None, "changes of what is not known say nothing");
    state.take(news(None, 4, &[], vec![lock("a", THEM, 4), lock("b", THEM, 3)]));
    state.take(news(Some(4), 6, &["A"], Vec::new()));
    let locks = |state: &LocalLocks| state.seen.as_ref().unwrap().locks.len();
    assert_eq!(locks(&state), 1, "a path in another case is the same");
    state.take(news(None, 5, &[], Vec::new()));
    assert_eq!((locks(&state), state.seen.as_ref().unwrap().version), (1, 6), "what is older is not taken");
    state.take(news(Some(5), 7, &["b"], Vec::new()));
    assert_eq!(locks(&state), 0, "what has changed since an older version is enough");
    let mut other = news(None, 1, &[], vec![lock("c", US, 1)]);
    other.now.0 = "another life".into();
    state.take(other);
    assert_eq!(locks(&state), 1);
}

#[test]
fn a_stale_token_is_kept_and_shown_and_makes_nothing_editable() {
    let mut state = LocalLocks::default();
    state.take(news(None, 1, &[], Vec::new()));
    state.obtained(lock("a", US, 2));
    let standing = |state: &LocalLocks, at: &str| format!("{:?}", state.standing(&path(at), Some(US), None, Some(200)));
    assert!(standing(&state, "A").starts_with("Ours(Some"));
    state.take(news(Some(1), 9, &["a"], vec![lock("a", THEM, 9)]));
    assert!(standing(&state, "a").starts_with("Theirs"));
    assert_eq!(state.tokens[&LockKey::of(&path("a"))].fence.counter, 2);
    state.given_back(&path("a"), US);
    assert!(state.tokens.is_empty() && standing(&state, "a").starts_with("Theirs"));
    state.offline.insert(LockKey::of(&path("b")), path("b"));
    assert_eq!(standing(&state, "b"), "Offline");
    state.obtained(Lock { expires: Some(150), ..lock("b", US, 10) });
    assert_eq!(standing(&state, "b"), "Free", "the lease is over");
}

#[test]
fn state_is_kept_and_damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let common = dir.path();
    let ((), damage) = LocalLocks::change(common, "origin", |state| state.obtained(lock("a", US, 1))).unwrap();
    assert!(damage.is_none());
    LocalLocks::change(common, "b", |_| ()).unwrap();
    assert_eq!(LocalLocks::remotes(common).unwrap(), ["origin"]);
    let kept = LocalLocks::load(common, "origin").unwrap();
    assert!(matches!(kept.standing(&path("a"), Some(US), None, None), Standing::Ours(None)));
    let file = common.join("locks/remotes/origin");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert!(LocalLocks::load(common, "origin").is_err());
    let (empty, damage) = LocalLocks::change(common, "origin", |state| state.tokens.is_empty()).unwrap();
    assert!(empty && damage.is_some());
    LocalLocks::rename(common, "origin", "studio").unwrap();
    assert_eq!(LocalLocks::remotes(common).unwrap(), ["studio"]);
    LocalLocks::forget(common, "studio").unwrap();
    assert!(LocalLocks::remotes(common).unwrap().is_empty());
}

#[test]
fn golden() {
    let mut state = LocalLocks::default();
    state.take(news(None, 300, &[], vec![Lock { reason: String::new(), ..lock("Maps/A.umap", THEM, 299) }]));
    state.obtained(lock("b.psd", US, 7));
    state.offline.insert(LockKey::of(&path("C.blend")), path("C.blend"));
    let bytes = RECORD.encode(&codec::encode(&state));
    // docs/format/locks-here.md describes these bytes; another value here is another format.
    let expected = include_str!("../../../../tests/golden/locks/local.hex").replace(char::is_whitespace, "");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected);
    let payload = RECORD.decode(&bytes).unwrap();
    assert_eq!(codec::decode::<LocalLocks, LIMIT>(payload).unwrap(), state);
}
