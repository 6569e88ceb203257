//! What is asked of one repository: who it is, its branches, and the records of hooks.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use synod_domain::id::HookId;

use super::command::Git;
use super::record::{Found, Record};
use super::{Error, Ground};

/// Where records stand.
const RECORDS: &str = "refs/synod/hooks/";

/// How often a record is written again that somebody else moved meanwhile.
const TRIES_MAX: u32 = 3;

/// A repository on this node.
#[derive(Debug, Clone)]
pub(super) struct Repository<'a> {
    pub(super) git: &'a Git,
    pub(super) path: PathBuf,
}

/// The last record of a hook, and the commit that holds it.
#[derive(Debug, Clone)]
pub(super) struct Last {
    pub(super) commit: String,
    pub(super) record: Record,
}

pub(super) fn record_ref(hook: HookId) -> String {
    format!("{RECORDS}{hook}")
}

impl<'a> Repository<'a> {
    /// Finds the repository that a folder is: its own top, that of one of its worktrees, or a bare one. A folder within it
    /// is refused, because whoever names an ordinary folder by mistake would work on whatever repository is around it.
    pub(super) async fn open(git: &'a Git, folder: &Path) -> Result<Self, Error> {
        if !folder.is_absolute() {
            return Err(Error::Relative(folder.to_owned()));
        }
        if !tokio::fs::metadata(folder).await.is_ok_and(|found| found.is_dir()) {
            return Err(Error::Missing(folder.to_owned()));
        }
        let found = git.at(
            folder,
            "look at the repository",
            &["rev-parse", "--path-format=absolute", "--git-common-dir"],
        );
        let common = PathBuf::from(found.text().await?);
        // Of a bare repository that is all there is.
        let path = match (common.file_name(), common.parent()) {
            (Some(name), Some(parent)) if name == ".git" => parent.to_owned(),
            _ => common,
        };
        let path = tokio::fs::canonicalize(&path).await.map_err(|_| Error::Missing(path))?;
        let named = tokio::fs::canonicalize(folder).await.map_err(|_| Error::Missing(folder.to_owned()))?;
        if named != path {
            let top = git.at(
                folder,
                "look at the repository",
                &["rev-parse", "--path-format=absolute", "--show-toplevel"],
            );
            let top = top.text().await.unwrap_or_default();
            if tokio::fs::canonicalize(&top).await.ok().as_deref() != Some(&*named) {
                return Err(Error::Within { folder: folder.to_owned(), repository: path });
            }
        }
        Ok(Self { git, path })
    }

    /// Takes a path that [`Repository::open`] found before.
    pub(super) async fn known(git: &'a Git, path: &str) -> Result<Self, Error> {
        let path = PathBuf::from(path);
        if !tokio::fs::metadata(&path).await.is_ok_and(|found| found.is_dir()) {
            return Err(Error::Missing(path));
        }
        Ok(Self { git, path })
    }

    /// Looks whether a hook can be made on a branch.
    pub(super) async fn examine(&self, branch: &str, base: Option<&str>) -> Result<Ground, Error> {
        let bad = || Error::BadBranch(branch.to_owned());
        let checked = self.git.at(
            &self.path,
            "check the name of the branch",
            &["check-ref-format", "--branch", branch],
        );
        match checked.text().await {
            // It also resolves @{-1} and the like.
            Ok(name) if name == branch => {}
            Ok(_) | Err(Error::Git { .. }) => return Err(bad()),
            Err(error) => return Err(error),
        }
        if let Some(at) = self.checked_out_at(branch).await? {
            return Err(Error::BranchInUse { branch: branch.to_owned(), at });
        }
        let repository = self.path.display().to_string();
        let tip = self.branch_tip(branch).await?;
        let wanted = match (base, &tip) {
            (None, Some(_)) => None,
            (None, None) => Some("HEAD"),
            (Some(base), _) => Some(base),
        };
        let base = match wanted {
            None => None,
            Some(commit) => {
                let missing =
                    || Error::NoCommit { repository: repository.clone(), commit: commit.to_owned() };
                Some(self.commit(commit).await?.ok_or_else(missing)?)
            }
        };
        match (tip, base) {
            (Some(tip), Some(base)) if tip != base => {
                Err(Error::BranchExists { branch: branch.to_owned(), tip, base })
            }
            (Some(base), _) | (None, Some(base)) => Ok(Ground { repository, base }),
            (None, None) => Err(bad()),
        }
    }

