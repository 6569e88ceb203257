//! Other regions: which there are, ending the trust in one, and the keys of gossip between all of them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::name::Name;

use crate::api;
use crate::http::extract::{InPath, InQuery};
use crate::http::native::listing::{Everything, Listing, page};
use crate::http::native::problems::{Conflict, NotFound};
use crate::http::native::{examples, read, shown};
use crate::http::{Context, Once, Problem};
use crate::node::Node;

/// Why a region is removed, as the log has it.
const REASON: &str = "an operator removed it";

/// Why one is declared lost, as its tasks have it.
const LOST: &str = "an operator declared that it will never be back";

/// List the regions
///
/// In order of name, the one of the node that is asked among them, with the voters of each as gossip between regions
/// knows them. Those that were removed stay in the list: their names are not given out again.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/regions",
    tag = "cluster",
    params(api::PageQuery),
    responses((status = 200, description = "A page of regions.", body = api::Page<api::Region>, example = json!(examples::page(examples::region())))),
)]
pub(super) async fn list_regions(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Region>>, Problem> {
    let mut regions = context.node().regions();
    regions.sort_by(|one, other| one.name.cmp(&other.name));
    let after = listing.cursor.as_deref();
    let regions = regions.iter().filter(|one| after.is_none_or(|after| one.name.as_str() > after));
    Ok(Json(page(regions.map(|one| (one.name.to_string(), shown::region(one))), listing.limit)))
}

/// Remove a region
///
/// For good: none of its nodes is let in from then on, and its name is not given out again. The other regions do so by
/// themselves. Tasks that were offered to it and not answered stay kept, because it may have done them, until the same is
/// asked with `lost`, of a region that is removed already too: then they go to the rest of their routes.
#[utoipa::path(
    delete,
    path = "/api/v1/cluster/regions/{name}",
    tag = "cluster",
    params(("name" = String, Path, description = "The region's name.", example = json!("eu")), api::RemoveRegionQuery),
    responses(
        (status = 204, description = "It is trusted no more."),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn remove_region(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    InQuery(query): InQuery<api::RemoveRegionQuery>,
) -> Result<StatusCode, Problem> {
    let name = Name::new(&name).map_err(|error| Problem::bad_request("name", error.to_string()))?;
    match query.lost {
        true => context.node().lose_region_as(once.request(), &name, LOST).await?,
        false => context.node().remove_region_as(once.request(), &name, REASON).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// List the keys of gossip between regions
///
/// By number, without their secrets. All regions share one ring.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/region-keyring",
    tag = "cluster",
    params(api::PageQuery),
    responses((status = 200, description = "A page of keys.", body = api::Page<api::GossipKey>, example = json!(examples::page(examples::gossip_key())))),
)]
pub(super) async fn list_region_keys(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::GossipKey>>, Problem> {
    let after: Option<u32> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let keys = keys(context.node()).into_iter().filter(|key| after.is_none_or(|after| key.number > after));
    Ok(Json(page(keys.map(|key| (key.number.to_string(), key)), listing.limit)))
}

/// Install a key of gossip between regions
///
/// The other regions get it from whoever leads here; use it once `GET` shows it in each of them.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/region-keyring",
    tag = "cluster",
    responses(
        (status = 201, description = "The key, without its secret.", body = api::GossipKey, example = json!(examples::gossip_key())),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn install_region_key(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Result<(StatusCode, Json<api::GossipKey>), Problem> {
    let number = context.node().install_region_key().await?;
    Ok((StatusCode::CREATED, Json(find(context.node(), number)?)))
}

/// Seal gossip between regions with a key
///
/// Every region must have it. The others follow.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/region-keyring/{number}/use",
    tag = "cluster",
    params(("number" = u32, Path, description = "The key's number.", example = json!(1))),
    responses(
        (status = 200, description = "The key, in use.", body = api::GossipKey, example = json!(examples::gossip_key())),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn use_region_key(
    State(context): State<Context>,
    once: Once,
    InPath(number): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::GossipKey>, Problem> {
    let number = read::id("the key's number", &number)?;
    if !once.was_done(context.node()).await? {
        context.node().use_region_key_as(once.request(), number).await?;
    }
    find(context.node(), number).map(Json)
}

/// Remove a key of gossip between regions
///
/// The one in use is refused.
#[utoipa::path(
    delete,
    path = "/api/v1/cluster/region-keyring/{number}",
    tag = "cluster",
    params(("number" = u32, Path, description = "The key's number.", example = json!(1))),
    responses(
        (status = 204, description = "It belongs to the ring no more."),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn remove_region_key(
    State(context): State<Context>,
    once: Once,
    InPath(number): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let number = read::id("the key's number", &number)?;
    if !once.was_done(context.node()).await? {
        context.node().remove_region_key_as(once.request(), number).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn keys(node: &Node) -> Vec<api::GossipKey> {
    super::keyring::shown(&node.region_keyring())
}

fn find(node: &Node, number: u32) -> Result<api::GossipKey, Problem> {
    let found = keys(node).into_iter().find(|key| key.number == number);
    found.ok_or_else(|| Problem::not_found("gossip_key_unknown", format!("key {number} in the ring")))
}
