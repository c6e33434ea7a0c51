//! PNG, JPEG, GIF, BMP, Photoshop, DPX and OpenEXR.

use super::Facts;
use super::source::{Parse, Source, Stop, past};

/// How many JPEG segments, PNG chunks or EXR attributes are looked at.
const MAX_PARTS: usize = 1024;

pub(super) fn png(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    if &src.tag(12)? != b"IHDR" {
        return Err(Stop::Malformed);
    }
    facts.size(src.be32(16)?, src.be32(20)?);
    facts.number("bit-depth", src.u8(24)?);
    let colour: &[u8] = match src.u8(25)? {
        0 => b"grey",
        2 => b"RGB",
        3 => b"palette",
        4 => b"grey with alpha",
        6 => b"RGB with alpha",
        _ => return Err(Stop::Malformed),
    };
    facts.text("colour", colour);
    Ok(())
}

/// The frame header of a JPEG holds all; segments before it are skipped by their lengths.
pub(super) fn jpeg(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let mut at = 2u64;
    for _ in 0..MAX_PARTS {
        if src.u8(at)? != 0xff {
            return Err(Stop::Malformed);
        }
        let marker = src.u8(past(at, 1)?)?;
        match marker {
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return frame_header(src, at, marker, facts),
            0xd9 | 0xda => return Err(Stop::Malformed),
            _ => at = past(at, 2 + u64::from(src.be16(past(at, 2)?)?))?,
        }
    }
    Err(Stop::Malformed)
}

fn frame_header(src: &mut Source<'_>, at: u64, marker: u8, facts: &mut Facts) -> Parse<()> {
    let (height, width) = (src.be16(past(at, 5)?)?, src.be16(past(at, 7)?)?);
    facts.size(width, height);
    facts.number("bit-depth", src.u8(past(at, 4)?)?);
    facts.number("channels", src.u8(past(at, 9)?)?);
    let process: &[u8] = match marker {
        0xc0 => b"baseline",
        0xc1 | 0xc9 => b"extended",
        0xc2 | 0xca => b"progressive",
        0xc3 | 0xcb => b"lossless",
        _ => b"hierarchical",
    };
    facts.text("compression", process);
    Ok(())
}

pub(super) fn gif(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    facts.size(src.le16(6)?, src.le16(8)?);
    facts.text("version", src.get(3, 3)?.0);
    Ok(())
}

pub(super) fn bmp(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    if src.le32(14)? == 12 {
        facts.size(src.le16(18)?, src.le16(20)?);
        facts.number("bit-depth", src.le16(24)?);
    } else {
        // A negative height means that the top row comes first.
        facts.size(src.le32(18)?, (src.le32(22)? as i32).unsigned_abs());
        facts.number("bit-depth", src.le16(28)?);
    }
    Ok(())
}

/// PSD and PSB: the header, then the layer count behind colour table and image resources. A negative count means that
/// the first alpha channel is the transparency of the merged image.
pub(super) fn photoshop(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let large = src.be16(4)? == 2;
    facts.number("channels", src.be16(12)?);
    facts.size(src.be32(18)?, src.be32(14)?);
    facts.number("bit-depth", src.be16(22)?);
    let mode: &[u8] = match src.be16(24)? {
        0 => b"bitmap",
        1 => b"grey",
        2 => b"indexed",
        3 => b"RGB",
        4 => b"CMYK",
        7 => b"multichannel",
        8 => b"duotone",
        9 => b"Lab",
        _ => return Err(Stop::Malformed),
    };
    facts.text("colour", mode);
    let resources = past(30, src.be32(26)?.into())?;
    let layers = past(past(resources, 4)?, src.be32(resources)?.into())?;
    let width = if large { 8 } else { 4 };
    let info = past(layers, width)?;
    let length = if large { src.be64(info)? } else { src.be32(info)?.into() };
    if length >= 2 {
        let count = src.be16(past(info, width)?)? as i16;
        facts.number("layers", count.unsigned_abs());
    }
    Ok(())
}

pub(super) fn dpx(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let little = &src.tag(0)? == b"XPDS";
    let mut u32_at = |at| if little { src.le32(at) } else { src.be32(at) };
    facts.size(u32_at(772)?, u32_at(776)?);
    let rate = f32::from_bits(u32_at(1940)?);
    facts.number("bit-depth", src.u8(803)?);
    let colour: &[u8] = match src.u8(800)? {
        6 => b"luma",
        50 => b"RGB",
        51 => b"RGBA",
        100..=103 => b"YCbCr",
        _ => b"other",
    };
    facts.text("colour", colour);
    facts.text("application", src.get(160, 100)?.0.split(|&b| b == 0xff).next().unwrap_or_default());
    if (1.0..1000.0).contains(&rate) {
        facts.rate((f64::from(rate) * 1000.0).round() as u64, 1000);
    }
    Ok(())
}

/// OpenEXR attributes: name, type, length, value; an empty name ends the (first part's) header.
pub(super) fn exr(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let mut at = 8;
    for _ in 0..MAX_PARTS {
        let name = c_string(src, at)?;
        if name.is_empty() {
            return Ok(());
        }
        let kind_at = past(at, name.len() as u64 + 1)?;
        let kind = c_string(src, kind_at)?;
        let len_at = past(kind_at, kind.len() as u64 + 1)?;
        let len = u64::from(src.le32(len_at)?);
        let value = past(len_at, 4)?;
        match name.as_slice() {
            b"dataWindow" if len == 16 => {
                let mut corner = |i: u64| -> Parse<i64> { Ok(i64::from(src.le32(past(value, i * 4)?)? as i32)) };
                let (x0, y0, x1, y1) = (corner(0)?, corner(1)?, corner(2)?, corner(3)?);
                let side = |from: i64, to: i64| u64::try_from(to - from + 1).unwrap_or(0);
                facts.size(side(x0, x1), side(y0, y1));
            }
            b"compression" if len == 1 => facts.text("compression", exr_compression(src.u8(value)?)),
            b"channels" => exr_channels(src, value, past(value, len)?, facts)?,
            _ => {}
        }
        at = past(value, len)?;
    }
    Err(Stop::Malformed)
}

fn c_string(src: &mut Source<'_>, at: u64) -> Parse<Vec<u8>> {
    let bytes = src.up_to(at, 256)?.0;
    let end = bytes.iter().position(|&b| b == 0).ok_or(Stop::Malformed)?;
    Ok(bytes[..end].to_vec())
}

fn exr_compression(code: u8) -> &'static [u8] {
    const NAMES: [&[u8]; 10] = [b"none", b"RLE", b"ZIPS", b"ZIP", b"PIZ", b"PXR24", b"B44", b"B44A", b"DWAA", b"DWAB"];
    NAMES.get(usize::from(code)).copied().unwrap_or(b"unknown")
}

/// Each channel is a name and sixteen bytes, of which the first four are the sample type.
fn exr_channels(src: &mut Source<'_>, from: u64, end: u64, facts: &mut Facts) -> Parse<()> {
    let (mut at, mut count) = (from, 0u64);
    while at < end {
        let name = c_string(src, at)?;
        if name.is_empty() {
            break;
        }
        let kind = past(at, name.len() as u64 + 1)?;
        let depth = if src.le32(kind)? == 1 { 16u64 } else { 32 };
        facts.number("bit-depth", depth);
        count += 1;
        at = past(kind, 16)?;
    }
    facts.number("channels", count);
    Ok(())
}
