use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::chunk::{ChunkRef, Profile};
use crate::manifest;
use crate::object::ChunkId;
use crate::object::memory::MemoryObjects;
use crate::path::RepoPath;
use crate::progress::Silent;
use crate::signature::Signature;
use crate::tree::{self, Content, Mode};

/// A file is named by a seed and has so many chunks of 1000 bytes.
type Files = BTreeMap<String, (u32, u32)>;

fn chunk(seed: u32, i: u32) -> ChunkRef {
    ChunkRef { id: ChunkId::of(&[seed.to_le_bytes(), i.to_le_bytes()].concat()), len: 1000 }
}

fn content(store: &MemoryObjects, seed: u32, chunks: u32) -> Content {
    manifest::write(Profile::VIDEO, (0..chunks).map(|i| chunk(seed, i)), store).unwrap()
}

fn commit(store: &MemoryObjects, files: &Files, parents: &[CommitId], time: i64) -> CommitId {
    let mut paths: Vec<_> = files
        .iter()
        .map(|(path, (seed, chunks))| {
            let path = RepoPath::parse(path.as_bytes()).unwrap();
            (path, Mode::File, u64::from(*chunks) * 1000, content(store, *seed, *chunks))
        })
        .collect();
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    let tree = tree::from_paths(paths, store).unwrap();
    let who = Signature { name: "Ada".into(), email: "a@x".into(), time, offset: 0 };
    Commit::new(parents.to_vec(), tree, who.clone(), who, format!("{time}")).write(store).unwrap()
}

fn all(store: &MemoryObjects, tips: &[CommitId]) -> BTreeSet<Digest> {
    let mut mark = crate::maintain::Mark::default();
    for tip in tips {
        let met = &mut |_, _, _: crate::maintain::Met<'_>| Ok(());
        mark.reach(store, ObjectKind::Commit, *tip.digest(), &Silent, met).unwrap();
    }
    mark.meta.into_iter().collect()
}

struct Visited {
    objects: Vec<Digest>,
    missing: BTreeSet<Digest>,
    bytes: usize,
    references: Vec<(Digest, Vec<Digest>)>,
}

fn visit(store: &dyn ObjectRead, tips: &[CommitId], known: &[CommitId], cut: &HashSet<CommitId>) -> Visited {
    let tips: Vec<_> = tips.iter().map(|id| (ObjectKind::Commit, *id.digest())).collect();
    let request = Request { tips: &tips, known, known_shallow: &HashSet::new(), cut };
    let mut visited = Visited { objects: Vec::new(), missing: BTreeSet::new(), bytes: 0, references: Vec::new() };
    walk::<RepoError>(store, &request, &Silent, &mut |met| {
        match met {
            Met::Object { digest, bytes, references, .. } => {
                let meta = references.meta.into_iter().map(|(_, digest)| digest).collect();
                visited.references.push((digest, meta));
                visited.bytes += bytes.len();
                visited.objects.push(digest);
            }
            Met::Entry { .. } => {}
            Met::Missing { digest, .. } => _ = visited.missing.insert(digest),
        }
        Ok(())
    })
    .unwrap();
    visited
}

fn none() -> HashSet<CommitId> {
    HashSet::new()
}

#[test]
fn a_move_or_copy_of_a_large_file_sends_folders_only() {
    let store = MemoryObjects::new();
    let mut files: Files = (0..300).map(|i| (format!("shots/{i:03}/plate.exr"), (i, 3))).collect();
    files.insert("a/big.mov".into(), (1000, 60_000));
    let first = commit(&store, &files, &[], 1);
    let mut moved = files.clone();
    let big = moved.remove("a/big.mov").unwrap();
    moved.insert("somewhere/else.mov".into(), big);
    let second = commit(&store, &moved, &[first], 2);
    assert!(visit(&store, &[second], &[first], &none()).bytes < 10_000);
    moved.insert("copy.mov".into(), big);
    let third = commit(&store, &moved, &[second], 3);
    assert!(visit(&store, &[third], &[second], &none()).bytes < 10_000);
    // A folder that moves is neither opened nor sent.
    let renamed: Files = moved.iter().map(|(path, file)| (path.replace("shots/", "plates/"), *file)).collect();
    let fourth = commit(&store, &renamed, &[third], 4);
    assert!(visit(&store, &[fourth], &[third], &none()).bytes < 10_000);
    // One chunk in the middle: a path of nodes.
    let whole = all(&store, &[first]).len();
    assert!(whole > 500);
    let who = |time| Signature { name: "Ada".into(), email: "a@x".into(), time, offset: 0 };
    let chunks = (0..60_000).map(|i| if i == 30_000 { chunk(7, 7) } else { chunk(1000, i) });
    let edited = manifest::write(Profile::VIDEO, chunks, &store).unwrap();
    let path = RepoPath::parse(b"big.mov").unwrap();
    let before = tree::from_paths([(path.clone(), Mode::File, 60_000_000, content(&store, 1000, 60_000))], &store);
    let after = tree::from_paths([(path, Mode::File, 60_000_000, edited)], &store);
    let before = Commit::new(vec![], before.unwrap(), who(1), who(1), String::new()).write(&store).unwrap();
    let after = Commit::new(vec![before], after.unwrap(), who(2), who(2), String::new()).write(&store).unwrap();
    let visited = visit(&store, &[after], &[before], &none());
    assert!(visited.objects.len() <= 8 && visited.bytes < 50_000, "{} {}", visited.objects.len(), visited.bytes);
}

