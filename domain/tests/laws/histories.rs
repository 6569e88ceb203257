//! Random histories of a small world: two pools, five agents, three workspaces, two runs, small limits.
//!
//! What governs (pauses, retirement, tokens) is drawn in [`super::control`], nodes in [`super::nodes`], and
//! tasks for other regions in [`super::regions`]. Draws are plain numbers; a writer turns them into commands while it looks at a state of its own, so that
//! most name tasks and attempts that exist, and some do not.

use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::agent::{AgentSpec, Host, Standing};
use synod_domain::chance::Chance;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::{RequestId, TaskId};
use synod_domain::limits::Limits;
use synod_domain::payload::Payload;
use synod_domain::retry::RetryPolicy;
use synod_domain::state::State;
use synod_domain::task::{Lane, MailboxId, Progress, TaskSpec, Timeouts};

use super::world::{
    agent, agent_spec, at, capabilities, complete, fail, millis, name, node, pool_spec, register, run, spec,
    standing, submit, task,
};
use super::{after, control, fabrics, governing, hooks, nodes, regions, resources, spending};

/// When histories begin.
pub(crate) const BEGIN: u64 = 1_000_000;

/// Limits that short histories reach.
pub(crate) fn small_limits() -> Limits {
    Limits {
        mailbox_depth_max: 6,
        workspace_depth_max: 6,
        node_depth_max: 12,
        payload_bytes_max: 150,
        dead_letters_max: 3,
        ageing: millis(400),
        grace: millis(700),
        idempotency: millis(2500),
    }
}

/// How many cases a law tries: `cases` unless the environment asks for another number.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

/// Entries of one to three commands each, some of none.
///
/// Nothing holds a task back in them whose turn has come, so a claim gives what waits.
pub(crate) fn histories() -> impl Strategy<Value = Vec<Entry>> {
    drawn(false)
}

/// Histories in which gates hold tasks back when they would be given out, and more is about what governs.
pub(crate) fn governed_histories() -> impl Strategy<Value = Vec<Entry>> {
    drawn(true)
}

fn drawn(gates: bool) -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec((any::<u64>(), 0_usize..4), 1..70).prop_map(move |draws| {
        let mut writer = Writer { gates, ..Writer::begin() };
        for (seed, commands) in draws {
            writer.entry(seed, commands);
        }
        writer.entries
    })
}

/// The same history with one command an entry and a tick before each, so that time has passed already.
pub(crate) fn one_by_one(history: &[Entry]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for entry in history {
        entries.push(Entry { commands: Vec::new(), ..entry.clone() });
        for command in &entry.commands {
            entries.push(Entry { commands: vec![command.clone()], ..entry.clone() });
        }
    }
    entries
}

struct Writer {
    entries: Vec<Entry>,
    state: State,
    now: u64,
    requests: u128,
    tasks: u128,
    sent: Vec<Request>,
    gates: bool,
}

impl Writer {
    /// Sets the world up; most agents are ready.
    fn begin() -> Self {
        let mut writer = Self {
            entries: Vec::new(),
            state: State::default(),
            now: BEGIN,
            requests: 0,
            tasks: 0,
            sent: Vec::new(),
            gates: false,
        };
        let mut commands = vec![Command::SetLimits { limits: small_limits() }];
        commands.extend(["a", "b"].map(|pool| Command::PutPool { spec: pool_spec(pool).into() }));
        commands.push(Command::SetWeight { workspace: name("w1"), weight: 2 });
        commands.push(spending::begin());
        commands.extend([("gpu", 3), ("web", 2)].map(|(name, capacity)| resources::put(name, capacity)));
        commands.extend(nodes::founding(BEGIN));
        commands.extend((1..=5).map(register_one));
        commands.extend((1..=4).map(|number| standing(number, Standing::Ready)));
        let start = Command::StartRun { run: run(1), fleet: name("fleet1"), plan: Payload::default() };
        commands.push(start);
        let commands = commands.into_iter().map(|command| writer.request(command)).collect();
        writer.write(Entry { at: at(writer.now), seed: 0, commands });
        writer
    }

    fn request(&mut self, command: Command) -> Request {
        self.requests += 1;
        let request = Request { id: RequestId::from_raw(self.requests), command };
        self.sent.push(request.clone());
        request
    }

    fn write(&mut self, entry: Entry) {
        self.state.apply(&entry);
        self.entries.push(entry);
    }

    fn entry(&mut self, seed: u64, commands: usize) {
        let mut draw = Draw(Chance::new(seed));
        let step = match draw.below(20) {
            0..6 => 0,
            6..16 => draw.below(150),
            16..19 => draw.below(1500),
            _ => draw.below(10_000),
        };
        self.now += step;
        // Now and then a leader's clock is behind its predecessor's.
        let behind = if draw.one_in(15) { draw.below(500) } else { 0 };
        let commands = (0..commands).map(|_| self.next(&mut draw)).collect();
        self.write(Entry { at: at(self.now - behind), seed, commands });
    }

