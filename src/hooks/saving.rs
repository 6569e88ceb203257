//! Saving what an agent left in its worktree: everything that git does not ignore goes to the branch.
//!
//! Whatever the agent was in the middle of is kept. Where the branch cannot simply go on from there, because the
//! worktree was detached from it and the two have parted, the work is kept under `refs/synod/saved/HOOK/ATTEMPT`.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Error;
use super::command::Git;
use super::record::Record;

/// After this long a lock in a worktree that nobody works in was left by a git that was killed.
const LOCK_STALE: Duration = Duration::from_secs(60);

/// Saves a worktree, so that it is clean and on its branch. `record` says who leaves it.
pub(super) async fn save(git: &Git, worktree: &Path, record: &Record) -> Result<(), Error> {
    unlock(git, worktree).await?;
    let branch = format!("refs/heads/{}", record.branch);
    let arguments = ["symbolic-ref", "--quiet", "HEAD"];
    let head = git.at(worktree, "read the head of the worktree", &arguments).answer().await?;
    git.at(worktree, "take up what was changed", &["add", "--all"]).text().await?;
    match head {
        Some(head) => {
            if is_dirty(git, worktree).await? {
                let arguments =
                    ["commit", "--quiet", "--no-verify", "--allow-empty", "--message", &message(record)];
                git.at(worktree, "commit what was changed", &arguments).text().await?;
            }
            if head != branch {
                // It is safe on the branch that the agent chose.
                check_out(git, worktree, &record.branch).await?;
            }
        }
        None => save_detached(git, worktree, record, &branch).await?,
    }
    Ok(())
}

/// Saves a worktree whose head is on no branch: in the middle of a rebase, or on a commit that the agent chose.
async fn save_detached(git: &Git, worktree: &Path, record: &Record, branch: &str) -> Result<(), Error> {
    let head = git.at(worktree, "read the head of the worktree", &["rev-parse", "HEAD"]).text().await?;
    let commit = if is_dirty(git, worktree).await? {
        let tree = git.at(worktree, "write what was changed", &["write-tree"]).text().await?;
        let arguments = ["commit-tree", &tree, "-p", &head];
        git.at(worktree, "commit what was changed", &arguments).input(message(record)).text().await?
    } else {
        head
    };
    let arguments = ["rev-parse", "--verify", "--quiet", branch];
    let tip = git.at(worktree, "find the branch", &arguments).answer().await?;
    let goes_on = match &tip {
        Some(tip) => {
            let arguments = ["merge-base", "--is-ancestor", tip, &commit];
            git.at(worktree, "compare with the branch", &arguments).answer().await?.is_some()
        }
        None => true,
    };
    if goes_on {
        let before = tip.unwrap_or_else(|| "0".repeat(commit.len()));
        let arguments = ["update-ref", branch, &commit, &before];
        git.at(worktree, "move the branch on", &arguments).text().await?;
    } else {
        let kept = format!("refs/synod/saved/{}/{}", record.hook, record.attempt);
        git.at(worktree, "keep what was changed", &["update-ref", &kept, &commit]).text().await?;
        tracing::warn!(hook = %record.hook, kept, "the work had parted from its branch and is kept apart");
    }
    // Where there is no rebase there is nothing to give up.
    let _ = git.at(worktree, "give up the rebase", &["rebase", "--quit"]).text().await;
    check_out(git, worktree, &record.branch).await
}

/// Goes to the branch. Everything was saved before, so nothing is overwritten that is not kept.
async fn check_out(git: &Git, worktree: &Path, branch: &str) -> Result<(), Error> {
    let arguments = ["checkout", "--quiet", "--force", branch, "--"];
    git.at(worktree, "go back to the branch", &arguments).text().await.map(drop)
}

/// Tells whether something is to be committed: changes, or a merge that was not concluded.
async fn is_dirty(git: &Git, worktree: &Path) -> Result<bool, Error> {
    let status = git.at(worktree, "look for changes", &["status", "--porcelain", "--ignore-submodules=all"]);
    if !status.text().await?.is_empty() {
        return Ok(true);
    }
    let arguments = ["rev-parse", "--verify", "--quiet", "MERGE_HEAD"];
    Ok(git.at(worktree, "look for a merge", &arguments).answer().await?.is_some())
}

fn message(record: &Record) -> String {
    format!("Save what attempt {} at {} left\n", record.attempt, record.hook)
}

/// Removes the lock of the worktree's index if it was left behind. Nobody works here while this is asked.
async fn unlock(git: &Git, worktree: &Path) -> Result<(), Error> {
    let folder = git.at(worktree, "find the worktree's own folder", &["rev-parse", "--absolute-git-dir"]);
    let lock = Path::new(&folder.text().await?).join("index.lock");
    let Ok(found) = tokio::fs::metadata(&lock).await else { return Ok(()) };
    // A file's time is the system's, and so is what it is compared with.
    #[expect(clippy::disallowed_methods, reason = "the age of a file is told by the clock that dated it")]
    let now = SystemTime::now();
    let age = found.modified().ok().and_then(|since| now.duration_since(since).ok());
    if age.is_none_or(|age| age < LOCK_STALE) {
        return Err(Error::Locked(lock.display().to_string()));
    }
    tracing::warn!(lock = %lock.display(), "a lock that was left behind is removed");
    let what = || format!("the lock {} cannot be removed", lock.display());
    tokio::fs::remove_file(&lock).await.map_err(|error| Error::of_folder(what(), &error))
}
