//! Certificates are renewed in time and while work goes on; the authority's key goes to voters and to nobody else.

use std::sync::Arc;

use synod_cluster::identity::{CERTIFICATE_LIFE, Error, keep_renewed};
use synod_cluster::transport::tcp::Tcp;
use synod_domain::command::Command;
use synod_domain::node::NodeRole;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::support::{DAY, DEADLINE, Group};

const ANY_PORT: &str = "127.0.0.1:0";

#[tokio::test]
async fn a_certificate_is_renewed_while_requests_run_and_none_of_them_fails() {
    let group = Group::new(60);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let worker = Arc::new(group.join(&founder, 2, NodeRole::Worker).await);
    let (asked, stop) = (watch::Sender::new(0_u32), CancellationToken::new());
    let (asking, to, mut progress) = (worker.clone(), founder.id(), asked.subscribe());
    let (stopped, counter) = (stop.clone(), asked);
    let running = tokio::spawn(async move {
        while !stopped.is_cancelled() {
            asking.ask(to).await.unwrap();
            counter.send_modify(|count| *count += 1);
        }
    });
    let old = worker.credentials.certificate();
    assert!(!worker.renewal().renew_if_due(None).await.unwrap());
    group.clock.advance(5 * DAY);
    assert!(founder.renewal().renew_if_due(None).await.unwrap());
    assert!(worker.renewal().renew_if_due(None).await.unwrap());
    let renewed = worker.credentials.certificate();
    assert!(renewed != old && renewed.not_after() == old.not_after().after(5 * DAY));
    assert_eq!(worker.folder.load().unwrap().unwrap().certificate, renewed);
    // The old ones are over: whoever connects from here on does so with the new ones.
    group.clock.advance(3 * DAY);
    let before = *progress.borrow_and_update();
    worker.links.forget(founder.id());
    founder.links.forget(worker.id());
    let more = progress.wait_for(|count| *count > before + 10);
    tokio::time::timeout(DEADLINE, more).await.unwrap().unwrap();
    founder.ask(worker.id()).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    assert_eq!(founder.turned_away.borrow().count + worker.turned_away.borrow().count, 0);
}

#[tokio::test]
async fn the_task_that_keeps_renewed_renews_without_being_asked() {
    let group = Group::new(61);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let mut renewed = founder.credentials.renewed();
    let before = *renewed.borrow_and_update();
    group.clock.advance(5 * DAY);
    let (role, stop) = (watch::Sender::new(Some(NodeRole::Voter)), CancellationToken::new());
    let task = tokio::spawn(keep_renewed(founder.renewal(), role.subscribe(), stop.clone()));
    tokio::time::timeout(DEADLINE, renewed.changed()).await.unwrap().unwrap();
    assert_eq!(*renewed.borrow(), before.after(5 * DAY));
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_node_that_was_away_until_its_certificate_was_over_gets_a_new_one_with_its_old_key() {
    let group = Group::new(62);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    let other = group.join(&founder, 3, NodeRole::Worker).await;
    group.clock.advance(30 * DAY);
    assert!(worker.ask(founder.id()).await.unwrap_err().to_string().contains("expired"));
    founder.renewal().renew_if_due(None).await.unwrap();
    assert!(worker.renewal().renew_if_due(None).await.unwrap());
    assert_eq!(worker.credentials.certificate().not_after(), founder.credentials.certificate().not_after());
    worker.links.forget(founder.id());
    assert_eq!(worker.ask(founder.id()).await.unwrap(), worker.id().to_string());
    group.propose(Command::RemoveNode { node: other.id(), reason: "gone".into() }).unwrap();
    other.links.forget(founder.id());
    // It is asked of others too, and no more than the first of them can give it one.
    let error = other.renewal().renew_if_due(None).await.unwrap_err().to_string();
    assert!(error.contains("removed") || error.contains("reached"), "{error}");
}

#[tokio::test]
async fn the_authoritys_key_goes_to_voters_alone_and_leaves_with_the_vote() {
    let group = Group::new(63);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    let key_file = worker.folder.path().join("ca.key");
    // Whatever a worker takes itself for.
    let refused = worker.renewal().tend_authority(Some(NodeRole::Voter)).await.unwrap_err().to_string();
    assert!(refused.contains("only voters"), "{refused}");
    assert!(!key_file.exists() && worker.credentials.authority().is_none());
    group.propose(Command::SetNodeRole { node: worker.id(), role: NodeRole::Voter }).unwrap();
    let (role, stop) = (watch::Sender::new(Some(NodeRole::Worker)), CancellationToken::new());
    let task = tokio::spawn(keep_renewed(worker.renewal(), role.subscribe(), stop.clone()));
    role.send_replace(Some(NodeRole::Voter));
    let fetched = async {
        while worker.credentials.authority().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, fetched).await.unwrap();
    stop.cancel();
    task.await.unwrap();
    let kept = worker.folder.load().unwrap().unwrap().authority_key;
    assert!(kept.is_some() && kept == founder.identity.authority_key);
    group.propose(Command::SetNodeRole { node: worker.id(), role: NodeRole::Worker }).unwrap();
    worker.renewal().tend_authority(Some(NodeRole::Worker)).await.unwrap();
    assert!(!key_file.exists() && worker.credentials.authority().is_none());
}

#[tokio::test]
async fn the_last_node_that_has_the_authoritys_key_keeps_it() {
    let group = Group::new(64);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let voter = group.join(&founder, 2, NodeRole::Voter).await;
    group.propose(Command::SetNodeRole { node: founder.id(), role: NodeRole::Worker }).unwrap();
    let kept = founder.renewal().tend_authority(Some(NodeRole::Worker)).await;
    assert!(matches!(kept, Err(Error::NoAuthority(_))), "{kept:?}");
    assert!(founder.credentials.authority().is_some() && founder.folder.path().join("ca.key").exists());
    // A voter without it asks those too that are voters no more.
    voter.renewal().tend_authority(Some(NodeRole::Voter)).await.unwrap();
    founder.renewal().tend_authority(Some(NodeRole::Worker)).await.unwrap();
    assert!(voter.credentials.authority().is_some() && founder.credentials.authority().is_none());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_kept_is_not_shown() {
    let group = Group::new(65);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let before = founder.credentials.certificate();
    group.clock.advance(CERTIFICATE_LIFE);
    std::fs::remove_dir_all(founder.folder.path()).unwrap();
    assert!(matches!(founder.renewal().renew_if_due(None).await, Err(Error::Write(_))));
    assert_eq!(founder.credentials.certificate(), before);
}