    fn next(&mut self, draw: &mut Draw) -> Request {
        if draw.one_in(15) {
            let again = draw.below(self.sent.len() as u64) as usize;
            return self.sent[again].clone();
        }
        let command = self.command(draw);
        self.request(command)
    }

    fn command(&mut self, draw: &mut Draw) -> Command {
        let who = u128::from(draw.below(6)) + u128::from(!draw.one_in(20));
        let now = self.now;
        if draw.one_in(14) {
            return nodes::command(&self.state, self.now, draw);
        }
        if draw.one_in(if self.gates { 4 } else { 40 }) {
            return governing::command(&self.state, draw, self.gates);
        }
        if draw.one_in(8) {
            return control::command(&self.state, self.now, draw, who);
        }
        if draw.one_in(12) {
            return hooks::command(&self.state, draw, who);
        }
        if draw.one_in(6)
            && let Command::Submit { spec } = self.submit(draw)
        {
            return regions::command(&self.state, draw, &spec);
        }
        if draw.one_in(9)
            && let Command::Submit { spec } = self.submit(draw)
        {
            return after::command(&self.state, draw, &spec);
        }
        if draw.one_in(12) {
            return fabrics::command(draw);
        }
        if draw.one_in(12) {
            return self.about(draw, |task, attempt, draw| spending::command(draw, now, (task, attempt)));
        }
        if draw.one_in(10)
            && let Command::Submit { spec } = self.submit(draw)
        {
            return resources::command(draw, &spec);
        }
        match draw.below(100) {
            0..30 => {
                let submit = self.submit(draw);
                spending::on_terms(draw, submit)
            }
            30..52 => {
                let (max, start) = (draw.below(4) as u32, draw.below(2) == 0);
                let offers: [&[&str]; 3] = [&[], &["rust@1"], &["rust"]];
                let offered = draw.one_in(5).then(|| capabilities(draw.pick(&offers)));
                if draw.one_in(4) {
                    // Few keys, so that they are met again.
                    let key = RequestId::from_raw(1 << 117 | u128::from(draw.below(20)));
                    return Command::ClaimOnce { key, agent: agent(who), max, start, offered };
                }
                Command::Claim { agent: agent(who), max, start, offered }
            }
            52..56 => self.about(draw, |task, attempt, _| Command::Start { task, attempt }),
            56..60 => self.about(draw, |task, attempt, draw| Command::Heartbeat {
                task,
                attempt,
                progress: draw
                    .one_in(2)
                    .then(|| Progress { percent: Some(draw.below(200) as u8), message: None }),
            }),
            60..66 => self.about(draw, |task, attempt, _| complete(task.raw(), attempt)),
            66..73 => self.about(draw, |task, attempt, draw| fail(task.raw(), attempt, !draw.one_in(3))),
            73..75 => self.about(draw, |task, attempt, _| Command::Release {
                task,
                attempt,
                reason: "not mine".into(),
            }),
            75..77 => self.about(draw, |task, _, _| Command::Cancel { task, reason: "enough".into() }),
            77..79 => self.about(draw, |task, _, draw| Command::SetLane { task, lane: draw.lane() }),
            79..82 => {
                let task = self.dead_letter(draw);
                let new_task = self.new_task(draw);
                Command::Redrive { task, new_task }
            }
            82 => Command::Purge { task: self.dead_letter(draw) },
            83..87 => standing(
                who,
                match draw.below(13) {
                    0..9 => Standing::Ready,
                    9 => Standing::Draining,
                    10 => Standing::Offline,
                    11 => Standing::Failed,
                    _ => return nodes::give_up(who),
                },
            ),
            87 => control::register(draw, who),
            88 => Command::RemoveAgent { agent: agent(who) },
            // Node 3 hosts nobody: mostly only grace begins anew.
            89..92 => nodes::start(&self.state, draw, 1 + who % 3),
            92 => Command::RemovePool { pool: name(draw.pick(&["a", "b", "c"])) },
            93 => nodes::put_pool(draw),
            94 => Command::ScalePool {
                pool: name(draw.pick(&["a", "b", "nowhere"])),
                target: draw.below(20) as u32,
            },
            95 => Command::SetWeight { workspace: draw.workspace(), weight: draw.below(4) as u32 },
            96 => self.set_limits(draw),
            97 | 98 => Command::StartRun {
                run: run(1 + u128::from(draw.below(2))),
                fleet: name(draw.pick(&["fleet1", "fleet2"])),
                plan: Payload::default(),
            },
            _ => Command::EndRun { run: run(1 + u128::from(draw.below(3))), summary: "over".into() },
        }
    }

