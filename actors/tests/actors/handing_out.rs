//! Who gets which work, and that nobody who is free waits while work does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use synod_domain::agent::{PoolSpec, Standing};
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::placement::Strategy;
use synod_domain::task::{Lane, MailboxId, Phase};

use crate::puppet::{complete_after, until_stopped};
use crate::stage::{SECOND, Stage, capabilities, name, pass, pool, settle};

#[tokio::test(start_paused = true)]
async fn work_is_done_in_the_order_of_its_mailbox() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 1)).await;
    // Takes the only agent, so that the order of the others is the mailbox's and not that of their submits.
    stage.submit_burst("coders", 1);
    settle().await;
    let lanes = [Lane::Low, Lane::Normal, Lane::Critical, Lane::High];
    let mut wanted = Vec::new();
    for lane in lanes {
        let mut later = stage.task("coders");
        later.lane = lane;
        let mut sooner = stage.task("coders");
        sooner.lane = lane;
        sooner.deadline = Some(stage.world.clock.now().after(3600 * SECOND));
        let later = stage.submit(later).await;
        wanted.push((lane, [stage.submit(sooner).await, later]));
    }
    stage.until_all_ended().await;
    wanted.sort();
    let wanted: Vec<_> = wanted.into_iter().flat_map(|(_, tasks)| tasks).collect();
    let begun: Vec<_> = stage.puppet.seen(|seen| seen.begun.iter().skip(1).map(|begun| begun.task).collect());
    assert_eq!(begun, wanted);
}

#[tokio::test(start_paused = true)]
async fn burst_is_done_by_all_agents_and_none_goes_beyond_its_concurrency() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(PoolSpec { concurrency: 3, ..pool("coders", 4) }).await;
    let began = tokio::time::Instant::now();
    let tasks = stage.submit_burst("coders", 120);
    stage.until_all_ended().await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    assert_eq!(stage.puppet.seen(|seen| (seen.begun.len(), seen.running_most)), (120, 3));
    // Twelve at a time, without pauses between.
    assert!(began.elapsed() < 11 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_agents_share_thousands_of_tasks() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 300)).await;
    let tasks = stage.submit_burst("coders", 3000);
    let began = tokio::time::Instant::now();
    stage.until_all_ended().await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    assert!(began.elapsed() < 11 * SECOND, "{:?}", began.elapsed());
}

/// Submits tasks one after the other, each when the one before has ended, and counts by agent.
async fn spread(strategy: Strategy) -> Vec<usize> {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(PoolSpec { strategy, ..pool("coders", 3) }).await;
    for _ in 0..12 {
        let task = stage.submit(stage.task("coders")).await;
        stage.until_ended(task).await;
    }
    let mut counts: BTreeMap<AgentId, usize> = BTreeMap::new();
    stage.puppet.seen(|seen| {
        for begun in &seen.begun {
            *counts.entry(begun.agent).or_default() += 1;
        }
    });
    counts.into_values().collect()
}

