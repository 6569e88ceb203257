//! What can go wrong between a node and a repository.

use std::path::PathBuf;
use std::time::Duration;

use synod_domain::id::HookId;

/// Why a repository did not do what was asked. Nothing that an agent left in its worktree is lost by any of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The node keeps no hooks.
    #[error("this node keeps no hooks; it needs a data folder, and git")]
    None,
    /// There is no git.
    #[error("git cannot be run ({0}); install it, or correct the PATH of the node")]
    NoGit(String),
    /// The folder is missing.
    #[error("there is no folder {} on this node; ask the node that has the repository, or correct the path", .0.display())]
    Missing(PathBuf),
    /// The path is not absolute.
    #[error("{} is not an absolute path; the node's own folder is nobody else's business", .0.display())]
    Relative(PathBuf),
    /// The folder is no repository.
    #[error("{} is no git repository; run git init there, or correct the path", .0.display())]
    NoRepository(PathBuf),
    /// The folder is a part of a repository.
    #[error("{} is no repository of its own, but within {}; name that if it is meant, or run git init", .folder.display(), .repository.display())]
    Within {
        /// The folder.
        folder: PathBuf,
        /// The repository around it.
        repository: PathBuf,
    },
    /// The repository belongs to another user of the system.
    #[error("{} belongs to another user, and git does not trust it; change its owner to that of the node", .0.display())]
    NotTrusted(PathBuf),
    /// The name is no name of a branch.
    #[error("{0:?} is not a name for a branch; choose one that git check-ref-format accepts")]
    BadBranch(String),
    /// The commit is missing.
    #[error("{repository} has no commit {commit}; name another one, or make a first commit there")]
    NoCommit {
        /// The repository.
        repository: String,
        /// The commit as it was named.
        commit: String,
    },
    /// The branch exists elsewhere than where it should begin.
    #[error(
        "branch {branch} exists and is at {tip}, not at {base}; leave the base away to go on with it, or choose another name"
    )]
    BranchExists {
        /// The branch.
        branch: String,
        /// Where it is.
        tip: String,
        /// Where it should begin.
        base: String,
    },
    /// The branch is checked out.
    #[error("branch {branch} is checked out at {at}; choose another branch, or check another one out there")]
    BranchInUse {
        /// The branch.
        branch: String,
        /// Where.
        at: String,
    },
    /// The record is of a later attempt, or of a later moment.
    #[error(
        "the record of {hook} in its repository is of attempt {there} and later than what the log says; it is left as it is: another node, or a log that was lost, wrote it; reassign the hook to go on over it"
    )]
    Fenced {
        /// Which hook.
        hook: HookId,
        /// The attempt of the record.
        there: u32,
    },
    /// Somebody moved the record at the same time, again and again.
    #[error("the record of {0} was moved by somebody else at the same time; it is tried again")]
    Contended(HookId),
    /// The record cannot be read.
    #[error(
        "the record of {hook} cannot be read ({why}); it is left as it is, move the ref refs/synod/hooks/{hook} aside to go on"
    )]
    Unreadable {
        /// Which hook.
        hook: HookId,
        /// Why.
        why: String,
    },
    /// Another run of git holds a lock, or one that was killed left it.
    #[error(
        "{0} is there: another git works in the repository, or one that was killed left it; if none runs, remove that file"
    )]
    Locked(String),
    /// The disk is full.
    #[error("the disk is full: {0}; free some space, it is tried again then")]
    DiskFull(String),
    /// Git took too long and was ended.
    #[error(
        "git did not {what} within {deadline:?} and was ended; look at the disk, or give hooks.git_deadline more"
    )]
    Slow {
        /// What it was to do.
        what: String,
        /// How long it had.
        deadline: Duration,
    },
    /// Something else, in git's words.
    #[error("git did not {what}: {said}")]
    Git {
        /// What it was to do.
        what: String,
        /// What it said.
        said: String,
    },
    /// The node's own folder cannot be used.
    #[error("{what}: {why}; look at the node's data folder")]
    Folder {
        /// What could not be done.
        what: String,
        /// Why.
        why: String,
    },
}

impl Error {
    /// Makes an error of what the system said about a file or folder of the node.
    pub(super) fn of_folder(what: impl Into<String>, error: &std::io::Error) -> Self {
        let what = what.into();
        match error.kind() {
            std::io::ErrorKind::StorageFull => Self::DiskFull(what),
            _ => Self::Folder { what, why: error.to_string() },
        }
    }

    /// Returns the stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::None => "hooks_not_kept",
            Self::NoGit(_) => "git_missing",
            Self::Missing(_) | Self::NoRepository(_) | Self::Within { .. } => "repository_missing",
            Self::Relative(_) | Self::BadBranch(_) | Self::NoCommit { .. } => "invalid",
            Self::NotTrusted(_) => "repository_not_trusted",
            Self::BranchExists { .. } | Self::BranchInUse { .. } => "branch_in_use",
            Self::Fenced { .. } | Self::Contended(_) => "record_fenced",
            Self::Unreadable { .. } => "record_unreadable",
            Self::Locked(_) => "repository_locked",
            Self::DiskFull(_) => "no_space",
            Self::Slow { .. } => "git_slow",
            Self::Git { .. } | Self::Folder { .. } => "git_failed",
        }
    }
}
