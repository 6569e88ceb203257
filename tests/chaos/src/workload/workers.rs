//! Workers outside of the nodes: most do their work, some fail, some say everything twice, and some fall silent for
//! longer than they may and then come with a result that nobody wants any more.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Shared;
use crate::client::{Client, TRY_WITHIN};
use crate::history::{Answer, Request};

/// How long a worker insists on what it has to say; a lease does not outlive this by much.
const INSIST: Duration = Duration::from_secs(30);

/// How many tasks a worker takes at once.
const CLAIM_MAX: u32 = 8;

/// How long it waits for work, in milliseconds.
const CLAIM_WAIT_MS: u64 = 1_000;

/// How many tasks a worker may hold: its own, and those over which it has fallen silent.
const HOLDS_MAX: u32 = 64;

pub(super) async fn register(shared: &Shared) -> Result<(), String> {
    let mut client = Client::new(&shared.doors, 0, &shared.history);
    for worker in 0..shared.load.workers {
        let body = json!({
            "name": name(worker),
            "capabilities": ["chaos"],
            "concurrency": HOLDS_MAX,
        });
        client.set_up("/api/v1/agents", &body, Instant::now() + INSIST).await?;
    }
    Ok(())
}

pub(super) fn begin(shared: &Shared, tasks: &mut JoinSet<()>) {
    for worker in 0..shared.load.workers {
        tasks.spawn(work(shared.clone(), worker));
    }
}

fn name(worker: usize) -> String {
    format!("worker-{worker}")
}

async fn work(shared: Shared, worker: usize) {
    let number = 1_000 + u64::try_from(worker).unwrap_or(0);
    let mut chance = shared.chance(number);
    let mut client = Client::new(&shared.doors, worker, &shared.history);
    let mut silent = JoinSet::new();
    let mut count = 0;
    while shared.works() {
        count += 1;
        let key = format!("claim-{}-{worker}-{count}", shared.load.seed);
        let body = json!({ "agent_id": name(worker), "max": CLAIM_MAX, "wait_ms": CLAIM_WAIT_MS });
        let request = Request::Claim { key, worker: name(worker) };
        let leases = match client.insist(&request, &body, Instant::now() + INSIST).await {
            Answer::Claimed { leases } => leases,
            _ => {
                client.turn();
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        for (task, attempt) in leases {
            // Each with its own client: the worker goes on meanwhile.
            if chance.random_range(0..100) == 0 {
                silent.spawn(fall_silent(shared.clone(), worker, task, attempt));
            } else if attempt > 1 && chance.random_range(0..2) == 0 {
                silent.spawn(take_long(shared.clone(), worker, task, attempt));
            } else {
                treat(&shared, &mut client, &mut chance, &task, attempt).await;
            }
        }
        while silent.try_join_next().is_some() {}
    }
    while silent.join_next().await.is_some() {}
}

/// Does what is to be done about a task.
async fn treat(shared: &Shared, client: &mut Client, chance: &mut StdRng, task: &str, attempt: u32) {
    let until = Instant::now() + INSIST;
    match chance.random_range(0..100) {
        0..6 => {
            let body = json!({ "attempt": attempt, "reason": "chance", "retryable": true });
            let request = Request::Fail { task: task.to_owned(), attempt };
            client.insist(&request, &body, until).await;
        }
        6..16 => {
            let request = Request::Heartbeat { task: task.to_owned(), attempt };
            client.once(&request, TRY_WITHIN, &json!({ "attempt": attempt })).await;
            sleep(shared.load.silence / 20).await;
            complete(client, task, attempt, until).await;
        }
        16..20 => {
            complete(client, task, attempt, until).await;
            client.turn();
            complete(client, task, attempt, until).await;
        }
        _ => complete(client, task, attempt, until).await,
    }
}

async fn complete(client: &mut Client, task: &str, attempt: u32, until: Instant) {
    let body = json!({ "attempt": attempt, "result": { "attempt": attempt } });
    let request = Request::Complete { task: task.to_owned(), attempt };
    client.insist(&request, &body, until).await;
}

/// Works on a task that somebody else may have had, for so long that what that one says comes meanwhile.
async fn take_long(shared: Shared, worker: usize, task: String, attempt: u32) {
    let mut client = Client::new(&shared.doors, worker + 1, &shared.history);
    for _ in 0..4 {
        sleep(shared.load.silence / 5).await;
        let request = Request::Heartbeat { task: task.clone(), attempt };
        client.once(&request, TRY_WITHIN, &json!({ "attempt": attempt })).await;
    }
    complete(&mut client, &task, attempt, Instant::now() + INSIST).await;
}

/// Says nothing for longer than it may, and then has a result.
async fn fall_silent(shared: Shared, worker: usize, task: String, attempt: u32) {
    let mut client = Client::new(&shared.doors, worker + 1, &shared.history);
    sleep(shared.load.silence * 5 / 4).await;
    complete(&mut client, &task, attempt, Instant::now() + INSIST).await;
}
