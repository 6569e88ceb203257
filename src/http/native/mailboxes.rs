//! `/api/v1/mailboxes`: how much waits where, and what is paused.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::command::Command;
use synod_domain::pause::Pausable;
use synod_domain::permission::Permission::{MailboxesRead, MailboxesWrite};
use synod_domain::state::State as Agreed;
use synod_domain::task::MailboxId;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::NotFound;
use super::{examples, read, shown};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::sight::Sight;
use crate::http::{Context, Needs, Once, Problem, Routes, Thing};

/// The reason of who gives none.
const NO_REASON: &str = "paused by a client";

/// The mailboxes' part of the document.
#[derive(OpenApi)]
#[openapi(paths(list_mailboxes, get_mailbox, pause, resume, list_pauses))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(MailboxesRead);
    let write = Needs::Permission(MailboxesWrite);
    Routes::default()
        .get("/api/v1/mailboxes", read.own(), list_mailboxes)
        .get("/api/v1/mailboxes/pauses", read.own(), list_pauses)
        .post("/api/v1/mailboxes/pause", write.once().own(), pause)
        .post("/api/v1/mailboxes/resume", write.once().own(), resume)
        .get("/api/v1/mailboxes/{*name}", read.of(Thing::Mailbox), get_mailbox)
}

/// List mailboxes
#[utoipa::path(
    get,
    path = "/api/v1/mailboxes",
    tag = "mailboxes",
    description = "Those that have waiting work or are paused, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of mailboxes.", body = api::Page<api::Mailbox>, example = json!(examples::page(examples::mailbox())))),
)]
async fn list_mailboxes(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Mailbox>>, Problem> {
    let after = listing.cursor.as_deref().map(|cursor| mailbox_id("cursor", cursor)).transpose()?;
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let mut all: BTreeSet<MailboxId> = state.mailboxes().map(|(id, _)| id.clone()).collect();
        all.extend(state.pauses().filter_map(|pause| match &pause.what {
            Pausable::Mailbox(mailbox) => Some(mailbox.clone()),
            Pausable::Pool(pool) => Some(MailboxId::Pool(pool.clone())),
            Pausable::Workspace(_) => None,
        }));
        all.retain(|id| sight.mailbox(state, id));
        let shown = all.iter().filter(|id| after.as_ref().is_none_or(|after| *id > after)).map(|id| {
            let shown = shown::mailbox(state, id);
            (shown.name.clone(), shown)
        });
        page(shown, listing.limit)
    });
    Ok(Json(page))
}

/// Look at a mailbox
#[utoipa::path(
    get,
    path = "/api/v1/mailboxes/{name}",
    tag = "mailboxes",
    description = "One without waiting work included. The name may hold a slash, as it is or as %2F.",
    params(("name" = String, Path, description = "`open`, `pool/NAME` or `agent/ID`.", example = json!(examples::MAILBOX))),
    responses(
        (status = 200, description = "The mailbox.", body = api::Mailbox, example = json!(examples::mailbox())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_mailbox(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Mailbox>, Problem> {
    let id = mailbox_id("the mailbox's name", &name)?;
    let found = context.node().read(|state| exists(state, &id).then(|| shown::mailbox(state, &id)));
    found.map(Json).ok_or_else(|| Problem::not_found("mailbox_unknown", format!("mailbox {name}")))
}

/// Pause a mailbox, a pool or a workspace
///
/// Nothing of it is given out until it is resumed; work in hand goes on, and so do timeouts. Pausing it again
/// changes the reason.
#[utoipa::path(
    post,
    path = "/api/v1/mailboxes/pause",
    tag = "mailboxes",
    request_body(content = api::PauseOf, example = json!(examples::pause_of())),
    responses(
        (status = 200, description = "The pause.", body = api::Pause, example = json!(examples::pause())),
        (status = 404, response = NotFound),
    ),
)]
async fn pause(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(of): Body<api::PauseOf>,
) -> Result<Json<api::Pause>, Problem> {
    let node = context.node();
    let what = pausable(&of)?;
    let reason = of.reason.as_deref().unwrap_or(NO_REASON).into();
    once.propose(node, Command::Pause { what: what.clone(), reason }).await?;
    let found = node.read(|state| state.pause_of(&what).map(shown::pause));
    found.map(Json).ok_or_else(|| {
        Problem::not_found("pause_unknown", format!("pause of {what}: it was resumed at once"))
    })
}

/// Resume a mailbox, a pool or a workspace
#[utoipa::path(
    post,
    path = "/api/v1/mailboxes/resume",
    tag = "mailboxes",
    description = "What is not paused stays so, and that is no error.",
    request_body(content = api::PauseOf, example = json!(examples::resume_of())),
    responses((status = 204, description = "It is not paused.")),
)]
async fn resume(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(of): Body<api::PauseOf>,
) -> Result<StatusCode, Problem> {
    once.propose(context.node(), Command::Resume { what: pausable(&of)? }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List pauses
#[utoipa::path(
    get,
    path = "/api/v1/mailboxes/pauses",
    tag = "mailboxes",
    description = "All that are in force, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of pauses.", body = api::Page<api::Pause>, example = json!(examples::page(examples::pause())))),
)]
async fn list_pauses(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Pause>>, Problem> {
    let after: Option<Pausable> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let pauses = state.pauses().filter(|pause| sight.pause(state, &pause.what));
        let pauses = pauses.filter(|pause| after.as_ref().is_none_or(|after| pause.what > *after));
        page(pauses.map(|pause| (pause.what.path(), shown::pause(pause))), listing.limit)
    });
    Ok(Json(page))
}

fn pausable(of: &api::PauseOf) -> Result<Pausable, Problem> {
    match (&of.mailbox, &of.pool, &of.workspace) {
        (Some(mailbox), None, None) => Ok(Pausable::Mailbox(mailbox_id("mailbox", mailbox)?)),
        (None, Some(pool), None) => Ok(Pausable::Pool(read::name("pool", pool)?)),
        (None, None, Some(workspace)) => Ok(Pausable::Workspace(read::name("workspace", workspace)?)),
        _ => Err(Problem::bad_request("the body", "exactly one of mailbox, pool and workspace is named")),
    }
}

pub(in crate::http) fn mailbox_id(field: &str, text: &str) -> Result<MailboxId, Problem> {
    // An agent's id says already what it is; the word before it is for people.
    let path = text.strip_prefix("agent/").unwrap_or(text);
    MailboxId::from_path(path)
        .map_err(|_| Problem::bad_request(field, format!("{text:?} is not open, pool/NAME or agent/ID")))
}

/// Tells whether somebody could submit to the mailbox.
fn exists(state: &Agreed, id: &MailboxId) -> bool {
    match id {
        MailboxId::Open => true,
        MailboxId::Pool(pool) => state.pool(pool).is_some(),
        MailboxId::Agent(agent) => state.agent(*agent).is_some(),
    }
}
