//! Repositories that no dits would write: nodes put together byte by byte, stored under their right names.

use std::path::Path;

use dits_core::codec;
use dits_core::commit::Commit;
use dits_core::object::{CommitId, Digest, Extension, ObjectKind, ObjectWrite, TreeId};
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{Environment, InitOptions, Repository};
use dits_core::signature::Signature;
use dits_core::tree::{Content, Mode, TreeEntry};

/// A repository in `folder`, made if there is none.
pub fn repository(folder: &Path) -> Repository {
    let options = InitOptions { branch: "main".to_owned(), bare: false };
    Repository::init(folder, &options, &Environment { threads: 2, ..Environment::default() }).unwrap().0
}

/// Somebody.
pub fn who() -> Signature {
    Signature::new("Mallory", "m@example.org", 1_767_323_045, 0).unwrap()
}

/// Stores these bytes, whatever they are.
pub fn put(repo: &Repository, kind: ObjectKind, bytes: &[u8]) -> Digest {
    let writer = repo.writer().unwrap();
    let digest = writer.write(kind, bytes).unwrap();
    writer.finish().unwrap();
    digest
}

/// A node of a tree or manifest: `count` is what it claims.
pub fn node(level: u8, count: u64, entries: &[Vec<u8>], extensions: Vec<Extension>) -> Vec<u8> {
    let head = [codec::encode(&1u8), codec::encode(&level), codec::encode(&count)].concat();
    [head, entries.concat(), codec::encode(&extensions)].concat()
}

/// The bytes of one entry of a folder; nothing is checked.
pub fn item(name: &[u8], mode: Mode, size: u64, content: Content) -> Vec<u8> {
    codec::encode(&TreeEntry { name: name.to_vec(), mode, size, content })
}

/// The bytes of a file's entry that holds `content`, which is stored.
pub fn file(repo: &Repository, name: &[u8], content: &[u8]) -> Vec<u8> {
    let chunk = put(repo, ObjectKind::Chunk, content);
    item(name, Mode::File, content.len() as u64, Content::Chunk(dits_core::object::ChunkId::from_digest(chunk)))
}

/// The bytes of a symbolic link's entry.
pub fn link(name: &[u8], target: &[u8]) -> Vec<u8> {
    item(name, Mode::Symlink, target.len() as u64, Content::Symlink(target.to_vec()))
}

/// The bytes of a folder's entry.
pub fn folder(name: &[u8], tree: TreeId) -> Vec<u8> {
    item(name, Mode::Directory, 0, Content::Tree(tree))
}

/// Stores a folder of these entries as they come.
pub fn tree(repo: &Repository, entries: &[Vec<u8>]) -> TreeId {
    raw_tree(repo, &node(0, entries.len() as u64, entries, Vec::new()))
}

/// Stores these bytes as a folder.
pub fn raw_tree(repo: &Repository, bytes: &[u8]) -> TreeId {
    TreeId::from_digest(put(repo, ObjectKind::Tree, bytes))
}

/// A commit of the tree, on a branch of its own.
pub fn branch(repo: &Repository, name: &str, tree: TreeId) -> CommitId {
    let writer = repo.writer().unwrap();
    let parents = repo.head().unwrap().commit().into_iter().collect();
    let commit = Commit::new(parents, tree, who(), who(), "A gift\n".to_owned()).write(&writer).unwrap();
    let finished = writer.finish().unwrap();
    let branch = RefName::branch(name).unwrap();
    let edit = RefEdit::set(branch, Expected::Any, Target::Id(*commit.digest()));
    repo.refs().transaction(vec![edit]).unwrap();
    drop(finished);
    commit
}

/// Trees that must be refused, with a word of what is wrong with each.
pub fn bad_trees(repo: &Repository) -> Vec<(String, TreeId)> {
    let mut bad = Vec::new();
    let long = vec![b'n'; 300];
    let names: &[&[u8]] = &[
        b"",
        b".",
        b"..",
        b"a/b",
        b"../escaped",
        b"/etc/escaped",
        b"nul\0byte",
        &long,
        b".dits",
        b".DITS",
        b".Dits.",
        b".dits ",
        ".d\u{200c}its".as_bytes(),
        "\u{feff}.dits".as_bytes(),
        ".d\u{131}ts\u{34f}".as_bytes(),
        ".dit\u{17f}".as_bytes(),
        b"DITS~1",
        b".git",
        b".GiT",
        ".g\u{200d}it".as_bytes(),
        "\u{ff0e}git".as_bytes(),
        b"git~1",
        b".git::$INDEX_ALLOCATION",
        b"x\\.dits\\y",
    ];
    for name in names {
        if dits_core::path::check_component(name).is_ok() {
            continue; // dotless i is no disguise
        }
        let shown = String::from_utf8_lossy(name).chars().take(30).collect::<String>();
        bad.push((format!("file {shown:?}"), tree(repo, &[file(repo, name, b"evil")])));
        let inside = tree(repo, &[file(repo, b"evil", b"evil")]);
        bad.push((format!("folder {shown:?}"), tree(repo, &[folder(name, inside)])));
        bad.push((format!("link {shown:?}"), tree(repo, &[link(name, b"/tmp")])));
    }
    bad.extend(bad_shapes(repo));
    bad
}

