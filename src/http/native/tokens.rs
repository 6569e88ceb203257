//! `/api/v1/tokens`: making, seeing, rotating and revoking. A secret is shown once, when it is made.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use synod_domain::access::AccessCommand;
use synod_domain::command::Command;
use synod_domain::id::TokenId;
use synod_domain::permission::Permission::{self, TokensRead, TokensWrite};
use synod_domain::permission::Permissions;
use synod_domain::refusal::Refusal;
use synod_domain::time::Timestamp;
use synod_domain::token::{Token, TokenKind, TokenSpec};
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::{Conflict, NotFound};
use super::{examples, read, shown};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::sight::Sight;
use crate::http::{Caller, Context, Needs, Once, Problem, Routes, Thing, TokenText};
use crate::node::Node;

/// The tokens' part of the document.
#[derive(OpenApi)]
#[openapi(paths(make_token, list_tokens, get_token, rotate_token, revoke_token))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(TokensRead);
    let write = Needs::Permission(TokensWrite);
    Routes::default()
        .post("/api/v1/tokens", write.own(), make_token)
        .get("/api/v1/tokens", read.own(), list_tokens)
        .get("/api/v1/tokens/{id}", read.of(Thing::Token), get_token)
        .delete("/api/v1/tokens/{id}", write.once().about(Thing::Token), revoke_token)
        .post("/api/v1/tokens/{id}/rotate", write.of(Thing::Token), rotate_token)
}

/// Make a token
///
/// The secret is in this answer and nowhere else: the node keeps a hash of it. A token never allows more than the
/// one that it is made with, and never outlives it: without an end of its own it ends when that one does.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "tokens",
    request_body(content = api::NewToken, example = json!(examples::new_token())),
    responses((status = 201, description = "The token and its secret.", body = api::TokenWithSecret, example = json!(examples::token_with_secret()))),
)]
async fn make_token(
    State(context): State<Context>,
    caller: Caller,
    _: InQuery<Everything>,
    Body(wanted): Body<api::NewToken>,
) -> Result<Response, Problem> {
    let node = context.node();
    let kind = kind(&wanted.kind)?;
    let permissions = match &wanted.permissions {
        Some(words) => words.join(",").parse().map_err(|error| Problem::bad_request("permissions", error))?,
        None => of_kind(kind),
    };
    let workspace = read::own_workspace(node, wanted.workspace.as_deref())?;
    let asked = wanted.expires_in_ms.map(|millis| node.now().after(Duration::from_millis(millis)));
    let expires_at = asked.or(caller.ends_at(node));
    check_outlived(node, &caller, expires_at)?;
    let text = TokenText::make(kind, node.entropy());
    let id = node.new_token_id();
    let spec = TokenSpec {
        id,
        name: read::name("name", &wanted.name)?,
        kind,
        hash: text.hash(),
        permissions,
        expires_at,
        created_by: caller.token,
    };
    // What roles are bound to its name counts, too.
    check_held(&caller, &node.read(|state| state.permissions_of(&spec, workspace.as_ref()).into_owned()))?;
    let spec = Arc::new(spec);
    let command = match workspace {
        Some(workspace) => Command::Access(AccessCommand::PutToken { spec, workspace }),
        None => Command::PutToken { spec },
    };
    node.propose(command).await?;
    Ok(secret(StatusCode::CREATED, show(node, id)?, &text))
}

/// List tokens
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "tokens",
    description = "Without their secrets, oldest first, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of tokens.", body = api::Page<api::Token>, example = json!(examples::page(examples::token())))),
)]
async fn list_tokens(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Token>>, Problem> {
    let after: Option<TokenId> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let tokens = state.tokens().filter(|token| after.is_none_or(|after| token.spec.id > after));
        let tokens = tokens.filter(|token| sight.token(state, token.spec.id));
        page(tokens.map(|token| (token.spec.id.to_string(), shown::token(state, token))), listing.limit)
    });
    Ok(Json(page))
}

