//! A cluster of real node processes: formed, started, killed, stopped, cut off, filled up.
//!
//! Promises that no process outlives this one. Leaves what is done to the nodes, and when, to the scenarios.

mod commands;
pub mod joining;
pub mod namespaces;
pub mod node;
mod ports;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use self::joining::Forming;
use self::namespaces::Namespaces;
use self::node::Node;
pub use self::ports::free_address;
use crate::client::Doors;
use crate::http::{Link, Outcome};
use crate::place::Place;

/// Where the library lies that moves the wall clock of a process.
pub(crate) const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// How long forming a cluster may take: seconds on a quiet machine with a release build.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long one look may take: a node that is stopped takes connections and never answers.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// How a cluster is made.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The binary to run.
    pub binary: PathBuf,
    /// The folder for data and logs; must not be memory, or no sync is shown.
    pub folder: PathBuf,
    /// How many nodes.
    pub nodes: usize,
    /// Whether each gets a network of its own.
    pub namespaces: bool,
    /// Settings for all nodes, as environment variables.
    pub settings: Vec<(String, String)>,
    /// Data folders that are not below `folder`: a small file system, for a node.
    pub data: Vec<(usize, PathBuf)>,
    /// In which order the nodes come together.
    pub forming: Forming,
    /// Wrong clocks, as libfaketime takes them: `+1d`.
    pub clocks: Vec<(usize, String)>,
}

impl Shape {
    /// Describes a cluster of three nodes on loopback, for scenarios: agents that are silent are gone soon, and a node that
    /// ends does not wait long.
    pub fn three(binary: &Path, folder: &Path) -> Self {
        Self::plain(binary, folder).with("SYNOD_AGENTS__TIMEOUT", "10s").with("SYNOD_STOP__DRAIN", "2s")
    }

    /// Describes a cluster of three nodes on loopback with the settings that are shipped, but for one.
    pub fn plain(binary: &Path, folder: &Path) -> Self {
        let settings = [
            // One token for all clients, so its rate must not be what is measured.
            ("SYNOD_HTTP__REQUESTS_PER_SECOND", "1000000"),
            ("SYNOD_HTTP__BURST", "1000000"),
        ];
        Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            nodes: 3,
            namespaces: false,
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            data: Vec::new(),
            forming: Forming::OneByOne,
            clocks: Vec::new(),
        }
    }

    /// Adds a setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its nodes; the first is the founder.
    pub nodes: Vec<Node>,
    /// Their network, if they have one of their own.
    pub namespaces: Option<Namespaces>,
    shape: Shape,
    token: Arc<str>,
}

/// What a node says of itself.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id.
    pub id: String,
    /// Whether it leads.
    pub leads: bool,
    /// Who leads, as far as it knows.
    pub leader: Option<String>,
    /// The term of the last vote it knows.
    pub term: u64,
    /// The last place of the log that it applied.
    pub applied: u64,
    /// The whole document.
    pub whole: Value,
}

impl Cluster {
    /// Forms one: the founder, then the others, each with a token of its own. One node alone is no cluster.
    ///
    /// # Errors
    /// When a node does not start or is not let in; the text holds what it said.
    pub async fn form(shape: &Shape) -> Result<Self, String> {
        if shape.nodes == 1 {
            return Self::alone(shape).await;
        }
        let mut cluster = Self::prepare(shape)?;
        let founder = &mut cluster.nodes[0];
        founder.init().await?;
        founder.start(None)?;
        founder.answers(PATIENCE).await?;
        cluster.token = cluster.nodes[0].operator_token(PATIENCE).await?.into();
        cluster.wait_for_leader(PATIENCE).await?;
        match shape.forming {
            Forming::OneByOne => {
                for node in 1..cluster.nodes.len() {
                    cluster.join(node).await?;
                }
            }
            Forming::AtOnce => cluster.join_at_once().await?,
            Forming::BeforeTheFounder => cluster.join_early().await?,
        }
        cluster.wait_for_all(PATIENCE).await?;
        Ok(cluster)
    }

