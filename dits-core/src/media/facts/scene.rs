//! Blender, glTF and FBX.

use super::Facts;
use super::source::{Parse, Source, Stop};

/// The header of a `.blend`: `BLENDER`, pointer size, byte order, version; from Blender 5 on with a length in front and
/// a version of four digits.
pub(super) fn blend(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let header = src.up_to(0, 17)?;
    let (pointer, digits) = match header.u8(7).ok_or(Stop::Malformed)? {
        b'_' => (4u64, header.get(9, 3)),
        b'-' => (8, header.get(9, 3)),
        _ => (8, header.get(13, 4)),
    };
    let version: u64 = digits.and_then(|d| std::str::from_utf8(d).ok()?.parse().ok()).ok_or(Stop::Malformed)?;
    facts.text("version", format!("{}.{}", version / 100, version % 100).as_bytes());
    facts.number("pointer-size", pointer);
    Ok(())
}

pub(super) fn glb(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    facts.number("version", src.le32(4)?);
    Ok(())
}

pub(super) fn fbx(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let version = src.le32(23)?;
    facts.text("version", format!("{}.{}", version / 1000, version % 1000 / 100).as_bytes());
    Ok(())
}
