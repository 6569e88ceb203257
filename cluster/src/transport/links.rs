//! The connections of a node to the others, by who they are.
//!
//! Every request goes to a [`Service`] of a node; where that node is, an [`AddressBook`] says at each connect, so
//! a node that moved is found again. Agreement has a connection of its own: a flood of forwarded requests must not
//! hold up a heartbeat. Promises what [`Peer`] promises, for each of the two.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use parking_lot::Mutex;
use synod_domain::id::NodeId;
use synod_domain::name::Name;

use crate::transport::hello::{Caller, Hello};
use crate::transport::peer::{Peer, Reach};
use crate::transport::serve::Handler;
use crate::transport::{Error, Network, Target};

/// What a request is for. A format: numbers are never given to another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The Raft group: appends, votes, snapshots.
    Agreement = 1,
    /// Proposals and reads that the leader answers for others.
    Journal = 2,
    /// Envelopes between actors.
    Courier = 3,
    /// Joining, certificates and the authority to issue them.
    Admission = 4,
    /// Large payloads and results.
    Blobs = 5,
    /// Other regions.
    Regions = 6,
}

impl Service {
    fn of(number: u8) -> Option<Self> {
        [Self::Agreement, Self::Journal, Self::Courier, Self::Admission, Self::Blobs, Self::Regions]
            .into_iter()
            .find(|service| *service as u8 == number)
    }
}

/// Knows where nodes are.
pub trait AddressBook: Send + Sync + 'static {
    /// Returns where a node listens, as far as is known now.
    fn address_of(&self, node: NodeId) -> Option<String>;

    /// Returns the other region that a node belongs to; `None` is this node's own.
    fn region_of(&self, _: NodeId) -> Option<Name> {
        None
    }

    /// Returns which cluster that other region is, where that is known: nobody of another one is talked to then.
    fn cluster_of(&self, _: NodeId) -> Option<Arc<str>> {
        None
    }
}

impl AddressBook for BTreeMap<NodeId, String> {
    fn address_of(&self, node: NodeId) -> Option<String> {
        self.get(&node).cloned()
    }
}

/// The connections of one node. Cheap to clone; they close when the last clone is gone.
#[derive(Clone)]
pub struct Links {
    network: Arc<dyn Network>,
    hello: Hello,
    book: Arc<dyn AddressBook>,
    /// By node, and whether it is the connection for agreement.
    peers: Arc<Mutex<BTreeMap<(NodeId, bool), Peer>>>,
}

impl Links {
    /// Makes the links of the node that says hello so; nothing is connected before the first request.
    pub fn new(network: Arc<dyn Network>, hello: Hello, book: Arc<dyn AddressBook>) -> Self {
        Self { network, hello, book, peers: Arc::default() }
    }

    /// Returns who this node is.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Sends a request to a service of a node and waits for its answer, at most until `deadline` has passed.
    ///
    /// # Errors
    /// When there is no answer; the request may have arrived all the same.
    pub async fn ask(
        &self,
        node: NodeId,
        service: Service,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, Error> {
        let mut request = BytesMut::with_capacity(1 + body.len());
        request.put_u8(service as u8);
        request.put(body);
        self.peer(node, service == Service::Agreement).ask(request.freeze(), deadline).await
    }

    /// Sends a large request to a service of a node, over the connection that agreement does not use.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_apart(
        &self,
        node: NodeId,
        service: Service,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, Error> {
        let mut request = BytesMut::with_capacity(1 + body.len());
        request.put_u8(service as u8);
        request.put(body);
        self.peer(node, false).ask(request.freeze(), deadline).await
    }

    /// Closes the connections to a node; the next request opens them anew.
    pub fn forget(&self, node: NodeId) {
        self.peers.lock().retain(|(known, _), _| *known != node);
    }

    fn peer(&self, node: NodeId, agreement: bool) -> Peer {
        let mut peers = self.peers.lock();
        let peer = peers.entry((node, agreement)).or_insert_with(|| {
            let reach = ByBook { network: self.network.clone(), book: self.book.clone(), node };
            Peer::new(Arc::new(reach), self.hello.clone())
        });
        peer.clone()
    }
}

struct ByBook {
    network: Arc<dyn Network>,
    book: Arc<dyn AddressBook>,
    node: NodeId,
}

#[async_trait]
impl Reach for ByBook {
    fn name(&self) -> String {
        self.node.to_string()
    }

    async fn connect(&self) -> Result<Box<dyn crate::transport::Stream>, Error> {
        let Some(address) = self.book.address_of(self.node) else {
            let why = "its address is not known here".to_owned();
            return Err(Error::Unreachable { address: self.node.to_string(), why });
        };
        let (region, cluster) = (self.book.region_of(self.node), self.book.cluster_of(self.node));
        self.network.connect(&Target { address, node: Some(self.node), region, cluster }).await
    }
}

/// Sends each request to the handler of its service.
#[derive(Default)]
pub struct Switchboard {
    handlers: Mutex<BTreeMap<Service, Arc<dyn Handler>>>,
}

impl Switchboard {
    /// Lets `handler` answer for a service from here on.
    pub fn plug(&self, service: Service, handler: Arc<dyn Handler>) {
        self.handlers.lock().insert(service, handler);
    }

    /// Lets nobody answer any more, so that whoever they held is free.
    pub fn unplug_all(&self) {
        self.handlers.lock().clear();
    }
}

#[async_trait]
impl Handler for Switchboard {
    async fn answer(&self, caller: &Caller, mut request: Bytes) -> Option<Bytes> {
        if request.is_empty() {
            return None;
        }
        let service = Service::of(request.split_to(1)[0])?;
        let is_open = match (&caller.region, caller.member) {
            (Some(_), _) => service == Service::Regions,
            (None, true) => true,
            (None, false) => service == Service::Admission,
        };
        if !is_open {
            return None;
        }
        let handler = self.handlers.lock().get(&service).cloned()?;
        handler.answer(caller, request).await
    }

    fn keeps_order(&self, request: &[u8]) -> bool {
        let Some((service, request)) = request.split_first() else { return false };
        let handler = Service::of(*service).and_then(|service| self.handlers.lock().get(&service).cloned());
        handler.is_some_and(|handler| handler.keeps_order(request))
    }
}
