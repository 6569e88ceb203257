//! Bytes that come piece by piece and are not yet anything: a snapshot on its way from another node.
//!
//! A spool promises that its bytes are on the disk and not in memory, and that a crash leaves nothing of it. It
//! does not promise that they are durable, or whole: whoever takes them checks them.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{durable, error::Error};

/// A file without a name, or its like in memory.
pub trait Spool: Send + Sync {
    /// Adds a piece at the end.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] or [`Error::Io`]; then the spool is of no more use.
    fn append(&self, piece: &[u8]) -> Result<(), Error>;

    /// Returns how many bytes it has.
    fn size(&self) -> u64;

    /// Returns up to `max` bytes from `offset` on; empty at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, Error>;
}

/// A file that lost its name as soon as it had one.
pub(crate) struct FileSpool {
    file: File,
    size: Mutex<u64>,
}

impl FileSpool {
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let file = durable::create_private(path).map_err(|error| Error::io("create", path, error))?;
        durable::remove_file(path)?;
        Ok(Self { file, size: Mutex::new(0) })
    }
}

impl Spool for FileSpool {
    fn append(&self, piece: &[u8]) -> Result<(), Error> {
        let mut size = self.size.lock();
        let written = self.file.write_all_at(piece, *size);
        written.map_err(|error| Error::io("write", "an arriving snapshot", error))?;
        *size += piece.len() as u64;
        Ok(())
    }

    fn size(&self) -> u64 {
        *self.size.lock()
    }

    fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, Error> {
        read_at(&self.file, offset, max)
    }
}

/// Reads as many bytes as there are, `max` at most.
pub(crate) fn read_at(file: &File, offset: u64, max: usize) -> Result<Bytes, Error> {
    let mut bytes = vec![0; max];
    let mut filled = 0;
    while filled < max {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", "a snapshot", error)),
        }
    }
    bytes.truncate(filled);
    Ok(Bytes::from(bytes))
}

/// The like of it on a memory disk.
#[derive(Default)]
pub(crate) struct MemorySpool(Mutex<Vec<u8>>);

impl Spool for MemorySpool {
    fn append(&self, piece: &[u8]) -> Result<(), Error> {
        self.0.lock().extend_from_slice(piece);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.0.lock().len() as u64
    }

    fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, Error> {
        let bytes = self.0.lock();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Bytes::copy_from_slice(&bytes[from..from.saturating_add(max).min(bytes.len())]))
    }
}
