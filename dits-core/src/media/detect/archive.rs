//! Archives, compressed streams and programs.

use super::super::bytes::Bytes;
use super::super::file_type::FileType;

pub(super) fn magic(head: Bytes<'_>, _size: u64) -> Option<FileType> {
    const PREFIXES: &[(&[u8], FileType)] = &[
        (b"\x1f\x8b\x08", FileType::Gzip),
        (b"PK\x05\x06", FileType::Zip),
        (b"PK\x07\x08PK", FileType::Zip),
        (b"\x28\xb5\x2f\xfd", FileType::Zstd),
        (b"\xfd7zXZ\0", FileType::Xz),
        (b"\x04\x22\x4d\x18", FileType::Lz4),
        (b"7z\xbc\xaf\x27\x1c", FileType::SevenZip),
        (b"Rar!\x1a\x07", FileType::Rar),
        (b"SQLite format 3\0", FileType::Sqlite),
        (b"\x7fELF", FileType::Elf),
        (b"\0asm", FileType::Wasm),
        (b"\xfe\xed\xfa\xce", FileType::MachO),
        (b"\xfe\xed\xfa\xcf", FileType::MachO),
        (b"\xce\xfa\xed\xfe", FileType::MachO),
        (b"\xcf\xfa\xed\xfe", FileType::MachO),
    ];
    if let Some((_, found)) = PREFIXES.iter().find(|(prefix, _)| head.starts(prefix)) {
        return Some(*found);
    }
    if head.starts(b"PK\x03\x04") {
        return Some(zip(head));
    }
    if head.starts(b"BZh") && head.is(4, b"\x31\x41\x59\x26\x53\x59") {
        return Some(FileType::Bzip2);
    }
    if head.is(257, b"ustar") {
        return Some(FileType::Tar);
    }
    program(head)
}

/// The first entry of a zip tells some of the formats built on it.
fn zip(head: Bytes<'_>) -> FileType {
    let name_len = usize::from(head.le16(26).unwrap_or(0));
    let extra_len = usize::from(head.le16(28).unwrap_or(0));
    let name = head.get(30, name_len).unwrap_or_default();
    let stored = head.le16(8) == Some(0);
    if stored && (name.ends_with(b".usdc") || name.ends_with(b".usda") || name.ends_with(b".usd")) {
        FileType::Usdz
    } else if stored && name == b"mimetype" && head.is(30 + name_len + extra_len, b"application/x-krita") {
        FileType::Krita
    } else {
        FileType::Zip
    }
}

/// Windows programs by their second header; macOS programs for several processors (Java classes share that magic, with
/// a version of 45 or more where the count of processors is).
fn program(head: Bytes<'_>) -> Option<FileType> {
    if head.starts(b"MZ") {
        return head.is(head.le32(60)? as usize, b"PE\0\0").then_some(FileType::Pe);
    }
    let fat = head.starts(b"\xca\xfe\xba\xbe") && (1..=30).contains(&head.be32(4)?);
    fat.then_some(FileType::MachO)
}
