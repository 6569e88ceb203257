//! Budgets under many agents and kills: what the ledger promised holds, and what it says is what was used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use synod::api::{
    BudgetLimit, BudgetLine, Claim, Complete, Enforcement, Estimate, HeartbeatTask, Measure, NewBudget,
    NewTask, RegisterAgent, Usage, UsageQuery, WindowKind,
};
use synod::client::Client;
use tokio::time::Instant;

use crate::support::{Served, eventually};

const AGENTS: usize = 64;
const TASKS: usize = 500;
const MOST: u64 = 60_000;
const ESTIMATE: u64 = 100;

/// The largest report of an agent, four times what it said before.
const LARGEST: u64 = 400;

/// How long the agents work at most.
const WORK: Duration = Duration::from_secs(40);

/// After how many leases the node is killed: the limit lets through some 380.
const KILLS: [u64; 4] = [60, 130, 200, 270];

/// What an agent does with its nth task: says nothing, less than expected, as much, more, or far more.
fn usage(nth: u64) -> Option<u64> {
    [None, Some(50), Some(100), Some(130), Some(LARGEST)][usize::try_from(nth % 5).unwrap()]
}

/// Claims, reports and completes until it is told to stop, and returns how many leases it had. Whatever is not answered is
/// asked again.
async fn work(client: Client, number: usize, over: Arc<AtomicBool>, done: Arc<AtomicU64>) -> usize {
    let name = format!("agent-{number}");
    let agent = RegisterAgent { name: name.clone(), ..RegisterAgent::default() };
    while client.register_agent(&agent).await.is_err() && !over.load(Ordering::Relaxed) {}
    let claim = Claim { agent_id: name, capabilities: None, max: 1, wait_ms: 500, start: true };
    let (mut asked, mut had) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        // The same key until it is answered, so that no lease is lost with an answer.
        let Ok(claimed) = client.claim(&claim, &format!("{}-{asked}", claim.agent_id)).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        asked += 1;
        had += claimed.tasks.len();
        for lease in claimed.tasks {
            let nth = done.fetch_add(1, Ordering::Relaxed);
            // It works, so that there is always something in hand.
            tokio::time::sleep(Duration::from_millis(50 + nth % 7 * 25)).await;
            let used = usage(nth).map(|tokens_in| Usage { tokens_in, ..Usage::default() });
            let attempt = lease.attempt;
            if nth.is_multiple_of(3)
                && let Some(used) = &used
            {
                let half = Usage { tokens_in: used.tokens_in / 2, ..Usage::default() };
                let heartbeat = HeartbeatTask { attempt, progress: None, usage: Some(half), model: None };
                let _ = client.heartbeat(&lease.task.id, &heartbeat).await;
            }
            let complete = Complete { attempt, result: None, usage: used };
            // A refusal means that it was done before its answer was lost, or that the lease is over.
            while let Err(error) = client.complete(&lease.task.id, &complete).await {
                if error.status().is_some_and(|status| status < 500) || over.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    }
    had
}

/// Looks at the budget all the time, over the kills as well, until it is told to stop; returns the most that was promised.
async fn watch(client: Client, over: Arc<AtomicBool>, looks: Arc<AtomicU64>) -> u64 {
    let mut most = 0;
    while !over.load(Ordering::Relaxed) {
        if let Some(line) = line(&client).await {
            assert_held(&line);
            most = most.max(line.settled + line.reserved);
            looks.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    most
}

async fn line(client: &Client) -> Option<BudgetLine> {
    let budget = client.budget("all").await.ok()?;
    budget.limits.into_iter().next()
}

fn assert_held(line: &BudgetLine) {
    let promised = line.settled + line.reserved;
    assert!(promised <= MOST + LARGEST, "{promised} of {MOST}: {line:?}");
}

#[tokio::test]
async fn a_hard_budget_holds_under_64_agents_and_kills_and_the_ledger_says_what_was_used() {
    let mut served = Served::start().await;
    let client = served.client();
    let limit =
        BudgetLimit { measure: Measure::Tokens, most: MOST, window: WindowKind::Whole, length_ms: None };
    let budget = NewBudget {
        name: "all".to_owned(),
        scope: "global".to_owned(),
        limits: vec![limit],
        enforcement: Enforcement::Hard,
        warn_percent: None,
        note: None,
    };
    client.put_budget(&budget).await.unwrap();
    let estimate = Estimate { tokens: ESTIMATE, ..Estimate::default() };
    let new = |_| NewTask {
        kind: "spend".to_owned(),
        estimate: Some(estimate.clone()),
        running_timeout_ms: Some(0),
        ..NewTask::default()
    };
    client.submit_many((0..TASKS).map(new).collect()).await.unwrap();
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let agents: Vec<_> = (0..AGENTS)
        .map(|number| tokio::spawn(work(served.client(), number, over.clone(), done.clone())))
        .collect();
    let looks = Arc::new(AtomicU64::new(0));
    let watching = tokio::spawn(watch(served.client(), over.clone(), looks.clone()));
    let begun = Instant::now();
    for leases in KILLS {
        let seen = looks.load(Ordering::Relaxed);
        // In the middle of it: there is work in hand, and it was looked at since the kill before.
        eventually("there is work in hand", async || {
            let enough = done.load(Ordering::Relaxed) >= leases && looks.load(Ordering::Relaxed) > seen;
            (enough && line(&client).await.is_some_and(|line| line.reserved > 0)).then_some(())
        })
        .await;
        served.kill_and_start_again().await;
        // The ledger holds across the kill as well.
        assert_held(&eventually("the ledger is there", async || line(&client).await).await);
    }
    while begun.elapsed() < WORK {
        if let Some(line) = line(&client).await {
            assert_held(&line);
            // Nothing is in hand and nothing more fits.
            if line.reserved == 0 && line.left < ESTIMATE {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut had = Vec::new();
    for agent in agents {
        had.push(agent.await.unwrap());
    }
    assert!(watching.await.unwrap() > MOST / 2 && looks.load(Ordering::Relaxed) > 20);
    let worked = had.iter().filter(|had| **had > 0).count();
    assert!(worked > AGENTS / 2, "{worked} of {AGENTS} agents had work: {had:?}");
    served.kill_and_start_again().await;
    let last = line(&client).await.unwrap();
    assert_held(&last);
    let used = client.usage(&UsageQuery::default()).await.unwrap().total;
    let counted = used.tokens_in + used.tokens_out + used.tokens_assumed;
    assert_eq!(last.settled + last.overrun, counted, "{last:?} {used:?}");
    assert!(counted > MOST / 2, "they hardly worked: {last:?} {used:?}");
    assert!(used.silent > 0 && used.attempts > used.silent, "{used:?}");
    let waiting = client.budget("all").await.unwrap().waiting;
    assert!(last.exhausted || waiting > 0 || last.left >= ESTIMATE, "{last:?}");
}
