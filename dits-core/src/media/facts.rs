//! What the headers of a media file say: resolution, duration, codecs and the like.

use std::fmt;
use std::io::{self, Read, Seek};

use super::file_type::FileType;

mod archive;
mod audio;
mod ebml;
mod image;
mod isobmff;
mod riff;
mod scene;
mod source;
mod tiff;

#[cfg(test)]
mod tests;

use source::{Source, Stop};

/// The longest text a fact keeps, in bytes of the file.
const MAX_TEXT: usize = 200;

/// A file that can be read at any place.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek + ?Sized> ReadSeek for T {}

/// One thing a file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Stable token for scripts, such as `frame-rate`.
    pub key: &'static str,
    /// The same for people, such as `Frame rate`.
    pub label: &'static str,
    /// What is said.
    pub value: FactValue,
}

/// The value of a [`Fact`]; `Display` writes it for people, with its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactValue {
    /// A name, free of control characters.
    Text(String),
    /// A count.
    Number(u64),
    /// A frequency in hertz.
    Hertz(u64),
    /// A duration in milliseconds.
    Millis(u64),
    /// Width and height in pixels.
    Size(u64, u64),
    /// A reduced fraction, per second.
    Rate(u64, u64),
}

impl fmt::Display for FactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FactValue::Text(text) => f.write_str(text),
            FactValue::Number(n) => write!(f, "{n}"),
            FactValue::Hertz(n) => write!(f, "{n} Hz"),
            FactValue::Size(width, height) => write!(f, "{width}×{height}"),
            FactValue::Rate(num, den) => {
                let text = format!("{:.3}", *num as f64 / *den as f64);
                write!(f, "{} fps", text.trim_end_matches('0').trim_end_matches('.'))
            }
            FactValue::Millis(ms) => {
                let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
                write!(f, "{h}:{m:02}:{s:02}.{:03}", ms % 1000)
            }
        }
    }
}

/// The facts of one file, in the order people want to read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    list: Vec<Fact>,
}

impl Facts {
    /// The facts in order.
    pub fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.list.iter()
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&FactValue> {
        self.list.iter().find(|fact| fact.key == key).map(|fact| &fact.value)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a fact unless its key is there already: the first track of a kind speaks for the file.
    fn add(&mut self, key: &'static str, value: FactValue) {
        if self.get(key).is_none() {
            self.list.push(Fact { key, label: label(key), value });
            self.list.sort_by_key(|fact| place(fact.key));
        }
    }

    fn text(&mut self, key: &'static str, bytes: &[u8]) {
        let text = clean(bytes);
        if !text.is_empty() {
            self.add(key, FactValue::Text(text));
        }
    }

    fn number(&mut self, key: &'static str, n: impl Into<u64>) {
        self.add(key, FactValue::Number(n.into()));
    }

    fn hertz(&mut self, n: impl Into<u64>) {
        self.add("sample-rate", FactValue::Hertz(n.into()));
    }

    /// Width and height; a zero means that the header does not say.
    fn size(&mut self, width: impl Into<u64>, height: impl Into<u64>) {
        let (width, height) = (width.into(), height.into());
        if width > 0 && height > 0 {
            self.add("size", FactValue::Size(width, height));
        }
    }

    /// A duration of `units`, of which there are `per_second`.
    fn duration(&mut self, units: u64, per_second: u64) {
        if units > 0 && per_second > 0 {
            let ms = (u128::from(units) * 1000 + u128::from(per_second) / 2) / u128::from(per_second);
            if let Ok(ms) = u64::try_from(ms) {
                self.add("duration", FactValue::Millis(ms));
            }
        }
    }

    /// A frame rate, reduced.
    fn rate(&mut self, num: u64, den: u64) {
        if num > 0 && den > 0 {
            let divisor = gcd(num, den);
            self.add("frame-rate", FactValue::Rate(num / divisor, den / divisor));
        }
    }
}

/// Keys and labels, in the order they are shown.
const LABELS: &[(&str, &str)] = &[
    ("size", "Size"),
    ("duration", "Duration"),
    ("frame-rate", "Frame rate"),
    ("frames", "Frames"),
    ("tracks", "Tracks"),
    ("video-codec", "Video codec"),
    ("audio-codec", "Audio codec"),
    ("sample-rate", "Sample rate"),
    ("channels", "Channels"),
    ("bit-depth", "Bit depth"),
    ("colour", "Colour"),
    ("compression", "Compression"),
    ("layers", "Layers"),
    ("entries", "Entries"),
    ("version", "Version"),
    ("pointer-size", "Pointer size"),
    ("original-name", "Original name"),
    ("brand", "Brand"),
    ("camera", "Camera"),
    ("application", "Written by"),
];

fn place(key: &str) -> usize {
    LABELS.iter().position(|(known, _)| *known == key).unwrap_or(LABELS.len())
}

fn label(key: &'static str) -> &'static str {
    LABELS.get(place(key)).map_or(key, |(_, label)| label)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Text from a file that may be written to a terminal: cut at the first NUL and at [`MAX_TEXT`], no control characters.
fn clean(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len()).min(MAX_TEXT);
    let text = String::from_utf8_lossy(&bytes[..end]);
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// Reads the facts of a file of `len` bytes, which [`detect()`](super::detect()) found to be of `file_type`.
///
/// A header that is cut short or makes no sense gives fewer facts, never an error or a panic; work and memory are bounded
/// whatever the file holds (at most 16 MiB read, a few KiB held). Fails only if reading does.
pub fn facts(source: &mut dyn ReadSeek, file_type: FileType, len: u64) -> io::Result<Facts> {
    let mut found = Facts::default();
    let src = &mut Source::new(source, len);
    let outcome = match file_type {
        FileType::Mp4 | FileType::Mov | FileType::M4a | FileType::Braw => isobmff::movie(src, &mut found),
        FileType::Heic | FileType::Avif | FileType::Cr3 => isobmff::still(src, &mut found),
        FileType::Mkv | FileType::Webm => ebml::matroska(src, &mut found),
        FileType::Wav | FileType::Bwf | FileType::Rf64 => riff::wave(src, &mut found),
        FileType::Avi => riff::avi(src, &mut found),
        FileType::Webp => riff::webp(src, &mut found),
        FileType::Aiff => audio::aiff(src, &mut found),
        FileType::Flac => audio::flac(src, &mut found),
        FileType::Png => image::png(src, &mut found),
        FileType::Jpeg => image::jpeg(src, &mut found),
        FileType::Gif => image::gif(src, &mut found),
        FileType::Bmp => image::bmp(src, &mut found),
        FileType::Psd | FileType::Psb => image::photoshop(src, &mut found),
        FileType::Dpx => image::dpx(src, &mut found),
        FileType::Exr => image::exr(src, &mut found),
        FileType::Tiff | FileType::Dng | FileType::Cr2 | FileType::Nef | FileType::Arw => tiff::tiff(src, &mut found),
        FileType::Blend => scene::blend(src, &mut found),
        FileType::Glb => scene::glb(src, &mut found),
        FileType::FbxBinary => scene::fbx(src, &mut found),
        FileType::Gzip => archive::gzip(src, &mut found),
        FileType::Zip | FileType::Usdz | FileType::Krita => archive::zip(src, &mut found),
        _ => Ok(()),
    };
    match outcome {
        Ok(()) | Err(Stop::Malformed) => Ok(found),
        Err(Stop::Io(error)) => Err(error),
    }
}
