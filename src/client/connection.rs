//! The client itself: one connection pool, the addresses of a cluster's nodes, one token, and how requests are sent.
//!
//! Any node takes any request. The client stays with one as long as that answers, and goes on to the next when it
//! does not or cannot do it at the moment; what it repeats carries the same key, so it counts once wherever it arrives.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use synod_domain::sources::Entropy as _;
use tokio::time::Instant;

use super::ask::Ask;
use super::certificates;
use super::stale::Stale;
use super::{Error, backoff};
use crate::api::Problem;
use crate::clock::SeededEntropy;

/// A token's text; never shown.
pub type Token = SecretString;

/// How long a connection may take to be made. Longer delays the word that nobody is there.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long what is safe to repeat is repeated unless something else is said: over a change of leader, and not
/// so long that a person wonders.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same when there are several addresses: over the loss of a leader and the election of another, with some to
/// spare for a busy machine.
const PATIENCE_OF_SEVERAL: Duration = Duration::from_secs(15);

/// How often going on to the next address costs no wait: once for each of these, and then as for a single one.
const ADDRESSES_MAX: usize = 16;

/// The most bytes of one answer. A full page of tasks or a large result stays below.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The header that makes a request count once.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The header that says behind which event a stream begins.
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// Asks a node. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    patience: Duration,
    /// Kept by who takes what is old, with how old it was.
    stale: Option<Stale>,
}

struct Inner {
    http: reqwest::Client,
    /// At least one, each with a path that ends in a slash.
    bases: Vec<Url>,
    /// Which of them is asked; counts on and is taken modulo their number.
    turn: AtomicUsize,
    authorization: HeaderValue,
    entropy: SeededEntropy,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client of the node at `url`, such as `http://127.0.0.1:7400`, or of several nodes of one cluster with
    /// commas between them. Connects at the first request.
    ///
    /// # Errors
    /// When the address or the token cannot be used.
    pub fn new(url: &str, token: Token) -> Result<Self, Error> {
        Self::trusting(url, token, None)
    }

