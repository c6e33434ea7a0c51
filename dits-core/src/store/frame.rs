//! The frame: how one object lies in a file, alone (loose) or with others (pack). See `docs/format/frame.md`.

pub use crate::compress::Encoding;

use crate::compress;
use crate::object::{Digest, MAX_CHUNK, MAX_METADATA, ObjectKind};

/// The first bytes of every frame.
pub const MAGIC: [u8; 4] = *b"dFr\xb1";
/// The version of the header this code writes and reads.
pub const VERSION: u8 = 1;
/// Bytes of a header without parameters, its checksum included.
pub const HEADER_LEN: usize = 57;
/// Bytes before the parameters.
const FIXED: usize = 53;
/// How much longer than its plain bytes a payload may be: room for the tag of a sealed one.
const PAYLOAD_SLACK: usize = 4096;
/// The longest frame there can be: the longest parameters and the longest payload.
pub const MAX_FRAME: usize = HEADER_LEN + 255 + MAX_METADATA + PAYLOAD_SLACK;

/// Why bytes are not a frame, or not one that can be read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes end before the frame does.
    #[error("the frame is cut off: {found} of {wanted} bytes")]
    Truncated {
        /// How many there are.
        found: usize,
        /// How many the frame takes.
        wanted: usize,
    },
    /// It does not begin like a frame.
    #[error("no frame begins here")]
    Magic,
    /// The header does not match its checksum.
    #[error("the frame's header does not match its checksum")]
    HeaderChecksum,
    /// The payload does not match its checksum.
    #[error("the frame's payload does not match its checksum")]
    PayloadChecksum,
    /// A length is over the limit of the kind of object.
    #[error("the frame claims {len} bytes where at most {limit} are allowed")]
    TooLong {
        /// What it claims.
        len: u32,
        /// The limit.
        limit: usize,
    },
    /// The payload does not decode to as many bytes as the header says.
    #[error("the frame's payload does not decode to the {plain_len} bytes it should")]
    Payload {
        /// What the header says.
        plain_len: u32,
    },
    /// The decoded bytes are not those the digest names.
    #[error("the frame's content does not hash to its name")]
    Digest,
    /// Bytes follow the frame where nothing may.
    #[error("{0} bytes follow the frame")]
    Trailing(usize),
    /// The frame uses something this version does not know.
    #[error("frame with {what} {code}")]
    TooNew {
        /// What it uses.
        what: &'static str,
        /// The number of it.
        code: u8,
    },
}

/// What a frame says about its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the object is.
    pub kind: ObjectKind,
    /// The number of the encoding: also one that is not known here, so that such a frame can still be copied.
    pub encoding: u8,
    /// The number of the seal: 0 for none.
    pub seal: u8,
    /// Bytes of parameters between the fixed part and the header's checksum.
    pub params_len: u8,
    /// The object's name.
    pub digest: Digest,
    /// Bytes of payload.
    pub stored_len: u32,
    /// Bytes of the decoded object.
    pub plain_len: u32,
    /// CRC-32 of the payload.
    pub payload_crc: u32,
}

/// The most plain bytes an object of this kind may have.
#[must_use]
pub fn plain_limit(kind: ObjectKind) -> usize {
    if kind.is_content() { MAX_CHUNK } else { MAX_METADATA }
}

impl Header {
    /// The header of a frame without parameters and seal.
    #[must_use]
    pub fn new(kind: ObjectKind, encoding: Encoding, digest: Digest, payload: &[u8], plain_len: usize) -> Self {
        debug_assert!(payload.len() <= MAX_FRAME && plain_len <= MAX_METADATA, "the writer checks lengths first");
        let (stored_len, plain_len) = (payload.len() as u32, plain_len as u32);
        let payload_crc = crc32fast::hash(payload);
        Self { kind, encoding: encoding as u8, seal: 0, params_len: 0, digest, stored_len, plain_len, payload_crc }
    }

