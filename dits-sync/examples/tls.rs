//! The mark for the carriers: bytes through one TLS connection over loopback, with nothing around it. The cipher is theirs.
//!
//!     tls 2048                    # MiB

#![allow(clippy::print_stdout, missing_docs)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{self, cipher_suite::TLS13_AES_128_GCM_SHA256};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PIECE: usize = 1 << 20;

fn main() -> Outcome<()> {
    let mebibytes: u64 = std::env::args().nth(1).ok_or("tls MEBIBYTES")?.parse()?;
    let total = mebibytes * PIECE as u64;
    let (client, server) = ends()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let receiver = std::thread::spawn(move || receive(&listener, server, total));

    let connection = ClientConnection::new(client, ServerName::try_from("localhost")?)?;
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address)?);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let piece = vec![42; PIECE];
    let (before, start) = (cpu(), Instant::now());
    for _ in 0..mebibytes {
        stream.write_all(&piece)?;
    }
    stream.flush()?;
    stream.read_exact(&mut [0])?;
    let (seconds, here) = (start.elapsed().as_secs_f64(), cpu() - before);
    let there = receiver.join().map_err(|_| "the receiver panicked")??;
    let (megabytes, gigabytes) = (total as f64 / 1e6, total as f64 / 1e9);
    println!(
        "tls: {:.1} MB/s; CPU-s/GB: sender {:.2}, receiver {:.2}",
        megabytes / seconds,
        here / gigabytes,
        there / gigabytes
    );
    Ok(())
}

/// Takes `total` bytes, confirms them with one, and says what that took of the processor.
fn receive(listener: &TcpListener, config: Arc<ServerConfig>, total: u64) -> Outcome<f64> {
    let (socket, _) = listener.accept()?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, socket);
    let (mut buffer, mut left) = (vec![0; PIECE], total);
    let before = cpu();
    while left > 0 {
        match stream.read(&mut buffer)? {
            0 => return Err("the sender is gone".into()),
            n => left -= n as u64,
        }
    }
    stream.write_all(&[0])?;
    stream.flush()?;
    Ok(cpu() - before)
}

/// A server with a certificate of its own, and a client that trusts no other.
fn ends() -> Outcome<(Arc<ClientConfig>, Arc<ServerConfig>)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let provider =
        Arc::new(CryptoProvider { cipher_suites: vec![TLS13_AES_128_GCM_SHA256], ..ring::default_provider() });
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let client = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let server = server.with_no_client_auth().with_single_cert(vec![certificate], key)?;
    Ok((Arc::new(client), Arc::new(server)))
}

/// CPU time of this thread, in seconds.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
