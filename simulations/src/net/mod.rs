//! The network between simulated nodes: turmoil's, behind the node's own transport traits.
//!
//! ```text
//!  node ─► Network ─► GatedStream, GatedDatagrams ─► turmoil: latency, order, loss of power
//!                          │ asks
//!                          ▼
//!                        Wires ◄─ the driver: block, mute, lose, double, cut
//! ```
//!
//! turmoil carries the bytes and lets them take their time. It neither sends lost segments again nor blocks one
//! way of a stream; so what is blocked waits at its receiver, as it would between two machines that send again
//! and again. As with certificates, nobody is connected to another node than was wanted. Promises that what happens on it follows from the seed. Leaves encryption out: a network in a
//! simulation is closed by itself.

mod datagrams;
mod stream;
mod wires;

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use synod::node::transport::{Datagrams, Error, Incoming, Listener, Network, Stream, Target};
use turmoil::net::{TcpListener, TcpStream, UdpSocket};

pub(crate) use wires::Wires;

use datagrams::GatedDatagrams;
use stream::GatedStream;

/// Where every node listens for the others.
const PORT: u16 = 7000;

/// Returns the address of a node's host.
pub(crate) const fn ip_of(node: u64) -> IpAddr {
    // A world has a handful of nodes.
    let [.., high, low] = node.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
}

/// Returns where a node listens.
pub(crate) fn address_of(node: u64) -> String {
    format!("{}:{PORT}", ip_of(node))
}

/// Returns whose address it is; 0 for one of nobody.
fn node_at(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => {
            let [.., high, low] = address.octets();
            u64::from(u16::from_be_bytes([high, low]))
        }
        IpAddr::V6(_) => 0,
    }
}

/// The network as one node sees it.
#[derive(Clone)]
pub(crate) struct Net {
    me: u64,
    wires: Wires,
}

impl Net {
    pub(crate) const fn new(me: u64, wires: Wires) -> Self {
        Self { me, wires }
    }

    /// Returns the port of an address to listen at.
    fn own_port(&self, address: &str) -> Result<u16, Error> {
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        port.ok_or_else(|| unreachable(address, "it is no address"))
    }

    fn own_address(&self, port: u16) -> String {
        format!("{}:{port}", ip_of(self.me))
    }
}

fn unreachable(address: &str, why: impl ToString) -> Error {
    Error::Unreachable { address: address.to_owned(), why: why.to_string() }
}

#[async_trait]
impl Network for Net {
    async fn connect(&self, to: &Target) -> Result<Box<dyn Stream>, Error> {
        let address = to.address.as_str();
        let socket: std::net::SocketAddr = address.parse().map_err(|error| unreachable(address, error))?;
        let peer = node_at(socket.ip());
        if self.wires.refuses(peer) {
            return Err(unreachable(address, "nobody listens"));
        }
        // A handshake goes there and back.
        self.wires.pass(self.me, peer).await;
        let stream = TcpStream::connect(socket).await.map_err(|error| unreachable(address, error))?;
        self.wires.pass(peer, self.me).await;
        // A certificate would show it. Nobody has refused this node by that.
        let found = self.wires.living(peer);
        if to.node.is_some_and(|wanted| found != Some(wanted)) {
            return Err(unreachable(address, "another node is there"));
        }
        Ok(Box::new(GatedStream::new(stream, self.me, peer, self.wires.clone())))
    }

    async fn listen(&self, address: &str) -> Result<Box<dyn Listener>, Error> {
        let bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.own_port(address)?)).await;
        let listener = bound.map_err(|error| unreachable(address, error))?;
        let port = listener.local_addr().map_err(|error| unreachable(address, error))?.port();
        Ok(Box::new(GatedListener { listener, net: self.clone(), address: self.own_address(port) }))
    }

    async fn bind(&self, address: &str) -> Result<Box<dyn Datagrams>, Error> {
        let bound = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, self.own_port(address)?)).await;
        let socket = bound.map_err(|error| unreachable(address, error))?;
        let port = socket.local_addr().map_err(|error| unreachable(address, error))?.port();
        Ok(Box::new(GatedDatagrams::new(socket, self.me, self.own_address(port), self.wires.clone())))
    }
}

struct GatedListener {
    listener: TcpListener,
    net: Net,
    address: String,
}

#[async_trait]
impl Listener for GatedListener {
    async fn accept(&mut self) -> Result<Incoming, Error> {
        let (stream, from) =
            self.listener.accept().await.map_err(|error| unreachable(&self.address, error))?;
        let stream = GatedStream::new(stream, self.net.me, node_at(from.ip()), self.net.wires.clone());
        Ok(Incoming { stream: Box::new(stream), proven: None, proves: false })
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}
