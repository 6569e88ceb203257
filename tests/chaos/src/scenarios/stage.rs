//! A cluster under load with its history, from forming to judgement.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::client::Doors;
use crate::cluster::{Cluster, Shape, view};
use crate::history::{Fact, History, Micros};
use crate::http::Link;
use crate::last_look;
use crate::report::{Goals, judge_and_print};
use crate::workload::{self, Load, Running};

/// How long the work that is left may take after the faults.
const DRAIN: Duration = Duration::from_secs(120);

/// How long nodes may take to apply the same after that.
const SETTLE: Duration = Duration::from_secs(60);

/// How long is waited for either where something went wrong before.
const SALVAGE: Duration = Duration::from_secs(10);

/// Between two questions who leads.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// The nodes' setting for agents that are silent, as judges are told it; `Shape::three` sets it.
pub const AGENT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// The binary.
    pub binary: PathBuf,
    /// The folder under which data is kept while it is needed.
    pub folder: PathBuf,
    /// From which chance comes.
    pub seed: u64,
    /// Tasks in a second.
    pub rate: u32,
    /// How often the fault of a scenario happens.
    pub times: usize,
    /// Whether data folders stay when the run holds.
    pub keep: bool,
}

/// A cluster under load.
pub struct Stage {
    /// The cluster.
    pub cluster: Cluster,
    /// What happened.
    pub history: History,
    /// From which chance comes.
    pub seed: u64,
    name: String,
    load: Running,
    watcher: JoinHandle<()>,
    data: tempfile::TempDir,
    keep: bool,
    order: Order,
}

impl Stage {
    /// Forms a cluster in the way that `shape` changes, and begins the load.
    ///
    /// # Errors
    /// When the cluster cannot be formed.
    pub async fn begin(
        order: &Order,
        name: &str,
        shape: impl FnOnce(Shape) -> Result<Shape, String>,
    ) -> Result<Self, String> {
        Self::begin_with(order, name, shape, |load| load).await
    }

    /// As [`Self::begin`], with another load.
    ///
    /// # Errors
    /// When the cluster cannot be formed.
    pub async fn begin_with(
        order: &Order,
        name: &str,
        shape: impl FnOnce(Shape) -> Result<Shape, String>,
        load: impl FnOnce(Load) -> Load,
    ) -> Result<Self, String> {
        std::fs::create_dir_all(&order.folder).map_err(|error| error.to_string())?;
        let data = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(&order.folder);
        let mut data = data.map_err(|error| format!("{}: {error}", order.folder.display()))?;
        let shape = shape(Shape::three(&order.binary, data.path()))?;
        let cluster = match Cluster::form(&shape).await {
            Ok(cluster) => cluster,
            Err(why) => {
                data.disable_cleanup(true);
                return Err(format!("{why}\n  the logs are in {}", data.path().display()));
            }
        };
        let timeout = Micros::try_from(AGENT_TIMEOUT.as_micros()).unwrap_or(Micros::MAX);
        let history = History::begin(name, order.seed, true, timeout);
        let doors = cluster.doors();
        let load =
            workload::begin(&doors, &history, &load(Load::of(order.rate, order.seed)), data.path()).await;
        let load = match load {
            Ok(load) => load,
            Err(why) => {
                data.disable_cleanup(true);
                return Err(format!("{why}\n  the logs are in {}", data.path().display()));
            }
        };
        let watcher = tokio::spawn(watch(doors, history.clone()));
        eprintln!("{name}: {} nodes work, seed {}", cluster.nodes.len(), order.seed);
        Ok(Self {
            cluster,
            history,
            seed: order.seed,
            name: name.to_owned(),
            load,
            watcher,
            data,
            keep: order.keep,
            order: order.clone(),
        })
    }

    /// Notes a fault after which writes may stop.
    pub fn injected(&self, fault: &str, node: Option<usize>) {
        self.history.note(Fact::Injected { fault: fault.to_owned(), node, outage: true });
    }

    /// Notes its end.
    pub fn healed(&self, fault: &str, node: Option<usize>) {
        self.history.note(Fact::Healed { fault: fault.to_owned(), node });
    }

    /// Lets the work end, looks at all nodes and judges; returns whether everything holds. Where the faults could not
    /// be carried through, what was told until then is judged all the same.
    ///
    /// # Errors
    /// None; a node that cannot be looked at is something that does not hold.
    pub async fn end(mut self, ran: Result<(), String>, goals: Goals) -> Result<bool, String> {
        let (drain, settle) = if ran.is_ok() { (DRAIN, SETTLE) } else { (SALVAGE, SALVAGE) };
        if let Some(namespaces) = &mut self.cluster.namespaces {
            namespaces.heal()?;
        }
        self.load.stop_submits().await;
        let done = last_look::work_done(&self.cluster, drain).await;
        self.load.stop_work().await;
        self.watcher.abort();
        let same = self.cluster.wait_for_same(settle).await;
        let looked = last_look::look(&self.cluster, &self.history).await;
        self.history.note(Fact::Closed);
        let kept = self.order.folder.clone();
        let mut holds = judge_and_print(&self.name, &self.history.records(), goals, &kept);
        for said in [ran, done, same, looked.map(drop)] {
            if let Err(why) = said {
                println!("  BROKEN  {why}");
                holds = false;
            }
        }
        if !holds || self.keep {
            self.data.disable_cleanup(true);
            println!("  the data folders and logs are in {}", self.data.path().display());
        }
        for node in &mut self.cluster.nodes {
            node.kill().await;
        }
        Ok(holds)
    }
}

/// Asks every node again and again whether it leads.
async fn watch(doors: Doors, history: History) {
    let mut tasks = tokio::task::JoinSet::new();
    for (node, place) in doors.places.iter().enumerate() {
        let mut link = Link::new(place.clone(), &doors.token);
        let history = history.clone();
        tasks.spawn(async move {
            let mut last = None;
            loop {
                if let Some(view) = view(&mut link).await.filter(|view| view.leads)
                    && last != Some(view.term)
                {
                    last = Some(view.term);
                    history.note(Fact::Leads { node, term: view.term });
                }
                sleep(WATCH_EVERY).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}
