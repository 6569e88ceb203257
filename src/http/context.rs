//! What every handler is given.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use synod_domain::permission::Permissions;
use synod_domain::token::TokenHash;
use tokio::sync::watch;

use crate::clock::Stopwatch;
use crate::http::rates::{Rate, Rates};
use crate::http::stopping::{Phase, Stopping};
use crate::http::{Caller, Problem};
use crate::node::Node;

/// Bytes of a body, unless set. More than tasks need in their thousands; larger ones cost memory for each
/// connection that sends one.
const BODY_BYTES_DEFAULT: usize = 1 << 20;

/// How long an ordinary request may take, unless set.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Requests of one token, unless set: more than a node answers, so that only a runaway client meets it when
/// others ask too.
const REQUESTS_DEFAULT: Rate = rate(10_000, 20_000);

/// Requests without a valid token from one address. A person who tries never meets it; a flood does.
const FAILURES_DEFAULT: Rate = rate(10, 100);

/// Streams that one token holds open, unless set. Each costs a subscription and a connection.
const STREAMS_DEFAULT: usize = 64;

/// What every handler is given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: Arc<Node>,
    options: Options,
    started: Stopwatch,
    rates: Rates,
    streams: Mutex<BTreeMap<Arc<str>, usize>>,
    stopping: Stopping,
    left: watch::Sender<bool>,
}

/// What the settings say about the API.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tokens that are valid without standing in the agreed state, by hash: for those that come from the
    /// environment.
    pub static_tokens: Vec<StaticToken>,
    /// How long an external agent may be silent unless it says otherwise.
    pub agent_timeout: Duration,
    /// How often agents are asked to send a heartbeat.
    pub heartbeat_interval: Duration,
    /// How many retries a task gets that does not say, over the older control plane's API.
    pub retries_default: u32,
    /// The largest body that is read.
    pub body_bytes: usize,
    /// How long an ordinary request may take, and how long any body may take to arrive.
    pub timeout: Duration,
    /// How often one token may ask.
    pub requests: Rate,
    /// How often one address may ask without a valid token.
    pub failures: Rate,
    /// How many streams one token may hold open.
    pub streams_per_token: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            static_tokens: Vec::new(),
            agent_timeout: Duration::from_secs(90),
            heartbeat_interval: Duration::from_secs(30),
            retries_default: 3,
            body_bytes: BODY_BYTES_DEFAULT,
            timeout: TIMEOUT_DEFAULT,
            requests: REQUESTS_DEFAULT,
            failures: FAILURES_DEFAULT,
            streams_per_token: STREAMS_DEFAULT,
        }
    }
}

const fn rate(per_second: u32, burst: u32) -> Rate {
    match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
        (Some(per_second), Some(burst)) => Rate { per_second, burst },
        _ => Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN },
    }
}

/// A token that the environment gave.
#[derive(Debug, Clone)]
pub struct StaticToken {
    /// Stands for its id in logs.
    pub name: &'static str,
    /// SHA-256 of its text.
    pub hash: TokenHash,
    /// What it allows.
    pub permissions: Permissions,
}

impl Context {
    /// Serves `node`.
    pub fn new(node: Arc<Node>, options: Options) -> Self {
        let rates = Rates::new(options.requests, options.failures);
        Self(Arc::new(Inner {
            node,
            options,
            started: Stopwatch::start(),
            rates,
            streams: Mutex::default(),
            stopping: Stopping::default(),
            left: watch::Sender::new(false),
        }))
    }

    /// Returns the node that is served.
    pub fn node(&self) -> &Arc<Node> {
        &self.0.node
    }

    /// Returns what the settings say.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Returns how long this server runs.
    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Waits until the server is told to stop. Whoever waits or streams for a client ends then.
    pub async fn stopping(&self) {
        self.0.stopping.reached(Phase::Draining).await;
    }

    /// Notes that the node has left its cluster at a caller's wish: what is left is to stop it.
    pub(super) fn note_left(&self) {
        self.0.left.send_replace(true);
    }

    /// Waits until the node has left its cluster at a caller's wish.
    pub async fn left(&self) {
        if self.0.left.subscribe().wait_for(|left| *left).await.is_err() {
            // The sender is ours: it lives as long as this borrow.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the server cuts off what has not ended in time. A connection that has become a WebSocket is its
    /// handler's, which ends on the spot then.
    pub(super) async fn cut(&self) {
        self.0.stopping.reached(Phase::Cut).await;
    }

    /// Tells whether the server was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.has_reached(Phase::Draining)
    }

    /// Lets the caller hold one more stream open, until the permit is dropped.
    ///
    /// # Errors
    /// When the caller's token holds as many as it may.
    pub fn stream_permit(&self, caller: &Caller) -> Result<StreamPermit, Problem> {
        let most = self.options().streams_per_token;
        let mut streams = self.0.streams.lock();
        let open = streams.entry(caller.accessor.clone()).or_default();
        if *open >= most {
            return Err(Problem::too_many_streams(most));
        }
        *open += 1;
        Ok(StreamPermit { context: self.clone(), accessor: caller.accessor.clone() })
    }

    pub(super) fn rates(&self) -> &Rates {
        &self.0.rates
    }

    pub(super) fn stop(&self) -> &Stopping {
        &self.0.stopping
    }
}

/// The right to hold one stream open; dropping it gives it back.
#[derive(Debug)]
pub struct StreamPermit {
    context: Context,
    accessor: Arc<str>,
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut streams = self.context.0.streams.lock();
        if let Some(open) = streams.get_mut(&self.accessor) {
            *open -= 1;
            if *open == 0 {
                streams.remove(&self.accessor);
            }
        }
    }
}