    /// Makes a client that also believes the certificates of a PEM text, for a node with its own authority.
    ///
    /// # Errors
    /// When the address, the token or the certificates cannot be used.
    pub fn trusting(url: &str, token: Token, pem: Option<&[u8]>) -> Result<Self, Error> {
        let bases = addresses(url)?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret().trim()))
            .map_err(|_| Error::Setup("the token holds characters that no token has".to_owned()))?;
        authorization.set_sensitive(true);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("synod/", env!("CARGO_PKG_VERSION")))
            // A token goes to the host it was given for and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true);
        for root in certificates::roots(pem)? {
            builder = builder.add_root_certificate(root);
        }
        if bases.iter().all(is_loopback) {
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| Error::Setup(format!("no client can be made: {}", chain(&error))))?;
        let entropy = SeededEntropy::from_system()
            .map_err(|error| Error::Setup(format!("the system gives no random numbers: {error}")))?;
        let patience = if bases.len() > 1 { PATIENCE_OF_SEVERAL } else { PATIENCE };
        let inner = Inner { http, bases, turn: AtomicUsize::new(0), authorization, entropy };
        Ok(Self { inner: Arc::new(inner), patience, stale: None })
    }

    /// Returns a client that repeats what is safe to repeat for so long; zero never does.
    #[must_use]
    pub fn patient(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Returns a client that reads what the node that is asked has, however old, also while nobody leads;
    /// [`Client::age`] says how old that may have been. It changes nothing.
    #[must_use]
    pub fn stale(&self) -> Self {
        Self { stale: Some(Stale::default()), ..self.clone() }
    }

    /// Returns how old the oldest may have been of what a client and its clones have read that take what is old;
    /// [`Duration::MAX`] when the node that answered cannot tell, and `None` when nothing was read so.
    pub fn age(&self) -> Option<Duration> {
        self.stale.as_ref().and_then(Stale::age)
    }

    /// Returns the address of the node that is asked next.
    pub fn url(&self) -> &str {
        self.base().as_str()
    }

    /// Tells whether it knows more than one node.
    pub fn has_others(&self) -> bool {
        self.inner.bases.len() > 1
    }

    /// Goes on to the next node, unless somebody who shares this client has done so since `from` was asked.
    pub(super) fn go_on(&self, from: usize) {
        let next = from.wrapping_add(1);
        let _ = self.inner.turn.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn turn(&self) -> usize {
        self.inner.turn.load(Ordering::Relaxed)
    }

    fn base(&self) -> &Url {
        let bases = &self.inner.bases;
        &bases[self.turn() % bases.len()]
    }

    /// Tells whether the token travels where others may read it: without TLS, to another machine.
    pub fn is_exposed(&self) -> bool {
        self.inner.bases.iter().any(|base| base.scheme() == "http" && !is_loopback(base))
    }

    /// Makes a key for a request that must count once.
    pub fn new_key(&self) -> String {
        format!("{:016x}{:016x}", self.draw(), self.draw())
    }

    /// Changes something, once however often it is sent.
    pub(super) fn post<const N: usize>(&self, path: [&str; N]) -> Ask {
        Ask::post(path).keyed(self.new_key())
    }

    /// Puts something in a state, once however often it is sent.
    pub(super) fn put<const N: usize>(&self, path: [&str; N]) -> Ask {
        Ask::new(Method::PUT, path).keyed(self.new_key())
    }

    /// Removes something, once however often it is sent.
    pub(super) fn delete<const N: usize>(&self, path: [&str; N]) -> Ask {
        Ask::new(Method::DELETE, path).keyed(self.new_key())
    }

    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn draw(&self) -> u64 {
        self.inner.entropy.draw()
    }

    /// Sends a request, again and again if that is safe, and reads its answer.
    pub(super) async fn send<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Error> {
        let bytes = self.insist(&ask).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::Strange { url: self.url().to_owned(), reason: error.to_string() })
    }

    /// Sends a request whose answer says nothing.
    pub(super) async fn tell(&self, ask: Ask) -> Result<(), Error> {
        self.insist(&ask).await.map(drop)
    }

    async fn insist(&self, ask: &Ask) -> Result<Vec<u8>, Error> {
        if self.stale.is_some() && ask.method != Method::GET {
            let why = "whoever takes what is old reads, and changes nothing; ask without it (--stale)";
            return Err(Error::Setup(why.to_owned()));
        }
        let until = Instant::now() + self.patience;
        let mut tries: u32 = 0;
        loop {
            let turn = self.turn();
            let error = match self.once(ask).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            // What nobody took was not done.
            let safe = ask.repeatable || matches!(error, Error::Unreachable { .. });
            let others = u32::try_from(self.inner.bases.len().min(ADDRESSES_MAX)).map_or(0, |all| all - 1);
            let mut wait = backoff(tries.saturating_sub(others), self.draw());
            if error.is_passing() && self.has_others() {
                self.go_on(turn);
                // The others may well answer; only when all were asked is there something to wait for.
                if tries < others {
                    wait = Duration::ZERO;
                }
            } else {
                wait = wait.max(error.retry_after());
            }
            if !safe || !error.is_passing() || Instant::now() + wait > until {
                return Err(error);
            }
            tracing::debug!(%error, tries, "a request is sent again");
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }

    async fn once(&self, ask: &Ask) -> Result<Vec<u8>, Error> {
        let request = self.request(ask)?.header(ACCEPT, "application/json").timeout(ask.within);
        let mut response = self.open(request).await?;
        if let Some(stale) = &self.stale {
            stale.note(response.headers());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unanswered(error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = format!("it is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(Error::Strange { url: self.url().to_owned(), reason });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Opens an answer that is read piece by piece.
    pub(super) async fn stream(&self, ask: &Ask) -> Result<Response, Error> {
        self.open(self.request(ask)?).await
    }

    /// Opens a stream of events behind the one with the id `last`.
    pub(super) async fn follow(&self, ask: &Ask, last: Option<&str>) -> Result<Response, Error> {
        let mut request = self.request(ask)?.header(ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header(LAST_EVENT_ID, last);
        }
        let turn = self.turn();
        let opened = self.open(request).await;
        if opened.as_ref().is_err_and(Error::is_passing) {
            self.go_on(turn);
        }
        opened
    }

    /// Sends a request once and returns the answer's head; a refusal is an error.
    async fn open(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|error| {
            if error.is_connect() {
                Error::Unreachable { url: self.url().to_owned(), reason: chain(&error.without_url()) }
            } else {
                self.unanswered(error)
            }
        })?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }

    fn request(&self, ask: &Ask) -> Result<RequestBuilder, Error> {
        let mut url = self.base().clone();
        url.path_segments_mut()
            .map_err(|()| Error::Setup(format!("{} is no address of a node", self.url())))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(&ask.path);
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        if let Some((name, value)) = self.stale.as_ref().filter(|_| ask.agreed).map(Stale::parameter) {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut request = self.inner.http.request(ask.method.clone(), url);
        request = request.header(AUTHORIZATION, self.inner.authorization.clone());
        if let Some(key) = &ask.key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(body) = &ask.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        Ok(request)
    }

    fn unanswered(&self, error: reqwest::Error) -> Error {
        Error::Unanswered { url: self.url().to_owned(), reason: chain(&error.without_url()) }
    }

    async fn refused(&self, response: Response) -> Error {
        let status = response.status();
        let retry_after_ms = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
            .map(|seconds| seconds.saturating_mul(1000));
        let bytes = response.bytes().await.unwrap_or_default();
        if let Ok(problem) = serde_json::from_slice::<Problem>(&bytes) {
            let retry_after_ms = problem.retry_after_ms.or(retry_after_ms);
            return Error::Refused(Box::new(Problem { retry_after_ms, ..problem }));
        }
        // A proxy, or something that is no node at all.
        let title = status.canonical_reason().unwrap_or("an unknown status").to_owned();
        Error::Refused(Box::new(Problem {
            kind: "about:blank".to_owned(),
            detail: format!("{} answered {status} without saying why", self.url()),
            title,
            status: status.as_u16(),
            code: format!("http_{}", status.as_u16()),
            hint: "look whether the address is that of a synod node and not of a proxy before it".to_owned(),
            request_id: String::new(),
            retry_after_ms,
        }))
    }
}

/// Reads the addresses of nodes, apart by commas.
fn addresses(text: &str) -> Result<Vec<Url>, Error> {
    let pieces: Vec<&str> = text.split(',').map(str::trim).filter(|piece| !piece.is_empty()).collect();
    if pieces.is_empty() {
        return address(text).map(|one| vec![one]);
    }
    pieces.into_iter().map(address).collect()
}

/// Reads the address of a node.
fn address(text: &str) -> Result<Url, Error> {
    let wrong = |why: &str| {
        Error::Setup(format!("{text:?} is no address of a node ({why}); write it as http://127.0.0.1:7400"))
    };
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("tokens do not belong into addresses"));
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Says an error with its causes: reqwest's own text leaves out what matters.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        let said = one.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = one.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nodes_are_taken_and_others_refused_with_the_reason() {
        assert_eq!(address("http://127.0.0.1:7400").expect("one").as_str(), "http://127.0.0.1:7400/");
        assert_eq!(address("https://a.b/synod?x#y").expect("one").as_str(), "https://a.b/synod/");
        for wrong in ["127.0.0.1:7400", "ftp://a", "http://me:secret@a", ""] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_the_address_and_never_the_token() {
        let client =
            Client::new("http://[::1]:1/", Token::from("synod_admin_geheim".to_owned())).expect("one");
        let shown = format!("{client:?}");
        assert!(shown.contains("[::1]:1") && !shown.contains("geheim"), "{shown}");
        assert!(!client.is_exposed());
        let far = Client::new("http://example.org", Token::from("x".to_owned())).expect("one");
        assert!(far.is_exposed());
    }

    #[test]
    fn a_token_with_a_line_break_is_refused_and_not_shown() {
        let error = Client::new("http://a", Token::from("geheim\nx".to_owned())).expect_err("no header");
        assert!(!format!("{error} {error:?}").contains("geheim"));
    }
}
