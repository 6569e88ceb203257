//! The load: submitters at a steady rate, workers outside of the nodes, a few agents that the nodes run, somebody who
//! cancels, somebody who reads.
//!
//! Promises that every call is in the history before it is sent. Leaves to the scenario when it ends: first the
//! submits stop, then the work is done, then the workers stop.

mod hosted;
mod lookers;
mod readers;
mod submitters;
mod workers;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Doors;
use crate::history::History;

/// How much is asked of the cluster.
#[derive(Debug, Clone)]
pub struct Load {
    /// Tasks submitted in a second; each is claimed and completed as well.
    pub rate: u32,
    /// Workers.
    pub workers: usize,
    /// How long an attempt may be silent.
    pub silence: Duration,
    /// From which the chance of the clients comes.
    pub seed: u64,
    /// Bytes in the payload of every task, beside its mark.
    pub padding: usize,
    /// Whether somebody looks at everything meanwhile.
    pub looked_at: bool,
    /// Whether a share of the tasks is for agents that the nodes run.
    pub hosted: bool,
}

impl Load {
    /// Describes a load of so many tasks in a second.
    pub fn of(rate: u32, seed: u64) -> Self {
        Self {
            rate,
            workers: 8,
            silence: Duration::from_secs(4),
            seed,
            padding: 0,
            looked_at: false,
            hosted: true,
        }
    }
}

/// Tasks kept to read and to cancel: the latest, because those change.
const RECENT: usize = 512;

/// What the clients of one load share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) doors: Doors,
    pub(crate) history: History,
    pub(crate) load: Load,
    recent: Arc<Mutex<VecDeque<String>>>,
    submitting: watch::Receiver<bool>,
    working: watch::Receiver<bool>,
}

impl Shared {
    /// Returns a stream of chance of its own for a client.
    pub(crate) fn chance(&self, client: u64) -> StdRng {
        StdRng::seed_from_u64(self.load.seed.wrapping_mul(1_000_003).wrapping_add(client))
    }

    pub(crate) fn remember(&self, task: &str) {
        let mut recent = self.recent.lock().expect("nobody panics here");
        recent.push_back(task.to_owned());
        if recent.len() > RECENT {
            recent.pop_front();
        }
    }

    pub(crate) fn any_task(&self, chance: &mut StdRng) -> Option<String> {
        let recent = self.recent.lock().expect("nobody panics here");
        if recent.is_empty() { None } else { recent.get(chance.random_range(0..recent.len())).cloned() }
    }

    pub(crate) fn submits(&self) -> bool {
        *self.submitting.borrow()
    }

    pub(crate) fn works(&self) -> bool {
        *self.working.borrow()
    }
}

/// A load that goes on until it is told to end.
pub struct Running {
    submitters: JoinSet<()>,
    workers: JoinSet<()>,
    submitting: watch::Sender<bool>,
    working: watch::Sender<bool>,
}

/// Begins a load; agents that the nodes run say below `folder` what they do.
///
/// # Errors
/// When the workers cannot be registered, or the pool of those agents cannot be made.
pub async fn begin(doors: &Doors, history: &History, load: &Load, folder: &Path) -> Result<Running, String> {
    let (submitting, submits) = watch::channel(true);
    let (working, works) = watch::channel(true);
    let shared = Shared {
        doors: doors.clone(),
        history: history.clone(),
        load: load.clone(),
        recent: Arc::default(),
        submitting: submits,
        working: works,
    };
    let mut running = Running { submitters: JoinSet::new(), workers: JoinSet::new(), submitting, working };
    workers::register(&shared).await?;
    if load.hosted {
        hosted::make_pool(&shared, folder).await?;
        hosted::begin(&shared, folder, &mut running.submitters, &mut running.workers)?;
    }
    workers::begin(&shared, &mut running.workers);
    submitters::begin(&shared, &mut running.submitters);
    readers::begin(&shared, &mut running.workers);
    if load.looked_at {
        lookers::begin(&shared, &mut running.workers);
    }
    Ok(running)
}

impl Running {
    /// Ends the submits; what is on its way is finished.
    pub async fn stop_submits(&mut self) {
        self.submitting.send_replace(false);
        while self.submitters.join_next().await.is_some() {}
    }

    /// Ends the workers and readers.
    pub async fn stop_work(mut self) {
        self.working.send_replace(false);
        while self.workers.join_next().await.is_some() {}
    }
}
