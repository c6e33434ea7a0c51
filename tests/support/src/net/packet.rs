//! The few edits the emulator makes in an IPv4 packet. Anything else passes untouched.

use crate::SplitMix64;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Which end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// Where the parts of a packet that carries ports begin.
struct Layout {
    ports: usize,
    checksum: usize,
    payload: usize,
}

fn layout(packet: &[u8]) -> Option<Layout> {
    let first = *packet.first()?;
    let fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff;
    if first >> 4 != 4 || fragment != 0 {
        return None; // later fragments carry no ports
    }
    let ports = usize::from(first & 15) * 4;
    let (checksum, payload) = match *packet.get(9)? {
        UDP => (ports + 6, ports + 8),
        TCP => (ports + 16, ports + usize::from(packet.get(ports + 12)? >> 4) * 4),
        _ => return None,
    };
    (payload <= packet.len() && checksum + 2 <= payload).then_some(Layout { ports, checksum, payload })
}

/// Whether this is an IPv4 packet.
pub(super) fn is_ipv4(packet: &[u8]) -> bool {
    packet.len() >= 20 && packet[0] >> 4 == 4
}

/// Turns one bit somewhere.
pub(super) fn turn_a_bit(packet: &mut [u8], random: &mut SplitMix64) {
    let bit = random.below(packet.len() as u64 * 8);
    if let Some(byte) = packet.get_mut(usize::try_from(bit / 8).unwrap_or(0)) {
        *byte ^= 1 << (bit % 8);
    }
}

/// Exchanges two different words of the payload, which leaves every Internet checksum right. Says whether there were
/// such words.
pub(super) fn exchange_words(packet: &mut [u8], random: &mut SplitMix64) -> bool {
    let Some(Layout { payload, .. }) = layout(packet) else { return false };
    let words = (packet.len() - payload) / 2;
    let at = |word: u64| payload + usize::try_from(word).unwrap_or(0) * 2;
    for _ in 0..16 {
        let (a, b) = (at(random.below(words as u64)), at(random.below(words as u64)));
        if words > 1 && packet[a..a + 2] != packet[b..b + 2] {
            packet.swap(a, b);
            packet.swap(a + 1, b + 1);
            return true;
        }
    }
    false
}

/// Maps a port to another by exclusive or, as an address translator does that has chosen a new port for a flow; the
/// same again undoes it. The checksum follows.
pub(super) fn translate(packet: &mut [u8], end: End, mask: u16) {
    let Some(Layout { ports, checksum, .. }) = layout(packet) else { return };
    if mask == 0 {
        return;
    }
    let at = if end == End::Source { ports } else { ports + 2 };
    let (old, sum) = (word(packet, at), word(packet, checksum));
    let new = old ^ mask;
    packet[at..at + 2].copy_from_slice(&new.to_be_bytes());
    let udp = packet[9] == UDP;
    if udp && sum == 0 {
        return; // sent without a checksum
    }
    let sum = match updated(sum, old, new) {
        0 if udp => 0xffff,
        sum => sum,
    };
    packet[checksum..checksum + 2].copy_from_slice(&sum.to_be_bytes());
}

fn word(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

/// RFC 1624, equation 3.
fn updated(sum: u16, old: u16, new: u16) -> u16 {
    let mut total = u32::from(!sum) + u32::from(!old) + u32::from(new);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !u16::try_from(total).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 and UDP header, zero but for what is looked at, and a payload.
    fn udp(payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 28];
        (packet[0], packet[9]) = (0x45, UDP);
        packet[20..24].copy_from_slice(&[0x82, 0x35, 0x01, 0xbb]);
        packet.extend_from_slice(payload);
        let sum = !sum(&packet);
        packet[26..28].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// The ones' complement sum of what follows the IP header: 0xffff when the checksum is right.
    fn sum(packet: &[u8]) -> u16 {
        let total: u32 = packet[20..].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
        u16::try_from((total & 0xffff) + (total >> 16)).unwrap()
    }

    #[test]
    fn a_translated_port_keeps_the_checksum_right_and_comes_back() {
        for mask in [1, 2, 0x3fff, 0x0100] {
            let original = udp(b"some payload");
            let mut packet = original.clone();
            translate(&mut packet, End::Source, mask);
            assert_eq!(word(&packet, 20), 0x8235 ^ mask);
            assert_eq!((word(&packet, 22), sum(&packet)), (0x01bb, 0xffff));
            translate(&mut packet, End::Source, mask);
            assert_eq!(packet, original);
        }
    }

    #[test]
    fn exchanged_words_keep_the_checksum_right() {
        let original = udp(b"abcdefgh");
        let mut packet = original.clone();
        assert!(exchange_words(&mut packet, &mut SplitMix64::new(3)));
        assert!(packet[..28] == original[..28] && packet[28..] != original[28..]);
        assert_eq!(sum(&packet), 0xffff);
        assert!(!exchange_words(&mut udp(b"aaaa"), &mut SplitMix64::new(3)));
        assert!(!exchange_words(&mut udp(b""), &mut SplitMix64::new(3)));
    }

    #[test]
    fn one_bit_differs() {
        let original = udp(b"abcdefgh");
        let mut packet = original.clone();
        turn_a_bit(&mut packet, &mut SplitMix64::new(9));
        let turned: u32 = original.iter().zip(&packet).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(turned, 1);
    }

    #[test]
    fn what_is_no_packet_is_left_alone() {
        for bytes in [&b""[..], b"E", b"not a packet", &[0x4f; 24], &[0x60; 48]] {
            let mut packet = bytes.to_vec();
            translate(&mut packet, End::Destination, 5);
            exchange_words(&mut packet, &mut SplitMix64::new(1));
            assert_eq!(packet, bytes);
        }
    }
}
