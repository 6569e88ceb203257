//! Limit sets: what is limited for each key, and what the keys use.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a limit set shall be. At least one of `concurrency`, `rate` and `tokens_per_minute` is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutLimit {
    /// What makes a key of a task: `workspace`, `type`, `pool`, `label:NAME`, `payload:/PATH`, or a text with several of
    /// these in braces.
    #[schema(example = "{workspace}/{payload:/repo}")]
    pub key: String,
    /// Whose tasks it is about; everybody's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Which types of tasks it is about; all without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// How many tasks of a key may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub concurrency: Option<u32>,
    /// How many tasks of a key may begin in which time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<LimitRate>,
    /// How many tokens the tasks of a key may use in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub tokens_per_minute: Option<u64>,
}

/// How many may begin in which time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitRate {
    /// How many.
    #[schema(minimum = 1)]
    pub count: u64,
    /// In any stretch of time of this length.
    #[schema(minimum = 1, maximum = 604_800_000)]
    pub window_ms: u64,
}

/// A limit set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limit {
    /// Its name.
    #[schema(example = "repos")]
    pub name: String,
    /// What makes a key of a task.
    #[schema(example = "{workspace}/{payload:/repo}")]
    pub key: String,
    /// Whose tasks it is about; everybody's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Which types of tasks it is about; all without any.
    #[serde(default)]
    pub types: Vec<String>,
    /// How many tasks of a key may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How many tasks of a key may begin in which time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<LimitRate>,
    /// How many tokens the tasks of a key may use in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// How many tokens an attempt is expected to use that does not say, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_tokens: Option<u64>,
}

/// What one key of a limit set uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitKey {
    /// The key.
    #[schema(example = "acme/synod")]
    pub key: String,
    /// How many of its tasks run.
    pub running: u64,
    /// How many of its tasks began within the window of the rate.
    pub began: u64,
    /// How many tokens were used within the last minute, with what is expected of attempts that run.
    pub tokens: u64,
    /// How many of its tasks wait for it.
    pub waiting: u64,
    /// When time makes room, if they wait for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<String>,
}
