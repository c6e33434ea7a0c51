//! What makes the Merkle tree one of names.

use bincode::{Decode, Encode};

use super::{Content, TreeEntry};
use crate::merkle::{Cut, Link, Shape};
use crate::object::ObjectKind;
use crate::path;

/// The entries of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Names {}

/// What a link says of the entries below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(crate) struct Sum {
    /// The name of the last of them.
    pub last: Vec<u8>,
    /// How many there are.
    pub count: u64,
}

/// Bits made from a name. Only the name decides where nodes end, so that a changed file changes one leaf and never the
/// boundaries.
fn name_hash(level: u8, name: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("dits 2026 tree node boundary v1");
    hasher.update(&[level]).update(name);
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Shape for Names {
    const KIND: ObjectKind = ObjectKind::Tree;
    const ROOT_TAGS: &[u32] = &[];
    type Item = TreeEntry;
    type Sum = Sum;

    fn sum(item: &TreeEntry) -> Sum {
        Sum { last: item.name.clone(), count: 1 }
    }

    fn absorb(sum: &mut Sum, next: &Sum) -> Result<(), &'static str> {
        if next.last <= sum.last {
            return Err("its names are not in order");
        }
        sum.last.clone_from(&next.last);
        sum.count = sum.count.checked_add(next.count).ok_or("it has more entries than can be counted")?;
        Ok(())
    }

    fn extent(sum: &Sum) -> u64 {
        sum.count
    }

    fn check_item(item: &TreeEntry) -> Result<(), String> {
        item.check().map_err(|e| e.to_string())
    }

    fn check_sum(sum: &Sum) -> Result<(), String> {
        if sum.count == 0 {
            return Err("a link says that there is nothing below it".to_owned());
        }
        path::check_component(&sum.last).map_err(|e| e.to_string())
    }

    fn item_cut(item: &TreeEntry) -> Cut {
        let target = match &item.content {
            Content::Symlink(target) => target.len(),
            _ => 0,
        };
        Cut { weight: item.name.len() + 46 + target, hash: name_hash(0, &item.name) }
    }

    fn link_cut(level: u8, link: &Link<Self>) -> Cut {
        Cut { weight: link.sum.last.len() + 44, hash: name_hash(level, &link.sum.last) }
    }
}
