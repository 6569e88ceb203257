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

pub(in crate::http::native) fn ownership() -> api::Ownership {
    api::Ownership { pool: Some(POOL.to_owned()), agent: None, workspace: Some("search".to_owned()) }
}
