//! What every link promises, whatever carries it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dits_sync::identity::ServerIdentity;
use dits_sync::link::{Carrier, Lane, Limited, Link, LinkError, ListenOptions, Listener};
use dits_sync::wire::{MAX_HELLO, MAX_MESSAGE};

use crate::pairs::{LONG, Pair, Relay, Server, accepting, dial_to, is_over};

const ALL: [Lane; 6] = [Lane::Control, Lane::Demand, Lane::Bulk(0), Lane::Bulk(1), Lane::Bulk(2), Lane::Bulk(3)];

/// A message that tells its number and checks its bytes.
fn message(number: u32, len: usize) -> Bytes {
    let mut bytes: Vec<u8> = (0..len).map(|n| (n as u32 ^ number) as u8).collect();
    if len >= 4 {
        bytes[..4].copy_from_slice(&number.to_le_bytes());
    }
    bytes.into()
}

fn number(message: &Bytes) -> u32 {
    u32::from_le_bytes(message[..4].try_into().unwrap())
}

fn exchange(from: &dyn Link, to: &dyn Link, sizes: &[usize]) {
    std::thread::scope(|scope| {
        for lane in ALL {
            scope.spawn(move || {
                for (n, len) in sizes.iter().enumerate() {
                    from.send(lane, message(n as u32, *len)).unwrap();
                }
            });
        }
        let mut next = [0; ALL.len()];
        for _ in 0..ALL.len() * sizes.len() {
            let (lane, got) = to.recv(LONG).unwrap();
            let at = &mut next[ALL.iter().position(|known| *known == lane).unwrap()];
            assert_eq!(got, message(*at, sizes[*at as usize]), "{lane:?}");
            *at += 1;
        }
    });
}

#[test]
fn each_lane_keeps_its_order_in_both_directions() {
    let sizes: Vec<usize> = (0..200).map(|n| 4 + n * n % 3000).collect();
    for pair in Pair::all() {
        exchange(&*pair.client, &*pair.server, &sizes);
        exchange(&*pair.server, &*pair.client, &sizes);
    }
}

#[test]
fn messages_of_every_size_arrive_whole() {
    let sizes = [1, 2, 3, 4, 5, 1199, 1200, 6400, 65_535, 65_536, 65_537, 300_001, MAX_MESSAGE - 1, MAX_MESSAGE];
    for pair in Pair::all() {
        exchange(&*pair.client, &*pair.server, &sizes);
    }
}

#[test]
fn what_cannot_be_a_message_is_not_sent() {
    for pair in Pair::all() {
        for len in [0, MAX_MESSAGE + 1] {
            let sent = pair.client.send(Lane::Control, Bytes::from(vec![0; len]));
            assert!(matches!(sent, Err(LinkError::Protocol(_))), "{}", pair.name);
        }
        exchange(&*pair.client, &*pair.server, &[4]);
    }
}

#[test]
fn a_receiver_that_does_not_take_stops_the_sender_and_then_gets_all() {
    for pair in Pair::all() {
        let sent = AtomicUsize::new(0);
        const COUNT: usize = 48;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..COUNT {
                    pair.client.send(Lane::Bulk(n as u8 % 4), message(n as u32, MAX_MESSAGE)).unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
            // It stands still when nothing moves for a while.
            let mut before = usize::MAX;
            while before != sent.load(Ordering::Relaxed) {
                before = sent.load(Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(700));
            }
            assert!((4..=40).contains(&before), "{} took {before} MiB", pair.name);
            for _ in 0..COUNT {
                assert_eq!(pair.server.recv(LONG).unwrap().1.len(), MAX_MESSAGE);
            }
        });
    }
}

#[test]
fn control_gets_past_full_bulk_lanes() {
    for pair in Pair::all() {
        std::thread::scope(|scope| {
            let bulk = scope.spawn(|| {
                for n in 0..64 {
                    pair.client.send(Lane::Bulk(n as u8 % 4), message(n, MAX_MESSAGE)).unwrap();
                }
            });
            std::thread::sleep(Duration::from_millis(300));
            pair.client.send(Lane::Control, message(1000, 100)).unwrap();
            let position = (0..).find(|_| pair.server.recv(LONG).unwrap().0 == Lane::Control).unwrap();
            if pair.name == "quic" || pair.name == "memory" {
                assert!(position < 64, "{} delivered it after {position} others", pair.name);
            }
            for _ in position..64 {
                pair.server.recv(LONG).unwrap();
            }
            bulk.join().unwrap();
        });
    }
}

