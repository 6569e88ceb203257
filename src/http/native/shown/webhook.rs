//! A webhook and what is noted for it, without anything that is secret.

use synod_domain::id::WebhookId;
use synod_domain::state::Outbox;
use synod_domain::webhook::{Delivery, Failure};

use super::{millis, time};
use crate::api;
use crate::webhooks::message_id;

/// Shows a webhook.
pub(crate) fn webhook(outbox: &Outbox) -> api::Webhook {
    let (webhook, standing) = (&outbox.webhook, &outbox.standing);
    let (spec, next) = (&webhook.spec, outbox.next());
    let status = match next {
        _ if !spec.enabled => "off",
        None => "idle",
        Some(next) if next.tries > 0 => "failing",
        Some(_) => "telling",
    };
    api::Webhook {
        id: spec.id.to_string(),
        name: spec.name.to_string(),
        status: status.to_owned(),
        url: spec.url.to_string(),
        topics: spec.topics.iter().map(ToString::to_string).collect(),
        workspace: spec.workspace.as_ref().map(ToString::to_string),
        enabled: spec.enabled,
        retry: api::WebhookRetry {
            tries: spec.retry.max_attempts,
            first_wait_ms: millis(spec.retry.initial),
            longest_wait_ms: millis(spec.retry.max),
        },
        owner: spec.owner.to_string(),
        created_at: time(webhook.created_at),
        changed_at: time(webhook.changed_at),
        old_secret_until: webhook.secrets.iter().filter_map(|secret| secret.until).max().map(time),
        waiting: outbox.waiting() as u64,
        next_try_at: next.map(|next| time(next.next)),
        given_up: outbox.given_up() as u64,
        delivered: standing.delivered,
        delivered_at: standing.delivered_at.map(time),
        dropped: standing.dropped,
        dropping_since: standing.dropping_since.map(time),
        failure: standing.failure.as_ref().map(failure),
    }
}

/// Shows a message of a webhook.
pub(crate) fn webhook_delivery(webhook: WebhookId, delivery: &Delivery) -> api::WebhookDelivery {
    let message = &delivery.message;
    let waits = delivery.given_up_at.is_none();
    api::WebhookDelivery {
        seq: delivery.seq,
        message_id: message_id(webhook, delivery.seq),
        status: if waits { "waiting" } else { "given_up" }.to_owned(),
        topic: message.topic.to_string(),
        subject: message.subject.as_ref().map(ToString::to_string),
        workspace: message.workspace.as_ref().map(ToString::to_string),
        at: time(message.at),
        tries: delivery.tries,
        next_try_at: waits.then(|| time(delivery.next)),
        given_up_at: delivery.given_up_at.map(time),
        failure: delivery.last.as_ref().map(failure),
        data: api::Json::from_bytes(message.data.as_bytes()),
    }
}

fn failure(failure: &Failure) -> api::WebhookFailure {
    api::WebhookFailure { at: time(failure.at), status: failure.status, reason: failure.why.to_string() }
}
