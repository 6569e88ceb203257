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
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => code,
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => code,
        Err(error) => {
            note(&format!("error: the result cannot be written: {error}"));
            exit::OUTPUT
        }
    }
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
