//! How a restarted server tells the clients of before that it knows nothing of their connections: by tokens that only it can
//! compute (RFC 9000, 10.3). Without that they would wait until they give it up.

use std::sync::Arc;

use quinn::EndpointConfig;
use quinn_proto::HashedConnectionIdGenerator;
use quinn_proto::crypto::{CryptoError, HmacKey};

use crate::identity::ResetSecret;

struct Key([u8; 32]);

impl HmacKey for Key {
    fn sign(&self, data: &[u8], signature: &mut [u8]) {
        blake3::Hasher::new_keyed(&self.0).update(data).finalize_xof().fill(signature);
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // The comparison takes the same time wherever they differ.
        let found = blake3::Hash::from_slice(signature).map_err(|_| CryptoError)?;
        if found == blake3::keyed_hash(&self.0, data) { Ok(()) } else { Err(CryptoError) }
    }
}

/// Settings of a server's endpoint that hold across its restarts: the tokens, and which connection ids are its own.
pub(super) fn endpoint(secret: ResetSecret) -> EndpointConfig {
    let ids = blake3::derive_key("dits 2026 server connection ids v1", &secret.0);
    let key = u64::from_le_bytes(*ids.first_chunk().unwrap_or(&[0; 8]));
    let mut config = EndpointConfig::new(Arc::new(Key(secret.0)));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config
}
