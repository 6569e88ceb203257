//! Blobs in memory.

use bytes::Bytes;

use super::{Session, disk::Part};
use crate::{
    blobs::{self, BlobId, Blobs},
    error::{Error, Place},
};

/// Blobs on a memory disk.
pub(super) struct MemoryBlobs(pub(super) Session);

impl Blobs for MemoryBlobs {
    fn put(&self, bytes: &[u8]) -> Result<BlobId, Error> {
        blobs::check_size(bytes)?;
        let id = BlobId::of(bytes);
        self.0.with(|disk| {
            if disk.blobs.get(&id).is_some_and(|stored| blobs::check_content(&id, stored).is_ok()) {
                return Ok(id);
            }
            disk.faults.take_space(bytes.len())?;
            disk.faults.sync()?;
            disk.write(Part::Blobs, |disk| {
                // The file's folder is synced with it.
                let folder = |id: &BlobId| id.to_string().get(..2).map(str::to_owned);
                disk.removed.blobs.retain(|removed, _| folder(removed) != folder(&id));
                disk.blobs.insert(id, Bytes::copy_from_slice(bytes));
                Ok(id)
            })
        })
    }

    fn get(&self, id: &BlobId) -> Result<Bytes, Error> {
        self.0.with(|disk| {
            disk.faults.read(Part::Blobs)?;
            let bytes = disk.blobs.get(id).ok_or(Error::Missing { place: Place::Blob(*id) })?;
            blobs::check_content(id, bytes)?;
            Ok(bytes.clone())
        })
    }

    fn contains(&self, id: &BlobId) -> Result<bool, Error> {
        self.0.with(|disk| Ok(disk.blobs.contains_key(id)))
    }

    fn remove(&self, id: &BlobId) -> Result<(), Error> {
        self.0.with(|disk| {
            let removed = disk.blobs.remove(id);
            disk.removed.blobs.extend(removed.map(|bytes| (*id, bytes)));
            Ok(())
        })
    }

    fn list(&self) -> Result<Vec<BlobId>, Error> {
        self.0.with(|disk| Ok(disk.blobs.keys().copied().collect()))
    }
}
