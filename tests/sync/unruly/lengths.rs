//! Folders that say of what is in them that it is longer or shorter than it is.

use dits_core::chunk::{ChunkRef, Profile};
use dits_core::manifest;
use dits_core::object::ChunkId;
use dits_core::object::memory::MemoryObjects;
use dits_core::tree::{self, Content, Mode, TreeEntry};
use dits_sync::wire::ErrorCode;

use super::client::{attack, chunk_content, project, push_objects, push_of, push_whole, tree_of};
use super::*;

/// A folder of one entry, whatever it says.
fn folder(made: &mut Made, content: Content, size: u64) -> Digest {
    let mode = if matches!(content, Content::Tree(_)) { Mode::Directory } else { Mode::File };
    let entry = TreeEntry { name: b"a".to_vec(), mode, size, content };
    let memory = MemoryObjects::new();
    let id = tree::write_sorted([entry], &memory).unwrap();
    made.object(ObjectKind::Tree, &dits_core::object::ObjectRead::read(&memory, ObjectKind::Tree, id.digest()).unwrap())
}

/// Pushes a commit of this folder with what is below it, and all chunks that are asked for; it is refused.
fn refused(server: &crate::rig::Rig, made: &mut Made, top: Digest, below: &[Digest], chunks: &[&[u8]]) -> String {
    let tip = made.commit(vec![], top);
    let ids: Vec<Digest> = [tip, top].iter().chain(below).copied().collect();
    let failure = attack(server, |raw| {
        push_objects(raw, made, tip, &ids);
        raw.say(&Message::Sent(1));
        let Message::Want(want) = raw.hear_until("Want") else { unreachable!() };
        for at in want.sent.selected(chunks.len()).unwrap() {
            raw.say_on(Lane::Bulk(0), &Message::Objects(frame(ObjectKind::Chunk, chunks[at]).1.into()));
        }
    });
    assert_eq!(failure.code, ErrorCode::Refused, "{failure:?}");
    failure.text
}

#[test]
fn a_chunk_that_is_there_already() {
    let server = project();
    let mut made = Made::default();
    let (_, tree) = tree_of("a", chunk_content(b"a"), 1);
    let tree = made.object(ObjectKind::Tree, &tree);
    let tip = made.commit(vec![], tree);
    push_whole(&server, &made, &push_of("refs/branches/good", None, Some(tip)), tip, &[tip, tree]);
    let longer = folder(&mut made, chunk_content(b"a"), 2);
    let tip = made.commit(vec![], longer);
    let failure = attack(&server, |raw| push_objects(raw, &made, tip, &[tip, longer]));
    assert!(failure.code == ErrorCode::Refused && failure.text.contains("said to have 2"), "{failure:?}");
    // Named by an object that is itself asked for in the end, it is looked at in the end.
    let failure = attack(&server, |raw| {
        push_objects(raw, &made, tip, &[tip]);
        raw.say(&Message::Sent(1));
        let Message::Get(get) = raw.hear_until("Get") else { unreachable!() };
        raw.say_on(Lane::Demand, &made.frames(&[longer]));
        let got = dits_sync::wire::Got { number: get.number, missing: vec![] };
        raw.say_on(Lane::Demand, &Message::Got(got));
    });
    assert!(failure.code == ErrorCode::Refused && failure.text.contains("said to have 2"), "{failure:?}");
    server.assert_sound();
}

#[test]
fn files_and_folders() {
    let server = project();
    let mut made = Made::default();
    let memory = MemoryObjects::new();
    let chunks: [&[u8]; 2] = [b"aa", b"bbb"];
    let refs = chunks.map(|bytes| ChunkRef { id: ChunkId::of(bytes), len: bytes.len() as u32 });
    let content = manifest::write(Profile::VIDEO, refs, &memory).unwrap();
    let Content::Manifest(id) = &content else { unreachable!() };
    let recipe = dits_core::object::ObjectRead::read(&memory, ObjectKind::Manifest, id.digest()).unwrap();
    let recipe = made.object(ObjectKind::Manifest, &recipe);
    for wrong in [4, 6] {
        let lying = folder(&mut made, content.clone(), wrong);
        let why = refused(&server, &mut made, lying, &[recipe], &chunks);
        assert!(why.contains(&format!("{wrong} bytes, and it has 5")), "{why}");
    }
    let honest = folder(&mut made, content, 5);
    let lying = folder(&mut made, Content::Tree(TreeId::from_digest(honest)), 6);
    let why = refused(&server, &mut made, lying, &[honest, recipe], &chunks);
    assert!(why.contains("6 bytes, and it has 5"), "{why}");
    server.assert_sound();
}
