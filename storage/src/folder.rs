//! The data folder: where things are in it, and that only one process uses it.
//!
//! The lock belongs to the open file, so it ends with the process however that ends; the file
//! itself stays, and holds the number of the process for the error message of the next one.
//!
//! A folder that somebody else uses is refused before anything in it changes: making `/tmp` or a home
//! readable by one user only would harm more than this node.

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::{durable, error::Error};

/// The file that holds the lock; it makes a folder ours.
const LOCK: &str = "lock";

/// What a node, `synod doctor`, and the making of a file system put into a data folder.
const NAMES: [&str; 10] = [
    LOCK,
    "log",
    "log.floor",
    "applied.marker",
    "snapshots",
    "blobs",
    "ballast",
    "logs",
    ".doctor",
    "lost+found",
];

/// How the numbered ones begin: states, and damaged ones that were moved aside.
const PREFIXES: [&str; 2] = ["state-", "state.damaged-"];

/// A data folder that is ours until the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held, not used: closing the file gives the lock back.
    _lock: Arc<File>,
}

impl Folder {
    /// Creates the folder (readable by its owner only) and takes its lock, unless it is somebody else's.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        refuse_foreign(path)?;
        durable::sync_existing(path)?;
        durable::create_folder(path)?;
        restrict(path)?;
        let lock_path = path.join(LOCK);
        let mut lock =
            durable::open_private(&lock_path).map_err(|error| Error::io("open", &lock_path, error))?;
        let taken = patiently(|| match lock.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            other => Some(other),
        });
        match taken.unwrap_or(Err(TryLockError::WouldBlock)) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let holder = lock.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
                return Err(Error::Locked { folder: path.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", lock_path, error)),
        }
        // Only a help for people; a full disk must not stop a start.
        let _ = lock
            .set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(lock, "{}", std::process::id()));
        Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn floor(&self) -> PathBuf {
        self.path.join("log.floor")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    pub(crate) fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

/// Refuses a folder that is somebody else's: it has no lock file of ours, and something that we did not put
/// there. A file of ours beside strangers' proves nothing: many a folder has something named `log`.
///
/// # Errors
///
/// [`Error::Foreign`] for such a folder, [`Error::Io`] when it cannot be listed. One that is not there is fine.
pub fn refuse_foreign(path: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(path) {
        // Creating the folder says what is in the way, if anything is.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        entries => entries.map_err(|error| Error::io("list", path, error))?,
    };
    if fs::symlink_metadata(path.join(LOCK)).is_ok_and(|lock| lock.is_file()) {
        return Ok(());
    }
    let mut foreign = None;
    for entry in entries {
        let name = entry.map_err(|error| Error::io("list", path, error))?.file_name();
        if !is_ours(&name) {
            foreign = Some(name);
        }
    }
    foreign.map_or(Ok(()), |found| Err(Error::Foreign { folder: path.to_owned(), found }))
}

fn is_ours(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// How long a lock that is held is asked for again.
///
/// A child process has a copy of every open file, and with it of every lock, until it runs its own
/// program. So the lock of a storage that was closed, or of a process that was killed, can stay for
/// some milliseconds on a busy machine. A longer wait only delays the message about a real conflict.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// How long to wait between two attempts.
const LOCK_STEP: Duration = Duration::from_millis(5);

/// Asks for a lock until it is there, or until [`LOCK_WAIT`] is over.
#[expect(clippy::disallowed_methods, reason = "runs before there are actors, and never in a simulation")]
pub(crate) fn patiently<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let mut waited = Duration::ZERO;
    loop {
        let taken = attempt();
        if taken.is_some() || waited >= LOCK_WAIT {
            return taken;
        }
        thread::sleep(LOCK_STEP);
        waited += LOCK_STEP;
    }
}

#[cfg(unix)]
fn restrict(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(|error| Error::io("restrict", path, error))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> Result<(), Error> {
    Ok(())
}
