//! Messages as CloudEvents 1.0 in structured JSON.
//!
//! The body of a message is the same at every try, so that its signature is about the same bytes.

use serde_json::{Value, json};
use synod_domain::id::WebhookId;
use synod_domain::webhook::{Delivery, Webhook};

use crate::http::native::shown;

/// What a body is.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// Returns the id of a message, by which a receiver knows one that comes again.
pub fn message_id(webhook: WebhookId, seq: u64) -> String {
    format!("{webhook}-{seq}")
}

/// Writes a message.
pub fn body(webhook: &Webhook, delivery: &Delivery) -> String {
    let message = &delivery.message;
    let data: Value = serde_json::from_str(&message.data).unwrap_or_else(|_| json!(&*message.data));
    let mut envelope = json!({
        "specversion": "1.0",
        "id": message_id(webhook.spec.id, delivery.seq),
        "source": format!("/api/v1/webhooks/{}", webhook.spec.id),
        "type": format!("synod.{}", message.topic),
        "time": shown::time(message.at),
        "sequence": delivery.seq.to_string(),
        "datacontenttype": "application/json",
    });
    if let Some(subject) = &message.subject {
        envelope["subject"] = json!(&**subject);
    }
    if let Some(workspace) = &message.workspace {
        envelope["workspace"] = json!(workspace.as_str());
    }
    envelope["data"] = data;
    envelope.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use synod_domain::name::Name;
    use synod_domain::time::Timestamp;
    use synod_domain::webhook::{Message, WebhookSpec, retry_default};

    use super::*;

    #[test]
    fn a_message_is_a_cloud_event() {
        let spec = WebhookSpec {
            id: WebhookId::from_raw(7),
            name: Name::default(),
            url: "https://example.org".into(),
            topics: vec!["*".into()],
            workspace: None,
            enabled: true,
            retry: retry_default(),
            owner: "ann".into(),
        };
        let (created_at, changed_at) = (Timestamp::ZERO, Timestamp::ZERO);
        let webhook = Webhook { spec, secrets: Vec::new(), created_at, changed_at };
        let message = Message {
            at: Timestamp::from_millis(1_795_240_510_007),
            topic: "approval_requested".into(),
            subject: Some("approval_1".into()),
            workspace: Some(Name::default()),
            data: r#"{"type":"governed","detail":"so"}"#.into(),
        };
        let (message, next) = (Arc::new(message), Timestamp::ZERO);
        let delivery = Delivery { seq: 3, message, tries: 0, next, given_up_at: None, last: None };
        let read: Value = serde_json::from_str(&body(&webhook, &delivery)).expect("JSON");
        assert_eq!(
            read,
            json!({
                "specversion": "1.0",
                "id": "webhook_00000000000000000000000007-3",
                "source": "/api/v1/webhooks/webhook_00000000000000000000000007",
                "type": "synod.approval_requested",
                "time": "2026-11-21T05:55:10.007Z",
                "sequence": "3",
                "datacontenttype": "application/json",
                "subject": "approval_1",
                "workspace": "default",
                "data": { "type": "governed", "detail": "so" },
            })
        );
    }
}
