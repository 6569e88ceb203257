//! Policies and their violations, which do not exist yet: no policy, so no violation.

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::Problem;
use crate::http::{Body, InPath, InQuery};

use super::{invalid, missing, not_yet};

/// How many violations a page has that does not say, as there.
const LIMIT_DEFAULT: u64 = 100;

/// The most violations of a page.
const LIMIT_MAX: u64 = 1_000;

/// What a violation can be.
const STATUSES: [&str; 4] = ["open", "investigating", "resolved", "false_positive"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    limit: Option<u64>,
    offset: Option<u64>,
}

/// `GET /policies`
pub(super) async fn list() -> Json<Value> {
    Json(json!({ "policies": [], "total": 0 }))
}

/// `POST /policies`
pub(super) async fn create() -> Problem {
    not_yet("Policies")
}

/// `GET /policies/violations`
pub(super) async fn violations(InQuery(wanted): InQuery<Wanted>) -> Json<Value> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    Json(json!({ "violations": [], "total": 0, "limit": limit, "offset": wanted.offset.unwrap_or(0) }))
}

/// `GET /policies/violations/stats`
pub(super) async fn stats() -> Json<Value> {
    Json(json!({ "total": 0, "open": 0, "resolved": 0, "by_type": {}, "open_by_type": {} }))
}

/// `GET /policies/violations/{id}`
pub(super) async fn violation(InPath(id): InPath<String>) -> Problem {
    unknown(&id)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Update {
    status: Option<String>,
}

/// `PATCH /policies/violations/{id}`
pub(super) async fn update(InPath(id): InPath<String>, Body(update): Body<Update>) -> Problem {
    match update.status.as_deref() {
        None | Some("") => invalid("status is required"),
        Some(status) if STATUSES.contains(&status) => unknown(&id),
        Some(status) => invalid(format!("Invalid status: {status}; use {}", STATUSES.join(", "))),
    }
}

fn unknown(id: &str) -> Problem {
    missing("violation_unknown", format!("Violation not found: {id}"))
}
