//! What the addresses of lists, streams and long polls may carry behind the question mark.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Where the page begins: the `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many items at most; 100 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u32>,
    /// Which region's list; the one that is asked if left out. `*` gathers agents or tasks from all regions within reach:
    /// a page holds a page of each, and `unanswered` names those that are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "default")]
    pub region: Option<String>,
}

/// Which agents are meant. What is left out does not matter; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AgentFilter {
    /// One of these, apart by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "READY,BUSY")]
    pub status: Option<String>,
    /// The pool it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What it must offer, as a task would ask for it: `name` or `name@version`; several apart by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "rust")]
    pub capability: Option<String>,
    /// Whether it takes work at this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
}

/// Which events are meant. What is left out does not matter; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct EventFilter {
    /// One of these, apart by commas.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[param(example = "task_submitted,task_ended")]
    pub kind: Option<String>,
    /// The workspace whose work it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The task, agent or run by id, or the pool by name, that it is about; one of these, apart by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The last event that was seen; the stream goes on behind it. The header `Last-Event-ID` means the same and
    /// goes before it. From here on if both are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "1042.0")]
    pub after: Option<String>,
}

/// How long to wait for an end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// At most so long; 30 000 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(maximum = 60000, default = 30000)]
    pub timeout_ms: Option<u64>,
}

/// Which piece of which log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// The attempt, from 1; the last if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1)]
    pub attempt: Option<u32>,
    /// Where the piece begins, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How long to wait for more while the attempt is not over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(maximum = 60000)]
    pub wait_ms: Option<u64>,
}

/// How to remove a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct RemoveRegionQuery {
    /// Whether it is declared never to be back: tasks that were offered to it go elsewhere then, although it may have done
    /// them.
    pub lost: bool,
}

/// How to remove something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct RemoveQuery {
    /// Whether to remove it at once, with its work, instead of letting it finish first.
    pub force: bool,
}
