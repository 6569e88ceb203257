//! `/api/v1/webhooks`: having what happens told to an address. A secret is shown once, when it is made.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use synod_domain::command::Command;
use synod_domain::id::WebhookId;
use synod_domain::permission::Permission::{EventsRead, WebhooksRead, WebhooksWrite};
use synod_domain::refusal::Refusal;
use synod_domain::retry::RetryPolicy;
use synod_domain::webhook::{TOPICS_DEFAULT, WebhookCommand, WebhookSecret, WebhookSpec, retry_default};
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::policies::name_of;
use super::problems::NotFound;
use super::{examples, read, shown};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::{Caller, Context, Needs, Once, Problem, Routes};
use crate::node::Node;
use crate::webhooks::{Rules, secret_text};

/// The webhooks' part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    make_webhook,
    list_webhooks,
    get_webhook,
    change_webhook,
    remove_webhook,
    rotate_webhook,
    test_webhook,
    list_deliveries,
    redeliver
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(WebhooksRead);
    let write = Needs::Permission(WebhooksWrite);
    Routes::default()
        .post("/api/v1/webhooks", write, make_webhook)
        .get("/api/v1/webhooks", read, list_webhooks)
        .get("/api/v1/webhooks/{id}", read, get_webhook)
        .patch("/api/v1/webhooks/{id}", write.once(), change_webhook)
        .delete("/api/v1/webhooks/{id}", write.once(), remove_webhook)
        .post("/api/v1/webhooks/{id}/rotate", write, rotate_webhook)
        .post("/api/v1/webhooks/{id}/test", write.once(), test_webhook)
        .get("/api/v1/webhooks/{id}/deliveries", read, list_deliveries)
        .post("/api/v1/webhooks/{id}/redeliver", write.once(), redeliver)
}

/// Make a webhook
///
/// The secret is in this answer and nowhere else. Messages are CloudEvents 1.0 in JSON, signed by the scheme of Standard
/// Webhooks. Who may not listen to events may not have them told either.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks",
    tag = "webhooks",
    request_body(content = api::NewWebhook, example = json!(examples::new_webhook())),
    responses((status = 201, description = "The webhook and its secret.", body = api::WebhookWithSecret, example = json!(examples::webhook_with_secret()))),
)]
async fn make_webhook(
    State(context): State<Context>,
    caller: Caller,
    _: InQuery<Everything>,
    Body(wanted): Body<api::NewWebhook>,
) -> Result<Response, Problem> {
    let node = context.node();
    check_may_listen(&caller)?;
    let owner = name_of(node, &caller);
    let spec = webhook_of(node.new_webhook_id(), owner.as_str(), node.webhook_rules(), &wanted)?;
    let (id, secret) = (spec.id, node.new_webhook_secret());
    let command = WebhookCommand::Put { spec: Arc::new(spec), secret: secret.clone() };
    node.propose(Command::Webhook(command)).await?;
    Ok(with_secret(StatusCode::CREATED, look(node, id)?, &secret))
}

/// List webhooks
#[utoipa::path(
    get,
    path = "/api/v1/webhooks",
    tag = "webhooks",
    description = "With how they stand and without their secrets, oldest first, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of webhooks.", body = api::Page<api::Webhook>, example = json!(examples::page(examples::webhook())))),
)]
async fn list_webhooks(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Webhook>>, Problem> {
    let after: Option<WebhookId> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let page = context.node().read(|state| {
        let webhooks = state.outboxes().filter(|one| after.is_none_or(|after| one.webhook.spec.id > after));
        page(webhooks.map(|one| (one.webhook.spec.id.to_string(), shown::webhook(one))), listing.limit)
    });
    Ok(Json(page))
}

/// Look at a webhook
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}",
    tag = "webhooks",
    description = "With how it stands and without its secret.",
    params(("id" = String, Path, description = "The webhook's id.", example = json!(examples::WEBHOOK))),
    responses(
        (status = 200, description = "The webhook.", body = api::Webhook, example = json!(examples::webhook())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_webhook(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Webhook>, Problem> {
    look(context.node(), webhook_id(&id)?).map(Json)
}

/// Change a webhook
///
/// What is left out stays, and so do the secret and what is still to be told.
#[utoipa::path(
    patch,
    path = "/api/v1/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id.", example = json!(examples::WEBHOOK))),
    request_body(content = api::ChangeWebhook, example = json!(examples::change_webhook())),
    responses(
        (status = 200, description = "The webhook.", body = api::Webhook, example = json!(examples::webhook())),
        (status = 404, response = NotFound),
    ),
)]
async fn change_webhook(
    State(context): State<Context>,
    caller: Caller,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::ChangeWebhook>,
) -> Result<Json<api::Webhook>, Problem> {
    let node = context.node();
    let id = webhook_id(&id)?;
    check_may_listen(&caller)?;
    let known = node.read(|state| state.webhook(id).cloned()).ok_or(Refusal::WebhookUnknown(id))?;
    let mut spec = known.spec.clone();
    if let Some(name) = &wanted.name {
        spec.name = read::name("name", name)?;
    }
    if let Some(wanted) = &wanted.url {
        spec.url = url(node.webhook_rules(), wanted)?;
    }
    if let Some(topics) = wanted.topics {
        spec.topics = topics.into_iter().map(Arc::from).collect();
    }
    spec.enabled = wanted.enabled.unwrap_or(spec.enabled);
    if let Some(wanted) = wanted.retry {
        spec.retry = retry(wanted);
    }
    once.propose(node, Command::Webhook(WebhookCommand::Change { spec: Arc::new(spec) })).await?;
    look(node, id).map(Json)
}

