//! Video containers, and the ISO base media family (which is also m4a, HEIF and CR3).

use super::super::bytes::Bytes;
use super::super::file_type::FileType;

/// How far into the file the first frame of a Blackmagic RAW movie is looked for.
const BRAW_REACH: usize = 4096;
/// How many compatible brands are looked at.
const MAX_BRANDS: usize = 64;
/// How many transport stream packets must agree, and the most that are asked.
const TS_PACKETS: (usize, usize) = (3, 8);

pub(super) fn magic(head: Bytes<'_>, size: u64) -> Option<FileType> {
    if head.is(4, b"ftyp") {
        return Some(brand(head));
    }
    if head.starts(b"\x1a\x45\xdf\xa3") {
        // DocType (0x4282), four bytes long.
        return Some(if head.has(b"\x42\x82\x84webm", 128) { FileType::Webm } else { FileType::Mkv });
    }
    if head.starts(b"RIFF") && head.is(8, b"AVI ") {
        return Some(FileType::Avi);
    }
    if head.starts(b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02") {
        return Some(FileType::Mxf);
    }
    if head.starts(b"FLV\x01") {
        return Some(FileType::Flv);
    }
    if head.starts(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c") {
        return Some(FileType::Asf);
    }
    if head.is(4, b"RED1") || head.is(4, b"RED2") {
        return Some(FileType::R3d);
    }
    if head.starts(b"\0\0\x01\xba") || head.starts(b"\0\0\x01\xb3") {
        return Some(FileType::MpegPs);
    }
    quicktime(head, size)
}

/// The type behind an `ftyp` box: the major brand, else the first compatible brand that tells.
fn brand(head: Bytes<'_>) -> FileType {
    let end = (head.be32(0).unwrap_or(0) as usize).min(head.0.len());
    let known = |at| match &head.tag(at)? {
        b"qt  " => Some(FileType::Mov),
        b"M4A " | b"M4B " | b"M4P " => Some(FileType::M4a),
        b"avif" | b"avis" => Some(FileType::Avif),
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" => Some(FileType::Heic),
        b"crx " => Some(FileType::Cr3),
        b"jp2 " | b"jpx " => Some(FileType::Jp2),
        b"braw" => Some(FileType::Braw),
        b"isom" | b"mp41" | b"mp42" | b"M4V " | b"avc1" | b"dash" | b"XAVC" => Some(FileType::Mp4),
        _ => None,
    };
    if let Some(found) = known(8) {
        return found;
    }
    let generic_image = head.is(8, b"mif1") || head.is(8, b"msf1");
    let compatible = (16..end.saturating_sub(3)).step_by(4).take(MAX_BRANDS).find_map(known);
    compatible.unwrap_or(if generic_image { FileType::Heic } else { FileType::Mp4 })
}

/// QuickTime files from before `ftyp` begin with one of a few boxes, whose size has to fit the file.
fn quicktime(head: Bytes<'_>, size: u64) -> Option<FileType> {
    let kind = head.tag(4)?;
    if !matches!(&kind, b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot") {
        return None;
    }
    let length = match head.be32(0)? {
        1 => head.be64(8)?,
        0 if &kind == b"mdat" => size,
        short => u64::from(short),
    };
    if length < 8 || length > size {
        return None;
    }
    Some(if head.has(b"bmdf", BRAW_REACH) { FileType::Braw } else { FileType::Mov })
}

/// Streams without a magic: MPEG transport streams (188-byte packets, or 192 with a time code) and raw DV.
pub(super) fn sync_bytes(head: Bytes<'_>, _size: u64) -> Option<FileType> {
    let in_step = |first: usize, step: usize| {
        let packets = head.0.len().saturating_sub(first).div_ceil(step).min(TS_PACKETS.1);
        packets >= TS_PACKETS.0 && (0..packets).all(|i| head.u8(first + i * step) == Some(0x47))
    };
    if in_step(0, 188) || in_step(4, 192) {
        return Some(FileType::MpegTs);
    }
    // DIF blocks of 80 bytes: one header, two subcode, then VAUX; the section type is the top three bits.
    let section = |block: usize| head.u8(block * 80).map(|b| b >> 5);
    let dv = head.starts(b"\x1f\x07\x00")
        && section(1) == Some(1)
        && section(2) == Some(1)
        && (3..6).all(|b| section(b) == Some(2));
    dv.then_some(FileType::Dv)
}
