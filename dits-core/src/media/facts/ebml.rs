//! Matroska and WebM (RFC 8794, RFC 9559): elements of a variable-length id and size.

use super::Facts;
use super::source::{Parse, Source, Stop, past};

/// How many elements on one level are looked at.
const MAX_ELEMENTS: usize = 4096;

const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_a966;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK_ENTRY: u32 = 0xae;

#[derive(Clone, Copy)]
struct Element {
    id: u32,
    body: u64,
    end: u64,
}

/// The element at `at`; one of unknown size ends with its parent.
fn element(src: &mut Source<'_>, at: u64, end: u64) -> Parse<Element> {
    let first = src.u8(at)?;
    let id_len = u64::from(first.leading_zeros()) + 1;
    if id_len > 4 {
        return Err(Stop::Malformed);
    }
    let mut id = 0u32;
    for i in 0..id_len {
        id = id << 8 | u32::from(src.u8(past(at, i)?)?);
    }
    let size_at = past(at, id_len)?;
    let lead = src.u8(size_at)?;
    let size_len = u64::from(lead.leading_zeros()) + 1;
    if size_len > 8 {
        return Err(Stop::Malformed);
    }
    let mut size = u64::from(lead) & ((1 << (8 - size_len)) - 1);
    for i in 1..size_len {
        size = size << 8 | u64::from(src.u8(past(size_at, i)?)?);
    }
    let body = past(size_at, size_len)?;
    let unknown = size == (1 << (7 * size_len)) - 1;
    let stop = if unknown { end } else { past(body, size)? };
    // A file that is still being written, or was cut, has a segment longer than itself.
    Ok(Element { id, body, end: stop.min(end) })
}

fn each(
    src: &mut Source<'_>,
    from: u64,
    end: u64,
    visit: &mut dyn FnMut(&mut Source<'_>, Element) -> Parse<bool>,
) -> Parse<()> {
    let mut at = from;
    for _ in 0..MAX_ELEMENTS {
        if at >= end {
            return Ok(());
        }
        let found = element(src, at, end)?;
        if !visit(src, found)? {
            return Ok(());
        }
        at = found.end;
    }
    Err(Stop::Malformed)
}

fn uint(src: &mut Source<'_>, e: Element) -> Parse<u64> {
    let len = e.end.saturating_sub(e.body);
    if len > 8 {
        return Err(Stop::Malformed);
    }
    let bytes = src.get(e.body, len as usize)?.0;
    Ok(bytes.iter().fold(0, |sum, &b| sum << 8 | u64::from(b)))
}

fn float(src: &mut Source<'_>, e: Element) -> Parse<f64> {
    match e.end.saturating_sub(e.body) {
        4 => Ok(f64::from(f32::from_bits(src.be32(e.body)?))),
        8 => Ok(f64::from_bits(src.be64(e.body)?)),
        _ => Err(Stop::Malformed),
    }
}

fn text(src: &mut Source<'_>, e: Element, key: &'static str, facts: &mut Facts) -> Parse<()> {
    let len = usize::try_from(e.end.saturating_sub(e.body)).unwrap_or(usize::MAX).min(super::MAX_TEXT);
    facts.text(key, src.get(e.body, len)?.0);
    Ok(())
}

/// Facts of a Matroska or WebM file; stops once information and tracks have been seen.
pub(super) fn matroska(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let len = src.len();
    each(src, 0, len, &mut |src, top| {
        if top.id != SEGMENT {
            return Ok(true);
        }
        let (mut info_seen, mut tracks_seen) = (false, false);
        each(src, top.body, top.end, &mut |src, part| {
            match part.id {
                INFO => {
                    info_seen = true;
                    info(src, part, facts)?;
                }
                TRACKS => {
                    tracks_seen = true;
                    tracks(src, part, facts)?;
                }
                _ => {}
            }
            Ok(!(info_seen && tracks_seen))
        })?;
        Ok(false)
    })
}

fn info(src: &mut Source<'_>, info: Element, facts: &mut Facts) -> Parse<()> {
    let (mut scale, mut duration) = (1_000_000u64, 0f64);
    each(src, info.body, info.end, &mut |src, e| {
        match e.id {
            0x2a_d7b1 => scale = uint(src, e)?,
            0x4489 => duration = float(src, e)?,
            0x5741 => text(src, e, "application", facts)?,
            _ => {}
        }
        Ok(true)
    })?;
    let nanos = duration * scale as f64;
    if nanos > 0.0 && nanos < 1e18 {
        facts.duration(nanos as u64, 1_000_000_000);
    }
    Ok(())
}

fn tracks(src: &mut Source<'_>, tracks: Element, facts: &mut Facts) -> Parse<()> {
    let mut count = 0u64;
    each(src, tracks.body, tracks.end, &mut |src, e| {
        if e.id == TRACK_ENTRY {
            count += 1;
            track(src, e, facts)?;
        }
        Ok(true)
    })?;
    facts.number("tracks", count);
    Ok(())
}

fn track(src: &mut Source<'_>, entry: Element, facts: &mut Facts) -> Parse<()> {
    let (mut kind, mut codec, mut frame, mut video, mut audio) = (0, None, 0, None, None);
    each(src, entry.body, entry.end, &mut |src, e| {
        match e.id {
            0x83 => kind = uint(src, e)?,
            0x86 => codec = Some(e),
            0x23_e383 => frame = uint(src, e)?,
            0xe0 => video = Some(e),
            0xe1 => audio = Some(e),
            _ => {}
        }
        Ok(true)
    })?;
    let key = if kind == 1 { "video-codec" } else { "audio-codec" };
    if let (Some(codec), 1 | 2) = (codec, kind) {
        text(src, codec, key, facts)?;
    }
    if let (Some(video), 1) = (video, kind) {
        frame_rate(frame, facts);
        picture(src, video, facts)?;
    }
    if let (Some(audio), 2) = (audio, kind) {
        sound(src, audio, facts)?;
    }
    Ok(())
}

/// Matroska keeps nanoseconds per frame, rounded; the usual rates are recognised behind the rounding.
fn frame_rate(nanos: u64, facts: &mut Facts) {
    if nanos == 0 {
        return;
    }
    for (num, den) in [24, 25, 30, 48, 50, 60, 100, 120].into_iter().flat_map(|n| [(n, 1), (n * 1000, 1001)]) {
        let exact: u64 = 1_000_000_000 * den / num;
        if exact.abs_diff(nanos) <= 1 {
            return facts.rate(num, den);
        }
    }
    facts.rate(1_000_000_000, nanos);
}

fn picture(src: &mut Source<'_>, video: Element, facts: &mut Facts) -> Parse<()> {
    let (mut width, mut height) = (0, 0);
    each(src, video.body, video.end, &mut |src, e| {
        match e.id {
            0xb0 => width = uint(src, e)?,
            0xba => height = uint(src, e)?,
            _ => {}
        }
        Ok(true)
    })?;
    facts.size(width, height);
    Ok(())
}

fn sound(src: &mut Source<'_>, audio: Element, facts: &mut Facts) -> Parse<()> {
    each(src, audio.body, audio.end, &mut |src, e| {
        match e.id {
            0xb5 => {
                let rate = float(src, e)?;
                if rate > 0.0 && rate < 1e9 {
                    facts.hertz(rate as u64);
                }
            }
            0x9f => {
                let n = uint(src, e)?;
                facts.number("channels", n);
            }
            0x6264 => {
                let n = uint(src, e)?;
                facts.number("bit-depth", n);
            }
            _ => {}
        }
        Ok(true)
    })
}
