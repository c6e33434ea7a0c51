//! What QUIC connections are set to, with the reason for each number.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{AckFrequencyConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

use super::Side;
use super::rate::RateConfig;
use crate::link::BULK_LANES;
use crate::link::budget::SENDING;

/// What may be on its way on one lane. A stream is given up by quinn when it has more than 1024 gaps. Even if every second
/// packet of 1200 bytes is lost, this much has fewer.
const STREAM_WINDOW: u32 = 2 << 20;

/// What may be on its way on all lanes together: more than the bulk lanes can hold when nobody reads them, so that the
/// others never wait for them.
pub(super) const RECEIVE_WINDOW: VarInt = VarInt::from_u32((BULK_LANES as u32 + 2) * STREAM_WINDOW);

/// What may be on its way to a server that has not let the client in.
const STRANGERS_WINDOW: VarInt = VarInt::from_u32(64 << 10);

/// The most that is kept until it is acknowledged; below it follows the congestion window.
pub(super) const MOST_SEND_WINDOW: u64 = 16 << 20;

/// What may be kept until it is acknowledged, however small the congestion window is; less where there are many links.
pub(super) fn least_send_window() -> u64 {
    (SENDING.share() as u64).min(4 << 20)
}

/// The longest datagram. The kernel takes ten of them at once as one burst of at most 65 507 bytes.
const LONGEST_DATAGRAM: u16 = 6400;

/// What the kernel is asked to buffer, in bytes: its usual 208 KiB overflow at 100 MB/s.
pub(super) const SOCKET_BUFFER: usize = 4 << 20;

/// For an endpoint, which serves connections over any path.
pub(super) fn endpoint(mut config: EndpointConfig) -> EndpointConfig {
    // Only values below 1200 or above 65 527 are refused.
    let _ = config.max_udp_payload_size(LONGEST_DATAGRAM);
    config
}

/// For a connection to this address. A peer that sends nothing for `idle` is given up.
pub(super) fn transport(side: Side, remote: SocketAddr, idle: Duration) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(if side == Side::Server { 1 } else { 0 }))
        .max_concurrent_uni_streams(VarInt::from_u32(u32::from(BULK_LANES) + 1))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(if side == Side::Server { STRANGERS_WINDOW } else { RECEIVE_WINDOW })
        .send_window(least_send_window())
        .send_fairness(false)
        .congestion_controller_factory(Arc::new(RateConfig))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(idle).ok())
        .keep_alive_interval(Some(idle / 6));
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(10));
    config.ack_frequency_config(Some(acks));
    set_datagram_size(&mut config, remote);
    Arc::new(config)
}

/// On this machine nothing limits a datagram but the route; elsewhere its size has to be found out, and is not more than
/// what the route's first link carries.
fn set_datagram_size(config: &mut TransportConfig, remote: SocketAddr) {
    let route = route_datagram(remote).unwrap_or(1452).min(LONGEST_DATAGRAM);
    if remote.ip().to_canonical().is_loopback() {
        config.initial_mtu(route).mtu_discovery_config(None);
    } else {
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(route);
        config.mtu_discovery_config(Some(discovery));
    }
}

/// The longest datagram that the route's first link carries, in bytes of payload.
fn route_datagram(remote: SocketAddr) -> Option<u16> {
    let socket = UdpSocket::bind(super::endpoint::any(remote)).ok()?;
    socket.connect(remote).ok()?;
    let (mtu, headers) = match remote {
        SocketAddr::V4(_) => (rustix::net::sockopt::ip_mtu(&socket).ok()?, 28),
        SocketAddr::V6(_) => (rustix::net::sockopt::ipv6_mtu(&socket).ok()?, 48),
    };
    u16::try_from(mtu.saturating_sub(headers).min(65_507)).ok()
}
