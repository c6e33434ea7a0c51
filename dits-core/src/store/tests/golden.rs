//! The bytes of the formats, frozen. A change here is a new version of a format, not a new expectation.

use std::sync::Arc;

use super::*;
use crate::store::folder::FolderStore;
use crate::store::frame::{Encoding, Header};
use crate::store::pack::page::Entry;
use crate::store::pack::write::PackBuilder;

const FRAME: &str = concat!(
    "644672b101010000005a5182c58302007db796244e600153cd07c3335c5a51c4",
    "a3cdebc4aa7bf10bf9040000000400000093d35950b23b69f864697473"
);
const PACK: &str = "e315ffe29e20fa59ac2bb138a120f63b8f19a9a454a5f2439d3ac9e9a3827d6e";
const MERGED: &str = "05b6387a67607280a6c7f0b34dc217952de3bff85855dbcff122a269b62ce10c";
const CONDEMNED: &str = "9edd6aa664adbaaf7d7432fcf3f4ee838b102293ce84d92630546c96a7b6f7f8";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn frame_of(bytes: &[u8]) -> (Header, Vec<u8>) {
    let digest = ObjectKind::Chunk.digest(bytes);
    let header = Header::new(ObjectKind::Chunk, Encoding::Raw, digest, bytes, bytes.len());
    let frame = [&header.encode()[..], bytes].concat();
    (header, frame)
}

fn small_pack(dir: &Path) -> PackId {
    let store: Arc<dyn folder::PackStore> = Arc::new(FolderStore::new(dir.join("pack"), true));
    let mut builder = PackBuilder::with_nonce(Arc::clone(&store), *b"a frozen nonce!!").unwrap();
    let mut entries = Vec::new();
    for i in 0..100u8 {
        let (header, frame) = frame_of(&[i; 3]);
        let offset = builder.append(&[&frame]).unwrap();
        let (digest, stored_len) = (header.digest, frame.len() as u32);
        entries.push(Entry { digest, offset, kind: 1, encoding: 0, stored_len, plain_len: 3, pack: 0 });
    }
    let sealed = builder.seal(&mut entries).unwrap();
    store.put(vec![(sealed.draft, sealed.id.file_name())]).unwrap();
    sealed.id
}

#[test]
fn a_frame() {
    assert_eq!(hex(&frame_of(b"dits").1), FRAME);
}

#[test]
fn a_pack_and_a_merged_index() {
    let dir = tempfile::tempdir().unwrap();
    let id = small_pack(dir.path());
    let bytes = std::fs::read(dir.path().join("pack").join(id.file_name())).unwrap();
    assert_eq!(blake3::hash(&bytes).to_string(), PACK);
    let store = odb(dir.path());
    assert_eq!(store.read(ObjectKind::Chunk, &ObjectKind::Chunk.digest(&[42; 3])).unwrap(), [42; 3]);
    store.merge_index().unwrap();
    let merged = std::fs::read(dir.path().join("pack/merged.idx")).unwrap();
    assert_eq!(blake3::hash(&merged).to_string(), MERGED);
}

#[test]
fn a_condemned_list() {
    let digests = condemned::DigestSet::new(vec![Digest([1; 32]), Digest([2; 32])]).into();
    let content = condemned::CondemnedSet { packs: vec![PackId(Digest([9; 32]))], digests };
    let list = condemned::Condemned { generation: 2, published: 1_700_000_000, content, meta: <_>::default() };
    assert_eq!(blake3::hash(&list.encode()).to_string(), CONDEMNED);
}
