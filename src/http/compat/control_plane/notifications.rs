//! Notifications, which do not exist yet: none was sent.

use axum::Json;
use serde_json::{Value, json};

/// `GET /notifications`
pub(super) async fn list() -> Json<Value> {
    Json(json!({ "notifications": [], "total": 0 }))
}

/// `GET /notifications/stats`
pub(super) async fn stats() -> Json<Value> {
    Json(json!({
        "total_sent": 0,
        "successful": 0,
        "failed": 0,
        "success_rate": 0.0,
        "by_channel": {},
        "channels_configured": [],
    }))
}
