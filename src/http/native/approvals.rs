//! `/api/v1/approvals`: what people are asked to agree to, and their yes or no.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::approval::{ApprovalStatus, Voter};
use synod_domain::command::Command;
use synod_domain::id::ApprovalId;
use synod_domain::permission::Permission::{ApprovalsRead, ApprovalsWrite};
use synod_domain::policy::PolicyCommand;
use synod_domain::state::State as Agreed;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::policies::{name_of, shown};
use super::problems::{Conflict, NotFound};
use super::{examples, read};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::sight::Sight;
use crate::http::{Caller, Context, Needs, Once, Problem, Routes, Thing};
use crate::node::Node;

/// The approvals' part of the document.
#[derive(OpenApi)]
#[openapi(paths(list_approvals, list_pending, get_approval, approve, deny))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(ApprovalsRead);
    let write = Needs::Permission(ApprovalsWrite);
    Routes::default()
        .get("/api/v1/approvals", read.own(), list_approvals)
        .get("/api/v1/approvals/pending", read.own(), list_pending)
        .get("/api/v1/approvals/{id}", read.of(Thing::Approval), get_approval)
        .post("/api/v1/approvals/{id}/approve", write.once().about(Thing::Approval), approve)
        .post("/api/v1/approvals/{id}/deny", write.once().about(Thing::Approval), deny)
}

/// List approvals
#[utoipa::path(
    get,
    path = "/api/v1/approvals",
    tag = "approvals",
    description = "Oldest first, a page at a time. Those that were decided long ago are forgotten.",
    params(api::ApprovalFilter, api::PageQuery),
    responses((status = 200, description = "A page of approvals.", body = api::Page<api::Approval>, example = json!(examples::page(examples::policies::approval())))),
)]
async fn list_approvals(
    State(context): State<Context>,
    caller: Caller,
    listing: Listing<api::ApprovalFilter>,
) -> Result<Json<api::Page<api::Approval>>, Problem> {
    found(context.node(), &caller, &listing).map(Json)
}

/// List pending approvals
#[utoipa::path(
    get,
    path = "/api/v1/approvals/pending",
    tag = "approvals",
    description = "Those that are waited for, oldest first, a page at a time: with `approver=me`, the inbox of the caller.",
    params(api::ApprovalFilter, api::PageQuery),
    responses((status = 200, description = "A page of approvals.", body = api::Page<api::Approval>, example = json!(examples::page(examples::policies::approval())))),
)]
async fn list_pending(
    State(context): State<Context>,
    caller: Caller,
    mut listing: Listing<api::ApprovalFilter>,
) -> Result<Json<api::Page<api::Approval>>, Problem> {
    listing.filter.status = Some(ApprovalStatus::Pending.as_str().to_owned());
    found(context.node(), &caller, &listing).map(Json)
}

fn found(
    node: &Node,
    caller: &Caller,
    listing: &Listing<api::ApprovalFilter>,
) -> Result<api::Page<api::Approval>, Problem> {
    let after: Option<ApprovalId> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let status = match listing.filter.status.as_deref() {
        Some(word) => Some(status(word)?),
        None => None,
    };
    let (me, sight) = (caller.token, Sight::of_caller(node));
    let mut page = node.read(|state| {
        let approver = listing.filter.approver.as_deref().map(|named| match (named, me) {
            ("me", Some(token)) => token.to_string(),
            (named, _) => named.to_owned(),
        });
        let approvals = state.approvals().filter(|one| {
            sight.approval(one)
                && after.is_none_or(|after| one.id > after)
                && status.is_none_or(|status| one.status == status)
                && approver.as_deref().is_none_or(|approver| is_for(state, one, approver))
        });
        page(approvals.map(|one| (one.id.to_string(), shown::approval(one))), listing.limit)
    });
    page.items.iter_mut().for_each(|one| withhold(node, one));
    Ok(page)
}

/// Leaves out what an approval says of a strict task that is asked about through another region.
fn withhold(node: &Node, approval: &mut api::Approval) {
    let task = approval.task_id.as_deref().and_then(|task| task.parse().ok());
    if task.is_some_and(|task| node.withholds(task)) {
        approval.attributes.clear();
        approval.content = None;
    }
}

