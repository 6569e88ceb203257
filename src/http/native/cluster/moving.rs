//! Who leads, when snapshots are made, and leaving the cluster.

use axum::Json;
use axum::extract::State;

use crate::api;
use crate::http::extract::{Body, InQuery};
use crate::http::native::listing::Everything;
use crate::http::native::problems::{Conflict, NotFound};
use crate::http::native::{examples, read};
use crate::http::{Context, Problem};

/// Let another voter lead
///
/// The named one, or the one that is least behind. No request fails by it: those under way wait for the new leader.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/transfer",
    tag = "cluster",
    request_body(content = api::TransferLeadership, example = json!(examples::transfer())),
    responses(
        (status = 200, description = "Who leads.", body = api::Leader, example = json!(examples::leader())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn transfer_leadership(
    State(context): State<Context>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::TransferLeadership>,
) -> Result<Json<api::Leader>, Problem> {
    let node = context.node();
    let to = wanted.to.map(|text| read::node(node, &text)).transpose()?;
    let leader = node.transfer_leadership(to).await?.to_string();
    Ok(Json(api::Leader { leader }))
}

/// Make a snapshot on the node that is asked
///
/// Its log can be purged behind it then. Nodes make them by themselves; this is for who wants one now.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/snapshot",
    tag = "cluster",
    responses((status = 200, description = "It is made.", body = api::SnapshotMade, example = json!(examples::snapshot_made()))),
)]
pub(super) async fn make_snapshot(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Json<api::SnapshotMade> {
    let node = context.node();
    node.snapshot().await;
    Json(api::SnapshotMade { node: node.id().to_string(), applied: node.status().applied.unwrap_or(0) })
}

/// Let the node that is asked leave the cluster
///
/// For good: it gives its agents away, hands leadership over, is forgotten by the others, and its process ends. To
/// stop it for a while, stop its process instead. The last voter is refused.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/leave",
    tag = "cluster",
    responses(
        (status = 200, description = "It has left.", body = api::Leader, example = json!(examples::leader())),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn leave_cluster(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Result<Json<api::Leader>, Problem> {
    let node = context.node();
    node.leave().await?;
    context.note_left();
    let leader = node.cluster().leader.filter(|leader| *leader != node.id());
    Ok(Json(api::Leader { leader: leader.map(|leader| leader.to_string()).unwrap_or_default() }))
}
