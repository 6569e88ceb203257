//! The keys of gossip, by number: installing, using and removing them. A secret never leaves the nodes.
//!
//! A rotation is three calls: install one, use it once every node has it, remove the old one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::command::Command;
use synod_domain::node::Keyring;

use crate::api;
use crate::http::extract::{InPath, InQuery};
use crate::http::native::listing::{Everything, Listing, page};
use crate::http::native::problems::Conflict;
use crate::http::native::{examples, read};
use crate::http::{Context, Once, Problem};
use crate::node::Node;

/// List the keys of gossip
///
/// By number, without their secrets. Every key of the ring opens datagrams; the used one seals them.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/keyring",
    tag = "cluster",
    params(api::PageQuery),
    responses((status = 200, description = "A page of keys.", body = api::Page<api::GossipKey>, example = json!(examples::page(examples::gossip_key())))),
)]
pub(super) async fn list_keys(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::GossipKey>>, Problem> {
    let after: Option<u32> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let keys = keys(context.node()).into_iter().filter(|key| after.is_none_or(|after| key.number > after));
    Ok(Json(page(keys.map(|key| (key.number.to_string(), key)), listing.limit)))
}

/// Install a key of gossip
///
/// Made by the node of chance and agreed on. Datagrams that are sealed with it are opened from then on; it seals none
/// before it is used, unless it is the first.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/keyring",
    tag = "cluster",
    responses(
        (status = 201, description = "The key, without its secret.", body = api::GossipKey, example = json!(examples::gossip_key())),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn install_key(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Result<(StatusCode, Json<api::GossipKey>), Problem> {
    let number = context.node().install_gossip_key().await?;
    Ok((StatusCode::CREATED, Json(find(context.node(), number)?)))
}

/// Seal gossip with a key
///
/// Every node must have it: a node that was down when it was installed learns of it with the log before it gossips.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/keyring/{number}/use",
    tag = "cluster",
    params(("number" = u32, Path, description = "The key's number.", example = json!(1))),
    responses(
        (status = 200, description = "The key, in use.", body = api::GossipKey, example = json!(examples::gossip_key())),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn use_key(
    State(context): State<Context>,
    once: Once,
    InPath(number): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::GossipKey>, Problem> {
    let number = read::id("the key's number", &number)?;
    once.propose(context.node(), Command::UseGossipKey { number }).await?;
    find(context.node(), number).map(Json)
}

/// Remove a key of gossip
///
/// The one in use is refused. What is sealed with a removed key is dropped.
#[utoipa::path(
    delete,
    path = "/api/v1/cluster/keyring/{number}",
    tag = "cluster",
    params(("number" = u32, Path, description = "The key's number.", example = json!(1))),
    responses(
        (status = 204, description = "It belongs to the ring no more."),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn remove_key(
    State(context): State<Context>,
    once: Once,
    InPath(number): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let number = read::id("the key's number", &number)?;
    once.propose(context.node(), Command::RemoveGossipKey { number }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn keys(node: &Node) -> Vec<api::GossipKey> {
    shown(&node.keyring())
}

/// Shows the keys of a ring by number.
pub(super) fn shown(ring: &Keyring) -> Vec<api::GossipKey> {
    let shown = |number| api::GossipKey { number, used: ring.used == Some(number) };
    let mut keys: Vec<api::GossipKey> = ring.keys.iter().map(|key| shown(key.number)).collect();
    keys.sort_unstable_by_key(|key| key.number);
    keys
}

fn find(node: &Node, number: u32) -> Result<api::GossipKey, Problem> {
    let found = keys(node).into_iter().find(|key| key.number == number);
    found.ok_or_else(|| Problem::not_found("gossip_key_unknown", format!("key {number} in the ring")))
}
