//! `/api/v1/cluster`: who belongs to it, who leads, how others join, the keys of gossip, and backups.
//!
//! What shows the cluster is the view of the node that is asked, and is shown although nobody leads; what changes
//! it is agreed like everything else, whichever node is asked.

mod backup;
mod joining;
mod keyring;
mod looking;
mod moving;
mod regions;

use synod_domain::permission::Permission::{ClusterBackup, ClusterRead, ClusterWrite};
use utoipa::OpenApi;

use crate::http::{Needs, Routes};

/// The cluster's part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    looking::show_cluster,
    looking::list_members,
    moving::transfer_leadership,
    moving::make_snapshot,
    moving::leave_cluster,
    backup::fetch_backup,
    joining::make_join_token,
    joining::list_join_tokens,
    joining::revoke_join_token,
    keyring::list_keys,
    keyring::install_key,
    keyring::use_key,
    keyring::remove_key,
    regions::list_regions,
    regions::remove_region,
    regions::list_region_keys,
    regions::install_region_key,
    regions::use_region_key,
    regions::remove_region_key
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(ClusterRead);
    let write = Needs::Permission(ClusterWrite);
    let backup = Needs::Permission(ClusterBackup);
    Routes::default()
        .get("/api/v1/cluster", read.local(), looking::show_cluster)
        .get("/api/v1/cluster/members", read.local(), looking::list_members)
        .post("/api/v1/cluster/transfer", write, moving::transfer_leadership)
        .post("/api/v1/cluster/snapshot", write.freely(), moving::make_snapshot)
        .post("/api/v1/cluster/leave", write.long(), moving::leave_cluster)
        .get("/api/v1/cluster/backup", backup.long(), backup::fetch_backup)
        .post("/api/v1/cluster/join-tokens", write, joining::make_join_token)
        .get("/api/v1/cluster/join-tokens", read, joining::list_join_tokens)
        .delete("/api/v1/cluster/join-tokens/{id}", write.once(), joining::revoke_join_token)
        .get("/api/v1/cluster/keyring", read, keyring::list_keys)
        .post("/api/v1/cluster/keyring", write, keyring::install_key)
        .post("/api/v1/cluster/keyring/{number}/use", write.once(), keyring::use_key)
        .delete("/api/v1/cluster/keyring/{number}", write.once(), keyring::remove_key)
        .get("/api/v1/cluster/regions", read.local(), regions::list_regions)
        .delete("/api/v1/cluster/regions/{name}", write.once(), regions::remove_region)
        .get("/api/v1/cluster/region-keyring", read, regions::list_region_keys)
        .post("/api/v1/cluster/region-keyring", write, regions::install_region_key)
        .post("/api/v1/cluster/region-keyring/{number}/use", write.once(), regions::use_region_key)
        .delete("/api/v1/cluster/region-keyring/{number}", write.once(), regions::remove_region_key)
}
