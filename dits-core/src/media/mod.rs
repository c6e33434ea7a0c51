//! What a file is, by its content, and what can be said of it cheaply.
//!
//! [`detect()`] reads the first bytes of a file and names its type; the type decides chunk sizes ([`Preset`]), whether
//! compression is worth trying, and whether the file is locked before it is edited. [`facts()`] then reads resolution,
//! duration, codecs and the like from the headers of common containers. `docs/format/detection.md` describes both.

mod bytes;
pub mod detect;
pub mod facts;
mod file_type;
mod preset;

#[cfg(test)]
mod ffmpeg_tests;

pub use detect::{HEAD_LEN, detect};
pub use facts::{Fact, FactValue, Facts, ReadSeek, facts};
pub use file_type::{Family, FileType, TABLE_VERSION};
pub use preset::Preset;
