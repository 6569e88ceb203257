//! Why a request was not done.

use std::time::Duration;

use crate::api::Problem;

/// Statuses of a node, or of a proxy before it, that say "later".
const LATER: [u16; 4] = [429, 502, 503, 504];

/// Why a request was not done, and whether the node may have done it all the same.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client cannot be made as asked. Nothing was sent.
    #[error("{0}")]
    Setup(String),
    /// The node said no; the state is unchanged unless the code is `outcome_unknown`.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// Nobody took the request; nothing was done.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// Who was to be reached.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The request was sent and no answer came: it may have been done or not.
    #[error("no answer from {url}: {reason}")]
    Unanswered {
        /// Who was asked.
        url: String,
        /// Why there is none.
        reason: String,
    },
    /// What came back is not what a node of this version answers; the request may have been done.
    #[error("the answer of {url} is not understood: {reason}")]
    Strange {
        /// Who answered.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Returns the stable code: the node's, or one of ours.
    pub fn code(&self) -> &str {
        match self {
            Self::Setup(_) => "setup",
            Self::Refused(problem) => &problem.code,
            Self::Unreachable { .. } => "unreachable",
            Self::Unanswered { .. } => "unanswered",
            Self::Strange { .. } => "answer_strange",
        }
    }

    /// Returns what to do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Setup(_) => "",
            Self::Refused(problem) => &problem.hint,
            Self::Unreachable { .. } => {
                "start a node with `synod dev` or `synod server`, or name another with --url, SYNOD_URL or a context"
            }
            Self::Unanswered { .. } => {
                "look whether it was done before you ask again; a change under a key of yours counts once however often it is sent"
            }
            Self::Strange { .. } => {
                "look whether the address is that of a synod node, and whether both have the same version"
            }
        }
    }

    /// Returns the HTTP status, if a node answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(problem) => Some(problem.status),
            Self::Setup(_) | Self::Unreachable { .. } | Self::Unanswered { .. } | Self::Strange { .. } => {
                None
            }
        }
    }

    /// Tells whether the same request may succeed later without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused(problem) => LATER.contains(&problem.status),
            Self::Unreachable { .. } | Self::Unanswered { .. } => true,
            Self::Setup(_) | Self::Strange { .. } => false,
        }
    }

    /// Tells whether nobody answered.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unanswered { .. })
    }

    /// Tells whether the token is the reason.
    pub fn is_denied(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// Returns how long the node asks to wait before the next try.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Refused(problem) => Duration::from_millis(problem.retry_after_ms.unwrap_or(0)),
            Self::Setup(_) | Self::Unreachable { .. } | Self::Unanswered { .. } | Self::Strange { .. } => {
                Duration::ZERO
            }
        }
    }
}
