//! The targets. Each checks more than "no panic" where there is a law to check. Where a checksum would keep mutations
//! out, the input is what it protects, and the target adds it.

pub mod media;
pub mod objects;
pub mod records;
pub mod remote;
pub mod store;
pub mod text;
pub mod wire;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dits_core::chunk::Profile;
    use dits_core::index::{Base, decode_journal};
    use dits_core::maintain::references;
    use dits_core::object::ObjectKind;
    use dits_core::store::Condemned;
    use dits_core::store::pack::layout::{TRAILER_LEN, Trailer, decode_header};
    use dits_core::store::pack::merged::MergedHeader;
    use dits_core::store::pack::page::decode_page;
    use dits_sync::wire::Message;

    fn seed(name: &str) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Mutations of something that no decoder takes would not get far.
    #[test]
    fn the_seeds_are_whole() {
        assert!(Base::open(seed("index_base/base")).is_ok());
        assert!(decode_journal(&seed("index_journal/journal")).is_ok());
        assert!(Condemned::decode(&seed("condemned/list")).is_ok());
        assert_eq!(MergedHeader::decode(&seed("merged/three")).map(|header| header.packs.len()), Ok(3));
        let profile: Result<Profile, _> = dits_core::codec::decode::<_, 64>(&seed("decode/profile"));
        assert!(profile.is_ok(), "{profile:?}");
        for name in ["dits", "file", "https", "path", "scp", "ssh"] {
            let text = String::from_utf8_lossy(&seed(&format!("url/{name}"))).into_owned();
            assert!(dits_sync::url::RemoteUrl::parse(&text).is_ok(), "{name}");
        }
        let page = seed("page/first");
        assert!(decode_page(&page[1..], page[0].into()).is_some());
        let pack = seed("pack/small");
        assert!(decode_header(&pack).is_ok());
        assert!(
            pack.last_chunk::<TRAILER_LEN>()
                .is_some_and(|end| Trailer::decode(end, super::store::fitting(end)).is_ok())
        );
        for (name, seed_of) in [("fetch", 6), ("start", 7), ("push", 9), ("want", 19), ("get", 21)] {
            let bytes = seed(&format!("message/{name}"));
            assert!(bytes[0] == seed_of && Message::decode(&bytes.into()).is_ok(), "{name}");
        }
        for name in ["commit1", "manifest1", "tree1", "tree2"] {
            let bytes = seed(&format!("object/{name}"));
            let kind = ObjectKind::from_code(bytes[0]).expect("a kind");
            assert!(references(kind, &kind.digest(&bytes[1..]), &bytes[1..]).is_ok(), "{name}");
        }
    }
}
