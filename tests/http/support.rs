//! What the tests over HTTP share: a node that is served, callers with tokens, and raw connections.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use synod::clock::SystemClock;
use synod::http::server::Bound;
use synod::http::{Routes, Server, TokenText, context, first_token, server};
use synod::node::domain::command::Command;
use synod::node::domain::id::TokenId;
use synod::node::domain::name::Name;
use synod::node::domain::permission::Permissions;
use synod::node::domain::sources::Clock;
use synod::node::domain::time::Timestamp;
use synod::node::domain::token::{TokenKind, TokenSpec};
use synod::node::{Builder, Node};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything may take that takes milliseconds on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The system's clock, put forward by the test.
#[derive(Debug, Default)]
pub(crate) struct MovedClock(AtomicU64);

impl MovedClock {
    /// Puts the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis() + self.0.load(Ordering::Relaxed))
    }
}

/// A node that is served on a free port of loopback, with the token of its operator.
pub(crate) struct Api {
    pub(crate) node: Arc<Node>,
    pub(crate) server: Server,
    pub(crate) admin: TokenText,
    pub(crate) clock: Arc<MovedClock>,
    pub(crate) client: reqwest::Client,
    folder: PathBuf,
}

thread_local! {
    /// The folders of this test, removed when its thread ends: its nodes end before that, with its runtime.
    static FOLDERS: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

/// Makes a folder that outlives the nodes of its test, on the disk that cargo builds on; `/tmp` may be memory.
fn folder() -> PathBuf {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().to_owned();
    FOLDERS.with_borrow_mut(|folders| folders.push(folder));
    path
}

/// Returns options for a test: a free port of loopback, and no limit on requests without a token, because
/// tests send many from one address.
pub(crate) fn options() -> server::Options {
    let many = std::num::NonZeroU32::new(1_000_000).unwrap();
    let api = context::Options {
        failures: synod::http::Rate { per_second: many, burst: many },
        ..context::Options::default()
    };
    server::Options { listen: SocketAddr::from(([127, 0, 0, 1], 0)), api, ..server::Options::default() }
}

impl Api {
    /// Serves a new node.
    pub(crate) async fn start() -> Self {
        Self::with(options()).await
    }

    /// Serves a new node as `options` say.
    pub(crate) async fn with(options: server::Options) -> Self {
        Self::serving(options, synod::http::routes()).await
    }

    /// Serves a new node with routes of the test's own.
    pub(crate) async fn serving(options: server::Options, routes: Routes) -> Self {
        Self::built(options, routes, |node| node).await
    }

    /// Serves a new node that is described further by `describe`.
    pub(crate) async fn built(
        options: server::Options,
        routes: Routes,
        describe: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let folder = folder();
        let data = folder.join("data");
        let clock = Arc::new(MovedClock::default());
        let described = describe(Node::builder().data(&data).clock(clock.clone()));
        let node = described.start().await.unwrap();
        let node = Arc::new(node);
        let admin = first_token::first_token(&node, &data).await.unwrap().expect("the first token");
        let server = Bound::bind(options).await.unwrap().serve(node.clone(), routes).unwrap();
        Self { node, server, admin, clock, client: reqwest::Client::new(), folder }
    }

    /// Returns a folder that is gone with the test.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Describes a request without a token.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.server.url())).timeout(PATIENCE)
    }

    /// Describes a request of the operator.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(self.admin.expose())
    }

    /// Sends a GET of the operator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.call(Method::GET, path)).await
    }

    /// Makes a token.
    pub(crate) async fn token(
        &self,
        permissions: Permissions,
        expires_at: Option<Timestamp>,
    ) -> (TokenId, String) {
        let text = TokenText::make(TokenKind::Client, self.node.entropy());
        let id = self.node.new_token_id();
        let name = Name::new("test").unwrap();
        let (kind, hash) = (TokenKind::Client, text.hash());
        let spec = TokenSpec { id, name, kind, hash, permissions, expires_at, created_by: None };
        self.node.propose(Command::PutToken { spec: Arc::new(spec) }).await.unwrap();
        (id, text.expose().to_owned())
    }

    /// Opens a connection of its own.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.address()).await.unwrap()
    }

    /// Stops the server; the node ends with this test.
    pub(crate) async fn stop(self) {
        tokio::time::timeout(PATIENCE, self.server.stop()).await.expect("the server stops");
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    /// Reads the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Returns a header's text; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Holds that this is the problem of this code, whole and in the right form.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["code"].as_str()), (status, Some(code)), "{self:#?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:#?}");
        assert_eq!(body["status"], status, "{self:#?}");
        assert_eq!(body["request_id"], self.header("x-request-id"), "{self:#?}");
        for field in ["type", "title", "detail", "hint", "request_id"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {self:#?}");
        }
    }

    /// Holds that this is a problem of this status, whether in our form or in that of an older API.
    #[track_caller]
    pub(crate) fn assert_problem_of_any_form(&self, status: u16, title: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:#?}");
        let body = self.json();
        let said = body.get("title").or_else(|| body.get("error")).and_then(Value::as_str);
        assert_eq!(said, Some(title), "{self:#?}");
    }
}

/// Sends a request and reads its answer.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.unwrap()).await
}

/// Sends bytes on a connection and reads until the other side closes it.
pub(crate) async fn raw(stream: &mut TcpStream, bytes: &[u8]) -> String {
    // The other side may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed");
    String::from_utf8_lossy(&answer).into_owned()
}
