//! Settings: flags over environment over file over defaults.
//!
//! Data only, checked once at the start. An unknown key is an error. Each field says what raising it
//! costs; `synod config show --origin` says where each value came from.

mod cluster;
mod file;
mod hooks;
mod http;
mod older;
mod sense;
mod serving;
mod show;
mod snapshots;
mod webhooks;
mod work;

pub use cluster::{ClusterFlags, ClusterSettings, ENV_JOIN_TOKEN, is_member};
pub use hooks::HookSettings;
pub use http::{HttpSettings, TlsSettings};
pub use older::{ENV_EXTRA_TOKEN, EXTRA_TOKEN_LEN_MIN};
pub use show::{Origin, Shown};
pub use snapshots::SnapshotSettings;
pub use webhooks::WebhookSettings;
pub use work::{AgentSettings, TaskSettings};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Serialized};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use synod_cluster::checkpointer::Policy;
use synod_domain::limits::Limits;

use crate::node::Builder;
use crate::period::Period;

/// Begins the names of environment variables; `__` goes one level down, as in `SYNOD_LOG__LEVEL`.
const ENV_PREFIX: &str = "SYNOD_";

/// Variables of that prefix that are not settings: what agents are given, where the file is, and what belongs to
/// the client.
const ENV_OTHERS: [&str; 14] = [
    "TASK_ID",
    "ATTEMPT",
    "AGENT",
    "NODE",
    "CONFIG",
    "BENCH_DIR",
    "URL",
    "SERVER",
    "JOIN_TOKEN",
    "DEV",
    "TOKEN",
    "TOKEN_FILE",
    "CA",
    "CONTEXT",
];

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
    /// Snapshots.
    pub snapshots: SnapshotSettings,
    /// Bounds on what waits.
    pub limits: LimitSettings,
    /// The API.
    pub http: HttpSettings,
    /// External agents.
    pub agents: AgentSettings,
    /// Tasks.
    pub tasks: TaskSettings,
    /// The node as a member of a cluster.
    pub cluster: ClusterSettings,
    /// Hooks.
    pub hooks: HookSettings,
    /// Webhooks.
    pub webhooks: WebhookSettings,
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
    /// Of `server` and `dev`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpFlags>,
    /// Of `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterFlags>,
}

/// What the command line sets about the API.
#[derive(Debug, Clone, Default, Serialize)]
pub struct HttpFlags {
    /// `--listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// `--allow-host`, in place of those of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_hosts: Vec<String>,
    /// `--tls-cert` and `--tls-key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFlags>,
}

/// What the command line sets about TLS.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TlsFlags {
    /// `--tls-cert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// `--tls-key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
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
    /// A token that the environment gave; no setting, because it is a secret.
    pub extra_token: Option<SecretString>,
    /// What to tell the operator about names of the older control plane.
    pub notes: Vec<String>,
    figment: Figment,
}

impl Loaded {
    /// Reads the settings: flags over environment over file over defaults.
    ///
    /// # Errors
    /// When the file cannot be read, a key is unknown or a value is wrong; the text names key and source.
    pub fn read(file: Option<&Path>, flags: &Flags) -> Result<Self, Error> {
        let mut figment = Figment::from(Serialized::defaults(Settings::default()));
        let mut notes = Vec::new();
        if let Some(path) = file {
            let mut value = file::read(path)?;
            let (older, told) = older::translate(&mut value)?;
            notes = told;
            figment = figment.merge(file::named(path, older)).merge(file::named(path, value));
        }
        let look = |name: &str| std::env::var(name).ok();
        for (name, value) in older::environment(look)? {
            figment = figment.merge(file::named_variable(name, value));
        }
        let figment = figment
            .merge(Env::prefixed(ENV_PREFIX).ignore(&ENV_OTHERS).split("__"))
            .merge(Serialized::defaults(flags));
        let settings: Settings = figment.extract().map_err(|error| Error::Invalid(show::mistakes(error)))?;
        sense::check(&settings)?;
        let extra_token = look(ENV_EXTRA_TOKEN).filter(|text| !text.is_empty()).map(SecretString::from);
        Ok(Self { settings, extra_token, notes, figment })
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
        let policy = Policy {
            history_retention: Some(self.history.retention.0),
            snapshot_log_bytes_min: self.snapshots.log_bytes,
            snapshot_log_entries: self.snapshots.log_entries,
            ..Policy::default()
        };
        Builder::default()
            .limits(limits)
            .policy(policy)
            .drain(self.stop.drain.0)
            .kill_grace(self.stop.kill_grace.0)
            .agent_timeout(self.agents.timeout.0)
            .hooks(self.hooks.node())
            .webhooks(self.webhooks.node())
    }
}
