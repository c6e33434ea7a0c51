//! TIFF, BigTIFF and the camera raw formats built on them.

use super::Facts;
use super::source::{Parse, Source, Stop, past};

/// How many tags of the first directory are looked at.
const MAX_TAGS: u64 = 1024;

struct Layout {
    little: bool,
    big: bool,
}

impl Layout {
    fn u16(&self, src: &mut Source<'_>, at: u64) -> Parse<u64> {
        Ok(if self.little { src.le16(at)? } else { src.be16(at)? }.into())
    }

    fn u32(&self, src: &mut Source<'_>, at: u64) -> Parse<u64> {
        Ok(if self.little { src.le32(at)? } else { src.be32(at)? }.into())
    }

    /// An offset or count: eight bytes in BigTIFF, four otherwise.
    fn word(&self, src: &mut Source<'_>, at: u64) -> Parse<u64> {
        match (self.big, self.little) {
            (false, _) => self.u32(src, at),
            (true, true) => src.le64(at),
            (true, false) => src.be64(at),
        }
    }
}

struct Tag {
    id: u64,
    kind: u64,
    count: u64,
    /// Where the value is: in the entry itself when it fits there.
    value: u64,
}

/// Facts of the first directory. In a camera raw file that may be a preview; its size is then left out.
pub(super) fn tiff(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let little = src.u8(0)? == b'I';
    let layout = Layout { little, big: matches!((src.u8(2)?, src.u8(3)?), (43, 0) | (0, 43)) };
    let directory = layout.word(src, if layout.big { 8 } else { 4 })?;
    let (count, first) = if layout.big {
        (layout.word(src, directory)?, past(directory, 8)?)
    } else {
        (layout.u16(src, directory)?, past(directory, 2)?)
    };
    let (mut shape, step) = (Shape::default(), if layout.big { 20 } else { 12 });
    let walk = (0..count.min(MAX_TAGS)).try_for_each(|i| {
        let tag = tag(src, &layout, past(first, i * step)?)?;
        apply(src, &layout, &tag, &mut shape, facts)
    });
    // What was read before a bad tag still holds.
    if !shape.preview {
        facts.size(shape.width, shape.height);
    }
    walk
}

#[derive(Default)]
struct Shape {
    width: u64,
    height: u64,
    preview: bool,
}

fn apply(src: &mut Source<'_>, layout: &Layout, tag: &Tag, shape: &mut Shape, facts: &mut Facts) -> Parse<()> {
    match tag.id {
        0x00fe => shape.preview = number(src, layout, tag)? & 1 == 1,
        0x0100 => shape.width = number(src, layout, tag)?,
        0x0101 => shape.height = number(src, layout, tag)?,
        0x0102 => facts.number("bit-depth", number(src, layout, tag)?),
        0x0103 => facts.text("compression", compression(number(src, layout, tag)?)),
        0x0115 => facts.number("channels", number(src, layout, tag)?),
        0x0110 => text(src, tag, "camera", facts)?,
        0x0131 => text(src, tag, "application", facts)?,
        _ => {}
    }
    Ok(())
}

fn tag(src: &mut Source<'_>, layout: &Layout, at: u64) -> Parse<Tag> {
    let (id, kind) = (layout.u16(src, at)?, layout.u16(src, past(at, 2)?)?);
    let count = layout.word(src, past(at, 4)?)?;
    let slot = past(at, if layout.big { 12 } else { 8 })?;
    let unit = match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        _ => 8,
    };
    let bytes = count.checked_mul(unit).ok_or(Stop::Malformed)?;
    let value = if bytes <= if layout.big { 8 } else { 4 } { slot } else { layout.word(src, slot)? };
    Ok(Tag { id, kind, count, value })
}

/// The first value of a short or long tag.
fn number(src: &mut Source<'_>, layout: &Layout, tag: &Tag) -> Parse<u64> {
    match tag.kind {
        1 => src.u8(tag.value).map(u64::from),
        3 => layout.u16(src, tag.value),
        4 | 13 => layout.u32(src, tag.value),
        16 if layout.big => layout.word(src, tag.value),
        _ => Err(Stop::Malformed),
    }
}

fn text(src: &mut Source<'_>, tag: &Tag, key: &'static str, facts: &mut Facts) -> Parse<()> {
    let len = usize::try_from(tag.count).unwrap_or(usize::MAX).min(super::MAX_TEXT);
    facts.text(key, src.up_to(tag.value, len)?.0);
    Ok(())
}

fn compression(code: u64) -> &'static [u8] {
    match code {
        1 => b"none",
        2..=4 => b"CCITT",
        5 => b"LZW",
        6 | 7 => b"JPEG",
        8 | 32_946 => b"deflate",
        32_773 => b"PackBits",
        34_713 => b"Nikon",
        34_892 => b"lossy DNG",
        50_000 => b"zstd",
        _ => b"other",
    }
}
