//! A network inside the process, for tests: streams and datagrams by name, with links that can be cut.
//!
//! Every node has its own [`Node`] of one [`MemoryNetwork`], so that the network knows who connects to
//! whom. Cutting a link ends its streams and loses its datagrams, in both directions, until it is healed.
//! Blocking one way of it lets nothing through that way, and nobody is told: bytes of streams wait, as they do
//! between two machines that send them again and again, connecting hangs, datagrams are lost. A way may also be
//! slow, or long. There is no chance in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::transport::{DATAGRAM_BYTES_MAX, Datagrams, Error, Incoming, Listener, Network, Stream, Target};

/// Bytes that a stream holds in each direction, and streams and datagrams that wait at a door.
const PIPE_BYTES: usize = 64 * 1024;
const DOOR_BOUND: usize = 64;

/// Bytes that go one way at a time.
const STEP_BYTES: usize = 16 * 1024;

/// Steps that are on their way at once where a way is long: what a line of that length holds.
const FAR_STEPS: usize = 256;

/// The wires between the nodes of one test.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    wires: Arc<Mutex<Wires>>,
}

#[derive(Default)]
struct Wires {
    doors: BTreeMap<String, Door>,
    sockets: BTreeMap<String, (String, mpsc::Sender<(Bytes, String)>)>,
    cut: BTreeSet<(String, String)>,
    links: BTreeMap<(String, String), CancellationToken>,
    /// From whom to whom.
    ways: BTreeMap<(String, String), watch::Sender<Way>>,
    next_port: u32,
}

/// One direction of a link.
#[derive(Clone, Copy, Default)]
struct Way {
    blocked: bool,
    delay: Duration,
    distance: Duration,
}

#[derive(Clone)]
struct Door {
    node: String,
    streams: mpsc::Sender<Box<dyn Stream>>,
}

impl MemoryNetwork {
    /// Returns the network as the node of that name sees it.
    pub fn node(&self, name: &str) -> Node {
        Node { name: name.to_owned(), wires: Arc::clone(&self.wires) }
    }

    /// Cuts the link between two nodes.
    pub fn cut(&self, one: &str, other: &str) {
        let mut wires = self.wires.lock();
        let link = link(one, other);
        if let Some(open) = wires.links.remove(&link) {
            open.cancel();
        }
        wires.cut.insert(link);
    }

    /// Heals the link between two nodes; streams that it had stay lost.
    pub fn heal(&self, one: &str, other: &str) {
        self.wires.lock().cut.remove(&link(one, other));
    }

    /// Lets nothing through from one node to another, and tells nobody.
    pub fn block(&self, from: &str, to: &str) {
        self.wires.lock().way(from, to).send_modify(|way| way.blocked = true);
    }

    /// Lets everything through again from one node to another, what has waited first.
    pub fn unblock(&self, from: &str, to: &str) {
        self.wires.lock().way(from, to).send_modify(|way| way.blocked = false);
    }

    /// Makes the way from one node to another so long, for streams that are opened from then on. What follows is on its way
    /// at the same time. Datagrams do not wait.
    pub fn stretch(&self, from: &str, to: &str, distance: Duration) {
        self.wires.lock().way(from, to).send_modify(|way| way.distance = distance);
    }

    /// Makes each step from one node to another take so long. Datagrams do not wait.
    pub fn delay(&self, from: &str, to: &str, delay: Duration) {
        self.wires.lock().way(from, to).send_modify(|way| way.delay = delay);
    }
}

fn link(one: &str, other: &str) -> (String, String) {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    (low.to_owned(), high.to_owned())
}

impl Wires {
    fn way(&mut self, from: &str, to: &str) -> &watch::Sender<Way> {
        self.ways.entry((from.to_owned(), to.to_owned())).or_default()
    }

    fn name(&mut self, address: &str) -> String {
        match address.strip_suffix(":0") {
            Some(host) => {
                self.next_port += 1;
                format!("{host}:{}", self.next_port)
            }
            None => address.to_owned(),
        }
    }
}

/// One node's access to a [`MemoryNetwork`].
#[derive(Clone)]
pub struct Node {
    name: String,
    wires: Arc<Mutex<Wires>>,
}

fn unreachable(address: &str, why: &str) -> Error {
    Error::Unreachable { address: address.to_owned(), why: why.to_owned() }
}

#[async_trait]
impl Network for Node {
    async fn connect(&self, to: &Target) -> Result<Box<dyn Stream>, Error> {
        let address = to.address.as_str();
        let (door, open, there, back) = {
            let mut wires = self.wires.lock();
            let door = wires.doors.get(address).cloned();
            let door = door.ok_or_else(|| unreachable(address, "nobody listens"))?;
            let link = link(&self.name, &door.node);
            if wires.cut.contains(&link) {
                return Err(unreachable(address, "the link is cut"));
            }
            let there = wires.way(&self.name, &door.node).subscribe();
            let back = wires.way(&door.node, &self.name).subscribe();
            (door, wires.links.entry(link).or_default().clone(), there, back)
        };
        // A handshake goes there and back.
        pass(&mut there.clone()).await;
        pass(&mut back.clone()).await;
        // The two ends are joined by a task that the cut of the link ends.
        let (near, near_wire) = tokio::io::duplex(PIPE_BYTES);
        let (far, far_wire) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(async move {
            let (from_near, to_near) = tokio::io::split(near_wire);
            let (from_far, to_far) = tokio::io::split(far_wire);
            let both =
                async { tokio::join!(carry(from_near, to_far, there), carry(from_far, to_near, back)) };
            tokio::select! {
                biased;
                () = open.cancelled() => {}
                _ = both => {}
            }
        });
        let sent = door.streams.send(Box::new(far)).await;
        sent.map_err(|_| unreachable(address, "nobody listens"))?;
        Ok(Box::new(near))
    }

