//! How fast a carrier is, and how much CPU time it takes.
//!
//!     carrier quic 2048                          # between two processes on this machine: 2048 MiB over QUIC
//!     carrier serve 10.0.0.2:5557                # or between machines
//!     carrier send 10.0.0.2:5557 tcp 256

#![allow(clippy::print_stdout, missing_docs)]

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dits_sync::identity::{NewHost, ServerIdentity, Trust};
use dits_sync::link::{Carrier, DialOptions, Lane, Link, ListenOptions, Listener, dialer};
use dits_sync::url::RemoteUrl;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(60);

/// What one message carries.
const MESSAGE: usize = 1 << 20;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(address),
        ["send", address, kind, mebibytes] => send(address, kind, mebibytes.parse()?),
        [kind, mebibytes] => {
            let (mut server, address) = start_server()?;
            let sent = send(&address, kind, mebibytes.parse()?);
            server.kill()?;
            server.wait()?;
            sent
        }
        _ => Err("carrier [serve ADDRESS | send ADDRESS quic|tcp MEBIBYTES | quic|tcp MEBIBYTES]".into()),
    }
}

fn start_server() -> Outcome<(Child, String)> {
    let program = std::env::current_exe()?;
    let mut server = Command::new(program).args(["serve", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut address)?;
    Ok((server, address.trim().to_owned()))
}

fn serve(address: &str) -> Outcome<()> {
    let state = tempfile::tempdir()?;
    let identity = ServerIdentity::load_or_create(state.path())?;
    let listener = Listener::bind(address.parse()?, &identity, &ListenOptions::default())?;
    println!("{}", listener.address());
    loop {
        let Some(link) = listener.accept(PATIENCE) else { continue };
        std::thread::spawn(move || receive(&*link));
    }
}

/// Takes everything until the client says how much that was, and answers with the CPU time that this process took.
fn receive(link: &dyn Link) {
    let before = cpu();
    let mut left = None;
    let mut got = 0;
    while left != Some(got) {
        match link.recv(PATIENCE) {
            Ok((Lane::Control, message)) => {
                link.admitted();
                left = message.get(1..9).and_then(|n| n.try_into().ok()).map(u64::from_le_bytes);
            }
            Ok((_, message)) => got += message.len() as u64,
            Err(error) => return println!("{}: {error}", link.peer()),
        }
    }
    let took = ((cpu() - before) * 1e6) as u64;
    let _ = link.send(Lane::Control, Bytes::from([&[0][..], &took.to_le_bytes()].concat()));
    let _ = link.recv(PATIENCE);
}

fn send(address: &str, kind: &str, mebibytes: u64) -> Outcome<()> {
    let state = tempfile::tempdir()?;
    let trust =
        Trust::Pinned { known_hosts: state.path().join("known_hosts"), new_host: NewHost::Accept(Arc::new(|_, _| {})) };
    let carrier = match kind {
        "quic" => Carrier::Quic,
        "tcp" => Carrier::Tcp,
        _ => Carrier::Auto,
    };
    let options = DialOptions { carrier, ..DialOptions::new(trust) };
    let link = dialer(&RemoteUrl::parse(&format!("dits://{address}/x"))?, options)?.dial()?;
    let total = mebibytes * MESSAGE as u64;
    link.send(Lane::Control, Bytes::from([&[0][..], &total.to_le_bytes()].concat()))?;
    let (before, start) = (cpu(), Instant::now());
    let message = Bytes::from(vec![42; MESSAGE]);
    for n in 0..mebibytes {
        link.send(Lane::Bulk((n % 4) as u8), message.clone())?;
    }
    let (_, answer) = link.recv(PATIENCE)?;
    let seconds = start.elapsed().as_secs_f64();
    let (here, there) = (cpu() - before, u64::from_le_bytes(answer[1..9].try_into()?) as f64 / 1e6);
    let traffic = link.traffic();
    link.close();
    let (megabytes, gigabytes) = (total as f64 / 1e6, total as f64 / 1e9);
    println!(
        "{kind}: {:.1} MB/s; CPU-s/GB: sender {:.2}, receiver {:.2}; on the wire {:.3} times the payload, {} bytes back",
        megabytes / seconds,
        here / gigabytes,
        there / gigabytes,
        traffic.sent as f64 / total as f64,
        traffic.received,
    );
    Ok(())
}

/// CPU time of this process, in seconds.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
