//! Events: heard as they happen, resumed without loss, by stream and by WebSocket.

use std::collections::VecDeque;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use synod::http::server;
use synod::node::domain::id::TokenId;
use synod::node::domain::permission::Permissions;
use synod::node::domain::time::Timestamp;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{Api, PATIENCE, options, raw, send};

/// One event of a stream, as it was written.
#[derive(Debug, Default, Clone, PartialEq)]
struct Heard {
    id: String,
    kind: String,
    data: Value,
}

/// An open stream of server-sent events.
struct Stream {
    response: Response,
    text: String,
    heard: VecDeque<Heard>,
}

impl Stream {
    async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new(), heard: VecDeque::new() }
    }

    /// Waits for the next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Heard> {
        let read = async {
            loop {
                if let Some(heard) = self.heard.pop_front() {
                    return Some(heard);
                }
                // A stream that is cut off has not ended.
                let chunk = self.response.chunk().await.expect("the stream is whole")?;
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
                while let Some((frame, rest)) = self.text.split_once("\n\n") {
                    let mut heard = Heard::default();
                    for line in frame.lines() {
                        match line.split_once(": ") {
                            Some(("id", text)) => heard.id = text.to_owned(),
                            Some(("event", text)) => heard.kind = text.to_owned(),
                            Some(("data", text)) => heard.data = serde_json::from_str(text).unwrap(),
                            _ => {}
                        }
                    }
                    if !heard.kind.is_empty() {
                        self.heard.push_back(heard);
                    }
                    self.text = rest.to_owned();
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an event comes, or an end")
    }

    /// Waits for so many events.
    async fn take(&mut self, count: usize) -> Vec<Heard> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.next().await.expect("an event"));
        }
        all
    }
}

fn events(api: &Api, query: &str) -> RequestBuilder {
    api.call(Method::GET, &format!("/api/v1/events?{query}"))
}

#[tokio::test]
async fn event_carries_its_place_its_type_and_what_it_is_about() {
    let api = Api::start().await;
    let mut stream = Stream::open(events(&api, "")).await;
    let id = api.submit_any("a").await;
    let heard = stream.next().await.unwrap();
    assert_eq!(heard.kind, "task_submitted");
    assert_eq!(heard.data["id"], json!(heard.id));
    assert_eq!(
        (&heard.data["type"], &heard.data["workspace"]),
        (&json!("task_submitted"), &json!("default"))
    );
    let data = json!({ "task": id, "workspace": "default", "kind": "a", "mailbox": "open", "lane": "normal", "run": null });
    assert_eq!(heard.data["data"], data);
    api.stop().await;
}

#[tokio::test]
async fn last_event_id_resumes_without_loss() {
    let api = Api::start().await;
    let mut whole = Stream::open(events(&api, "")).await;
    let first = api.submit_any("a").await;
    let seen = whole.next().await.unwrap();
    assert_eq!(seen.data["data"]["task"], json!(first));
    drop(whole);
    // While nobody listens: several entries, one of which tells several things.
    let agent = api.agent("worker", &[]).await;
    for _ in 0..3 {
        api.submit_any("b").await;
    }
    api.claim(&agent, 3).await;
    let mut by_header = Stream::open(events(&api, "").header("Last-Event-ID", &seen.id)).await;
    let missed = by_header.take(10).await;
    let kinds: Vec<&str> = missed.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "task_submitted").count(), 3, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "task_leased").count(), 3, "{kinds:?}");
    // From the middle of an entry on, too.
    for at in 0..missed.len() - 1 {
        let mut resumed = Stream::open(events(&api, &format!("after={}", missed[at].id))).await;
        assert_eq!(resumed.take(missed.len() - at - 1).await, missed[at + 1..], "behind {}", missed[at].id);
    }
    api.stop().await;
}

