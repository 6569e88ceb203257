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
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::chance::Streams;
use crate::driver::Driver;
use crate::faults::{self, Fault, Kind, Kinds};
use crate::fleet::{self, Answer, Play, Stage};
use crate::history::{Fact, Plan, Record};
use crate::left_out::LeftOut;
use crate::panics::Watch;
use crate::replay::{Comparison, Heard, Reel, Score};
use crate::scenario::{Cast, Schedule};
use crate::shared::{OnTime, Shared};
use crate::story::Story;
use crate::workload::{self, Workloads};

/// The most milliseconds that every message takes in a world. Each world draws its own.
const LATENCY_LEAST_MAX: u64 = 3;

/// The most milliseconds that a message takes beyond the least.
const LATENCY_SPREAD_MAX: u64 = 30;

/// The steepest curve of times in a world: with ten, one message in twenty thousand takes the longest time.
const LATENCY_CURVE_MAX: u64 = 10;

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
    /// What clients may ask for.
    pub workloads: Workloads,
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
            workloads: Workloads::default(),
            left_out: LeftOut::default(),
        }
    }

    /// How long faults and new work really go on.
    pub(crate) fn busy(&self) -> Duration {
        self.left_out.after.map_or(self.duration, |after| after.min(self.duration))
    }
}

/// A world before it begins.
#[derive(Clone)]
pub struct World {
    pub(crate) settings: Settings,
    /// What is done to it by hand, besides what is drawn.
    pub(crate) schedule: Schedule,
    /// Who is in it.
    pub(crate) cast: Cast,
    story: Story,
    on_time: Option<OnTime>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, schedule, cast, story, on_time: _ } = self;
        f.debug_struct("World")
            .field("settings", settings)
            .field("schedule", schedule)
            .field("cast", cast)
            .field("story", story)
            .finish_non_exhaustive()
    }
}

impl World {
    /// Makes a world in which everything is drawn. One in which something is said is a [`Scenario`].
    ///
    /// [`Scenario`]: crate::scenario::Scenario
    pub fn new(settings: Settings) -> Self {
        let story = Story::Clients(settings.workloads.drawn(settings.seed));
        Self::of(settings, story)
    }

    pub(crate) fn of(settings: Settings, story: Story) -> Self {
        Self { settings, schedule: Schedule::default(), cast: Cast::default(), story, on_time: None }
    }

    /// Says what clients ask for.
    pub(crate) fn asks(mut self, workloads: Workloads) -> Self {
        self.story = Story::Clients(workloads.clone());
        self.settings.workloads = workloads;
        self
    }

    /// Lets somebody hear, step by step, how much time has passed in it.
    #[must_use]
    pub fn on_time(mut self, hear: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.on_time = Some(Arc::new(hear));
        self
    }

    /// Draws which faults come when, in order; the first is number 1.
    pub fn plan(&self) -> Vec<(Duration, Fault)> {
        let Settings { seed, nodes, duration, faults, .. } = &self.settings;
        faults::draw(faults, *nodes, *duration, &mut Streams::new(*seed).open("faults"))
    }

    /// Lets a fleet do its work in a world and says what it came to, with the history.
    ///
    /// Watches the panics of the whole process meanwhile.
    pub fn play(settings: Settings, play: Play) -> (Answer, Vec<Record>) {
        let stage = Arc::new(Stage::new(play));
        let (seed, nodes) = (settings.seed, settings.nodes);
        let history = Self::of(settings, Story::Fleet(Arc::clone(&stage))).run();
        (fleet::answer(&stage, seed, nodes, &history), history)
    }

    /// Lets what was recorded happen again in a world and compares, with the history.
    ///
    /// Watches the panics of the whole process meanwhile.
    pub fn replay(settings: Settings, score: Score, heard: Option<Heard>) -> (Comparison, Vec<Record>) {
        let reel = Arc::new(Reel::new(score, heard));
        let nodes = settings.nodes;
        let history = Self::of(settings, Story::Replay(Arc::clone(&reel))).run();
        (Comparison::of(&reel, nodes, &history), history)
    }

    /// Lets it run its course and returns what happened.
    ///
    /// Watches the panics of the whole process meanwhile.
    pub fn run(self) -> Vec<Record> {
        let left_out = &self.settings.left_out.faults.0;
        let plan = (1..).zip(self.plan()).filter(|(number, _)| !left_out.contains(number));
        let mut plan: VecDeque<_> = plan.map(|(_, planned)| planned).collect();
        let Self { settings, mut schedule, cast, story, on_time } = self;
        if settings.faults.0.contains(&Kind::Crash) && story.is_deadly() {
            schedule.deaths();
        }
        plan.extend(story.plan(settings.nodes));
        plan.make_contiguous().sort_by_key(|(at, _)| *at);
        let streams = Streams::new(settings.seed);
        let mut shared = Shared::new(streams, settings.nodes, settings.left_out.clone(), cast, story);
        shared.on_time = on_time;
        let shared = Arc::new(shared);
        let _watch = Watch::begin(shared.history.clone());
        shared.note(Fact::Began {
            seed: settings.seed,
            duration: settings.duration,
            faults: !settings.faults.0.is_empty() || !schedule.is_empty(),
            nodes: settings.nodes,
        });
        if let Some(plan) = plan_of(&shared) {
            shared.note(Fact::Planned(plan));
        }
        let mut latency = streams.open("latency");
        let least = latency.millis(0, LATENCY_LEAST_MAX);
        let most = least + latency.millis(1, LATENCY_SPREAD_MAX);
        let sim = turmoil::Builder::new()
            .rng_seed(streams.seed_of("network"))
            .epoch(SystemTime::UNIX_EPOCH)
            .tick_duration(shared.pace.step)
            .min_message_latency(least)
            .max_message_latency(most)
            .tcp_capacity(QUEUE)
            .udp_capacity(QUEUE)
            .build();
        // From most messages near the longest time to most near the shortest.
        let curve = latency.between(1, LATENCY_CURVE_MAX);
        sim.set_message_latency_curve(u32::try_from(curve).map_or(1.0, f64::from));
        let mut driver = Driver {
            sim,
            shared,
            sites: Vec::new(),
            plan,
            schedule,
            going_on: Vec::new(),
            rolling: VecDeque::new(),
            orders: streams.open("rolling restarts"),
            latency: (least, most),
            busy_at: Duration::ZERO,
        };
        (1..=settings.nodes).for_each(|node| driver.enter(node));
        driver.drive(&settings);
        let Driver { sim, shared, .. } = driver;
        drop(sim);
        // A copy of it would cost as much as a second of the world.
        shared.history.take()
    }
}

/// Returns what is said of clients before they come, where there are any that it can be said of.
fn plan_of(shared: &Shared) -> Option<Plan> {
    match &shared.story {
        Story::Clients(workloads) if shared.cast.ordinary => Some(workload::plan(workloads)),
        Story::Clients(_) | Story::Fleet(_) | Story::Replay(_) => None,
    }
}
