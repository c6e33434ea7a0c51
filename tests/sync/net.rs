//! Links over a network that delays, loses, doubles, reorders and damages packets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dits_sync::identity::ServerIdentity;
use dits_sync::link::{Carrier, DialOptions, Lane, Link, ListenOptions, Listener};
use dits_testkit::net::{LinkSettings, Net, Side};
use tempfile::TempDir;

use crate::pairs::{LONG, accepting, dial_to};

const MESSAGE: usize = 1 << 20;

/// Both ends of a link from one side of the network to the other.
struct Across {
    client: Box<dyn Link>,
    server: Box<dyn Link>,
    _keep: (Listener, TempDir),
}

fn across(net: &Net, carrier: Carrier) -> Across {
    let state = tempfile::tempdir().unwrap();
    let identity = ServerIdentity::load_or_create(state.path()).unwrap();
    let address = SocketAddr::new(net.address(Side::B).into(), 0);
    let listener = net.inside(Side::B, || Listener::bind(address, &identity, &ListenOptions::default()).unwrap());
    let options = DialOptions { carrier, ..accepting(state.path()) };
    let dialer = dial_to(listener.address(), options);
    let client = net.inside(Side::A, || dialer.dial().unwrap());
    let server = listener.accept(LONG).unwrap();
    client.send(Lane::Control, Bytes::from_static(b"hello")).unwrap();
    server.recv(LONG).unwrap();
    server.admitted();
    Across { client, server, _keep: (listener, state) }
}

/// Sends messages on all bulk lanes and checks each that arrives.
fn send_all(from: &dyn Link, to: &dyn Link, messages: usize) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..messages {
                from.send(Lane::Bulk(n as u8 % 4), Bytes::from(vec![n as u8; MESSAGE])).unwrap();
            }
        });
        let mut next = [0, 1, 2, 3];
        for _ in 0..messages {
            let (lane, message) = to.recv(LONG).unwrap();
            let Lane::Bulk(lane) = lane else { panic!("{lane:?}") };
            let n = &mut next[usize::from(lane)];
            assert!(message.len() == MESSAGE && message.iter().all(|byte| *byte == *n as u8));
            *n += 4;
        }
    });
}

#[test]
fn what_the_network_does_to_packets_is_not_seen() {
    let settings = LinkSettings {
        delay: Duration::from_millis(5),
        loss: 2.0,
        reorder: 2.0,
        duplicate: 2.0,
        corrupt: 0.5,
        corrupt_unseen: 0.5,
        ..LinkSettings::default()
    };
    let Some(net) = Net::new("what_the_network_does_to_packets_is_not_seen", &settings) else { return };
    // TCP would pass on what its checksum cannot see, and TLS would end the connection.
    let link = across(&net, Carrier::Quic);
    send_all(&*link.client, &*link.server, 12);
    send_all(&*link.server, &*link.client, 12);
    net.set(&LinkSettings { corrupt_unseen: 0.0, ..settings });
    let link = across(&net, Carrier::Tcp);
    send_all(&*link.client, &*link.server, 4);
}

#[test]
fn an_outage_and_other_addresses_and_ports_are_survived() {
    let settings = LinkSettings { delay: Duration::from_millis(5), mbit: 100.0, ..LinkSettings::default() };
    let Some(mut net) = Net::new("an_outage_and_other_addresses_and_ports_are_survived", &settings) else { return };
    let link = across(&net, Carrier::Quic);
    send_all(&*link.client, &*link.server, 4);
    net.change_ports();
    send_all(&*link.client, &*link.server, 4);
    let [a, b, c, d] = net.address(Side::A).octets();
    net.change_address(Side::A, [a, b, c, d + 100].into());
    send_all(&*link.client, &*link.server, 4);
    net.blackout(true);
    std::thread::sleep(Duration::from_secs(5));
    net.blackout(false);
    send_all(&*link.client, &*link.server, 4);
    assert!(link.server.peer().starts_with(&net.address(Side::A).to_string()));
}

/// Takes a minute, and means something only on a machine that has nothing else to do.
#[test]
fn a_lossy_link_is_filled() {
    if !dits_testkit::long("a_lossy_link_is_filled") {
        return;
    }
    let settings = LinkSettings { delay: Duration::from_millis(25), loss: 1.0, mbit: 200.0, ..LinkSettings::default() };
    let Some(net) = Net::new("a_lossy_link_is_filled", &settings) else { return };
    let link = across(&net, Carrier::Quic);
    let (before, start) = (link.client.traffic(), Instant::now());
    send_all(&*link.client, &*link.server, 400);
    let payload = 400.0 * MESSAGE as f64;
    let used = payload * 8.0 / start.elapsed().as_secs_f64() / 200e6;
    let overhead = link.client.traffic().since(before).sent as f64 / payload;
    assert!(used >= 0.8, "{:.0} % of the link", used * 100.0);
    assert!(overhead <= 1.15, "{overhead:.2} times the payload");
}
