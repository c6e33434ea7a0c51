//! Whether a client believes that a server is the one it means.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::known_hosts::Known;
use super::{ALPN, Fingerprint, KnownHosts, provider};

/// Hears of a server that was remembered: `host:port` and its fingerprint.
pub type Tell = Arc<dyn Fn(&str, &Fingerprint) + Send + Sync>;

/// What to do about a server that was never seen before.
#[derive(Clone)]
pub enum NewHost {
    /// Remember its key, and tell.
    Accept(Tell),
    /// Accept only this key, and remember it.
    Expect(Fingerprint),
    /// Do not connect.
    Refuse,
}

/// What makes a client believe a server.
#[derive(Clone)]
pub enum Trust {
    /// The key is the one in a file of known hosts.
    Pinned {
        /// The file.
        known_hosts: PathBuf,
        /// What about servers that are not in it.
        new_host: NewHost,
    },
    /// The certificate is from an authority in this PEM file, and for the host's name.
    Authority(PathBuf),
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned { known_hosts, .. } => write!(f, "Pinned({})", known_hosts.display()),
            Self::Authority(path) => write!(f, "Authority({})", path.display()),
        }
    }
}

/// The check of one server while it is dialled, whatever the carriers.
pub(crate) struct Verifier {
    host: String,
    method: Method,
    provider: Arc<CryptoProvider>,
    /// Why it was refused, if it was, on whichever way.
    refusal: Mutex<Option<String>>,
}

enum Method {
    Pinned(KnownHosts, NewHost),
    Authority(Arc<WebPkiServerVerifier>),
}

impl Verifier {
    /// For the server `host` (`name:port`).
    ///
    /// # Errors
    /// Why the authority's file cannot be used.
    pub fn new(host: String, trust: &Trust) -> Result<Arc<Self>, String> {
        let provider = provider();
        let method = match trust {
            Trust::Pinned { known_hosts, new_host } => Method::Pinned(KnownHosts::at(known_hosts), new_host.clone()),
            Trust::Authority(path) => Method::Authority(authority(path, &provider)?),
        };
        Ok(Arc::new(Self { host, method, provider, refusal: Mutex::default() }))
    }

    /// A TLS client that asks this verifier.
    ///
    /// # Errors
    /// Why there is none; this depends on the build alone.
    pub fn tls(self: &Arc<Self>) -> Result<Arc<rustls::ClientConfig>, String> {
        let builder = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| e.to_string())?;
        let mut config = builder.dangerous().with_custom_certificate_verifier(self.clone()).with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        // So every connection proves the key anew.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// Why the server was refused, if it was.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After a handshake, which proved that the server has the key of `certificate`: remembers it if it is new. What other
    /// ways have shown that were tried at the same time counts for nothing.
    ///
    /// # Errors
    /// Why it cannot be remembered, or that another key was remembered meanwhile.
    pub fn confirm(&self, certificate: &CertificateDer<'_>) -> Result<(), String> {
        let Method::Pinned(hosts, new_host) = &self.method else { return Ok(()) };
        let shown = Fingerprint::of(certificate).map_err(|e| e.to_string())?;
        if hosts.find(&self.host).map_err(|e| e.to_string())?.is_some_and(|known| known.fingerprint == shown) {
            return Ok(());
        }
        let known = hosts.remember(&self.host, shown).map_err(|e| e.to_string())?;
        if known.fingerprint != shown {
            return Err(changed(&self.host, hosts.path(), known, shown));
        }
        if let NewHost::Accept(tell) = new_host {
            tell(&self.host, &shown);
        }
        Ok(())
    }

    fn check_pin(&self, hosts: &KnownHosts, new_host: &NewHost, shown: Fingerprint) -> Result<(), String> {
        match (hosts.find(&self.host).map_err(|e| e.to_string())?, new_host) {
            (Some(known), _) if known.fingerprint != shown => Err(changed(&self.host, hosts.path(), known, shown)),
            (Some(_), _) | (None, NewHost::Accept(_)) => Ok(()),
            (None, NewHost::Expect(expected)) if *expected == shown => Ok(()),
            (None, NewHost::Expect(expected)) => Err(format!(
                "{} has another key than expected.\n  expected: {expected}\n  its key:  {shown}\n\
                 Somebody may be listening in; ask who runs the server for its fingerprint.",
                self.host
            )),
            (None, NewHost::Refuse) => Err(format!(
                "{} is not known, and unknown servers are not accepted.\n  its key: {shown}\n\
                 If who runs the server confirms that, add this line to {}:\n  {} {shown}",
                self.host,
                hosts.path().display(),
                self.host
            )),
        }
    }
}

fn authority(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in super::server::certificates_in(path).map_err(|e| e.to_string())? {
        roots.add(certificate).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn changed(host: &str, path: &Path, known: Known, shown: Fingerprint) -> String {
    let (file, line) = (path.display(), known.line);
    format!(
        "THE KEY OF {host} HAS CHANGED. Somebody may be listening in, or the server was set up anew.\n  \
         known key: {} ({file}, line {line})\n  its key:   {shown}\n\
         Nothing was sent. If who runs the server confirms the new key, remove line {line} of that file and try again:\n  \
         sed -i {line}d '{}'",
        known.fingerprint,
        path.display().to_string().replace('\'', r"'\''")
    )
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("host", &self.host).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = match &self.method {
            Method::Pinned(hosts, new_host) => self.check_pin(hosts, new_host, Fingerprint::of(end_entity)?),
            Method::Authority(webpki) => webpki
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(drop)
                .map_err(|e| format!("{} cannot prove who it is: {e}", self.host)),
        };
        verdict.map(|()| ServerCertVerified::assertion()).map_err(|refusal| {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
            CertificateError::ApplicationVerificationFailure.into()
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let checked = verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms);
        if checked.is_err() {
            let refusal =
                format!("{} does not have the key of its certificate; somebody may be listening in", self.host);
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
        }
        checked
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_way_that_won_is_remembered_whatever_others_have_shown() {
        let dir = tempfile::tempdir().unwrap();
        let known_hosts = dir.path().join("known_hosts");
        let new_host = NewHost::Accept(Arc::new(|_, _| {}));
        let trust = Trust::Pinned { known_hosts: known_hosts.clone(), new_host };
        let verifier = Verifier::new("host:1".to_owned(), &trust).unwrap();
        let shown = |_| {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(["host".to_owned()]).unwrap();
            params.self_signed(&key).unwrap().der().clone().into_owned()
        };
        let [winner, loser] = [(); 2].map(shown);
        let name = ServerName::try_from("host").unwrap();
        for certificate in [&winner, &loser] {
            verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now()).unwrap();
        }
        verifier.confirm(&winner).unwrap();
        let line = format!("host:1 {}\n", Fingerprint::of(&winner).unwrap());
        assert_eq!(std::fs::read_to_string(&known_hosts).unwrap(), line);
        assert!(verifier.confirm(&loser).unwrap_err().contains("HAS CHANGED"));
    }
}
