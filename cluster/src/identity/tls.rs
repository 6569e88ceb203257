//! A network on which everybody proves who they are: TLS 1.3 in both directions over another network.
//!
//! ```text
//!  inner.accept ─► handshakes, each in its own task, bounded in number and time ─► accept
//! ```
//!
//! Whoever connects talks to the node that it wants and to no other; whoever listens learns which node is there, or
//! that it is a stranger. Promises that a handshake that hangs or fails costs nobody else anything but its place,
//! and that its reason is told. Datagrams pass through as they are: gossip seals its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use synod_domain::node::NodeRole;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::identity::credentials::Credentials;
use crate::identity::error::Error;
use crate::identity::names::{InRegion, Named, server_name, voter_name};
use crate::identity::stranger::{STRANGERS_MAX, StrangerStream};
use crate::identity::verify::{PROTOCOL, connecting, taking};
use crate::transport::{self, Datagrams, Foreign, Incoming, Listener, Network, Proven, Stream, Target};

/// Handshakes at once. Each holds some tens of kilobytes; fewer lets slow ones hold up the others sooner.
const HANDSHAKES_MAX: usize = 128;

/// How long a handshake may take: two round trips and some arithmetic, on a bad day.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);

/// Streams that wait to be accepted after their handshake.
const READY_BOUND: usize = 16;

/// What became of those who could not prove who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnedAway {
    /// How many since the start.
    pub count: u64,
    /// Why the last one.
    pub last: Option<Arc<str>>,
}

/// TLS over another network.
pub struct TlsNetwork {
    inner: Arc<dyn Network>,
    credentials: Arc<Credentials>,
    connects: Arc<ClientConfig>,
    takes: Arc<ServerConfig>,
    turned_away: Arc<watch::Sender<TurnedAway>>,
}

impl TlsNetwork {
    /// Wraps a network.
    ///
    /// # Errors
    /// When the authority's certificate cannot be used.
    pub fn new(inner: Arc<dyn Network>, credentials: Arc<Credentials>) -> Result<Self, Error> {
        Ok(Self {
            inner,
            connects: connecting(&credentials)?,
            takes: taking(&credentials)?,
            credentials,
            turned_away: Arc::new(watch::Sender::new(TurnedAway::default())),
        })
    }

    /// Tells of those who were turned away while they connected to this node.
    pub fn turned_away(&self) -> watch::Receiver<TurnedAway> {
        self.turned_away.subscribe()
    }
}

fn unreachable(address: &str, why: &dyn std::fmt::Display) -> transport::Error {
    transport::Error::Unreachable { address: address.to_owned(), why: why.to_string() }
}

/// Opens a stream and proves over it.
pub(super) async fn secure(
    inner: &dyn Network,
    config: Arc<ClientConfig>,
    to: &Target,
    name: ServerName<'static>,
) -> Result<Box<dyn Stream>, transport::Error> {
    let shaking = async {
        let stream = inner.connect(to).await?;
        TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| unreachable(&to.address, &error))
    };
    let shaken = tokio::time::timeout(HANDSHAKE_PATIENCE, shaking).await;
    let stream = shaken.map_err(|_| unreachable(&to.address, &"it does not answer the handshake"))??;
    let session = stream.get_ref().1;
    if session.alpn_protocol() != Some(PROTOCOL) {
        return Err(unreachable(&to.address, &"it is no node of synod"));
    }
    if let Some(wanted) = &to.cluster {
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let leaf = leaf.ok_or_else(|| unreachable(&to.address, &"it shows no certificate"))?;
        let named = Named::of(leaf).map_err(|error| unreachable(&to.address, &error))?;
        if *named.cluster != **wanted {
            let why =
                format!("its certificate is of cluster {}, and cluster {wanted} is wanted", named.cluster);
            return Err(transport::Error::Another { address: to.address.clone(), why });
        }
    }
    Ok(Box::new(stream))
}

#[async_trait]
impl Network for TlsNetwork {
    async fn connect(&self, to: &Target) -> Result<Box<dyn Stream>, transport::Error> {
        let Some(node) = to.node else {
            return Err(unreachable(&to.address, &"it is not said which node must be there"));
        };
        let name = match &to.region {
            Some(region) => voter_name(node, region),
            None => server_name(node, self.credentials.cluster()),
        };
        let name = name.map_err(|error| unreachable(&to.address, &error))?;
        secure(&*self.inner, self.connects.clone(), to, name).await
    }

