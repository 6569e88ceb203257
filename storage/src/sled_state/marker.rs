//! The marker beside the state: which generation counts, and how far it is durable at least.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{codec, durable, error::Error};

/// The file.
pub(crate) const FILE: &str = "applied.marker";

/// Written after each sync of the state, so the state is never behind it unless it was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// The generation that counts.
    pub(crate) generation: u64,
    /// The applied index of its last durable batch.
    pub(crate) applied: u64,
}

impl Marker {
    /// Reads the marker; `None` when there never was one.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => codec::decode(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }

    /// Replaces the marker. Durable on return.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        durable::write_file(&folder.join(FILE), &codec::encode(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_keeps_its_golden_bytes() {
        let marker = Marker { generation: 3, applied: 300 };
        let bytes = codec::encode(&marker).unwrap();
        assert_eq!(bytes[0], codec::VERSION);
        assert_eq!(bytes[5..], [3, 251, 44, 1]);
        assert_eq!(codec::decode::<Marker>(&bytes).unwrap(), marker);
    }
}