/// Remove a webhook
#[utoipa::path(
    delete,
    path = "/api/v1/webhooks/{id}",
    tag = "webhooks",
    description = "With all that is still to be told it.",
    params(("id" = String, Path, description = "The webhook's id.", example = json!(examples::WEBHOOK))),
    responses(
        (status = 204, description = "The webhook is gone."),
        (status = 404, response = NotFound),
    ),
)]
async fn remove_webhook(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let webhook = webhook_id(&id)?;
    once.propose(context.node(), Command::Webhook(WebhookCommand::Remove { webhook })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotate the secret of a webhook
///
/// The new one is in this answer and nowhere else. For `keep_old_ms` messages carry the signatures of both.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/rotate",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id.", example = json!(examples::WEBHOOK))),
    request_body(content = api::RotateWebhook, example = json!(examples::rotate_webhook())),
    responses(
        (status = 200, description = "The webhook and its new secret.", body = api::WebhookWithSecret, example = json!(examples::webhook_with_secret())),
        (status = 404, response = NotFound),
    ),
)]
async fn rotate_webhook(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(rotate): Body<api::RotateWebhook>,
) -> Result<Response, Problem> {
    let node = context.node();
    let (webhook, secret) = (webhook_id(&id)?, node.new_webhook_secret());
    let keep = Duration::from_millis(rotate.keep_old_ms);
    let keep_old_until = (!keep.is_zero()).then(|| node.now().after(keep));
    let command = WebhookCommand::Rotate { webhook, secret: secret.clone(), keep_old_until };
    node.propose(Command::Webhook(command)).await?;
    Ok(with_secret(StatusCode::OK, look(node, webhook)?, &secret))
}

/// Test a webhook
///
/// A message of the topic `webhook_test` is noted for it, and told behind what waits. Look at the webhook to see what came
/// of it.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/test",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id.", example = json!(examples::WEBHOOK))),
    responses(
        (status = 200, description = "The webhook.", body = api::Webhook, example = json!(examples::webhook())),
        (status = 404, response = NotFound),
    ),
)]
async fn test_webhook(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Webhook>, Problem> {
    let (node, webhook) = (context.node(), webhook_id(&id)?);
    once.propose(node, Command::Webhook(WebhookCommand::Test { webhook })).await?;
    look(node, webhook).map(Json)
}

/// List the messages of a webhook
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{id}/deliveries",
    tag = "webhooks",
    description = "Those that are still to be told or were given up, in order, a page at a time. What was taken is not kept.",
    params(
        ("id" = String, Path, description = "The webhook's id.", example = json!(examples::WEBHOOK)),
        api::WebhookDeliveryFilter,
        api::PageQuery,
    ),
    responses(
        (status = 200, description = "A page of messages.", body = api::Page<api::WebhookDelivery>, example = json!(examples::page(examples::webhook_delivery()))),
        (status = 404, response = NotFound),
    ),
)]
async fn list_deliveries(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    listing: Listing<api::WebhookDeliveryFilter>,
) -> Result<Json<api::Page<api::WebhookDelivery>>, Problem> {
    let id = webhook_id(&id)?;
    let after: u64 = listing.cursor.as_deref().map_or(Ok(0), |cursor| read::id("cursor", cursor))?;
    let given_up = match listing.filter.status.as_deref() {
        None => None,
        Some("waiting") => Some(false),
        Some("given_up") => Some(true),
        Some(other) => {
            let why = format!("{other:?} is none of waiting, given_up");
            return Err(Problem::bad_request("status", why));
        }
    };
    let found = context.node().read(|state| {
        let outbox = state.outbox(id)?;
        let wanted = outbox.deliveries().filter(|one| {
            one.seq > after && given_up.is_none_or(|given_up| one.given_up_at.is_some() == given_up)
        });
        Some(page(wanted.map(|one| (one.seq.to_string(), shown::webhook_delivery(id, one))), listing.limit))
    });
    found.map(Json).ok_or_else(|| Refusal::WebhookUnknown(id).into())
}

