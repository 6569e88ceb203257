//! Everything at once, from a seed: whatever fails, every task ends, and what was promised holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use synod_actors::ports::{Finish, Report, Work};
use synod_domain::agent::PoolSpec;
use synod_domain::chance::Chance;
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::placement::Strategy;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{Lane, MailboxId, TaskSpec, Timeouts};

use crate::puppet::{Prepare, Puppet, complete_after, fail, until_stopped};
use crate::stage::{SECOND, Stage, capabilities, name, pass, pool};

const TASKS: usize = 150;
const POOLS: [&str; 3] = ["red", "green", "blue"];

/// Does to an attempt what the lot says.
async fn act(work: Work, lot: u64) -> Finish {
    let while_working = Duration::from_millis(lot % 3000);
    match lot % 11 {
        0 => fail(true),
        1 => fail(false),
        2 => panic!("the lot says so"),
        3 => until_stopped(work).await,
        // Heeds nothing, and is over some time.
        4 => {
            tokio::time::sleep(while_working * 10).await;
            Finish::Completed { result: Bytes::from_static(b"null") }
        }
        5 => Finish::Stopped,
        6 => {
            let _ = work.reports.try_send(Report::Progress { percent: Some(50), message: None });
            complete_after(work, while_working).await
        }
        _ => complete_after(work, while_working).await,
    }
}

fn any_task(stage: &Stage, chance: &mut Chance) -> TaskSpec {
    let pool = POOLS[usize::try_from(chance.below(3)).unwrap()];
    let mut spec = stage.task(pool);
    if chance.below(4) == 0 {
        spec.mailbox = MailboxId::Open;
        spec.demand = capabilities(pool);
    }
    spec.lane = Lane::ALL[usize::try_from(chance.below(4)).unwrap()];
    // Every attempt ends some time.
    spec.timeouts = Timeouts { running: Some(20 * SECOND), waiting: None, silence: None };
    if chance.below(3) == 0 {
        spec.timeouts.silence = Some(15 * SECOND);
    }
    let attempts = u32::try_from(1 + chance.below(4)).unwrap();
    spec.retry = RetryPolicy { max_attempts: attempts, initial: SECOND, ..RetryPolicy::default() };
    spec
}

fn any_pool(pool_name: &str, chance: &mut Chance) -> PoolSpec {
    let strategies = [Strategy::RoundRobin, Strategy::LeastBusy, Strategy::Random, Strategy::CapabilityAware];
    let max = 1 + chance.below(4);
    let min = chance.below(max + 1);
    PoolSpec {
        capabilities: capabilities(pool_name),
        min: u32::try_from(min).unwrap(),
        max: u32::try_from(max).unwrap(),
        concurrency: u32::try_from(1 + chance.below(3)).unwrap(),
        strategy: strategies[usize::try_from(chance.below(4)).unwrap()],
        ..pool(pool_name, 1)
    }
}

/// One thing that somebody does to the node.
async fn disturb(stage: &Stage, chance: &mut Chance, tasks: &[TaskId]) {
    let agents: Vec<_> = stage.read(|state| state.agents().map(|agent| agent.spec.id).collect());
    match chance.below(8) {
        0 => {
            let task = tasks[usize::try_from(chance.below(tasks.len() as u64)).unwrap()];
            // It may have ended.
            let _ = stage.propose(Command::Cancel { task, reason: "by chance".into() }).await;
        }
        1 => {
            let spec = any_pool(POOLS[usize::try_from(chance.below(3)).unwrap()], chance);
            stage.propose(Command::PutPool { spec: Arc::new(spec) }).await.unwrap();
        }
        2 => {
            let preparing = [Prepare::Fail("by chance".to_owned()), Prepare::Panic];
            stage.puppet.seen(|seen| seen.preparing.extend(preparing));
        }
        3 if !agents.is_empty() => {
            let agent = agents[usize::try_from(chance.below(agents.len() as u64)).unwrap()];
            // Somebody claims for an agent of the node without being asked to.
            let _ = stage.propose(Command::Claim { agent, max: 1, start: true, offered: None }).await;
        }
        4 => {
            let delay = Duration::from_millis(chance.below(50));
            let (lost, unsure) = (chance.below(20), chance.below(20));
            stage.faults(|faults| (faults.delay, faults.lost, faults.unsure) = (delay, lost, unsure));
        }
        5 => stage.faults(|faults| faults.no_room = true),
        6 => stage.journal.broken_reads.store(1, std::sync::atomic::Ordering::SeqCst),
        _ => {}
    }
    pass(Duration::from_millis(chance.below(2000))).await;
    stage.faults(|faults| faults.no_room = false);
    stage.journal.broken_reads.store(0, std::sync::atomic::Ordering::SeqCst);
}

