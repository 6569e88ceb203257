//! A network of many nodes in one process, for measuring gossip: datagrams take their time, and are counted.
//!
//! Every datagram takes between [`LATENCY_LEAST`] and [`LATENCY_MOST`]; none is lost. Datagrams to nobody vanish, as on
//! a real network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use synod_cluster::transport::{Datagrams, Error};
use synod_domain::chance::Chance;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// The latency of one region's network, with room for a switch that is busy.
const LATENCY_LEAST: Duration = Duration::from_micros(200);
const LATENCY_MOST: Duration = Duration::from_micros(2_000);

type OnItsWay = (Instant, Bytes, String);

/// The network. Clones are the same.
#[derive(Clone)]
pub(crate) struct Air(Arc<Inner>);

struct Inner {
    doors: Mutex<BTreeMap<String, mpsc::UnboundedSender<OnItsWay>>>,
    chance: Mutex<Chance>,
    datagrams: AtomicU64,
    bytes: AtomicU64,
}

impl Air {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Inner {
            doors: Mutex::default(),
            chance: Mutex::new(Chance::new(seed)),
            datagrams: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }))
    }

    /// Binds an address; whoever had it before hears nothing more.
    pub(crate) fn bind(&self, address: &str) -> Box<dyn Datagrams> {
        let (door, comes) = mpsc::unbounded_channel();
        self.0.doors.lock().insert(address.to_owned(), door);
        let comes = tokio::sync::Mutex::new((comes, None));
        Box::new(Socket { air: self.clone(), address: address.to_owned(), comes })
    }

    /// Returns how many datagrams were sent so far, and their bytes with the headers of IP and UDP.
    pub(crate) fn sent(&self) -> (u64, u64) {
        (self.0.datagrams.load(Ordering::Relaxed), self.0.bytes.load(Ordering::Relaxed))
    }
}

struct Socket {
    air: Air,
    address: String,
    /// What comes, and what has come and is still on its way: a caller may give up meanwhile.
    comes: tokio::sync::Mutex<(mpsc::UnboundedReceiver<OnItsWay>, Option<OnItsWay>)>,
}

#[async_trait]
impl Datagrams for Socket {
    async fn send(&self, to: &str, bytes: Bytes) -> Result<(), Error> {
        /// What IPv4 and UDP add to a datagram.
        const HEADERS: u64 = 28;
        let inner = &self.air.0;
        inner.datagrams.fetch_add(1, Ordering::Relaxed);
        inner.bytes.fetch_add(bytes.len() as u64 + HEADERS, Ordering::Relaxed);
        let spread = u64::try_from((LATENCY_MOST - LATENCY_LEAST).as_micros()).unwrap_or(1);
        let latency = LATENCY_LEAST + Duration::from_micros(inner.chance.lock().below(spread));
        if let Some(door) = inner.doors.lock().get(to) {
            // Somebody who is gone hears nothing.
            let _ = door.send((Instant::now() + latency, bytes, self.address.clone()));
        }
        Ok(())
    }

    async fn receive(&self) -> Result<(Bytes, String), Error> {
        let mut comes = self.comes.lock().await;
        let (queue, next) = &mut *comes;
        if next.is_none() {
            *next = queue.recv().await;
        }
        let Some((at, bytes, from)) = next.clone() else { return std::future::pending().await };
        sleep_until(at).await;
        *next = None;
        Ok((bytes, from))
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}
