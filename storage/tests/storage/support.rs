//! Data folders for tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use synod_storage::{Error, LogOptions, Opened, Options, RoomOptions, Storage};

/// A data folder that is removed with the test.
pub(crate) struct Folder(tempfile::TempDir);

/// Options that suit a test: no ballast, and log files that are small.
pub(crate) fn options() -> Options {
    Options {
        room: RoomOptions { reserve_bytes: 1, ballast_bytes: 0 },
        log: LogOptions { file_bytes: 64 * 1024 },
        ..Options::default()
    }
}

/// A file system in memory. Tests that damage files open hundreds of folders, and what they check does
/// not depend on a disk that turns.
const MEMORY: &str = "/dev/shm";

impl Folder {
    /// A folder in memory, where there is such a thing.
    pub(crate) fn new() -> Self {
        if Path::new(MEMORY).is_dir() {
            return Self(tempfile::tempdir_in(MEMORY).unwrap());
        }
        Self::on_disk()
    }

    /// A folder on a disk.
    pub(crate) fn on_disk() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn try_open(&self) -> Result<Opened, Error> {
        synod_storage::open(self.path(), &options())
    }

    /// Opens a folder that must be healthy.
    pub(crate) fn open(&self) -> Storage {
        let opened = self.try_open().unwrap();
        assert_eq!(opened.repaired, None);
        opened.storage
    }

    /// Copies the folder as it is, as if the machine had stopped at this moment.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        copy_folder(self.path(), copy.path());
        copy
    }

    /// The folder of the state.
    pub(crate) fn state(&self) -> PathBuf {
        self.only("state-")
    }

    /// The newest file of the log.
    pub(crate) fn log_file(&self) -> PathBuf {
        let mut files = files(&self.join("log"));
        files.retain(|file| file.extension().is_some_and(|end| end == "raftlog"));
        files.pop().unwrap()
    }

    fn only(&self, prefix: &str) -> PathBuf {
        let mut found = entries(self.path());
        found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

/// Everything in a folder, sorted.
pub(crate) fn entries(path: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// The files below a folder, sorted.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in entries(path) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in entries(from) {
        let to = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_folder(&entry, &to);
        } else {
            // A file may go away while a live folder is copied.
            let _ = fs::copy(&entry, &to);
        }
    }
}

/// Flips the bits of `mask` in one byte of a file.
pub(crate) fn flip(path: &Path, position: usize, mask: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[position] ^= mask;
    fs::write(path, bytes).unwrap();
}
