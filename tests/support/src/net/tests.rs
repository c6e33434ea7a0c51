//! The emulator measured by what programs see.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use super::*;
use crate::{Background, Sandbox};

const MS: Duration = Duration::from_millis(1);
/// Long enough for anything that comes at all, on a busy machine.
const LONG_WAIT: Duration = Duration::from_secs(10);
/// IPv4 and UDP headers.
const HEADERS: usize = 28;

/// A socket on a side, bound to no address, connected to nobody.
fn socket(net: &Net, side: Side, patience: Duration) -> UdpSocket {
    let socket = net.inside(side, || UdpSocket::bind(("0.0.0.0", 0))).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket
}

/// A client on side A, and a server on side B that answers with what it got and from whom.
struct Echo<'a> {
    net: &'a Net,
    client: UdpSocket,
    server: UdpSocket,
}

impl<'a> Echo<'a> {
    fn new(net: &'a Net, patience: Duration) -> Self {
        Self { net, client: socket(net, Side::A, patience), server: socket(net, Side::B, patience) }
    }

    /// Sends there and back; gives what the server got, the sender as it saw it, and the round trip's time.
    fn round(&self, message: &[u8]) -> io::Result<(Vec<u8>, std::net::SocketAddr, Duration)> {
        let mut buffer = [0; 2000];
        let begin = Instant::now();
        let port = self.server.local_addr()?.port();
        self.client.send_to(message, (self.net.address(Side::B), port))?;
        let (length, sender) = self.server.recv_from(&mut buffer)?;
        let seen = buffer[..length].to_vec();
        self.server.send_to(&seen, sender)?;
        let (length, _) = self.client.recv_from(&mut buffer)?;
        assert_eq!(buffer[..length], seen);
        Ok((seen, sender, begin.elapsed()))
    }
}

#[test]
fn the_delay_is_what_was_set() {
    let settings = LinkSettings { delay: 20 * MS, ..LinkSettings::default() };
    let Some(net) = Net::new("the_delay_is_what_was_set", &settings) else { return };
    let echo = Echo::new(&net, LONG_WAIT);
    // The shortest, as a busy machine makes some longer.
    let trip = |count| (0..count).map(|_| echo.round(b"ping").unwrap().2).min().unwrap();
    let both = trip(15);
    assert!((40 * MS..44 * MS).contains(&both), "{both:?}");
    net.set_from(Side::B, &LinkSettings::default());
    let one = trip(10);
    assert!((20 * MS..24 * MS).contains(&one), "{one:?}");
}

#[test]
fn the_loss_is_what_was_set() {
    let settings = LinkSettings { loss: 10.0, ..LinkSettings::default() };
    let Some(net) = Net::new("the_loss_is_what_was_set", &settings) else { return };
    let echo = Echo::new(&net, LONG_WAIT);
    let target = (net.address(Side::B), echo.server.local_addr().unwrap().port());
    let mut received = 0;
    for batch in 1..=100 {
        for _ in 0..40 {
            echo.client.send_to(&[1; 500], target).unwrap();
        }
        let begin = Instant::now();
        while received + net.counters(Side::A).lost < batch * 40 {
            assert!(begin.elapsed() < LONG_WAIT, "{:?}", net.counters(Side::A));
            echo.server.set_read_timeout(Some(5 * MS)).unwrap();
            received += u64::from(echo.server.recv(&mut [0; 500]).is_ok());
        }
    }
    let counters = net.counters(Side::A);
    assert!((3520..3680).contains(&received), "{received} of 4000"); // the deviation is 19
    assert_eq!((counters.packets, counters.bytes), (4000, 4000 * (500 + HEADERS as u64)));
    assert_eq!((counters.lost, counters.delivered_packets), (4000 - received, received));
}

