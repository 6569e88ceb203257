//! An attempt's log: what the program wrote to standard error, bounded.
//!
//! The beginning goes to the file as it comes, so that a running attempt can be watched; then nothing until the
//! end, when a line says how much was left out and the last part follows. Kept under
//! `<logs>/<task>/<attempt>.log`, readable by the node's user only; made at the first byte, so a silent program
//! leaves neither a file nor a folder.
//!
//! A log is a help and not a promise: if the disk refuses it, the attempt goes on without one.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use synod_domain::id::TaskId;
use tokio::fs::{self, DirBuilder, File, OpenOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{broadcast, mpsc};
use tracing::warn;

/// The most bytes of one log unless settings say otherwise: a long agent session's diagnostics; a thousand
/// attempts take at most a gigabyte of disk.
pub const LOG_BYTES_MAX: usize = 1024 * 1024;

/// How much of the end is always kept, in memory until the attempt ends. The cause of a failure stands there.
pub const LOG_TAIL_BYTES: usize = 64 * 1024;

/// How much is read at a time.
const READ_BYTES: usize = 8 * 1024;

/// How our own lines in a log begin, so that they can be told from the program's.
const NOTE_MARK: &str = "[synod] ";

/// Returns the file of an attempt's log.
pub(super) fn path(logs: &Path, task: TaskId, attempt: u32) -> PathBuf {
    logs.join(task.to_string()).join(format!("{attempt}.log"))
}

/// Makes a folder, and those above it, for the node's user only.
pub(super) async fn create_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).await
}

/// Reads a log back, or `None` when there is none, because nothing was written or it is not here.
pub(super) async fn read(logs: &Path, task: TaskId, attempt: u32) -> io::Result<Option<Bytes>> {
    match fs::read(path(logs, task, attempt)).await {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lists the attempts of a task that have a log here, in order.
pub(super) async fn attempts(logs: &Path, task: TaskId) -> io::Result<Vec<u32>> {
    let mut entries = match fs::read_dir(logs.join(task.to_string())).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut attempts = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name();
        attempts.extend(name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u32>().ok()));
    }
    attempts.sort_unstable();
    Ok(attempts)
}

