//! The document that describes the API: OpenAPI 3.1, made from the code.
//!
//! Each file of handlers describes its operations and their own answers; what holds for all of them is added here:
//! what a caller needs (from the same table by which requests are judged), the problems that any request may meet,
//! and the way to show a token.

mod page;

use std::sync::Arc;

use axum::http::{HeaderValue, Method, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::problems::{
    Conflict, Forbidden, Internal, Invalid, NoSpace, NotFound, TooLarge, TooMany, TooSlow, Unauthorized,
    Unavailable,
};
use super::{
    access, agents, approvals, audit, breakers, budgets, cluster, dead_letters, events, examples, hooks,
    leases, limits, mailboxes, nodes, policies, pools, resources, rollouts, runs, tasks, tokens, webhooks,
    workspaces,
};
use crate::api;
use crate::http::{Again, Needs, Route, Routes};

/// Says what the API is, at the head of the document.
const DESCRIPTION: &str = "The API of a synod node: durable work for fleets of agents. Every request carries a \
    token as `Authorization: Bearer TOKEN`. Times are RFC 3339 in UTC; durations are whole milliseconds. What is \
    refused is answered as `application/problem+json` (RFC 9457) with a stable `code`, a hint and the request's id. \
    An unknown field or query parameter is refused by its name. Every route takes `region`: the region whose answer \
    is wanted, when it is not the one that is asked; one that nobody knows is answered with 404 `region_unknown`.";

/// The header by which a change counts once, as the document writes it.
const KEY: &str = "Idempotency-Key";

#[derive(OpenApi)]
#[openapi(
    components(
        schemas(api::Missed),
        responses(
            Invalid,
            Unauthorized,
            Forbidden,
            NotFound,
            TooSlow,
            Conflict,
            TooLarge,
            TooMany,
            Internal,
            Unavailable,
            NoSpace
        )
    ),
    paths(openapi_json, docs)
)]
struct Doc;

/// Returns the routes that serve the document of `resources` and their own.
pub(super) fn routes(resources: &Routes) -> Routes {
    // The handlers are given the text that is made from the table in which they stand themselves.
    let declared = |text: Arc<str>, page: Arc<str>| {
        Routes::default()
            .get("/api/v1/openapi.json", Needs::AnyToken.anybody(), move || openapi_json(text.clone()))
            .get("/api/v1/docs", Needs::AnyToken.anybody(), move || docs(page.clone()))
    };
    let own = declared("".into(), "".into());
    let table: Vec<Route> = resources.table().iter().chain(own.table()).cloned().collect();
    let document = describe(&table);
    declared(document.to_string().into(), page::page(&document).into())
}

/// Fetch this document
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "document",
    description = "OpenAPI 3.1, as JSON.",
    responses((status = 200, description = "The document.", body = api::Json, content_type = "application/json", example = json!(examples::document()))),
)]
async fn openapi_json(text: Arc<str>) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (kind, text.to_string()).into_response()
}