    async fn listen(&self, address: &str) -> Result<Box<dyn Listener>, transport::Error> {
        let inner = self.inner.listen(address).await?;
        let address = inner.address();
        let (ready, taken) = mpsc::channel(READY_BOUND);
        let stop = CancellationToken::new();
        let door = Door {
            acceptor: TlsAcceptor::from(self.takes.clone()),
            credentials: self.credentials.clone(),
            turned_away: self.turned_away.clone(),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
            ready,
            stop: stop.clone(),
        };
        tokio::spawn(Arc::new(door).take_all(inner));
        Ok(Box::new(TlsListener { taken, address, _stop: stop.drop_guard() }))
    }

    async fn bind(&self, address: &str) -> Result<Box<dyn Datagrams>, transport::Error> {
        self.inner.bind(address).await
    }
}

struct TlsListener {
    taken: mpsc::Receiver<Result<Incoming, transport::Error>>,
    address: String,
    _stop: DropGuard,
}

#[async_trait]
impl Listener for TlsListener {
    async fn accept(&mut self) -> Result<Incoming, transport::Error> {
        let taken = self.taken.recv().await;
        taken.unwrap_or_else(|| Err(transport::Error::Lost("the door is closed".to_owned())))
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}

/// What takes connections in the background.
struct Door {
    acceptor: TlsAcceptor,
    credentials: Arc<Credentials>,
    turned_away: Arc<watch::Sender<TurnedAway>>,
    strangers: Arc<Semaphore>,
    ready: mpsc::Sender<Result<Incoming, transport::Error>>,
    stop: CancellationToken,
}

impl Door {
    async fn take_all(self: Arc<Self>, mut inner: Box<dyn Listener>) {
        let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            let next = async {
                // The place first: who waits for one waits in the system's queue, where it costs nothing here.
                let place = places.clone().acquire_owned().await.ok()?;
                Some((inner.accept().await, place))
            };
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                next = next => next,
            };
            match next {
                None => return,
                Some((Ok(incoming), place)) => {
                    let door = self.clone();
                    tokio::spawn(async move {
                        tokio::select! {
                            biased;
                            () = door.stop.cancelled() => {}
                            () = door.take(incoming) => {}
                        }
                        drop(place);
                    });
                }
                // Told to whoever accepts, who waits a little before asking again; so do we, by this queue.
                Some((Err(error), _)) => {
                    if self.ready.send(Err(error)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn take(&self, incoming: Incoming) {
        match self.prove(incoming).await {
            Ok(proven) => {
                let _ = self.ready.send(Ok(proven)).await;
            }
            Err(why) => {
                tracing::warn!(why, "a connection from somebody who did not prove to be a node was closed");
                self.turned_away.send_modify(|turned| {
                    turned.count += 1;
                    turned.last = Some(why.into());
                });
            }
        }
    }

    async fn prove(&self, incoming: Incoming) -> Result<Incoming, String> {
        let shaken = tokio::time::timeout(HANDSHAKE_PATIENCE, self.acceptor.accept(incoming.stream)).await;
        let stream = shaken.map_err(|_| "the handshake took too long".to_owned())?;
        let stream = stream.map_err(|error| error.to_string())?;
        let session = stream.get_ref().1;
        if session.alpn_protocol() != Some(PROTOCOL) {
            return Err("it does not speak the protocol of nodes".to_owned());
        }
        let Some(leaf) = session.peer_certificates().and_then(<[_]>::first) else {
            let place = self.strangers.clone().try_acquire_owned();
            let place = place.map_err(|_| "too many strangers are connected".to_owned())?;
            let stream = Box::new(StrangerStream::new(Box::new(stream), place));
            return Ok(Incoming { stream, proven: None, proves: true });
        };
        let named = Named::of(leaf).map_err(|error| error.to_string())?;
        let proven = self.belongs(named)?;
        Ok(Incoming { stream: Box::new(stream), proven: Some(proven), proves: true })
    }

    /// Says where somebody with a genuine certificate belongs: to this cluster, or to another region as a voter.
    fn belongs(&self, named: Named) -> Result<Proven, String> {
        let Named { node, number, cluster, region } = named;
        if cluster == self.credentials.cluster() {
            self.credentials.has_shown(node, number);
            return Ok(Proven::own(node));
        }
        match region {
            Some(InRegion { name, .. }) if Some(&name) == self.credentials.region().as_ref() => {
                Err(format!("its certificate is of cluster {cluster}, which is not this region {name}"))
            }
            Some(InRegion { name, role: NodeRole::Voter }) => {
                Ok(Proven { node, foreign: Some(Foreign { region: name, cluster }) })
            }
            Some(InRegion { name, role: NodeRole::Worker }) => {
                Err(format!("it is a worker of region {name}; only voters of other regions are talked to"))
            }
            None => Err(format!("its certificate is of cluster {cluster}")),
        }
    }
}
