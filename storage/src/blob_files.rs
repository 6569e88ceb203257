//! Blobs as files, `blobs/ab/cdef…`, named by their SHA-256.
//!
//! Two hex digits of folder keep any one folder short. A file gets its name only when it is whole and
//! synced; a blob that is there is not written again, but is checked first, so that putting the bytes
//! again heals a damaged one.

use std::{fs, io, path::PathBuf, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    blobs::{self, BlobId, Blobs},
    durable,
    error::{Error, Place},
    folder::Folder,
    room::RoomWatch,
};

/// Blobs below one folder.
pub(crate) struct BlobFiles {
    path: PathBuf,
    room: Arc<RoomWatch>,
    /// One writer at a time: two that put the same bytes would share a temporary file.
    writing: Mutex<()>,
    _folder: Folder,
}

impl BlobFiles {
    /// Opens the folder. What a crash left half written is removed with the next listing.
    pub(crate) fn open(folder: &Folder, room: Arc<RoomWatch>) -> Result<Self, Error> {
        let path = folder.blobs();
        durable::create_folder(&path)?;
        // An earlier start may have ended between making a folder in it and syncing its entry.
        durable::sync_folder(&path)?;
        Ok(Self { path, room, writing: Mutex::new(()), _folder: folder.clone() })
    }

    fn file(&self, id: &BlobId) -> PathBuf {
        let name = id.to_string();
        let (folder, file) = name.split_at(2);
        self.path.join(folder).join(file)
    }
}

impl Blobs for BlobFiles {
    fn put(&self, bytes: &[u8]) -> Result<BlobId, Error> {
        blobs::check_size(bytes)?;
        let id = BlobId::of(bytes);
        let path = self.file(&id);
        let _writing = self.writing.lock();
        // The length tells a whole file from one that was cut, without reading it.
        if fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) && self.get(&id).is_ok() {
            return Ok(id);
        }
        self.room.admit(bytes.len() as u64)?;
        if let Some(folder) = path.parent() {
            durable::create_folder(folder)?;
        }
        durable::write_file(&path, bytes)?;
        Ok(id)
    }

    fn get(&self, id: &BlobId) -> Result<Bytes, Error> {
        let path = self.file(id);
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::Missing { place: Place::Blob(*id) },
            _ => Error::io("read", path, error),
        })?;
        blobs::check_content(id, &bytes)?;
        Ok(Bytes::from(bytes))
    }

    fn contains(&self, id: &BlobId) -> Result<bool, Error> {
        let path = self.file(id);
        path.try_exists().map_err(|error| Error::io("look for", path, error))
    }

    fn remove(&self, id: &BlobId) -> Result<(), Error> {
        durable::remove_file(&self.file(id))
    }

    fn list(&self) -> Result<Vec<BlobId>, Error> {
        // Held so that no temporary file is one that is being written.
        let _writing = self.writing.lock();
        let mut ids = Vec::new();
        for folder in durable::names(&self.path)? {
            let path = self.path.join(&folder);
            if !path.is_dir() {
                continue;
            }
            for name in durable::names(&path)? {
                if name.ends_with(durable::TEMPORARY) {
                    durable::remove_file(&path.join(name))?;
                } else if let Ok(id) = format!("{folder}{name}").parse() {
                    ids.push(id);
                }
            }
        }
        Ok(ids)
    }
}
