//! The state: sorted rows that change in whole batches.
//!
//! The rows mirror what the node has in memory, behind the hot path. A store promises that a batch
//! and the applied index that belongs to it become durable together or not at all, and that a row
//! reads as it was written or as [`Error::Damaged`]. It leaves the meaning of keys to its callers and
//! does not keep history; whatever it loses can be rebuilt from the latest snapshot and the log.

use bytes::Bytes;

use crate::error::Error;

/// Largest value of a row.
///
/// Rows are what lists and scans load, and the tree underneath moves up to sixteen of them at once;
/// larger things belong into [`crate::Blobs`].
pub const ROW_MAX: usize = 1024 * 1024;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// One atomic step of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The log index through which the state is applied once this batch is in.
    pub applied: u64,
    /// Rows to write; they replace what is there.
    pub puts: Vec<Row>,
    /// Keys to remove; one that is absent is fine. A key that is also in `puts` is written.
    pub deletes: Vec<Vec<u8>>,
}

/// Sorted rows with the index through which they are applied.
pub trait StateStore: Send + Sync + 'static {
    /// Returns the applied index of the last durable batch, 0 for an empty store.
    fn applied(&self) -> u64;

    /// Returns the value under `key`.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the row is not what was written.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// Returns up to `limit` rows with `from <= key < to_exclusive`, smallest key first.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] naming the first row that is not what was written.
    fn scan(
        &self,
        from: &[u8],
        to_exclusive: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error>;

    /// Returns up to `limit` rows of the same range, largest key first.
    ///
    /// # Errors
    ///
    /// As [`StateStore::scan`].
    fn scan_back(
        &self,
        from: &[u8],
        to_exclusive: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error>;

    /// Applies `batch` together with its applied index. Durable on return.
    ///
    /// # Errors
    ///
    /// [`Error::Gap`] for an applied index that goes back, [`Error::TooLarge`] and
    /// [`Error::NoSpace`] before anything was written, [`Error::Fatal`] once it is unknown.
    fn commit(&self, batch: Batch) -> Result<(), Error>;

    /// Swaps the whole content for `rows`. Durable on return.
    ///
    /// A crash or an error before the end leaves the old content; never half of the new one.
    ///
    /// # Errors
    ///
    /// The first error of `rows`, or as [`StateStore::commit`].
    fn replace(&self, applied: u64, rows: &mut dyn Iterator<Item = Result<Row, Error>>) -> Result<(), Error>;
}

/// Rows that [`rows`] loads at once; a page of 64 KiB values still fits into 16 MiB.
const PAGE: usize = 256;

/// Walks all rows of `store`, page by page, as a snapshot wants them.
///
/// The walk is not a frozen view: the caller keeps commits away until it is done.
pub fn rows(store: &dyn StateStore) -> impl Iterator<Item = Result<Row, Error>> + '_ {
    let mut from = Vec::new();
    let mut page = Vec::new().into_iter();
    let mut done = false;
    std::iter::from_fn(move || {
        loop {
            if let Some((key, value)) = page.next() {
                let (key, value): (Bytes, Bytes) = (key, value);
                return Some(Ok((key.to_vec(), value.to_vec())));
            }
            if done {
                return None;
            }
            match store.scan(&from, None, PAGE) {
                Ok(loaded) => {
                    done = loaded.len() < PAGE;
                    if let Some((last, _)) = loaded.last() {
                        // The smallest key after `last`.
                        from = [last.as_ref(), &[0]].concat();
                    }
                    page = loaded.into_iter();
                }
                Err(error) => {
                    done = true;
                    return Some(Err(error));
                }
            }
        }
    })
}

/// Checks a batch before anything of it is written, and returns its size.
pub(crate) fn check_batch(batch: &Batch, applied: u64) -> Result<u64, Error> {
    if batch.applied < applied {
        return Err(Error::Gap { expected: applied, got: batch.applied });
    }
    let mut bytes = 0;
    for (key, value) in &batch.puts {
        check_row(value)?;
        bytes += key.len() + value.len();
    }
    bytes += batch.deletes.iter().map(Vec::len).sum::<usize>();
    Ok(bytes as u64)
}

/// Refuses a value that is too large for a row.
pub(crate) fn check_row(value: &[u8]) -> Result<(), Error> {
    if value.len() > ROW_MAX {
        return Err(Error::TooLarge { what: "row", bytes: value.len() as u64, max: ROW_MAX as u64 });
    }
    Ok(())
}
