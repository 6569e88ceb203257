//! Schedules, which do not exist yet.

use axum::Json;
use serde_json::{Value, json};

use crate::http::InPath;
use crate::http::Problem;

use super::{missing, not_yet};

/// `GET /schedules`
pub(super) async fn list() -> Json<Value> {
    Json(json!({ "schedules": [], "total": 0 }))
}

/// `POST /schedules`
pub(super) async fn create() -> Problem {
    not_yet("Schedules")
}

/// `GET`, `PUT` and `DELETE /schedules/{id}`
pub(super) async fn one(InPath(id): InPath<String>) -> Problem {
    missing("schedule_unknown", format!("Schedule not found: {id}"))
}
