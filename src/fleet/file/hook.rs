//! A hook for the work of an entry, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Period;

/// The repository and the branch that work is kept on, pinned to an agent until it is done.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a hook")]
#[schemars(rename = "Hook")]
pub(in super::super) struct HookShape {
    /// The repository's folder, where the agents are; templates are allowed.
    pub(in super::super) repository: String,
    /// The branch that the work is done on, made if there is none of that name; templates are allowed. Default: one of
    /// its own for each task.
    pub(in super::super) branch: Option<String>,
    /// Where a new branch begins; templates are allowed. Default: where the repository stands.
    pub(in super::super) base: Option<String>,
    /// How often the work is tried again when it failed or its agent is gone. Default 3.
    #[schemars(range(max = 100))]
    pub(in super::super) max_retries: Option<u32>,
    /// How long the agent may be silent before another one of its pool gets it. Default: as the node is set, `5m`.
    pub(in super::super) stale_after: Option<Period>,
}
