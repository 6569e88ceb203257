//! Writing to a person or a program that may have gone away.
//!
//! `println!` panics when nobody reads any more, and a panic in the middle of a run would end the node.
//! Here a lost reader of standard error is nobody's failure, and a lost reader of standard output is an
//! exit code.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Write};

use super::exit;

/// Writes a result to standard output; returns `code`, or the code that says why it could not be written.
pub(super) fn result(text: &dyn Display, code: u8) -> u8 {
    match line(text) {
        // Whoever reads has seen enough, as `head` does.
        Ok(()) | Err(exit::OK) => code,
        Err(failed) => failed,
    }
}

/// Writes a line of a stream to standard output. The error is the exit code to stop with: 0 when nobody reads
/// any more.
pub(super) fn line(text: &dyn Display) -> Result<(), u8> {
    let mut out = std::io::stdout().lock();
    written(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Writes a piece of a stream to standard output as it is, without an end of line. The error is as in [`line`].
pub(super) fn piece(text: &str) -> Result<(), u8> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn written(written: std::io::Result<()>) -> Result<(), u8> {
    written.map_err(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            return exit::OK;
        }
        note(&format!("error: the result cannot be written: {error}"));
        exit::OUTPUT
    })
}

/// Writes a line to standard error, if somebody reads it.
pub(super) fn note(text: &dyn Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Tells a person what went wrong, with all causes that the error itself does not name.
pub(super) fn complain(error: &dyn Error) {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(one) = cause {
        let said = one.to_string();
        if !text.contains(&said) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {said}");
        }
        cause = one.source();
    }
    note(&text);
}

/// Makes what a program wrote safe for a terminal: control characters are shown and not obeyed.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' && character != '\t' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Returns the first line of a text, cut to `chars` characters.
pub(super) fn first_line(text: &str, chars: usize) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut short: String = line.chars().take(chars).collect();
    if short.len() < line.len() || text.trim_end().lines().count() > 1 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(harmless("a\u{1b}]0;evil\u{7}\tb\nc"), "a\\u{1b}]0;evil\\u{7}\tb\nc");
    }

    #[test]
    fn a_notice_is_one_line_of_bounded_length() {
        assert_eq!(first_line("\nfirst\nsecond", 80), "first…");
        assert_eq!(first_line("short", 80), "short");
        assert_eq!(first_line("longer than that", 6), "longer…");
    }
}
