//! Settings: flags over environment over file over defaults.
//!
//! Data only, checked once at the start. An unknown key is an error. Each field says what raising it
//! costs; `synod config show --origin` says where each value came from.

mod show;

pub use show::{Origin, Shown};

use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use synod_cluster::checkpointer::Policy;
use synod_domain::limits::Limits;

use crate::node::Builder;
use crate::period::Period;

/// Begins the names of environment variables; `__` goes one level down, as in `SYNOD_LOG__LEVEL`.
const ENV_PREFIX: &str = "SYNOD_";

/// Variables of that prefix that are not settings: what agents are given, and where the file is.
const ENV_OTHERS: [&str; 6] = ["TASK_ID", "ATTEMPT", "AGENT", "NODE", "CONFIG", "BENCH_DIR"];

/// Where the environment names the settings file.
pub const ENV_CONFIG: &str = "SYNOD_CONFIG";

/// All settings of a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The data folder. `run` has its own default beside the fleet file.
    pub data: Option<PathBuf>,
    /// Stopping.
    pub stop: StopSettings,
    /// Logs.
    pub log: LogSettings,
    /// Ended tasks.
    pub history: HistorySettings,
    /// Bounds on what waits.
    pub limits: LimitSettings,
}

/// How a node stops.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StopSettings {
    /// How long agents may finish what they have. Longer delays a stop, shorter redoes more work.
    pub drain: Period,
    /// How long a program may take to end after SIGTERM before it is killed.
    pub kill_grace: Period,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter. More detail costs time and disk.
    pub level: String,
    /// For people or for machines.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line of text for each event.
    #[default]
    Text,
    /// One JSON object for each event.
    Json,
}

/// How long ended tasks can be looked up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySettings {
    /// After this, an ended task is forgotten. Longer takes more disk: about 300 bytes a task and its result.
    pub retention: Period,
}

/// Bounds on what waits; over one, a submit is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Tasks in one mailbox. Each takes about a kilobyte of memory.
    pub mailbox_depth: u64,
    /// Unfinished tasks of one workspace.
    pub workspace_depth: u64,
    /// Unfinished tasks in all.
    pub node_depth: u64,
    /// Bytes of payload in memory.
    pub payload_bytes: u64,
    /// Dead letters kept; the oldest leave first.
    pub dead_letters: u64,
    /// How long a task waits in a lane before it rises to the next. Shorter makes lanes matter less.
    pub ageing: Period,
    /// How long an idempotency key is remembered. Longer takes more memory.
    pub idempotency: Period,
}

impl Default for StopSettings {
    fn default() -> Self {
        Self { drain: Period(Duration::from_secs(10)), kill_grace: Period(Duration::from_secs(5)) }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "warn".to_owned(), format: LogFormat::default() }
    }
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self { retention: Period(Duration::from_secs(30 * 24 * 60 * 60)) }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            mailbox_depth: limits.mailbox_depth_max,
            workspace_depth: limits.workspace_depth_max,
            node_depth: limits.node_depth_max,
            payload_bytes: limits.payload_bytes_max,
            dead_letters: limits.dead_letters_max,
            ageing: Period(limits.ageing),
            idempotency: Period(limits.idempotency),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key is unknown or a value has the wrong form.
    #[error("the settings are not valid: {0}")]
    Invalid(String),
    /// The settings file cannot be read.
    #[error("the settings file {path} cannot be read: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What the command line sets; the rest comes from elsewhere.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Flags {
    /// `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// `--log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogFlags>,
}

/// What the command line sets about logs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LogFlags {
    /// The level.
    pub level: String,
}

/// Settings and where each came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    figment: Figment,
}

impl Loaded {
    /// Reads the settings: flags over environment over file over defaults.
    ///
    /// # Errors
    /// When the file cannot be read, a key is unknown or a value is wrong; the text names key and source.
    pub fn read(file: Option<&Path>, flags: &Flags) -> Result<Self, Error> {
        let mut figment = Figment::from(Serialized::defaults(Settings::default()));
        if let Some(path) = file {
            figment = merge_file(figment, path)?;
        }
        let figment = figment
            .merge(Env::prefixed(ENV_PREFIX).ignore(&ENV_OTHERS).split("__"))
            .merge(Serialized::defaults(flags));
        let settings = figment.extract().map_err(|error| Error::Invalid(show::mistakes(error)))?;
        Ok(Self { settings, figment })
    }
}

fn merge_file(figment: Figment, path: &Path) -> Result<Figment, Error> {
    let unreadable = |reason: String| Error::File { path: path.to_owned(), reason };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension {
        "toml" => {
            // Figment takes a file that is not there for an empty one.
            std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
            Ok(figment.merge(Toml::file_exact(path)))
        }
        "yaml" | "yml" | "json" => {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
            let value: serde_json::Value =
                serde_saphyr::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
            Ok(figment.merge(show::named_file(path, value)))
        }
        _ => Err(unreadable("it must end in .toml, .yaml, .yml or .json".to_owned())),
    }
}

impl Settings {
    /// Describes a node with these settings.
    pub fn node(&self) -> Builder {
        let limits = Limits {
            mailbox_depth_max: self.limits.mailbox_depth,
            workspace_depth_max: self.limits.workspace_depth,
            node_depth_max: self.limits.node_depth,
            payload_bytes_max: self.limits.payload_bytes,
            dead_letters_max: self.limits.dead_letters,
            ageing: self.limits.ageing.0,
            idempotency: self.limits.idempotency.0,
            ..Limits::default()
        };
        let policy = Policy { history_retention: Some(self.history.retention.0), ..Policy::default() };
        Builder::default()
            .limits(limits)
            .policy(policy)
            .drain(self.stop.drain.0)
            .kill_grace(self.stop.kill_grace.0)
    }
}
