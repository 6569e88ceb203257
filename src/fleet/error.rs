//! What can be wrong with a fleet file or with the inputs given to it.
//!
//! Nothing has been started or written when one of these is returned, so the cure is always the same:
//! change the file or the command line, and run again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};

/// Says why a fleet file cannot be used. Nothing was started.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// The file is missing or unreadable.
    #[error("cannot read the fleet file {}", path.display())]
    #[diagnostic(
        code(synod::fleet::unreadable),
        help(
            "check the path and that you may read it; `synod run FILE` takes a path relative to the current folder"
        )
    )]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ending does not say which format the file has.
    #[error("the ending of {} does not say which format the file has", path.display())]
    #[diagnostic(code(synod::fleet::extension), help("name it .yaml, .yml, .json or .toml"))]
    UnknownExtension {
        /// The path as given.
        path: PathBuf,
    },
    /// Larger than a fleet file may be.
    #[error("the fleet file {} has {size} bytes; at most {max} are read", path.display())]
    #[diagnostic(
        code(synod::fleet::too_large),
        help("keep data in files of its own and read it with `for_each: {{ lines_of: FILE }}`")
    )]
    TooLarge {
        /// The path as given.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The bound.
        max: u64,
    },
    /// One thing is wrong in the file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Invalid(Box<Problem>),
    /// Several things are wrong in the file.
    #[error("{} has {} problems, the first at {}", file, problems.len(), problems.first().map_or("", Problem::position))]
    #[diagnostic(code(synod::fleet::invalid))]
    Several {
        /// The file as given.
        file: String,
        /// All of them, in the order in which they were found.
        #[related]
        problems: Vec<Problem>,
    },
    /// An input on the command line is not `KEY=VALUE`, or stands there twice.
    #[error("the input {given:?} {why}")]
    #[diagnostic(code(synod::fleet::input), help("write each input once, as --input KEY=VALUE"))]
    InputForm {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The fleet file declares no input of this name.
    #[error("{file} has no input {name:?}")]
    #[diagnostic(code(synod::fleet::input))]
    UnknownInput {
        /// The fleet file.
        file: String,
        /// The name as given.
        name: String,
        /// The known names, and the one that was probably meant.
        #[help]
        help: String,
    },
    /// An input has no default and none was given.
    #[error("the input {name:?} of {file} needs a value")]
    #[diagnostic(code(synod::fleet::input), help("run again with --input {name}=VALUE{description}"))]
    MissingInput {
        /// The fleet file.
        file: String,
        /// The input.
        name: String,
        /// What the file says about it, with a leading colon.
        description: String,
    },
    /// The value given for an input does not have the type of its default.
    #[error("the input {name:?} of {file} should be {expected}, and {given:?} is not")]
    #[diagnostic(
        code(synod::fleet::input),
        help("the type of the default in the fleet file decides; lists and maps are written as JSON")
    )]
    InputType {
        /// The fleet file.
        file: String,
        /// The input.
        name: String,
        /// What it should be.
        expected: &'static str,
        /// What was given.
        given: String,
    },
    /// The plan could not be written as JSON.
    #[error("cannot encode the plan of {file}")]
    #[diagnostic(code(synod::fleet::encode))]
    Encode {
        /// The fleet file.
        file: String,
        /// What the encoder said.
        source: serde_json::Error,
    },
}

impl Error {
    /// Returns what is wrong inside the file, place by place; empty when the error is not about its content.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problem) => std::slice::from_ref(problem),
            Self::Several { problems, .. } => problems,
            Self::Unreadable { .. }
            | Self::UnknownExtension { .. }
            | Self::TooLarge { .. }
            | Self::InputForm { .. }
            | Self::UnknownInput { .. }
            | Self::MissingInput { .. }
            | Self::InputType { .. }
            | Self::Encode { .. } => &[],
        }
    }
}

/// One thing that is wrong in a fleet file: what, where, and what to do.
///
/// Printed plainly it is one line, `file:line:column: message`; as a miette report it shows the lines.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{position}: {message}")]
#[diagnostic(code(synod::fleet::invalid))]
pub struct Problem {
    /// `file:line:column`, both from 1; columns count characters.
    pub(super) position: String,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    #[help]
    pub(super) help: Option<String>,
    /// What the marked place is called.
    pub(super) label: String,
    /// The marked place.
    #[label("{label}")]
    pub(super) span: SourceSpan,
    /// The file.
    #[source_code]
    pub(super) code: NamedSource<Arc<str>>,
}

impl Problem {
    /// Returns `file:line:column`.
    pub fn position(&self) -> &str {
        &self.position
    }

    /// Returns what is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns what to do about it.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }
}