#[tokio::test(start_paused = true)]
async fn round_robin_goes_around() {
    assert_eq!(spread(Strategy::RoundRobin).await, [4, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn least_busy_evens_out_what_was_done() {
    assert_eq!(spread(Strategy::LeastBusy).await, [4, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn lot_reaches_everybody() {
    let counts = spread(Strategy::Random).await;
    assert_eq!((counts.len(), counts.iter().sum::<usize>()), (3, 12));
}

#[tokio::test(start_paused = true)]
async fn least_busy_spreads_over_agents_with_many_slots() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(PoolSpec { concurrency: 10, ..pool("coders", 4) }).await;
    stage.submit_burst("coders", 8);
    settle().await;
    let held: Vec<_> = stage.agents("coders").iter().map(|agent| agent.held.len()).collect();
    assert_eq!(held, [2, 2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn open_work_goes_to_whoever_can_do_it() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("plain", 3)).await;
    stage.pool(PoolSpec { capabilities: capabilities("gpu"), ..pool("special", 1) }).await;
    let mut tasks = Vec::new();
    for demand in ["gpu", "", "gpu", ""] {
        let mut task = stage.task("plain");
        task.mailbox = MailboxId::Open;
        task.demand = capabilities(demand);
        tasks.push(stage.submit(task).await);
    }
    stage.until_all_ended().await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    let special = stage.only_agent("special").spec.id;
    let by_special =
        stage.puppet.seen(|seen| seen.begun.iter().filter(|begun| begun.agent == special).count());
    assert!(by_special >= 2);
}

#[tokio::test(start_paused = true)]
async fn work_addressed_to_an_agent_waits_for_that_agent() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    let agent = stage.agents("coders")[1].spec.id;
    for _ in 0..3 {
        let mut task = stage.task("coders");
        task.mailbox = MailboxId::Agent(agent);
        stage.submit(task).await;
    }
    stage.until_all_ended().await;
    assert!(stage.puppet.seen(|seen| seen.begun.iter().all(|begun| begun.agent == agent)));
}

#[tokio::test(start_paused = true)]
async fn free_agent_gets_the_work_that_a_refused_claim_left() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(PoolSpec { strategy: Strategy::RoundRobin, ..pool("coders", 2) }).await;
    let [first, second] = [0, 1].map(|place| stage.agents("coders")[place].spec.id);
    stage.faults(|faults| faults.delay = Duration::from_millis(10));
    stage.submit_burst("coders", 1);
    // The claim for the first agent is on its way; before it arrives, that agent stops taking work.
    tokio::task::yield_now().await;
    pass(Duration::from_millis(5)).await;
    assert_eq!(
        stage.asked_for(|command| matches!(command, Command::Claim { agent, .. } if *agent == first)),
        1
    );
    let reason = "by hand".into();
    stage.apply(Command::SetStanding { agent: first, standing: Standing::Draining, reason }).unwrap();
    stage.until_all_ended().await;
    assert_eq!(stage.puppet.seen(|seen| seen.begun[0].agent), second);
}

#[tokio::test(start_paused = true)]
async fn free_agent_gets_the_work_of_one_whose_claim_brought_more_urgent_work() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(PoolSpec { strategy: Strategy::RoundRobin, ..pool("coders", 2) }).await;
    stage.faults(|faults| faults.delay = Duration::from_millis(10));
    stage.submit_burst("coders", 1);
    pass(Duration::from_millis(5)).await;
    // Arrives while the claim for the first agent is on its way, and before the second is asked for.
    let mut urgent = stage.task("coders");
    urgent.mailbox = MailboxId::Open;
    urgent.lane = Lane::Critical;
    stage.apply(Command::Submit { spec: Arc::new(urgent) }).unwrap();
    pass(SECOND).await;
    assert!(stage.read(|state| state.tasks().all(|task| task.lease().is_some())));
}

/// Lets whoever is ready now run once.
async fn step() {
    let mut stepped = false;
    std::future::poll_fn(|context| {
        if stepped {
            return Poll::Ready(());
        }
        stepped = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn agent_that_left_unnoticed_does_not_stand_before_one_that_is_free() {
    // At every moment between the submit and the claim; at some the scheduler has not heard of it yet.
    for moments in 0..8 {
        let stage = Stage::start(|work| complete_after(work, SECOND)).await;
        stage.pool(PoolSpec { strategy: Strategy::RoundRobin, ..pool("coders", 2) }).await;
        let first = stage.agents("coders")[0].spec.id;
        settle().await;
        // As one of the runtime's tasks, which takes its turn among the actors.
        let turns = tokio::spawn(async move {
            stage.submit_burst("coders", 1);
            for _ in 0..moments {
                step().await;
            }
            let reason = "by hand".into();
            stage.apply(Command::SetStanding { agent: first, standing: Standing::Draining, reason }).unwrap();
            stage.until_all_ended().await;
        });
        turns.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn journal_without_room_is_asked_calmly_and_the_work_goes_on_when_there_is_room() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 2)).await;
    stage.faults(|faults| faults.no_room = true);
    let tasks = stage.submit_burst("coders", 4);
    let before = stage.asked();
    pass(60 * SECOND).await;
    let asked = stage.asked() - before;
    assert!((2..=2 * 61).contains(&asked), "{asked} proposals in a minute");
    stage.faults(|faults| faults.no_room = false);
    stage.until_all_ended().await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
}

#[tokio::test(start_paused = true)]
async fn commands_whose_outcome_is_unknown_are_sent_again_under_their_id_and_count_once() {
    let stage = Stage::start(|work| complete_after(work, SECOND)).await;
    stage.pool(pool("coders", 3)).await;
    stage.faults(|faults| (faults.lost, faults.unsure) = (20, 30));
    let mut tasks = Vec::new();
    for _ in 0..40 {
        tasks.push(stage.submit(stage.task("coders")).await);
    }
    stage.until_all_ended().await;
    assert!(tasks.iter().all(|task| stage.phase(*task) == Phase::Completed));
    assert_eq!(stage.puppet.seen(|seen| seen.begun.len()), 40);
    let again = stage.journal.core().asked.lock().sent.values().filter(|times| **times > 1).count();
    assert!(again > 20, "{again} commands were sent more than once");
    assert_eq!(stage.agents("coders").iter().map(|agent| agent.completed).sum::<u64>(), 40);
    assert!(stage.agents("coders").iter().all(|agent| agent.spec.pool == Some(name("coders"))));
}
