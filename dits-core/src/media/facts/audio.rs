//! AIFF and FLAC.

use super::Facts;
use super::source::{Parse, Source, Stop, past};

/// How many chunks of an AIFF file are looked at.
const MAX_CHUNKS: usize = 256;

/// Facts of an AIFF or AIFF-C file, from its common chunk.
pub(super) fn aiff(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    let compressed = &src.tag(8)? == b"AIFC";
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let (tag, len) = (src.tag(at)?, u64::from(src.be32(past(at, 4)?)?));
        let body = past(at, 8)?;
        if &tag == b"COMM" {
            return common(src, body, compressed, facts);
        }
        at = past(body, len + (len & 1))?;
    }
    Err(Stop::Malformed)
}

fn common(src: &mut Source<'_>, body: u64, compressed: bool, facts: &mut Facts) -> Parse<()> {
    let (channels, frames) = (src.be16(body)?, src.be32(past(body, 2)?)?);
    let (depth, exponent) = (src.be16(past(body, 6)?)?, src.be16(past(body, 8)?)?);
    let mantissa = src.be64(past(body, 10)?)?;
    facts.number("channels", channels);
    facts.number("bit-depth", depth);
    // An 80-bit float: exponent biased by 16383, explicit integer bit.
    if let Some(shift @ 0..=63) = u32::from(exponent).checked_sub(16_383).map(|e| e as u64) {
        let rate = mantissa >> (63 - shift);
        facts.hertz(rate);
        facts.duration(frames.into(), rate);
    }
    let codec = if compressed { src.tag(past(body, 18)?)? } else { *b"PCM " };
    facts.text("audio-codec", &codec);
    Ok(())
}

/// Facts of a FLAC file, from its first block (20 bits of rate, 3 of channels, 5 of depth, 36 of samples).
pub(super) fn flac(src: &mut Source<'_>, facts: &mut Facts) -> Parse<()> {
    if &src.tag(0)? != b"fLaC" || src.u8(4)? & 0x7f != 0 {
        return Err(Stop::Malformed);
    }
    let bits = src.be64(18)?;
    let rate = bits >> 44;
    facts.hertz(rate);
    facts.number("channels", (bits >> 41 & 7) + 1);
    facts.number("bit-depth", (bits >> 36 & 31) + 1);
    facts.duration(bits & ((1 << 36) - 1), rate);
    facts.text("audio-codec", b"FLAC");
    Ok(())
}
