//! Join tokens: each lets one node in. A text is shown once, when it is made.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::command::Command;
use synod_domain::id::TokenId;
use synod_domain::node::NodeRole;

use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::native::listing::{Everything, Listing, page};
use crate::http::native::problems::{Conflict, NotFound};
use crate::http::native::{examples, read, shown};
use crate::http::{Context, Once, Problem};
use crate::node::Node;

/// The role of a token that lets a region be founded.
const REGION: &str = "region";

/// For how long a join token is taken that does not say: long enough to carry it to another machine, short enough
/// that one which got lost is worth little.
const TTL_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// For how long one may be taken at most. Longer lets a forgotten one be found and used.
const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Make a join token
///
/// It lets one node join, once, in the role it names or a lesser one, or one other region be founded, and pins the
/// cluster's authority, so that whoever has it cannot be led elsewhere. Its text is in this answer and nowhere else.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/join-tokens",
    tag = "cluster",
    request_body(content = api::NewJoinToken, example = json!(examples::new_join_token())),
    responses(
        (status = 201, description = "The token and its text.", body = api::JoinTokenWithText, example = json!(examples::join_token_with_text())),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn make_join_token(
    State(context): State<Context>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::NewJoinToken>,
) -> Result<(StatusCode, Json<api::JoinTokenWithText>), Problem> {
    let node = context.node();
    let ttl = wanted.ttl_ms.map_or(TTL_DEFAULT, Duration::from_millis);
    if ttl.is_zero() || ttl > TTL_MAX {
        return Err(Problem::bad_request("ttl_ms", format!("it must be from 1 to {}", TTL_MAX.as_millis())));
    }
    let made = match wanted.role.as_deref() {
        Some(REGION) => node.create_region_token(ttl).await?,
        Some(role) => node.create_join_token(read::role("role", role)?, ttl).await?,
        None => node.create_join_token(NodeRole::default(), ttl).await?,
    };
    let token = tokens(node).into_iter().find(|(id, _)| *id == made.id);
    let (_, token) =
        token.ok_or_else(|| Problem::not_found("token_unknown", format!("join token {}", made.id)))?;
    let body = api::JoinTokenWithText { token, text: made.text, join: node.cluster().listens };
    Ok((StatusCode::CREATED, Json(body)))
}

/// List join tokens
///
/// Without their texts, oldest first, a page at a time; those that are used or over stay for a while.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/join-tokens",
    tag = "cluster",
    params(api::PageQuery),
    responses((status = 200, description = "A page of join tokens.", body = api::Page<api::JoinToken>, example = json!(examples::page(examples::join_token())))),
)]
pub(super) async fn list_join_tokens(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::JoinToken>>, Problem> {
    let after: Option<TokenId> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let tokens = tokens(context.node()).into_iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
    Ok(Json(page(tokens.map(|(id, token)| (id.to_string(), token)), listing.limit)))
}

/// Returns all tokens that let somebody in, nodes and regions, oldest first.
fn tokens(node: &Node) -> Vec<(TokenId, api::JoinToken)> {
    let now = node.now();
    let nodes = node.join_tokens().into_iter().map(|token| (token.id, shown::join_token(&token, now)));
    let regions = node.region_tokens().into_iter();
    let regions = regions.map(|token| (token.id, shown::region_token(&token, REGION, now)));
    let mut tokens: Vec<_> = nodes.chain(regions).collect();
    tokens.sort_by_key(|(id, _)| *id);
    tokens
}

/// Revoke a join token
///
/// Nobody joins with it any more; who has joined stays.
#[utoipa::path(
    delete,
    path = "/api/v1/cluster/join-tokens/{id}",
    tag = "cluster",
    params(("id" = String, Path, description = "The token's id.", example = json!(examples::TOKEN))),
    responses(
        (status = 204, description = "The token is over."),
        (status = 404, response = NotFound),
    ),
)]
pub(super) async fn revoke_join_token(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let token = read::id("the token's id", &id)?;
    once.propose(context.node(), Command::RevokeJoinToken { token }).await?;
    Ok(StatusCode::NO_CONTENT)
}