    async fn listen(&self, address: &str) -> Result<Box<dyn Listener>, Error> {
        let (sender, streams) = mpsc::channel(DOOR_BOUND);
        let mut wires = self.wires.lock();
        let address = wires.name(address);
        let taken = wires.doors.get(&address).is_some_and(|door| !door.streams.is_closed());
        if taken {
            return Err(unreachable(&address, "the address is taken"));
        }
        wires.doors.insert(address.clone(), Door { node: self.name.clone(), streams: sender });
        Ok(Box::new(MemoryListener { streams, address }))
    }

    async fn bind(&self, address: &str) -> Result<Box<dyn Datagrams>, Error> {
        let (sender, incoming) = mpsc::channel(DOOR_BOUND);
        let mut wires = self.wires.lock();
        let address = wires.name(address);
        if wires.sockets.get(&address).is_some_and(|(_, socket)| !socket.is_closed()) {
            return Err(unreachable(&address, "the address is taken"));
        }
        wires.sockets.insert(address.clone(), (self.name.clone(), sender));
        drop(wires);
        let incoming = tokio::sync::Mutex::new(incoming);
        Ok(Box::new(MemorySocket { node: self.clone(), address, incoming }))
    }
}

/// Waits until something gets through.
async fn pass(way: &mut watch::Receiver<Way>) {
    // The network of a test outlives its streams; without it, nothing is blocked.
    let _ = way.wait_for(|way| !way.blocked).await;
    let delay = way.borrow().delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// Carries what goes one way, the end of it too.
async fn carry(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    mut way: watch::Receiver<Way>,
) {
    let distance = way.borrow().distance;
    if !distance.is_zero() {
        return carry_far(from, to, way, distance).await;
    }
    let mut buffer = vec![0; STEP_BYTES];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        pass(&mut way).await;
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            // The other end may have gone, too.
            let _ = to.shutdown().await;
            return;
        }
    }
}

/// Carries what goes one way, each step so much later than it left; nobody waits for those on their way.
async fn carry_far(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    mut way: watch::Receiver<Way>,
    distance: Duration,
) {
    let (leaves, mut arrives) = mpsc::channel::<(Instant, Vec<u8>)>(FAR_STEPS);
    let near = async move {
        let mut buffer = vec![0; STEP_BYTES];
        loop {
            let read = from.read(&mut buffer).await.unwrap_or(0);
            pass(&mut way).await;
            let step = (Instant::now() + distance, buffer[..read].to_vec());
            if read == 0 || leaves.send(step).await.is_err() {
                return;
            }
        }
    };
    let far = async move {
        while let Some((at, step)) = arrives.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&step).await.is_err() {
                break;
            }
        }
        // The other end may have gone, too.
        let _ = to.shutdown().await;
    };
    tokio::join!(near, far);
}

struct MemoryListener {
    streams: mpsc::Receiver<Box<dyn Stream>>,
    address: String,
}

#[async_trait]
impl Listener for MemoryListener {
    async fn accept(&mut self) -> Result<Incoming, Error> {
        let stream = self.streams.recv().await.ok_or_else(|| Error::Lost("the door is closed".to_owned()))?;
        Ok(Incoming { stream, proven: None, proves: false })
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}

struct MemorySocket {
    node: Node,
    address: String,
    incoming: tokio::sync::Mutex<mpsc::Receiver<(Bytes, String)>>,
}

#[async_trait]
impl Datagrams for MemorySocket {
    async fn send(&self, to: &str, bytes: Bytes) -> Result<(), Error> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(Error::TooLarge { size: bytes.len(), limit: DATAGRAM_BYTES_MAX });
        }
        let wires = self.node.wires.lock();
        let Some((node, socket)) = wires.sockets.get(to) else { return Ok(()) };
        let way = (self.node.name.clone(), node.clone());
        let blocked = wires.ways.get(&way).is_some_and(|way| way.borrow().blocked);
        if !blocked && !wires.cut.contains(&link(&self.node.name, node)) {
            // A full door loses the datagram, as a full socket does.
            let _ = socket.try_send((bytes, self.address.clone()));
        }
        Ok(())
    }

    async fn receive(&self) -> Result<(Bytes, String), Error> {
        let received = self.incoming.lock().await.recv().await;
        received.ok_or_else(|| Error::Lost("the socket is closed".to_owned()))
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}
