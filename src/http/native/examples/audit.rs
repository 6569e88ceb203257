//! Examples of the audit log.

use super::{POOL, SUBMITTED, TOKEN};
use crate::api;

const PREVIOUS: &str = "92a2831c8c0734c8ff4f7b073cdcd3d288c73eb06f8ed25a31a1463dbc22b912";
const HASH: &str = "5d8f3a0c6bb1b0f6f6dcd5c3a2f1f6f4e7a0a1b2c3d4e5f60718293a4b5c6d7e";

pub(in crate::http::native) fn audit_record() -> api::AuditRecord {
    api::AuditRecord {
        seq: 4711,
        at: SUBMITTED.to_owned(),
        request: super::REQUEST.to_owned(),
        actor: api::AuditActor {
            kind: "token".to_owned(),
            id: TOKEN.to_owned(),
            name: Some("ci".to_owned()),
            workspace: None,
            source: Some("127.0.0.1".to_owned()),
        },
        action: "pool.scale".to_owned(),
        resource: format!("pool/{POOL}"),
        workspace: None,
        verdict: "accepted".to_owned(),
        code: None,
        before: Some(PREVIOUS.to_owned()),
        after: Some(HASH.to_owned()),
        previous: PREVIOUS.to_owned(),
        hash: HASH.to_owned(),
    }
}

fn end() -> api::AuditLink {
    api::AuditLink { seq: 4711, hash: HASH.to_owned() }
}

fn beginning() -> api::AuditLink {
    api::AuditLink { seq: 0, hash: "0".repeat(64) }
}

pub(in crate::http::native) fn audit_stats() -> api::AuditStats {
    api::AuditStats {
        records: 4711,
        head: end(),
        anchor: beginning(),
        keep_records: 1_000_000,
        keep_ms: Some(34_560_000_000),
    }
}

pub(in crate::http::native) fn keep_audit() -> api::KeepAudit {
    api::KeepAudit { records: 1_000_000, keep_ms: Some(34_560_000_000) }
}

pub(in crate::http::native) fn audit_check() -> api::AuditCheck {
    api::AuditCheck {
        valid: true,
        start_seq: 1,
        end_seq: 4711,
        broken_seq: None,
        message: "records 1 to 4711 are as they were written".to_owned(),
    }
}

pub(in crate::http::native) fn audit_export() -> String {
    let head = api::AuditExportHead { synod_audit_export: 1, anchor: beginning(), head: end() };
    serde_json::to_string(&head).unwrap_or_default() + "\n"
}
