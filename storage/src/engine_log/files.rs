//! The files under the log engine.
//!
//! The engine's own file layer opens its files readable by everyone and inheritable by child
//! processes, and this node starts agents as child processes. So it gets ours: private, closed on
//! exec, and with a switch that lets a test fail the next write or sync. A second mode only looks: it
//! swallows every change, so that a log can be examined before anything in it is touched.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use raft_engine::env::{FileSystem, Handle, Permission, WriteExt};

#[cfg(test)]
use super::faults::Faults;
use crate::{durable, room::RoomWatch};

/// What the engine looks for in an error message to recognise a full disk.
pub(super) const NO_SPACE: &str = "nospace";

/// Opens private files.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    look_only: bool,
    /// Asked before space is taken ahead of its need.
    room: Option<Arc<RoomWatch>>,
    #[cfg(test)]
    pub(super) faults: Arc<Faults>,
}

/// An open file of the engine, shared by its readers and its writer.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    look_only: bool,
    room: Option<Arc<RoomWatch>>,
    #[cfg(test)]
    faults: Arc<Faults>,
}

/// A position in a shared file.
#[derive(Debug)]
pub(super) struct Cursor {
    log: Arc<LogFile>,
    offset: u64,
}

/// Stands in for a file that would have been created.
const NOWHERE: &str = "/dev/null";

impl Files {
    /// Files on a disk that `room` watches.
    pub(super) fn on(room: Arc<RoomWatch>) -> Self {
        Self { room: Some(room), ..Self::default() }
    }

    /// Files that are read and never changed.
    pub(super) fn look_only() -> Self {
        Self { look_only: true, ..Self::default() }
    }

    fn handle(&self, file: File) -> LogFile {
        LogFile {
            file,
            look_only: self.look_only,
            room: self.room.clone(),
            #[cfg(test)]
            faults: Arc::clone(&self.faults),
        }
    }
}

impl FileSystem for Files {
    type Handle = LogFile;
    type Reader = Cursor;
    type Writer = Cursor;

    fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<LogFile> {
        if self.look_only {
            return File::open(NOWHERE).map(|file| self.handle(file));
        }
        // Not emptied: the engine creates a file again after a rotation that failed half way.
        durable::open_private(path.as_ref()).map(|file| self.handle(file)).map_err(name_full)
    }

    fn open<P: AsRef<Path>>(&self, path: P, permission: Permission) -> io::Result<LogFile> {
        let write = permission == Permission::ReadWrite && !self.look_only;
        File::options().read(true).write(write).open(path).map(|file| self.handle(file))
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        if self.look_only { Ok(()) } else { std::fs::remove_file(path) }
    }

    fn rename<P: AsRef<Path>>(&self, from: P, to: P) -> io::Result<()> {
        if self.look_only { Ok(()) } else { std::fs::rename(from, to) }
    }

    fn new_reader(&self, log: Arc<LogFile>) -> io::Result<Cursor> {
        Ok(Cursor { log, offset: 0 })
    }

    fn new_writer(&self, log: Arc<LogFile>) -> io::Result<Cursor> {
        Ok(Cursor { log, offset: 0 })
    }
}

impl Handle for LogFile {
    fn truncate(&self, offset: usize) -> io::Result<()> {
        if self.look_only { Ok(()) } else { self.file.set_len(offset as u64) }
    }

    fn file_size(&self) -> io::Result<usize> {
        let length = self.file.metadata()?.len();
        usize::try_from(length).map_err(|_| ErrorKind::FileTooLarge.into())
    }

    fn sync(&self) -> io::Result<()> {
        if self.look_only {
            return Ok(());
        }
        #[cfg(test)]
        self.faults.before_sync()?;
        self.file.sync_data()
    }
}

impl Read for Cursor {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.log.file.read_at(bytes, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Write for Cursor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.log.look_only {
            return Ok(bytes.len());
        }
        #[cfg(test)]
        self.log.faults.before_write().map_err(name_full)?;
        let written = self.log.file.write_at(bytes, self.offset).map_err(name_full)?;
        self.offset += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.offset = match to {
            SeekFrom::Start(offset) => offset,
            SeekFrom::Current(by) => self.offset.saturating_add_signed(by),
            SeekFrom::End(by) => self.log.file.metadata()?.len().saturating_add_signed(by),
        };
        Ok(self.offset)
    }
}

impl WriteExt for Cursor {
    fn truncate(&mut self, offset: usize) -> io::Result<()> {
        self.log.truncate(offset)?;
        self.offset = offset as u64;
        Ok(())
    }

    fn allocate(&mut self, offset: usize, size: usize) -> io::Result<()> {
        if self.log.look_only {
            return Ok(());
        }
        // The engine takes megabytes ahead, which on a full disk would be what a purge needs to begin. It
        // writes on without them.
        if self.log.room.as_ref().is_some_and(|room| !room.spares(size as u64)) {
            return Err(io::Error::new(ErrorKind::StorageFull, NO_SPACE));
        }
        let mode = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(&self.log.file, mode, offset as u64, size as u64) {
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            other => other.map_err(io::Error::from),
        }
    }
}

/// Names a full disk in the word that the engine understands.
fn name_full(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => io::Error::new(ErrorKind::StorageFull, NO_SPACE),
        _ => error,
    }
}
