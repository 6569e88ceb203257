//! Every route needs what it declares, and nothing undeclared is answered.

use std::time::Duration;

use reqwest::Method;
use synod::http::{Needs, Routes, routes};
use synod::node::domain::command::Command;
use synod::node::domain::permission::{Permission, Permissions};
use synod::node::domain::time::Timestamp;

use crate::support::{Api, options, send};

/// Fills the parameters of a path with something that is nothing.
fn path(pattern: &str) -> String {
    let segments = pattern.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_route_but_liveness_needs_a_valid_token() {
    let api = Api::start().await;
    let (revoked, revoked_text) = api.token(Permissions::all(), None).await;
    let reason = "test".into();
    api.node.propose(Command::RevokeToken { token: revoked, reason }).await.unwrap();
    let soon = Timestamp::from_millis(api.node.now().as_millis() + 3_600_000);
    let (_, expired) = api.token(Permissions::all(), Some(soon)).await;
    let readyz = || send(api.bare(Method::GET, "/readyz").bearer_auth(&expired));
    assert_eq!(readyz().await.status, 200, "not expired yet");
    api.clock.advance(Duration::from_secs(3_601));
    let mut mistyped = api.admin.expose().to_owned();
    mistyped.truncate(mistyped.len() - 1);
    mistyped.push(if api.admin.expose().ends_with('x') { 'y' } else { 'x' });
    let invalid = ["garbage", "synod_admin_x", &mistyped, &revoked_text, &expired, ""];
    let mut looked_at = 0;
    for route in routes().table() {
        let bare = send(api.bare(route.method.clone(), &path(route.path))).await;
        if route.needs == Needs::Nothing {
            assert_eq!(bare.status, 200, "{route:?}");
            assert_eq!(route.path, "/healthz", "only liveness is open");
            continue;
        }
        looked_at += 1;
        bare.assert_problem_of_any_form(401, "Authentication required");
        assert_eq!(bare.header("www-authenticate"), "Bearer", "{route:?}");
        for token in invalid {
            let request = api
                .bare(route.method.clone(), &path(route.path))
                .header("authorization", format!("Bearer {token}"));
            let answer = send(request).await;
            assert_eq!(answer.status, 401, "{route:?} with {token:?}");
        }
        let basic =
            api.bare(route.method.clone(), &path(route.path)).basic_auth("admin", Some(api.admin.expose()));
        assert_eq!(send(basic).await.status, 401, "{route:?}");
    }
    assert!(looked_at > 0, "no route was looked at");
    api.stop().await;
}

#[tokio::test]
async fn a_token_that_allows_everything_but_what_a_route_needs_is_refused() {
    let api = Api::start().await;
    for permission in Permission::ALL {
        let others = Permission::ALL.into_iter().filter(|one| *one != permission).collect();
        let (_, text) = api.token(others, None).await;
        for route in routes().table().iter().filter(|route| route.needs == Needs::Permission(permission)) {
            let request = api.bare(route.method.clone(), &path(route.path)).bearer_auth(&text);
            let answer = send(request).await;
            answer.assert_problem_of_any_form(403, "Permission denied");
        }
    }
    api.stop().await;
}

#[tokio::test]
async fn a_route_takes_the_tokens_that_allow_what_it_declares_and_no_others() {
    async fn done() -> &'static str {
        "done"
    }
    // For ever, as a route's path is; this is a test.
    let path = |permission: Permission| -> &'static str { Box::leak(format!("/{permission}").into()) };
    let add = |all: Routes, one| all.get(path(one), Needs::Permission(one), done);
    let api = Api::serving(options(), Permission::ALL.into_iter().fold(Routes::default(), add)).await;
    for held in Permission::ALL {
        let (_, token) = api.token([held].into_iter().collect(), None).await;
        for needed in Permission::ALL {
            let request = api.bare(Method::GET, &format!("/{needed}")).bearer_auth(&token);
            let answer = send(request).await;
            if held == needed {
                assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "done"), "{held}");
            } else {
                answer.assert_problem(403, "not_allowed");
            }
        }
    }
    api.stop().await;
}

#[tokio::test]
async fn what_is_not_declared_is_refused_without_a_token_and_unknown_with_one() {
    let api = Api::start().await;
    for undeclared in ["/", "/api", "/api/v1", "/api/v1/nothing", "/healthz/x", "/metrics", "//readyz"] {
        let methods =
            [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
        for method in methods {
            assert_eq!(send(api.bare(method.clone(), undeclared)).await.status, 401, "{method} {undeclared}");
            let known = send(api.call(method.clone(), undeclared)).await;
            assert!(matches!(known.status.as_u16(), 404 | 405), "{method} {undeclared}: {known:?}");
        }
    }
    for method in [Method::TRACE, Method::OPTIONS, Method::DELETE] {
        send(api.bare(method.clone(), "/readyz")).await.assert_problem(401, "no_token");
        let known = send(api.call(method, "/readyz")).await;
        known.assert_problem(405, "no_method");
        assert!(known.header("allow").contains("GET"));
    }
    api.stop().await;
}

#[tokio::test]
async fn no_route_is_declared_twice() {
    let routes = routes();
    let mut seen = std::collections::BTreeSet::new();
    for route in routes.table() {
        assert!(seen.insert((route.method.to_string(), route.path)), "{route:?}");
    }
}

#[tokio::test]
async fn an_answer_names_its_request_and_may_not_be_kept_nor_shown_in_a_page() {
    let api = Api::start().await;
    let given = api.call(Method::GET, "/readyz").header("x-request-id", "mine");
    let answer = send(given).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "ready"));
    assert!(answer.header("x-request-id").starts_with("req_"), "a client's own is not trusted: {answer:?}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("access-control-allow-origin", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_ne!(api.get("/readyz").await.header("x-request-id"), answer.header("x-request-id"));
    api.get("/nothing").await.assert_problem(404, "no_route");
    api.stop().await;
}
