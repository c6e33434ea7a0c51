//! Still images, among them the camera raw formats built on TIFF.

use super::super::bytes::Bytes;
use super::super::file_type::FileType;

/// How many tags of a TIFF's first directory are looked at.
const MAX_TAGS: usize = 512;

pub(super) fn magic(head: Bytes<'_>, size: u64) -> Option<FileType> {
    const PREFIXES: &[(&[u8], FileType)] = &[
        (b"\x89PNG\r\n\x1a\n", FileType::Png),
        (b"\xff\xd8\xff", FileType::Jpeg),
        (b"GIF87a", FileType::Gif),
        (b"GIF89a", FileType::Gif),
        (b"\x76\x2f\x31\x01", FileType::Exr),
        (b"SDPX", FileType::Dpx),
        (b"XPDS", FileType::Dpx),
        (b"\x80\x2a\x5f\xd7", FileType::Cineon),
        (b"#?RADIANCE", FileType::Hdr),
        (b"#?RGBE", FileType::Hdr),
        (b"8BPS\0\x01", FileType::Psd),
        (b"8BPS\0\x02", FileType::Psb),
        (b"gimp xcf ", FileType::Xcf),
        (b"\0\0\0\x0cjP  \r\n\x87\n", FileType::Jp2),
        (b"\xff\x4f\xff\x51", FileType::Jp2),
        (b"\0\0\0\x0cJXL \r\n\x87\n", FileType::Jxl),
        (b"DDS \x7c\0\0\0", FileType::Dds),
        (b"\xabKTX ", FileType::Ktx),
        (b"FUJIFILMCCD-RAW ", FileType::CameraRaw),
        (b"IIU\0", FileType::CameraRaw),
        (b"IIRO", FileType::CameraRaw),
        (b"IIRS", FileType::CameraRaw),
        (b"MMOR", FileType::CameraRaw),
    ];
    if let Some((_, found)) = PREFIXES.iter().find(|(prefix, _)| head.starts(prefix)) {
        return Some(*found);
    }
    if head.starts(b"RIFF") && head.is(8, b"WEBP") {
        return Some(FileType::Webp);
    }
    if is_bmp(head, size) {
        return Some(FileType::Bmp);
    }
    tiff(head)
}

/// `BM`, two reserved zeros, and a header whose size is one that exists.
fn is_bmp(head: Bytes<'_>, size: u64) -> bool {
    head.starts(b"BM")
        && head.le32(6) == Some(0)
        && head.le32(10).is_some_and(|pixels| u64::from(pixels) <= size)
        && matches!(head.le32(14), Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
}

fn tiff(head: Bytes<'_>) -> Option<FileType> {
    let big_endian = match &head.tag(0)? {
        b"II*\0" if head.is(8, b"CR\x02") => return Some(FileType::Cr2),
        b"II*\0" => false,
        b"MM\0*" => true,
        b"II+\0" | b"MM\0+" => return Some(FileType::Tiff),
        _ => return None,
    };
    Some(camera(head, big_endian).unwrap_or(FileType::Tiff))
}

/// DNG by its version tag; NEF and ARW by maker, when the first directory is a thumbnail with others below it (a
/// developed TIFF keeps the maker but not that shape).
fn camera(head: Bytes<'_>, big_endian: bool) -> Option<FileType> {
    let u16_at = |at| if big_endian { head.be16(at) } else { head.le16(at) };
    let u32_at = |at| if big_endian { head.be32(at) } else { head.le32(at) };
    let directory = u32_at(4)? as usize;
    let (mut thumbnail, mut below, mut maker) = (false, false, None);
    for i in 0..usize::from(u16_at(directory)?).min(MAX_TAGS) {
        let entry = directory.checked_add(2 + i * 12)?;
        let Some(tag) = u16_at(entry) else { break };
        match tag {
            0xc612 => return Some(FileType::Dng),
            0x00fe => thumbnail = u32_at(entry + 8)? == 1,
            0x014a => below = true,
            0x010f => maker = u32_at(entry + 8),
            _ => {}
        }
    }
    let maker = maker.filter(|_| thumbnail && below)? as usize;
    if head.is(maker, b"NIKON") {
        Some(FileType::Nef)
    } else if head.is(maker, b"SONY") {
        Some(FileType::Arw)
    } else {
        None
    }
}
