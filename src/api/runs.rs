//! Runs of fleet files: opening one, and its end.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Json;

/// Opens a run of a fleet, or goes on with the one that is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenRun {
    /// The fleet's name.
    #[schema(example = "audit")]
    pub fleet: String,
    /// What is to be done; kept with the run and never looked at.
    pub plan: Json,
    /// Ends an open run of the fleet and begins anew.
    #[serde(default)]
    pub fresh: bool,
}

/// A run that is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Names it; tasks are submitted with it.
    pub id: String,
    /// The fleet.
    pub fleet: String,
    /// What is to be done: that of the open run when it is gone on with.
    pub plan: Json,
    /// Whether it was open before.
    pub continued: bool,
}

/// Ends a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EndRun {
    /// What came of it, in a line.
    #[schema(example = "12 of 12 tasks completed")]
    pub summary: String,
}
