//! The frozen detection table: one head per type, its name, and its preset at three sizes.

use super::super::{FileType, Preset, TABLE_VERSION};
use super::*;
use proptest::prelude::*;

/// A head given by pieces: bytes at offsets, zeros between.
fn at(pieces: &[(usize, &[u8])]) -> Vec<u8> {
    let len = pieces.iter().map(|(at, bytes)| at + bytes.len()).max().unwrap_or(0);
    let mut head = vec![0; len];
    for (at, bytes) in pieces {
        head[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    head
}

fn ftyp(brands: &[u8]) -> Vec<u8> {
    let mut head = (8 + brands.len() as u32).to_be_bytes().to_vec();
    head.extend(b"ftyp");
    head.extend(brands);
    head
}

/// A little-endian TIFF with these (tag, value) entries, and `text` at offset 8.
fn tiff(text: &[u8; 8], entries: &[(u16, u32)]) -> Vec<u8> {
    let mut head = b"II*\0\x10\0\0\0".to_vec();
    head.extend(text);
    head.extend((entries.len() as u16).to_le_bytes());
    for (tag, value) in entries {
        head.extend(tag.to_le_bytes());
        head.extend([4, 0, 1, 0, 0, 0]);
        head.extend(value.to_le_bytes());
    }
    head
}

fn repeat(frame: &[u8], len: usize, times: usize) -> Vec<u8> {
    let mut one = frame.to_vec();
    one.resize(len, 0);
    one.repeat(times)
}

/// (head, name, presets at 100 kB, 10 MB and 100 MB): d(efault), v(ideo), p(roject), s(mall).
///
/// A row changes only together with [`TABLE_VERSION`]; rows may be added for what an old row did not pin down.
fn table() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let pe = at(&[(0, b"MZ"), (60, b"\x80\0\0\0"), (128, b"PE\0\0")]);
    let dv =
        at(&[(0, b"\x1f\x07\0\xbf"), (80, b"\x3f"), (160, b"\x3f"), (240, b"\x5f"), (320, b"\x5f"), (400, b"\x5f")]);
    let mimetype = at(&[(0, b"PK\x03\x04"), (26, b"\x08\0"), (30, b"mimetypeapplication/x-krita")]);
    vec![
        (ftyp(b"isom\0\0\x02\0isomiso2"), "mp4", "vvv"),
        (ftyp(b"3gp4\0\0\0\0"), "mp4", "vvv"),
        (ftyp(b"qt  \0\0\x02\0qt  "), "mov", "vvv"),
        (b"\0\0\0\x08wide\0\0\x10\0mdat".to_vec(), "mov", "vvv"),
        (b"\0\0\x10\0moov\0\0\0\x6cmvhd".to_vec(), "mov", "vvv"),
        (b"\0\0\0\x01mdat\0\0\0\0\0\0\x10\0".to_vec(), "mov", "vvv"),
        (b"\0\0\0\x08wide\0\0\x10\0mdat\0\0\x10\0bmdf".to_vec(), "braw", "vvv"),
        (b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska".to_vec(), "mkv", "vvv"),
        (b"\x1a\x45\xdf\xa3\x93\x42\x82\x84webm".to_vec(), "webm", "vvv"),
        (b"RIFF\0\0\0\0AVI LIST".to_vec(), "avi", "vvv"),
        (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02\x04\0".to_vec(), "mxf", "vvv"),
        (repeat(b"\x47\x40", 188, 4), "mpeg-ts", "vvv"),
        (repeat(b"\0\0\0\0\x47\x40", 192, 4), "mpeg-ts", "vvv"),
        (b"\0\0\x01\xba\x44".to_vec(), "mpeg-ps", "vvv"),
        (b"FLV\x01\x05".to_vec(), "flv", "vvv"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c".to_vec(), "asf", "vvv"),
        (b"\0\0\x01\0RED2".to_vec(), "r3d", "vvv"),
        (dv, "dv", "vvv"),
        (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec(), "wav", "sdd"),
        (at(&[(0, b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"), (36, b"bext\0\0\0\0")]), "bwf", "sdd"),
        (b"RF64\xff\xff\xff\xffWAVEds64".to_vec(), "rf64", "sdd"),
        (b"FORM\0\0\0\0AIFC".to_vec(), "aiff", "sdd"),
        (b"caff\0\x01\0\0".to_vec(), "caf", "sdd"),
        (b"fLaC\0\0\0\x22".to_vec(), "flac", "ddd"),
        (b"ID3\x04\0\0\0\0\0\0\xff\xfb".to_vec(), "mp3", "ddd"),
        (b"ID3\x04\0\0\0\0\0\0fLaC".to_vec(), "flac", "ddd"),
        (repeat(b"\xff\xfb\x90\x64", 417, 3), "mp3", "ddd"),
        (repeat(b"\xff\xf1\x50\x80\x02\x1f\xfc", 16, 3), "aac", "ddd"),
        (b"OggS\0\x02".to_vec(), "ogg", "ddd"),
        (ftyp(b"M4A \0\0\x02\0"), "m4a", "ddd"),
        (b"MThd\0\0\0\x06".to_vec(), "midi", "sdd"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec(), "png", "ddd"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(), "jpeg", "ddd"),
        (b"GIF89a".to_vec(), "gif", "ddd"),
        (tiff(b"........", &[(0x100, 64)]), "tiff", "sdd"),
        (b"MM\0+\0\x08\0\0".to_vec(), "tiff", "sdd"),
        (tiff(b"........", &[(0x100, 64), (0xc612, 0x0401)]), "dng", "sdd"),
        (tiff(b"CR\x02\0....", &[]), "cr2", "ddd"),
        (tiff(b"NIKON CO", &[(0xfe, 1), (0x10f, 8), (0x14a, 9)]), "nef", "sdd"),
        (tiff(b"NIKON CO", &[(0xfe, 0), (0x10f, 8)]), "tiff", "sdd"),
        (tiff(b"SONY\0...", &[(0xfe, 1), (0x10f, 8), (0x14a, 9)]), "arw", "sdd"),
        (ftyp(b"crx \0\0\0\x01crx "), "cr3", "ddd"),
        (b"FUJIFILMCCD-RAW 0201".to_vec(), "camera-raw", "sdd"),
        (b"\x76\x2f\x31\x01\x02\0\0\0".to_vec(), "exr", "sdd"),
        (b"SDPX\0\0\x20\0V1.0".to_vec(), "dpx", "sdd"),
        (b"\x80\x2a\x5f\xd7".to_vec(), "cineon", "sdd"),
        (b"#?RADIANCE\n".to_vec(), "hdr", "sdd"),
        (b"8BPS\0\x01\0\0".to_vec(), "psd", "sdd"),
        (b"8BPS\0\x02\0\0".to_vec(), "psb", "sdd"),
        (b"gimp xcf v011\0".to_vec(), "xcf", "sdd"),
        (b"RIFF\0\0\0\0WEBPVP8 ".to_vec(), "webp", "ddd"),
        (ftyp(b"heic\0\0\0\0mif1"), "heic", "ddd"),
        (ftyp(b"mif1\0\0\0\0mif1heic"), "heic", "ddd"),
        (ftyp(b"mif1\0\0\0\0miafavif"), "avif", "ddd"),
        (ftyp(b"avif\0\0\0\0mif1"), "avif", "ddd"),
        (b"\0\0\0\x0cjP  \r\n\x87\n".to_vec(), "jp2", "ddd"),
        (b"\0\0\0\x0cJXL \r\n\x87\n".to_vec(), "jxl", "ddd"),
        (at(&[(0, b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0")]), "bmp", "sdd"),
        (b"DDS \x7c\0\0\0".to_vec(), "dds", "sdd"),
        (b"\xabKTX 20\xbb".to_vec(), "ktx", "sdd"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "svg", "ssd"),
        (b"<?xml version='1.0'?>\n<!-- a -->\n<svg/>".to_vec(), "svg", "ssd"),
        (b"BLENDER-v405".to_vec(), "blend", "ppd"),
        (b"BLENDER17-01v0500".to_vec(), "blend", "ppd"),
        (b"Kaydara FBX Binary  \0\x1a\0".to_vec(), "fbx", "ppd"),
        (b"; FBX 7.7.0 project file\n".to_vec(), "fbx-ascii", "ppd"),
        (b"glTF\x02\0\0\0".to_vec(), "glb", "sdd"),
        (b"PXR-USDC\0\x08\0".to_vec(), "usdc", "ppd"),
        (b"#usda 1.0\n".to_vec(), "usda", "ssd"),
        (at(&[(0, b"PK\x03\x04"), (26, b"\x06\0"), (30, b"a.usdc")]), "usdz", "sdd"),
        (b"Ogawa\xff\0\x01".to_vec(), "alembic", "sdd"),
        (b"\x89HDF\r\n\x1a\n".to_vec(), "hdf5", "sdd"),
        (b"\x20BDV\0\0\0\0".to_vec(), "vdb", "sdd"),
        (b"solid cube\n facet normal 0 0 1\n".to_vec(), "stl-ascii", "ssd"),
        (b"ply\nformat ascii 1.0\n".to_vec(), "ply", "sdd"),
        (b"FOR4\0\0\0\x10MayaHEAD".to_vec(), "maya", "ppd"),
        (at(&[(0, b"FOR8"), (16, b"Maya")]), "maya", "ppd"),
        (b"//Maya ASCII 2025 scene\n".to_vec(), "maya-ascii", "ppd"),
        (b"QC4DC4D6\0".to_vec(), "c4d", "ppd"),
        (b"\xc1\x83\x2a\x9e\xf8\xff\xff\xff".to_vec(), "unreal", "ppd"),
        (b"%YAML 1.1\n%TAG !u! tag:unity3d.com,2011:\n".to_vec(), "unity-yaml", "ppd"),
        (b"UnityFS\0\0\0\0\x08".to_vec(), "unity-bundle", "ddd"),
        (b"RIFX\0\0\x10\0Egg!".to_vec(), "aep", "ppd"),
        (b"<?xml version=\"1.0\"?>\n<PremiereData Version=\"3\">".to_vec(), "premiere-xml", "ppd"),
        (b"<?xml version=\"1.0\"?>\n<!DOCTYPE fcpxml>\n<fcpxml version=\"1.10\">".to_vec(), "fcpxml", "ppd"),
        (b"<?xml version=\"1.0\"?>\n<xmeml version=\"5\">".to_vec(), "xmeml", "ppd"),
        (b"{\n  \"OTIO_SCHEMA\": \"Timeline.1\"".to_vec(), "otio", "ppd"),
        (b"\x06\0DomainJ\0\0\0".to_vec(), "avid-bin", "ppd"),
        (b"\x030010111100101011\0".to_vec(), "pro-tools", "ppd"),
        (b"<REAPER_PROJECT 0.1 \"7.0\"\n".to_vec(), "reaper", "ppd"),
        (b"#! /opt/Nuke15.0/libnuke.so -nx\nversion 15.0 v4\n".to_vec(), "nuke", "ppd"),
        (b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5\xbd\x31\xef\xe7\xfe\x74\xb7\x1d".to_vec(), "indesign", "ppd"),
        (b"\0\xffKSA\x0a\0".to_vec(), "affinity", "ppd"),
        (mimetype, "krita", "sdd"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), "ole2", "ppd"),
        (b"\x1f\x8b\x08\0".to_vec(), "gzip", "ddd"),
        (at(&[(0, b"PK\x03\x04"), (26, b"\x01\0"), (30, b"a")]), "zip", "ddd"),
        (b"\x28\xb5\x2f\xfd".to_vec(), "zstd", "ddd"),
        (b"\xfd7zXZ\0".to_vec(), "xz", "ddd"),
        (b"BZh9\x31\x41\x59\x26\x53\x59".to_vec(), "bzip2", "ddd"),
        (b"\x04\x22\x4d\x18".to_vec(), "lz4", "ddd"),
        (b"7z\xbc\xaf\x27\x1c".to_vec(), "7z", "ddd"),
        (b"Rar!\x1a\x07\x01\0".to_vec(), "rar", "ddd"),
        (at(&[(0, b"a.txt"), (257, b"ustar\0")]), "tar", "sdd"),
        (b"%PDF-1.7\n".to_vec(), "pdf", "ddd"),
        (b"%!PS-Adobe-3.0\n".to_vec(), "postscript", "ssd"),
        (b"\xef\xbb\xbf<?xml version=\"1.0\"?><a/>".to_vec(), "xml", "ppd"),
        (b"<!DOCTYPE html><html>".to_vec(), "html", "ssd"),
        (b"{\"a\": 1}".to_vec(), "json", "ssd"),
        (b"{\\rtf1 a}".to_vec(), "rtf", "ssd"),
        (b"SQLite format 3\0".to_vec(), "sqlite", "ppd"),
        (b"\0\x01\0\0\0\x0a\0\x80".to_vec(), "font", "sdd"),
        (b"wOF2\0\x01\0\0".to_vec(), "web-font", "ddd"),
        (b"[section]\nkey = value\n".to_vec(), "text", "ssd"),
        ("naïve — text\n".as_bytes().to_vec(), "text", "ssd"),
        (b"\xff\xfea\0b\0".to_vec(), "text-utf16", "ssd"),
        (b"\x7fELF\x02".to_vec(), "elf", "sdd"),
        (pe, "pe", "sdd"),
        (b"\xcf\xfa\xed\xfe".to_vec(), "mach-o", "sdd"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02".to_vec(), "mach-o", "sdd"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34".to_vec(), "binary", "sdd"),
        (b"\0asm\x01\0\0\0".to_vec(), "wasm", "sdd"),
        (b"\x01\x02\x03\x04\xff\xfe".to_vec(), "binary", "sdd"),
        (b"caf\xe9 in Latin-1 ".to_vec(), "binary", "sdd"),
        (Vec::new(), "binary", "sdd"),
    ]
}

const SIZES: [u64; 3] = [100_000, 10_000_000, 100_000_000];

fn letter(preset: Preset) -> char {
    preset.name().chars().next().unwrap()
}

#[test]
fn table_is_frozen() {
    assert_eq!(TABLE_VERSION, 1);
    let mut failures = Vec::new();
    for (head, name, presets) in table() {
        let found = detect(&head, SIZES[2]);
        let got: String = SIZES.iter().map(|&size| letter(found.preset(size))).collect();
        if (found.name(), got.as_str()) != (name, presets) {
            failures.push(format!("{name} {presets}: got {} {got} for {:?}", found.name(), bstr::BStr::new(&head)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_type_has_a_row() {
    let mut named: Vec<_> = table().into_iter().map(|(_, name, _)| name).collect();
    named.extend(["empty", "stl"]);
    let missing: Vec<_> = FileType::ALL.iter().map(|t| t.name()).filter(|name| !named.contains(name)).collect();
    assert!(missing.is_empty(), "no frozen row for {missing:?}");
}

#[test]
fn names_are_unique_tokens() {
    for (i, file_type) in FileType::ALL.iter().enumerate() {
        let name = file_type.name();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
        assert_eq!(FileType::from_name(name), Some(FileType::ALL[i]));
    }
}

#[test]
fn flags_are_frozen() {
    let list = |keep: fn(FileType) -> bool| {
        let names: Vec<_> = FileType::ALL.iter().filter(|t| keep(**t)).map(|t| t.name()).collect();
        names.join(" ")
    };
    assert_eq!(
        list(FileType::lockable_by_default),
        "psd psb xcf blend fbx fbx-ascii glb usdc usdz alembic hdf5 vdb stl ply maya maya-ascii c4d unreal \
         unity-yaml unity-bundle aep premiere-xml fcpxml xmeml otio avid-bin pro-tools reaper nuke indesign affinity krita ole2 \
         sqlite"
    );
    assert_eq!(
        list(FileType::is_precompressed),
        "mp4 mkv webm mpeg-ts mpeg-ps flv asf r3d braw dv flac mp3 ogg aac m4a png jpeg gif cr2 cr3 webp heic avif jp2 \
         jxl unity-bundle gzip zip zstd xz bzip2 lz4 7z rar pdf web-font"
    );
}

#[test]
fn size_matters_where_it_must() {
    assert_eq!(detect(b"", 0), FileType::Empty);
    assert_eq!(detect(b"left over", 0), FileType::Empty);
    let stl = at(&[(80, b"\x02\0\0\0"), (183, b"\0")]);
    assert_eq!(detect(&stl, 184), FileType::StlBinary);
    assert_eq!(detect(&stl, 185), FileType::Binary);
    // A box longer than the file is no QuickTime movie; "The free world" has `free` where a box kind would be.
    assert_eq!(detect(b"\0\0\x10\0moov", 4095), FileType::Binary);
    assert_eq!(detect(b"The free world", 14), FileType::Text);
    // Half a character is fine at the end of a head, not at the end of a file.
    assert_eq!(detect(b"caf\xc3", 100), FileType::Text);
    assert_eq!(detect(b"caf\xc3", 4), FileType::Binary);
}

#[test]
fn presets_change_at_the_documented_sizes() {
    let cases = [
        (FileType::Wav, 256 << 10, Preset::Small, Preset::Default),
        (FileType::Text, 16 << 20, Preset::Small, Preset::Default),
        (FileType::Blend, 64 << 20, Preset::Project, Preset::Default),
        (FileType::Mp4, 0, Preset::Video, Preset::Video),
    ];
    for (file_type, limit, up_to, beyond) in cases {
        assert_eq!((file_type.preset(limit), file_type.preset(limit + 1)), (up_to, beyond), "{file_type:?}");
    }
}

#[test]
fn bytes_past_the_head_do_not_count() {
    let mut long = vec![b'a'; HEAD_LEN];
    long.extend([0; 100]);
    assert_eq!(detect(&long, long.len() as u64), FileType::Text);
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), size: u64) {
        detect(&bytes, size);
        detect(&bytes, bytes.len() as u64);
    }

    #[test]
    fn never_panics_on_damaged_heads(
        row in 0..1000usize, cut in 0..700usize, hits in prop::collection::vec((0..600usize, any::<u8>()), 0..8), size: u64,
    ) {
        let mut rows = table();
        let mut head = rows.swap_remove(row % rows.len()).0;
        head.truncate(cut);
        for (at, byte) in hits {
            if let Some(b) = head.get_mut(at) {
                *b = byte;
            }
        }
        detect(&head, size);
    }
}
