//! A node whose part in its cluster breaks says so and ends, instead of going on as half of one.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use synod::node::cluster::init_cluster;
use synod::node::transport::tcp::Tcp;
use synod::node::transport::{Datagrams, Error, Listener, Network, Stream, Target};
use tokio::sync::Notify;

use crate::group::within;
use crate::support::{folder, scripted};

/// The system's network, whose datagrams make whoever waits for one panic when they are told to.
struct Shaky {
    now: Arc<Notify>,
}

#[async_trait]
impl Network for Shaky {
    async fn connect(&self, to: &Target) -> Result<Box<dyn Stream>, Error> {
        Tcp.connect(to).await
    }

    async fn listen(&self, address: &str) -> Result<Box<dyn Listener>, Error> {
        Tcp.listen(address).await
    }

    async fn bind(&self, address: &str) -> Result<Box<dyn Datagrams>, Error> {
        Ok(Box::new(ShakyDatagrams { inner: Tcp.bind(address).await?, now: self.now.clone() }))
    }
}

struct ShakyDatagrams {
    inner: Box<dyn Datagrams>,
    now: Arc<Notify>,
}

#[async_trait]
impl Datagrams for ShakyDatagrams {
    async fn send(&self, to: &str, bytes: Bytes) -> Result<(), Error> {
        self.inner.send(to, bytes).await
    }

    async fn receive(&self) -> Result<(Bytes, String), Error> {
        tokio::select! {
            biased;
            () = self.now.notified() => panic!("a datagram that nobody thought of"),
            received = self.inner.receive() => received,
        }
    }

    fn address(&self) -> String {
        self.inner.address()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_gossip_panics_fails_and_says_why() {
    let data = folder();
    init_cluster(data.path()).await.unwrap();
    let now = Arc::<Notify>::default();
    let network = Arc::new(Shaky { now: now.clone() });
    let node = within("it starts", scripted(data.path()).network(network).start()).await.unwrap();
    now.notify_one();
    let why = within("it fails", node.failed()).await;
    assert_eq!(why, "gossip has panicked: a datagram that nobody thought of");
    within("it stops", node.stop()).await;
}
