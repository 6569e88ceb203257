//! The event stream.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use synod::http::{context, server};
use synod::node::domain::permission::Permissions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Plane;
use crate::support::{self, Api, PATIENCE, raw};

/// A WebSocket, as far as a listener needs one (RFC 6455).
struct Listener(TcpStream);

impl Listener {
    async fn connect(plane: &Plane, path: &str) -> Self {
        Self::connect_as(plane, path, plane.api.admin.expose()).await
    }

    async fn connect_as(plane: &Plane, path: &str, token: &str) -> Self {
        let mut stream = plane.api.connect().await;
        let request = request(plane, path, &format!("Authorization: Bearer {token}\r\n"));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self(stream)
    }

    /// Reads a frame of the server, which is not masked; `None` when it closes.
    async fn next(&mut self) -> Option<Value> {
        let read = async {
            let first = self.0.read_u8().await.unwrap();
            let length = match self.0.read_u8().await.unwrap() {
                126 => u64::from(self.0.read_u16().await.unwrap()),
                127 => self.0.read_u64().await.unwrap(),
                length => u64::from(length),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.unwrap();
            (first & 15, payload)
        };
        match tokio::time::timeout(PATIENCE, read).await.expect("a frame") {
            (1, payload) => Some(serde_json::from_slice(&payload).unwrap()),
            (8, _) => None,
            (other, _) => panic!("a frame of kind {other}"),
        }
    }

    /// Reads a frame of this type and returns its data.
    async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.next().await.expect("a frame");
        assert_eq!(frame["type"], kind, "{frame}");
        assert!(frame["timestamp"].is_f64(), "{frame}");
        frame["data"].clone()
    }

    /// Sends a text, masked as clients must; a mask of zeros changes nothing.
    async fn say(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 126);
        let frame = [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat();
        self.0.write_all(&frame).await.unwrap();
    }
}

