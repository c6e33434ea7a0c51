//! Checked reads of integers and magic bytes in a slice.

/// A slice whose reads past the end give `None` (or `false`), never a panic.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    /// The `len` bytes at `at`, if all of them are there.
    pub(super) fn get(self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.0.get(at..at.checked_add(len)?)
    }

    /// Whether `magic` stands at `at`.
    pub(super) fn is(self, at: usize, magic: &[u8]) -> bool {
        self.get(at, magic.len()) == Some(magic)
    }

    /// Whether the bytes begin with `magic`.
    pub(super) fn starts(self, magic: &[u8]) -> bool {
        self.0.starts_with(magic)
    }

    /// Whether `needle` occurs in the first `within` bytes.
    pub(super) fn has(self, needle: &[u8], within: usize) -> bool {
        let part = &self.0[..self.0.len().min(within)];
        bstr::ByteSlice::find(part, needle).is_some()
    }

    /// The byte at `at`.
    pub(super) fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    /// The four bytes at `at`.
    pub(super) fn tag(self, at: usize) -> Option<[u8; 4]> {
        self.get(at, 4)?.try_into().ok()
    }

    /// The 16-bit big-endian integer at `at`.
    pub(super) fn be16(self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(self.get(at, 2)?.try_into().ok()?))
    }

    /// The 16-bit little-endian integer at `at`.
    pub(super) fn le16(self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(self.get(at, 2)?.try_into().ok()?))
    }

    /// The 32-bit big-endian integer at `at`.
    pub(super) fn be32(self, at: usize) -> Option<u32> {
        self.tag(at).map(u32::from_be_bytes)
    }

    /// The 32-bit little-endian integer at `at`.
    pub(super) fn le32(self, at: usize) -> Option<u32> {
        self.tag(at).map(u32::from_le_bytes)
    }

    /// The 64-bit big-endian integer at `at`.
    pub(super) fn be64(self, at: usize) -> Option<u64> {
        Some(u64::from_be_bytes(self.get(at, 8)?.try_into().ok()?))
    }
}
