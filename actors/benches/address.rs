//! What actors cost: messages through our addresses beside bare ractor, memory of idle agents, and what the
//! tree adds to work that external agents do.
//!
//! Run with `cargo bench -p synod-actors --bench address`. Both sides of a ratio are measured in turns of a
//! fraction of a second and the ratio is the median over the turns, because a machine changes its mind from
//! second to second; absolute figures of different runs do not compare.

#![allow(unsafe_code, reason = "counting allocations needs a global allocator")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should say so")]
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]
#![allow(dead_code, reason = "the tests' journal can do more than is needed here")]

#[path = "../tests/actors/journal.rs"]
mod journal;
#[path = "../tests/actors/puppet.rs"]
mod puppet;
#[path = "../tests/actors/stage.rs"]
mod stage;

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use synod_actors::address::{Address, Reply};
use synod_actors::ports::Finish;
use synod_actors::system::System;
use synod_domain::agent::{AgentSpec, Host, PoolSpec, RuntimeSpec, Standing};
use synod_domain::capability::Capabilities;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::{AgentId, RequestId, TaskId};
use synod_domain::payload::Payload;
use synod_domain::state::State;
use synod_domain::task::Usage;

use crate::puppet::{Puppet, until_stopped};
use crate::stage::{Stage, name, pool};

const TURNS: usize = 15;
const TELLS: usize = 100_000;
const ASKS: usize = 20_000;
const AGENTS: u32 = 10_000;
/// Tasks submitted, claimed and completed in one entry each, as a proposer under load batches them.
const BATCH: usize = 64;
const BATCHES: usize = 300;
/// Tasks for hosted agents.
const TASKS: usize = 5_000;

/// Counts the bytes that are allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { std::alloc::System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { std::alloc::System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

enum Message {
    Add { number: u64 },
    Sum { reply: Reply<u64> },
    BareSum { reply: RpcReplyPort<u64> },
}

#[derive(Clone)]
struct Adder;

impl Actor for Adder {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        sum: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Add { number } => *sum = sum.wrapping_add(number),
            Message::Sum { reply } => reply.send(*sum),
            // A caller who left is not our failure.
            Message::BareSum { reply } => drop(reply.send(*sum)),
        }
        Ok(())
    }
}

fn main() {
    let one = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let two = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("| messages, {TURNS} turns | bare /s | ours /s | ours/bare |");
    println!("|---|---:|---:|---:|");
    for (threads, runtime) in [("1 thread", one()), ("2 threads", two())] {
        // On a runtime's own thread: the one that calls block_on is not one of them.
        runtime.block_on(async move { tokio::spawn(messages(threads)).await.unwrap() });
    }
    println!();
    println!("| {AGENTS} idle agents | bytes each |");
    println!("|---|---:|");
    one().block_on(memory());
    println!();
    println!("| submit, claim, complete by external agents, {BATCH} an entry | µs a command |");
    println!("|---|---:|");
    one().block_on(external_work());
    println!();
    println!("| a task from submit to end, ten at a time, in a pool of | µs a task |");
    println!("|---|---:|");
    for agents in [10, AGENTS] {
        one().block_on(hosted_work(agents));
    }
}

