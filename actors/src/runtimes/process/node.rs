//! What all programs of a node share: where their logs go, who starts them, who kills them if the node cannot.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use synod_domain::id::{AgentId, TaskId};
use tokio::sync::broadcast;
use tracing::info;

use super::environment::{Environment, INHERITED, inherited};
use super::leftovers::sweep;
use super::log::{self, LOG_BYTES_MAX};
use super::spawner::Spawner;
use super::vitals::{Meter, Vitals};

/// How long a program has between SIGTERM and SIGKILL unless settings say otherwise. Enough to save work; longer
/// delays every cancel, timeout and shutdown by as much.
pub const GRACE: Duration = Duration::from_secs(5);

/// How a node runs programs.
#[derive(Debug, Clone)]
pub struct ProcessSettings {
    /// The folder of the attempts' logs; made if it is missing.
    pub logs: PathBuf,
    /// Marks this node's processes, so that its next life finds what is left of them. Must stay the same over
    /// restarts and differ between nodes of one machine: the node's id.
    pub node: String,
    /// The time between SIGTERM and SIGKILL. More delays every stop of a program that does not listen.
    pub grace: Duration,
    /// Which of the node's own variables programs see; a `*` at the end stands for any end. Each one more may
    /// give a secret away.
    pub inherit: Vec<String>,
    /// The most bytes of one attempt's log; the last 64 KiB are kept in any case. More takes disk.
    pub log_bytes_max: usize,
}

impl ProcessSettings {
    /// Returns the defaults for a node.
    pub fn new(logs: impl Into<PathBuf>, node: impl Into<String>) -> Self {
        Self {
            logs: logs.into(),
            node: node.into(),
            grace: GRACE,
            inherit: INHERITED.map(str::to_owned).to_vec(),
            log_bytes_max: LOG_BYTES_MAX,
        }
    }
}

/// One for each node; clones are handles to the same. When the last is dropped, what still runs is killed.
#[derive(Debug, Clone)]
pub struct ProcessNode(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: ProcessSettings,
    inherited: Environment,
    spawner: Spawner,
    growth: broadcast::Sender<log::Grown>,
    meter: Meter,
}

impl ProcessNode {
    /// Kills what an earlier life of this node left running, then gets ready to start programs.
    ///
    /// The caller makes sure that no other life of the same node is going on (a lock on its data folder): its
    /// programs would be taken for left-overs.
    ///
    /// # Errors
    /// When the logs folder cannot be made, or `/bin/sh` (the reaper) or a thread cannot be started.
    pub async fn start(settings: ProcessSettings) -> io::Result<Self> {
        log::create_private_folder(&settings.logs).await?;
        let killed = sweep(&settings.node).await;
        if killed > 0 {
            info!(killed, node = settings.node, "swept processes of an earlier life");
        }
        let inherited = inherited(std::env::vars_os(), &settings.inherit);
        let spawner = Spawner::start()?;
        let growth = broadcast::Sender::new(log::GROWN_BACKLOG);
        Ok(Self(Arc::new(Inner { settings, inherited, spawner, growth, meter: Meter::default() })))
    }

    /// Kills whatever still carries this node's mark. For the end of an orderly stop, after the last attempt: it
    /// finds what left its process group. Returns how many it killed; always 0 where there is no `/proc`.
    pub async fn sweep(&self) -> usize {
        sweep(&self.0.settings.node).await
    }

    /// Reads an attempt's log, or `None` when there is none here: a program that wrote nothing to standard error
    /// leaves none. The log of a running attempt ends early if it is long.
    ///
    /// # Errors
    /// When the disk does.
    pub async fn read_log(&self, task: TaskId, attempt: u32) -> io::Result<Option<Bytes>> {
        log::read(&self.0.settings.logs, task, attempt).await
    }

    /// Hears whenever a log has grown, so that whoever follows one need not look again and again.
    pub fn log_growth(&self) -> broadcast::Receiver<(TaskId, u32)> {
        self.0.growth.subscribe()
    }

    /// Lists the attempts of a task that have a log here, in order; silent ones are not among them.
    ///
    /// # Errors
    /// When the disk does.
    pub async fn attempts(&self, task: TaskId) -> io::Result<Vec<u32>> {
        log::attempts(&self.0.settings.logs, task).await
    }

    /// Removes the logs of a task, for retention. No log is no error.
    ///
    /// # Errors
    /// When the disk does.
    pub async fn remove_logs(&self, task: TaskId) -> io::Result<()> {
        log::remove(&self.0.settings.logs, task).await
    }

    /// Returns what the programs of each agent with work in hand take of the machine. Looked up at most once a second;
    /// nothing where there is no `/proc`.
    pub async fn vitals(&self) -> BTreeMap<AgentId, Vitals> {
        self.0.meter.look().await
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.0.meter
    }

    pub(super) fn settings(&self) -> &ProcessSettings {
        &self.0.settings
    }

    pub(super) fn inherited(&self) -> &Environment {
        &self.0.inherited
    }

    pub(super) fn growth(&self) -> &broadcast::Sender<log::Grown> {
        &self.0.growth
    }

    pub(super) fn spawner(&self) -> &Spawner {
        &self.0.spawner
    }
}