#[test]
fn the_rate_is_what_was_set() {
    let settings = LinkSettings { mbit: 20.0, queue: 300_000, ..LinkSettings::default() };
    let Some(net) = Net::new("the_rate_is_what_was_set", &settings) else { return };
    let echo = Echo::new(&net, 500 * MS);
    let target = (net.address(Side::B), echo.server.local_addr().unwrap().port());
    let arrivals = std::thread::scope(|scope| {
        scope.spawn(|| {
            let begin = Instant::now();
            while begin.elapsed() < 800 * MS {
                for _ in 0..20 {
                    echo.client.send_to(&[1; 1500 - HEADERS], target).unwrap();
                }
                std::thread::sleep(4 * MS); // 60 Mbit/s at most
            }
        });
        let arrival = || echo.server.recv(&mut [0; 1500]).is_ok().then(Instant::now);
        std::iter::from_fn(arrival).collect::<Vec<_>>()
    });
    let took = arrivals[arrivals.len() - 1] - arrivals[0];
    let mbit = (arrivals.len() - 1) as f64 * 1500.0 * 8.0 / 1e6 / took.as_secs_f64();
    assert!((18.0..22.0).contains(&mbit), "{mbit} Mbit/s in {took:?}");
    assert!(net.counters(Side::A).overflowed > 0);
}

#[test]
fn a_blackout_stops_everything_and_ends() {
    let settings = LinkSettings { delay: 5 * MS, ..LinkSettings::default() };
    let Some(net) = Net::new("a_blackout_stops_everything_and_ends", &settings) else { return };
    let patient = Echo::new(&net, LONG_WAIT);
    let hasty = Echo::new(&net, 150 * MS);
    patient.round(b"before").unwrap();
    net.blackout(true);
    hasty.round(b"into the dark").unwrap_err();
    assert_eq!(net.counters(Side::A).cut, 1);
    net.blackout(false);
    patient.round(b"after").unwrap();
}

#[test]
fn a_client_moves_to_another_port_and_address() {
    let name = "a_client_moves_to_another_port_and_address";
    let Some(mut net) = Net::new(name, &LinkSettings::default()) else { return };
    let client = socket(&net, Side::A, LONG_WAIT);
    let server = socket(&net, Side::B, LONG_WAIT);
    let (target, own) =
        ((net.address(Side::B), server.local_addr().unwrap().port()), client.local_addr().unwrap().port());
    let seen_as = || {
        client.send_to(b"me", target).unwrap();
        let (_, sender) = server.recv_from(&mut [0; 9]).unwrap();
        server.send_to(b"you", sender).unwrap();
        assert_eq!(client.recv(&mut [0; 9]).unwrap(), 3);
        sender
    };
    let first = seen_as();
    assert_eq!(first, (net.address(Side::A), own).into());
    net.change_ports();
    let second = seen_as();
    assert!(second.ip() == first.ip() && second.port() != own);
    net.change_ports();
    assert!(![own, second.port()].contains(&seen_as().port()));
    let other = Ipv4Addr::new(192, 0, 2, 9);
    net.change_address(Side::A, other);
    assert_eq!(seen_as().ip(), other);
    assert_eq!(net.address(Side::A), other);
    net.add_address(Side::A, Ipv4Addr::new(192, 0, 2, 10));
    assert_eq!(seen_as().ip(), other);
}

#[test]
fn corruption_is_seen_by_the_kernel_or_by_the_program() {
    let name = "corruption_is_seen_by_the_kernel_or_by_the_program";
    let unseen = LinkSettings { corrupt_unseen: 100.0, ..LinkSettings::default() };
    let Some(net) = Net::new(name, &unseen) else { return };
    net.set_from(Side::B, &LinkSettings::default());
    let echo = Echo::new(&net, 200 * MS);
    let sent = crate::random::bytes(4, 1000);
    let (got, ..) = echo.round(&sent).unwrap();
    assert!(got != sent && got.len() == 1000);
    net.set_from(Side::A, &LinkSettings { corrupt: 100.0, ..LinkSettings::default() });
    echo.round(&sent).unwrap_err();
}

