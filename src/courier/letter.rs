//! What guests are told: a type with a kind, a version and an answer.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::courier::Error;

/// Something that can be sent. Both sides must mean the same by a kind and a version.
pub trait Letter: Serialize + DeserializeOwned + Send + 'static {
    /// What it is; unique among the letters of a cluster.
    const KIND: &'static str;

    /// Raise it when an older reader would misunderstand; it refuses the letter then instead.
    const VERSION: u16;

    /// What it is answered with.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}

/// Writes a letter as JSON, which nodes of different builds read alike.
pub(super) fn write<L: Letter>(letter: &L) -> Result<Bytes, Error> {
    let written = serde_json::to_vec(letter).map_err(|error| Error::Unwritable(error.to_string()))?;
    Ok(written.into())
}
