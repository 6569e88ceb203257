//! Bounds: size, depth, time, rate, connections, streams.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::extract::State;
use reqwest::Method;
use serde_json::{Value, json};
use synod::http::{Caller, Context, Needs, Problem, Rate, Routes, read_json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, Api, options, raw, send};

async fn echo(bytes: axum::body::Bytes) -> Result<String, Problem> {
    read_json::<Value>(&bytes).map(|value| value.to_string())
}

async fn never() -> &'static str {
    std::future::pending().await
}

/// Holds a stream open until the server stops.
async fn stream(State(context): State<Context>, caller: Caller) -> Result<&'static str, Problem> {
    let _permit = context.stream_permit(&caller)?;
    context.stopping().await;
    Ok("ended")
}

fn own_routes() -> Routes {
    Routes::default()
        .post("/echo", Needs::AnyToken, echo)
        .post("/long-echo", Needs::AnyToken.long(), echo)
        .get("/never", Needs::AnyToken, never)
        .get("/stream", Needs::AnyToken.long(), stream)
        .merge(synod::http::routes())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_its_length_is_told_or_not() {
    let mut options = options();
    options.api.body_bytes = 1_000;
    let api = Api::serving(options, own_routes()).await;
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let fits = send(api.call(Method::POST, "/echo").body(text(1_000))).await;
    assert_eq!((fits.status.as_u16(), fits.body.len()), (200, 1_000));
    send(api.call(Method::POST, "/echo").body(text(1_001))).await.assert_problem(413, "too_large");
    let chunked = format!(
        "POST /echo HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n",
        api.server.address(),
        api.admin.expose(),
        text(1_001)
    );
    let answer = raw(&mut api.connect().await, chunked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    api.stop().await;
}

#[tokio::test]
async fn a_body_is_not_read_for_who_may_not_send_it() {
    let api = Api::serving(options(), own_routes()).await;
    // The body is announced and never sent: whoever waited for it would wait for long.
    let head = format!(
        "POST /echo HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n",
        api.server.address()
    );
    let answer = raw(&mut api.connect().await, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    api.stop().await;
}

#[tokio::test]
async fn json_nested_too_deeply_is_refused() {
    let api = Api::serving(options(), own_routes()).await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(send(api.call(Method::POST, "/echo").body(nested(64))).await.body, nested(64));
    send(api.call(Method::POST, "/echo").body(nested(65))).await.assert_problem(400, "invalid");
    send(api.call(Method::POST, "/echo").body(nested(100_000))).await.assert_problem(400, "invalid");
    assert_eq!(
        send(api.call(Method::POST, "/echo")).await.body,
        json!({}).to_string(),
        "an empty body is {{}}"
    );
    api.stop().await;
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let api = Api::start().await;
    let head = |length: usize| {
        let host = api.server.address();
        format!(
            "GET /healthz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx: {}\r\n\r\n",
            "x".repeat(length)
        )
    };
    for (length, status) in [(31 << 10, "200"), (33 << 10, "431"), (1 << 20, "431")] {
        let answer = raw(&mut api.connect().await, head(length).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
    }
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let many = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n{many}\r\n", api.server.address());
    let answer = raw(&mut api.connect().await, many.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    api.stop().await;
}

#[tokio::test]
async fn who_does_not_finish_a_head_or_a_body_is_cut_off() {
    let mut options = options();
    options.head_patience = Duration::from_millis(50);
    options.api.timeout = Duration::from_millis(50);
    let api = Api::serving(options, own_routes()).await;
    let host = api.server.address();
    // The server closes: `raw` returns.
    assert_eq!(raw(&mut api.connect().await, b"").await, "");
    raw(&mut api.connect().await, b"GET /healthz HTTP/1.1\r\nhost: ").await;
    let bearer = api.admin.expose();
    for path in ["/echo", "/long-echo"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {bearer}\r\ncontent-length: 9\r\n\r\n{{"
        );
        let answer = raw(&mut api.connect().await, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("slow_body"), "{path}: {answer}");
    }
    api.get("/never").await.assert_problem(503, "timed_out");
    api.stop().await;
}

#[tokio::test]
async fn a_token_that_asks_too_often_is_told_when_to_ask_again_and_others_are_not_held_up() {
    let one = NonZeroU32::MIN;
    let mut options = options();
    options.api.requests = Rate { per_second: one, burst: one };
    let api = Api::with(options).await;
    assert_eq!(api.get("/readyz").await.status, 200);
    let answer = api.get("/readyz").await;
    answer.assert_problem(429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.json()["retry_after_ms"].as_u64().is_some_and(|wait| (1..=1_000).contains(&wait)));
    let (_, other) = api.token("nodes:read".parse().unwrap(), None).await;
    assert_eq!(send(api.bare(Method::GET, "/readyz").bearer_auth(other)).await.status, 200);
    api.stop().await;
}

#[tokio::test]
async fn guessing_tokens_is_slowed_down_and_a_valid_one_of_the_same_address_is_not() {
    let mut options = options();
    options.api.failures = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(3).unwrap() };
    let api = Api::with(options).await;
    for _ in 0..3 {
        assert_eq!(send(api.bare(Method::GET, "/readyz").bearer_auth("guess")).await.status, 401);
    }
    let answer = send(api.bare(Method::GET, "/readyz").bearer_auth("guess")).await;
    answer.assert_problem(429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(api.get("/readyz").await.status, 200);
    api.stop().await;
}

#[tokio::test]
async fn over_its_bound_a_connection_is_told_so_and_closed() {
    let mut options = options();
    options.connections = 1;
    let api = Api::with(options).await;
    let mut held = api.connect().await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", api.server.address());
    held.write_all(head.as_bytes()).await.unwrap();
    held.read_u8().await.unwrap();
    let answer = raw(&mut api.connect().await, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"), "{answer}");
    drop(held);
    // The place is free as soon as the server has seen the end.
    loop {
        let closing = head.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        let answer = raw(&mut api.connect().await, closing.as_bytes()).await;
        if answer.starts_with("HTTP/1.1 200 ") {
            break;
        }
        tokio::task::yield_now().await;
    }
    api.stop().await;
}

#[tokio::test]
async fn one_token_holds_so_many_streams_and_gets_the_place_of_one_that_ended() {
    let mut options = options();
    options.api.streams_per_token = 1;
    let api = Api::serving(options, own_routes()).await;
    let mut held = api.connect().await;
    let head = format!(
        "GET /stream HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
        api.server.address(),
        api.admin.expose()
    );
    held.write_all(head.as_bytes()).await.unwrap();
    // The stream is open when another one is refused; until then the other one lasts.
    let other = || api.call(Method::GET, "/stream").timeout(Duration::from_millis(20)).send();
    let refused = loop {
        if let Ok(answer) = other().await {
            break Answer::read(answer).await;
        }
    };
    refused.assert_problem(429, "too_many_streams");
    drop(held);
    // Its place is free as soon as the server has seen the end.
    while !other().await.is_err_and(|error| error.is_timeout()) {
        tokio::task::yield_now().await;
    }
    api.stop().await;
}