    /// Starts one node that belongs to no cluster.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn alone(shape: &Shape) -> Result<Self, String> {
        let mut cluster = Self::prepare(shape)?;
        cluster.nodes[0].alone = true;
        cluster.nodes[0].start(None)?;
        cluster.nodes[0].answers(PATIENCE).await?;
        cluster.token = cluster.nodes[0].operator_token(PATIENCE).await?.into();
        cluster.wait_for_leader(PATIENCE).await?;
        Ok(cluster)
    }

    fn prepare(shape: &Shape) -> Result<Self, String> {
        std::fs::create_dir_all(&shape.folder).map_err(|error| error.to_string())?;
        let namespaces = if shape.namespaces { Some(Namespaces::make(shape.nodes)?) } else { None };
        let mut free = ports::free_addresses(shape.nodes * 2).into_iter();
        let mut next = || free.next().expect("two for each node");
        let nodes = (0..shape.nodes).map(|number| {
            let (api, cluster) = match &namespaces {
                Some(namespaces) => {
                    let address = namespaces.address(number).parse().expect("an address");
                    (SocketAddr::from(([127, 0, 0, 1], 7400)), SocketAddr::new(address, 7500))
                }
                None => (next(), next()),
            };
            let own = shape.data.iter().find(|(node, _)| *node == number).map(|(_, data)| data.clone());
            Node {
                number,
                name: format!("n{number}"),
                data: own.unwrap_or_else(|| shape.folder.join(format!("n{number}"))),
                log: shape.folder.join(format!("n{number}.log")),
                api,
                cluster,
                namespace: namespaces.as_ref().map(|namespaces| namespaces.name(number)),
                clock: shape.clocks.iter().find(|(node, _)| *node == number).map(|(_, by)| by.clone()),
                binary: shape.binary.clone(),
                settings: shape.settings.clone(),
                alone: false,
                child: None,
            }
        });
        let nodes = nodes.collect();
        Ok(Self { nodes, namespaces, shape: shape.clone(), token: "".into() })
    }

    /// Lets a node join that belongs to no cluster, through any node that leads or knows who does.
    ///
    /// # Errors
    /// When it is not let in.
    pub async fn join(&mut self, node: usize) -> Result<(), String> {
        let through = self.leader(PATIENCE).await?;
        let text = self.join_token(through).await?;
        self.start_joining(node, through, &text)?;
        self.nodes[node].answers(PATIENCE).await
    }

    /// Returns the token that every node takes.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns how clients get in.
    pub fn doors(&self) -> Doors {
        let places = self.nodes.iter().map(Node::place).collect();
        Doors { places: Arc::new(places), token: Arc::clone(&self.token) }
    }

    /// Returns a connection to a node with the operator's token.
    pub fn link(&self, node: usize) -> Link {
        Link::new(self.nodes[node].place(), &self.token)
    }

    /// Asks a node how it sees the cluster; `None` when it does not answer.
    pub async fn view(&self, node: usize) -> Option<View> {
        view(&mut self.link(node)).await
    }

    /// Returns the node that leads, once one does.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn leader(&self, within: Duration) -> Result<usize, String> {
        let until = Instant::now() + within;
        loop {
            // The one with the highest term: one that was stopped may think that it still leads.
            let mut best: Option<(u64, usize)> = None;
            for node in (0..self.nodes.len()).filter(|node| self.nodes[*node].runs()) {
                if let Some(view) = self.view(node).await.filter(|view| view.leads) {
                    best = best.max(Some((view.term, node)));
                }
            }
            if let Some((_, node)) = best {
                return Ok(node);
            }
            if Instant::now() > until {
                return Err(format!("nobody leads within {within:?}"));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn wait_for_leader(&self, within: Duration) -> Result<(), String> {
        self.leader(within).await.map(drop)
    }

    /// Waits until every node that runs knows who leads and counts all of the nodes among its voters.
    ///
    /// # Errors
    /// When that does not come about; the text says what the nodes say.
    pub async fn wait_for_all(&self, within: Duration) -> Result<(), String> {
        let until = Instant::now() + within;
        loop {
            let mut said = Vec::new();
            let mut well = true;
            for node in (0..self.nodes.len()).filter(|node| self.nodes[*node].runs()) {
                let view = self.view(node).await;
                let voters = view.as_ref().and_then(|view| view.whole["voters"].as_u64()).unwrap_or(0);
                let changing = view.as_ref().is_some_and(|view| view.whole["changing"] == true);
                let enough =
                    !changing && usize::try_from(voters).is_ok_and(|voters| voters >= self.nodes.len());
                well &= enough && view.as_ref().is_some_and(|view| view.leader.is_some());
                said.push(view.map(|view| view.whole.to_string()));
            }
            if well {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("the nodes do not come together: {said:#?}"));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until all nodes that run have applied the same, while nothing is written.
    ///
    /// # Errors
    /// When they do not come together.
    pub async fn wait_for_same(&self, within: Duration) -> Result<(), String> {
        let until = Instant::now() + within;
        let mut before = Vec::new();
        loop {
            let mut applied = Vec::new();
            for node in 0..self.nodes.len() {
                applied.push(self.view(node).await.map(|view| view.applied));
            }
            // The same twice: the first look at one node is older than the last at another.
            let same = applied.iter().all(|one| one.is_some() && *one == applied[0]);
            if same && applied == before {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("the nodes have applied {applied:?} after {within:?}"));
            }
            before = applied;
            sleep(LOOK_EVERY * 10).await;
        }
    }

    /// Returns how the cluster was made.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// Asks a node how it sees the cluster; `None` when it does not answer.
pub async fn view(link: &mut Link) -> Option<View> {
    let Outcome::Answer { status: 200, body } = link.get("/api/v1/cluster", LOOK_WITHIN).await else {
        return None;
    };
    Some(View {
        id: body["node"].as_str()?.to_owned(),
        leads: body["leads"].as_bool()?,
        leader: body["leader"].as_str().map(str::to_owned),
        term: body["term"].as_u64()?,
        applied: body["applied"].as_u64()?,
        whole: body,
    })
}

/// Returns the place of an address on this machine.
pub fn here(address: SocketAddr) -> Place {
    Place { address, namespace: None }
}
