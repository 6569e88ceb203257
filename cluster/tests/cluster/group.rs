//! Three nodes agree, lose their leader, and agree again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod_cluster::consensus::Consensus;
use synod_cluster::network::RaftHandler;
use synod_cluster::transport::Network;
use synod_cluster::transport::memory::MemoryNetwork;
use synod_cluster::transport::serve::serve;
use synod_cluster::transport::tcp::Tcp;
use synod_storage::MemoryDisk;
use tokio_util::sync::CancellationToken;

use super::support::{by_hand, entropy, killed, options, peers, request, submit};

struct Member {
    consensus: Consensus,
    stop: CancellationToken,
}

/// Starts three nodes; each listens before any of them speaks.
async fn three(network: impl Fn(u64) -> Arc<dyn Network>, address: impl Fn(u64) -> String) -> Vec<Member> {
    let mut listeners = Vec::new();
    let mut members = BTreeMap::new();
    for node in 1..=3 {
        let listener = network(node).listen(&address(node)).await.unwrap();
        members.insert(node, listener.address());
        listeners.push(listener);
    }
    let mut group = Vec::new();
    for (node, listener) in (1..=3).zip(listeners) {
        let mut options = options(MemoryDisk::new().open(), by_hand(), true);
        options.node = node;
        // Equal draws would make equal election timeouts, and two candidates who split every vote.
        options.entropy = entropy(node);
        options.timing.heartbeat = Duration::from_millis(50);
        options.timing.election = (Duration::from_millis(200), Duration::from_millis(400));
        options.peers = Some(peers(network(node), members.clone()));
        let consensus = Consensus::start(options).await.unwrap();
        // As little in step as real nodes are.
        tokio::time::sleep(Duration::from_millis(25)).await;
        let stop = CancellationToken::new();
        let handler = Arc::new(RaftHandler::new(consensus.raft()));
        tokio::spawn(serve(listener, handler, stop.clone()));
        group.push(Member { consensus, stop });
    }
    group
}

async fn leader(group: &[Member], not: Option<usize>) -> usize {
    let found = async {
        loop {
            let leads = |place: &usize| group[*place].consensus.leadership().borrow().is_some();
            if let Some(place) = (0..group.len()).find(|place| Some(*place) != not && leads(place)) {
                return place;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap()
}

async fn write(group: &[Member], at: usize, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let answer = group[at].consensus.proposer().propose(request(number), submit(number)).await;
        assert!(matches!(answer, Ok(Ok(_))), "{answer:?}");
    }
}

async fn agree(group: &[Member], places: &[usize], tasks: u64) {
    let agreed = async {
        loop {
            let rows: Vec<_> =
                places.iter().map(|place| group[*place].consensus.state().read().rows()).collect();
            let unfinished = group[places[0]].consensus.state().read().unfinished();
            if unfinished == tasks && rows.windows(2).all(|pair| pair[0] == pair[1]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), agreed).await.unwrap();
}

#[test]
fn three_nodes_in_memory_survive_their_leader() {
    let network = MemoryNetwork::default();
    killed(async || {
        let wires = network.clone();
        let group =
            three(move |node| Arc::new(wires.node(&node.to_string())), |node| format!("{node}:1")).await;
        let first = leader(&group, None).await;
        write(&group, first, 0..100).await;
        agree(&group, &[0, 1, 2], 100).await;

        for other in 0..3 {
            if other != first {
                network.cut(&(first + 1).to_string(), &(other + 1).to_string());
            }
        }
        let second = leader(&group, Some(first)).await;
        write(&group, second, 100..150).await;
        let rest: Vec<_> = (0..3).filter(|place| *place != first).collect();
        agree(&group, &rest, 150).await;

        for other in rest {
            network.heal(&(first + 1).to_string(), &(other + 1).to_string());
        }
        agree(&group, &[0, 1, 2], 150).await;
        assert_eq!(*group[first].consensus.leadership().borrow(), None);
        let refused = group[first].consensus.proposer().propose(request(999), submit(999)).await;
        assert_eq!(refused, Err(synod_cluster::proposer::ProposeError::NotLeader));
    });
}

#[test]
fn three_nodes_over_tcp_survive_their_leader() {
    killed(async || {
        let group = three(|_| Arc::new(Tcp), |_| "127.0.0.1:0".to_owned()).await;
        let first = leader(&group, None).await;
        write(&group, first, 0..100).await;
        agree(&group, &[0, 1, 2], 100).await;

        group[first].stop.cancel();
        group[first].consensus.shutdown().await;
        let second = leader(&group, Some(first)).await;
        write(&group, second, 100..150).await;
        let rest: Vec<_> = (0..3).filter(|place| *place != first).collect();
        agree(&group, &rest, 150).await;
    });
}

#[test]
fn follower_that_missed_what_was_purged_gets_a_snapshot() {
    let network = MemoryNetwork::default();
    killed(async || {
        let wires = network.clone();
        let group =
            three(move |node| Arc::new(wires.node(&node.to_string())), |node| format!("{node}:1")).await;
        let first = leader(&group, None).await;
        let lost = (first + 1) % 3;
        for other in 0..3 {
            if other != lost {
                network.cut(&(lost + 1).to_string(), &(other + 1).to_string());
            }
        }
        write(&group, first, 0..30).await;
        let purging = async {
            while group[first].consensus.status().purged.is_none() {
                group[first].consensus.snapshot().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), purging).await.unwrap();
        for other in 0..3 {
            network.heal(&(lost + 1).to_string(), &(other + 1).to_string());
        }
        agree(&group, &[0, 1, 2], 30).await;
        assert!(group[lost].consensus.status().mirror.snapshot.is_some());
    });
}
