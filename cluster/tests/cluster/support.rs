//! Nodes, commands and listeners for the tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use synod_cluster::checkpointer::Policy;
use synod_cluster::consensus::{Consensus, Formation, Options, Timing};
use synod_cluster::machine::EventSink;
use synod_cluster::proposer::Settled;
use synod_domain::agent::{AgentSpec, Host, Standing};
use synod_domain::capability::Capabilities;
use synod_domain::chance::Chance;
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::id::{AgentId, NodeId, RequestId, TaskId};
use synod_domain::name::Name;
use synod_domain::payload::Payload;
use synod_domain::reply::Answer;
use synod_domain::retry::RetryPolicy;
use synod_domain::sources::{Clock, Entropy};
use synod_domain::task::{Lane, MailboxId, TaskSpec, Timeouts, Usage};
use synod_domain::time::Timestamp;
use synod_storage::Storage;

/// A clock that stands until a test moves it.
#[derive(Default)]
pub(crate) struct TestClock(pub(crate) AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Chance from a seed.
pub(crate) struct TestEntropy(Mutex<Chance>);

impl Entropy for TestEntropy {
    fn draw(&self) -> u64 {
        self.0.lock().draw()
    }
}

/// Keeps what it hears.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<(u64, Vec<Event>)>>);

impl EventSink for Heard {
    fn publish(&self, index: u64, _at: Timestamp, events: Vec<Event>) {
        self.0.lock().push((index, events));
    }
}

/// A policy under which only the test makes checkpoints and snapshots.
pub(crate) fn by_hand() -> Policy {
    Policy { checkpoint_interval: Duration::from_secs(3600), ..Policy::default() }
}

/// Returns chance from a seed.
pub(crate) fn entropy(seed: u64) -> Arc<dyn Entropy> {
    Arc::new(TestEntropy(Mutex::new(Chance::new(seed))))
}

pub(crate) fn options(storage: Storage, policy: Policy, inline: bool) -> Options {
    Options {
        number: 1,
        me: NodeId::from_raw(1),
        storage,
        clock: Arc::new(TestClock(AtomicU64::new(1_000_000_000))),
        entropy: entropy(5),
        events: Arc::new(Heard::default()),
        timing: Timing::default(),
        policy,
        inline,
        formation: Formation::Found(BTreeMap::from([(1, NodeId::from_raw(1))])),
        links: None,
    }
}

/// Starts a group of one and waits until it leads.
pub(crate) async fn start(storage: Storage) -> Consensus {
    start_with(options(storage, by_hand(), true)).await
}

pub(crate) async fn start_with(options: Options) -> Consensus {
    let node = Consensus::start(options).await.unwrap();
    leads(&node).await;
    node
}

pub(crate) async fn leads(node: &Consensus) {
    let mut leadership = node.leadership();
    let led = tokio::time::timeout(Duration::from_secs(10), leadership.wait_for(Option::is_some)).await;
    led.unwrap().unwrap();
}

/// Runs a test, and ends its nodes the hard way: their tasks are dropped with the runtime, nothing is written any more.
/// Time goes on when nothing is left to do, so a slow machine changes nothing.
pub(crate) fn killed<T>(run: impl AsyncFnOnce() -> T) -> T {
    killed_on(tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true), run)
}

/// As [`killed`], with the time of the machine: for what goes through its kernel.
pub(crate) fn killed_in_real_time<T>(run: impl AsyncFnOnce() -> T) -> T {
    killed_on(tokio::runtime::Builder::new_current_thread().enable_all(), run)
}

fn killed_on<T>(runtime: &mut tokio::runtime::Builder, run: impl AsyncFnOnce() -> T) -> T {
    let runtime = runtime.build().unwrap();
    let result = runtime.block_on(run());
    runtime.shutdown_timeout(Duration::from_secs(5));
    result
}

pub(crate) fn request(number: u64) -> RequestId {
    RequestId::from_raw(u128::from(number))
}

/// Returns what was answered, without where it stands.
pub(crate) fn answer(settled: Settled) -> Answer {
    settled.answer
}

pub(crate) fn weight(weight: u32) -> Command {
    Command::SetWeight { workspace: Name::new(&format!("w{}", weight % 7)).unwrap(), weight }
}

pub(crate) fn task(number: u64) -> TaskId {
    // As ids are made: milliseconds in front.
    TaskId::from_raw(((1_000_000_000 + u128::from(number)) << 80) | u128::from(number))
}

pub(crate) fn submit(number: u64) -> Command {
    let spec = TaskSpec {
        id: task(number),
        workspace: Name::default(),
        kind: Name::new("test").unwrap(),
        mailbox: MailboxId::Open,
        demand: Capabilities::default(),
        lane: Lane::Normal,
        deadline: None,
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        payload: Payload::inline(number.to_be_bytes().to_vec()),
        idempotency_key: None,
        labels: BTreeMap::new(),
        run: None,
        redriven_from: None,
        metadata: None,
    };
    Command::Submit { spec: Arc::new(spec) }
}

pub(crate) fn agent() -> AgentId {
    AgentId::from_raw(77)
}

/// The commands that make [`agent`] take work.
pub(crate) fn agent_ready() -> [Command; 2] {
    let spec = AgentSpec {
        id: agent(),
        name: Name::new("worker").unwrap(),
        pool: None,
        capabilities: Capabilities::default(),
        labels: BTreeMap::new(),
        region: None,
        concurrency: 1000,
        host: Host::External,
        heartbeat_timeout: None,
        metadata: None,
    };
    [
        Command::RegisterAgent { spec: Arc::new(spec) },
        Command::SetStanding { agent: agent(), standing: Standing::Ready, reason: "test".into() },
    ]
}

pub(crate) fn claim(max: u32) -> Command {
    Command::Claim { agent: agent(), max, start: true, offered: None }
}

pub(crate) fn complete(number: u64) -> Command {
    Command::Complete {
        task: task(number),
        attempt: 1,
        result: Payload::inline(b"done".to_vec()),
        usage: Usage::default(),
    }
}

/// Proposes and expects a durable yes.
pub(crate) async fn accepted(node: &Consensus, number: u64, command: Command) {
    let answer = node.proposer().propose(request(number), command).await.map(answer);
    assert!(matches!(answer, Ok(Ok(_))), "{answer:?}");
}

/// Gives a node some of everything: weights, an agent, tasks that wait, run and have ended.
pub(crate) async fn live(node: &Consensus, from: u64, rounds: u64) {
    let mut number = from * 1_000_000;
    let mut next = || {
        number += 1;
        number
    };
    for command in agent_ready() {
        accepted(node, next(), command).await;
    }
    for round in from..from + rounds {
        accepted(node, next(), submit(round)).await;
        accepted(node, next(), weight(u32::try_from(round % 1000).unwrap() + 1)).await;
        if round % 3 == 0 {
            accepted(node, next(), claim(2)).await;
        }
        if round % 3 == 1 {
            let _ = node.proposer().propose(request(next()), complete(round - 1)).await.map(answer);
        }
    }
}