#[test]
fn a_history_of_some_depth() {
    let store = MemoryObjects::new();
    let mut files = Files::new();
    let mut commits: Vec<CommitId> = Vec::new();
    for i in 0..6 {
        files.insert(format!("f{i}"), (i, 3));
        let parents: Vec<CommitId> = commits.last().copied().into_iter().collect();
        commits.push(commit(&store, &files, &parents, i64::from(i)));
    }
    let cut: HashSet<CommitId> =
        crate::partial::cut(&store, &[commits[5]], 2, &Silent).unwrap().edge.into_iter().collect();
    assert_eq!(cut, HashSet::from([commits[4]]));
    let visited = visit(&store, &[commits[5]], &[], &cut);
    assert!(visited.objects.contains(commits[4].digest()) && !visited.objects.contains(commits[3].digest()));
    // All of the oldest version that is sent comes with it, whatever its parents have.
    let Commit { tree, .. } = Commit::read(&store, commits[4]).unwrap();
    let mut mark = crate::maintain::Mark::default();
    mark.reach(&store, ObjectKind::Tree, *tree.digest(), &Silent, &mut |_, _, _| Ok(())).unwrap();
    assert!(mark.meta.iter().all(|digest| visited.objects.contains(digest)));
}

/// Reads as if some objects were not there.
struct Without<'a>(&'a MemoryObjects, BTreeSet<Digest>);

impl ObjectRead for Without<'_> {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        if self.1.contains(digest) {
            return Err(StoreError::Missing { kind, digest: *digest });
        }
        self.0.read(kind, digest)
    }
}

#[derive(Debug, Clone)]
struct Step {
    parents: Vec<prop::sample::Index>,
    edits: Vec<(u8, u8, u32, u32)>,
    time: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let edit = (0u8..5, 0u8..8, 0u32..6, 0u32..900);
    let step = (prop::collection::vec(any::<prop::sample::Index>(), 0..3), prop::collection::vec(edit, 1..5), 0i64..50);
    prop::collection::vec(step.prop_map(|(parents, edits, time)| Step { parents, edits, time }), 1..9)
}

fn play(store: &MemoryObjects, steps: &[Step]) -> Vec<CommitId> {
    let mut versions: Vec<(CommitId, Files)> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let parents: Vec<usize> = if versions.is_empty() {
            vec![]
        } else {
            step.parents.iter().map(|index| index.index(versions.len())).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let mut files = parents.first().map_or_else(Files::new, |at| versions[*at].1.clone());
        for (what, at, seed, chunks) in &step.edits {
            let path = format!("d{}/f{at}", at % 3);
            match what {
                0 => _ = files.remove(&path),
                1 => {
                    if let Some(file) = files.remove(&path) {
                        files.insert(format!("e/{at}{seed}"), file);
                    }
                }
                2 => files = files.into_iter().map(|(path, file)| (path.replace("d1/", "d1moved/"), file)).collect(),
                _ => _ = files.insert(path, (*seed, *chunks)),
            }
        }
        let ids: Vec<CommitId> = parents.iter().map(|at| versions[*at].0).collect();
        // Times go up and down: clocks are wrong sometimes.
        let id = commit(store, &files, &ids, step.time * 10 + i as i64);
        versions.push((id, files));
    }
    versions.into_iter().map(|(id, _)| id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn together_with_what_is_known_it_is_everything(
        steps in steps(),
        tips in prop::collection::vec(any::<prop::sample::Index>(), 1..3),
        known in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let store = MemoryObjects::new();
        let commits = play(&store, &steps);
        let pick = |of: &[prop::sample::Index]| of.iter().map(|i| commits[i.index(commits.len())]).collect::<Vec<_>>();
        let (tips, known) = (pick(&tips), pick(&known));
        let visited = visit(&store, &tips, &known, &none());
        let mut named: BTreeSet<Digest> = tips.iter().map(|id| *id.digest()).collect();
        for (digest, references) in &visited.references {
            prop_assert!(named.contains(digest), "an object came before what refers to it");
            named.extend(references.iter().copied());
        }
        let distinct: BTreeSet<Digest> = visited.objects.iter().copied().collect();
        prop_assert_eq!(distinct.len(), visited.objects.len(), "an object came twice");
        let (wanted, had) = (all(&store, &tips), all(&store, &known));
        prop_assert!(wanted.difference(&had).all(|digest| distinct.contains(digest)), "something is left out");
        prop_assert!(distinct.is_subset(&wanted), "something nobody asked for");
        prop_assert!(visited.missing.is_empty());
        // The receiver's side: of what it lacks, at least one object is named, and what is named is lacking.
        let new: Vec<Digest> = wanted.difference(&had).copied().collect();
        let lost: BTreeSet<Digest> = lost.iter().filter(|_| !new.is_empty()).map(|i| new[i.index(new.len())]).collect();
        let without = visit(&Without(&store, lost.clone()), &tips, &known, &none());
        prop_assert!(without.missing.is_subset(&lost));
        prop_assert_eq!(without.missing.is_empty(), lost.is_empty());
    }
}