fn request(plane: &Plane, path: &str, headers: &str) -> String {
    let host = plane.api.server.address();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

#[tokio::test]
async fn listeners_hear_what_happens_in_order_on_every_path() {
    let plane = Plane::start().await;
    let mut listeners = Vec::new();
    for path in ["/api/control-plane/stream", "/api/v1/control-plane/stream", "/ws/control-plane"] {
        let mut listener = Listener::connect(&plane, path).await;
        assert_eq!(
            listener.expect("connected").await,
            json!({"message": "Connected to control plane stream"})
        );
        listeners.push(listener);
    }
    let said = json!({"agent_id": "a", "capabilities": ["x"], "model": "m", "provider": "p"});
    plane.expect(201, Method::POST, "/agents", Some(said.clone())).await;
    let body =
        json!({"task_type": "t", "priority": "critical", "required_capabilities": ["x"], "max_retries": 1});
    let id = plane.task(body).await;
    plane.claim("a").await;
    plane.post(&format!("/tasks/{id}/fail"), json!({"agent_id": "a", "error": "broke"})).await;
    plane.post("/tasks/claim", json!({"agent_id": "a", "block_ms": 60_000})).await;
    plane.post(&format!("/tasks/{id}/complete"), json!({"agent_id": "a", "result": {"ok": 1}})).await;
    let gone = plane.task(json!({"task_type": "t"})).await;
    plane.claim("a").await;
    plane.post(&format!("/tasks/{gone}/fail"), json!({"error": "no use", "requeue": false})).await;
    let off = plane.task(json!({"task_type": "t"})).await;
    plane.bare(&format!("/tasks/{off}/cancel")).await;
    plane.post("/agents/a/heartbeat", json!({"status": "draining"})).await;
    plane.expect(200, Method::DELETE, "/agents/a", None).await;

    for mut listener in listeners {
        assert_eq!(listener.expect("agent_registered").await, said);
        assert_eq!(listener.expect("agent_status_changed").await["status"], "ready");
        let submitted =
            json!({"task_id": id, "task_type": "t", "priority": "urgent", "required_capabilities": ["x"]});
        assert_eq!(listener.expect("task_submitted").await, submitted);
        let held = json!({"task_id": id, "agent_id": "a"});
        assert_eq!(listener.expect("task_claimed").await, held);
        assert_eq!(listener.expect("task_started").await, held);
        let failed = json!({"task_id": id, "agent_id": "a", "error": "broke", "retries_left": 0});
        assert_eq!(listener.expect("task_failed").await, failed);
        assert_eq!(listener.expect("task_retrying").await["reason"], "broke");
        assert_eq!(listener.expect("task_claimed").await, held);
        assert_eq!(listener.expect("task_started").await, held);
        let completed = json!({"task_id": id, "agent_id": "a", "result_summary": "{\"ok\":1}"});
        assert_eq!(listener.expect("task_completed").await, completed);
        for kind in ["task_submitted", "task_claimed", "task_started"] {
            assert_eq!(listener.expect(kind).await["task_id"], json!(gone));
        }
        assert_eq!(listener.expect("task_failed").await["retries_left"], 0);
        let dead = json!({"task_id": gone, "reason": "no use"});
        assert_eq!(listener.expect("task_dead_lettered").await, dead);
        assert_eq!(listener.expect("task_submitted").await["task_id"], json!(off));
        assert_eq!(listener.expect("task_cancelled").await["task_id"], json!(off));
        let draining = listener.expect("agent_status_changed").await;
        assert_eq!((&draining["agent_id"], &draining["status"]), (&json!("a"), &json!("draining")));
        assert_eq!(listener.expect("agent_unregistered").await["agent_id"], "a", "by its name");
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn a_ping_is_answered_and_anything_else_told_to_be_unknown() {
    let plane = Plane::start().await;
    let mut listener = Listener::connect(&plane, "/ws/control-plane").await;
    listener.expect("connected").await;
    listener.say(r#"{"type":"ping"}"#).await;
    let pong = listener.next().await.expect("a frame");
    assert_eq!((&pong["type"], pong.as_object().unwrap().len()), (&json!("pong"), 2));
    assert!(pong["timestamp"].is_f64());
    listener.say(r#"{"type":"dance"}"#).await;
    assert_eq!(listener.expect("error").await["message"], "unknown message type: dance");
    listener.say("hello").await;
    assert_eq!(listener.expect("error").await["message"], "a message is a JSON object with a type");
    plane.api.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_server() {
    let plane = Plane::start().await;
    let mut listener = Listener::connect(&plane, "/ws/control-plane").await;
    listener.expect("connected").await;
    plane.api.stop().await;
    assert_eq!(listener.next().await, None);
}

#[tokio::test]
async fn a_token_holds_only_so_many_streams_and_a_closed_one_gives_its_place_back() {
    let options = support::options();
    let api = context::Options { streams_per_token: 1, ..options.api };
    let api = Api::with(server::Options { api, ..options }).await;
    let plane = Plane { api, prefix: "/api/control-plane" };
    let mut first = Listener::connect(&plane, "/ws/control-plane").await;
    first.expect("connected").await;
    let second = async || {
        let headers = format!("Authorization: Bearer {}\r\nConnection: close\r\n", plane.api.admin.expose());
        let mut stream = plane.api.connect().await;
        stream.write_all(request(&plane, "/ws/control-plane", &headers).as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        String::from_utf8_lossy(&status).into_owned()
    };
    assert_eq!(second().await, "HTTP/1.1 429");
    drop(first);
    let opened = async { while second().await == "HTTP/1.1 429" {} };
    tokio::time::timeout(PATIENCE, opened).await.expect("the place is given back");
    plane.api.stop().await;
}

#[tokio::test]
async fn only_a_token_in_the_header_opens_a_stream_and_foreign_pages_open_none() {
    let plane = Plane::start().await;
    let admin = plane.api.admin.expose().to_owned();
    let (_, blind) = plane.api.token("tasks:*".parse().unwrap(), None).await;
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for path in ["/api/control-plane/stream", "/ws/control-plane"] {
        let with_query = format!("{path}?token={admin}");
        let foreign = format!("{}Origin: http://evil.example\r\n", bearer(&admin));
        for (path, headers, status) in [
            (path, String::new(), 401),
            (&with_query, String::new(), 401),
            (path, bearer(&blind), 403),
            (path, foreign, 403),
        ] {
            let mut stream = plane.api.connect().await;
            let headers = format!("{headers}Connection: close\r\n");
            let answer = raw(&mut stream, request(&plane, path, &headers).as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        }
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn who_asks_without_a_websocket_is_told_where_the_stream_is() {
    let plane = Plane::start().await;
    let info = plane.get("/stream").await;
    assert_eq!(
        (&info["protocol"], &info["path"]),
        (&json!("websocket"), &json!("/api/control-plane/stream"))
    );
    assert_eq!(info["host"], plane.api.server.address().to_string());
    plane.api.stop().await;
}

#[tokio::test]
async fn a_listener_is_sent_away_when_its_token_is_revoked() {
    let plane = Plane::start().await;
    let (id, secret) = plane.api.token("control_plane:*".parse::<Permissions>().unwrap(), None).await;
    let mut listener = Listener::connect_as(&plane, "/ws/control-plane", &secret).await;
    listener.expect("connected").await;
    plane.task(json!({"task_type": "t"})).await;
    listener.expect("task_submitted").await;
    plane.api.delete(&format!("/api/v1/tokens/{id}")).await;
    plane.task(json!({"task_type": "t"})).await;
    assert_eq!(listener.next().await, None);
    plane.api.stop().await;
}

#[tokio::test]
async fn a_listener_is_sent_away_when_its_token_has_expired() {
    let plane = Plane::start().await;
    let soon = plane.api.node.now().after(Duration::from_secs(2));
    let (_, secret) = plane.api.token("control_plane:*".parse::<Permissions>().unwrap(), Some(soon)).await;
    let mut listener = Listener::connect_as(&plane, "/ws/control-plane", &secret).await;
    listener.expect("connected").await;
    assert_eq!(listener.next().await, None);
    plane.api.stop().await;
}
