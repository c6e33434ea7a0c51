//! Facts of files made by hand, and of damaged ones.

use std::io::Cursor;

use super::*;
use crate::media::{HEAD_LEN, detect};
use proptest::prelude::*;

fn facts_of(bytes: &[u8]) -> Facts {
    let head = &bytes[..bytes.len().min(HEAD_LEN)];
    let file_type = detect(head, bytes.len() as u64);
    facts(&mut Cursor::new(bytes), file_type, bytes.len() as u64).unwrap()
}

/// The facts on one line: `key=value` in order.
fn line(bytes: &[u8]) -> String {
    facts_of(bytes).iter().map(|f| format!("{}={}", f.key, f.value)).collect::<Vec<_>>().join(" ")
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn atom(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    cat(&[&(8 + body.len() as u32).to_be_bytes(), kind, &body])
}

fn u32s(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

fn le(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn trak(handler: &[u8; 4], scale: u32, duration: u32, entry: Vec<u8>, stts: &[u32]) -> Vec<u8> {
    let mdhd = atom(b"mdhd", &[&u32s(&[0, 0, 0, scale, duration, 0])]);
    let hdlr = atom(b"hdlr", &[&[0; 8], handler, &[0; 12]]);
    let stsd = atom(b"stsd", &[&u32s(&[0, 1]), &entry]);
    let stsz = atom(b"stsz", &[&u32s(&[0, 0, 30])]);
    let stbl = atom(b"stbl", &[&stsd, &atom(b"stts", &[&u32s(stts)]), &stsz]);
    atom(b"trak", &[&atom(b"mdia", &[&mdhd, &hdlr, &atom(b"minf", &[&stbl])])])
}

/// A movie with its `moov` behind a 64-bit `mdat`, 23.976 frames a second.
fn movie() -> Vec<u8> {
    let video = atom(b"ap4h", &[&[0; 24], &1920u16.to_be_bytes(), &1080u16.to_be_bytes(), &[0; 50]]);
    let sound = atom(b"sowt", &[&[0; 16], &6u16.to_be_bytes(), &[0; 6], &u32s(&[48_000 << 16])]);
    let mvhd = atom(b"mvhd", &[&u32s(&[0, 0, 0, 1000, 61_500])]);
    let moov = atom(
        b"moov",
        &[
            &mvhd,
            &trak(b"vide", 24_000, 1_476_000, video, &[0, 1, 1475, 1001]),
            &trak(b"soun", 48_000, 2_952_000, sound, &[0, 1, 1, 1]),
        ],
    );
    let mdat = cat(&[&u32s(&[1]), b"mdat", &24u64.to_be_bytes(), &[7; 8]]);
    cat(&[&atom(b"ftyp", &[b"qt  \0\0\x02\0qt  "]), &mdat, &moov])
}

fn ebml(id: &[u8], body: &[u8]) -> Vec<u8> {
    cat(&[id, &[0x40 | (body.len() >> 8) as u8, body.len() as u8], body])
}

/// A WebM whose segment has no known size, as a live recording leaves it.
fn webm() -> Vec<u8> {
    let info = cat(&[&ebml(b"\x44\x89", &1500f32.to_be_bytes()), &ebml(b"\x57\x41", b"Lavf\x1b[31m")]);
    let picture = cat(&[&ebml(b"\xb0", &[2, 128]), &ebml(b"\xba", &[1, 104])]);
    let video = cat(&[
        &ebml(b"\x83", &[1]),
        &ebml(b"\x86", b"V_VP9"),
        &ebml(b"\x23\xe3\x83", &33_366_667u32.to_be_bytes()),
        &ebml(b"\xe0", &picture),
    ]);
    let sound = cat(&[&ebml(b"\xb5", &44_100f64.to_be_bytes()), &ebml(b"\x9f", &[2])]);
    let audio = cat(&[&ebml(b"\x83", &[2]), &ebml(b"\x86", b"A_OPUS"), &ebml(b"\xe1", &sound)]);
    let tracks = cat(&[&ebml(b"\xae", &video), &ebml(b"\xae", &audio)]);
    let head = ebml(b"\x1a\x45\xdf\xa3", b"\x42\x82\x84webm");
    let segment = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff";
    cat(&[&head, segment, &ebml(b"\x15\x49\xa9\x66", &info), &ebml(b"\x16\x54\xae\x6b", &tracks)])
}

fn wav_chunks(before: &[u8], data: usize) -> Vec<u8> {
    let format = cat(&[&[1, 0, 2, 0], &le(&[48_000, 288_000]), &[6, 0, 24, 0]]);
    let fmt = cat(&[b"fmt ", &le(&[16]), &format]);
    cat(&[b"RIFF\0\0\0\0WAVE", before, &fmt, b"data", &le(&[data as u32]), &vec![0; data]])
}

fn bwf() -> Vec<u8> {
    let mut bext = vec![0; 602];
    bext[256..264].copy_from_slice(b"Recorder");
    wav_chunks(&cat(&[b"bext", &le(&[602]), &bext]), 14_400)
}

fn exr() -> Vec<u8> {
    let channel = |name: &[u8]| cat(&[name, b"\0", &le(&[1, 0, 1, 1])]);
    let channels = cat(&[&channel(b"A"), &channel(b"B"), &channel(b"G"), &channel(b"R"), b"\0"]);
    let attribute =
        |name: &[u8], kind: &[u8], value: &[u8]| cat(&[name, b"\0", kind, b"\0", &le(&[value.len() as u32]), value]);
    cat(&[
        b"\x76\x2f\x31\x01\x02\0\0\0",
        &attribute(b"channels", b"chlist", &channels),
        &attribute(b"compression", b"compression", &[4]),
        &attribute(b"dataWindow", b"box2i", &le(&[-10i32 as u32, 0, 1909, 1079])),
        b"\0",
    ])
}

fn psb() -> Vec<u8> {
    let header = cat(&[b"8BPS\0\x02", &[0; 6], &[0, 4], &u32s(&[3000, 40_000]), &[0, 16, 0, 3]]);
    let layers = cat(&[&100u64.to_be_bytes(), &90u64.to_be_bytes(), &(-7i16).to_be_bytes(), &[0; 90]]);
    cat(&[&header, &u32s(&[0]), &u32s(&[4]), &[0; 4], &layers])
}

fn dpx() -> Vec<u8> {
    let mut file = vec![0; 2048];
    file[..4].copy_from_slice(b"SDPX");
    file[160..166].copy_from_slice(b"Grader");
    file[772..780].copy_from_slice(&u32s(&[4096, 2160]));
    (file[800], file[803]) = (50, 10);
    file[1940..1944].copy_from_slice(&24f32.to_be_bytes());
    file
}

fn tiff() -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        cat(&[&tag.to_le_bytes(), &kind.to_le_bytes(), &le(&[count, value])])
    };
    cat(&[
        b"II*\0\x10\0\0\0Scan 1\0\0",
        &[6, 0],
        &entry(0x100, 4, 1, 640),
        &entry(0x101, 3, 1, 480),
        &entry(0x103, 3, 1, 5),
        &entry(0x110, 2, 1000, 8),
        &entry(0x115, 3, 1, 3),
        &entry(0x131, 2, 7, 8),
    ])
}

fn jpeg() -> Vec<u8> {
    let sof = b"\xff\xc2\0\x11\x08\x01\x40\x02\x80\x03\x01\x22\0\x02\x11\x01\x03\x11\x01";
    cat(&[b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff", sof])
}

fn aiff() -> Vec<u8> {
    let rate = [0x40, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0];
    let common = cat(&[&[0, 2], &u32s(&[88_200]), &[0, 16], &rate]);
    cat(&[b"FORM\0\0\0\x2eAIFFNAME\0\0\0\x03abc\0COMM\0\0\0\x12", &common])
}

fn flac() -> Vec<u8> {
    let bits = 96_000u64 << 44 | 1 << 41 | 23 << 36 | 240_000;
    cat(&[b"fLaC\0\0\0\x22", &[0; 10], &bits.to_be_bytes(), &[0; 16]])
}

fn avi() -> Vec<u8> {
    let avih = cat(&[b"avih", &le(&[56, 40_000, 0, 0, 0, 50, 0, 1, 0, 720, 576, 0, 0, 0, 0])]);
    let strh = cat(&[b"strh", &le(&[56]), b"vidsH264", &le(&[0, 0, 0, 1, 25, 0, 0, 0, 0, 0, 0, 0])]);
    let strl = cat(&[b"LIST", &le(&[4 + strh.len() as u32]), b"strl", &strh]);
    let hdrl = cat(&[b"hdrl", &avih, &strl]);
    cat(&[b"RIFF\0\0\0\0AVI LIST", &le(&[hdrl.len() as u32]), &hdrl])
}

fn heic() -> Vec<u8> {
    let ispe = |w, h| atom(b"ispe", &[&u32s(&[0, w, h])]);
    let ipco = atom(b"ipco", &[&ispe(512, 512), &ispe(4032, 3024), &ispe(320, 240)]);
    let meta = atom(b"meta", &[&[0; 4], &atom(b"iprp", &[&ipco])]);
    cat(&[&atom(b"ftyp", &[b"heic\0\0\0\0mif1heic"]), &meta])
}

fn zip() -> Vec<u8> {
    let end = cat(&[b"PK\x05\x06", &[0; 4], &[12, 0, 12, 0], &[0; 8], &[7, 0], b"comment"]);
    cat(&[b"PK\x03\x04", &[0; 40], &end])
}

/// Every file made here, with its facts.
fn samples() -> Vec<(Vec<u8>, &'static str)> {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x07\x80\0\0\x04\x38\x10\x06\0\0\0".to_vec();
    let bmp = cat(&[b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", &le(&[40, 32, -16i32 as u32]), &[1, 0, 24, 0], &[0; 64]]);
    vec![
        (
            movie(),
            "size=1920×1080 duration=0:01:01.500 frame-rate=23.976 fps tracks=2 video-codec=ap4h audio-codec=sowt \
             sample-rate=48000 Hz channels=6 brand=qt",
        ),
        (
            webm(),
            "size=640×360 duration=0:00:01.500 frame-rate=29.97 fps tracks=2 video-codec=V_VP9 audio-codec=A_OPUS \
             sample-rate=44100 Hz channels=2 application=Lavf[31m",
        ),
        (wav_chunks(b"", 14_400), "duration=0:00:00.050 audio-codec=PCM sample-rate=48000 Hz channels=2 bit-depth=24"),
        (
            bwf(),
            "duration=0:00:00.050 audio-codec=PCM sample-rate=48000 Hz channels=2 bit-depth=24 application=Recorder",
        ),
        (avi(), "size=720×576 duration=0:00:02.000 frame-rate=25 fps frames=50 tracks=1 video-codec=H264"),
        (aiff(), "duration=0:00:02.000 audio-codec=PCM sample-rate=44100 Hz channels=2 bit-depth=16"),
        (flac(), "duration=0:00:02.500 audio-codec=FLAC sample-rate=96000 Hz channels=2 bit-depth=24"),
        (png, "size=1920×1080 bit-depth=16 colour=RGB with alpha"),
        (jpeg(), "size=640×320 channels=3 bit-depth=8 compression=progressive"),
        (b"GIF89a\x40\x01\xf0\0\0\0\0".to_vec(), "size=320×240 version=89a"),
        (bmp, "size=32×16 bit-depth=24"),
        (tiff(), "size=640×480 channels=3 compression=LZW camera=Scan 1 application=Scan 1"),
        (heic(), "size=4032×3024 brand=heic"),
        (exr(), "size=1920×1080 channels=4 bit-depth=16 compression=PIZ"),
        (dpx(), "size=4096×2160 frame-rate=24 fps bit-depth=10 colour=RGB application=Grader"),
        (psb(), "size=40000×3000 channels=4 bit-depth=16 colour=RGB layers=7"),
        (
            cat(&[b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0", &[127, 2, 0, 103, 1, 0]]),
            "size=640×360 compression=extended",
        ),
        (cat(&[b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f", &le(&[639 | 359 << 14])]), "size=640×360 compression=lossless"),
        (b"BLENDER-v405".to_vec(), "version=4.5 pointer-size=8"),
        (b"BLENDER17-01v0501".to_vec(), "version=5.1 pointer-size=8"),
        (b"\x1f\x8b\x08\x08\0\0\0\0\0\x03edit.prproj\0abc".to_vec(), "original-name=edit.prproj"),
        (zip(), "entries=12"),
    ]
}

#[test]
fn facts_of_files_made_by_hand() {
    let wrong: Vec<_> = samples()
        .into_iter()
        .map(|(bytes, expected)| (line(&bytes), expected))
        .filter(|(got, expected)| got != expected)
        .map(|(got, expected)| format!("expected {expected}\n     got {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_cut_file_has_fewer_facts_and_no_error() {
    for (bytes, _) in samples() {
        let file_type = detect(&bytes[..bytes.len().min(HEAD_LEN)], bytes.len() as u64);
        let all = facts_of(&bytes);
        for cut in 0..bytes.len().min(700) {
            let some = facts(&mut Cursor::new(&bytes[..cut]), file_type, cut as u64).unwrap();
            let new: Vec<_> = some.iter().filter(|f| all.get(f.key).is_none()).collect();
            assert!(new.is_empty(), "{file_type:?} cut at {cut} made up {new:?}");
        }
    }
}

#[test]
fn endless_nesting_and_endless_lists_end() {
    // Boxes of the least size, more than any limit; the budget ends the walk.
    let boxes = b"\0\0\0\x08free".repeat(300_000);
    assert_eq!(line(&cat(&[&atom(b"ftyp", &[b"qt  \0\0\0\0"]), &boxes])), "brand=qt");
    let channels = vec![b'x'; 5_000_000];
    let exr = cat(&[b"\x76\x2f\x31\x01\x02\0\0\0channels\0chlist\0", &le(&[u32::MAX]), &channels]);
    assert_eq!(line(&exr), "");
}

#[test]
fn a_failing_disk_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::PermissionDenied))
        }
    }
    impl Seek for Broken {
        fn seek(&mut self, _: io::SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }
    let error = facts(&mut Broken, FileType::Png, 100).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn facts_have_labels_in_order() {
    let found = facts_of(&movie());
    assert_eq!(found.iter().next().map(|f| f.label), Some("Size"));
    assert_eq!(found.get("frame-rate"), Some(&FactValue::Rate(24_000, 1001)));
}

/// Every type: those without a parser have no facts.
fn every_type() -> Vec<FileType> {
    FileType::ALL.to_vec()
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), pick in 0..1000usize, len: u64) {
        let types = every_type();
        let file_type = types[pick % types.len()];
        facts(&mut Cursor::new(&bytes), file_type, bytes.len() as u64).unwrap();
        facts(&mut Cursor::new(&bytes), file_type, len).unwrap();
    }

    #[test]
    fn never_panics_on_damaged_files(
        pick in 0..1000usize,
        hits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![0u8, 1, 8, 0x7f, 0x80, 0xff])), 1..12),
    ) {
        let mut all = samples();
        let mut bytes = all.swap_remove(pick % all.len()).0;
        let file_type = detect(&bytes[..bytes.len().min(HEAD_LEN)], bytes.len() as u64);
        let reach = bytes.len().min(700);
        for (index, byte) in hits {
            bytes[index.index(reach)] = byte;
        }
        facts(&mut Cursor::new(&bytes), file_type, bytes.len() as u64).unwrap();
    }
}
