//! Reads a settings file, and names sources so that a mistake can be told with its place.

use std::path::{Path, PathBuf};

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use crate::settings::Error;

/// Begins the name of a source that is one variable of the environment.
pub(super) const VARIABLE: &str = "variable ";

/// Reads a file of any of the formats.
pub(super) fn read(path: &Path) -> Result<serde_json::Value, Error> {
    let unreadable = |reason: String| Error::File { path: path.to_owned(), reason };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let text = || std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()));
    match extension {
        "toml" => toml::from_str(&text()?).map_err(|error| unreadable(error.to_string())),
        "yaml" | "yml" | "json" => {
            serde_saphyr::from_str(&text()?).map_err(|error| unreadable(error.to_string()))
        }
        _ => Err(unreadable("it must end in .toml, .yaml, .yml or .json".to_owned())),
    }
}

/// What a file holds, as a source of settings.
pub(super) fn named(path: &Path, value: serde_json::Value) -> impl Provider {
    Named { from: From::File(path.to_owned()), inner: Serialized::defaults(value) }
}

/// What one variable of the environment means, as a source of settings.
pub(super) fn named_variable(name: &'static str, value: serde_json::Value) -> impl Provider {
    Named { from: From::Variable(name), inner: Serialized::defaults(value) }
}

enum From {
    File(PathBuf),
    Variable(&'static str),
}

struct Named {
    from: From,
    inner: Serialized<serde_json::Value>,
}

impl Provider for Named {
    fn metadata(&self) -> Metadata {
        match &self.from {
            From::File(path) => Metadata::from("settings file", path.as_path()),
            From::Variable(name) => Metadata::named(format!("{VARIABLE}{name}")),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        match Value::serialize(&self.inner.value)? {
            // An empty file sets nothing.
            Value::Empty(..) => Ok(Map::new()),
            _ => self.inner.data(),
        }
    }
}
