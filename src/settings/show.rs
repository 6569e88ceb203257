//! Shows each setting with where it came from.

use figment::Metadata;

use crate::settings::file::VARIABLE;
use crate::settings::{ENV_EXTRA_TOKEN, ENV_PREFIX, Loaded, Settings};

/// One setting as it is in force.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Shown {
    /// Its name, dots between levels.
    pub key: String,
    /// Its value.
    pub value: serde_json::Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The command line.
    Flag,
    /// An environment variable.
    Environment(String),
    /// The settings file.
    File(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag => f.write_str("command line"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {path}"),
        }
    }
}

impl Loaded {
    /// Lists all settings in order of name.
    pub fn show(&self) -> Vec<Shown> {
        let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
        let values = serde_json::to_value(&self.settings).unwrap_or_default();
        let mut shown = Vec::new();
        self.walk("", &values, &defaults, &mut shown);
        if self.extra_token.is_some() {
            let origin = Origin::Environment(ENV_EXTRA_TOKEN.to_owned());
            shown.push(Shown { key: "http.extra_token".to_owned(), value: "(not shown)".into(), origin });
        }
        shown.sort_by(|left, right| left.key.cmp(&right.key));
        shown
    }

    fn walk(
        &self,
        prefix: &str,
        value: &serde_json::Value,
        defaults: &serde_json::Value,
        shown: &mut Vec<Shown>,
    ) {
        if let serde_json::Value::Object(fields) = value {
            for (name, field) in fields {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                self.walk(&key, field, &defaults[name], shown);
            }
            return;
        }
        let origin = self.origin(prefix);
        shown.push(Shown { key: prefix.to_owned(), value: value.clone(), origin });
    }

    fn origin(&self, key: &str) -> Origin {
        self.figment.find_metadata(key).map_or(Origin::Default, |metadata| origin_of(key, metadata))
    }
}

fn origin_of(key: &str, metadata: &Metadata) -> Origin {
    if let Some(path) = metadata.source.as_ref().and_then(|source| source.file_path()) {
        return Origin::File(path.display().to_string());
    }
    if let Some(name) = metadata.name.strip_prefix(VARIABLE) {
        return Origin::Environment(name.to_owned());
    }
    if metadata.name.contains("environment") {
        return Origin::Environment(format!("{ENV_PREFIX}{}", key.to_uppercase().replace('.', "__")));
    }
    if metadata.name.contains("Flags") { Origin::Flag } else { Origin::Default }
}

/// Says what is wrong with which key of which source, each as a person has written it.
pub(super) fn mistakes(error: figment::Error) -> String {
    let mistakes = error.into_iter().map(|mistake| {
        let key = mistake.path.join(".");
        match mistake.metadata.as_ref().map(|metadata| origin_of(&key, metadata)) {
            Some(Origin::Environment(name)) => format!("{name}: {}", mistake.kind),
            Some(origin @ Origin::File(_)) => format!("{key} in the {origin}: {}", mistake.kind),
            Some(Origin::Flag | Origin::Default) | None => format!("{key}: {}", mistake.kind),
        }
    });
    mistakes.collect::<Vec<_>>().join("; ")
}