/// Read this document
#[utoipa::path(
    get,
    path = "/api/v1/docs",
    tag = "document",
    description = "As a page for people: plain HTML without scripts.",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html", example = json!(examples::html()))),
)]
async fn docs(page: Arc<str>) -> Response {
    let policy = format!(
        "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        page::style_hash()
    );
    let mut response = Html(page.to_string()).into_response();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Describes the routes of a table.
pub(super) fn describe(table: &[Route]) -> Value {
    let mut document = Doc::openapi();
    let parts = [
        tasks::Doc::openapi(),
        leases::Doc::openapi(),
        agents::Doc::openapi(),
        pools::Doc::openapi(),
        rollouts::Doc::openapi(),
        dead_letters::Doc::openapi(),
        mailboxes::Doc::openapi(),
        breakers::Doc::openapi(),
        limits::Doc::openapi(),
        resources::Doc::openapi(),
        policies::Doc::openapi(),
        approvals::Doc::openapi(),
        events::Doc::openapi(),
        runs::Doc::openapi(),
        hooks::Doc::openapi(),
        nodes::Doc::openapi(),
        cluster::Doc::openapi(),
        tokens::Doc::openapi(),
        audit::Doc::openapi(),
        budgets::Doc::openapi(),
        access::Doc::openapi(),
        webhooks::Doc::openapi(),
        workspaces::Doc::openapi(),
    ];
    for part in parts {
        document.merge(part);
    }
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": "synod",
        "version": env!("CARGO_PKG_VERSION"),
        "description": DESCRIPTION,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "This node" }]);
    document["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer", "description": "A token, as `synod token create` makes it." },
    });
    document["security"] = json!([{ "token": [] }]);
    let optional = schemas_without_required(&document);
    for route in table {
        if let Some(operation) = operation(&mut document, route) {
            complete(operation, route, &optional);
        }
    }
    document
}

fn operation<'a>(document: &'a mut Value, route: &Route) -> Option<&'a mut Map<String, Value>> {
    let method = route.method.as_str().to_ascii_lowercase();
    document["paths"].get_mut(described_path(route.path))?.get_mut(method)?.as_object_mut()
}

/// Returns the path as the document writes it: there a parameter that takes slashes looks like any other.
pub(super) fn described_path(path: &str) -> String {
    path.replace("{*", "{")
}

/// Adds to an operation what holds for its like.
fn complete(operation: &mut Map<String, Value>, route: &Route, optional: &[String]) {
    let needs = match route.needs {
        Needs::Nothing => "nothing".to_owned(),
        Needs::AnyToken => "any token".to_owned(),
        Needs::Permission(permission) => permission.to_string(),
    };
    operation.insert("x-permission".to_owned(), json!(needs));
    let mut problems = vec![
        (400, "Invalid"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        // Any of these routes can be asked for another region, and that region may not exist.
        (404, "NotFound"),
        (408, "TooSlow"),
        (413, "TooLarge"),
        (429, "TooMany"),
        (500, "Internal"),
        (503, "Unavailable"),
    ];
    if route.method != Method::GET {
        problems.push((507, "NoSpace"));
    }
    if route.reads {
        let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(parameters) = parameters.as_array_mut() {
            parameters.push(json!({
                "name": "consistency",
                "in": "query",
                "required": false,
                "description": "`linearizable`, as of now, or `stale`, as the node that is asked has it; the header \
                                `synod-state-age-ms` says then how old that may be.",
                "schema": { "type": "string", "enum": ["linearizable", "stale"], "default": "linearizable" },
            }));
        }
    }
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut().filter(|_| route.again == Again::Once)
        && !parameters.iter().any(|one| one["name"] == KEY)
    {
        parameters.push(json!({
            "name": KEY,
            "in": "header",
            "required": false,
            "description": "The client's own name for this change: sent again under it, by whichever node, it counts \
                            once.",
            "example": "change-17",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        }));
    }
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        for (status, name) in problems {
            let reference = json!({ "$ref": format!("#/components/responses/{name}") });
            responses.entry(status.to_string()).or_insert(reference);
        }
        responses.sort_keys();
    }
    if let Some(body) = operation.get_mut("requestBody") {
        let schema = body["content"]["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
        // An empty body counts as an empty object.
        let may_be_left_out = optional.iter().any(|name| schema.ends_with(&format!("/{name}")));
        body["required"] = json!(!may_be_left_out);
    }
}

/// Returns the names of objects for which an empty one will do.
fn schemas_without_required(document: &Value) -> Vec<String> {
    let schemas = document["components"]["schemas"].as_object();
    let lenient = schemas
        .into_iter()
        .flatten()
        .filter(|(_, schema)| schema["type"] == "object" && schema.get("required").is_none());
    lenient.map(|(name, _)| name.clone()).collect()
}
