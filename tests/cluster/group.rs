//! A group of nodes for the tests: formed, stopped, started again, killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod::node::cluster::init_cluster;
use synod::node::domain::agent::{AgentSpec, Host};
use synod::node::domain::capability::Capabilities;
use synod::node::domain::id::{AgentId, NodeId};
use synod::node::domain::name::Name;
use synod::node::domain::node::NodeRole;
use synod::node::{Builder, Cluster, Join, NewTask, Node};
use tempfile::TempDir;

use crate::support::{PATIENCE, folder, scripted};

/// How long a join token is good for in a test.
const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// One place of the group: a data folder, and the node that runs on it, if one does.
pub(crate) struct Seat {
    pub(crate) data: TempDir,
    node: Option<Arc<Node>>,
}

/// Several nodes.
pub(crate) struct Group {
    pub(crate) seats: Vec<Seat>,
    /// How long work may go on in a node that stops.
    drain: Duration,
}

impl Group {
    /// Forms a group of voters: the first founds it, the others join.
    pub(crate) async fn form(voters: usize) -> Self {
        Self::form_draining(voters, Duration::from_secs(2)).await
    }

    /// Forms a group of voters in which a node that stops lets its work go on for so long.
    pub(crate) async fn form_draining(voters: usize, drain: Duration) -> Self {
        let data = folder();
        init_cluster(data.path()).await.unwrap();
        Self::grow(data, voters, drain).await
    }

    /// Forms a group of voters around a founder's folder.
    pub(crate) async fn grow(data: TempDir, voters: usize, drain: Duration) -> Self {
        let mut group = Self { seats: vec![Seat { data, node: None }], drain };
        group.start(0).await;
        for _ in 1..voters {
            group.join(NodeRole::Voter).await;
        }
        group
    }

    /// Forms a group of voters that say this of themselves.
    pub(crate) async fn form_labelled(labels: &[(&str, &str)]) -> Self {
        let mut group = Self { seats: Vec::new(), drain: Duration::from_secs(2) };
        for (label, value) in labels {
            let labels = BTreeMap::from([(Name::new(label).unwrap(), (*value).into())]);
            let cluster = Cluster { labels, ..Cluster::default() };
            if group.seats.is_empty() {
                let data = folder();
                init_cluster(data.path()).await.unwrap();
                let started = group.builder(&data).cluster(cluster).start();
                let node = within("the first node starts", started).await.unwrap();
                group.seats.push(Seat { data, node: Some(Arc::new(node)) });
            } else {
                group.join_as(NodeRole::Voter, cluster).await;
            }
        }
        group
    }

    /// Lets one more node join, and returns its place.
    pub(crate) async fn join(&mut self, role: NodeRole) -> usize {
        self.join_as(role, Cluster::default()).await
    }

    async fn join_as(&mut self, role: NodeRole, cluster: Cluster) -> usize {
        let member = self.nodes().next().unwrap().clone();
        let token = member.create_join_token(role, TOKEN_LIFE).await.unwrap();
        let address = member.cluster().listens.unwrap();
        drop(member);
        let data = folder();
        let join = Join { address, token: token.text, role };
        let cluster = Cluster { join: Some(join), ..cluster };
        let node = within("a node joins", self.builder(&data).cluster(cluster).start()).await.unwrap();
        self.seats.push(Seat { data, node: Some(Arc::new(node)) });
        self.seats.len() - 1
    }

    /// Returns the node at a place.
    pub(crate) fn node(&self, seat: usize) -> &Arc<Node> {
        self.seats[seat].node.as_ref().unwrap()
    }

    /// How many payloads are kept at a place outside of the log.
    pub(crate) fn blobs(&self, seat: usize) -> usize {
        let folders = std::fs::read_dir(self.seats[seat].data.path().join("blobs")).unwrap().flatten();
        let folders = folders.filter(|entry| entry.path().is_dir());
        folders.map(|entry| std::fs::read_dir(entry.path()).unwrap().count()).sum()
    }

