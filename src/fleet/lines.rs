//! Reads the items of a text file: its lines, or the matches of a pattern in it.

use std::fs;
use std::path::Path;

use regex::{Captures, Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::source::Fault;

/// The largest file that `lines_of` reads. It is read as a whole, so that a pattern may span lines; a higher
/// number costs that much memory while a plan is made.
pub const LINES_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads a regular expression; `^` and `$` stand for the ends of each line.
pub(super) fn regex(pattern: &str) -> Result<Regex, Fault> {
    RegexBuilder::new(pattern).multi_line(true).build().map_err(|error| {
        // The crate draws the pattern with a marker over several lines; the last one says what is wrong.
        let text = error.to_string();
        let why = text.lines().last().unwrap_or("").trim().trim_start_matches("error: ");
        Fault::new(format!("the pattern is no regular expression: {why}")).help(
            "the syntax is that of https://docs.rs/regex; groups are named as in (?<name>..), and \\ is \
                   needed before . ( [ { + * ? where they stand for themselves",
        )
    })
}

/// Returns the items of a file.
pub(super) fn items(path: &Path, pattern: Option<&str>) -> Result<Vec<Value>, Fault> {
    let text = read(path)?;
    let Some(pattern) = pattern else {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        return Ok(lines.map(|line| Value::String(line.to_owned())).collect());
    };
    let regex = regex(pattern)?;
    let names: Vec<&str> = regex.capture_names().flatten().collect();
    Ok(regex.captures_iter(&text).map(|captures| item(&captures, &names)).collect())
}

fn item(captures: &Captures<'_>, names: &[&str]) -> Value {
    if names.is_empty() {
        return Value::String(captures[0].to_owned());
    }
    let field = |name: &&str| {
        let value = captures.name(name).map_or(Value::Null, |group| Value::String(group.as_str().to_owned()));
        ((*name).to_owned(), value)
    };
    Value::Object(names.iter().map(field).collect::<Map<_, _>>())
}

fn read(path: &Path) -> Result<String, Fault> {
    let shown = path.display();
    let refused = |error: std::io::Error| {
        Fault::new(format!("cannot read {shown}: {error}")).help(
            "the path is relative to the fleet file's folder; check that the file is there and that you \
                   may read it",
        )
    };
    let metadata = fs::metadata(path).map_err(refused)?;
    if !metadata.is_file() {
        // A device or a pipe may have no end.
        return Err(
            Fault::new(format!("{shown} is no ordinary file")).help("`lines_of` reads text files only")
        );
    }
    let size = metadata.len();
    if size > LINES_FILE_BYTES_MAX {
        return Err(Fault::new(format!(
            "{shown} has {size} bytes; `lines_of` reads at most {LINES_FILE_BYTES_MAX}"
        ))
        .help("split the file, or hand its path to the program in `payload`"));
    }
    let bytes = fs::read(path).map_err(refused)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(Fault::new(format!("{shown} is not UTF-8 text: byte {at} is wrong"))
                .help("save the file as UTF-8"))
        }
    }
}
