//! Mailboxes: how much waits where, and what is paused.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many tasks wait in each lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaneDepths {
    /// In the lane critical.
    pub critical: u64,
    /// In the lane high.
    pub high: u64,
    /// In the lane normal.
    pub normal: u64,
    /// In the lane low.
    pub low: u64,
}

/// A mailbox that has waiting work, or is paused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Mailbox {
    /// `open`, `pool/NAME` or `agent/ID`.
    #[schema(example = "pool/builders")]
    pub name: String,
    /// How many tasks wait.
    pub waiting: u64,
    /// By lane.
    pub lanes: LaneDepths,
    /// Since when the task is in its lane that has waited longest there, of those below the lane critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_since: Option<String>,
    /// Why it gives nothing out, if it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}

/// What is paused or resumed; exactly one field is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PauseOf {
    /// A mailbox: `open`, `pool/NAME` or `agent/ID`. It gives nothing out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// A pool: its mailbox gives nothing out and its agents claim nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "builders")]
    pub pool: Option<String>,
    /// A workspace: none of its tasks is given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Why, for whoever asks why nothing moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One pause in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pause {
    /// `mailbox`, `pool` or `workspace`.
    pub of: String,
    /// Which one.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: String,
}
