//! A world with one node in it: everything that happens there follows from one seed.
//!
//! ```text
//!   seed ─► streams ─► faults, syncs, clients, agents, the node's own entropy
//!                 │
//!                 ▼
//!   driver: inject ─► one step of simulated time ─► sync the disk ─► inject ─► …
//!                          │ turmoil
//!                          ▼
//!                     the host: the real node, its clients ─► history ─► judges
//! ```
//!
//! The course: faults and new work for [`Settings::duration`], then neither until all work has ended or
//! [`Settings::settle`] has passed, then a last look and an orderly stop. Promises the same history for the
//! same settings in any process. That holds for the first world of a process only, because task and actor
//! numbers of the libraries below are counted through the whole process: run one world a process to compare.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use crate::chance::Streams;
use crate::disk::Disk;
use crate::faults::{self, Fault, Kind, Kinds};
use crate::history::{Fact, Record};
use crate::host;
use crate::panics::Watch;
use crate::shared::{Phase, Shared};

/// One step of simulated time: the resolution of tokio's timers.
const STEP: Duration = Duration::from_millis(1);

/// The name of the only host.
const NODE: &str = "node";

/// How long a due crash waits for a moment at which the disk has something to lose.
const CRASH_PATIENCE: Duration = Duration::from_secs(2);

/// How long a node that failed by itself stays away.
const RESTART_AFTER: Duration = Duration::from_millis(500);

/// How long nothing may be unfinished before the world closes.
const QUIET: Duration = Duration::from_secs(1);

/// How long the last look and the orderly stop may take.
const CLOSE: Duration = Duration::from_secs(60);

/// What a world is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The source of everything random.
    pub seed: u64,
    /// How long faults and new work go on, in simulated time.
    pub duration: Duration,
    /// How long after that all acknowledged work must have ended.
    pub settle: Duration,
    /// Which faults may come.
    pub faults: Kinds,
}

impl Settings {
    /// Takes defaults: a minute with all faults, and a minute to end.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            duration: Duration::from_secs(60),
            settle: Duration::from_secs(60),
            faults: Kinds(Kind::ALL.to_vec()),
        }
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

    /// Lets it run its course and returns what happened.
    ///
    /// Watches the panics of the whole process meanwhile.
    pub fn run(self) -> Vec<Record> {
        let Self(settings) = self;
        let streams = Streams::new(settings.seed);
        let disk = Disk::new(streams.open("disk"));
        let shared = Arc::new(Shared::new(streams, disk.memory()));
        let _watch = Watch::begin(shared.history.clone());
        let plan = faults::draw(&settings.faults, settings.duration, &mut streams.open("faults"));
        shared.note(Fact::Began {
            seed: settings.seed,
            duration: settings.duration,
            faults: !settings.faults.0.is_empty(),
        });
        let mut sim = turmoil::Builder::new()
            .rng_seed(streams.seed_of("network"))
            .epoch(SystemTime::UNIX_EPOCH)
            .tick_duration(STEP)
            .build();
        let software = Arc::clone(&shared);
        sim.host(NODE, move || {
            let shared = Arc::clone(&software);
            async move {
                host::live(shared).await;
                Ok(())
            }
        });
        let mut driver = Driver {
            sim,
            shared,
            disk,
            plan: plan.into(),
            healing: Vec::new(),
            back_at: None,
            busy_at: Duration::ZERO,
        };
        driver.drive(&settings);
        let Driver { sim, shared, .. } = driver;
        drop(sim);
        shared.history.records()
    }
}

struct Driver<'a> {
    sim: turmoil::Sim<'a>,
    shared: Arc<Shared>,
    disk: Disk,
    plan: VecDeque<(Duration, Fault)>,
    /// Which faults end when.
    healing: Vec<(Duration, Kind)>,
    /// When the node comes back, while it is away.
    back_at: Option<Duration>,
    /// When work was last seen unfinished.
    busy_at: Duration,
}