    fn set_limits(&self, draw: &mut Draw) -> Command {
        let mut limits = small_limits();
        limits.dead_letters_max = draw.below(4);
        limits.grace = millis(draw.below(900));
        limits.ageing = millis(draw.below(500));
        Command::SetLimits { limits }
    }

    fn submit(&mut self, draw: &mut Draw) -> Command {
        let mut spec = TaskSpec { id: self.new_task(draw), workspace: draw.workspace(), ..spec(0) };
        spec.mailbox = match draw.below(12) {
            0..4 => MailboxId::Open,
            4..10 => MailboxId::Pool(name(draw.pick(&["a", "b"]))),
            10 => MailboxId::Pool(name("nowhere")),
            _ => MailboxId::Agent(agent(u128::from(draw.below(7)))),
        };
        spec.demand = capabilities(draw.pick::<&[&str]>(&[&[], &[], &[], &["rust"], &["rust@1"]]));
        spec.lane = draw.lane();
        spec.deadline = draw.one_in(4).then(|| at(self.now + draw.below(2500)));
        let limit = |draw: &mut Draw| draw.one_in(4).then(|| millis(draw.below(900)));
        spec.timeouts = Timeouts {
            waiting: limit(draw),
            running: limit(draw),
            silence: limit(draw).or_else(|| limit(draw)),
        };
        spec.retry = RetryPolicy {
            max_attempts: draw.below(4) as u32,
            initial: millis(draw.below(200)),
            factor_percent: 200,
            max: millis(1000),
        };
        spec.payload = Payload::inline(vec![7; 5 + draw.below(2) as usize * 15]);
        spec.idempotency_key = draw.one_in(4).then(|| Arc::from(draw.pick(&["k1", "k2"])));
        if spec.idempotency_key.is_some() && draw.one_in(2) {
            // Plain content, so that the same comes again.
            spec.payload = Payload::default();
            spec.lane = Lane::Normal;
            spec.mailbox = MailboxId::Open;
            spec.demand = capabilities(&[]);
        }
        spec.metadata = draw.one_in(6).then(|| draw.pick(&["{}", "[1, 2]"]).into());
        spec.run = draw.one_in(5).then(|| run(1 + u128::from(draw.below(2))));
        submit(spec)
    }

    fn new_task(&mut self, draw: &mut Draw) -> TaskId {
        if draw.one_in(20) {
            return task(u128::from(draw.below(self.tasks as u64 + 1)));
        }
        self.tasks += 1;
        task(self.tasks)
    }

    /// A command about a task that is mostly leased, under an attempt that is mostly right.
    fn about(&self, draw: &mut Draw, command: impl Fn(TaskId, u32, &mut Draw) -> Command) -> Command {
        let leased: Vec<_> = self.state.tasks().filter(|task| task.lease().is_some()).collect();
        let id = match draw.below(10) {
            0..8 if !leased.is_empty() => draw.pick(&leased).spec.id,
            _ => task(u128::from(draw.below(self.tasks as u64 + 2))),
        };
        let attempt = self.state.task(id).map_or(1, |task| task.attempt);
        let attempt =
            if draw.one_in(10) { (attempt + draw.below(3) as u32).saturating_sub(1) } else { attempt };
        command(id, attempt, draw)
    }

    fn dead_letter(&self, draw: &mut Draw) -> TaskId {
        let dead: Vec<_> = self.state.dead_letters().map(|task| task.spec.id).collect();
        if dead.is_empty() { task(u128::from(draw.below(9))) } else { draw.pick(&dead) }
    }
}

/// Agents 1 and 2 are of pool a, 3 and 4 of pool b, 5 of none; 1 and 3 on node 1, 2 on node 2.
fn register_one(number: u128) -> Command {
    register(spec_of(number))
}

pub(super) fn spec_of(number: u128) -> AgentSpec {
    let pool = [None, Some("a"), Some("a"), Some("b"), Some("b"), None, Some("nowhere")][number as usize % 7];
    let host = match number {
        1 | 3 => Host::Node(node(1)),
        2 => Host::Node(node(2)),
        _ => Host::External,
    };
    let mut spec = agent_spec(number, pool, host);
    spec.capabilities = capabilities([&["rust@1"][..], &["rust@2"], &[], &["rust"]][number as usize % 4]);
    spec.concurrency = 1 + number as u32 % 3;
    spec
}

pub(super) struct Draw(Chance);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(Chance::new(seed))
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.0.below(bound) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn lane(&mut self) -> Lane {
        self.pick(&Lane::ALL)
    }

    pub(super) fn workspace(&mut self) -> synod_domain::name::Name {
        name(self.pick(&["w1", "w2", "w3"]))
    }
}
