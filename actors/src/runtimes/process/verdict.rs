//! What the end of a program means for its attempt.
//!
//! | how it ended | the attempt |
//! |---|---|
//! | exit code 0 | completed with what it wrote |
//! | exit code 75 (`EX_TEMPFAIL`) | failed, asks for a retry |
//! | any other code, or a signal | failed with its last words on standard error, may be retried |
//! | too much output | failed for good: the next attempt would write as much |

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::log::Log;
use super::output::{OUTPUT_BYTES_MAX, Output};
use crate::ports::Finish;

/// `EX_TEMPFAIL` of `sysexits.h`: the program says that another attempt may succeed.
const TEMPORARY: i32 = 75;

/// How many last lines of standard error become part of a reason.
const REASON_LINES: usize = 10;

/// How many bytes of them at most: with the words around them well below
/// [`REASON_BYTES_MAX`](synod_domain::task::REASON_BYTES_MAX), so that the domain cuts nothing.
const REASON_BYTES: usize = 3 * 1024;

/// The signals that people meet; others show their number only.
const SIGNALS: [(i32, &str); 12] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (6, "SIGABRT"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (5, "SIGTRAP"),
];

/// Judges a program that ended on its own.
pub(super) async fn judge(status: ExitStatus, output: Output, log: &mut Log) -> Finish {
    if output.is_too_large() {
        return too_large();
    }
    if !status.success() {
        return Finish::Failed { reason: reason(status, log), retryable: true };
    }
    match output.parse() {
        Ok(parsed) => {
            if parsed.lossy {
                log.note("the result was not UTF-8; bytes that are not were replaced by U+FFFD").await;
            }
            Finish::Completed { result: parsed.result }
        }
        Err(error) => failed(format!("the result cannot be written as JSON: {error}")),
    }
}

/// A program that wrote more than a result may hold.
pub(super) fn too_large() -> Finish {
    let limit = OUTPUT_BYTES_MAX / (1024 * 1024);
    let reason = format!(
        "the program wrote more than {limit} MiB to standard output; write large results to a file and print its path, and logs to standard error"
    );
    Finish::Failed { reason, retryable: false }
}

/// A failure that is not the task's fault, so that another attempt makes sense.
pub(super) fn failed(reason: String) -> Finish {
    Finish::Failed { reason, retryable: true }
}

fn reason(status: ExitStatus, log: &Log) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(TEMPORARY), _) => format!("the program asks for a retry (exit code {TEMPORARY})"),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}{}", signal_name(signal)),
        (None, None) => "ended without an exit code".to_owned(),
    };
    let words = log.last_lines(REASON_LINES, REASON_BYTES);
    if words.is_empty() { how } else { format!("{how}: {words}") }
}

fn signal_name(signal: i32) -> String {
    let name = SIGNALS.iter().find(|(number, _)| *number == signal);
    name.map(|(_, name)| format!(" ({name})")).unwrap_or_default()
}
