//! The audit log, in the words of older clients: the same records as `/api/v1/audit`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use synod_domain::audit::{AuditRecord, AuditVerdict};
use synod_domain::name::Name;
use synod_domain::time::Timestamp;

use crate::api::AuditRange;
use crate::audit::shown;
use crate::http::native::audit::{Wanted as Records, check, find, stats as native_stats, words};
use crate::http::{Context, Problem};
use crate::http::{InPath, InQuery};

use super::{invalid, missing};

/// How many entries a page has that does not say.
const LIMIT_DEFAULT: usize = 100;

/// The same for the other list, as its clients ask.
const LOGS_LIMIT_DEFAULT: usize = 50;

/// The most entries of a page.
const LIMIT_MAX: usize = 1_000;

/// How far a list may be skipped into: each skipped entry is looked at.
const OFFSET_MAX: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    start_time: Option<String>,
    end_time: Option<String>,
    actions: Option<String>,
    actor_types: Option<String>,
    actor_ids: Option<String>,
    resource_types: Option<String>,
    workspace_ids: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

/// Which part of the chain is to be checked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Range {
    start_seq: Option<u64>,
    end_seq: Option<u64>,
}

/// `GET /audit`
pub(super) async fn entries(
    State(context): State<Context>,
    InQuery(wanted): InQuery<Wanted>,
) -> Result<Json<Value>, Problem> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let (entries, offset) = page(&context, &wanted, limit).await?;
    let total = native_stats(context.node()).records;
    Ok(Json(json!({ "entries": entries, "total": total, "query": { "limit": limit, "offset": offset } })))
}

/// `GET /audit/stats`
pub(super) async fn stats(State(context): State<Context>) -> Json<Value> {
    let stats = native_stats(context.node());
    Json(json!({
        "total_entries": stats.records,
        "storage_backend": "log",
        "last_seq": stats.head.seq,
        "last_hash": stats.head.hash,
        "first_seq": stats.anchor.seq + 1,
    }))
}

/// `GET /audit/verify`
pub(super) async fn verify(
    State(context): State<Context>,
    InQuery(Range { start_seq, end_seq }): InQuery<Range>,
) -> Result<Json<Value>, Problem> {
    let check = check(context.node(), &AuditRange { start_seq, end_seq }).await?;
    Ok(Json(json!({
        "valid": check.valid,
        "start_seq": check.start_seq,
        "end_seq": check.end_seq,
        "message": check.message,
    })))
}

/// `GET /audit-logs`
pub(super) async fn logs(
    State(context): State<Context>,
    InQuery(wanted): InQuery<Wanted>,
) -> Result<Json<Value>, Problem> {
    let limit = wanted.limit.unwrap_or(LOGS_LIMIT_DEFAULT).min(LIMIT_MAX);
    let (logs, offset) = page(&context, &wanted, limit).await?;
    let total = native_stats(context.node()).records;
    Ok(Json(json!({ "logs": logs, "total": total, "limit": limit, "offset": offset })))
}

/// `GET /audit-logs/{id}`: by the record's number.
pub(super) async fn log(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<Value>, Problem> {
    let unknown = || missing("audit_log_unknown", format!("Audit log not found: {id}"));
    let seq: u64 = id.parse().map_err(|_| unknown())?;
    let found = context.node().audit_page(seq, seq, 1)?.into_iter().next().and_then(|kept| kept.record);
    found.map(|record| Json(entry(&record))).ok_or_else(unknown)
}

async fn page(context: &Context, wanted: &Wanted, limit: usize) -> Result<(Vec<Value>, usize), Problem> {
    let offset = wanted.offset.unwrap_or(0);
    if offset > OFFSET_MAX {
        return Err(invalid(format!(
            "Invalid offset: {offset}; at most {OFFSET_MAX}, use start_time and end_time"
        )));
    }
    let workspaces = words(wanted.workspace_ids.as_deref())
        .iter()
        .map(|name| Name::new(name).map_err(|error| invalid(format!("Invalid workspace_ids: {error}"))))
        .collect::<Result<Vec<Name>, Problem>>()?;
    let records = Records {
        since: date("start_time", wanted.start_time.as_deref())?,
        until: date("end_time", wanted.end_time.as_deref())?,
        actions: words(wanted.actions.as_deref()),
        actors: words(wanted.actor_ids.as_deref()),
        actor_kinds: words(wanted.actor_types.as_deref()),
        resources: words(wanted.resource_types.as_deref()),
        workspaces,
        verdict: None,
    };
    if limit == 0 {
        return Ok((Vec::new(), offset));
    }
    let found = find(context.node(), &records, None, offset + limit).await?;
    Ok((found.records.iter().skip(offset).map(|record| entry(record)).collect(), offset))
}

fn entry(record: &AuditRecord) -> Value {
    let native = shown(record);
    let (kind, id) = record.said.resource.split_once('/').unwrap_or((&record.said.resource, ""));
    json!({
        "id": record.seq.to_string(),
        "seq": record.seq,
        "timestamp": native.at,
        "action": native.action,
        "actor": { "actor_type": native.actor.kind, "actor_id": native.actor.id, "actor_name": native.actor.name },
        "resource_type": kind,
        "resource_id": id,
        "workspace_id": native.workspace,
        "outcome": match &record.said.verdict {
            AuditVerdict::Accepted => "success",
            AuditVerdict::Refused(_) => "failure",
        },
        "error": native.code,
        "previous_hash": native.previous,
        "entry_hash": native.hash,
    })
}

/// Takes dates, and times with or without a zone.
fn date(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let plain = || {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let at = zoned.or_else(plain).ok_or_else(|| invalid(format!("Invalid {field}: {text}; use ISO 8601")))?;
    Ok(Some(Timestamp::from_millis(u64::try_from(at.as_millisecond()).unwrap_or(0))))
}
