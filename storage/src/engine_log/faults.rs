//! Disk faults for the tests of the committer.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::{Condvar, Mutex};

/// Switches below the log engine.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) fail_next_sync: AtomicBool,
    pub(super) full_writes: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) waiting: AtomicBool,
    held: Mutex<bool>,
    released: Condvar,
}

impl Faults {
    /// Makes syncs wait until the guard is dropped, which a failing test does, too.
    pub(super) fn hold(&self) -> Held<'_> {
        *self.held.lock() = true;
        Held(self)
    }

    pub(super) fn before_sync(&self) -> io::Result<()> {
        let mut held = self.held.lock();
        while *held {
            self.waiting.store(true, Ordering::SeqCst);
            self.released.wait(&mut held);
        }
        self.waiting.store(false, Ordering::SeqCst);
        drop(held);
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.fail_next_sync.swap(false, Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
        }
        Ok(())
    }

    pub(super) fn before_write(&self) -> io::Result<()> {
        let left = self.full_writes.load(Ordering::SeqCst);
        if left > 0 {
            self.full_writes.store(left - 1, Ordering::SeqCst);
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// Syncs wait while this is alive.
pub(super) struct Held<'a>(&'a Faults);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.0.held.lock() = false;
        self.0.released.notify_all();
    }
}
