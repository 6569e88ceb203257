//! The audit log: records, how it stands, what a check came to, and the lines of an export.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Who asked for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditActor {
    /// `token`, `static` (a token that the node's environment gave), `local` (the node's own process), `node` (a node by
    /// itself), `region` (somebody whom another region has let in) or `agent`.
    #[schema(example = "token")]
    pub kind: String,
    /// The accessor of the token, or the id of the node or agent.
    #[schema(example = "token_01k00000000000000000000000")]
    pub id: String,
    /// What people call them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The workspace that they are bound to, if they are bound to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Where the request came from: an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// One record of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// Its number, from 1 on, without gaps.
    pub seq: u64,
    /// When it happened, by the time of the cluster.
    pub at: String,
    /// The request.
    pub request: String,
    /// Who asked.
    pub actor: AuditActor,
    /// What for.
    #[schema(example = "pool.put")]
    pub action: String,
    /// What was touched, its kind first.
    #[schema(example = "pool/builders")]
    pub resource: String,
    /// The workspace that it belongs to, if it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// `accepted` or `refused`.
    pub verdict: String,
    /// The code of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// SHA-256 of what was touched, as it was before; absent when it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The same, afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The hash of the record before it.
    pub previous: String,
    /// Its own hash: SHA-256 of the one before it and of its fields.
    pub hash: String,
}

/// Which records are meant. What is left out does not matter; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Not before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// One of these actions, apart by commas; `pool.*` means all that begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// One of these actors, apart by commas, by id or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// One of these resources, apart by commas: `pool/builders`, or `pool` for all of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Of this workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// `accepted`, `refused`, or the code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
}

/// Which part of the audit log is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditRange {
    /// The first record; the first that is kept if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_seq: Option<u64>,
    /// The last record; the last there is if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_seq: Option<u64>,
}

/// A place in the chain: a record's number and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditLink {
    /// The number; 0 before the first record.
    pub seq: u64,
    /// The hash; zeros before the first record.
    pub hash: String,
}

/// How the audit log stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditStats {
    /// How many records are kept.
    pub records: u64,
    /// The last record, as the cluster has agreed on it. Whoever notes it elsewhere can prove later that nothing before
    /// it was changed.
    pub head: AuditLink,
    /// The last record that was dropped for its age, as agreed; the first one that is kept continues it.
    pub anchor: AuditLink,
    /// How many records are kept at least.
    pub keep_records: u64,
    /// For how long records are kept at least; for ever if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
}

/// How long records are kept. Whichever is over first counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepAudit {
    /// How many at least; 1024 or more.
    pub records: u64,
    /// For how long at least; for ever if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
}

/// What a check of the audit log came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditCheck {
    /// Whether every record is as it was written.
    pub valid: bool,
    /// The first record that was checked.
    pub start_seq: u64,
    /// The last one that was to be.
    pub end_seq: u64,
    /// The first record that is not as it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_seq: Option<u64>,
    /// What was found, in words.
    pub message: String,
}

/// The first line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditExportHead {
    /// The version of the format.
    pub synod_audit_export: u32,
    /// The record before the first of the export.
    pub anchor: AuditLink,
    /// The last record of the export.
    pub head: AuditLink,
}