    /// The bytes of a header without parameters.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4..9].copy_from_slice(&[VERSION, self.kind as u8, self.encoding, self.seal, 0]);
        out[9..41].copy_from_slice(&self.digest.0);
        out[41..45].copy_from_slice(&self.stored_len.to_le_bytes());
        out[45..49].copy_from_slice(&self.plain_len.to_le_bytes());
        out[49..53].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(&out[..FIXED]);
        out[FIXED..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the header at the start of `bytes`, checks it, and leaves the payload alone. Encodings and seals that are
    /// not known pass: [`Header::open`] refuses them.
    ///
    /// # Errors
    /// When the bytes are cut off, damaged, over a limit, or of another version or kind.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let cut = |wanted| FrameError::Truncated { found: bytes.len(), wanted };
        if bytes.len() >= 4 && bytes[..4] != MAGIC {
            return Err(FrameError::Magic);
        }
        let fixed = bytes.get(..FIXED).ok_or_else(|| cut(HEADER_LEN))?;
        let params_len = fixed[8];
        let end = FIXED + params_len as usize;
        let crc = bytes.get(end..end + 4).ok_or_else(|| cut(end + 4))?;
        let version = fixed[4];
        if crc32fast::hash(&bytes[..end]) != le32(crc) {
            return Err(FrameError::HeaderChecksum);
        }
        if version != VERSION {
            return Err(FrameError::TooNew { what: "version", code: version });
        }
        let kind = ObjectKind::from_code(fixed[5]).ok_or(FrameError::TooNew { what: "kind", code: fixed[5] })?;
        let mut digest = Digest([0; 32]);
        digest.0.copy_from_slice(&fixed[9..41]);
        let (stored_len, plain_len) = (le32(&fixed[41..45]), le32(&fixed[45..49]));
        let limit = plain_limit(kind);
        for (len, limit) in [(plain_len, limit), (stored_len, limit + PAYLOAD_SLACK)] {
            if len as usize > limit {
                return Err(FrameError::TooLong { len, limit });
            }
        }
        let payload_crc = le32(&fixed[49..53]);
        let (encoding, seal) = (fixed[6], fixed[7]);
        Ok(Self { kind, encoding, seal, params_len, digest, stored_len, plain_len, payload_crc })
    }

    /// Bytes before the payload.
    #[must_use]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.params_len as usize
    }

    /// Bytes of the whole frame.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.header_len() + self.stored_len as usize
    }

    /// The payload in `frame`, which is this header's frame and nothing more, checked against its checksum.
    ///
    /// # Errors
    /// When the frame is cut off, damaged, or something follows it.
    pub fn payload<'a>(&self, frame: &'a [u8]) -> Result<&'a [u8], FrameError> {
        let payload = self.payload_unchecked(frame)?;
        if crc32fast::hash(payload) != self.payload_crc {
            return Err(FrameError::PayloadChecksum);
        }
        Ok(payload)
    }

    fn payload_unchecked<'a>(&self, frame: &'a [u8]) -> Result<&'a [u8], FrameError> {
        let wanted = self.frame_len();
        let payload = frame.get(self.header_len()..wanted);
        let payload = payload.ok_or(FrameError::Truncated { found: frame.len(), wanted })?;
        if frame.len() > wanted {
            return Err(FrameError::Trailing(frame.len() - wanted));
        }
        Ok(payload)
    }

    /// Decodes the object in `frame` into `out`, replacing what is there, and checks everything on the way: the bytes
    /// are those that the digest names.
    ///
    /// # Errors
    /// When the frame is damaged or uses something that is not known here. `out` is then empty.
    pub fn open(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        out.clear();
        self.payload(frame)?;
        self.open_stored(frame, out)
    }

    /// [`Header::open`] for a frame that was opened when it was stored: of raw bytes the digest says more than the checksum,
    /// which is only looked at to say what is wrong.
    ///
    /// # Errors
    /// As [`Header::open`].
    pub(super) fn open_stored(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        out.clear();
        let done = self.open_unchecked_digest(frame, out);
        let done = done.and_then(|()| match self.kind.digest(out) == self.digest {
            true => Ok(()),
            // The checksum says whether it was damaged here, or was never what it is called.
            false => self.payload(frame).and(Err(FrameError::Digest)),
        });
        if done.is_err() {
            out.clear();
        }
        done
    }

    fn open_unchecked_digest(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if self.seal != 0 {
            return Err(FrameError::TooNew { what: "seal", code: self.seal });
        }
        let encoding = Encoding::from_code(self.encoding);
        let encoding = encoding.ok_or(FrameError::TooNew { what: "encoding", code: self.encoding })?;
        if self.params_len != 0 {
            return Err(FrameError::TooNew { what: "parameters of length", code: self.params_len });
        }
        match encoding {
            Encoding::Raw => out.extend_from_slice(self.payload_unchecked(frame)?),
            Encoding::Zstd => compress::decode(encoding, self.payload(frame)?, self.plain_len as usize, out)
                .map_err(|_| FrameError::Payload { plain_len: self.plain_len })?,
        }
        if out.len() != self.plain_len as usize {
            return Err(FrameError::Payload { plain_len: self.plain_len });
        }
        Ok(())
    }
}

/// Reads a little-endian number from the first four of `bytes`.
fn le32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
