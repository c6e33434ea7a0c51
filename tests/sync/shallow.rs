//! Repositories whose history ends somewhere, and those they exchange with.

use dits_core::commit::Commit;
use dits_core::object::{CommitId, ObjectKind, ObjectRead};
use dits_sync::SyncError;
use dits_sync::client::{FetchRequest, Fetched, UNLIMITED_DEPTH, UpdateOutcome};

use crate::rig::Rig;

/// So many versions of a file; the oldest first.
fn line(rig: &Rig, count: usize) -> Vec<CommitId> {
    (0..count).map(|n| rig.write("a", format!("version {n}").as_bytes()).commit("next")).collect()
}

/// Fetches as `dits fetch` does: with its own edges, which it moves.
fn fetch(to: &Rig, from: &Rig, depth: u32) -> Result<Fetched, SyncError> {
    let shallow = to.repo.shallow().unwrap().iter().collect();
    let (fetched, _) = to.fetch_with(from, FetchRequest { depth, shallow, ..FetchRequest::default() })?;
    to.repo.move_edges(&fetched.shallow, &fetched.lifted).unwrap();
    to.assert_sound();
    Ok(fetched)
}

fn edges(rig: &Rig) -> Vec<CommitId> {
    rig.repo.shallow().unwrap().iter().collect()
}

fn has(rig: &Rig, commit: CommitId) -> bool {
    rig.reopen().store().meta.contains(commit.digest()).unwrap()
}

fn copy_main(rig: &Rig, id: CommitId) {
    rig.set("refs/branches/main", *id.digest());
}

#[test]
fn an_edge_is_lifted_where_it_lies_inside_and_stays_elsewhere() {
    let (from, other, to) = (Rig::new(), Rig::new(), Rig::new());
    let (line, unrelated) = (line(&from, 6), other.write("b", b"1").commit("1"));
    let unrelated = [unrelated, other.write("b", b"2").commit("2"), other.write("b", b"3").commit("3")];
    fetch(&to, &from, 2).unwrap();
    assert_eq!(edges(&to), [line[4]]);
    // A second remote: the edge that it knows nothing of stays, and nothing below it comes.
    fetch(&to, &other, 1).unwrap();
    let mut both = [line[4], unrelated[2]];
    both.sort();
    assert_eq!(edges(&to), both);
    assert!(!has(&to, line[3]) && !has(&to, unrelated[1]));
    // Deeper: only as deep as was asked for.
    fetch(&to, &from, 4).unwrap();
    assert!(edges(&to).contains(&line[2]) && !edges(&to).contains(&line[4]));
    assert!(has(&to, line[2]) && !has(&to, line[1]));
    // Shallower: what is here stays here.
    fetch(&to, &from, 1).unwrap();
    assert!(edges(&to).contains(&line[5]) && has(&to, line[2]));
    fetch(&to, &other, UNLIMITED_DEPTH).unwrap();
    assert!(!edges(&to).contains(&unrelated[2]) && edges(&to).contains(&line[5]) && !has(&to, line[1]));
    fetch(&to, &from, UNLIMITED_DEPTH).unwrap();
    assert_eq!(edges(&to), []);
    assert!(has(&to, line[0]));
}

#[test]
fn a_branch_that_goes_on_does_not_bring_what_lies_below_the_edge() {
    let (from, to) = (Rig::new(), Rig::new());
    let old = line(&from, 4);
    fetch(&to, &from, 1).unwrap();
    let new = line(&from, 3);
    let fetched = fetch(&to, &from, 2).unwrap();
    assert_eq!((fetched.shallow, fetched.lifted), (vec![new[1]], vec![]));
    assert!(!has(&to, old[2]) && !has(&to, new[0]) && edges(&to).contains(&old[3]));
    // Without a depth what lies between comes, and no more.
    let fetched = fetch(&to, &from, 0).unwrap();
    assert_eq!((fetched.shallow, fetched.lifted), (vec![], vec![]));
    assert!(!has(&to, old[2]));
}

#[test]
fn a_source_that_is_shallow_itself() {
    let (from, shallow, to) = (Rig::new(), Rig::bare(), Rig::new());
    let all = line(&from, 5);
    fetch(&shallow, &from, 2).unwrap();
    copy_main(&shallow, all[4]);
    fetch(&to, &shallow, 0).unwrap();
    assert_eq!(edges(&to), [all[3]]);
    // It cannot lift what it does not have; the other one can.
    fetch(&to, &shallow, UNLIMITED_DEPTH).unwrap();
    assert_eq!(edges(&to), [all[3]]);
    fetch(&to, &from, UNLIMITED_DEPTH).unwrap();
    assert_eq!(edges(&to), []);
    // Who has more than the source loses nothing to it.
    let next = from.write("a", b"more").commit("more");
    fetch(&shallow, &from, 0).unwrap();
    copy_main(&shallow, next);
    let fetched = fetch(&to, &shallow, 0).unwrap();
    assert_eq!((fetched.shallow, edges(&to)), (vec![], vec![]));
    assert!(has(&to, next));
}

#[test]
fn a_push_from_a_shallow_repository() {
    let (from, shallow, empty) = (Rig::new(), Rig::new(), Rig::bare());
    let all = line(&from, 3);
    let server = Rig::bare();
    from.push(&server, "main").unwrap();
    fetch(&shallow, &from, 1).unwrap();
    copy_main(&shallow, all[2]);
    // To somebody who has what comes before it, and to somebody who does not.
    let who = dits_core::signature::Signature { name: "Ada".into(), email: "a@x".into(), time: 99, offset: 0 };
    let tree = Commit::read(shallow.repo.store(), all[2]).unwrap().tree;
    let writer = shallow.repo.writer().unwrap();
    let new = Commit::new(vec![all[2]], tree, who.clone(), who, "new".into()).write(&writer).unwrap();
    writer.finish().unwrap();
    copy_main(&shallow, new);
    assert_eq!(shallow.push(&server, "main").unwrap().0.outcomes, [UpdateOutcome::Done]);
    server.assert_sound();
    let refused = shallow.push(&empty, "main").unwrap_err();
    assert!(refused.to_string().contains("--unshallow"), "{refused}");
    assert_eq!(empty.branch("main"), None);
}

#[test]
fn a_push_into_a_shallow_repository_of_what_branched_off_below_its_edge() {
    let (from, server) = (Rig::new(), Rig::bare());
    // Deeper than what could be asked for level by level.
    let all = line(&from, 80);
    fetch(&server, &from, 1).unwrap();
    copy_main(&server, all[79]);
    let tree = from.repo.store().read(ObjectKind::Commit, all[70].digest()).unwrap();
    let tree = Commit::from_bytes(all[70], &tree).unwrap().tree;
    let who = dits_core::signature::Signature { name: "Ada".into(), email: "a@x".into(), time: 99, offset: 0 };
    let writer = from.repo.writer().unwrap();
    let fork = Commit::new(vec![all[70]], tree, who.clone(), who, "fork".into()).write(&writer).unwrap();
    writer.finish().unwrap();
    from.set("refs/branches/fork", *fork.digest());
    assert_eq!(from.push(&server, "fork").unwrap().0.outcomes, [UpdateOutcome::Done]);
    assert!(has(&server, all[0]));
    server.assert_sound();
}