impl Driver<'_> {
    fn drive(&mut self, settings: &Settings) {
        while self.sim.elapsed() < settings.duration {
            self.inject();
            self.step();
        }
        self.end_faults();
        let bound = self.sim.elapsed() + settings.settle;
        self.busy_at = self.sim.elapsed();
        while self.sim.elapsed() < bound && self.sim.elapsed() < self.busy_at + QUIET {
            self.step();
        }
        *self.shared.phase.lock() = Phase::Closing;
        let bound = self.sim.elapsed() + CLOSE;
        while self.sim.elapsed() < bound && (self.back_at.is_some() || self.sim.is_host_running(NODE)) {
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.sim.elapsed();
        if self.back_at.is_some_and(|at| at <= now) {
            self.back_at = None;
            self.sim.bounce(NODE);
        }
        self.heal(now);
        self.shared.clock.run();
        let stepped = self.sim.step();
        let now = self.sim.elapsed();
        self.shared.clock.stop_at(now);
        if let Err(error) = stepped {
            self.shared.note(Fact::NodeFailed { reason: error.to_string() });
        }
        self.disk.pump(now);
        let down = self.back_at.is_some() || !self.sim.is_host_running(NODE);
        if down && self.back_at.is_none() && self.shared.phase() != Phase::Closing {
            // The process has ended by itself, and something starts it again.
            self.lose_power(0);
            self.back_at = Some(now + RESTART_AFTER);
        }
        if down || self.shared.unfinished.load(Ordering::Relaxed) > 0 {
            self.busy_at = now;
        }
    }

    fn inject(&mut self) {
        let now = self.sim.elapsed();
        while let Some((at, fault)) = self.plan.front() {
            let wants_more = matches!(fault, Fault::Crash { .. })
                && (self.back_at.is_some() || !self.disk.has_unsynced() && now < *at + CRASH_PATIENCE);
            if *at > now || wants_more {
                return;
            }
            if let Some((_, fault)) = self.plan.pop_front() {
                self.shared.note(Fact::Injected(fault.clone()));
                self.perform(now, &fault);
            }
        }
    }

    fn perform(&mut self, now: Duration, fault: &Fault) {
        match fault {
            Fault::Crash { down, keep_percent } => {
                // The disk first: what runs while the host is torn down reaches it no more.
                self.lose_power(*keep_percent);
                self.sim.crash(NODE);
                self.back_at = Some(now + *down);
            }
            Fault::SlowDisk { lasts, sync } => {
                self.disk.slow(Some(*sync));
                self.healing.push((now + *lasts, Kind::SlowDisk));
            }
            Fault::FailedSync => self.disk.fail_next_sync(),
            Fault::FullDisk { lasts, bytes } => {
                self.disk.limit(Some(*bytes));
                self.healing.push((now + *lasts, Kind::FullDisk));
            }
            Fault::LyingDisk => self.shared.disk_lies.store(true, Ordering::Relaxed),
        }
    }

    fn lose_power(&self, keep_percent: u64) {
        let loss = self.disk.crash(keep_percent);
        self.shared.note(Fact::Lost { unsynced: loss.unsynced, kept: loss.kept });
    }

    fn heal(&mut self, now: Duration) {
        let healed: Vec<Kind> =
            self.healing.extract_if(.., |(at, _)| *at <= now).map(|(_, kind)| kind).collect();
        for kind in healed {
            // A later fault of the kind goes on.
            if !self.healing.iter().any(|(_, other)| *other == kind) {
                self.end(kind);
            }
        }
    }

    fn end(&mut self, kind: Kind) {
        match kind {
            Kind::SlowDisk => self.disk.slow(None),
            Kind::FullDisk => self.disk.limit(None),
            Kind::Crash | Kind::FailedSync | Kind::LyingDisk => {}
        }
        self.shared.note(Fact::Healed(kind));
    }

    fn end_faults(&mut self) {
        self.plan.clear();
        let mut open: Vec<Kind> = self.healing.drain(..).map(|(_, kind)| kind).collect();
        open.sort_unstable();
        open.dedup();
        for kind in open {
            self.end(kind);
        }
        self.shared.note(Fact::FaultsEnded);
        *self.shared.phase.lock() = Phase::Settling;
    }
}
