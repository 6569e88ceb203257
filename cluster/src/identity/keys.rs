//! Private keys, made from a node's own chance.
//!
//! Keys are Ed25519: 32 bytes of chance are one, so that it comes from [`Entropy`] like everything drawn. What is
//! printed of a key is that it is one.

use std::fmt;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use synod_domain::sources::Entropy;

use crate::identity::error::{Error, certificate};

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410).
const HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A private key of a node or of the authority.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeKey(Vec<u8>);

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey")
    }
}

impl NodeKey {
    /// Makes a new one.
    pub fn make(entropy: &dyn Entropy) -> Self {
        Self([&HEAD[..], &draw_bytes::<32>(entropy)].concat())
    }

    pub(super) fn from_pem(text: &str) -> Result<Self, Error> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(certificate)?;
        let key = Self(key.secret_pkcs8_der().to_vec());
        key.pair()?;
        Ok(key)
    }

    /// Returns its text. Whoever has it is the node.
    pub(super) fn pem(&self) -> Result<String, Error> {
        Ok(self.pair()?.serialize_pem())
    }

    pub(super) fn pair(&self) -> Result<KeyPair, Error> {
        let der = PrivatePkcs8KeyDer::from(self.0.as_slice());
        KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519).map_err(certificate)
    }

    pub(super) fn der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.clone()).into()
    }

    /// Returns a request for a certificate, signed with the key: whoever sends it has the key.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn request(&self) -> Result<Vec<u8>, Error> {
        let request = CertificateParams::default().serialize_request(&self.pair()?).map_err(certificate)?;
        Ok(request.der().to_vec())
    }
}

/// Draws bytes of chance.
pub(super) fn draw_bytes<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&entropy.draw().to_le_bytes()[..chunk.len()]);
    }
    bytes
}

/// Writes bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
