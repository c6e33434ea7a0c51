//! Peers that do not keep to the protocol of links.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use dits_sync::link::{self, Lane, Link, LinkError};
use dits_sync::wire::{MAX_HELLO, MAX_MESSAGE};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use crate::pairs::{LONG, Server};

/// Believes anybody.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

fn tls(alpn: &[u8]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible))
        .with_no_client_auth();
    config.alpn_protocols = if alpn.is_empty() { Vec::new() } else { vec![alpn.to_vec()] };
    Arc::new(config)
}

fn raw_tls(server: &Server) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("x").unwrap();
    let connection = ClientConnection::new(tls(b"dits/1"), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(server.listener.address()).unwrap());
    stream.flush().unwrap();
    stream
}

/// What precedes a message on one-stream carriers.
fn header(lane: u8, len: usize) -> Vec<u8> {
    [&[lane][..], &(len as u32).to_le_bytes()].concat()
}

/// Bytes that break a rule, for a server that has let the client in, or not.
fn violations() -> Vec<(Vec<u8>, bool)> {
    vec![
        (header(0, MAX_HELLO + 1), false),
        (header(0, 0), false),
        (header(6, 10), true),
        (header(255, 10), true),
        (header(0, MAX_MESSAGE + 1), true),
        (header(2, u32::MAX as usize), true),
        (header(2, 0), true),
    ]
}

#[test]
fn over_tls_violations_end_the_link() {
    let server = Server::start();
    for (bytes, admitted) in violations() {
        let mut stream = raw_tls(&server);
        let link = server.accept();
        if admitted {
            link.admitted();
        }
        stream.write_all(&bytes).unwrap();
        stream.flush().unwrap();
        let end = link.recv(LONG).unwrap_err();
        assert!(matches!(end, LinkError::Protocol(_)), "{bytes:?}: {end:?}");
    }
}

#[test]
fn over_pipes_violations_end_the_link() {
    for (bytes, admitted) in violations() {
        let ((from_client, mut client), (_client_reads, to_client)) =
            (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        let link = link::over(from_client, to_client, "client", admitted).unwrap();
        client.write_all(&bytes).unwrap();
        let end = link.recv(LONG).unwrap_err();
        assert!(matches!(end, LinkError::Protocol(_)), "{bytes:?}: {end:?}");
    }
}

#[test]
fn a_stream_that_ends_within_a_message_is_broken() {
    let server = Server::start();
    let mut stream = raw_tls(&server);
    let link = server.accept();
    stream.write_all(&[&header(0, 100)[..], b"too short"].concat()).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert!(matches!(link.recv(LONG), Err(LinkError::Broken(_))));
    // One that just breaks off is broken even between messages.
    let stream = raw_tls(&server);
    let link = server.accept();
    stream.sock.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(matches!(link.recv(LONG), Err(LinkError::Broken(_))));
}

#[test]
fn without_the_protocols_name_there_is_no_link() {
    let server = Server::start();
    for alpn in [&b""[..], b"http/1.1"] {
        let connection = ClientConnection::new(tls(alpn), ServerName::try_from("x").unwrap()).unwrap();
        let socket = TcpStream::connect(server.listener.address()).unwrap();
        let _ = StreamOwned::new(connection, socket).flush();
        assert!(server.listener.accept(Duration::from_millis(200)).is_none());
    }
    // Nor without TLS; and others are served meanwhile.
    let mut noise = TcpStream::connect(server.listener.address()).unwrap();
    noise.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _silence = TcpStream::connect(server.listener.address()).unwrap();
    let _stream = raw_tls(&server);
    server.accept();
}

/// A client of quinn's own, and the connection it made.
struct RawQuic {
    runtime: tokio::runtime::Runtime,
    _endpoint: quinn::Endpoint,
    connection: quinn::Connection,
}

fn raw_quic(server: &Server) -> RawQuic {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (endpoint, connection) = runtime.block_on(async {
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls(b"dits/1")).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let connection = endpoint.connect_with(config, server.listener.address(), "x").unwrap().await.unwrap();
        (endpoint, connection)
    });
    RawQuic { runtime, _endpoint: endpoint, connection }
}

#[test]
fn over_quic_violations_end_the_link() {
    let server = Server::start();
    let len = |len: usize| (len as u32).to_le_bytes().to_vec();
    let named = |lane: u8, len: usize| [&[lane][..], &(len as u32).to_le_bytes()].concat();
    // What is written to the control stream, and to one new stream each.
    let cases: Vec<(Vec<u8>, Vec<Vec<u8>>, bool)> = vec![
        (len(MAX_HELLO + 1), vec![], false),
        (len(0), vec![], false),
        (len(MAX_MESSAGE + 1), vec![], true),
        (b"\x05\0\0".to_vec(), vec![], true),
        (vec![], vec![vec![6]], true),
        (vec![], vec![vec![0]], true),
        (vec![], vec![vec![2], vec![2]], true),
        (vec![], vec![named(3, MAX_MESSAGE + 1)], true),
        (vec![], vec![named(1, 5)], true),
        (vec![], vec![vec![]], true),
    ];
    for (control, others, admitted) in cases {
        let raw = raw_quic(&server);
        let link = server.accept();
        if admitted {
            link.admitted();
        }
        // Something first, so that the server sees the stream.
        let first: &[u8] = if admitted { b"\x01\0\0\0x" } else { b"" };
        let _streams = raw.runtime.block_on(async {
            let (mut send, recv) = raw.connection.open_bi().await.unwrap();
            send.write_all(&[first, &control].concat()).await.unwrap();
            if !control.is_empty() {
                send.finish().unwrap();
            }
            (send, recv)
        });
        if admitted {
            assert_eq!(link.recv(LONG).unwrap().0, Lane::Control);
        }
        raw.runtime.block_on(async {
            for other in &others {
                let mut stream = raw.connection.open_uni().await.unwrap();
                stream.write_all(other).await.unwrap();
                stream.finish().unwrap();
            }
        });
        let end = link.recv(LONG).unwrap_err();
        assert!(matches!(end, LinkError::Protocol(_)), "{control:?} {others:?}: {end:?}");
    }
}

#[test]
fn a_stranger_over_quic_cannot_fill_memory() {
    let server = Server::start();
    let raw = raw_quic(&server);
    let _link = server.accept();
    let written = raw.runtime.block_on(async {
        let (mut send, _recv) = raw.connection.open_bi().await.unwrap();
        let mut written = send.write(&[&1_u32.to_le_bytes()[..], b"x"].concat()).await.unwrap();
        let chunk = vec![1; 65536];
        while let Ok(Ok(n)) = tokio::time::timeout(Duration::from_millis(300), send.write(&chunk)).await {
            written += n;
        }
        written
    });
    assert!(written <= 128 << 10, "{written} bytes were taken");
}