async fn messages(threads: &str) {
    let (actor, _) = Adder::spawn(None, Adder, ()).await.unwrap();
    let address = Address::default();
    address.point_at(actor.clone());
    let patience = Duration::from_secs(10);
    let ask = || async { address.ask(patience, |reply| Message::Sum { reply }).await.unwrap() };
    let mut rates: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
    for _ in 0..TURNS {
        let began = Instant::now();
        for number in 0..TELLS as u64 {
            actor.cast(Message::Add { number }).unwrap();
        }
        ask().await;
        rates.entry("tell").or_default()[0].push(TELLS as f64 / began.elapsed().as_secs_f64());

        let began = Instant::now();
        for number in 0..TELLS as u64 {
            address.tell(Message::Add { number }).unwrap();
        }
        ask().await;
        rates.entry("tell").or_default()[1].push(TELLS as f64 / began.elapsed().as_secs_f64());

        for (row, patience) in
            [("ask, against a call without timeout", None), ("ask, against a call with", Some(patience))]
        {
            let began = Instant::now();
            for _ in 0..ASKS {
                actor.call(|reply| Message::BareSum { reply }, patience).await.unwrap().unwrap();
            }
            rates.entry(row).or_default()[0].push(ASKS as f64 / began.elapsed().as_secs_f64());

            let began = Instant::now();
            for _ in 0..ASKS {
                ask().await;
            }
            rates.entry(row).or_default()[1].push(ASKS as f64 / began.elapsed().as_secs_f64());
        }
    }
    for (row, [bare, ours]) in rates {
        let ratio = median(ours.iter().zip(&bare).map(|(ours, bare)| ours / bare).collect());
        println!("| {row}, {threads} | {:.0} | {:.0} | {ratio:.2} |", median(bare), median(ours));
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn allocated_since(before: usize) -> usize {
    ALLOCATED.load(Ordering::Relaxed).saturating_sub(before)
}

async fn memory() {
    let before = ALLOCATED.load(Ordering::Relaxed);
    let mut bare = Vec::new();
    for _ in 0..AGENTS {
        bare.push(Adder::spawn(None, Adder, ()).await.unwrap());
    }
    println!(
        "| a bare ractor actor with a number for state | {} |",
        allocated_since(before) / AGENTS as usize
    );
    drop(bare);

    let before = ALLOCATED.load(Ordering::Relaxed);
    let state = state_with_agents();
    let records = allocated_since(before);
    println!("| an agent's record in the agreed state | {} |", records / AGENTS as usize);
    drop(state);

    let stage = Stage::start(until_stopped).await;
    let before = ALLOCATED.load(Ordering::Relaxed);
    stage.pool(pool("idle", AGENTS)).await;
    stage::settle().await;
    *stage.journal.core().asked.lock() = journal::Asked::default();
    let whole = allocated_since(before);
    println!(
        "| an agent of a pool in all, with its record and the scheduler's | {} |",
        whole / AGENTS as usize
    );
    println!("| the same without its record | {} |", whole.saturating_sub(records) / AGENTS as usize);
}

fn agent(raw: u128, pool: Option<&str>, host: Host) -> AgentSpec {
    AgentSpec {
        id: AgentId::from_raw(raw),
        name: name(&format!("idle-{raw}")),
        pool: pool.map(name),
        capabilities: Capabilities::default(),
        labels: BTreeMap::new(),
        region: None,
        concurrency: 1_000,
        host,
        heartbeat_timeout: None,
        metadata: None,
    }
}

fn state_with_agents() -> State {
    let mut state = State::default();
    let mut request = 0;
    let mut apply = |command| {
        request += 1;
        let commands = vec![Request { id: RequestId::from_raw(request), command }];
        for answer in state.apply(&Entry { commands, ..Entry::default() }).answers {
            answer.unwrap();
        }
    };
    apply(Command::PutPool { spec: Arc::new(pool("idle", AGENTS)) });
    for raw in 1..=u128::from(AGENTS) {
        let id = AgentId::from_raw(raw);
        apply(Command::RegisterAgent { spec: Arc::new(agent(raw, Some("idle"), Host::External)) });
        apply(Command::SetStanding { agent: id, standing: Standing::Ready, reason: "started".into() });
    }
    state
}

/// Lives of tasks in the hands of external agents, applied with and without a tree of actors that listens. On
/// one thread, so that whatever the actors do shows in the time.
async fn external_work() {
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..6 {
        let with_tree = turn % 2 == 1;
        let puppet = Puppet::new(until_stopped);
        let (world, journal) = Stage::world(1, &puppet);
        let system = if with_tree {
            let mut system = System::start(world.clone()).await.unwrap();
            system.lead(journal.clone(), 1).await.unwrap();
            Some(system)
        } else {
            None
        };
        let apply = |commands: Vec<Command>| {
            let request = |command| Request { id: world.ids.request(), command };
            journal.core().apply(commands.into_iter().map(request).collect())
        };
        let external = PoolSpec { runtime: RuntimeSpec::External, max: 9, ..pool("far", 0) };
        apply(vec![Command::PutPool { spec: Arc::new(external) }]);
        let agents: Vec<AgentId> = (1..=32).map(AgentId::from_raw).collect();
        for agent_id in &agents {
            apply(vec![
                Command::RegisterAgent { spec: Arc::new(agent(agent_id.raw(), Some("far"), Host::External)) },
                Command::SetStanding { agent: *agent_id, standing: Standing::Ready, reason: "here".into() },
            ]);
        }
        let began = Instant::now();
        for _ in 0..BATCHES {
            let specs: Vec<_> = (0..BATCH).map(|_| Arc::new(task(&world))).collect();
            let ids: Vec<TaskId> = specs.iter().map(|spec| spec.id).collect();
            apply(specs.into_iter().map(|spec| Command::Submit { spec }).collect());
            tokio::task::yield_now().await;
            let claim =
                |agent: &AgentId| Command::Claim { agent: *agent, max: 2, start: true, offered: None };
            apply(agents.iter().map(claim).collect());
            tokio::task::yield_now().await;
            let complete = |task| Command::Complete {
                task,
                attempt: 1,
                result: Payload::default(),
                usage: Usage::default(),
            };
            apply(ids.into_iter().map(complete).collect());
            tokio::task::yield_now().await;
        }
        // Whatever the actors still have to do.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let commands = (BATCHES * (2 * BATCH + agents.len())) as f64;
        times[usize::from(with_tree)].push(began.elapsed().as_secs_f64() * 1e6 / commands);
        drop(system);
    }
    let [without, with] = times.map(median);
    println!("| applied, with nobody who listens | {without:.2} |");
    println!("| applied, with the whole tree | {with:.2} |");
    println!("| what the tree adds | {:.2} |", with - without);
}

/// Lives of tasks in the hands of hosted agents, nearly all of which stay idle: idle agents should cost nothing.
async fn hosted_work(agents: u32) {
    let completed = || Finish::Completed { result: Bytes::from_static(b"null") };
    let stage = Stage::start(move |_| async move { completed() }).await;
    stage.pool(pool("idle", agents)).await;
    let began = Instant::now();
    for _ in 0..TASKS / 10 {
        stage.submit_burst("idle", 10);
        stage.until_all_ended().await;
    }
    println!("| {agents} agents | {:.1} |", began.elapsed().as_secs_f64() * 1e6 / TASKS as f64);
}

fn task(world: &synod_actors::system::World) -> synod_domain::task::TaskSpec {
    synod_domain::task::TaskSpec {
        id: world.ids.task(),
        workspace: synod_domain::name::Name::default(),
        kind: name("test"),
        mailbox: synod_domain::task::MailboxId::Pool(name("far")),
        demand: Capabilities::default(),
        lane: synod_domain::task::Lane::Normal,
        deadline: None,
        timeouts: synod_domain::task::Timeouts::default(),
        retry: synod_domain::retry::RetryPolicy::default(),
        payload: Payload::default(),
        idempotency_key: None,
        labels: BTreeMap::new(),
        run: None,
        redriven_from: None,
        metadata: None,
    }
}
