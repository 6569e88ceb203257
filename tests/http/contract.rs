//! The document and the routes: they describe the same, with permissions, schemas and examples that fit.

#[path = "contract/schema.rs"]
mod schema;

use std::collections::BTreeSet;

use serde_json::Value;
use synod::http::{Again, Needs, native};

use crate::support::Api;

/// One operation of the document, with its place.
struct Operation<'a> {
    place: String,
    operation: &'a Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push(Operation { place: format!("{} {path}", method.to_uppercase()), operation });
        }
    }
    all
}

fn described_places(document: &Value) -> BTreeSet<String> {
    operations(document).into_iter().map(|operation| operation.place).collect()
}

fn declared_places() -> BTreeSet<String> {
    let routes = native::routes();
    routes.table().iter().map(|route| format!("{} {}", route.method, route.path.replace("{*", "{"))).collect()
}

/// Returns the examples of one kind of content.
fn examples(content: &Value) -> Vec<Value> {
    let named = content["examples"].as_object().into_iter().flatten().map(|(_, one)| one["value"].clone());
    named.chain(content.get("example").cloned()).collect()
}

/// Follows a reference, if it is one.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

#[test]
fn document_and_routes_name_the_same_operations() {
    assert_eq!(described_places(&native::document()), declared_places());
}

