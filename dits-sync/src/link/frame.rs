//! How messages lie in a stream of bytes: a length, on one-stream carriers with the lane before it, and the message.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::{BULK_LANES, Lane, LinkError};
use crate::wire::{MAX_HELLO, MAX_MESSAGE};

/// What precedes a message on one-stream carriers: its lane and its length.
pub(super) const TAGGED: usize = 5;

/// What precedes a message in a stream of its lane: its length.
pub(super) const PLAIN: usize = 4;

impl Lane {
    /// The number that stands for the lane in a stream.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Control => 0,
            Self::Demand => 1,
            Self::Bulk(n) => 2 + usize::from(n % BULK_LANES),
        }
    }

    pub(super) fn from_index(index: usize) -> Self {
        match index {
            0 => Self::Control,
            1 => Self::Demand,
            n => Self::Bulk((n - 2) as u8 % BULK_LANES),
        }
    }

    /// The lane that a byte in a stream names.
    pub(super) fn from_byte(byte: u8) -> Result<Self, LinkError> {
        if usize::from(byte) < super::mailbox::LANES {
            Ok(Self::from_index(usize::from(byte)))
        } else {
            Err(LinkError::Protocol(format!("it names lane {byte}, which does not exist")))
        }
    }
}

/// The longest message that is read before and after the other side has been let in, in bytes.
pub(super) fn limit(admitted: bool) -> usize {
    if admitted { MAX_MESSAGE } else { MAX_HELLO }
}

/// Refuses to send what the other side would refuse.
pub(super) fn check_length(len: usize) -> Result<u32, LinkError> {
    match u32::try_from(len) {
        Ok(length) if (1..=MAX_MESSAGE).contains(&len) => Ok(length),
        _ => Err(LinkError::Protocol(format!("a message of {len} bytes was to be sent"))),
    }
}

/// Reads what precedes a message in a stream of its lane; `limit` is the longest that is taken.
pub(super) fn read_plain(header: [u8; PLAIN], limit: usize) -> Result<usize, LinkError> {
    let len = u32::from_le_bytes(header) as usize;
    if (1..=limit).contains(&len) {
        Ok(len)
    } else {
        Err(LinkError::Protocol(format!("a message of {len} bytes, where 1 to {limit} are allowed")))
    }
}

/// Reads what precedes a message on one-stream carriers.
pub(super) fn read_tagged(header: [u8; TAGGED], limit: usize) -> Result<(Lane, usize), LinkError> {
    let [lane, len @ ..] = header;
    Ok((Lane::from_byte(lane)?, read_plain(len, limit)?))
}

/// What precedes a message in a stream of its lane.
pub(super) fn write_plain(message: &Bytes) -> [u8; PLAIN] {
    (message.len() as u32).to_le_bytes()
}

/// What precedes a message on one-stream carriers.
pub(super) fn write_tagged(lane: Lane, message: &Bytes) -> [u8; TAGGED] {
    let [a, b, c, d] = write_plain(message);
    [lane.index() as u8, a, b, c, d]
}

/// Finds messages in pieces of one lane's stream as the carrier hands them over.
#[derive(Default)]
pub(super) struct Deframer {
    pieces: VecDeque<Bytes>,
    waiting: usize,
    body: Option<(BytesMut, usize)>,
}

impl Deframer {
    /// Adds the stream's next piece.
    pub fn push(&mut self, piece: Bytes) {
        self.waiting += piece.len();
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    /// Takes the next message, if it is there as a whole. A length is checked before memory is reserved for it.
    pub fn next(&mut self, limit: usize) -> Result<Option<Bytes>, LinkError> {
        if self.body.is_none() {
            if self.waiting < PLAIN {
                return Ok(None);
            }
            let mut header = [0; PLAIN];
            self.read(&mut header);
            let len = read_plain(header, limit)?;
            self.body = Some((BytesMut::with_capacity(len), len));
        }
        let Some((mut body, len)) = self.body.take() else { return Ok(None) };
        while body.len() < len {
            let Some(mut piece) = self.pieces.pop_front() else { break };
            let part = piece.split_to(piece.len().min(len - body.len()));
            self.waiting -= part.len();
            body.extend_from_slice(&part);
            if !piece.is_empty() {
                self.pieces.push_front(piece);
            }
        }
        if body.len() == len {
            return Ok(Some(body.freeze()));
        }
        self.body = Some((body, len));
        Ok(None)
    }

    /// Whether the stream may end here.
    pub fn is_between_messages(&self) -> bool {
        self.waiting == 0 && self.body.is_none()
    }

    fn read(&mut self, mut into: &mut [u8]) {
        while !into.is_empty() {
            let Some(piece) = self.pieces.front_mut() else { return };
            let n = piece.len().min(into.len());
            piece.copy_to_slice(&mut into[..n]);
            into = &mut into[n..];
            self.waiting -= n;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_of_any_pieces() {
        let mut stream = Vec::new();
        for len in [1_u32, 300, 2, 70_000] {
            stream.extend(len.to_le_bytes());
            stream.extend((0..len).map(|n| n as u8));
        }
        for size in [1, 2, 3, 7, 1200, 65_536] {
            let mut deframer = Deframer::default();
            let mut lengths = Vec::new();
            for piece in stream.chunks(size) {
                deframer.push(Bytes::copy_from_slice(piece));
                while let Some(message) = deframer.next(MAX_MESSAGE).unwrap() {
                    assert!(message.iter().enumerate().all(|(n, byte)| n as u8 == *byte));
                    lengths.push(message.len());
                }
            }
            assert_eq!(lengths, [1, 300, 2, 70_000]);
            assert!(deframer.is_between_messages());
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_before_the_bytes_come() {
        for (len, limit) in
            [(0, MAX_MESSAGE), (MAX_MESSAGE + 1, MAX_MESSAGE), (8193, MAX_HELLO), (u32::MAX as usize, 9)]
        {
            let mut deframer = Deframer::default();
            deframer.push(Bytes::copy_from_slice(&(len as u32).to_le_bytes()));
            assert!(matches!(deframer.next(limit), Err(LinkError::Protocol(_))), "{len}");
        }
    }

    #[test]
    fn lanes_have_numbers() {
        for byte in 0..6 {
            let lane = Lane::from_byte(byte).unwrap();
            assert_eq!(write_tagged(lane, &Bytes::from_static(b"xy")), [byte, 2, 0, 0, 0]);
            assert_eq!(read_tagged([byte, 2, 0, 0, 0], 2).unwrap(), (lane, 2));
        }
        assert!(matches!(Lane::from_byte(6), Err(LinkError::Protocol(_))));
        assert!(matches!(read_tagged([255, 2, 0, 0, 0], 2), Err(LinkError::Protocol(_))));
    }
}
