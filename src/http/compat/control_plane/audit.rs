//! The audit log, which does not exist yet: empty lists of the right shape, and no claim that anything is verified.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Context, Problem};
use crate::http::{InPath, InQuery};

use super::{invalid, missing};

/// How many entries a page has that does not say.
const LIMIT_DEFAULT: u64 = 100;

/// The same for the other list, as its clients ask.
const LOGS_LIMIT_DEFAULT: u64 = 50;

/// The most entries of a page.
const LIMIT_MAX: u64 = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    start_time: Option<String>,
    end_time: Option<String>,
    limit: Option<u64>,
    offset: Option<u64>,
}

/// `GET /audit`
pub(super) async fn entries(
    State(_): State<Context>,
    InQuery(wanted): InQuery<Wanted>,
) -> Result<Json<Value>, Problem> {
    for (field, text) in [("start_time", &wanted.start_time), ("end_time", &wanted.end_time)] {
        if let Some(text) = text {
            check_date(field, text)?;
        }
    }
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let query = json!({ "limit": limit, "offset": wanted.offset.unwrap_or(0) });
    Ok(Json(json!({ "entries": [], "total": 0, "query": query })))
}

/// Takes dates, and times with or without a zone.
fn check_date(field: &str, text: &str) -> Result<(), Problem> {
    let is_time = text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok();
    if is_time { Ok(()) } else { Err(invalid(format!("Invalid {field}: {text}; use ISO 8601"))) }
}

/// `GET /audit/stats`
pub(super) async fn stats() -> Json<Value> {
    Json(json!({ "total_entries": 0, "storage_backend": "none" }))
}

/// `GET /audit/verify`: 503 as there where no audit log is kept.
pub(super) async fn verify() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "no_audit_log",
        "No audit log",
        "Audit log not initialized: this version keeps none",
        "see docs/CONTROL_PLANE.md",
    )
}

/// `GET /audit-logs`
pub(super) async fn logs(InQuery(wanted): InQuery<Wanted>) -> Json<Value> {
    let limit = wanted.limit.unwrap_or(LOGS_LIMIT_DEFAULT).min(LIMIT_MAX);
    Json(json!({ "logs": [], "total": 0, "limit": limit, "offset": wanted.offset.unwrap_or(0) }))
}

/// `GET /audit-logs/{id}`
pub(super) async fn log(InPath(id): InPath<String>) -> Problem {
    missing("audit_log_unknown", format!("Audit log not found: {id}"))
}
