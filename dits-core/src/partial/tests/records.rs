use super::*;
use crate::object::Digest;

fn commit(n: u8) -> CommitId {
    CommitId::from_digest(Digest([n; 32]))
}

#[test]
fn promises_golden() {
    let rig = Rig::new();
    let mut promises = Promises::default();
    for (remote, n) in [("origin", 2), ("backup", 3), ("origin", 1)] {
        promises.add(rig.repo.store(), remote, &[commit(n)]).unwrap();
    }
    let bytes = promises.encode();
    // docs/format/partial.md describes these bytes; another value here is another format.
    assert_eq!(blake3::hash(&bytes).to_string(), GOLDEN_PROMISES);
    assert_eq!(Promises::decode(&bytes).unwrap(), promises);
    assert_eq!(promises.iter().map(|(remote, _)| remote).collect::<Vec<_>>(), ["backup", "origin", "origin"]);
}

const GOLDEN_PROMISES: &str = "97ec6a47a17c1083fc1f8d881f2b98e43c6b696643a4a9c1bda64e63a8c992a4";
const GOLDEN_SHALLOW: &str = "13c0a8e7057baf4c5f5b2d136ee95bf994ba17cba2cd47afecdf6e04f83c0351";

#[test]
fn shallow_golden() {
    let shallow: Shallow = [commit(9), commit(4)].into_iter().collect();
    let bytes = shallow.encode();
    assert_eq!(blake3::hash(&bytes).to_string(), GOLDEN_SHALLOW);
    assert_eq!(Shallow::decode(&bytes).unwrap(), shallow);
}

#[test]
fn records_out_of_order_or_with_bad_names_are_refused() {
    let kind = crate::record::RecordKind { magic: *b"DITSPROM", version: 1 };
    let encode = |list: &[(&str, u8)]| {
        let list: Vec<(String, CommitId)> = list.iter().map(|(name, n)| ((*name).to_owned(), commit(*n))).collect();
        kind.encode(&crate::codec::encode(&list))
    };
    assert!(Promises::decode(&encode(&[("a", 1), ("a", 2)])).is_ok());
    for bad in [&[("a", 2), ("a", 1)][..], &[("a", 1), ("a", 1)], &[("", 1)], &[("a\nb", 1)]] {
        assert!(Promises::decode(&encode(bad)).is_err(), "{bad:?}");
    }
    let kind = crate::record::RecordKind { magic: *b"DITSSHAL", version: 1 };
    let encode = |list: &[u8]| kind.encode(&crate::codec::encode(&list.iter().map(|n| commit(*n)).collect::<Vec<_>>()));
    assert!(Shallow::decode(&encode(&[1, 2])).is_ok());
    assert!(Shallow::decode(&encode(&[2, 1])).is_err());
}

#[test]
fn a_newer_tip_replaces_those_it_descends_from() {
    let rig = Rig::new();
    let first = rig.write("a", "1").commit("first");
    let second = rig.write("a", "2").commit("second");
    rig.branch("side", first).switch("side");
    let side = rig.write("b", "1").commit("side");
    let all = |rig: &Rig| rig.repo.promises().unwrap().iter().map(|(r, c)| (r.to_owned(), c)).collect::<Vec<_>>();
    rig.repo.record_promises("origin", &[first]).unwrap();
    rig.repo.record_promises("other", &[first]).unwrap();
    rig.repo.record_promises("origin", &[second]).unwrap();
    assert_eq!(all(&rig), [("origin".to_owned(), second), ("other".to_owned(), first)]);
    // An ancestor of a promised commit is promised already; a sibling is not.
    rig.repo.record_promises("origin", &[first, side]).unwrap();
    let mut both = vec![second, side];
    both.sort();
    assert_eq!(rig.repo.promises().unwrap().commits().len(), 3);
    assert_eq!(all(&rig).into_iter().filter(|(r, _)| r == "origin").map(|(_, c)| c).collect::<Vec<_>>(), both);
    rig.repo.rename_promises("origin", "studio").unwrap();
    rig.repo.forget_promises("other").unwrap();
    assert!(all(&rig).iter().all(|(remote, _)| remote == "studio"));
    rig.repo.forget_promises("studio").unwrap();
    assert!(!rig.path(".dits/promised").exists(), "no promises, no record");
    assert!(matches!(rig.repo.record_promises("", &[first]), Err(RepoError::Promises(_))));
}

#[test]
fn a_damaged_record_is_damage() {
    let rig = Rig::new();
    let first = rig.write("a", "1").commit("first");
    rig.repo.record_promises("origin", &[first]).unwrap();
    rig.repo.edit_shallow(|list| list.edit(&[first], &[])).unwrap();
    for file in ["promised", "shallow"] {
        let file = rig.path(".dits").join(file);
        let good = std::fs::read(&file).unwrap();
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        std::fs::write(&file, bad).unwrap();
        rig.repo.store().forget_lacking();
        let found = rig.fsck().findings;
        assert!(
            found.iter().any(|finding| finding.file.as_ref() == Some(&file) && finding.remedy.is_some()),
            "{found:?}"
        );
        std::fs::write(&file, good).unwrap();
    }
    rig.repo.store().forget_lacking();
    assert!(!rig.fsck().is_damaged());
}
