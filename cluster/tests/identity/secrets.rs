//! No secret is printed or logged, at any level.

use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use parking_lot::Mutex;
use synod_cluster::identity::{Folder, JoinText};
use synod_cluster::transport::tcp::Tcp;
use synod_domain::command::Command;
use synod_domain::node::NodeRole;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::support::Group;

/// Writes down everything that is logged.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<String>>);

impl Visit for Everything {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = writeln!(self.0.lock(), "{field}={value:?}");
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The forms in which bytes are printed.
fn forms(bytes: &[u8]) -> Vec<String> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{bytes:?}");
    vec![hex.to_uppercase(), hex, list.trim_matches(['[', ']']).to_owned()]
}

/// The lines of a key file that are secret.
fn key_lines(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let key = text.split("-----BEGIN PRIVATE KEY-----").nth(1).unwrap();
    key.split("-----").next().unwrap().split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn no_secret_is_printed_or_logged_while_a_cluster_is_founded_joined_and_renewed() {
    let written = Everything::default();
    // Of the whole process: what is cached for a place that logs is the same for all threads.
    tracing::subscriber::set_global_default(written.clone()).unwrap();
    let group = Group::new(100);
    let founder = group.found(Arc::new(Tcp), "127.0.0.1:0").await;
    let gossip = founder.identity.first_key.clone().unwrap();
    group.propose(Command::InstallGossipKey { secret: gossip.clone() }).unwrap();
    let token = group.token(&founder.identity, NodeRole::Voter);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    let (tcp, voter) = (Arc::new(Tcp), NodeRole::Voter);
    let nobody = group.ask_to_join(tcp.clone(), &folder, "127.0.0.1:1", &token, 2, voter).await;
    let pending = folder.pending().unwrap();
    let joined = group.ask_to_join(tcp.clone(), &folder, &founder.address, &token, 2, voter).await.unwrap();
    let no = Folder::at(dir.path().join("no"));
    let refused = group.ask_to_join(tcp, &no, &founder.address, &token, 3, voter).await;
    let node = group.run(dir, joined.identity.clone(), Arc::new(Tcp), "127.0.0.1:0", group.follow()).await;
    group.start(&node);
    node.renewal().tend_authority(Some(voter)).await.unwrap();
    let mut secrets: Vec<String> = key_lines(&folder.path().join("ca.key"));
    for folder in [&folder, &founder.folder] {
        secrets.extend(key_lines(&folder.path().join("node.pem")));
    }
    group.clock.advance(super::support::DAY * 6);
    founder.renewal().renew_if_due(None).await.unwrap();
    node.renewal().renew_if_due(None).await.unwrap();
    secrets.extend(key_lines(&folder.path().join("node.pem")));
    assert_eq!(secrets.len(), 4, "each key is one line");
    for key in secrets.clone() {
        // The middle of the line, wherever a printed form begins.
        secrets.push(key[20..50].to_owned());
    }
    let text = token.reveal();
    secrets.push(text.split('_').nth(1).unwrap().to_owned());
    secrets.extend(forms(&gossip.0));
    let printed = format!(
        "{:?} {nobody:?} {pending:?} {joined:?} {refused:?} {token:?} {:?} {:?} {:?} {:?} {}",
        founder.identity,
        founder.credentials,
        founder.credentials.authority(),
        founder.credentials.certificate(),
        founder.identity.authority_key,
        refused.as_ref().unwrap_err(),
    );
    let logged = written.0.lock().clone();
    for expected in ["a node was admitted", "a node was not admitted", "was renewed", "has the key"] {
        assert!(logged.contains(expected), "{expected} is not in {logged}");
    }
    for secret in &secrets {
        assert!(!printed.contains(secret), "printed: {secret}");
        assert!(!logged.contains(secret), "logged: {secret}");
    }
    assert_eq!(text.parse::<JoinText>().unwrap(), token);
    assert!(node.dir.path().exists());
}
