use super::*;
use crate::commit::Commit;
use crate::history::{self, Walk};
use crate::repo::CommitOptions;

/// Forgets a commit, as a repository has it that never got it.
fn lose(rig: &Rig, commits: &[CommitId]) {
    let digests = crate::store::DigestSet::new(commits.iter().map(|id| *id.digest()).collect());
    let packs: Vec<_> = rig.repo.store().meta.pack_ids().unwrap().into_iter().map(|(id, _)| id).collect();
    rig.repo.store().meta.remove_objects(&digests, &packs, false, &Silent).unwrap();
}

fn forget_logs(rig: &Rig) {
    let _ = std::fs::remove_dir_all(rig.path(".dits/logs"));
}

fn line(rig: &Rig, count: usize) -> Vec<CommitId> {
    (1..=count).map(|n| rig.write("a", &n.to_string()).commit(&n.to_string())).collect()
}

#[test]
fn history_ends_at_the_edge_for_all_who_read_it() {
    let rig = Rig::new();
    let line = line(&rig, 5);
    let cut = cut(rig.repo.store(), &[line[4]], 2, &Silent).unwrap();
    assert_eq!((&cut.commits[..], &cut.edge[..]), (&[line[4], line[3]][..], &[line[3]][..]));
    forget_logs(&rig);
    rig.repo.set_shallow(cut.edge.iter().copied().collect()).unwrap();
    lose(&rig, &line[..3]);
    let store = rig.repo.store();
    let walked: Vec<CommitId> = Walk::new(store, &[line[4]], &[]).unwrap().map(|found| found.unwrap().0).collect();
    assert_eq!(walked, [line[4], line[3]]);
    assert!(!history::is_ancestor(store, line[0], line[4]).unwrap());
    assert_eq!(history::merge_base(store, line[3], line[4]).unwrap(), Some(line[3]));
    assert!(rig.repo.resolve_commit("HEAD~1").is_ok() && rig.repo.resolve_commit("HEAD~2").is_err());
    rig.gc();
    assert!(!rig.fsck().is_damaged(), "{:?}", rig.fsck().findings);
    // Without the record the same is damage.
    rig.repo.set_shallow(Shallow::default()).unwrap();
    assert!(rig.fsck().is_damaged());
}

#[test]
fn what_amends_a_commit_at_the_edge_keeps_its_parents_and_is_at_the_edge() {
    let rig = Rig::new();
    let line = line(&rig, 2);
    forget_logs(&rig);
    rig.repo.set_shallow([line[1]].into_iter().collect()).unwrap();
    lose(&rig, &line[..1]);
    rig.write("a", "amended").add();
    let made = rig.repo.commit(&CommitOptions { amend: true, ..rig.options("again") }).unwrap();
    assert_eq!(rig.repo.true_parents(made.id).unwrap(), [line[0]]);
    assert_eq!(Commit::read(rig.repo.store(), made.id).unwrap().parents, []);
    assert!(rig.repo.shallow().unwrap().contains(&made.id));
    let next = rig.write("a", "next").commit("next");
    assert_eq!(Commit::read(rig.repo.store(), next).unwrap().parents, [made.id]);
    assert!(!rig.fsck().is_damaged(), "{:?}", rig.fsck().findings);
}

#[test]
fn a_cut_counts_from_the_nearest_tip_and_keeps_the_edge_of_what_it_cuts() {
    let rig = Rig::new();
    // A merge: 1 ← 2 ← 4, 1 ← 3, 4 = merge of 2 and 3.
    let theirs = rig.fork(|r| _ = r.write("a", "1"), |r| _ = r.write("b", "1"), |r| _ = r.write("c", "1"));
    rig.merge(theirs).unwrap();
    let store = rig.repo.store();
    let (head, parents) = (rig.head(), rig.parents());
    let base = history::merge_base(store, parents[0], parents[1]).unwrap().unwrap();
    let depth = |tips: &[CommitId], depth| {
        let mut cut = cut(store, tips, depth, &Silent).unwrap();
        cut.commits.sort();
        cut.edge.sort();
        cut
    };
    let sorted = |mut list: Vec<CommitId>| {
        list.sort();
        list
    };
    assert_eq!(depth(&[head], 1), Cut { commits: vec![head], edge: vec![head] });
    let two = sorted(vec![head, parents[0], parents[1]]);
    assert_eq!(depth(&[head], 2), Cut { commits: two, edge: sorted(parents.clone()) });
    let all = sorted(vec![head, parents[0], parents[1], base]);
    assert_eq!(depth(&[head], 3), Cut { commits: all.clone(), edge: Vec::new() });
    // Where one tip is the parent of another there is no edge in between.
    assert_eq!(depth(&[head, parents[0], parents[1], base], 1), Cut { commits: all, edge: Vec::new() });
    assert_eq!(depth(&[head], 0), Cut::default());
    rig.repo.set_shallow([parents[0]].into_iter().collect()).unwrap();
    assert_eq!(depth(&[head], 9).edge, [parents[0]]);
}

#[test]
fn an_edge_is_lifted_once_its_parents_are_here() {
    let rig = Rig::new();
    let line = line(&rig, 3);
    forget_logs(&rig);
    rig.repo.set_shallow([line[1], line[2]].into_iter().collect()).unwrap();
    lose(&rig, &line[..1]);
    // What others have recorded meanwhile stays, and so does an edge whose parents have not come.
    let left = rig.repo.move_edges(&[], &[line[1], line[2]]).unwrap();
    assert_eq!(left.iter().collect::<Vec<_>>(), [line[1]]);
    assert_eq!(rig.repo.move_edges(&[line[2]], &[]).unwrap().len(), 2);
}

#[test]
fn a_depth_that_no_history_has_ends_with_the_history() {
    let rig = Rig::new();
    let line = line(&rig, 3);
    let all = cut(rig.repo.store(), &[line[2]], u32::MAX - 1, &Silent).unwrap();
    assert_eq!((all.commits.len(), all.edge), (3, Vec::new()));
    struct Stopped;
    impl crate::progress::Progress for Stopped {
        fn interrupted(&self) -> bool {
            true
        }
    }
    assert!(cut(rig.repo.store(), &[line[2]], 9, &Stopped).is_err());
}
