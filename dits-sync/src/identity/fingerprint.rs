//! What people compare.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

/// The text before the digest.
const PREFIX: &str = "SHA256:";

/// SHA-256 of a server's public key (the certificate's SubjectPublicKeyInfo), so a certificate may be renewed with its key.
///
/// As text it is `SHA256:` and 43 characters of base64, which is what this prints:
/// `openssl x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64`
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fingerprint; one is SHA256: and 43 letters and digits, as the server prints it")]
pub struct FingerprintError(String);

impl Fingerprint {
    /// The fingerprint of a certificate's key.
    ///
    /// # Errors
    /// When it is no certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let suite = TLS13_AES_128_GCM_SHA256.tls13();
        let digest = suite.map(|suite| suite.common.hash_provider.hash(&key));
        match digest.and_then(|digest| <[u8; 32]>::try_from(digest.as_ref()).ok()) {
            Some(digest) => Ok(Self(digest)),
            None => Err(rustls::Error::General("no SHA-256".into())),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digest = text.strip_prefix(PREFIX).map(|digest| digest.trim_end_matches('='));
        digest
            .and_then(|digest| STANDARD_NO_PAD.decode(digest).ok())
            .and_then(|digest| digest.try_into().ok())
            .map(Self)
            .ok_or_else(|| FingerprintError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_stable() {
        let fingerprint = Fingerprint([0xab; 32]);
        let text = "SHA256:q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s";
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(text.parse(), Ok(fingerprint));
        assert_eq!(format!("{text}=").parse(), Ok(fingerprint));
        for wrong in ["", "SHA256:", "q6ur", "SHA256:q6ur", "MD5:q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s"] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
