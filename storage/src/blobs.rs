//! Blobs: payloads and results that are too large for a log record, named by their content.
//!
//! A store promises that a blob reads as the bytes its name was computed from, or as
//! [`Error::Damaged`], and that it is durable when [`Blobs::put`] returns. It leaves to its callers
//! which blobs are still wanted.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::{Error, Place};

/// Largest payload that travels inside a log record.
///
/// Every follower writes every record; 64 KiB keeps a batch of many commands within one sync.
pub const INLINE_MAX: usize = 64 * 1024;

/// Largest blob. A blob is held in memory while it is hashed and sent, several at a time.
pub const BLOB_MAX: usize = 64 * 1024 * 1024;

/// The SHA-256 of a blob, which is its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; 32]);

impl BlobId {
    /// Computes the name of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes a digest that was computed or received elsewhere.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Returns the digest.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl FromStr for BlobId {
    type Err = Error;

    /// Reads the 64 lower-case hex digits that [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::damaged(Place::Value, format!("`{text}` is not a blob id"));
        let digits = text.as_bytes();
        if digits.len() != 64 || digits.iter().any(u8::is_ascii_uppercase) {
            return Err(bad());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(digest))
    }
}

/// Content-addressed bytes.
pub trait Blobs: Send + Sync + 'static {
    /// Stores `bytes` and returns their name. Durable on return; cheap when they are there already.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] above [`BLOB_MAX`], [`Error::NoSpace`]; nothing is kept then.
    fn put(&self, bytes: &[u8]) -> Result<BlobId, Error>;

    /// Returns the bytes of `id`, checked against it.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] or [`Error::Damaged`].
    fn get(&self, id: &BlobId) -> Result<Bytes, Error>;

    /// Returns whether `id` is stored, without reading it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file system cannot tell.
    fn contains(&self, id: &BlobId) -> Result<bool, Error>;

    /// Removes `id`; one that is absent is fine.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; the blob may still be there.
    fn remove(&self, id: &BlobId) -> Result<(), Error>;

    /// Returns all names, sorted.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a folder cannot be read.
    fn list(&self) -> Result<Vec<BlobId>, Error>;
}

/// Refuses what is over [`BLOB_MAX`].
pub(crate) fn check_size(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > BLOB_MAX {
        return Err(Error::TooLarge { what: "blob", bytes: bytes.len() as u64, max: BLOB_MAX as u64 });
    }
    Ok(())
}

/// Checks that `bytes` are what `id` names.
pub(crate) fn check_content(id: &BlobId, bytes: &[u8]) -> Result<(), Error> {
    let found = BlobId::of(bytes);
    if found != *id {
        return Err(Error::damaged(Place::Blob(*id), format!("its content hashes to {found}")));
    }
    Ok(())
}