#[test]
fn closing_delivers_what_was_sent_on_every_lane() {
    for pair in Pair::all() {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..36 {
                    pair.client.send(ALL[n as usize % ALL.len()], message(n, 300_000)).unwrap();
                }
                pair.client.close();
            });
            let mut got = Vec::new();
            let end = loop {
                match pair.server.recv(LONG) {
                    Ok((_, message)) => got.push(number(&message)),
                    Err(error) => break error,
                }
            };
            got.sort_unstable();
            assert_eq!(got, (0..36).collect::<Vec<_>>(), "{}", pair.name);
            assert!(matches!(end, LinkError::Closed(_)), "{}: {end:?}", pair.name);
        });
        if pair.name != "memory" {
            assert!(pair.server.send(Lane::Control, message(0, 4)).is_err(), "{}", pair.name);
        }
        assert!(pair.client.send(Lane::Control, message(0, 4)).is_err(), "{}", pair.name);
        pair.server.close();
    }
}

#[test]
fn both_sides_can_close_at_once_with_messages_on_the_way() {
    for pair in Pair::all() {
        for link in [&pair.client, &pair.server] {
            for n in 0..4 {
                link.send(Lane::Bulk(n), message(0, MAX_MESSAGE)).unwrap();
            }
        }
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| pair.client.close());
            scope.spawn(|| pair.server.close());
        });
        assert!(start.elapsed() < Duration::from_secs(8), "{} took {:?}", pair.name, start.elapsed());
    }
}

#[test]
fn closing_without_a_word_is_quick() {
    for pair in Pair::all() {
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| pair.client.close());
            assert!(matches!(pair.server.recv(LONG), Err(LinkError::Closed(_))), "{}", pair.name);
        });
        drop(pair.server);
        assert!(start.elapsed() < Duration::from_secs(8), "{} took {:?}", pair.name, start.elapsed());
    }
}

#[test]
fn a_client_that_never_says_a_word_is_left_at_once() {
    for carrier in [Carrier::Quic, Carrier::Tcp] {
        let pair = Pair::network("", carrier);
        let start = Instant::now();
        pair.server.close();
        assert!(is_over(&pair.client.recv(LONG).unwrap_err()));
        assert!(start.elapsed() < Duration::from_secs(8), "{carrier:?} took {:?}", start.elapsed());
    }
}

#[test]
fn dropping_an_end_ends_the_link() {
    for pair in Pair::all() {
        pair.client.send(Lane::Control, message(7, 4)).unwrap();
        drop(pair.client);
        assert_eq!(number(&pair.server.recv(LONG).unwrap().1), 7, "{}", pair.name);
        assert!(is_over(&pair.server.recv(LONG).unwrap_err()), "{}", pair.name);
    }
}

#[test]
fn waiting_in_vain_leaves_the_link_as_it_is() {
    for pair in Pair::all() {
        let nothing = pair.server.recv(Duration::from_millis(20));
        assert!(matches!(nothing, Err(LinkError::TimedOut(_))), "{}", pair.name);
        exchange(&*pair.client, &*pair.server, &[4]);
    }
}

#[test]
fn traffic_counts_what_was_sent_and_little_more() {
    for pair in Pair::all() {
        let (client, server) = (pair.client.traffic(), pair.server.traffic());
        exchange(&*pair.client, &*pair.server, &[500_000; 4]);
        pair.client.close();
        let payload = 500_000 * 4 * ALL.len() as u64;
        for moved in [pair.client.traffic().since(client).sent, pair.server.traffic().since(server).received] {
            assert!((payload..payload * 11 / 10).contains(&moved), "{}: {moved} for {payload}", pair.name);
        }
    }
}

#[test]
fn before_it_is_let_in_a_client_is_heard_once() {
    for carrier in [Carrier::Quic, Carrier::Tcp] {
        let pair = Pair::network("", carrier);
        unheard_until_admitted(&pair);
    }
    unheard_until_admitted(&Pair::pipes());
}

fn unheard_until_admitted(pair: &Pair) {
    pair.client.send(Lane::Control, message(1, MAX_HELLO)).unwrap();
    pair.client.send(Lane::Control, message(2, MAX_MESSAGE)).unwrap();
    pair.client.send(Lane::Bulk(1), message(3, MAX_MESSAGE)).unwrap();
    assert_eq!(number(&pair.server.recv(LONG).unwrap().1), 1);
    let more = pair.server.recv(Duration::from_millis(300));
    assert!(matches!(more, Err(LinkError::TimedOut(_))), "{more:?}");
    pair.server.send(Lane::Control, message(9, 4)).unwrap();
    assert_eq!(number(&pair.client.recv(LONG).unwrap().1), 9);
    pair.server.admitted();
    let rest = [pair.server.recv(LONG).unwrap(), pair.server.recv(LONG).unwrap()];
    assert!(rest.iter().all(|(_, message)| message.len() == MAX_MESSAGE));
}

