//! A token, without anything that is secret.

use synod_domain::permission::Permission;
use synod_domain::state::State;
use synod_domain::token::Token;

use super::time;
use crate::api;

/// Shows a token.
pub(crate) fn token(state: &State, token: &Token) -> api::Token {
    let spec = &token.spec;
    api::Token {
        id: spec.id.to_string(),
        name: spec.name.to_string(),
        kind: spec.kind.as_str().to_owned(),
        permissions: spec.permissions.iter().map(Permission::as_str).map(str::to_owned).collect(),
        created_at: time(token.created_at),
        created_by: spec.created_by.map(|token| token.to_string()),
        rotated_at: token.rotated_at.map(time),
        expires_at: spec.expires_at.map(time),
        workspace: state.workspace_of_token(spec.id).map(|workspace| workspace.to_string()),
    }
}