/// Removes the logs of a task.
pub(super) async fn remove(logs: &Path, task: TaskId) -> io::Result<()> {
    match fs::remove_dir_all(logs.join(task.to_string())).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Which log has grown: of which task's which attempt.
pub(super) type Grown = (TaskId, u32);

/// How many growths the slowest follower may leave unheard; one that misses some looks at its log afresh.
pub(super) const GROWN_BACKLOG: usize = 1024;

/// A log being written.
#[derive(Debug)]
pub(super) struct Log {
    target: Target,
    /// Told whenever the file has grown.
    growth: broadcast::Sender<Grown>,
    /// Which log this is.
    of: Grown,
    /// How many bytes may still go to the file as they come.
    head_left: usize,
    /// How many bytes came after the head was full.
    beyond: usize,
    /// The last of all that came, at least [`LOG_TAIL_BYTES`] of it.
    tail: Vec<u8>,
}

/// Where a log's bytes go.
#[derive(Debug)]
enum Target {
    /// Nothing came yet: this file is made for the first byte.
    Unmade(PathBuf),
    /// There is a file.
    Open(File),
    /// The disk refused the file or a part of it; the rest goes nowhere.
    Refused,
}

impl Log {
    /// Makes a log that will be in a file below `logs` once there is something in it.
    pub(super) fn new(logs: &Path, of: Grown, bytes_max: usize, growth: broadcast::Sender<Grown>) -> Self {
        let head_left = bytes_max.saturating_sub(LOG_TAIL_BYTES);
        let target = Target::Unmade(path(logs, of.0, of.1));
        Self { target, growth, of, head_left, beyond: 0, tail: Vec::new() }
    }

    /// Takes in standard error and notes until both have ended.
    pub(super) async fn fill(
        &mut self,
        mut stderr: impl AsyncRead + Unpin,
        mut notes: mpsc::Receiver<String>,
    ) {
        let mut buffer = Vec::with_capacity(READ_BYTES);
        let (mut reading, mut noting) = (true, true);
        while reading || noting {
            buffer.clear();
            tokio::select! {
                biased;
                note = notes.recv(), if noting => match note {
                    Some(note) => self.note(&note).await,
                    None => noting = false,
                },
                read = stderr.read_buf(&mut buffer), if reading => match read {
                    Ok(1..) => self.append(&buffer).await,
                    Ok(0) | Err(_) => reading = false,
                },
            }
        }
    }

    /// Adds a line of our own.
    pub(super) async fn note(&mut self, text: &str) {
        let start = if self.tail.last().is_none_or(|last| *last == b'\n') { "" } else { "\n" };
        self.append(format!("{start}{NOTE_MARK}{text}\n").as_bytes()).await;
    }

    /// Writes what was held back. Cheap when the log is short.
    pub(super) async fn finish(&mut self) {
        let kept = self.beyond.min(LOG_TAIL_BYTES);
        let omitted = self.beyond - kept;
        if omitted > 0 {
            let note = format!("\n{NOTE_MARK}{omitted} bytes left out here; the last {kept} follow\n");
            self.write(note.as_bytes()).await;
        }
        let tail = std::mem::take(&mut self.tail);
        self.write(&tail[tail.len() - kept..]).await;
        self.tail = tail;
    }

    /// Returns the program's last lines, at most `lines` of them and `bytes` bytes.
    pub(super) fn last_lines(&self, lines: usize, bytes: usize) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        let mut kept: Vec<&str> = text
            .lines()
            .rev()
            .filter(|line| !line.starts_with(NOTE_MARK) && !line.trim().is_empty())
            .take(lines)
            .collect();
        kept.reverse();
        let joined = kept.join("\n");
        let mut start = joined.len().saturating_sub(bytes);
        while !joined.is_char_boundary(start) {
            start += 1;
        }
        joined[start..].to_owned()
    }

    async fn append(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(self.head_left.min(bytes.len()));
        self.head_left -= head.len();
        self.beyond += rest.len();
        self.tail.extend_from_slice(bytes);
        // Cut at twice the size, so that each byte is moved at most once.
        if self.tail.len() > 2 * LOG_TAIL_BYTES {
            self.tail.drain(..self.tail.len() - LOG_TAIL_BYTES);
        }
        self.write(head).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Target::Unmade(path) = &self.target {
            self.target = Target::make(path).await;
        }
        let Target::Open(file) = &mut self.target else { return };
        let written = async {
            file.write_all(bytes).await?;
            file.flush().await
        };
        match written.await {
            Ok(()) => {
                // An error means that nobody follows any log.
                let _ = self.growth.send(self.of);
            }
            Err(error) => {
                warn!(%error, "an attempt's log ends early");
                self.target = Target::Refused;
            }
        }
    }
}

impl Target {
    /// Makes the file; on failure the attempt goes on without one.
    async fn make(path: &Path) -> Self {
        match create(path).await {
            Ok(file) => Self::Open(file),
            Err(error) => {
                warn!(%error, path = %path.display(), "an attempt goes on without a log file");
                Self::Refused
            }
        }
    }
}

async fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        create_private_folder(folder).await?;
    }
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(folder: &Path, bytes_max: usize) -> (PathBuf, Log) {
        let of = (TaskId::from_raw(7), 1);
        let log = Log::new(folder, of, bytes_max, broadcast::Sender::new(GROWN_BACKLOG));
        (path(folder, of.0, of.1), log)
    }

    #[tokio::test]
    async fn a_long_log_keeps_its_beginning_a_note_and_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, mut log) = log(folder.path(), LOG_TAIL_BYTES + 100);
        for number in 0..50_000 {
            log.append(format!("line {number}\n").as_bytes()).await;
        }
        log.finish().await;
        let text = std::fs::read_to_string(&path).expect("the log");
        assert!(text.starts_with("line 0\n"));
        assert!(text.ends_with("line 49999\n"));
        assert!(text.contains("bytes left out here; the last 65536 follow\n"));
        assert!(text.len() < LOG_TAIL_BYTES + 300, "{}", text.len());
        assert_eq!(log.last_lines(2, 1000), "line 49998\nline 49999");
        assert_eq!(log.last_lines(2, 5), "49999");
    }

    #[tokio::test]
    async fn a_log_just_over_its_head_is_kept_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, mut log) = log(folder.path(), LOG_TAIL_BYTES + 4);
        log.append(b"abcdefgh").await;
        log.finish().await;
        assert_eq!(std::fs::read(&path).expect("the log"), b"abcdefgh");
    }
}
