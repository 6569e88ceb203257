//! Examples of roles and of whose things are.

use super::{POOL, words};
use crate::api;

pub(in crate::http::native) fn role() -> api::Role {
    api::Role {
        name: "deployer".to_owned(),
        permissions: words(&["pools:read", "pools:write"]),
        built_in: false,
    }
}

pub(in crate::http::native) fn put_role() -> api::PutRole {
    api::PutRole { permissions: words(&["pools:*"]) }
}

pub(in crate::http::native) fn role_binding() -> api::RoleBinding {
    api::RoleBinding {
        role: "operator".to_owned(),
        token: None,
        name: Some("ci".to_owned()),
        workspace: Some("search".to_owned()),
    }
}

pub(in crate::http::native) fn put_workspace() -> api::PutWorkspace {
    api::PutWorkspace { weight: Some(3), quota: Some(quota()) }
}

pub(in crate::http::native) fn workspace() -> api::Workspace {
    api::Workspace {
        name: "search".to_owned(),
        weight: 3,
        quota: quota(),
        uses: api::WorkspaceUse {
            agents: 4,
            waiting: 17,
            storage_bytes: 20_480,
            concurrency: 8,
            held_back: 2,
        },
    }
}

fn quota() -> api::Quota {
    api::Quota {
        agents: Some(20),
        waiting: Some(10_000),
        submits_per_second: Some(50),
        storage_bytes: Some(1_073_741_824),
        concurrency: Some(8),
    }
}

pub(in crate::http::native) fn ownership() -> api::Ownership {
    api::Ownership { pool: Some(POOL.to_owned()), agent: None, workspace: Some("search".to_owned()) }
}
