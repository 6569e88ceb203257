//! `/api/v1/resources`: of what there is so much, who has it, and who is next.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::permission::Permission::{ResourcesRead, ResourcesWrite};
use synod_domain::refusal::Refusal;
use synod_domain::resource::ResourceCommand;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::{Conflict, NotFound};
use super::{examples, read, shown};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::{Context, Needs, Once, Problem, Routes};
use crate::node::Node;

/// The resources' part of the document.
#[derive(OpenApi)]
#[openapi(paths(list_resources, get_resource, put_resource, delete_resource))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(ResourcesRead);
    let write = Needs::Permission(ResourcesWrite);
    Routes::default()
        .get("/api/v1/resources", read, list_resources)
        .get("/api/v1/resources/{name}", read, get_resource)
        .put("/api/v1/resources/{name}", write.once(), put_resource)
        .delete("/api/v1/resources/{name}", write.once(), delete_resource)
}

/// List resources
#[utoipa::path(
    get,
    path = "/api/v1/resources",
    tag = "resources",
    description = "In order of name, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of resources.", body = api::Page<api::Resource>, example = json!(examples::page(examples::resource())))),
)]
async fn list_resources(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Resource>>, Problem> {
    let after = read::optional_name("cursor", listing.cursor.as_deref())?;
    let page = context.node().read(|state| {
        let all = state.resources().filter(|one| after.as_ref().is_none_or(|after| one.name > *after));
        page(all.map(|one| (one.name.to_string(), shown::resource(state, one))), listing.limit)
    });
    Ok(Json(page))
}

/// Look at a resource
#[utoipa::path(
    get,
    path = "/api/v1/resources/{name}",
    tag = "resources",
    description = "With the tasks that have some of it, and those that wait for it in the order of their turns.",
    params(("name" = String, Path, description = "The resource's name.", example = json!(examples::RESOURCE))),
    responses(
        (status = 200, description = "The resource.", body = api::Resource, example = json!(examples::resource())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_resource(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Resource>, Problem> {
    look(context.node(), &resource_name(&name)?).map(Json)
}

/// Make a resource, or change it
///
/// More of it lets those go at once for whom there is enough then. When there is less of it than tasks have, theirs it
/// stays; a task that needs more than there is at all waits, and stands in nobody's way.
#[utoipa::path(
    put,
    path = "/api/v1/resources/{name}",
    tag = "resources",
    params(("name" = String, Path, description = "The resource's name.", example = json!(examples::RESOURCE))),
    request_body(content = api::PutResource, example = json!(examples::put_resource())),
    responses(
        (status = 201, description = "The resource is made.", body = api::Resource, example = json!(examples::resource())),
        (status = 200, description = "The resource was there and is changed.", body = api::Resource, example = json!(examples::resource())),
        (status = 404, response = NotFound),
    ),
)]
async fn put_resource(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::PutResource>,
) -> Result<Response, Problem> {
    let node = context.node();
    let name = resource_name(&name)?;
    let is_new = node.read(|state| state.resource(&name).is_none());
    let (capacity, about) = (wanted.capacity, wanted.about.as_str().into());
    let put = ResourceCommand::Put { name: name.clone(), capacity, about };
    once.propose(node, Command::Resource(put)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(look(node, &name)?)).into_response())
}

/// Remove a resource
#[utoipa::path(
    delete,
    path = "/api/v1/resources/{name}",
    tag = "resources",
    description = "Refused while tasks have some of it or wait for it.",
    params(("name" = String, Path, description = "The resource's name.", example = json!(examples::RESOURCE))),
    responses(
        (status = 204, description = "It is removed."),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn delete_resource(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let name = resource_name(&name)?;
    once.propose(context.node(), Command::Resource(ResourceCommand::Remove { name })).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn resource_name(text: &str) -> Result<Name, Problem> {
    read::name("the resource's name", text)
}

fn look(node: &Node, name: &Name) -> Result<api::Resource, Problem> {
    let found =
        node.read(|state| state.resource(name).map(|resource| shown::whole_resource(state, resource)));
    found.ok_or_else(|| Refusal::ResourceUnknown(name.clone()).into())
}