#[test]
fn programs_run_on_a_side() {
    let Some(net) = Net::new("programs_run_on_a_side", &LinkSettings::default()) else { return };
    let sandbox = Sandbox::new("/nonexistent");
    let mut command = sandbox.command("sh");
    command.args(["-c", "cat /proc/net/dev; echo up $COLUMNS; exec sleep 64.5"]);
    let mut server = sandbox.spawn(net.within(Side::B, &command));
    assert_eq!(server.wait_for("up", LONG_WAIT), "up 100");
    let interfaces = server.kill().out();
    let names: Vec<_> = interfaces.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    assert_eq!(names, ["lo", DEVICE]);
    let mut server = Background::start(net.command(Side::A, "sleep").arg("64.6")).unwrap();
    assert!(server.is_running());
}

#[test]
fn nothing_is_left_after_a_panic() {
    let name = "nothing_is_left_after_a_panic";
    let Some(net) = Net::new(name, &LinkSettings::default()) else { return };
    let numbers = [0, 1].map(|side: usize| net.sides[side].number().unwrap());
    let mut stray = net.command(Side::A, "sleep").arg("65.7").spawn().unwrap();
    let enters = (0..500).any(|_| {
        std::thread::sleep(10 * MS);
        namespace::inhabitants(numbers[0]).len() == 1
    });
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _net = net;
        panic!("as a failing test does");
    }));
    assert!(enters && panicked.is_err());
    assert!(!stray.wait().unwrap().success());
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let open: Vec<_> = open.map(|target| target.to_string_lossy().into_owned()).collect();
    for number in numbers {
        assert!(namespace::inhabitants(number).is_empty() && !open.contains(&format!("net:[{number}]")));
    }
    assert!(!Path::new("/sys/class/net").join(DEVICE).exists());
}

/// Sends over TCP from A to B for some seconds after the beginning has settled; gives the Mbit/s of payload.
fn tcp(net: &Net, control: &str, seconds: u64) -> f64 {
    let listener = net.inside(Side::B, || TcpListener::bind(("0.0.0.0", 0))).unwrap();
    let target = (net.address(Side::B), listener.local_addr().unwrap().port());
    let (received, end) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = net.inside(Side::A, || TcpStream::connect(target)).unwrap();
            rustix::net::sockopt::set_tcp_congestion(&stream, control).unwrap();
            let block = crate::random::bytes(1, 256 << 10);
            while !end.load(Ordering::Relaxed) {
                stream.write_all(&block).unwrap();
            }
        });
        let mut stream = listener.accept().unwrap().0;
        let received = &received;
        scope.spawn(move || {
            let mut buffer = vec![0; 256 << 10];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                received.fetch_add(length as u64, Ordering::Relaxed);
            }
        });
        std::thread::sleep(Duration::from_secs(3));
        let (first, begin) = (received.load(Ordering::Relaxed), Instant::now());
        std::thread::sleep(Duration::from_secs(seconds));
        let (last, took) = (received.load(Ordering::Relaxed), begin.elapsed());
        end.store(true, Ordering::Relaxed);
        (last - first) as f64 * 8.0 / 1e6 / took.as_secs_f64()
    })
}

#[test]
fn tcp_fills_a_fast_and_long_link() {
    let name = "tcp_fills_a_fast_and_long_link";
    if !crate::long(name) {
        return;
    }
    let full = 200.0 * 1448.0 / 1500.0; // what the headers leave
    let cases = [("bbr", 25, 0.0, 0.9), ("cubic", 25, 0.0, 0.9), ("bbr", 50, 0.0, 0.9), ("bbr", 25, 1.0, 0.75)];
    for (control, delay, loss, least) in cases {
        let case = format!("{control}, {delay} ms one way, {loss} % loss");
        let settings =
            LinkSettings { delay: delay * MS, mbit: 200.0, queue: 2_500_000, loss, ..LinkSettings::default() };
        // Sender and receiver have to be given the processor too: what counts is what the link lets through.
        let reached = (0..3).any(|_| {
            let Some(net) = Net::new(name, &settings) else { return true };
            let mbit = tcp(&net, control, 5);
            eprintln!("{case}: {mbit:.1} of {full:.1} Mbit/s, {:?}", net.counters(Side::A));
            assert!(mbit < full * 1.01, "{case}: {mbit} Mbit/s");
            mbit > full * least
        });
        assert!(reached, "{case}: never {least} of the rate");
    }
}
