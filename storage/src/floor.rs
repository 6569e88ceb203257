//! The outside floor: a file beside the log that says how far the log was synced.
//!
//! A log whose last file was cut or whose middle was flipped opens without an error and ends earlier.
//! The floor makes that visible. It is written after each sync and not synced itself, so it costs a
//! copy into the page cache: after a kill it is exact, after a power cut it may be older than the log,
//! and it is never ahead of it. Lowering it, before records are removed on purpose, is synced.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{durable, error::Error};

/// The index and its checksum: one sector, so a torn write leaves the old or the new content.
const LENGTH: usize = 8 + 4;

/// An open floor file.
#[derive(Debug)]
pub(crate) struct Floor {
    file: File,
    path: PathBuf,
}

impl Floor {
    /// Reads the floor at `path`; `None` when there is none or it cannot be trusted.
    pub(crate) fn read(path: &Path) -> Result<Option<u64>, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path, error)),
        };
        let floor = decode(&bytes);
        if floor.is_none() {
            tracing::warn!(path = %path.display(), "the floor of the log is unreadable and is ignored");
        }
        Ok(floor)
    }

    /// Opens the floor for writing and sets it to what the log holds.
    pub(crate) fn open(path: &Path, last: u64) -> Result<Self, Error> {
        let file = durable::open_private(path).map_err(|error| Error::io("open", path, error))?;
        let floor = Self { file, path: path.to_owned() };
        floor.lower(last)?;
        if let Some(folder) = path.parent() {
            durable::sync_folder(folder)?;
        }
        Ok(floor)
    }

    /// Raises the floor after a sync of the log. A failure leaves a lower floor, which is safe.
    pub(crate) fn raise(&self, last: u64) {
        if let Err(error) = self.file.write_all_at(&encode(last), 0) {
            tracing::warn!(%error, "the floor of the log cannot be raised");
        }
    }

    /// Lowers the floor before records are removed; a floor above the log would refuse a healthy one.
    pub(crate) fn lower(&self, last: u64) -> Result<(), Error> {
        self.file
            .write_all_at(&encode(last), 0)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| Error::io("write", &self.path, error))
    }
}

fn encode(last: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&last.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
    let (last, crc) = bytes.split_first_chunk::<8>()?;
    (crc32fast::hash(last).to_le_bytes() == crc).then(|| u64::from_le_bytes(*last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_survives_and_a_flipped_bit_removes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.floor");
        assert_eq!(Floor::read(&path).unwrap(), None);
        Floor::open(&path, 7).unwrap().raise(12);
        assert_eq!(Floor::read(&path).unwrap(), Some(12));
        for bit in 0..LENGTH * 8 {
            let mut bytes = encode(12);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bytes), None, "bit {bit}");
        }
    }
}