    /// Returns the full name of a commit.
    pub(super) async fn commit(&self, name: &str) -> Result<Option<String>, Error> {
        let name = format!("{name}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
        self.git.at(&self.path, "find the commit", &arguments).answer().await
    }

    pub(super) async fn branch_tip(&self, branch: &str) -> Result<Option<String>, Error> {
        self.commit(&format!("refs/heads/{branch}")).await
    }

    /// Returns in which folder a branch is checked out, those that are gone left away.
    pub(super) async fn checked_out_at(&self, branch: &str) -> Result<Option<String>, Error> {
        let listed =
            self.git.at(&self.path, "list the worktrees", &["worktree", "list", "--porcelain", "-z"]);
        let listed = listed.text().await?;
        let wanted = format!("branch refs/heads/{branch}");
        for one in listed.split("\0\0") {
            let mut lines = one.split('\0').filter(|line| !line.is_empty());
            let at = lines.next().and_then(|line| line.strip_prefix("worktree "));
            if let Some(at) = at
                && lines.any(|line| line == wanted)
                && tokio::fs::metadata(at).await.is_ok()
            {
                return Ok(Some(at.to_owned()));
            }
        }
        Ok(None)
    }

    /// Returns the last record of a hook.
    pub(super) async fn last(&self, hook: HookId) -> Result<Option<Last>, Error> {
        let Some(commit) = self.commit(&record_ref(hook)).await? else { return Ok(None) };
        let unreadable = |why: String| Error::Unreadable { hook, why };
        let bytes = match self.file(&commit, "hook.json").await {
            Err(Error::Git { said, .. }) => return Err(unreadable(said)),
            other => other?,
        };
        let record = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        Ok(Some(Last { commit, record }))
    }

    async fn file(&self, commit: &str, name: &str) -> Result<Vec<u8>, Error> {
        let object = format!("{commit}:{name}");
        self.git.at(&self.path, "read the record", &["cat-file", "blob", &object]).bytes().await
    }

    /// Writes a record behind the last one, unless that is as late already.
    ///
    /// The ref moves only from where it was read, and never to an earlier attempt: whoever writes under an old one finds
    /// a later record there, however late it comes.
    pub(super) async fn append(
        &self,
        record: &Record,
        work: &[u8],
        result: Option<&[u8]>,
    ) -> Result<(), Error> {
        let hook = record.hook;
        let name = record_ref(hook);
        for _ in 0..TRIES_MAX {
            let last = self.last(hook).await?;
            if let Some(Last { record: there, .. }) = &last {
                match there.place().cmp(&record.place()) {
                    Ordering::Greater => return Err(Error::Fenced { hook, there: there.attempt }),
                    Ordering::Equal => return Ok(()),
                    Ordering::Less => {}
                }
            }
            let before = last.map(|last| last.commit);
            let commit = self.write(record, work, result, before.as_deref()).await?;
            // As many zeros as a name has digits: the ref must not exist yet.
            let before = before.unwrap_or_else(|| "0".repeat(commit.len()));
            let moved = self.git.at(&self.path, "move the record", &["update-ref", &name, &commit, &before]);
            match moved.text().await {
                Ok(_) => return Ok(()),
                // Somebody else was there first: what they wrote decides.
                Err(Error::Git { said, .. }) if said.contains("cannot lock ref") => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Contended(hook))
    }

    async fn write(
        &self,
        record: &Record,
        work: &[u8],
        result: Option<&[u8]>,
        before: Option<&str>,
    ) -> Result<String, Error> {
        let unreadable =
            |error: serde_json::Error| Error::Unreadable { hook: record.hook, why: error.to_string() };
        let json = serde_json::to_vec_pretty(record).map_err(unreadable)?;
        let mut tree = String::new();
        for (name, bytes) in [("hook.json", Some(&json[..])), ("result", result), ("work", Some(work))] {
            let Some(bytes) = bytes else { continue };
            let blob = self.git.at(&self.path, "store the record", &["hash-object", "-w", "--stdin"]);
            let blob = blob.input(bytes).text().await?;
            tree.push_str(&format!("100644 blob {blob}\t{name}\n"));
        }
        let tree = self.git.at(&self.path, "store the record", &["mktree"]).input(tree).text().await?;
        let subject = format!("{}: {} under attempt {}\n", record.hook, record.status, record.attempt);
        let mut arguments = vec!["commit-tree", &tree];
        if let Some(before) = before {
            arguments.extend(["-p", before]);
        }
        let commit = self.git.at(&self.path, "store the record", &arguments);
        commit.input(subject).date(record.updated_at / 1000).text().await
    }

    /// Returns all hooks that are on record here; those whose record cannot be read are left out, and told of.
    pub(super) async fn records(&self) -> Result<Vec<Found>, Error> {
        let arguments = ["for-each-ref", "--format=%(refname)", RECORDS];
        let names = self.git.at(&self.path, "list the records", &arguments).text().await?;
        let mut found = Vec::new();
        for name in names.lines() {
            let Some(hook) = name.strip_prefix(RECORDS).and_then(|id| id.parse::<HookId>().ok()) else {
                continue;
            };
            match self.found(hook).await {
                Ok(Some(one)) => found.push(one),
                Ok(None) => {}
                Err(error @ Error::Unreadable { .. }) => {
                    tracing::warn!(%hook, %error, "a record is left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    pub(super) async fn found(&self, hook: HookId) -> Result<Option<Found>, Error> {
        let Some(Last { commit, record }) = self.last(hook).await? else { return Ok(None) };
        let work = self.file(&commit, "work").await?;
        let result = match self.file(&commit, "result").await {
            Ok(bytes) => Some(bytes),
            Err(Error::Git { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Some(Found { record, work, result }))
    }
}
