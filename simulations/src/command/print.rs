//! Writing to a person or a program that may have gone away.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;

use super::exit;

/// The version of the envelopes; within one, fields are only added.
const VERSION: u32 = 1;

/// One thing for programs, as `synod` prints them.
#[derive(Serialize)]
struct Envelope<'a, T> {
    version: u32,
    kind: &'a str,
    item: &'a T,
}

/// Writes to standard output as it is. The error is the exit code to stop with: 0 when nobody reads any more.
pub(crate) fn out(text: &dyn Display) -> Result<(), u8> {
    let mut out = std::io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            return exit::OK;
        }
        note(&format!("error: the result cannot be written: {error}"));
        exit::OUTPUT
    })
}

/// Writes an envelope on a line of standard output. The error is as in [`out`].
pub(crate) fn envelope<T: Serialize>(kind: &str, item: &T) -> Result<(), u8> {
    match serde_json::to_string(&Envelope { version: VERSION, kind, item }) {
        Ok(text) => out(&format!("{text}\n")),
        Err(error) => {
            note(&format!("error: the result cannot be written as JSON: {error}"));
            Err(exit::OUTPUT)
        }
    }
}

/// Writes a line to standard error, if somebody reads it.
pub(crate) fn note(text: &dyn Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a line of progress to standard error, if that is a terminal.
pub(crate) fn progress(text: &dyn Display) {
    if std::io::stderr().is_terminal() {
        note(text);
    }
}
