//! RIFF: WAVE (also RF64 and BW64), AVI and WebP.

use super::Facts;
use super::source::{Parse, Source, Stop, past};

/// How many chunks are looked at.
const MAX_CHUNKS: usize = 256;

/// What is done with a chunk: tag, body offset and length in, whether to go on out.
type Visit<'a> = dyn FnMut(&mut Source<'_>, [u8; 4], u64, u64) -> Parse<bool> + 'a;

/// Calls `visit` with tag, body offset and length of each chunk from `from`, until it answers `false`.
fn each(src: &mut Source<'_>, from: u64, visit: &mut Visit<'_>) -> Parse<()> {
    let mut at = from;
    for _ in 0..MAX_CHUNKS {
        let (tag, len) = (src.tag(at)?, u64::from(src.le32(past(at, 4)?)?));
        let body = past(at, 8)?;
        if !visit(src, tag, body, len)? {
            return Ok(());
        }
        at = past(body, len + (len & 1))?;
    }
    Err(Stop::Malformed)
}

/// Facts of a WAVE file. The data may be longer than 32 bits tell; then `ds64` has the length.
pub(super) fn wave(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let (mut bytes_per_second, mut long) = (0u64, 0u64);
    each(src, 12, &mut |src, tag, body, len| {
        match &tag {
            b"ds64" => long = src.le64(past(body, 8)?)?,
            b"fmt " => bytes_per_second = format(src, body, len, facts)?,
            b"bext" => facts.text("application", src.get(past(body, 256)?, 32)?.0),
            b"data" => {
                let there = src.len().saturating_sub(body);
                let declared = if len == u64::from(u32::MAX) && long > 0 { long } else { len };
                facts.duration(declared.min(there), bytes_per_second);
                return Ok(false);
            }
            _ => {}
        }
        Ok(true)
    })
}

/// Reads the format chunk; the answer is bytes per second.
fn format(src: &mut Source<'_>, body: u64, len: u64, facts: &mut Facts) -> Parse<u64> {
    let mut code = src.le16(body)?;
    let (channels, rate) = (src.le16(past(body, 2)?)?, src.le32(past(body, 4)?)?);
    let (per_second, depth) = (src.le32(past(body, 8)?)?, src.le16(past(body, 14)?)?);
    if code == 0xfffe && len >= 40 {
        code = src.le16(past(body, 24)?)?;
    }
    let name = match code {
        1 => "PCM".to_owned(),
        2 => "ADPCM".to_owned(),
        3 => "PCM float".to_owned(),
        6 => "A-law".to_owned(),
        7 => "µ-law".to_owned(),
        0x55 => "MP3".to_owned(),
        other => format!("0x{other:04x}"),
    };
    facts.text("audio-codec", name.as_bytes());
    facts.hertz(rate);
    facts.number("channels", channels);
    if depth > 0 {
        facts.number("bit-depth", depth);
    }
    Ok(u64::from(per_second))
}

/// Facts of an AVI file: the main header, and the codec of the first video stream.
pub(super) fn avi(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    each(src, 12, &mut |src, tag, body, _| {
        if &tag != b"LIST" || &src.tag(body)? != b"hdrl" {
            return Ok(true);
        }
        each(src, past(body, 4)?, &mut |src, tag, body, _| {
            match &tag {
                b"avih" => main_header(src, body, facts)?,
                b"LIST" if &src.tag(body)? == b"strl" => stream(src, past(body, 4)?, facts)?,
                b"LIST" => return Ok(&src.tag(body)? != b"movi"),
                _ => {}
            }
            Ok(true)
        })?;
        Ok(false)
    })
}

fn main_header(src: &mut Source<'_>, body: u64, facts: &mut Facts) -> Parse<()> {
    let (micros, frames) = (u64::from(src.le32(body)?), u64::from(src.le32(past(body, 16)?)?));
    facts.duration(micros * frames, 1_000_000);
    facts.number("frames", frames);
    let tracks = src.le32(past(body, 24)?)?;
    facts.number("tracks", tracks);
    let (width, height) = (src.le32(past(body, 32)?)?, src.le32(past(body, 36)?)?);
    facts.size(width, height);
    Ok(())
}

/// A stream header: kind, codec, and rate over scale.
fn stream(src: &mut Source<'_>, at: u64, facts: &mut Facts) -> Parse<()> {
    if &src.tag(at)? != b"strh" {
        return Ok(());
    }
    let body = past(at, 8)?;
    if &src.tag(body)? == b"vids" {
        let codec = src.tag(past(body, 4)?)?;
        facts.text("video-codec", &codec);
        let (scale, rate) = (src.le32(past(body, 20)?)?, src.le32(past(body, 24)?)?);
        facts.rate(rate.into(), scale.into());
    }
    Ok(())
}

/// Facts of a WebP image in its three shapes: extended, lossy, lossless.
pub(super) fn webp(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    match &src.tag(12)? {
        b"VP8X" => {
            let (width, height) = (src.le32(24)? & 0xff_ffff, src.le32(26)? >> 8);
            facts.size(width + 1, height + 1);
            facts.text("compression", b"extended");
        }
        b"VP8 " => {
            facts.size(src.le16(26)? & 0x3fff, src.le16(28)? & 0x3fff);
            facts.text("compression", b"lossy");
        }
        b"VP8L" => {
            let bits = src.le32(21)?;
            facts.size((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
            facts.text("compression", b"lossless");
        }
        _ => {}
    }
    Ok(())
}
