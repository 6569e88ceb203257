//! `/api/v1/roles`, `/role-bindings` and `/ownerships`: who may do what, and whose pools and agents are.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::access::{AccessCommand, BUILT_IN, Owned, RoleBinding, Subject, built_in};
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::permission::Permission::{RolesRead, RolesWrite};
use synod_domain::permission::{Permission, Permissions};
use synod_domain::refusal::Refusal;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::NotFound;
use super::tokens::check_held;
use super::{examples, read};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::sight::Sight;
use crate::http::{Caller, Context, Needs, Once, Problem, Routes};
use crate::node::Node;

/// The part of the document about roles.
#[derive(OpenApi)]
#[openapi(paths(
    list_roles,
    put_role,
    remove_role,
    list_role_bindings,
    bind_role,
    unbind_role,
    list_ownerships,
    put_ownership
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(RolesRead);
    let write = Needs::Permission(RolesWrite);
    Routes::default()
        .get("/api/v1/roles", read.anybody(), list_roles)
        .put("/api/v1/roles/{name}", write.once(), put_role)
        .delete("/api/v1/roles/{name}", write.once(), remove_role)
        .get("/api/v1/role-bindings", read.own(), list_role_bindings)
        .post("/api/v1/role-bindings", write.once().own(), bind_role)
        .post("/api/v1/role-bindings/remove", write.once().own(), unbind_role)
        .get("/api/v1/ownerships", read.own(), list_ownerships)
        .put("/api/v1/ownerships", write.once(), put_ownership)
}

/// List roles
#[utoipa::path(
    get,
    path = "/api/v1/roles",
    tag = "roles",
    description = "Those that are built in first, then those that were made, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of roles.", body = api::Page<api::Role>, example = json!(examples::page(examples::role())))),
)]
async fn list_roles(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Role>>, Problem> {
    let after = listing.cursor.as_deref();
    let built_in = BUILT_IN.into_iter().filter_map(|name| Some((name, built_in(name)?)));
    let fixed = built_in.map(|(name, permissions)| shown(name, &permissions, true));
    let page = context.node().read(|state| {
        let made = state.roles().map(|(name, permissions)| shown(name.as_str(), permissions, false));
        // In one order of name, whichever they are, so that a cursor is a name.
        let mut all: Vec<api::Role> = fixed.chain(made).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        let behind = all.into_iter().filter(|role| after.is_none_or(|after| role.name.as_str() > after));
        page(behind.map(|role| (role.name.clone(), role)), listing.limit)
    });
    Ok(Json(page))
}

/// Make a role, or change what it allows
///
/// Never more than the caller's own token allows, before or after. It counts at once for whom it is bound to.
#[utoipa::path(
    put,
    path = "/api/v1/roles/{name}",
    tag = "roles",
    params(("name" = String, Path, description = "The role's name.", example = "deployer")),
    request_body(content = api::PutRole, example = json!(examples::put_role())),
    responses((status = 200, description = "The role.", body = api::Role, example = json!(examples::role()))),
)]
async fn put_role(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::PutRole>,
) -> Result<Json<api::Role>, Problem> {
    let node = context.node();
    let role = read::name("the role's name", &name)?;
    let permissions: Permissions =
        wanted.permissions.join(",").parse().map_err(|error| Problem::bad_request("permissions", error))?;
    check_held(&caller, &permissions)?;
    if let Some(known) = allowed(node, &role) {
        check_held(&caller, &known)?;
    }
    let shown = shown(role.as_str(), &permissions, false);
    once.propose(node, Command::Access(AccessCommand::PutRole { role, permissions })).await?;
    Ok(Json(shown))
}

/// Remove a role
#[utoipa::path(
    delete,
    path = "/api/v1/roles/{name}",
    tag = "roles",
    description = "Its bindings go with it.",
    params(("name" = String, Path, description = "The role's name.", example = "deployer")),
    responses((status = 204, description = "The role is gone."), (status = 404, response = NotFound)),
)]
async fn remove_role(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let node = context.node();
    let role = read::name("the role's name", &name)?;
    if once.was_done(node).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    if let Some(known) = allowed(node, &role) {
        check_held(&caller, &known)?;
    }
    once.propose(node, Command::Access(AccessCommand::RemoveRole { role })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List role bindings
#[utoipa::path(
    get,
    path = "/api/v1/role-bindings",
    tag = "roles",
    description = "Which roles are bound to whom, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of bindings.", body = api::Page<api::RoleBinding>, example = json!(examples::page(examples::role_binding())))),
)]
async fn list_role_bindings(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::RoleBinding>>, Problem> {
    let after: usize =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?.unwrap_or(0);
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let shown = state.role_bindings().filter(|one| sight.binding(one));
        let numbered = shown.enumerate().skip(after);
        page(numbered.map(|(place, one)| ((place + 1).to_string(), shown_binding(one))), listing.limit)
    });
    Ok(Json(page))
}

