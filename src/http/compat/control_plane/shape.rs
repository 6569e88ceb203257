//! The error shape of this API: `{"error", "code", "trace_id", "retry_after"}`.
//!
//! Handlers and the guard speak of a [`Problem`]; here it gets the words that the clients know. Whoever has no
//! valid token or no permission is told just that and not why, as there.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::Problem;

#[derive(Debug, Serialize)]
struct Shape<'a> {
    error: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// Writes a problem in this API's shape; the request id becomes its `trace_id`.
pub(super) fn shaped(problem: &Problem, request_id: &str) -> Response {
    let body = problem.body(request_id);
    let error = match problem.code() {
        "no_token" | "token_unknown" | "not_allowed" => &body.title,
        _ => &body.detail,
    };
    let retry_after = problem.retry_after().map(|wait| wait.div_ceil(1000));
    let shape = Shape { error, code: &body.code, trace_id: request_id, retry_after };
    let mut response = (problem.status(), Json(shape)).into_response();
    // Its clients read seconds from here and wait as long before they ask again.
    if let Some(wait) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, wait.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::{Value, json};
    use synod_domain::permission::Permission;

    use super::*;

    async fn body(problem: &Problem) -> Value {
        let response = shaped(problem, "req_1");
        assert_eq!(response.status(), problem.status());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await.expect("a body");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[tokio::test]
    async fn who_may_not_is_told_so_in_two_words_and_others_why() {
        let denied = Problem::not_allowed(Permission::TasksWrite);
        let shape = json!({"error": "Permission denied", "code": "not_allowed", "trace_id": "req_1"});
        assert_eq!(body(&denied).await, shape);
        assert_eq!(body(&Problem::no_token()).await["error"], "Authentication required");
        let full = Problem::new(StatusCode::TOO_MANY_REQUESTS, "full", "Full", "it is full", "wait");
        let shape = json!({"error": "it is full", "code": "full", "trace_id": "req_1", "retry_after": 2});
        assert_eq!(body(&full.retry_after_ms(1001)).await, shape);
    }
}