/// Try messages again
///
/// What was given up is tried from the beginning, and what waits for its next try is tried at once.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{id}/redeliver",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id.", example = json!(examples::WEBHOOK))),
    request_body(content = api::RedeliverWebhook, example = json!(examples::redeliver_webhook())),
    responses(
        (status = 200, description = "The webhook.", body = api::Webhook, example = json!(examples::webhook())),
        (status = 404, response = NotFound),
    ),
)]
async fn redeliver(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(which): Body<api::RedeliverWebhook>,
) -> Result<Json<api::Webhook>, Problem> {
    let (node, webhook) = (context.node(), webhook_id(&id)?);
    let command = WebhookCommand::Redeliver { webhook, seq: which.seq };
    once.propose(node, Command::Webhook(command)).await?;
    look(node, webhook).map(Json)
}

/// Holds that the caller may hear what a webhook is told: else whoever may make one hears everything.
fn check_may_listen(caller: &Caller) -> Result<(), Problem> {
    if caller.may(EventsRead) { Ok(()) } else { Err(Problem::not_allowed(EventsRead)) }
}

fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    read::id("the webhook's id", text)
}

/// Reads what a webhook of somebody shall be, on a node with such rules.
pub(crate) fn webhook_of(
    id: WebhookId,
    owner: &str,
    rules: &Rules,
    wanted: &api::NewWebhook,
) -> Result<WebhookSpec, Problem> {
    let topics: Vec<&str> = match &wanted.topics[..] {
        [] => TOPICS_DEFAULT.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    Ok(WebhookSpec {
        id,
        name: read::name("name", &wanted.name)?,
        url: url(rules, &wanted.url)?,
        topics: topics.into_iter().map(Arc::from).collect(),
        workspace: read::optional_name("workspace", wanted.workspace.as_deref())?,
        enabled: wanted.enabled.unwrap_or(true),
        retry: retry(wanted.retry.unwrap_or_default()),
        owner: owner.into(),
    })
}

/// Reads what a webhook would be on a node that lets messages go anywhere.
pub(crate) fn webhook_that_might_be(wanted: &api::NewWebhook) -> Result<WebhookSpec, Problem> {
    let allow = ["0.0.0.0/0", "::/0"].into_iter().filter_map(|network| network.parse().ok()).collect();
    webhook_of(WebhookId::from_raw(0), "", &Rules { allow, plain_http: true }, wanted)
}

/// Reads where messages go. What this node knows of it is said at once; the one that leads looks again at every try.
fn url(rules: &Rules, text: &str) -> Result<Arc<str>, Problem> {
    let read = rules.check(text).map_err(|why| Problem::bad_request("url", why))?;
    Ok(read.as_str().into())
}

fn retry(wanted: api::WebhookRetry) -> RetryPolicy {
    RetryPolicy {
        max_attempts: wanted.tries,
        initial: Duration::from_millis(wanted.first_wait_ms),
        max: Duration::from_millis(wanted.longest_wait_ms),
        ..retry_default()
    }
}

fn look(node: &Node, id: WebhookId) -> Result<api::Webhook, Problem> {
    let found = node.read(|state| state.outbox(id).map(shown::webhook));
    found.ok_or_else(|| Refusal::WebhookUnknown(id).into())
}

/// Shows a webhook with its secret, in an answer that nobody on its way may keep.
fn with_secret(status: StatusCode, webhook: api::Webhook, secret: &WebhookSecret) -> Response {
    let body = api::WebhookWithSecret { webhook, secret: secret_text(secret) };
    let no_store: [(HeaderName, HeaderValue); 1] =
        [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, Json(body)).into_response()
}
