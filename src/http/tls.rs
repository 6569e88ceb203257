//! TLS from PEM files, and certificates that a node signs itself.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

/// The names of the files that [`Certificate::write`] makes.
pub const FILES: [&str; 2] = ["cert.pem", "key.pem"];

/// What this server speaks below TLS.
const PROTOCOL: &[u8] = b"http/1.1";

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{path} cannot be used: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key are there and cannot be served.
    #[error("certificate and key cannot be used together: {0}")]
    Pair(rustls::Error),
    /// A certificate cannot be made.
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A file is there that would be lost.
    #[error("{0} exists already; choose another folder, or give --force to replace it")]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("{path} cannot be written: {error}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// Reads a chain of certificates and its key, both PEM.
///
/// # Errors
/// When a file is not there or not of that form, or the key is another certificate's.
pub fn read(cert: &Path, key: &Path) -> Result<Arc<rustls::ServerConfig>, Error> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(cert, error))?;
    if chain.is_empty() {
        return Err(unusable(cert, "there is no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
    // Named here, so that no other crate's choice for the whole process counts.
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(Error::Pair)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::File { path: path.to_owned(), reason: reason.to_string() }
}

/// A certificate that a node signed itself, with its key.
pub struct Certificate {
    chain: String,
    key: KeyPair,
    fingerprint: [u8; 32],
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Makes one for these names and addresses.
    ///
    /// # Errors
    /// When one of them is neither.
    pub fn make(hosts: &[String]) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(hosts.to_vec())?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "synod");
        params.distinguished_name = name;
        let made = params.self_signed(&key)?;
        let fingerprint = Sha256::digest(made.der()).into();
        Ok(Self { chain: made.pem(), key, fingerprint })
    }

    /// Returns the SHA-256 of the certificate as people compare it.
    pub fn fingerprint(&self) -> String {
        let bytes: Vec<String> = self.fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// Writes certificate and key into a folder, the key for its owner alone.
    ///
    /// # Errors
    /// When one of the files is there already and `replace` is not said, or cannot be written.
    pub fn write(&self, folder: &Path, replace: bool) -> Result<[PathBuf; 2], Error> {
        let paths = FILES.map(|name| folder.join(name));
        if let Some(there) = paths.iter().find(|path| !replace && path.exists()) {
            return Err(Error::Exists(there.clone()));
        }
        fs::create_dir_all(folder).map_err(|error| Error::Write { path: folder.to_owned(), error })?;
        let texts = [(self.chain.as_str(), false), (&*self.key.serialize_pem(), true)];
        for (path, (text, secret)) in paths.iter().zip(texts) {
            write(path, text.as_bytes(), secret)
                .map_err(|error| Error::Write { path: path.clone(), error })?;
        }
        Ok(paths)
    }
}

/// Writes a file anew; nobody else can read it at any moment if it is secret.
pub(crate) fn write(path: &Path, bytes: &[u8], secret: bool) -> std::io::Result<()> {
    // A file of that name keeps its mode when it is written over.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if secret { 0o600 } else { 0o644 });
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
