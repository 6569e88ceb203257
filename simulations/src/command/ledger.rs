//! The ledger of seeds: a file with a line of JSON for each, so that a sweep goes on where it was stopped.
//!
//! Lines are only added, each whole: what a stop left of a last one is taken away. One process writes at a time.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::entry::Entry;

/// A ledger, open for more.
#[derive(Debug)]
pub(crate) struct Ledger(File);

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The system says no.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// Another sweep writes to it.
    #[error("another process writes to it")]
    InUse,
    /// A line is not one.
    #[error("line {line} is no entry of a ledger: {error}")]
    Line {
        /// From 1.
        line: usize,
        /// Why.
        error: serde_json::Error,
    },
}

impl Ledger {
    /// Opens it, makes it if it is not there, and returns what is in it.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Entry>), Error> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(Error::InUse),
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let entry = |(line, text)| serde_json::from_slice(text).map_err(|error| Error::Line { line, error });
        let entries = (1..).zip(lines).map(entry).collect::<Result<_, _>>()?;
        file.set_len(u64::try_from(whole).unwrap_or(u64::MAX))?;
        file.seek(std::io::SeekFrom::End(0))?;
        Ok((Self(file), entries))
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn add(&mut self, entry: &Entry) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}
