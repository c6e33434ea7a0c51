//! MP4, QuickTime and HEIF (ISO/IEC 14496-12): boxes of a size and a four-letter kind.

use super::source::{Parse, Source, Stop, past};
use super::{FactValue, Facts};

/// How many boxes on one level are looked at.
const MAX_BOXES: usize = 4096;
/// How many tracks are looked at.
const MAX_TRACKS: u64 = 64;

/// A box: its kind, and where its body begins and ends.
#[derive(Clone, Copy)]
struct Atom {
    kind: [u8; 4],
    body: u64,
    end: u64,
}

/// The box at `at`, within `end`.
fn atom(src: &mut Source<'_>, at: u64, end: u64) -> Parse<Atom> {
    let kind = src.tag(past(at, 4)?)?;
    let (header, size) = match src.be32(at)? {
        0 => (8, end.saturating_sub(at)),
        1 => (16, src.be64(past(at, 8)?)?),
        size => (8, u64::from(size)),
    };
    let stop = past(at, size)?;
    if size < header || stop > end {
        return Err(Stop::Malformed);
    }
    Ok(Atom { kind, body: at + header, end: stop })
}

/// Calls `visit` with each box from `from` to `end`, until it answers `false`.
fn each(
    src: &mut Source<'_>,
    from: u64,
    end: u64,
    visit: &mut dyn FnMut(&mut Source<'_>, Atom) -> Parse<bool>,
) -> Parse<()> {
    let mut at = from;
    for _ in 0..MAX_BOXES {
        // QuickTime ends some lists with a four-byte zero.
        if end.saturating_sub(at) < 8 {
            return Ok(());
        }
        let found = atom(src, at, end)?;
        if !visit(src, found)? {
            return Ok(());
        }
        at = found.end;
    }
    Err(Stop::Malformed)
}

/// The first box of `kind` inside `parent`, after `skip` bytes of its body.
fn child(src: &mut Source<'_>, parent: Atom, skip: u64, kind: &[u8; 4]) -> Parse<Option<Atom>> {
    let mut found = None;
    each(src, past(parent.body, skip)?, parent.end, &mut |_, a| {
        if &a.kind == kind {
            found = Some(a);
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

fn need(found: Option<Atom>) -> Parse<Atom> {
    found.ok_or(Stop::Malformed)
}

/// Facts of a movie. A fragmented one has no duration in its header and gets none.
pub(super) fn movie(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let len = src.len();
    each(src, 0, len, &mut |src, top| {
        match &top.kind {
            b"ftyp" => {
                let brand = src.tag(top.body)?;
                facts.text("brand", &brand);
            }
            b"moov" => {
                moov(src, top, facts)?;
                return Ok(false);
            }
            _ => {}
        }
        Ok(true)
    })
}

fn moov(src: &mut Source<'_>, moov: Atom, facts: &mut Facts) -> Parse<()> {
    let mut tracks = 0u64;
    each(src, moov.body, moov.end, &mut |src, part| {
        match &part.kind {
            b"mvhd" => {
                let (scale, duration) = time(src, part)?;
                facts.duration(duration, scale);
            }
            b"trak" => {
                tracks += 1;
                if tracks <= MAX_TRACKS {
                    // One unreadable track does not silence the others.
                    match track(src, part, facts) {
                        Err(Stop::Malformed) => {}
                        other => other?,
                    }
                }
            }
            b"udta" => application(src, part, facts)?,
            _ => {}
        }
        Ok(true)
    })?;
    facts.number("tracks", tracks);
    Ok(())
}

/// Time scale and duration of an `mvhd` or `mdhd`; an all-ones duration means unknown.
fn time(src: &mut Source<'_>, header: Atom) -> Parse<(u64, u64)> {
    let b = header.body;
    let (scale, duration) = if src.u8(b)? == 1 {
        (src.be32(past(b, 20)?)?, src.be64(past(b, 24)?)?)
    } else {
        (src.be32(past(b, 12)?)?, u64::from(src.be32(past(b, 16)?)?))
    };
    let unknown = duration == u64::MAX || duration == u64::from(u32::MAX);
    Ok((u64::from(scale), if unknown { 0 } else { duration }))
}

fn track(src: &mut Source<'_>, trak: Atom, facts: &mut Facts) -> Parse<()> {
    let mdia = need(child(src, trak, 0, b"mdia")?)?;
    let hdlr = need(child(src, mdia, 0, b"hdlr")?)?;
    let mdhd = need(child(src, mdia, 0, b"mdhd")?)?;
    let (scale, duration) = time(src, mdhd)?;
    facts.duration(duration, scale);
    let minf = need(child(src, mdia, 0, b"minf")?)?;
    let stbl = need(child(src, minf, 0, b"stbl")?)?;
    let stsd = need(child(src, stbl, 0, b"stsd")?)?;
    // Version, flags and entry count precede the first sample entry; its kind is the codec.
    let entry = atom(src, past(stsd.body, 8)?, stsd.end)?;
    match &src.tag(past(hdlr.body, 8)?)? {
        b"vide" => {
            facts.text("video-codec", &entry.kind);
            let (width, height) = (src.be16(past(entry.body, 24)?)?, src.be16(past(entry.body, 26)?)?);
            facts.size(width, height);
            frame_rate(src, stbl, scale, duration, facts)
        }
        b"soun" => {
            facts.text("audio-codec", &entry.kind);
            sound(src, entry, scale, facts)
        }
        _ => Ok(()),
    }
}

/// The version 2 entry of QuickTime has its own fields for what the older ones cannot hold.
fn sound(src: &mut Source<'_>, entry: Atom, scale: u64, facts: &mut Facts) -> Parse<()> {
    let b = entry.body;
    if src.be16(past(b, 8)?)? == 2 {
        let rate = f64::from_bits(src.be64(past(b, 32)?)?);
        let channels = src.be32(past(b, 40)?)?;
        if rate > 0.0 && rate < 1e9 {
            facts.hertz(rate as u64);
        }
        facts.number("channels", channels);
        return Ok(());
    }
    let channels = src.be16(past(b, 16)?)?;
    facts.number("channels", channels);
    let rate = u64::from(src.be32(past(b, 24)?)? >> 16);
    facts.hertz(if rate == 0 { scale } else { rate });
    Ok(())
}

/// Exact where every frame lasts equally long (but for the last), else the average.
fn frame_rate(src: &mut Source<'_>, stbl: Atom, scale: u64, duration: u64, facts: &mut Facts) -> Parse<()> {
    let stts = need(child(src, stbl, 0, b"stts")?)?.body;
    let entries = src.be32(past(stts, 4)?)?;
    if entries == 0 {
        return Ok(());
    }
    let delta = u64::from(src.be32(past(stts, 12)?)?);
    if entries == 1 || (entries == 2 && src.be32(past(stts, 16)?)? == 1) {
        facts.rate(scale, delta);
    } else if let Some(stsz) = child(src, stbl, 0, b"stsz")? {
        let samples = u64::from(src.be32(past(stsz.body, 8)?)?);
        facts.rate(samples.saturating_mul(scale), duration);
    }
    Ok(())
}

/// The writing program: iTunes metadata (`©too`) in MP4, a plain text entry (`©swr`) in QuickTime.
fn application(src: &mut Source<'_>, udta: Atom, facts: &mut Facts) -> Parse<()> {
    let mut outcome = Ok(());
    let walk = each(src, udta.body, udta.end, &mut |src, part| {
        outcome = match &part.kind {
            b"\xa9swr" => text(src, past(part.body, 4)?, part.end, facts),
            b"meta" => itunes(src, part, facts),
            _ => Ok(()),
        };
        Ok(outcome.is_ok())
    });
    // Free-form data: what cannot be read is left out.
    match walk.and(outcome) {
        Err(Stop::Malformed) => Ok(()),
        other => other,
    }
}

fn itunes(src: &mut Source<'_>, meta: Atom, facts: &mut Facts) -> Parse<()> {
    let ilst = need(child(src, meta, 4, b"ilst")?)?;
    let Some(tool) = child(src, ilst, 0, b"\xa9too")? else { return Ok(()) };
    let data = need(child(src, tool, 0, b"data")?)?;
    text(src, past(data.body, 8)?, data.end, facts)
}

fn text(src: &mut Source<'_>, from: u64, end: u64, facts: &mut Facts) -> Parse<()> {
    let len = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX).min(super::MAX_TEXT);
    facts.text("application", src.get(from, len)?.0);
    Ok(())
}

/// Facts of a HEIF or AVIF image: the largest picture it has (the smaller are tiles and thumbnails).
pub(super) fn still(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let brand = src.tag(8)?;
    facts.text("brand", &brand);
    let whole = Atom { kind: *b"file", body: 0, end: src.len() };
    let Some(meta) = child(src, whole, 0, b"meta")? else { return Ok(()) };
    let iprp = need(child(src, meta, 4, b"iprp")?)?;
    let ipco = need(child(src, iprp, 0, b"ipco")?)?;
    let mut largest = (0u32, 0u32);
    each(src, ipco.body, ipco.end, &mut |src, property| {
        if &property.kind == b"ispe" {
            let size = (src.be32(past(property.body, 4)?)?, src.be32(past(property.body, 8)?)?);
            if u64::from(size.0) * u64::from(size.1) > u64::from(largest.0) * u64::from(largest.1) {
                largest = size;
            }
        }
        Ok(true)
    })?;
    if largest != (0, 0) {
        facts.add("size", FactValue::Size(largest.0.into(), largest.1.into()));
    }
    Ok(())
}
