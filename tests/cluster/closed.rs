//! Nodes on given storage, on a network that is closed by itself. The simulations let whole clusters of them live.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod::clock::{SeededEntropy, SystemClock};
use synod::node::domain::node::{GossipSecret, Keyring, NodeRole};
use synod::node::storage::MemoryDisk;
use synod::node::transport::memory::MemoryNetwork;
use synod::node::{ClosedIdentity, Cluster, Error, Node, Pool, closed_id};

/// Starts a founder, which is alone in its cluster.
async fn start(disk: &MemoryDisk, net: &MemoryNetwork, identity: ClosedIdentity) -> Result<Node, Error> {
    let cluster = Cluster { listen: "founder:1".to_owned(), ..Cluster::default() };
    let network = Arc::new(net.node("founder"));
    Node::builder().storage(disk.open()).closed(network, identity).cluster(cluster).start().await
}

#[tokio::test]
async fn a_member_of_a_closed_network_keeps_what_it_agreed_and_refuses_a_log_that_forgot_it() {
    let (disk, net) = (MemoryDisk::new(), MemoryNetwork::default());
    let node = closed_id(&disk.open(), &SystemClock, &SeededEntropy::from_seed(1)).await.unwrap();
    let identity = ClosedIdentity {
        cluster: "closed".to_owned(),
        node,
        number: 1,
        role: NodeRole::Voter,
        first_key: Some(GossipSecret([7; 32])),
        keyring: Keyring::default(),
        members: BTreeMap::new(),
        number_of: Arc::new(|_| None),
    };
    let first = start(&disk, &net, identity.clone()).await.unwrap();
    assert_eq!(first.id(), node);
    first.put_pool(Pool::external("kept").unwrap()).await.unwrap();
    first.stop().await;

    let second = start(&disk, &net, identity.clone()).await.unwrap();
    assert!(second.read(|state| state.pools().any(|pool| pool.spec.name.as_str() == "kept")));
    assert_eq!(second.cluster().cluster.as_deref(), Some("closed"));
    let refused = second.create_join_token(NodeRole::Voter, std::time::Duration::from_secs(60)).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("closed")));
    second.stop().await;

    let forgotten = start(&MemoryDisk::new(), &net, identity).await.unwrap_err().to_string();
    assert!(forgotten.contains("its log is empty"), "{forgotten}");
}
