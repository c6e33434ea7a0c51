//! The type of a file from its first bytes.

use super::bytes::Bytes;
use super::file_type::FileType;

mod archive;
mod audio;
mod document;
mod image;
mod scene;
mod video;

#[cfg(test)]
mod tests;

/// How many bytes from the start of a file detection looks at.
///
/// Where the answer decides chunk sizes, give [`detect()`] exactly the first `min(HEAD_LEN, size)` bytes: the same file
/// must get the same type however it is read.
pub const HEAD_LEN: usize = 64 << 10;

/// One family's test: the head (at most [`HEAD_LEN`] bytes) and the size of the whole file.
type Probe = fn(Bytes<'_>, u64) -> Option<FileType>;

/// In this order: certain magic first, weak patterns (MPEG sync bytes, binary STL, text) last.
const PROBES: &[Probe] = &[
    video::magic,
    audio::magic,
    image::magic,
    scene::magic,
    archive::magic,
    document::magic,
    video::sync_bytes,
    audio::sync_bytes,
    document::text,
    scene::stl_binary,
];

/// The type of a file of `size` bytes that begins with `head`, by table [`TABLE_VERSION`](super::TABLE_VERSION).
///
/// The name never matters. Bytes of `head` beyond [`HEAD_LEN`] are ignored; a shorter head (even an empty one) gives the
/// best guess it allows. Only `size` 0 is [`FileType::Empty`].
pub fn detect(head: &[u8], size: u64) -> FileType {
    if size == 0 {
        return FileType::Empty;
    }
    let limit = HEAD_LEN.min(usize::try_from(size).unwrap_or(HEAD_LEN));
    let head = Bytes(&head[..head.len().min(limit)]);
    PROBES.iter().find_map(|probe| probe(head, size)).unwrap_or(FileType::Binary)
}
