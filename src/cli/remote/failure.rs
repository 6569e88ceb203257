//! Why a command over the client did not do what was asked: what is said, and with which exit code.

use std::fmt;

use serde_json::json;

use super::where_tokens_come_from;
use crate::cli::output::{Output, VERSION};
use crate::cli::{exit, print};
use crate::client;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(in crate::cli) enum Failure {
    /// What was typed, or a file that was named, cannot be used.
    Usage(String),
    /// There is no token for this address.
    NoToken(String),
    /// The node could not be asked, or said no.
    Client(client::Error),
    /// Somebody said no when asked.
    Declined,
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        Self::Client(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::NoToken(url) => f.write_str(&where_tokens_come_from(url)),
            Self::Client(error) => error.fmt(f),
            Self::Declined => f.write_str("nothing was done"),
        }
    }
}

impl Failure {
    /// Says it on standard error, and returns the exit code.
    pub(in crate::cli) fn tell(&self, output: &Output) -> u8 {
        if output.is_json() {
            self.tell_program();
        } else {
            self.tell_person();
        }
        self.code()
    }

    /// Returns the exit code.
    pub(in crate::cli) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::NoToken(_) => exit::NO_PERMISSION,
            Self::Client(error) => code_of(error),
            Self::Declined => exit::WORK_FAILED,
        }
    }

    fn tell_person(&self) {
        print::note(&print::harmless(&format!("error: {self}")));
        let Self::Client(error) = self else { return };
        if !error.hint().is_empty() {
            print::note(&print::harmless(&format!("  what to do: {}", error.hint())));
        }
        if let client::Error::Refused(problem) = error {
            let request = if problem.request_id.is_empty() { "-" } else { &problem.request_id };
            print::note(&print::harmless(&format!("  code {}, request {request}", problem.code)));
        }
    }

    fn tell_program(&self) {
        let error = match self {
            Self::Client(client::Error::Refused(problem)) => json!(problem),
            Self::Client(error) => {
                json!({ "code": error.code(), "detail": error.to_string(), "hint": error.hint() })
            }
            Self::Usage(_) => json!({ "code": "usage", "detail": self.to_string() }),
            Self::NoToken(_) => json!({ "code": "no_token", "detail": self.to_string() }),
            Self::Declined => json!({ "code": "declined", "detail": self.to_string() }),
        };
        print::note(&json!({ "version": VERSION, "kind": "error", "error": error }));
    }
}

fn code_of(error: &client::Error) -> u8 {
    match error {
        client::Error::Setup(_) => exit::USAGE,
        client::Error::Refused(problem) => match problem.status {
            400 | 413 | 415 | 422 => exit::USAGE,
            401 | 403 => exit::NO_PERMISSION,
            429 => exit::UNAVAILABLE,
            status if status >= 500 => exit::UNAVAILABLE,
            _ => exit::WORK_FAILED,
        },
        client::Error::Unreachable { .. }
        | client::Error::Unanswered { .. }
        | client::Error::Strange { .. } => exit::UNAVAILABLE,
    }
}
