//! A run of a fleet file, from start to end.

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::name::Name;
use crate::payload::Payload;
use crate::time::Timestamp;

/// An open run. A closed one is forgotten: its tasks are history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Which fleet it runs.
    pub fleet: Name,
    /// What the fleet file was expanded to when the run began.
    pub plan: Payload,
    /// When it began.
    pub started_at: Timestamp,
}
