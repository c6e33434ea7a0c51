//! Who a server is: its key, and how clients recognise it.
//!
//! A server makes its own key when it first starts, and clients remember it, as with ssh: [`ServerIdentity`],
//! [`KnownHosts`]. Where there is an authority, its certificates can be used instead.

mod fingerprint;
mod known_hosts;
mod server;
mod trust;

pub use fingerprint::Fingerprint;
pub use known_hosts::{KnownHosts, KnownHostsError};
pub(crate) use server::ResetSecret;
pub use server::{IdentityError, ServerIdentity};
pub(crate) use trust::Verifier;
pub use trust::{NewHost, Tell, Trust};

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};

/// What the carriers agree on inside TLS.
pub(crate) const ALPN: &[u8] = b"dits/1";

/// Ciphers of TLS 1.3, the fastest first.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256],
        ..ring::default_provider()
    })
}