fn bad_shapes(repo: &Repository) -> Vec<(String, TreeId)> {
    let (a, b) = (file(repo, b"a", b"one"), file(repo, b"b", b"two"));
    let inside = tree(repo, &[file(repo, b"evil", b"evil")]);
    let chunk = Content::Chunk(dits_core::object::ChunkId::of(b"one"));
    let leaf = tree(repo, std::slice::from_ref(&a));
    let inner = |last: &[u8], count: u64, child: TreeId| {
        [codec::encode(child.digest()), codec::encode(&last.to_vec()), codec::encode(&count)].concat()
    };
    let other = tree(repo, std::slice::from_ref(&b));
    let two_levels = |first: Vec<u8>, second: Vec<u8>| raw_tree(repo, &node(1, 2, &[first, second], Vec::new()));
    let mut trailing = node(0, 1, std::slice::from_ref(&a), Vec::new());
    trailing.push(0);
    let writer = repo.writer().unwrap();
    let mut deep = leaf;
    for _ in 0..5000 {
        let bytes = node(0, 1, &[folder(b"d", deep)], Vec::new());
        deep = TreeId::from_digest(writer.write(ObjectKind::Tree, &bytes).unwrap());
    }
    writer.finish().unwrap();
    let cases = vec![
        ("the same name twice", tree(repo, &[a.clone(), a.clone()])),
        ("names out of order", tree(repo, &[b.clone(), a.clone()])),
        ("a link and a folder of one name", tree(repo, &[link(b"x", b"/tmp"), folder(b"x", inside)])),
        ("a count of 2^60", raw_tree(repo, &node(0, 1 << 60, std::slice::from_ref(&a), Vec::new()))),
        ("a count of 2^64-1", raw_tree(repo, &node(0, u64::MAX, &[], Vec::new()))),
        ("a count too small", raw_tree(repo, &node(0, 1, &[a.clone(), b], Vec::new()))),
        ("a byte left over", raw_tree(repo, &trailing)),
        ("no bytes", raw_tree(repo, b"")),
        ("version 0", raw_tree(repo, &[0, 0, 0, 0])),
        ("a level of 200", raw_tree(repo, &node(200, 1, &[inner(b"a", 1, leaf)], Vec::new()))),
        ("one link only", raw_tree(repo, &node(1, 1, &[inner(b"a", 1, leaf)], Vec::new()))),
        ("a link with a wrong count", two_levels(inner(b"a", 7, leaf), inner(b"b", 1, other))),
        ("a link with a wrong name", two_levels(inner(b"aa", 1, leaf), inner(b"b", 1, other))),
        ("links out of order", two_levels(inner(b"b", 1, other), inner(b"a", 1, leaf))),
        ("a link target of no bytes", tree(repo, &[link(b"x", b"")])),
        ("a link target with a NUL", tree(repo, &[link(b"x", b"/tmp\0x")])),
        ("a link target of 5000 bytes", tree(repo, &[link(b"x", &[b'/'; 5000])])),
        ("a link with the content of a file", tree(repo, &[item(b"x", Mode::Symlink, 3, chunk.clone())])),
        ("a folder with the content of a file", tree(repo, &[item(b"x", Mode::Directory, 3, chunk.clone())])),
        ("an empty file of 9 bytes", tree(repo, &[item(b"x", Mode::File, 9, Content::Empty)])),
        ("a chunk larger than said", tree(repo, &[item(b"x", Mode::File, 2, chunk.clone())])),
        ("a chunk smaller than said", tree(repo, &[item(b"x", Mode::File, 4, chunk)])),
        ("5000 folders deep", deep),
    ];
    cases.into_iter().map(|(what, tree)| (what.to_owned(), tree)).chain(bad_manifests(repo)).collect()
}

fn bad_manifests(repo: &Repository) -> Vec<(String, TreeId)> {
    use dits_core::chunk::{ChunkRef, Profile};
    use dits_core::object::{ChunkId, ManifestId};
    let plain = vec![7u8; 70_000];
    let id = ChunkId::from_digest(put(repo, ObjectKind::Chunk, &plain));
    let chunk = |len: u32| codec::encode(&ChunkRef { id, len });
    let profile = vec![Extension { tag: 1, bytes: codec::encode(&Profile::DEFAULT) }];
    let with = |entries: &[Vec<u8>], extensions: Vec<Extension>| {
        let bytes = node(0, entries.len() as u64, entries, extensions);
        ManifestId::from_digest(put(repo, ObjectKind::Manifest, &bytes))
    };
    let named =
        |size: u64, manifest: ManifestId| tree(repo, &[item(b"film", Mode::File, size, Content::Manifest(manifest))]);
    let good = with(&[chunk(70_000), chunk(70_000)], profile.clone());
    let wrong_lengths = with(&[chunk(60_000), chunk(80_000)], profile.clone());
    let no_length = with(&[chunk(70_000), chunk(0)], profile.clone());
    let no_profile = with(&[chunk(70_000), chunk(70_000)], Vec::new());
    let cases = vec![
        ("a manifest longer than the file", named(100_000, good)),
        ("a manifest shorter than the file", named(1 << 40, good)),
        ("a manifest whose chunks have other lengths", named(140_000, wrong_lengths)),
        ("a manifest with a chunk of no bytes", named(70_000, no_length)),
        ("a manifest without a profile", named(140_000, no_profile)),
    ];
    cases.into_iter().map(|(what, tree)| (what.to_owned(), tree)).collect()
}