    /// Returns all that run.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.seats.iter().filter_map(|seat| seat.node.as_ref())
    }

    /// Begins to start the node at a place again; it may wait for others.
    pub(crate) async fn begin(&mut self, seat: usize) {
        let node = self.builder(&self.seats[seat].data).begin().await.unwrap();
        self.seats[seat].node = Some(Arc::new(node));
    }

    /// Starts the node at a place again.
    pub(crate) async fn start(&mut self, seat: usize) {
        self.begin(seat).await;
        within("a node takes work", self.node(seat).ready()).await.unwrap();
    }

    /// Stops the node at a place in order.
    pub(crate) async fn stop(&mut self, seat: usize) {
        let node = self.seats[seat].node.take().unwrap();
        within("a node stops", node.stop()).await;
    }

    /// Cuts the node at a place off from everybody, without a word. Its folder stays taken.
    pub(crate) fn kill(&mut self, seat: usize) {
        drop(Arc::into_inner(self.seats[seat].node.take().unwrap()).expect("nobody else has it"));
    }

    /// Returns the place of the node that leads, once one does.
    pub(crate) async fn leader(&self) -> usize {
        let leads = crate::support::eventually("somebody leads", || {
            self.nodes().find(|node| node.cluster().leads.is_some()).map(|node| node.id())
        });
        self.seat_of(leads.await)
    }

    /// Returns the place of a node that runs and does not lead.
    pub(crate) async fn follower(&self) -> usize {
        let leader = self.leader().await;
        (0..self.seats.len()).find(|seat| *seat != leader && self.seats[*seat].node.is_some()).unwrap()
    }

    fn builder(&self, data: &TempDir) -> Builder {
        scripted(data.path()).drain(self.drain)
    }

    fn seat_of(&self, id: NodeId) -> usize {
        self.seats.iter().position(|seat| seat.node.as_ref().is_some_and(|node| node.id() == id)).unwrap()
    }

    /// Waits until this many nodes vote and all of them know it, so that any one may be missed from now on.
    pub(crate) async fn voters(&self, wanted: usize) {
        let knows = |node: &Node| {
            let cluster = node.cluster();
            let voters = cluster.nodes.iter().filter(|node| node.votes == Some(true)).count();
            !cluster.changing && voters == wanted
        };
        crate::support::eventually("the nodes vote", || {
            let led = self.nodes().any(|node| node.cluster().leads.is_some());
            (led && self.nodes().all(|node| knows(node))).then_some(())
        })
        .await;
    }

    /// Gives the lead to another node: again when a busy disk made whoever was meant too late.
    pub(crate) async fn give_lead_away(&self) {
        loop {
            let leader = self.node(self.leader().await);
            match leader.transfer_leadership(None).await {
                Ok(next) => return assert_ne!(next, leader.id()),
                Err(error) => eprintln!("the lead was not given away: {error}"),
            }
        }
    }

    /// Stops all that run, one after the other.
    pub(crate) async fn stop_all(mut self) {
        for seat in 0..self.seats.len() {
            if self.seats[seat].node.is_some() {
                self.stop(seat).await;
            }
        }
    }
}

/// Waits for something that comes within a minute at most.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}

/// A task for whoever takes it.
pub(crate) fn open(payload: usize) -> NewTask {
    NewTask::to_any(Capabilities::default(), "work", &payload).unwrap()
}

/// An agent that runs outside of every node.
pub(crate) fn outside(id: AgentId, name: &str) -> AgentSpec {
    AgentSpec {
        id,
        name: Name::new(name).unwrap(),
        pool: None,
        host: Host::External,
        capabilities: Capabilities::default(),
        labels: Default::default(),
        region: None,
        concurrency: 1,
        heartbeat_timeout: None,
        metadata: None,
    }
}
