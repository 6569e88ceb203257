//! Looks at the machine and says what would keep a node from working well.

mod member;
mod serving;

pub use member::examine_member;
pub use serving::examine_serving;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::clock::Stopwatch;

/// How many syncs are timed. Enough to see past one slow one, few enough to take well under a second.
const SYNCS: u32 = 50;

/// How many bytes are written before each sync; about one command.
const SYNC_BYTES: usize = 512;

/// Open files below which a node with a thousand agents runs out.
const OPEN_FILES_LOW: u64 = 4096;

/// Free bytes below which a node may soon have to refuse work.
const FREE_BYTES_LOW: u64 = 1 << 30;

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do, unless all is well.
    pub advice: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Well,
    /// It works, but not as well as it could.
    Poor,
    /// A node cannot work like this.
    Bad,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Well => "well",
            Self::Poor => "poor",
            Self::Bad => "bad",
        })
    }
}

/// Looks at everything that matters for a node with this data folder. Writes a small file there and
/// removes it again; creates the folder if need be.
pub fn examine(data: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Before anything is written there: advice about somebody else's folder would only do harm.
    if let Err(error) = synod_storage::refuse_foreign(data) {
        let seen = error.to_string();
        return vec![Finding { check: "data folder", verdict: Verdict::Bad, seen, advice: None }];
    }
    if let Err(error) = create_private(data) {
        findings.push(Finding {
            check: "data folder",
            verdict: Verdict::Bad,
            seen: format!("{} cannot be created: {error}", data.display()),
            advice: Some("choose another folder with --data, or correct its owner".to_owned()),
        });
        return findings;
    }
    findings.push(folder_mode(data));
    findings.push(sync_rate(data));
    findings.extend(free_space(data));
    findings.extend(open_files());
    findings
}

/// Creates the folder as a node would: for its owner alone.
fn create_private(data: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data)
}

#[cfg(unix)]
fn folder_mode(data: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    let check = "data folder";
    match fs::metadata(data).map(|metadata| metadata.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o077 == 0 => Finding {
            check,
            verdict: Verdict::Well,
            seen: format!("{} (0{mode:o})", data.display()),
            advice: None,
        },
        Ok(mode) => Finding {
            check,
            verdict: Verdict::Poor,
            seen: format!("{} (0{mode:o}): others on this machine may look in", data.display()),
            advice: Some(format!("chmod 700 {}", data.display())),
        },
        Err(error) => Finding { check, verdict: Verdict::Bad, seen: error.to_string(), advice: None },
    }
}

#[cfg(not(unix))]
fn folder_mode(data: &Path) -> Finding {
    Finding { check: "data folder", verdict: Verdict::Well, seen: data.display().to_string(), advice: None }
}

fn sync_rate(data: &Path) -> Finding {
    let check = "disk sync";
    match time_syncs(data) {
        Ok(micros) => {
            let rate = 1_000_000 / micros.max(1);
            let seen = format!("one sync takes {micros} µs (median of {SYNCS}), {rate} syncs/s");
            let (verdict, advice) = match micros {
                0..=5_000 => (Verdict::Well, None),
                5_001..=50_000 => (
                    Verdict::Poor,
                    Some(
                        "every acknowledgement waits for a sync; a faster disk helps more than cores"
                            .to_owned(),
                    ),
                ),
                _ => (Verdict::Bad, Some("move the data folder to another disk".to_owned())),
            };
            Finding { check, verdict, seen, advice }
        }
        Err(error) => Finding {
            check,
            verdict: Verdict::Bad,
            seen: format!("a file cannot be written and synced: {error}"),
            advice: Some("check the disk and the folder's owner".to_owned()),
        },
    }
}

fn time_syncs(data: &Path) -> std::io::Result<u64> {
    let path = data.join(".doctor");
    let mut file = File::create(&path)?;
    let block = [0x5a; SYNC_BYTES];
    let mut micros = Vec::new();
    for _ in 0..SYNCS {
        let watch = Stopwatch::start();
        file.write_all(&block)?;
        file.sync_data()?;
        micros.push(u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    fs::remove_file(&path)?;
    micros.sort_unstable();
    Ok(micros[micros.len() / 2])
}

fn free_space(data: &Path) -> Option<Finding> {
    let check = "free space";
    let disk = rustix::fs::statvfs(data).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let seen = format!("{} MiB free", free >> 20);
    Some(if free >= FREE_BYTES_LOW {
        Finding { check, verdict: Verdict::Well, seen, advice: None }
    } else {
        let advice = Some("free some space; a full disk refuses new work".to_owned());
        Finding { check, verdict: Verdict::Poor, seen, advice }
    })
}

fn open_files() -> Option<Finding> {
    let check = "open files";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let seen = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("at most {limit}"));
    Some(if limit.is_none_or(|limit| limit >= OPEN_FILES_LOW) {
        Finding { check, verdict: Verdict::Well, seen, advice: None }
    } else {
        let advice = Some(format!("ulimit -n {OPEN_FILES_LOW}, for a node with many agents"));
        Finding { check, verdict: Verdict::Poor, seen, advice }
    })
}
