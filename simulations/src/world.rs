//! A world with nodes in it: everything that happens there follows from one seed.
//!
//! ```text
//!   seed ─► streams ─► faults, syncs, clients, agents, the node's own entropy
//!                 │
//!                 ▼
//!   driver: inject ─► one step of simulated time ─► sync the disk ─► inject ─► …
//!                          │ turmoil
//!                          ▼
//!                     the hosts: real nodes, their clients ─► history ─► judges
//! ```
//!
//! The course: faults and new work for [`Settings::duration`], then neither until all work has ended or
//! [`Settings::settle`] has passed, then a last look and an orderly stop. Promises the same history for the
//! same settings in any process. That holds for the first world of a process only, because task and actor
//! numbers of the libraries below are counted through the whole process: run one world a process to compare.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::chance::Streams;
use crate::disk::Disk;
use crate::driver::{Driver, Site};
use crate::faults::{self, Fault, Kind, Kinds};
use crate::history::{Fact, Record};
use crate::host;
use crate::left_out::LeftOut;
use crate::machine::Machine;
use crate::net::ip_of;
use crate::panics::Watch;
use crate::shared::Shared;

/// One step of simulated time for a node that stands alone: the resolution of tokio's timers.
const STEP: Duration = Duration::from_millis(1);

/// One step with several nodes: what one says to another takes one at least, as on a slow network, and a world goes
/// three times faster than with shorter ones. Timers within a step keep their order and their time.
const STEP_OF_MANY: Duration = Duration::from_millis(5);

/// The most milliseconds that every message takes in a world. Each world draws its own.
const LATENCY_LEAST_MAX: u64 = 3;

/// The most milliseconds that a message takes beyond the least.
const LATENCY_SPREAD_MAX: u64 = 30;

/// Segments and datagrams that wait at a host: more than a node has on its way to another.
const QUEUE: usize = 4096;

/// What a world is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The source of everything random.
    pub seed: u64,
    /// With how many nodes it begins. One alone is no cluster.
    pub nodes: u64,
    /// How long faults and new work go on, in simulated time.
    pub duration: Duration,
    /// How long after that all acknowledged work must have ended.
    pub settle: Duration,
    /// Which faults may come.
    pub faults: Kinds,
    /// What it does without.
    pub left_out: LeftOut,
}

impl Settings {
    /// Takes defaults: a minute with all faults, and a minute to end.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            nodes: 3,
            duration: Duration::from_secs(60),
            settle: Duration::from_secs(60),
            faults: Kinds(Kind::ALL.to_vec()),
            left_out: LeftOut::default(),
        }
    }

    /// How long faults and new work really go on.
    pub(crate) fn busy(&self) -> Duration {
        self.left_out.after.map_or(self.duration, |after| after.min(self.duration))
    }
}

/// A world before it begins.
#[derive(Debug, Clone)]
pub struct World(Settings);

impl World {
    /// Makes a world.
    pub const fn new(settings: Settings) -> Self {
        Self(settings)
    }

    /// Draws which faults come when, in order; the first is number 1.
    pub fn plan(&self) -> Vec<(Duration, Fault)> {
        let Settings { seed, nodes, duration, faults, .. } = &self.0;
        faults::draw(faults, *nodes, *duration, &mut Streams::new(*seed).open("faults"))
    }

    /// Lets it run its course and returns what happened.
    ///
    /// Watches the panics of the whole process meanwhile.
    pub fn run(self) -> Vec<Record> {
        let left_out = &self.0.left_out.faults.0;
        let plan = (1..).zip(self.plan()).filter(|(number, _)| !left_out.contains(number));
        let plan = plan.map(|(_, planned)| planned).collect();
        let Self(settings) = self;
        let streams = Streams::new(settings.seed);
        let shared = Arc::new(Shared::new(streams, settings.nodes, settings.left_out.clone()));
        let _watch = Watch::begin(shared.history.clone());
        shared.note(Fact::Began {
            seed: settings.seed,
            duration: settings.duration,
            faults: !settings.faults.0.is_empty(),
            nodes: settings.nodes,
        });
        let mut latency = streams.open("latency");
        let least = latency.millis(0, LATENCY_LEAST_MAX);
        let most = least + latency.millis(1, LATENCY_SPREAD_MAX);
        let mut sim = turmoil::Builder::new()
            .rng_seed(streams.seed_of("network"))
            .epoch(SystemTime::UNIX_EPOCH)
            .tick_duration(if settings.nodes > 1 { STEP_OF_MANY } else { STEP })
            .min_message_latency(least)
            .max_message_latency(most)
            .tcp_capacity(QUEUE)
            .udp_capacity(QUEUE)
            .build();
        let mut sites = Vec::new();
        for node in 1..=settings.nodes {
            let disk = Disk::new(streams.open(&format!("disk {node}")));
            let machine = Arc::new(Machine::new(Arc::clone(&shared), node, disk.memory()));
            let software = Arc::clone(&machine);
            sim.host(ip_of(node), move || {
                let machine = Arc::clone(&software);
                async move {
                    host::live(machine).await;
                    Ok(())
                }
            });
            sites.push(Site { machine, disk, back_at: None, flipped: false, frozen: false });
        }
        let mut driver = Driver {
            sim,
            shared,
            sites,
            plan,
            going_on: Vec::new(),
            rolling: VecDeque::new(),
            latency: (least, most),
            busy_at: Duration::ZERO,
        };
        driver.drive(&settings);
        let Driver { sim, shared, .. } = driver;
        drop(sim);
        shared.history.records()
    }
}
