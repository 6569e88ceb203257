//! Serves a node over HTTP/1.1, with TLS or without.
//!
//! ```text
//!  listener ─► accept, at most N at a time ─► (TLS) ─► connection ─► guard ─► routes
//!                                                          ▲
//!            stop: no new ones ─► requests in flight end ──┴─► the rest is cut
//! ```
//!
//! Promises: it never ends because of what a client does, because connections are many or because descriptors
//! run out; a stop is over within the time given. Who may call is left to the guard and the routes.

mod accept;
mod connection;
mod counted;

pub use connection::Peer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::http::regions::Served;
use crate::http::stopping::Phase;
use crate::http::{Context, Routes, context, guard};
use crate::node::Node;
use crate::node::elsewhere::Serving;

/// Where a node is served unless set.
pub const PORT_DEFAULT: u16 = 7400;

/// Connections at a time, unless set. Each costs a descriptor and some 20 KiB.
const CONNECTIONS_DEFAULT: usize = 4_096;

/// How long a client may take to send a request's head, and may keep a connection idle between two. Longer than
/// clients keep theirs, so that it is they who close; who sends nothing holds a connection for so long.
const HEAD_PATIENCE_DEFAULT: Duration = Duration::from_secs(75);

/// How long requests in flight may take to end when the server stops.
const DRAIN_DEFAULT: Duration = Duration::from_secs(10);

/// How a node is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key, for TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Connections at a time; over it, a new one is told so and closed.
    pub connections: usize,
    /// How long a client may take to send a request's head.
    pub head_patience: Duration,
    /// How long requests in flight may take to end when the server stops.
    pub drain: Duration,
    /// Further names of this server.
    pub hosts: Vec<String>,
    /// Further origins of web pages that may call.
    pub origins: Vec<String>,
    /// What the settings say about the API.
    pub api: context::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], PORT_DEFAULT)),
            tls: None,
            connections: CONNECTIONS_DEFAULT,
            head_patience: HEAD_PATIENCE_DEFAULT,
            drain: DRAIN_DEFAULT,
            hosts: Vec::new(),
            origins: Vec::new(),
            api: context::Options::default(),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be had.
    #[error("{address} cannot be listened on: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Others could listen in.
    #[error(
        "{0} is reachable from other machines, and without TLS everybody on the way could read tokens and work\n\
         make a certificate with `synod tls init --out DIR --host NAME` and give it with --tls-cert and --tls-key, \
         or listen on 127.0.0.1 behind a proxy that has TLS"
    )]
    Exposed(SocketAddr),
    /// A host or an origin is not one.
    #[error(transparent)]
    Guard(#[from] guard::Error),
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tls: bool,
    context: Context,
    /// Lives as long as the server, so that other regions find the routes.
    _handed: Arc<dyn Serving>,
    drain: Duration,
    accepting: JoinHandle<()>,
    connections: Arc<Semaphore>,
    connections_max: u32,
}

/// A server that has its address, and a node not yet. Who connects meanwhile waits.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
}

impl Bound {
    /// Takes the address.
    ///
    /// # Errors
    /// When it cannot be had or must not be served without TLS, or a name of the options is not one.
    pub async fn bind(options: Options) -> Result<Self, Error> {
        let address = options.listen;
        if options.tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(Error::Exposed(address));
        }
        guard::check(&options.guard(address))?;
        let unusable = |error| Error::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        Ok(Self { listener, address, options })
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `node` with these routes.
    ///
    /// # Errors
    /// Never after [`Bound::bind`] found the options good.
    pub fn serve(self, node: Arc<Node>, routes: Routes) -> Result<Server, Error> {
        let Self { listener, address, options } = self;
        let guarded = options.guard(address);
        let tls = options.tls.is_some();
        let context = Context::new(node, options.api);
        let (router, forms) = routes.into_router(context.clone());
        let handed = Served::with(router.clone(), forms.clone(), context.clone());
        context.node().handed().serve_with(&handed);
        let app = guard::around(router, forms, context.clone(), &guarded)?;
        // The semaphore counts in 32 bits; more connections than that have no descriptors.
        let connections_max =
            u32::try_from(options.connections.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX >> 4);
        let connections = Arc::new(Semaphore::new(connections_max as usize));
        let front = connection::Front::new(app, context.clone(), options.tls, options.head_patience);
        let accepting = tokio::spawn(accept::run(listener, front, connections.clone()));
        Ok(Server {
            address,
            tls,
            context,
            drain: options.drain,
            _handed: handed,
            accepting,
            connections,
            connections_max,
        })
    }
}

impl Options {
    fn guard(&self, address: SocketAddr) -> guard::Options {
        let (hosts, origins) = (self.hosts.clone(), self.origins.clone());
        guard::Options { hosts, origins, port: address.port(), tls: self.tls.is_some() }
    }
}

impl Server {
    /// Serves `node` with all routes, and returns when connections are taken.
    ///
    /// # Errors
    /// As [`Bound::bind`].
    pub async fn start(node: Arc<Node>, options: Options) -> Result<Self, Error> {
        Bound::bind(options).await?.serve(node, super::routes())
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL under which it is reached from this machine.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("{scheme}://{address}")
    }

    /// Returns what its handlers are given.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Stops: takes no more connections, tells who waits or streams to end, gives requests in flight the time
    /// to end, and cuts off the rest. The node goes on.
    pub async fn stop(self) {
        self.context.stop().advance(Phase::Draining);
        // It ends by itself on that.
        let _ = self.accepting.await;
        let all_ended = self.connections.acquire_many(self.connections_max);
        if tokio::time::timeout(self.drain, all_ended).await.is_err() {
            tracing::warn!(drain = ?self.drain, "requests did not end in time and are cut off");
        }
        self.context.stop().advance(Phase::Cut);
        // They end on the spot; so nothing of them holds the node any more.
        let _ = self.connections.acquire_many(self.connections_max).await;
    }
}
