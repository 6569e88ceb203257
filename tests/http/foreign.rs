//! Host, Origin and method: what a foreign web page causes is refused, whatever it asks for.

use reqwest::Method;
use synod::http::{Context, Needs, Routes};

use crate::support::{Api, options, raw, send};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Sends a request line with headers as they are, and returns the status.
async fn status(api: &Api, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let answer = raw(&mut api.connect().await, format!("{head}\r\n").as_bytes()).await;
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused_on_every_method_even_with_a_token() {
    let mut options = options();
    options.hosts = vec!["synod.example".to_owned(), "proxy.example:8443".to_owned()];
    options.origins = vec!["https://console.example".to_owned()];
    let api = Api::with(options).await;
    let port = api.server.address().port();
    let bearer = format!("Bearer {}", api.admin.expose());
    let own = format!("127.0.0.1:{port}");
    let localhost = format!("localhost:{port}");
    let named = format!("synod.example:{port}");
    let hosts = [
        (own.as_str(), true),
        (&localhost, true),
        ("127.0.0.1", true),
        (&named, true),
        ("proxy.example:8443", true),
        ("proxy.example", false),
        ("localhost:1", false),
        ("evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("", false),
    ];
    let same = |host: &str| format!("http://{host}");
    for (host, host_fits) in hosts {
        let origins = [
            (None, true),
            (Some(same(host)), true),
            (Some("https://console.example".to_owned()), true),
            (Some("null".to_owned()), false),
            (Some("http://evil.example".to_owned()), false),
            (Some("http://localhost:3000".to_owned()), false),
        ];
        for (origin, origin_fits) in origins {
            for method in METHODS {
                for path in ["/readyz", "/healthz", "/nothing"] {
                    let mut headers = vec![("host", host), ("authorization", bearer.as_str())];
                    headers.extend(origin.as_deref().map(|origin| ("origin", origin)));
                    let got = status(&api, method, path, &headers).await;
                    let fits = host_fits && origin_fits;
                    assert_eq!(got == 403, !fits, "{method} {path}, Host {host:?}, Origin {origin:?}: {got}");
                }
            }
        }
    }
    api.stop().await;
}

#[tokio::test]
async fn a_host_must_be_there_exactly_once() {
    let api = Api::start().await;
    let own = api.server.address().to_string();
    assert_eq!(status(&api, "GET", "/healthz", &[]).await, 403);
    assert_eq!(status(&api, "GET", "/healthz", &[("host", &own), ("host", &own)]).await, 403);
    assert_eq!(status(&api, "GET", "http://evil.example/healthz", &[("host", &own)]).await, 403);
    assert_eq!(status(&api, "GET", "/healthz", &[("host", &own)]).await, 200);
    api.stop().await;
}

#[tokio::test]
async fn what_another_site_causes_is_refused_unless_it_only_reads() {
    let api = Api::start().await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let request = api.call(method.clone(), "/readyz").header("sec-fetch-site", "cross-site");
        send(request).await.assert_problem(403, "origin_refused");
        let request = api.call(method, "/readyz").header("sec-fetch-site", "none");
        send(request).await.assert_problem(405, "no_method");
    }
    let read = api.call(Method::GET, "/readyz").header("sec-fetch-site", "cross-site");
    assert_eq!(send(read).await.status, 200);
    api.stop().await;
}

/// Answers each message of a WebSocket with itself.
async fn echo(upgrade: axum::extract::ws::WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

#[tokio::test]
async fn a_websocket_opens_for_whom_a_request_is_answered_and_for_nobody_else() {
    let routes: fn() -> Routes = || Routes::default().get("/echo", Needs::AnyToken.long(), echo);
    let api = Api::serving(options(), routes()).await;
    let own = api.server.address().to_string();
    let bearer = format!("Bearer {}", api.admin.expose());
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let evil = ("origin", "http://evil.example");
    let cases: [(&[(&str, &str)], u16); 4] = [
        (&[("host", &own)], 401),
        (&[("host", "evil.example"), ("authorization", &bearer)], 403),
        (&[("host", &own), ("authorization", &bearer), evil], 403),
        (&[("host", &own), ("authorization", &bearer), ("origin", "null")], 403),
    ];
    for (headers, expected) in cases {
        let headers: Vec<_> = upgrade.iter().chain(headers).copied().collect();
        assert_eq!(status(&api, "GET", "/echo", &headers).await, expected, "{headers:?}");
    }

    let mut head = format!("GET /echo HTTP/1.1\r\nhost: {own}\r\nauthorization: {bearer}\r\n");
    for (name, value) in upgrade {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut bytes = format!("{head}\r\n").into_bytes();
    // One masked text, "hi", and a close; the mask is zero.
    bytes.extend([0x81, 0x82, 0, 0, 0, 0, b'h', b'i', 0x88, 0x80, 0, 0, 0, 0]);
    let answer = raw(&mut api.connect().await, &bytes).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("\u{2}hi"), "{answer:?}");
    api.stop().await;
}

#[tokio::test]
async fn a_panic_is_one_failed_request() {
    async fn bad(_: axum::extract::State<Context>) -> &'static str {
        panic!("on purpose")
    }
    let routes = Routes::default().get("/bad", Needs::AnyToken, bad).merge(synod::http::routes());
    let api = Api::serving(options(), routes).await;
    let answer = api.get("/bad").await;
    answer.assert_problem(500, "internal");
    assert!(!answer.body.contains("on purpose"), "what failed is for the log");
    assert_eq!(api.get("/readyz").await.status, 200);
    api.stop().await;
}
