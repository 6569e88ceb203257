//! The text of a fleet file, and the way from a byte in it to a problem that a person can find.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::NamedSource;

use super::error::{Error, Problem};

/// The text of a fleet file and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    path: PathBuf,
    text: Arc<str>,
}

/// What is wrong, before it is known where in which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
    /// A part of the text at the place, to mark it more closely than the whole value.
    pub(super) part: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, part: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn part(mut self, part: impl Into<String>) -> Self {
        self.part = Some(part.into());
        self
    }
}

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.into() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the path as given, for messages.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Puts a fault at a place of the text.
    pub(super) fn problem(&self, span: Range<usize>, fault: Fault) -> Problem {
        let span = self.visible(self.narrowed(span, fault.part.as_deref()));
        let (line, column) = self.line_and_column(span.start);
        Problem {
            position: format!("{}:{line}:{column}", self.name()),
            message: fault.message,
            help: fault.help,
            label: "here".to_owned(),
            span: span.into(),
            code: NamedSource::new(self.name(), Arc::clone(&self.text)),
        }
    }

    /// Makes one error of all problems that were found; there must be at least one.
    pub(super) fn error(&self, mut problems: Vec<Problem>) -> Error {
        match (problems.len(), problems.pop()) {
            (1, Some(only)) => Error::Invalid(Box::new(only)),
            (_, last) => {
                problems.extend(last);
                Error::Several { file: self.name(), problems }
            }
        }
    }

    fn narrowed(&self, span: Range<usize>, part: Option<&str>) -> Range<usize> {
        let found = part.and_then(|part| {
            let start = span.start + self.text.get(span.clone())?.find(part)?;
            Some(start..start + part.len())
        });
        found.unwrap_or(span)
    }

    /// Gives an empty or many-line span something to mark: the rest of its first line.
    fn visible(&self, span: Range<usize>) -> Range<usize> {
        let mut start = span.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        let end = if span.end > start { span.end.min(line_end) } else { line_end };
        let shown = self.text.get(start..end).map_or(end, |text| start + text.trim_end().len());
        start..shown
    }

    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Returns the byte at a line and a column, both from 1, columns in bytes as serde_json counts them.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let line_start: usize =
            self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        (line_start + column.saturating_sub(1)).min(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let source = Source::new(Path::new("f.yaml"), "a: 1\nä: {{x}} y\n");
        let problem = source.problem(9..16, Fault::new("wrong").part("{{x}}"));
        assert_eq!(problem.position(), "f.yaml:2:4");
        assert_eq!(problem.to_string(), "f.yaml:2:4: wrong");
    }

    #[test]
    fn an_empty_span_at_the_end_of_the_text_is_still_a_place() {
        let source = Source::new(Path::new("f.yaml"), "a:");
        assert_eq!(source.problem(99..99, Fault::new("x")).position(), "f.yaml:1:3");
    }
}