/// Look at a token
#[utoipa::path(
    get,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    description = "Without its secret.",
    params(("id" = String, Path, description = "The token's id.", example = json!(examples::TOKEN))),
    responses(
        (status = 200, description = "The token.", body = api::Token, example = json!(examples::token())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_token(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Token>, Problem> {
    let id = read::id("the token's id", &id)?;
    Ok(Json(show(context.node(), id)?))
}

/// Rotate a token
///
/// It gets a new secret, which is shown in this answer and nowhere else; the old one is taken for `keep_old_ms` more.
/// The token must not allow more than the one that it is rotated with, nor end after it.
#[utoipa::path(
    post,
    path = "/api/v1/tokens/{id}/rotate",
    tag = "tokens",
    params(("id" = String, Path, description = "The token's id.", example = json!(examples::TOKEN))),
    request_body(content = api::RotateToken, example = json!(examples::rotate_token())),
    responses(
        (status = 200, description = "The token and its new secret.", body = api::TokenWithSecret, example = json!(examples::token_with_secret())),
        (status = 404, response = NotFound),
    ),
)]
async fn rotate_token(
    State(context): State<Context>,
    caller: Caller,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(rotate): Body<api::RotateToken>,
) -> Result<Response, Problem> {
    let node = context.node();
    let id = read::id("the token's id", &id)?;
    let known = find(node, id)?;
    check_held(&caller, &allowed(node, &known))?;
    check_outlived(node, &caller, known.spec.expires_at)?;
    let text = TokenText::make(known.spec.kind, node.entropy());
    let keep = Duration::from_millis(rotate.keep_old_ms);
    let keep_old_until = (!keep.is_zero()).then(|| node.now().after(keep));
    node.propose(Command::RotateToken { token: id, hash: text.hash(), keep_old_until }).await?;
    Ok(secret(StatusCode::OK, show(node, id)?, &text))
}

/// Revoke a token
///
/// Its secret is not taken any more from this answer on. The last token that can make others is refused: nobody could
/// get in again. A token that allows more than the caller's is not theirs to revoke.
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    params(("id" = String, Path, description = "The token's id.", example = json!(examples::TOKEN))),
    responses(
        (status = 204, description = "The token is over."),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn revoke_token(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let node = context.node();
    let id = read::id("the token's id", &id)?;
    if once.was_done(node).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let known = find(node, id)?;
    check_held(&caller, &allowed(node, &known))?;
    let reason = format!("revoked by {}", caller.accessor).into();
    once.propose(node, Command::RevokeToken { token: id, reason }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Holds that the caller may do all that a token allows.
pub(super) fn check_held(caller: &Caller, permissions: &Permissions) -> Result<(), Problem> {
    let beyond: Option<Permission> = permissions.iter().find(|one| !caller.may(*one));
    beyond.map_or(Ok(()), |beyond| Err(Problem::not_allowed(beyond)))
}

/// Holds that a token whose secret the caller is given does not outlive what the caller has shown: else whoever was
/// let in for an hour could let themselves in for good.
fn check_outlived(node: &Node, caller: &Caller, expires_at: Option<Timestamp>) -> Result<(), Problem> {
    let Some(end) = caller.ends_at(node) else { return Ok(()) };
    if expires_at.is_some_and(|expires_at| expires_at <= end) {
        return Ok(());
    }
    let why = format!("the token would outlive the one it is made with, which ends at {}", shown::time(end));
    Err(Problem::bad_request("expires_in_ms", why))
}

fn kind(text: &str) -> Result<TokenKind, Problem> {
    let all = [TokenKind::Admin, TokenKind::Client, TokenKind::Worker];
    all.into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| Problem::bad_request("kind", format!("{text:?} is none of admin, client, worker")))
}

/// What a token allows that does not say: everything for an operator, what a worker needs, and for a client to
/// submit, to look and to call off.
fn of_kind(kind: TokenKind) -> Permissions {
    match kind {
        TokenKind::Admin => Permissions::all(),
        TokenKind::Worker => Permissions::of_worker(),
        TokenKind::Client => Permissions::of_reader()
            .iter()
            .filter(|one| !matches!(one, TokensRead | Permission::AuditRead | Permission::WebhooksRead))
            .chain([Permission::TasksWrite, Permission::TasksDelete])
            .collect(),
    }
}

/// Returns what a token allows, its roles among it.
fn allowed(node: &Node, token: &Token) -> Permissions {
    node.read(|state| {
        let workspace = state.workspace_of_token(token.spec.id);
        state.permissions_of(&token.spec, workspace).into_owned()
    })
}

fn show(node: &Node, id: TokenId) -> Result<api::Token, Problem> {
    let found = node.read(|state| state.token(id).map(|token| shown::token(state, token)));
    found.ok_or_else(|| Refusal::TokenUnknown(id).into())
}

fn find(node: &Node, id: TokenId) -> Result<Arc<Token>, Problem> {
    node.read(|state| state.token(id).cloned()).ok_or_else(|| Refusal::TokenUnknown(id).into())
}

/// Shows a token with its secret, in an answer that nobody on its way may keep.
fn secret(status: StatusCode, token: api::Token, text: &TokenText) -> Response {
    let body = api::TokenWithSecret { token, secret: text.expose().to_owned() };
    let no_store: [(HeaderName, HeaderValue); 1] =
        [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, Json(body)).into_response()
}