async fn live_through(seed: u64) {
    let lots = Arc::new(Mutex::new(Chance::new(seed)));
    let puppet = Puppet::new(move |work| {
        let lot = lots.lock().draw();
        act(work, lot)
    });
    let mut stage = Stage::start_seeded(seed, puppet).await;
    let mut chance = Chance::new(seed ^ 0xc4a0);
    for name in POOLS {
        stage.propose(Command::PutPool { spec: Arc::new(any_pool(name, &mut chance)) }).await.unwrap();
    }
    let mut tasks = Vec::new();
    while tasks.len() < TASKS {
        for _ in 0..=chance.below(12) {
            tasks.push(stage.submit(any_task(&stage, &mut chance)).await);
        }
        disturb(&stage, &mut chance, &tasks).await;
        // A leader that is replaced, seldom enough for its actors' intensities.
        if chance.below(6) == 0 {
            stage.system.step_down().await;
            stage.system.lead(stage.journal.clone(), 2).await.unwrap();
        }
        assert_eq!(*stage.system.failed().borrow(), None, "seed {seed}");
        pass(15 * SECOND).await;
    }
    stage.faults(|faults| (faults.lost, faults.unsure) = (0, 0));
    // The pools must be able to do what waits.
    for name in POOLS {
        let spec = PoolSpec { capabilities: capabilities(name), ..pool(name, 1) };
        stage.propose(Command::PutPool { spec: Arc::new(spec) }).await.unwrap();
    }
    stage.until_all_ended().await;
    assert_eq!(*stage.system.failed().borrow(), None, "seed {seed}");
    stage.puppet.seen(|seen| {
        let attempts: BTreeSet<_> = seen.begun.iter().map(|begun| (begun.task, begun.attempt)).collect();
        assert_eq!(attempts.len(), seen.begun.len(), "seed {seed}: an attempt was begun twice");
        // What an agent had in hand when it failed may wind down beside what it does in its next life.
        assert!(seen.wanted_most <= 3, "seed {seed}: {} at a time", seen.wanted_most);
    });
    // Nothing is left over: no lease, no attempt, no work in a mailbox.
    pass(3600 * SECOND).await;
    stage.read(|state| {
        assert!(state.agents().all(|agent| agent.held.is_empty()), "seed {seed}");
        assert_eq!(state.mailboxes().count(), 0, "seed {seed}");
        assert!(state.agents_of(&name("red")).count() >= 1, "seed {seed}");
    });
    assert!(stage.puppet.seen(|seen| seen.running.values().all(BTreeMap::is_empty)), "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn every_task_ends_whatever_fails() {
    let seeds = match std::env::var("SYNOD_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=12).collect(),
    };
    for seed in seeds {
        live_through(seed).await;
    }
}

/// The same on several threads, where real interleavings differ from run to run.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn short_tasks_on_several_threads_all_end() {
    let stage = Stage::start(|work| async move {
        if work.spec.id.raw() % 7 == 0 && work.attempt == 1 {
            return fail(true);
        }
        tokio::task::yield_now().await;
        Finish::Completed { result: Bytes::from_static(b"null") }
    })
    .await;
    stage.pool(PoolSpec { max: 8, concurrency: 2, ..pool("red", 2) }).await;
    stage.pool(pool("blue", 4)).await;
    for _ in 0..20 {
        for pool in ["red", "blue"] {
            for _ in 0..10 {
                let mut spec = stage.task(pool);
                spec.retry.initial = Duration::from_millis(1);
                stage.submit(spec).await;
            }
        }
        stage.until_all_ended().await;
    }
    stage.puppet.seen(|seen| {
        let attempts: BTreeSet<_> = seen.begun.iter().map(|begun| (begun.task, begun.attempt)).collect();
        assert_eq!(attempts.len(), seen.begun.len());
        assert!(seen.running_most <= 2);
    });
}