#[test]
fn every_operation_says_what_it_does_and_what_it_needs() {
    let document = native::document();
    let routes = native::routes();
    for route in routes.table() {
        let path = route.path.replace("{*", "{");
        let operation = &document["paths"][&path][route.method.as_str().to_lowercase()];
        let needs = match route.needs {
            Needs::Nothing => panic!("{path}: only liveness needs nothing"),
            Needs::AnyToken => "any token".to_owned(),
            Needs::Permission(permission) => permission.to_string(),
        };
        assert_eq!(operation["x-permission"], needs, "{path}");
        for field in ["summary", "description", "operationId"] {
            let text = operation[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{} {path} has no {field}", route.method);
        }
    }
    let ids: Vec<&Value> =
        operations(&document).into_iter().map(|one| &one.operation["operationId"]).collect();
    let unique: BTreeSet<&str> = ids.iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(unique.len(), ids.len(), "operation ids are unique");
}

#[test]
fn the_document_names_the_key_where_a_change_counts_once_under_it_and_nowhere_else() {
    let document = native::document();
    let routes = native::routes();
    let (mut once, mut unknown) = (0, Vec::new());
    for route in routes.table() {
        let path = route.path.replace("{*", "{");
        let operation = &document["paths"][&path][route.method.as_str().to_lowercase()];
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let keys = parameters.filter(|one| one["name"] == "Idempotency-Key" && one["in"] == "header").count();
        assert_eq!(keys, usize::from(route.again == Again::Once), "{} {path}", route.method);
        match route.again {
            Again::Once => once += 1,
            Again::Freely => {}
            Again::Unknown => unknown.push(format!("{} {path}", route.method)),
        }
    }
    assert!(once > 30, "{once}");
    unknown.sort();
    // Each of them draws a secret, or is no proposal; the client does not repeat them.
    let expected = [
        "POST /api/v1/agents/{id}/restart",
        "POST /api/v1/cluster/join-tokens",
        "POST /api/v1/cluster/keyring",
        "POST /api/v1/cluster/leave",
        "POST /api/v1/cluster/region-keyring",
        "POST /api/v1/cluster/transfer",
        "POST /api/v1/tokens",
        "POST /api/v1/tokens/{id}/rotate",
        "POST /api/v1/webhooks",
        "POST /api/v1/webhooks/{id}/rotate",
    ];
    assert_eq!(unknown, expected);
}

#[test]
fn every_body_and_every_answer_has_a_schema_and_an_example() {
    let document = native::document();
    for Operation { place, operation } in operations(&document) {
        if let Some(body) = operation.get("requestBody") {
            for (kind, content) in body["content"].as_object().unwrap() {
                assert!(content.get("schema").is_some(), "{place}: the body as {kind} has no schema");
                assert!(!examples(content).is_empty(), "{place}: the body as {kind} has no example");
            }
        }
        let responses = operation["responses"].as_object().unwrap();
        let good = responses.keys().filter(|status| status.starts_with('1') || status.starts_with('2'));
        assert!(good.count() > 0, "{place}: no answer is a good one");
        for (status, response) in responses {
            let response = resolved(&document, response);
            let Some(contents) = response.get("content").and_then(Value::as_object) else {
                assert!(["204", "304"].contains(&status.as_str()), "{place}: {status} has no body");
                continue;
            };
            for (kind, content) in contents {
                assert!(content.get("schema").is_some(), "{place}: {status} as {kind} has no schema");
                assert!(!examples(content).is_empty(), "{place}: {status} as {kind} has no example");
                let is_problem = status.starts_with('4') || status.starts_with('5');
                assert_eq!(kind == "application/problem+json", is_problem, "{place}: {status} as {kind}");
            }
        }
        for status in ["400", "401", "403", "404", "429", "500", "503"] {
            assert!(responses.contains_key(status), "{place} does not say that it may answer {status}");
        }
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = native::document();
    let mut checked = 0;
    for Operation { place, operation } in operations(&document) {
        let responses = operation["responses"].as_object().unwrap().values();
        let bodies =
            responses.map(|response| resolved(&document, response)).chain(operation.get("requestBody"));
        for body in bodies {
            for content in body["content"].as_object().into_iter().flatten().map(|(_, content)| content) {
                for example in examples(content) {
                    let errors = schema::errors(&document, &content["schema"], &example);
                    assert!(errors.is_empty(), "{place}: {errors:#?}\n{example:#}");
                    checked += 1;
                }
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{place}: {parameter}");
            if let Some(example) = parameter.get("example") {
                let errors = schema::errors(&document, &parameter["schema"], example);
                assert!(errors.is_empty(), "{place}: {errors:#?}\n{parameter:#}");
            }
        }
    }
    assert!(checked > 100, "only {checked} examples were looked at");
}

#[test]
fn document_is_of_the_version_it_says_and_refers_to_nothing_that_is_not_there() {
    let document = native::document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} is not there");
    }
}

#[tokio::test]
async fn document_and_page_are_served_to_whoever_has_a_token() {
    let api = Api::start().await;
    let served = api.get("/api/v1/openapi.json").await;
    assert_eq!((served.status.as_u16(), served.header("content-type")), (200, "application/json"));
    assert_eq!(served.json(), native::document());
    let page = api.get("/api/v1/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("style-src 'sha256-"), "{page:?}");
    assert!(!page.body.contains("<script"));
    for place in declared_places() {
        let path = place.split(' ').nth(1).unwrap();
        assert!(page.body.contains(path), "{path} is not on the page");
    }
    crate::support::send(api.bare(reqwest::Method::GET, "/api/v1/docs"))
        .await
        .assert_problem(401, "no_token");
    api.stop().await;
}

/// Returns the codes of problems as the sources name them.
fn codes_in_code() -> BTreeSet<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut codes = BTreeSet::new();
    let is_code =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let mut folders = vec![root.join("src/http")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.ends_with("compat") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for part in text.split("StatusCode::").skip(1) {
                    // `StatusCode::CONFLICT, "code", …`, or a `match` of codes in place of the code.
                    let rest = part.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '_');
                    let Some(rest) = rest.trim_start().strip_prefix(',') else { continue };
                    let rest = rest.trim_start();
                    let end = if rest.starts_with("match") { '}' } else { ',' };
                    let named = rest.split(end).next().unwrap();
                    codes.extend(
                        named.split('"').skip(1).step_by(2).filter(|code| is_code(code)).map(str::to_owned),
                    );
                }
                for part in text.split("not_found(\"").skip(1) {
                    codes.extend(part.split('"').next().filter(|code| is_code(code)).map(str::to_owned));
                }
            }
        }
    }
    for file in ["domain/src/refusal.rs", "domain/src/hook.rs", "src/hooks/error.rs"] {
        let refusals = std::fs::read_to_string(root.join(file)).unwrap();
        let body = refusals.split("fn code(").nth(1).unwrap().split("pub const fn").next().unwrap();
        codes.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    codes
}

#[test]
fn table_of_errors_in_the_documentation_is_complete() {
    let guide = include_str!("../../docs/API.md");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let told: BTreeSet<String> = rows
        .filter(|(_, rest)| rest.trim_start_matches(" | ").starts_with(|c: char| c.is_ascii_digit()))
        .map(|(code, _)| code.to_owned())
        .collect();
    assert_eq!(told, codes_in_code());
}
