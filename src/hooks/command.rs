//! Running git: no shell, an environment of its own, a deadline, and its complaints as errors.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::Error;

/// Who makes the commits that nobody else made.
const WHO: &str = "synod";
const MAIL: &str = "synod@localhost";

/// Settings that a repository may not override: its hooks would run as the node, and nobody is there to sign.
const FIXED: [&str; 5] = [
    "core.hooksPath=/dev/null",
    "commit.gpgSign=false",
    "gc.auto=0",
    "core.fsmonitor=false",
    "maintenance.auto=false",
];

/// Below this much free space a write that failed is taken to have failed for want of it: git does not always say why.
const FULL_BELOW: u64 = 16 << 20;

/// How git begins to say that it could not write, where it does not say why.
const UNWRITTEN: [&str; 7] = [
    "unable to write",
    "couldn't write",
    "could not write",
    "cannot write",
    "failed to write",
    "unable to create",
    "could not create",
];

/// How it goes on where it does, and it is not the space.
const OTHER_CAUSES: [&str; 3] = ["permission denied", "file exists", "read-only file system"];

/// How much of what git complained about is passed on.
const SAID_BYTES_MAX: usize = 600;

/// Git, as this node runs it.
#[derive(Debug, Clone)]
pub(super) struct Git {
    pub(super) deadline: Duration,
}

/// One run of git.
pub(super) struct Run<'a> {
    git: &'a Git,
    folder: PathBuf,
    /// What it is to do, as "git did not ..." goes on.
    what: &'a str,
    arguments: Vec<String>,
    input: Option<Vec<u8>>,
    date: Option<String>,
}

impl Git {
    /// Prepares a run in a folder.
    pub(super) fn at<'a>(&'a self, folder: &Path, what: &'a str, arguments: &[&str]) -> Run<'a> {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Run { git: self, folder: folder.to_owned(), what, arguments, input: None, date: None }
    }
}

impl Run<'_> {
    /// Gives it something to read.
    pub(super) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Sets the date of what it makes, in seconds since 1970.
    pub(super) fn date(mut self, seconds: u64) -> Self {
        self.date = Some(format!("@{seconds} +0000"));
        self
    }

    /// Runs it and returns what it wrote, without the end of the last line.
    pub(super) async fn text(self) -> Result<String, Error> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
    }

    /// Runs it and returns what it wrote.
    pub(super) async fn bytes(self) -> Result<Vec<u8>, Error> {
        let (what, places) = (self.what.to_owned(), self.places());
        let output = self.output().await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(complaint(&what, &places, &output))
    }

    /// Returns the folder that it runs in, and then whatever else it is told of the disk.
    fn places(&self) -> Vec<PathBuf> {
        let named = self.arguments.iter().map(PathBuf::from).filter(|path| path.is_absolute());
        [self.folder.clone()].into_iter().chain(named).collect()
    }

    /// Runs it and returns what it wrote, or nothing when it answers "no" by failing without a word.
    pub(super) async fn answer(self) -> Result<Option<String>, Error> {
        let (what, places) = (self.what.to_owned(), self.places());
        let output = self.output().await?;
        if output.status.success() {
            return Ok(Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()));
        }
        if output.status.code() == Some(1) && output.stderr.is_empty() {
            return Ok(None);
        }
        Err(complaint(&what, &places, &output))
    }

    async fn output(self) -> Result<Output, Error> {
        let mut command = Command::new("git");
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_AUTHOR_NAME", WHO)
            .env("GIT_AUTHOR_EMAIL", MAIL)
            .env("GIT_COMMITTER_NAME", WHO)
            .env("GIT_COMMITTER_EMAIL", MAIL);
        if let Some(date) = &self.date {
            command.env("GIT_AUTHOR_DATE", date).env("GIT_COMMITTER_DATE", date);
        }
        command.arg("-C").arg(&self.folder);
        for setting in FIXED {
            command.args(["-c", setting]);
        }
        command
            .args(&self.arguments)
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A signal to the node's group is not for git: it is in the middle of something.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| Error::NoGit(error.to_string()))?;
        let (mut pipe, input) = (child.stdin.take(), self.input);
        let write = async {
            if let (Some(pipe), Some(input)) = (&mut pipe, input) {
                // One that does not read to the end says why on its way out.
                let _ = pipe.write_all(&input).await;
            }
            drop(pipe);
        };
        let run = async { tokio::join!(write, child.wait_with_output()).1 };
        match tokio::time::timeout(self.git.deadline, run).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(Error::NoGit(error.to_string())),
            Err(_) => Err(Error::Slow { what: self.what.to_owned(), deadline: self.git.deadline }),
        }
    }
}

/// Makes an error of what git wrote before it failed. `places` are what it had to do with, where it ran the first of them.
fn complaint(what: &str, places: &[PathBuf], output: &Output) -> Error {
    let said = String::from_utf8_lossy(&output.stderr);
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let is_for_want_of_space =
        || says(&UNWRITTEN) && !says(&OTHER_CAUSES) && places.iter().any(|place| is_full(place));
    if says(&["no space left on device", "disk quota exceeded"]) || is_for_want_of_space() {
        return Error::DiskFull(format!("git could not {what}"));
    }
    let folder = places.first().cloned().unwrap_or_default();
    if lower.contains("dubious ownership") {
        return Error::NotTrusted(folder);
    }
    if lower.contains("not a git repository") {
        return Error::NoRepository(folder);
    }
    if lower.contains("file exists")
        && let Some(lock) = said.split('\'').find(|part| part.ends_with(".lock"))
    {
        return Error::Locked(lock.to_owned());
    }
    let mut said: String =
        said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    if said.len() > SAID_BYTES_MAX {
        let end = (0..=SAID_BYTES_MAX).rev().find(|end| said.is_char_boundary(*end)).unwrap_or(0);
        said.truncate(end);
    }
    if said.is_empty() {
        said = format!("it ended with {} and said nothing", output.status);
    }
    Error::Git { what: what.to_owned(), said }
}

/// Tells whether there is next to no room on the disk that a path is on, or would be.
fn is_full(path: &Path) -> bool {
    let stat = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok());
    stat.is_some_and(|stat| {
        let no_files = stat.f_files > 0 && stat.f_favail == 0;
        no_files || stat.f_bavail.saturating_mul(stat.f_frsize) < FULL_BELOW
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn said(text: &str) -> Error {
        let output = Output {
            status: std::process::ExitStatus::from_raw(128 << 8),
            stdout: Vec::new(),
            stderr: text.as_bytes().to_vec(),
        };
        complaint("write", &["/r".into()], &output)
    }

    #[test]
    fn what_git_complains_of_is_told_apart() {
        assert_eq!(
            said(
                "fatal: Unable to create '/r/.git/index.lock': File exists.\n\nAnother git process seems ..."
            ),
            Error::Locked("/r/.git/index.lock".to_owned())
        );
        assert_eq!(
            said("error: file write error: No space left on device"),
            Error::DiskFull("git could not write".to_owned())
        );
        assert_eq!(
            said("fatal: not a git repository (or any of the parent directories): .git"),
            Error::NoRepository("/r".into())
        );
        assert_eq!(
            said("fatal: detected dubious ownership in repository at '/r'"),
            Error::NotTrusted("/r".into())
        );
        let Error::Git { said, .. } = said("fatal: one\n\n  two\n") else { panic!("it is something else") };
        assert_eq!(said, "fatal: one; two");
    }
}
