//! The cluster and its members, as the node that is asked knows them.

use axum::Json;
use axum::extract::State;
use synod_domain::id::NodeId;

use crate::api;
use crate::http::extract::InQuery;
use crate::http::native::listing::{Everything, Listing, page};
use crate::http::native::{examples, health, read, shown};
use crate::http::{Context, Problem};

/// Look at the cluster
///
/// As the node that is asked knows it: who leads, in which term, how far the logs are, which nodes there are in which
/// roles, and what gossip says of them. Answered although nobody leads.
#[utoipa::path(
    get,
    path = "/api/v1/cluster",
    tag = "cluster",
    responses((status = 200, description = "The cluster.", body = api::Cluster, example = json!(examples::cluster()))),
)]
pub(super) async fn show_cluster(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Json<api::Cluster> {
    let votes = health::votes(&context.node().cluster());
    Json(shown::cluster(context.node(), votes))
}

/// List the members as gossip knows them
///
/// In order of id. What stands here is rumoured and may differ from node to node for seconds.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/members",
    tag = "cluster",
    params(api::PageQuery),
    responses((status = 200, description = "A page of members.", body = api::Page<api::Member>, example = json!(examples::page(examples::member())))),
)]
pub(super) async fn list_members(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Member>>, Problem> {
    let after: Option<NodeId> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let status = context.node().cluster();
    let members = status.nodes.iter().filter(|one| after.is_none_or(|after| one.node.spec.id > after));
    Ok(Json(page(members.map(|one| (one.node.spec.id.to_string(), shown::member(one))), listing.limit)))
}
