//! What the file of one ref says: a line with a checksum (`docs/format/refs.md`).

use crate::object::Digest;
use crate::refs::{RefName, Target};

/// The longest record, in bytes.
pub const MAX_RECORD: usize = 2048;

/// The line that stands for a target.
#[must_use]
pub fn encode(target: &Target) -> String {
    seal(&match target {
        Target::Id(id) => format!("id {id}"),
        Target::Symbolic(name) => format!("ref {name}"),
    })
}

/// Reads a line made by [`encode`], and nothing else.
///
/// # Errors
/// What is wrong with it.
pub fn decode(bytes: &[u8]) -> Result<Target, String> {
    let body = unseal(bytes)?;
    let target = match body.split_once(' ') {
        Some(("id", id)) => Target::Id(id.parse::<Digest>().map_err(|e| e.to_string())?),
        Some(("ref", name)) => Target::Symbolic(RefName::parse(name).map_err(|e| e.to_string())?),
        _ => return Err("it starts with neither `id` nor `ref`".to_owned()),
    };
    if encode(&target).as_bytes() != bytes {
        return Err("it is not in canonical form".to_owned());
    }
    Ok(target)
}

/// A line: the text, a space, its CRC-32 in hexadecimal, a line feed.
pub(super) fn seal(text: &str) -> String {
    format!("{text} {:08x}\n", crc32fast::hash(text.as_bytes()))
}

/// The text of a sealed line, which includes its line feed.
pub(super) fn unseal(bytes: &[u8]) -> Result<&str, String> {
    let line = bytes.strip_suffix(b"\n").ok_or("it does not end with a line feed")?;
    let line = std::str::from_utf8(line).map_err(|_| "it is not text")?;
    let (text, checksum) = line.rsplit_once(' ').ok_or("it has no checksum")?;
    if checksum != format!("{:08x}", crc32fast::hash(text.as_bytes())) {
        return Err("its checksum does not fit".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let id = Target::Id(Digest([0xab; 32]));
        assert_eq!(encode(&id), "id abababababababababababababababababababababababababababababababab 8bc768b5\n");
        let head = Target::Symbolic(RefName::branch("main").unwrap());
        assert_eq!(encode(&head), "ref refs/branches/main b48f168e\n");
        assert_eq!(decode(encode(&id).as_bytes()).unwrap(), id);
        assert_eq!(decode(encode(&head).as_bytes()).unwrap(), head);
    }

    #[test]
    fn any_damage_is_found() {
        for target in [Target::Id(Digest([7; 32])), Target::Symbolic(RefName::branch("main").unwrap())] {
            let good = encode(&target).into_bytes();
            for at in 0..good.len() {
                assert!(decode(&good[..at]).is_err());
                for bit in 0..8 {
                    let mut bad = good.clone();
                    bad[at] ^= 1 << bit;
                    assert!(decode(&bad).is_err(), "{at} {bit}");
                }
            }
        }
        assert!(decode(seal(&format!("id {}", "AB".repeat(32))).as_bytes()).is_err(), "capitals are not canonical");
    }
}
