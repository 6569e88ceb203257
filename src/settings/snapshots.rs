//! Settings of snapshots: how long the log may become behind the latest one.

use serde::{Deserialize, Serialize};
use synod_cluster::checkpointer::Policy;

/// When a node makes a snapshot of the state by itself, behind which its log is removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotSettings {
    /// Bytes by which the log grows at least before the next one. Fewer write more snapshots, and a node that was
    /// away needs one sooner; more take more disk.
    pub log_bytes: u64,
    /// Entries of the log after which there is one whatever their size.
    pub log_entries: u64,
}

impl Default for SnapshotSettings {
    fn default() -> Self {
        let policy = Policy::default();
        Self { log_bytes: policy.snapshot_log_bytes_min, log_entries: policy.snapshot_log_entries }
    }
}
