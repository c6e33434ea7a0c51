//! Audio files and streams.

use super::super::bytes::Bytes;
use super::super::file_type::FileType;

/// How many chunks of a WAVE file are looked at for the broadcast extension.
const MAX_WAVE_CHUNKS: usize = 16;

pub(super) fn magic(head: Bytes<'_>, _size: u64) -> Option<FileType> {
    if head.is(8, b"WAVE") {
        if head.starts(b"RF64") || head.starts(b"BW64") {
            return Some(FileType::Rf64);
        }
        if head.starts(b"RIFF") {
            return Some(if has_broadcast_chunk(head) { FileType::Bwf } else { FileType::Wav });
        }
    }
    if head.starts(b"FORM") && (head.is(8, b"AIFF") || head.is(8, b"AIFC")) {
        return Some(FileType::Aiff);
    }
    match &head.tag(0)? {
        b"caff" => Some(FileType::Caf),
        b"fLaC" => Some(FileType::Flac),
        b"OggS" => Some(FileType::Ogg),
        b"MThd" => Some(FileType::Midi),
        [b'I', b'D', b'3', version] if *version < 0xff => Some(after_id3(head)),
        _ => None,
    }
}

fn has_broadcast_chunk(head: Bytes<'_>) -> bool {
    let mut at = 12usize;
    for _ in 0..MAX_WAVE_CHUNKS {
        let (Some(tag), Some(len)) = (head.tag(at), head.le32(at.saturating_add(4))) else { return false };
        if &tag == b"bext" {
            return true;
        }
        let Some(next) = at.checked_add(8 + len as usize + (len & 1) as usize) else { return false };
        at = next;
    }
    false
}

/// An ID3 tag (four times seven bits of length) mostly precedes MP3; FLAC and AAC carry it now and then.
fn after_id3(head: Bytes<'_>) -> FileType {
    let length = (6..10).fold(0usize, |sum, i| sum << 7 | usize::from(head.u8(i).unwrap_or(0) & 0x7f));
    let audio = 10 + length;
    if head.is(audio, b"fLaC") {
        FileType::Flac
    } else if adts_frame(head, audio).is_some() {
        FileType::Aac
    } else {
        FileType::Mp3
    }
}

/// MP3 and AAC streams without a tag: a frame whose length leads to another frame.
pub(super) fn sync_bytes(head: Bytes<'_>, size: u64) -> Option<FileType> {
    let chained = |frame: fn(Bytes<'_>, usize) -> Option<usize>| {
        let first = frame(head, 0)?;
        if first as u64 == size { Some(()) } else { frame(head, first).map(|_| ()) }
    };
    if chained(adts_frame).is_some() {
        return Some(FileType::Aac);
    }
    chained(mp3_frame).map(|()| FileType::Mp3)
}

/// The length of the ADTS frame at `at`.
fn adts_frame(head: Bytes<'_>, at: usize) -> Option<usize> {
    let h = head.get(at, 7)?;
    let rate = (h[2] >> 2) & 15;
    if h[0] != 0xff || h[1] & 0xf6 != 0xf0 || rate > 12 {
        return None;
    }
    let length = usize::from(h[3] & 3) << 11 | usize::from(h[4]) << 3 | usize::from(h[5]) >> 5;
    (length >= 7).then_some(length)
}

/// The length of the MPEG layer III frame at `at` (ISO 11172-3, 13818-3).
fn mp3_frame(head: Bytes<'_>, at: usize) -> Option<usize> {
    const KBIT_V1: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const KBIT_V2: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let h = head.get(at, 4)?;
    let (version, layer) = ((h[1] >> 3) & 3, (h[1] >> 1) & 3);
    let (bitrate, rate) = (usize::from(h[2] >> 4), usize::from((h[2] >> 2) & 3));
    if h[0] != 0xff || h[1] & 0xe0 != 0xe0 || version == 1 || layer != 1 || bitrate == 0 || bitrate == 15 || rate == 3 {
        return None;
    }
    let rate = [44_100, 48_000, 32_000][rate];
    let padding = usize::from((h[2] >> 1) & 1);
    Some(match version {
        3 => 144_000 * KBIT_V1[bitrate] / rate + padding,
        2 => 72_000 * KBIT_V2[bitrate] / (rate / 2) + padding,
        _ => 72_000 * KBIT_V2[bitrate] / (rate / 4) + padding,
    })
}
