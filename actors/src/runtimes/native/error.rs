//! How an agent says that it failed.

use std::error::Error;
use std::fmt;

/// Why an attempt failed, and whether another makes sense.
///
/// Made by `?` from any error, with the text of its whole chain of causes, and then retryable: most errors an agent
/// meets are of the world and pass. It is deliberately not a [`std::error::Error`] itself, which makes that `?`
/// possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentError {
    pub(super) reason: String,
    pub(super) retryable: bool,
}

impl AgentError {
    /// Another attempt may succeed.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retryable: true }
    }

    /// Another attempt would fail too.
    pub fn fail(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retryable: false }
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl<E: Error> From<E> for AgentError {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        Self::retry(reason)
    }
}
