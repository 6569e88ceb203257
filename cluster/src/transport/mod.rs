//! Connections between nodes: byte streams and datagrams behind traits, and framed requests over them.
//!
//! ```text
//!   Peer::ask ─► bounded queue ─► frames ─► Stream ═══► Stream ─► frames ─► serve ─► Handler
//! ```
//!
//! A [`Network`] opens streams and binds datagrams; [`tcp`] is the real one, [`memory`] one inside the
//! process whose links can be cut, and a simulator brings its own. [`peer`] and [`serve`] are the same over
//! all of them. Promises that a frame has a size limit, a queue a bound and a request a deadline. Leaves
//! encryption to a `Network` that wraps another, and what a request means to its handler.

pub mod hello;
pub mod links;
pub mod memory;
pub mod outgoing;
pub mod peer;
pub mod serve;
pub mod tcp;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::LengthDelimitedCodec;

/// The largest frame. It must hold one entry of the log, which is
/// [`BATCH_BYTES_MAX`](crate::proposer::BATCH_BYTES_MAX) and one command; a higher number lets one peer
/// take more memory.
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// The largest datagram: what fits one packet on an ordinary network.
pub const DATAGRAM_BYTES_MAX: usize = 1400;

/// Why a connection does not do what it should. The request may or may not have arrived.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Nobody listens there, or the link is cut.
    #[error("{address} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        why: String,
    },
    /// The connection ended before the answer came.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The deadline passed.
    #[error("no answer came in time")]
    Late,
    /// The other side does not talk to this node.
    #[error("{address} refuses: {why}")]
    Refused {
        /// Where.
        address: String,
        /// What it said.
        why: String,
    },
    /// Somebody is there who is genuine, and of another cluster than the one that is wanted.
    #[error("{address} is not talked to: {why}")]
    Another {
        /// Where.
        address: String,
        /// Of which cluster it is, and which is wanted.
        why: String,
    },
    /// Too many requests wait for this peer.
    #[error("too many requests wait for {0}")]
    Overloaded(String),
    /// The message does not fit a frame or a datagram.
    #[error("{size} bytes are more than the {limit} that one message may have")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The bound.
        limit: usize,
    },
}

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// Where a stream shall lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The address, as `host:port`.
    pub address: String,
    /// Who must be there. A network with certificates connects to nobody else; `None` is whoever answers.
    pub node: Option<NodeId>,
    /// The other region that it must be a voter of; `None` is this node's own cluster.
    pub region: Option<Name>,
    /// Which cluster that region is, where that is known. Two may have been let in under one name.
    pub cluster: Option<Arc<str>>,
}

impl Target {
    /// Leads to whoever is at `address`.
    pub fn anyone(address: &str) -> Self {
        Self { address: address.to_owned(), node: None, region: None, cluster: None }
    }
}

/// Who the network has proven to be at the other end of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Which node.
    pub node: NodeId,
    /// Where it belongs, if not to this node's cluster.
    pub foreign: Option<Foreign>,
}

impl Proven {
    /// Is a node of this node's own cluster.
    pub const fn own(node: NodeId) -> Self {
        Self { node, foreign: None }
    }
}

/// Where a node of another region belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Its region.
    pub region: Name,
    /// Its cluster.
    pub cluster: String,
}

/// A stream that another node opened.
pub struct Incoming {
    /// The stream.
    pub stream: Box<dyn Stream>,
    /// Who has proven to be at its other end; `None` when the network proves nothing, or nobody showed anything.
    pub proven: Option<Proven>,
    /// Whether the network proves who is there. Then a stream without a node is a stranger's.
    pub proves: bool,
}

/// Opens connections. A node has one; a simulation gives its own.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Opens a stream to a target.
    ///
    /// # Errors
    /// When nobody answers there, or somebody else than who must be there. It may wait long; callers bring a
    /// deadline.
    async fn connect(&self, to: &Target) -> Result<Box<dyn Stream>, Error>;

    /// Listens for streams at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    async fn listen(&self, address: &str) -> Result<Box<dyn Listener>, Error>;

    /// Binds datagrams to `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    async fn bind(&self, address: &str) -> Result<Box<dyn Datagrams>, Error>;
}

/// Takes streams that others open. Dropping it closes the door.
#[async_trait]
pub trait Listener: Send + 'static {
    /// Waits for the next stream. Dropping the future loses none.
    ///
    /// # Errors
    /// When the system refuses; the next call may succeed.
    async fn accept(&mut self) -> Result<Incoming, Error>;

    /// Returns where it listens.
    fn address(&self) -> String;
}

/// Small messages that may be lost, doubled or reordered.
#[async_trait]
pub trait Datagrams: Send + Sync + 'static {
    /// Sends one. That it arrives is not promised; a cut link is not an error.
    ///
    /// # Errors
    /// When it is larger than [`DATAGRAM_BYTES_MAX`] or the system refuses.
    async fn send(&self, to: &str, bytes: Bytes) -> Result<(), Error>;

    /// Waits for the next one, and says who sent it.
    ///
    /// # Errors
    /// When the system refuses; the next call may succeed.
    async fn receive(&self) -> Result<(Bytes, String), Error>;

    /// Returns where it is bound.
    fn address(&self) -> String;
}

/// Returns the framing that both sides use: four bytes of length, then the frame.
pub(crate) fn framing() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES_MAX).new_codec()
}
