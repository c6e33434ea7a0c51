//! Detection and facts on files that ffmpeg made. Without ffmpeg on the path these tests pass without testing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{FactValue, Facts, FileType, HEAD_LEN, detect, facts};

/// Half a second of a 64×64 test picture and a tone, encoded into `name` with `arguments`; `None` without ffmpeg.
fn make(folder: &Path, name: &str, arguments: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    let inputs = "-v error -f lavfi -i testsrc2=s=64x64:r=30000/1001:d=0.5005 -f lavfi -i sine=r=48000:d=0.5005";
    let status = Command::new("ffmpeg")
        .args(inputs.split(' '))
        .args(arguments.split(' '))
        .arg(&path)
        .stdin(Stdio::null())
        .status()
        .ok()?;
    assert!(status.success(), "ffmpeg could not make {name}");
    Some(path)
}

fn read(path: &Path) -> (FileType, Facts) {
    let bytes = fs::read(path).unwrap();
    let file_type = detect(&bytes[..bytes.len().min(HEAD_LEN)], bytes.len() as u64);
    (file_type, facts(&mut File::open(path).unwrap(), file_type, bytes.len() as u64).unwrap())
}

fn text(found: &Facts, key: &str) -> String {
    found.get(key).map(ToString::to_string).unwrap_or_default()
}

/// Duration within one frame or one audio packet of half a second.
fn assert_half_a_second(found: &Facts, name: &str) {
    let Some(FactValue::Millis(ms)) = found.get("duration") else { panic!("{name} has no duration") };
    assert!(ms.abs_diff(500) <= 50, "{name}: {ms} ms");
}

#[test]
fn movies() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("a.mp4", "-c:v mpeg4 -c:a aac", FileType::Mp4, "mp4v", "mp4a"),
        ("b.mp4", "-c:v mpeg4 -c:a aac -movflags +faststart", FileType::Mp4, "mp4v", "mp4a"),
        ("c.mov", "-c:v prores -c:a pcm_s16le", FileType::Mov, "apcn", "sowt"),
        ("d.mkv", "-c:v mpeg4 -c:a flac", FileType::Mkv, "V_MPEG4/ISO/ASP", "A_FLAC"),
        ("e.avi", "-c:v mjpeg -c:a pcm_s16le", FileType::Avi, "MJPG", ""),
    ];
    for (name, arguments, file_type, video, audio) in cases {
        let Some(path) = make(folder.path(), name, arguments) else { return };
        let (found_type, found) = read(&path);
        assert_eq!(found_type, file_type, "{name}");
        assert_eq!(found.get("size"), Some(&FactValue::Size(64, 64)), "{name}");
        assert_eq!(text(&found, "frame-rate"), "29.97 fps", "{name}");
        assert_eq!(
            (text(&found, "video-codec").as_str(), text(&found, "audio-codec").as_str()),
            (video, audio),
            "{name}"
        );
        assert_eq!(found.get("tracks"), Some(&FactValue::Number(2)), "{name}");
        assert_half_a_second(&found, name);
    }
}

#[test]
fn sounds() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("a.wav", "-map 1 -c:a pcm_s24le -ac 2", FileType::Wav),
        ("b.flac", "-map 1 -sample_fmt s16 -ac 2", FileType::Flac),
        ("c.aiff", "-map 1 -c:a pcm_s24be -ac 2", FileType::Aiff),
        ("d.wav", "-map 1 -c:a pcm_s24le -ac 2 -rf64 always", FileType::Rf64),
    ];
    for (name, arguments, file_type) in cases {
        let Some(path) = make(folder.path(), name, arguments) else { return };
        let (found_type, found) = read(&path);
        assert_eq!(found_type, file_type, "{name}");
        assert_eq!(found.get("sample-rate"), Some(&FactValue::Hertz(48_000)), "{name}");
        assert_eq!(found.get("channels"), Some(&FactValue::Number(2)), "{name}");
        assert_half_a_second(&found, name);
    }
}

#[test]
fn pictures() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("a.png", FileType::Png),
        ("b.jpg", FileType::Jpeg),
        ("c.tiff", FileType::Tiff),
        ("d.bmp", FileType::Bmp),
        ("e.dpx", FileType::Dpx),
        ("f.gif", FileType::Gif),
        ("g.exr", FileType::Exr),
    ];
    for (name, file_type) in cases {
        let Some(path) = make(folder.path(), name, "-map 0 -frames:v 1 -update 1") else { return };
        let (found_type, found) = read(&path);
        assert_eq!(found_type, file_type, "{name}");
        assert_eq!(found.get("size"), Some(&FactValue::Size(64, 64)), "{name}");
    }
}

#[test]
fn streams_without_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("a.ts", "-c:v mpeg2video -c:a mp2", FileType::MpegTs),
        ("b.mpg", "-c:v mpeg2video -c:a mp2", FileType::MpegPs),
        ("c.flv", "-c:v flv1 -an", FileType::Flv),
        ("d.aac", "-map 1 -c:a aac", FileType::Aac),
        ("e.mxf", "-c:v mpeg2video -c:a pcm_s16le", FileType::Mxf),
        ("f.m4a", "-map 1 -c:a aac", FileType::M4a),
        ("g.wmv", "-c:v wmv2 -c:a wmav2", FileType::Asf),
    ];
    for (name, arguments, file_type) in cases {
        let Some(path) = make(folder.path(), name, arguments) else { return };
        assert_eq!(read(&path).0, file_type, "{name}");
    }
}
