//! 3D scenes, game assets and project files of editing programs.

use super::super::bytes::Bytes;
use super::super::file_type::FileType;

pub(super) fn magic(head: Bytes<'_>, _size: u64) -> Option<FileType> {
    const PREFIXES: &[(&[u8], FileType)] = &[
        (b"Kaydara FBX Binary  \0", FileType::FbxBinary),
        (b"; FBX ", FileType::FbxAscii),
        (b"glTF\x01\0\0\0", FileType::Glb),
        (b"glTF\x02\0\0\0", FileType::Glb),
        (b"PXR-USDC", FileType::Usdc),
        (b"#usda ", FileType::Usda),
        (b"Ogawa", FileType::Alembic),
        (b"\x89HDF\r\n\x1a\n", FileType::Hdf5),
        (b"\x20BDV\0\0\0\0", FileType::Vdb),
        (b"ply\n", FileType::Ply),
        (b"ply\r\n", FileType::Ply),
        (b"//Maya ASCII ", FileType::MayaAscii),
        (b"QC4DC4D6", FileType::Cinema4d),
        (b"\xc1\x83\x2a\x9e", FileType::Unreal),
        (b"\x9e\x2a\x83\xc1", FileType::Unreal),
        (b"%YAML 1.1\n%TAG !u! tag:unity3d.com", FileType::UnityYaml),
        (b"%YAML 1.1\r\n%TAG !u! tag:unity3d.com", FileType::UnityYaml),
        (b"UnityFS\0", FileType::UnityBundle),
        (b"UnityWeb\0", FileType::UnityBundle),
        (b"UnityRaw\0", FileType::UnityBundle),
        (b"\x06\0Domain", FileType::AvidBin),
        (b"\x030010111100101011", FileType::ProTools),
        (b"<REAPER_PROJECT ", FileType::Reaper),
        (b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5\xbd\x31\xef\xe7\xfe\x74\xb7\x1d", FileType::InDesign),
        (b"\0\xffKSA", FileType::Affinity),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileType::Ole2),
    ];
    if let Some((_, found)) = PREFIXES.iter().find(|(prefix, _)| head.starts(prefix)) {
        return Some(*found);
    }
    // Pointer size marker before Blender 5; from 5 on, the decimal length of the header.
    if head.starts(b"BLENDER") && matches!(head.u8(7), Some(b'-' | b'_' | b'0'..=b'9')) {
        return Some(FileType::Blend);
    }
    if head.starts(b"RIFX") && head.is(8, b"Egg!") {
        return Some(FileType::AfterEffects);
    }
    if (head.starts(b"FOR4") && head.is(8, b"Maya")) || (head.starts(b"FOR8") && head.is(16, b"Maya")) {
        return Some(FileType::MayaBinary);
    }
    if head.starts(b"solid") && head.has(b"facet normal", 1024) {
        return Some(FileType::StlAscii);
    }
    is_nuke(head).then_some(FileType::Nuke)
}

/// A Nuke script's first line names the program that wrote it.
fn is_nuke(head: Bytes<'_>) -> bool {
    let line = head.0.split(|&b| b == b'\n').next().unwrap_or_default();
    head.starts(b"#!") && Bytes(line).has(b"/Nuke", 1024) && head.has(b"\nversion ", 2048)
}

/// A binary STL has no magic; its triangle count must account for every byte of the file.
pub(super) fn stl_binary(head: Bytes<'_>, size: u64) -> Option<FileType> {
    let triangles = u64::from(head.le32(80)?);
    (triangles > 0 && 84 + triangles * 50 == size).then_some(FileType::StlBinary)
}
