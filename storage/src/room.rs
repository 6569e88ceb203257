//! How much the disk can still take, asked often and answered cheaply.
//!
//! ```text
//!  free space   0 ─────── LAST ──────────── reserve ─────── reserve + ballast ───►
//!               Exhausted │     Reserve      │  Reserve or Ample  │    Ample
//!               refuse    │ finish what runs │  (what it was)     │ take new work
//! ```
//!
//! A file without content, the ballast, takes space while there is plenty. It is removed when the free
//! space falls under the reserve, because what fills a disk is often somebody else, who would take a
//! reserve that is only a number. It comes back when there is plenty again. The free space is read from
//! the file system at most every [`READ_EVERY`], and for every write once it is scarce.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{durable, error::Error, log::Room};

/// How old the last look at a disk with plenty of space may be. A writer at 1 GB/s moves 50 MB in that
/// time, less than the default reserve; looking more often costs a system call for each batch.
const READ_EVERY: Duration = Duration::from_millis(50);

/// Below this much free space every write is refused: the file system needs some for its own records,
/// and the log for the header of its next file.
const LAST: u64 = 512 * 1024;

/// Where the disk counts as scarce.
///
/// The defaults hold some seconds of commands of a busy node. More lets more running work finish on a
/// full disk, and refuses new work earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomOptions {
    /// Free bytes below which no new work should be admitted.
    pub reserve_bytes: u64,
    /// Size of the file that is given up when the disk becomes scarce.
    pub ballast_bytes: u64,
}

impl Default for RoomOptions {
    fn default() -> Self {
        Self { reserve_bytes: 64 * 1024 * 1024, ballast_bytes: 16 * 1024 * 1024 }
    }
}

/// Watches the free space of one folder.
#[derive(Debug)]
pub(crate) struct RoomWatch {
    folder: PathBuf,
    ballast: PathBuf,
    options: RoomOptions,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    available: u64,
    room: Room,
    ballast: bool,
}

impl RoomWatch {
    pub(crate) fn open(folder: PathBuf, ballast: PathBuf, options: RoomOptions) -> Self {
        let held = ballast.exists();
        let seen = Seen { at: now(), available: 0, room: Room::Reserve, ballast: held };
        let watch = Self { folder, ballast, options, seen: Mutex::new(seen) };
        watch.look(&mut watch.seen.lock());
        watch
    }

    /// Returns how much the disk can take.
    pub(crate) fn room(&self) -> Room {
        let mut seen = self.seen.lock();
        if seen.at.elapsed() >= READ_EVERY {
            self.look(&mut seen);
        }
        seen.room
    }

    /// Refuses a write of `bytes` that the disk has no room for.
    pub(crate) fn admit(&self, bytes: u64) -> Result<(), Error> {
        let mut seen = self.seen.lock();
        if seen.room != Room::Ample || seen.at.elapsed() >= READ_EVERY {
            self.look(&mut seen);
        }
        if seen.available < bytes.saturating_add(LAST) {
            seen.room = Room::Exhausted;
            return Err(Error::NoSpace { needed: bytes, available: seen.available });
        }
        Ok(())
    }

    /// Notes that the file system itself refused a write.
    pub(crate) fn refused(&self, bytes: u64) -> Error {
        let mut seen = self.seen.lock();
        self.look(&mut seen);
        seen.room = Room::Exhausted;
        Error::NoSpace { needed: bytes, available: seen.available }
    }

    /// Whether `bytes` may be taken ahead of their need without touching the reserve.
    pub(crate) fn spares(&self, bytes: u64) -> bool {
        let kept = self.options.reserve_bytes.max(LAST);
        self.available() >= bytes.saturating_add(kept)
    }

    fn look(&self, seen: &mut Seen) {
        seen.available = self.available();
        let RoomOptions { reserve_bytes, ballast_bytes } = self.options;
        let mut admitted = seen.room == Room::Ample;
        if seen.available < reserve_bytes && seen.ballast {
            if durable::remove_file(&self.ballast).is_ok() {
                seen.ballast = false;
            }
            seen.available = self.available();
            admitted = false;
            tracing::warn!(available = seen.available, "disk space is scarce, no new work is admitted");
        }
        let plenty = reserve_bytes.saturating_add(ballast_bytes);
        seen.room = match seen.available {
            available if available < LAST => Room::Exhausted,
            available if available < reserve_bytes => Room::Reserve,
            // With the ballast in place its space was already counted; without it, wait until there is
            // space for both, so that the answer does not flap.
            available if available < plenty && !seen.ballast && !admitted => Room::Reserve,
            _ => Room::Ample,
        };
        if seen.room == Room::Ample && !seen.ballast && seen.available >= plenty {
            seen.ballast = self.take_ballast();
        }
        seen.at = now();
    }

    fn available(&self) -> u64 {
        // A disk that cannot be asked is not known to be full; its writes will tell.
        rustix::fs::statvfs(&self.folder).map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn take_ballast(&self) -> bool {
        if self.options.ballast_bytes == 0 {
            return false;
        }
        let taken = durable::create_private(&self.ballast).and_then(|file| {
            let mode = rustix::fs::FallocateFlags::empty();
            rustix::fs::fallocate(&file, mode, 0, self.options.ballast_bytes)?;
            Ok(())
        });
        if let Err(error) = &taken {
            // Some file systems cannot allocate; the reserve then is only a number.
            tracing::debug!(%error, "no ballast on this file system");
            let _ = durable::remove_file(&self.ballast);
        }
        taken.is_ok()
    }
}

/// The system's clock. It only says how old a look at a real disk is; memory disks, the ones of a
/// simulation, have no use for it.
#[expect(clippy::disallowed_methods, reason = "not on the simulated path")]
fn now() -> Instant {
    Instant::now()
}
