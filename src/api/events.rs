//! Events as clients hear them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Json;

/// One fact, told after it is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its place in the stream: give the last one seen as `Last-Event-ID` to go on behind it.
    #[schema(example = "1042.0")]
    pub id: String,
    /// When it happened.
    pub at: String,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "task_submitted")]
    pub kind: String,
    /// In which workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// What it consists of.
    pub data: Json,
}

/// Tells a subscriber that events it asked for are not kept any more; read the resources afresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Missed {
    /// The first event that is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_at: Option<String>,
    /// How many log entries with events were missed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
}