#[tokio::test]
async fn who_asks_for_events_that_are_not_kept_is_told_that_some_are_missed() {
    let api = Api::start().await;
    let id = api.submit_any("a").await;
    let mut stream = Stream::open(events(&api, "after=0.0&type=task_submitted")).await;
    let missed = stream.next().await.unwrap();
    assert_eq!((missed.kind.as_str(), missed.id.as_str()), ("missed", ""));
    assert!(missed.data["resumed_at"].is_string(), "{missed:?}");
    let next = stream.next().await.unwrap();
    assert_eq!(next.data["data"]["task"], json!(id), "then it goes on with what is kept");
    api.stop().await;
}

#[tokio::test]
async fn filters_leave_what_is_meant() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let mut of_type = Stream::open(events(&api, "type=task_ended,task_started")).await;
    let mut of_workspace = Stream::open(events(&api, "workspace=w")).await;
    let mut of_agent = Stream::open(events(&api, &format!("resource={agent}&type=task_leased"))).await;
    let other = api.submit_any("a").await;
    let wanted = api.submit(&json!({ "type": "b", "workspace": "w", "priority": "high" })).await;
    let mut of_task = Stream::open(events(&api, &format!("resource={wanted}"))).await;
    api.claim(&agent, 2).await;
    api.post(&format!("/api/v1/tasks/{wanted}/complete"), &json!({ "attempt": 1 })).await;
    api.post(&format!("/api/v1/tasks/{other}/complete"), &json!({ "attempt": 1 })).await;
    let kinds = |heard: Vec<Heard>| heard.into_iter().map(|one| one.kind).collect::<Vec<_>>();
    assert_eq!(kinds(of_type.take(4).await), ["task_started", "task_started", "task_ended", "task_ended"]);
    assert_eq!(
        kinds(of_workspace.take(4).await),
        ["task_submitted", "task_leased", "task_started", "task_ended"]
    );
    assert_eq!(kinds(of_task.take(3).await), ["task_leased", "task_started", "task_ended"]);
    let leased = of_agent.take(2).await;
    assert_eq!(
        (&leased[0].data["data"]["task"], &leased[1].data["data"]["task"]),
        (&json!(wanted), &json!(other))
    );
    for wrong in ["type=task_flown", "after=x", "colour=red", "workspace=a%20b"] {
        send(events(&api, wrong)).await.assert_problem(400, "invalid");
    }
    api.stop().await;
}

#[tokio::test]
async fn stream_ends_with_the_token_it_was_opened_with() {
    let api = Api::start().await;
    let (id, secret) = api.token("events:read".parse::<Permissions>().unwrap(), None).await;
    let request = api.bare(Method::GET, "/api/v1/events").bearer_auth(secret);
    let mut stream = Stream::open(request).await;
    api.submit_any("a").await;
    assert_eq!(stream.next().await.unwrap().kind, "task_submitted");
    api.delete(&format!("/api/v1/tokens/{id}")).await;
    assert_eq!(stream.next().await, None);
    api.stop().await;
}

/// Opens a stream with a token of its own, and waits until it is heard on.
async fn stream_of_a_token(api: &Api, expires_at: Option<Timestamp>) -> (TokenId, Stream) {
    let (id, secret) = api.token("events:read".parse::<Permissions>().unwrap(), expires_at).await;
    let request = api.bare(Method::GET, "/api/v1/events").bearer_auth(secret);
    let mut stream = Stream::open(request).await;
    api.submit_any("a").await;
    assert_eq!(stream.next().await.unwrap().kind, "task_submitted");
    (id, stream)
}

#[tokio::test]
async fn stream_goes_on_while_its_secret_is_taken_and_ends_when_it_is_rotated_away() {
    let api = Api::start().await;
    let (id, mut stream) = stream_of_a_token(&api, None).await;
    let rotate = async |body: Value| {
        let answer = api.post(&format!("/api/v1/tokens/{id}/rotate"), &body).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:#?}");
    };
    rotate(json!({ "keep_old_ms": 3_600_000 })).await;
    assert_eq!(stream.next().await.unwrap().kind, "token_rotated");
    rotate(json!({})).await;
    assert_eq!(stream.next().await, None);
    api.stop().await;
}

