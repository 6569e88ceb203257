//! Deliberations, which do not exist yet: none can be made, so none is found.

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::Problem;
use crate::http::{Body, InPath};

use super::{invalid, missing, not_yet};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Create {
    content: Option<String>,
}

/// `POST /deliberations`
pub(super) async fn create(Body(request): Body<Create>) -> Problem {
    match request.content.as_deref() {
        None | Some("") => invalid("Missing required field: content"),
        Some(_) => not_yet("Deliberations"),
    }
}

/// `GET /deliberations/{id}` and its transcript
pub(super) async fn one(InPath(_): InPath<String>) -> Problem {
    missing("deliberation_unknown", "Deliberation not found")
}

/// `GET /deliberations/{id}/status`: an unknown one is no error there.
pub(super) async fn status(InPath(id): InPath<String>) -> Json<Value> {
    Json(json!({ "request_id": id, "status": "not_found" }))
}
