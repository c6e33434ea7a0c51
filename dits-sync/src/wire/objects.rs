//! Store frames on their way.

use bytes::{Bytes, BytesMut};

use super::{MAX_MESSAGE, OBJECTS, PART};

/// Bytes of frames after which a message is sent, so that the receiver gets to work.
const FULL: usize = 256 << 10;

/// A piece of a store frame that is longer than a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whether the frame ends with it.
    pub last: bool,
    /// The piece.
    pub bytes: Bytes,
}

impl Part {
    pub(super) fn decode(body: Bytes) -> Option<Self> {
        match body.first()? {
            0 => Some(Self { last: false, bytes: body.slice(1..) }),
            1 => Some(Self { last: true, bytes: body.slice(1..) }),
            _ => None,
        }
    }
}

/// Gathers store frames into messages, which are encoded as they grow: frames are copied once.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    buffer: BytesMut,
}

impl BatchBuilder {
    /// Adds a frame. What comes back is to be sent, in order: usually nothing, now and then a full message.
    pub fn push(&mut self, frame: &[u8]) -> Vec<Bytes> {
        let mut ready = Vec::new();
        if self.buffer.len() + frame.len() >= MAX_MESSAGE {
            ready.extend(self.finish());
        }
        if 1 + frame.len() > MAX_MESSAGE {
            ready.extend(parts(frame));
            return ready;
        }
        if self.buffer.is_empty() {
            self.buffer.reserve(FULL + (64 << 10));
            self.buffer.extend_from_slice(&[OBJECTS]);
        }
        self.buffer.extend_from_slice(frame);
        if self.buffer.len() >= FULL {
            ready.extend(self.finish());
        }
        ready
    }

    /// The message with what is left, if anything is.
    pub fn finish(&mut self) -> Option<Bytes> {
        if self.buffer.is_empty() { None } else { Some(self.buffer.split().freeze()) }
    }
}

fn parts(frame: &[u8]) -> Vec<Bytes> {
    let pieces: Vec<&[u8]> = frame.chunks(MAX_MESSAGE - 2).collect();
    let last = pieces.len() - 1;
    let part = |(i, piece): (usize, &&[u8])| [&[PART, u8::from(i == last)], *piece].concat().into();
    pieces.iter().enumerate().map(part).collect()
}
