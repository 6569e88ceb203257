//! Who is let in of those who have proven who they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use synod_cluster::identity::{MembersOnly, PinnedNetwork};
use synod_cluster::transport::hello::{Doorkeeper as _, Hello};
use synod_cluster::transport::links::Service;
use synod_cluster::transport::peer::{Fixed, Peer};
use synod_cluster::transport::tcp::Tcp;
use synod_cluster::transport::{Error, Proven, Target};
use synod_domain::command::Command;
use synod_domain::node::NodeRole;

use super::support::{DEADLINE, Group, hello, id};

const ANY_PORT: &str = "127.0.0.1:0";

#[tokio::test]
async fn a_stranger_reaches_admission_and_nothing_else() {
    let group = Group::new(20);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let pin = founder.identity.authority.hash();
    let network = Arc::new(PinnedNetwork::new(Arc::new(Tcp), pin, group.clock.clone()).unwrap());
    let reach = Arc::new(Fixed { network, to: Target::anyone(&founder.address) });
    // What it says of itself does not help it.
    let peer = Peer::new(reach, hello(&founder.identity, 1));
    for service in [Service::Agreement, Service::Journal, Service::Courier, Service::Blobs, Service::Regions]
    {
        let asked = peer.ask(Bytes::from(vec![service as u8, 0]), Duration::from_millis(50)).await;
        assert!(matches!(asked, Err(Error::Late)), "{service:?}: {asked:?}");
    }
    let answer = peer.ask(Bytes::from(vec![Service::Admission as u8, 0]), DEADLINE).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("makes no sense here"), "{answer:?}");
    assert_eq!(founder.echoed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_node_that_says_to_be_another_or_of_another_cluster_is_refused() {
    let group = Group::new(21);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    let honest = hello(&worker.identity, 1);
    let cases = [
        ("with the certificate of", Hello { node: founder.id(), ..honest.clone() }),
        ("belongs to cluster", Hello { cluster: "0123456789abcdef".to_owned(), ..honest.clone() }),
        ("disk has forgotten", Hello { generation: 0, ..honest.clone() }),
        ("speaks protocol", Hello { protocol: 77, ..honest.clone() }),
    ];
    for (why, said) in cases {
        let asked =
            worker.links_saying(said).ask(founder.id(), Service::Journal, Bytes::new(), DEADLINE).await;
        let error = asked.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(why), "{why}: {error}");
    }
    let links = worker.links_saying(Hello { generation: 5, ..honest });
    assert!(links.ask(founder.id(), Service::Journal, Bytes::new(), DEADLINE).await.is_ok());
}

#[tokio::test]
async fn a_removed_node_is_refused_and_told_so_and_its_open_connection_is_of_no_use() {
    let group = Group::new(22);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    worker.ask(founder.id()).await.unwrap();
    group.propose(Command::RemoveNode { node: worker.id(), reason: "gone".into() }).unwrap();
    let answered = founder.echoed.load(Ordering::Relaxed);
    let open =
        worker.links.ask(founder.id(), Service::Journal, Bytes::new(), Duration::from_millis(50)).await;
    assert!(matches!(open, Err(Error::Late)), "{open:?}");
    worker.links.forget(founder.id());
    let error = worker.ask(founder.id()).await.unwrap_err().to_string();
    assert!(error.contains("was removed") && error.contains("join with a new token"), "{error}");
    assert_eq!(founder.echoed.load(Ordering::Relaxed), answered);
}

#[tokio::test]
async fn a_node_that_was_admitted_after_what_this_one_knows_is_let_in() {
    let group = Group::new(23);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    // Knows of the founder, and hears nothing from here on.
    let behind = Group::new(24);
    let state = behind.follow();
    let spec = founder.state.read().node(founder.id()).unwrap().spec.clone();
    behind.propose(Command::StartNode { spec, generation: 1 }).unwrap();
    let late = group.join(&founder, 2, NodeRole::Voter).await;
    late.ask(founder.id()).await.unwrap();
    let door = MembersOnly::new(founder.credentials.clone(), state);
    let judged = door.judge(&hello(&late.identity, 1), Some(&Proven::own(late.id())), true);
    assert!(judged.unwrap().member);
    // One that has shown nothing is none of those.
    let unknown = Hello { node: id(9), ..hello(&late.identity, 1) };
    assert!(door.judge(&unknown, Some(&Proven::own(id(9))), true).unwrap_err().contains("removed"));
}

#[tokio::test]
async fn a_network_that_proves_nothing_is_no_way_in() {
    let group = Group::new(25);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let door = MembersOnly::new(founder.credentials.clone(), Group::deaf());
    assert!(door.judge(&hello(&founder.identity, 1), None, false).unwrap_err().contains("TLS"));
    // A node that knows nothing yet trusts the authority alone.
    assert!(door.judge(&hello(&founder.identity, 1), Some(&Proven::own(founder.id())), true).unwrap().member);
}