/// Tells whether a token, by its name or id, may say something to an approval.
fn is_for(state: &Agreed, approval: &synod_domain::approval::Approval, named: &str) -> bool {
    let mut tokens = state
        .tokens()
        .filter(|token| token.spec.name.as_str() == named || token.spec.id.to_string() == named);
    tokens.any(|token| {
        let voter = Voter { token: Some(token.spec.id), name: token.spec.name.clone() };
        state.may_vote(approval, &voter)
    })
}

fn status(word: &str) -> Result<ApprovalStatus, Problem> {
    let found = ApprovalStatus::ALL.into_iter().find(|status| status.as_str() == word);
    found.ok_or_else(|| {
        let words = ApprovalStatus::ALL.map(ApprovalStatus::as_str).join(", ");
        Problem::bad_request("status", format!("{word:?} is none of {words}"))
    })
}

/// Look at an approval
///
/// What is asked, of whom, and who has said what so far.
#[utoipa::path(
    get,
    path = "/api/v1/approvals/{id}",
    tag = "approvals",
    params(("id" = String, Path, description = "The approval's id.", example = json!(examples::policies::APPROVAL))),
    responses(
        (status = 200, description = "The approval.", body = api::Approval, example = json!(examples::policies::approval())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_approval(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Approval>, Problem> {
    find(context.node(), read::id("the approval's id", &id)?).map(Json)
}

fn find(node: &Node, id: ApprovalId) -> Result<api::Approval, Problem> {
    let mut found = node.read(|state| state.approval(id).map(|one| shown::approval(one)));
    if let Some(found) = &mut found {
        withhold(node, found);
    }
    found.ok_or_else(|| Problem::not_found("approval_unknown", format!("approval {id}")))
}

/// Say yes
///
/// Counts once for each token. When as many have agreed as have to, what waited goes on.
#[utoipa::path(
    post,
    path = "/api/v1/approvals/{id}/approve",
    tag = "approvals",
    params(("id" = String, Path, description = "The approval's id.", example = json!(examples::policies::APPROVAL))),
    request_body(content = api::SayToApproval, example = json!(examples::policies::say())),
    responses(
        (status = 200, description = "The approval.", body = api::Approval, example = json!(examples::policies::approval())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn approve(
    State(context): State<Context>,
    caller: Caller,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(said): Body<api::SayToApproval>,
) -> Result<Json<api::Approval>, Problem> {
    say(context.node(), &caller, once, &id, true, &said).await.map(Json)
}

/// Say no
///
/// One no is enough: what waited is not done.
#[utoipa::path(
    post,
    path = "/api/v1/approvals/{id}/deny",
    tag = "approvals",
    params(("id" = String, Path, description = "The approval's id.", example = json!(examples::policies::APPROVAL))),
    request_body(content = api::SayToApproval, example = json!(examples::policies::say())),
    responses(
        (status = 200, description = "The approval.", body = api::Approval, example = json!(examples::policies::approval())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn deny(
    State(context): State<Context>,
    caller: Caller,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(said): Body<api::SayToApproval>,
) -> Result<Json<api::Approval>, Problem> {
    say(context.node(), &caller, once, &id, false, &said).await.map(Json)
}

async fn say(
    node: &Node,
    caller: &Caller,
    once: Once,
    id: &str,
    approve: bool,
    said: &api::SayToApproval,
) -> Result<api::Approval, Problem> {
    let approval: ApprovalId = read::id("the approval's id", id)?;
    // Somebody has to be named who can be asked: a token that is agreed on, and not one of the environment or of
    // another region.
    let Some(token) = caller.token else {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not_an_approver",
            "Not an approver",
            "only a token of this cluster may say something to an approval",
            "make one with `synod token create`",
        ));
    };
    let voter = Voter { token: Some(token), name: name_of(node, caller) };
    let reason = said.reason.as_deref().unwrap_or_default().into();
    let command = PolicyCommand::Vote { approval, voter, approve, reason };
    once.propose(node, Command::Policy(command)).await?;
    find(node, approval)
}
