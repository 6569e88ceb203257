//! Examples of webhooks.

use serde_json::json;

use super::{ENDED, LEASED, SUBMITTED, any, words};
use crate::api;

pub(in crate::http::native) const WEBHOOK: &str = "webhook_01kxs6a15c001d8h9sdt4ge2km";

pub(in crate::http::native) fn new_webhook() -> api::NewWebhook {
    api::NewWebhook {
        name: "on-call".to_owned(),
        url: "https://ops.example.org/synod".to_owned(),
        topics: words(&["approval_requested", "budget_*", "dead_letter_added"]),
        ..api::NewWebhook::default()
    }
}

pub(in crate::http::native) fn change_webhook() -> api::ChangeWebhook {
    api::ChangeWebhook { enabled: Some(false), ..api::ChangeWebhook::default() }
}

pub(in crate::http::native) fn rotate_webhook() -> api::RotateWebhook {
    api::RotateWebhook::default()
}

pub(in crate::http::native) fn redeliver_webhook() -> api::RedeliverWebhook {
    api::RedeliverWebhook { seq: Some(17) }
}

pub(in crate::http::native) fn webhook() -> api::Webhook {
    let wanted = new_webhook();
    api::Webhook {
        id: WEBHOOK.to_owned(),
        name: wanted.name,
        status: "failing".to_owned(),
        url: wanted.url,
        topics: wanted.topics,
        enabled: true,
        retry: api::WebhookRetry::default(),
        owner: "ann".to_owned(),
        created_at: SUBMITTED.to_owned(),
        changed_at: SUBMITTED.to_owned(),
        waiting: 2,
        next_try_at: Some(ENDED.to_owned()),
        delivered: 16,
        delivered_at: Some(SUBMITTED.to_owned()),
        failure: Some(failure()),
        ..api::Webhook::default()
    }
}

fn failure() -> api::WebhookFailure {
    api::WebhookFailure {
        at: LEASED.to_owned(),
        status: Some(503),
        reason: "it answered 503 Service Unavailable".to_owned(),
    }
}

pub(in crate::http::native) fn webhook_with_secret() -> api::WebhookWithSecret {
    // Nobody's.
    let secret = format!("whsec_{}=", "A".repeat(43));
    api::WebhookWithSecret { webhook: webhook(), secret }
}

pub(in crate::http::native) fn webhook_delivery() -> api::WebhookDelivery {
    let subject = super::policies::APPROVAL;
    let data = json!({
        "type": "governed",
        "what": "approval_requested",
        "subject": subject,
        "workspace": "default",
        "task": null,
        "agent": null,
        "detail": "tool.shell.execute: its policy asks for it",
    });
    api::WebhookDelivery {
        seq: 17,
        message_id: format!("{WEBHOOK}-17"),
        status: "waiting".to_owned(),
        topic: "approval_requested".to_owned(),
        subject: Some(subject.to_owned()),
        workspace: Some("default".to_owned()),
        at: SUBMITTED.to_owned(),
        tries: 1,
        next_try_at: Some(ENDED.to_owned()),
        given_up_at: None,
        failure: Some(failure()),
        data: any(data).unwrap_or_default(),
    }
}