#[test]
fn a_client_that_is_not_let_in_is_told_why() {
    let kinds = [Carrier::Quic, Carrier::Tcp].map(|carrier| Pair::network("", carrier));
    for pair in kinds.into_iter().chain([Pair::pipes()]) {
        pair.client.send(Lane::Control, message(1, 100)).unwrap();
        pair.client.send(Lane::Control, message(2, MAX_MESSAGE)).unwrap();
        pair.server.recv(LONG).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                pair.server.send(Lane::Control, message(66, 50)).unwrap();
                pair.server.close();
            });
            assert_eq!(number(&pair.client.recv(LONG).unwrap().1), 66);
            assert!(is_over(&pair.client.recv(LONG).unwrap_err()));
        });
    }
}

#[test]
fn a_server_that_vanishes_is_an_error_and_no_hang() {
    let idle = Duration::from_secs(2);
    let server = Server::start_with(&ListenOptions { idle, ..ListenOptions::default() });
    let relay = Relay::to(server.listener.address());
    let options = accepting(server.state.path());
    let dialer = dial_to(relay.address, dits_sync::link::DialOptions { carrier: Carrier::Quic, idle, ..options });
    let (client, there) = (dialer.dial().unwrap(), server.accept());
    there.admitted();
    exchange(&*client, &*there, &[4]);
    relay.cut();
    let ends = [&client, &there].map(|link| link.recv(LONG).unwrap_err());
    assert!(ends.iter().all(|end| matches!(end, LinkError::Broken(_))), "{ends:?}");
    assert!(client.send(Lane::Bulk(0), message(0, 4)).is_err());
    client.close();
}

#[test]
fn a_restarted_server_says_that_it_has_forgotten() {
    let idle = Duration::from_secs(3600);
    let listen = ListenOptions { idle, ..ListenOptions::default() };
    let server = Server::start_with(&listen);
    let relay = Relay::to(server.listener.address());
    let options = accepting(server.state.path());
    let dialer = dial_to(relay.address, dits_sync::link::DialOptions { carrier: Carrier::Quic, idle, ..options });
    let (client, there) = (dialer.dial().unwrap(), server.accept());
    there.admitted();
    exchange(&*client, &*there, &[4]);
    // The same key, and no memory of what was before.
    let identity = ServerIdentity::load_or_create(server.state.path()).unwrap();
    let again = Listener::bind("127.0.0.1:0".parse().unwrap(), &identity, &listen).unwrap();
    relay.lead_to(again.address());
    client.send(Lane::Control, message(0, 100)).unwrap();
    let end = client.recv(LONG).unwrap_err();
    assert!(matches!(&end, LinkError::Broken(why) if why.contains("restarted")), "{end:?}");
}

#[test]
fn a_change_of_address_is_survived() {
    let server = Server::start();
    let relay = Relay::to(server.listener.address());
    let options = accepting(server.state.path());
    let dialer = dial_to(relay.address, dits_sync::link::DialOptions { carrier: Carrier::Quic, ..options });
    let (client, there) = (dialer.dial().unwrap(), server.accept());
    there.admitted();
    for _ in 0..3 {
        let before = there.peer();
        exchange(&*client, &*there, &[100_000; 4]);
        relay.change_address();
        exchange(&*client, &*there, &[100_000; 4]);
        exchange(&*there, &*client, &[100_000; 4]);
        assert_ne!(there.peer(), before);
    }
}

#[test]
fn where_udp_is_blocked_tcp_is_used_and_remembered() {
    let server = Server::start_with(&ListenOptions { quic: false, ..ListenOptions::default() });
    let dialer = server.dialer(Carrier::Auto);
    for _ in 0..2 {
        let (client, there) = (dialer.dial().unwrap(), server.accept());
        there.admitted();
        exchange(&*client, &*there, &[1000]);
    }
    assert!(server.dialer(Carrier::Tcp).dial().is_ok());
}

#[test]
fn nobody_there_is_an_error() {
    let server = Server::start();
    let (address, state) = (server.listener.address(), server.state.path().to_owned());
    server.listener.stop();
    let options = dits_sync::link::DialOptions { carrier: Carrier::Tcp, ..accepting(&state) };
    drop(server);
    let Err(error) = dial_to(address, options).dial() else { panic!("dialled") };
    assert!(error.is_transient() && error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_limited_link_takes_its_time() {
    let pair = Pair::pipes();
    pair.server.admitted();
    let client = Limited::new(pair.client, 1_000_000);
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..10 {
                client.send(Lane::Bulk(0), message(n, 60_000)).unwrap();
            }
            client.send(Lane::Control, message(10, 4)).unwrap();
        });
        for _ in 0..11 {
            pair.server.recv(LONG).unwrap();
        }
    });
    // 600 KB at 1 MB/s, of which a tenth of a second is free.
    assert!(start.elapsed() > Duration::from_millis(450), "{:?}", start.elapsed());
}
