//! A fleet file that was read and checked.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;

use super::check;
use super::error::Error;
use super::file::FleetShape;
use super::source::{Fault, Source};
use super::tree::{self, Node, Place};
use super::{toml, yaml};

/// The largest fleet file that is read. A file of ten thousand entries has two megabytes; whoever needs more
/// has data in it, which belongs into files of its own.
pub const FLEET_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A fleet file, checked: every plan made from it is sound.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub(super) source: Source,
    pub(super) tree: Node,
    pub(super) shape: FleetShape,
    pub(super) path: PathBuf,
    /// The file's folder, absolute.
    pub(super) dir: String,
}

/// An input that a fleet file declares, for people who ask.
#[derive(Debug, Clone, PartialEq)]
pub struct InputInfo {
    /// Its name.
    pub name: String,
    /// What it is when a run does not give it; without one, each run must.
    pub default: Option<Value>,
    /// What it is for.
    pub description: Option<String>,
}

impl Fleet {
    /// Reads and checks a file; its ending (`.yaml`, `.yml`, `.json`, `.toml`) says the format.
    ///
    /// # Errors
    /// When it cannot be read, is too large, has an unknown ending, or when anything in it is wrong.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        format(path)?;
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let mut file = fs::File::open(path).map_err(unreadable)?.take(FLEET_FILE_BYTES_MAX + 1);
        let size = file.read_to_end(&mut bytes).map_err(unreadable)? as u64;
        if size > FLEET_FILE_BYTES_MAX {
            let size = fs::metadata(path).map_or(size, |metadata| metadata.len().max(size));
            return Err(Error::TooLarge { path: path.to_owned(), size, max: FLEET_FILE_BYTES_MAX });
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            unreadable(io::Error::other(format!("byte {at} is not UTF-8 text; save the file as UTF-8")))
        })?;
        Self::parse(path, &text)
    }

    /// Checks `text` as the content of the file `path`, which need not exist; its folder is what relative
    /// paths are relative to.
    ///
    /// # Errors
    /// When the path has an unknown ending, or when anything in the text is wrong.
    pub fn parse(path: impl AsRef<Path>, text: &str) -> Result<Self, Error> {
        let path = path.as_ref();
        let source = Source::new(path, text.strip_prefix('\u{feff}').unwrap_or(text));
        let tree = match format(path)? {
            Format::Yaml => yaml::read_yaml(&source)?,
            Format::Json => yaml::read_json(&source)?,
            Format::Toml => toml::read_toml(&source)?,
        }
        .settled();
        if tree.value == tree::Value::Null {
            let fault = Fault::new("the file is empty")
                .help("a fleet file needs at least `name`, `pools` and `tasks`; see docs/FLEET.md");
            return Err(source.error(vec![source.problem(0..0, fault)]));
        }
        let shape = FleetShape::deserialize(&tree).map_err(|refused| {
            let span = refused.span.unwrap_or(tree.span.clone());
            source.error(vec![source.problem(span, refused.fault)])
        })?;
        check::check(&source, &tree, &shape)?;
        let absolute = std::path::absolute(path);
        let absolute = absolute.map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        let dir = absolute.parent().unwrap_or(Path::new("/"));
        // Templates make texts of it, and a text that is not the path would find nothing.
        let Some(dir) = dir.to_str().map(str::to_owned) else {
            let source =
                io::Error::other("the name of its folder is not UTF-8; move the file to another folder");
            return Err(Error::Unreadable { path: path.to_owned(), source });
        };
        Ok(Self { source, tree, shape, path: absolute, dir })
    }

    /// Returns the fleet's name.
    pub fn name(&self) -> &str {
        self.shape.name.as_str()
    }

    /// Returns the absolute path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the absolute path of the file's folder.
    pub fn dir(&self) -> &Path {
        Path::new(&self.dir)
    }

    /// Returns the inputs that the file declares, in order of name.
    pub fn inputs(&self) -> Vec<InputInfo> {
        let info = |(name, input): (&String, &super::file::Input)| InputInfo {
            name: name.clone(),
            default: input.default.clone(),
            description: input.description.clone(),
        };
        self.shape.inputs.iter().map(info).collect()
    }

    pub(super) fn error_at(&self, place: &Place, fault: Fault) -> Error {
        let problem = self.source.problem(self.tree.span_of(place), fault);
        self.source.error(vec![problem])
    }
}

enum Format {
    Yaml,
    Json,
    Toml,
}

fn format(path: &Path) -> Result<Format, Error> {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    match ending.as_deref() {
        Some("yaml" | "yml") => Ok(Format::Yaml),
        Some("json") => Ok(Format::Json),
        Some("toml") => Ok(Format::Toml),
        _ => Err(Error::UnknownExtension { path: path.to_owned() }),
    }
}
