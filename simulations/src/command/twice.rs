//! One seed in two processes: both traces are the same bytes, or something random has escaped the seed.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::arguments::WorldArgs;
use super::child::{self, Ended};

/// How much of a line that differs is shown.
const SHOWN: usize = 300;

/// Where two traces differ first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// From 1.
    line: usize,
    one: String,
    other: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, one, other } = self;
        write!(f, "two processes differ from line {line} of the trace: {one:?} and {other:?}")
    }
}

/// A folder for traces that goes away with it.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn make() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("synod-simulate-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lets two processes live the world of a seed, one after the other.
///
/// # Errors
/// When no process can be started, or a trace cannot be read.
pub(crate) async fn live(
    seed: u64,
    world: &WorldArgs,
    scratch: &Path,
) -> std::io::Result<(Ended, Option<Difference>)> {
    let files = ["one", "other"].map(|name| scratch.join(format!("{seed}-{name}.trace")));
    let one = child::live(seed, world, Some(&files[0])).await?;
    let Ended::Judged(_) = &one else { return Ok((one, None)) };
    let other = child::live(seed, world, Some(&files[1])).await?;
    let Ended::Judged(_) = &other else { return Ok((other, None)) };
    let difference = difference(File::open(&files[0])?, File::open(&files[1])?)?;
    for file in &files {
        std::fs::remove_file(file)?;
    }
    Ok((one, difference))
}

fn difference(one: impl std::io::Read, other: impl std::io::Read) -> std::io::Result<Option<Difference>> {
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    for line in 1.. {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        one.read_until(b'\n', &mut left)?;
        other.read_until(b'\n', &mut right)?;
        if left != right {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().chars().take(SHOWN).collect();
            return Ok(Some(Difference { line, one: text(&left), other: text(&right) }));
        }
        if left.is_empty() {
            break;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(one: &str, other: &str) -> Option<(usize, String, String)> {
        let found = difference(one.as_bytes(), other.as_bytes()).unwrap();
        found.map(|found| (found.line, found.one, found.other))
    }

    #[test]
    fn the_first_line_that_differs_is_found() {
        assert_eq!(between("a\nb\n", "a\nb\n"), None);
        assert_eq!(between("a\nb\nc\n", "a\nx\nc\n"), Some((2, "b".into(), "x".into())));
        assert_eq!(between("a\n", "a\nb\n"), Some((2, String::new(), "b".into())));
        assert_eq!(between("a\n", "a"), Some((1, "a".into(), "a".into())));
    }
}
