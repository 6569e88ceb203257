//! The worktrees of a node: one folder for each hook below the node's data.
//!
//! ```text
//!  <data>/hooks/hook_.../worktree      what the agent works in
//!                       /hook.json     the last record that was brought up; only with it the worktree is whole
//! ```
//!
//! One thing at a time happens in a repository: its locks are for the agents that work there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use synod_domain::hook::Hook;
use synod_domain::id::HookId;

use super::command::Git;
use super::record::{Found, Record};
use super::repository::{Last, Repository, record_ref};
use super::saving::save;
use super::{Error, Ground, HookSettings, Load, Repositories};

/// The file that says whose the worktree is, and that it is whole.
const RECORD: &str = "hook.json";

/// Worktrees below a folder, made and looked after by git's own command line.
#[derive(Debug)]
pub struct Worktrees {
    folder: PathBuf,
    git: Git,
    /// Held while something is done to a repository.
    busy: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Worktrees {
    /// Keeps worktrees below this folder, which is made when it is needed.
    pub fn new(folder: impl Into<PathBuf>, settings: &HookSettings) -> Self {
        let git = Git { deadline: settings.git_deadline };
        Self { folder: folder.into(), git, busy: Mutex::default() }
    }

    fn home(&self, hook: HookId) -> PathBuf {
        self.folder.join(hook.to_string())
    }

    /// Waits until nobody else does something to a repository.
    async fn hold(&self, repository: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut busy = self.busy.lock();
            busy.retain(|_, turn| Arc::strong_count(turn) > 1);
            busy.entry(repository.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }

    /// Returns the record that the worktree of a hook is whole under.
    async fn kept(&self, hook: HookId) -> Option<Record> {
        let bytes = tokio::fs::read(self.home(hook).join(RECORD)).await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Notes under which record the worktree of a hook is whole; in one step, so that a crash leaves no half of it.
    async fn keep(&self, record: &Record) -> Result<(), Error> {
        let home = self.home(record.hook);
        let what = || format!("the record of {} cannot be kept", record.hook);
        let json = serde_json::to_vec_pretty(record)
            .map_err(|error| Error::Unreadable { hook: record.hook, why: error.to_string() })?;
        let (new, old) = (home.join("hook.json.new"), home.join(RECORD));
        tokio::fs::write(&new, json).await.map_err(|error| Error::of_folder(what(), &error))?;
        tokio::fs::rename(&new, &old).await.map_err(|error| Error::of_folder(what(), &error))
    }

    /// Makes the worktree of a hook where there is none, or only a part of one.
    async fn ensure(
        &self,
        repository: &Repository<'_>,
        record: &Record,
        last: Option<&Last>,
    ) -> Result<(), Error> {
        let (home, worktree) = (self.home(record.hook), self.worktree(record.hook));
        if self.kept(record.hook).await.is_some() && is_worktree(&worktree).await {
            return Ok(());
        }
        let what = || format!("the folder {} cannot be made", home.display());
        tokio::fs::create_dir_all(&home).await.map_err(|error| Error::of_folder(what(), &error))?;
        self.clear(repository, record.hook).await?;
        self.ensure_branch(repository, record, last).await?;
        if let Some(at) = repository.checked_out_at(&record.branch).await? {
            return Err(Error::BranchInUse { branch: record.branch.clone(), at });
        }
        let path = worktree.display().to_string();
        let arguments = ["worktree", "add", "--quiet", "--force", &path, &record.branch];
        self.git.at(&repository.path, "make the worktree", &arguments).text().await?;
        tracing::info!(hook = %record.hook, worktree = path, branch = record.branch, "a worktree was made");
        self.keep(record).await
    }

    /// Removes what there is of a worktree that never was whole, and moves aside what an agent may have worked in.
    async fn clear(&self, repository: &Repository<'_>, hook: HookId) -> Result<(), Error> {
        let (home, worktree) = (self.home(hook), self.worktree(hook));
        let was_whole = self.kept(hook).await.is_some();
        if tokio::fs::metadata(&worktree).await.is_ok() {
            let what = || format!("what is left of {} cannot be moved", worktree.display());
            if was_whole {
                // Its link to the repository is gone, so git cannot save it.
                let mut number = 1;
                while tokio::fs::metadata(home.join(format!("lost-{number}"))).await.is_ok() {
                    number += 1;
                }
                let lost = home.join(format!("lost-{number}"));
                tracing::warn!(%hook, lost = %lost.display(), "a damaged worktree was moved aside");
                tokio::fs::rename(&worktree, &lost)
                    .await
                    .map_err(|error| Error::of_folder(what(), &error))?;
            } else {
                tokio::fs::remove_dir_all(&worktree)
                    .await
                    .map_err(|error| Error::of_folder(what(), &error))?;
            }
        }
        // What is not whole from here on is of git's making.
        let _ = tokio::fs::remove_file(home.join(RECORD)).await;
        let path = worktree.display().to_string();
        // A crash in the middle of making one leaves it locked; where it is not there is nothing to unlock.
        let _ =
            self.git.at(&repository.path, "unlock the worktree", &["worktree", "unlock", &path]).text().await;
        self.git.at(&repository.path, "forget lost worktrees", &["worktree", "prune"]).text().await.map(drop)
    }

    /// Makes the branch where it is missing: where the last record saw it, or where it began.
    async fn ensure_branch(
        &self,
        repository: &Repository<'_>,
        record: &Record,
        last: Option<&Last>,
    ) -> Result<(), Error> {
        if repository.branch_tip(&record.branch).await?.is_some() {
            return Ok(());
        }
        let seen = last.and_then(|last| last.record.head.as_deref());
        for commit in seen.into_iter().chain([&*record.base]) {
            if repository.commit(commit).await?.is_some() {
                let arguments = ["branch", "--no-track", &record.branch, commit];
                return self.git.at(&repository.path, "make the branch", &arguments).text().await.map(drop);
            }
        }
        let (repository, commit) = (record.repository.clone(), record.base.clone());
        Err(Error::NoCommit { repository, commit })
    }

    async fn bring_up_held(&self, hook: &Hook, load: &Load) -> Result<PathBuf, Error> {
        let id = hook.spec.id;
        let repository = Repository::known(&self.git, &hook.spec.repository).await?;
        let worktree = self.worktree(id);
        let record = Record::of(hook, None);
        let (is_over, kept) = (hook.status().is_end(), self.kept(id).await);
        if is_over && kept.as_ref().is_some_and(|kept| kept.place() >= record.place()) {
            // It was brought up before. Whoever works in the folder of a hook that is over does so for themselves.
            return Ok(worktree);
        }
        let last = repository.last(id).await?;
        if let Some(Last { record: there, .. }) = &last
            && there.place() > record.place()
        {
            return Err(Error::Fenced { hook: id, there: there.attempt });
        }
        // Before anybody else touches it, and before it is told that nobody does any more.
        if let Some(kept) = kept.filter(|kept| is_over || kept.attempt < hook.attempt)
            && is_worktree(&worktree).await
        {
            save(&self.git, &worktree, &kept).await?;
        }
        if hook.is_held() {
            self.ensure(&repository, &record, last.as_ref()).await?;
        }
        let head = repository.branch_tip(&hook.spec.branch).await?;
        let record = Record { head, ..record };
        repository.append(&record, &load.work, load.result.as_deref()).await?;
        if self.kept(id).await.is_some() {
            self.keep(&record).await?;
        }
        Ok(worktree)
    }
}

#[async_trait]
impl Repositories for Worktrees {
    async fn examine(&self, repository: &Path, branch: &str, base: Option<&str>) -> Result<Ground, Error> {
        Repository::open(&self.git, repository).await?.examine(branch, base).await
    }

    async fn bring_up(&self, hook: &Hook, load: &Load) -> Result<PathBuf, Error> {
        let _turn = self.hold(&hook.spec.repository).await;
        self.bring_up_held(hook, load).await
    }

    fn worktree(&self, hook: HookId) -> PathBuf {
        self.home(hook).join("worktree")
    }

    async fn is_there(&self, hook: HookId) -> bool {
        self.kept(hook).await.is_some() && is_worktree(&self.worktree(hook)).await
    }

    async fn forget(&self, hook: HookId) -> Result<(), Error> {
        let home = self.home(hook);
        if let Some(record) = self.kept(hook).await {
            let _turn = self.hold(&record.repository).await;
            let worktree = self.worktree(hook);
            match Repository::known(&self.git, &record.repository).await {
                Ok(repository) => {
                    if is_worktree(&worktree).await {
                        save(&self.git, &worktree, &record).await?;
                        let path = worktree.display().to_string();
                        let arguments = ["worktree", "remove", "--force", &path];
                        self.git.at(&repository.path, "remove the worktree", &arguments).text().await?;
                    }
                    self.note_removal(&repository, hook).await?;
                }
                // A worktree without its repository is of no use, and there is nothing to note.
                Err(Error::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if tokio::fs::metadata(&home).await.is_err() {
            return Ok(());
        }
        let what = || format!("the folder {} cannot be removed", home.display());
        tokio::fs::remove_dir_all(&home).await.map_err(|error| Error::of_folder(what(), &error))
    }

    async fn over(&self) -> Vec<HookId> {
        let mut over = Vec::new();
        let Ok(mut folders) = tokio::fs::read_dir(&self.folder).await else { return over };
        while let Ok(Some(folder)) = folders.next_entry().await {
            let name = folder.file_name();
            let Some(hook) = name.to_str().and_then(|name| name.parse::<HookId>().ok()) else { continue };
            if self.kept(hook).await.is_none_or(|record| record.status.is_end()) {
                over.push(hook);
            }
        }
        over.sort_unstable();
        over
    }

    async fn find(&self, repository: &Path) -> Result<(String, Vec<Found>), Error> {
        let repository = Repository::open(&self.git, repository).await?;
        Ok((repository.path.display().to_string(), repository.records().await?))
    }
}

impl Worktrees {
    /// Writes down that a hook was removed, so that it is not taken up again from its record.
    async fn note_removal(&self, repository: &Repository<'_>, hook: HookId) -> Result<(), Error> {
        let Some(Found { record, work, result }) = repository.found(hook).await? else { return Ok(()) };
        if record.removed {
            return Ok(());
        }
        let record = Record { removed: true, revision: record.revision + 1, ..record };
        tracing::debug!(%hook, record = record_ref(hook), "a hook is removed");
        repository.append(&record, &work, result.as_deref()).await
    }
}

/// Tells whether a folder is a worktree: without its link to the repository, git would take it for a part of whatever
/// repository is around it.
async fn is_worktree(folder: &Path) -> bool {
    let Ok(link) = tokio::fs::read_to_string(folder.join(".git")).await else { return false };
    match link.trim_end().strip_prefix("gitdir: ") {
        Some(target) => tokio::fs::metadata(target).await.is_ok(),
        None => false,
    }
}
