//! A server's certificate and key.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dits_core::durable::{self, IoContext, IoError};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{ALPN, Fingerprint, provider};

/// The file that a server keeps its own certificate and key in.
const FILE: &str = "identity.pem";

/// The longest file of certificates or keys, in bytes.
pub(super) const MAX_PEM: u64 = 1 << 20;

/// Why a server has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A file that was named is not there.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// A file does not hold what it should.
    #[error("{} does not hold {what}{}", .path.display(), .detail)]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// More, if there is more to say.
        detail: String,
    },
    /// No key could be made.
    #[error("cannot make a key: {0}")]
    Generate(#[from] rcgen::Error),
}

/// A server's certificates and key.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    config: Arc<rustls::ServerConfig>,
    fingerprint: Fingerprint,
    resets: ResetSecret,
}

/// What a server proves with that it has forgotten a connection. It is the same after a restart, and nobody else's.
#[derive(Clone, Copy)]
pub(crate) struct ResetSecret(pub(crate) [u8; 32]);

impl std::fmt::Debug for ResetSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResetSecret")
    }
}

impl ServerIdentity {
    /// The identity that is kept in a folder. When there is none yet, a key is made, and a certificate that it signs itself,
    /// and both are kept there in one file that only its owner can read.
    ///
    /// # Errors
    /// When the folder cannot be written, or the file in it is no identity.
    pub fn load_or_create(folder: &Path) -> Result<Self, IdentityError> {
        let path = folder.join(FILE);
        if !path.exists() {
            create(folder, &path)?;
        }
        Self::from_pem(&path, &path)
    }

    /// The identity in files that somebody else manages: the certificate with the ones that lead to its authority, and the key.
    ///
    /// # Errors
    /// When they cannot be read, or do not belong together.
    pub fn from_pem(certificates: &Path, key: &Path) -> Result<Self, IdentityError> {
        let chain = certificates_in(certificates)?;
        let unusable =
            |detail: String| IdentityError::Unusable { path: key.to_owned(), what: "the certificate's key", detail };
        let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|e| unusable(format!(": {e}")))?;
        let leaf = chain.first().ok_or_else(|| unusable(String::new()))?;
        let fingerprint = Fingerprint::of(leaf).map_err(|e| unusable(format!(": {e}")))?;
        let resets = ResetSecret(blake3::derive_key("dits 2026 server connection resets v1", key.secret_der()));
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|e| unusable(format!(": {e}")))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Nobody resumes sessions, so nobody needs tickets.
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), fingerprint, resets })
    }

    /// What clients are to see.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn tls(&self) -> Arc<rustls::ServerConfig> {
        self.config.clone()
    }

    pub(crate) fn resets(&self) -> ResetSecret {
        self.resets
    }
}

fn create(folder: &Path, path: &Path) -> Result<(), IdentityError> {
    durable::create_dir_all(folder)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["dits-server".to_owned()])?.self_signed(&key)?;
    // Temporary files are their owner's alone.
    let mut temp = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder).at("create a file in", folder)?;
    let pem = [certificate.pem(), key.serialize_pem()].concat();
    temp.write_all(pem.as_bytes()).and_then(|()| temp.as_file().sync_all()).at("write", temp.path())?;
    match temp.persist_noclobber(path) {
        // Another process was faster.
        Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {}
        done => drop(done.map_err(|e| e.error).at("create", path)?),
    }
    durable::sync_dir(folder)?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    durable::read_limited(path, MAX_PEM)?.ok_or_else(|| IdentityError::Missing(path.to_owned()))
}

/// The certificates in a PEM file; at least one.
pub(super) fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let unusable =
        |detail| IdentityError::Unusable { path: path.to_owned(), what: "certificates in PEM format", detail };
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|e| unusable(format!(": {e}")))?;
    if found.is_empty() { Err(unusable(String::new())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_identity_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/state");
        let first = ServerIdentity::load_or_create(&folder).unwrap();
        let second = ServerIdentity::load_or_create(&folder).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
        let mode = std::fs::metadata(folder.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, "-----BEGIN NOTHING-----").unwrap();
        let error = ServerIdentity::load_or_create(folder.path()).unwrap_err().to_string();
        assert!(error.contains("identity.pem"), "{error}");
        let error = ServerIdentity::from_pem(Path::new("/nowhere.pem"), &file).unwrap_err().to_string();
        assert_eq!(error, "/nowhere.pem does not exist");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&a, &b] {
            ServerIdentity::load_or_create(folder.path()).unwrap();
        }
        let both = ServerIdentity::from_pem(&a.path().join(FILE), &b.path().join(FILE));
        assert!(matches!(both, Err(IdentityError::Unusable { .. })));
    }
}