#[tokio::test]
async fn stream_of_a_token_that_has_expired_tells_no_more() {
    let api = Api::start().await;
    let hour = Duration::from_secs(3600);
    let (_, mut stream) = stream_of_a_token(&api, Some(api.node.now().after(hour))).await;
    api.clock.advance(hour);
    api.submit_any("b").await;
    assert_eq!(stream.next().await, None);
    api.stop().await;
}

#[tokio::test]
async fn stream_ends_when_its_token_expires_though_nothing_happens() {
    let api = Api::start().await;
    let soon = api.node.now().after(Duration::from_secs(2));
    let (_, mut stream) = stream_of_a_token(&api, Some(soon)).await;
    assert_eq!(stream.next().await, None);
    assert!(api.node.now() >= soon);
    api.stop().await;
}

#[tokio::test]
async fn stream_ends_when_the_server_stops_and_tokens_hold_only_so_many_open() {
    let mut options = options();
    options.api.streams_per_token = 1;
    let api = Api::with(options).await;
    let mut stream = Stream::open(events(&api, "")).await;
    let refused = send(events(&api, "")).await;
    refused.assert_problem(429, "too_many_streams");
    assert_eq!(refused.header("retry-after"), "1");
    let ((), end) = tokio::join!(api.stop(), stream.next());
    assert_eq!(end, None);
}

/// A WebSocket of a listener.
pub(crate) type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn websocket(api: &Api, query: &str) -> Result<Socket, Error> {
    listen(api, &format!("/api/v1/events/ws?{query}"), api.admin.expose()).await
}

/// Opens a WebSocket in the name of a token.
pub(crate) async fn listen(api: &Api, path: &str, secret: &str) -> Result<Socket, Error> {
    let url = format!("ws://{}{path}", api.server.address());
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {secret}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

#[tokio::test]
async fn websocket_tells_the_same_events_and_answers_pings() {
    let api = Api::start().await;
    let mut stream = Stream::open(events(&api, "")).await;
    let id = api.submit_any("a").await;
    let heard = stream.next().await.unwrap();
    let mut socket = websocket(&api, "after=0.0&type=task_submitted").await.unwrap();
    socket.send(Message::Ping("hello".into())).await.unwrap();
    let (mut texts, mut ponged) = (Vec::new(), false);
    while texts.len() < 2 || !ponged {
        let message =
            tokio::time::timeout(PATIENCE, socket.next()).await.expect("a message").unwrap().unwrap();
        match message {
            Message::Text(text) => texts.push(serde_json::from_str::<Value>(&text).unwrap()),
            Message::Pong(bytes) => ponged = &bytes[..] == b"hello",
            _ => {}
        }
    }
    assert_eq!(texts[0]["type"], "missed");
    assert_eq!((&texts[1], &texts[1]["data"]["task"]), (&heard.data, &json!(id)));
    api.stop().await;
}

#[tokio::test]
async fn request_that_is_no_upgrade_is_refused() {
    let api = Api::start().await;
    api.get("/api/v1/events/ws").await.assert_problem(400, "invalid");
    let refused = websocket(&api, "colour=red").await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status().as_u16() == 400));
    api.stop().await;
}

#[tokio::test]
async fn websocket_takes_the_place_of_a_connection_until_it_is_closed() {
    let options = server::Options { connections: 1, ..options() };
    let api = Api::with(options).await;
    let socket = websocket(&api, "").await.unwrap();
    let refused = raw(&mut api.connect().await, b"").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    drop(socket);
    // It is noticed at once that it is gone; a moment later there is room.
    let again = async {
        while websocket(&api, "").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("there is room again");
    api.stop().await;
}

#[tokio::test]
async fn websocket_is_told_that_the_server_stops() {
    let options = server::Options { drain: PATIENCE * 10, ..options() };
    let api = Api::with(options).await;
    let mut socket = websocket(&api, "").await.unwrap();
    let node = api.node.clone();
    let ((), told) = tokio::join!(api.stop(), socket.next());
    assert!(matches!(told, Some(Ok(Message::Ping(_) | Message::Close(_)))), "{told:?}");
    assert_eq!(std::sync::Arc::strong_count(&node), 1, "something of the server still holds the node");
}