/// Bind a role
///
/// To one token, or to every token of a name; everywhere, or for tokens of one workspace. Saying it twice is as good as
/// once. The role must not allow more than the caller's own token.
#[utoipa::path(
    post,
    path = "/api/v1/role-bindings",
    tag = "roles",
    request_body(content = api::RoleBinding, example = json!(examples::role_binding())),
    responses(
        (status = 200, description = "The binding.", body = api::RoleBinding, example = json!(examples::role_binding())),
        (status = 404, response = NotFound),
    ),
)]
async fn bind_role(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    _: InQuery<Everything>,
    Body(wanted): Body<api::RoleBinding>,
) -> Result<Json<api::RoleBinding>, Problem> {
    let node = context.node();
    let binding = held_binding(node, &caller, &wanted)?;
    let shown = shown_binding(&binding);
    once.propose(node, Command::Access(AccessCommand::Bind(binding))).await?;
    Ok(Json(shown))
}

/// End a binding of a role
#[utoipa::path(
    post,
    path = "/api/v1/role-bindings/remove",
    tag = "roles",
    description = "It is named by what it says.",
    request_body(content = api::RoleBinding, example = json!(examples::role_binding())),
    responses((status = 204, description = "The role is not bound so."), (status = 404, response = NotFound)),
)]
async fn unbind_role(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    _: InQuery<Everything>,
    Body(wanted): Body<api::RoleBinding>,
) -> Result<StatusCode, Problem> {
    let node = context.node();
    if once.was_done(node).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let binding = held_binding(node, &caller, &wanted)?;
    once.propose(node, Command::Access(AccessCommand::Unbind(binding))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List whose pools and agents are
#[utoipa::path(
    get,
    path = "/api/v1/ownerships",
    tag = "roles",
    description = "Those that were given to a workspace, a page at a time. All others are everybody's.",
    params(api::PageQuery),
    responses((status = 200, description = "A page.", body = api::Page<api::Ownership>, example = json!(examples::page(examples::ownership())))),
)]
async fn list_ownerships(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Ownership>>, Problem> {
    let after: usize =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?.unwrap_or(0);
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let shown = state.owners().filter(|(of, _)| sight.owned(state, of));
        let numbered = shown.enumerate().skip(after);
        page(
            numbered.map(|(place, (of, to))| ((place + 1).to_string(), shown_owner(of, Some(to)))),
            listing.limit,
        )
    });
    Ok(Json(page))
}

/// Give a pool or an agent to a workspace
///
/// Its agents take work of that workspace alone from then on, and nothing from the open mailbox. Without a workspace it is
/// everybody's again.
#[utoipa::path(
    put,
    path = "/api/v1/ownerships",
    tag = "roles",
    request_body(content = api::Ownership, example = json!(examples::ownership())),
    responses(
        (status = 200, description = "Whose it is.", body = api::Ownership, example = json!(examples::ownership())),
        (status = 404, response = NotFound),
    ),
)]
async fn put_ownership(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(wanted): Body<api::Ownership>,
) -> Result<Json<api::Ownership>, Problem> {
    let node = context.node();
    let owned = match (&wanted.pool, &wanted.agent) {
        (Some(pool), None) => Owned::Pool(read::name("pool", pool)?),
        (None, Some(agent)) => Owned::Agent(read::agent(node, agent)?.spec.id),
        _ => return Err(Problem::bad_request("the body", "name either a pool or an agent")),
    };
    let workspace = read::optional_name("workspace", wanted.workspace.as_deref())?;
    let shown = shown_owner(&owned, workspace.as_ref());
    once.propose(node, Command::Access(AccessCommand::SetOwner { owned, workspace })).await?;
    Ok(Json(shown))
}

/// Reads a binding of a role that allows no more than the caller has.
fn held_binding(node: &Node, caller: &Caller, wanted: &api::RoleBinding) -> Result<RoleBinding, Problem> {
    let role = read::name("role", &wanted.role)?;
    let subject = match (&wanted.token, &wanted.name) {
        (Some(token), None) => Subject::Token(read::id("token", token)?),
        (None, Some(name)) => Subject::Name(read::name("name", name)?),
        _ => return Err(Problem::bad_request("the body", "say either token or name")),
    };
    let known = allowed(node, &role).ok_or_else(|| Refusal::RoleUnknown(role.clone()))?;
    check_held(caller, &known)?;
    Ok(RoleBinding { subject, role, workspace: read::own_workspace(node, wanted.workspace.as_deref())? })
}

fn allowed(node: &Node, role: &Name) -> Option<Permissions> {
    node.read(|state| state.role(role).map(Cow::into_owned))
}

fn shown(name: &str, permissions: &Permissions, built_in: bool) -> api::Role {
    let permissions = permissions.iter().map(Permission::as_str).map(str::to_owned).collect();
    api::Role { name: name.to_owned(), permissions, built_in }
}

fn shown_binding(binding: &RoleBinding) -> api::RoleBinding {
    let (token, name) = match &binding.subject {
        Subject::Token(token) => (Some(token.to_string()), None),
        Subject::Name(name) => (None, Some(name.to_string())),
    };
    let workspace = binding.workspace.as_ref().map(Name::to_string);
    api::RoleBinding { role: binding.role.to_string(), token, name, workspace }
}

fn shown_owner(owned: &Owned, workspace: Option<&Name>) -> api::Ownership {
    let (pool, agent) = match owned {
        Owned::Pool(pool) => (Some(pool.to_string()), None),
        Owned::Agent(agent) => (None, Some(agent.to_string())),
    };
    api::Ownership { pool, agent, workspace: workspace.map(Name::to_string) }
}
