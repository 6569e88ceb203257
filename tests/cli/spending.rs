//! A hard budget under sixty-four agents at once, and a node that is killed while they work.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use synod::api::{Budget, Complete};
use synod::client::{Client, Error, Token};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::governed::served;
use crate::support::signal;

const AGENTS: usize = 64;

const TASKS: usize = 320;

/// What each task is expected to use, and how much all of them may: not enough for all.
const ESTIMATE: u64 = 100;
const MOST: u64 = 20_000;

/// The most that one of them says it used.
const LARGEST: u64 = 150;

/// How long it may take to see something.
const WHOLE: Duration = Duration::from_secs(120);

/// Asks until somebody answers: the node is away now and then.
async fn again<T, F: Future<Output = Result<T, Error>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let until = Instant::now() + WHOLE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < until, "{what}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn of<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

/// Claims and completes for ever, and counts what was acknowledged to be used.
async fn work(client: Client, number: usize, said: Arc<AtomicU64>) {
    let name = format!("spender-{number}");
    for turn in 0_usize.. {
        let claim = of(json!({ "agent_id": name, "wait_ms": 1000 }));
        let key = format!("{name}-{turn}");
        let claimed = again("a claim", || client.claim(&claim, &key)).await;
        for leased in claimed.tasks {
            // Less than was reserved, as much, or more.
            let used = [ESTIMATE / 2, ESTIMATE, LARGEST][(turn + number) % 3];
            let usage = json!({ "tokens_in": used, "tokens_out": 0, "cost_microusd": 0 });
            let complete: Complete = of(json!({ "attempt": leased.attempt, "usage": usage }));
            // Said again under the same attempt it counts once.
            again("a completion", || client.complete(&leased.task.id, &complete)).await;
            said.fetch_add(used, Ordering::Relaxed);
        }
    }
}

/// Looks at the budget, which is never passed by more than one report.
async fn looked(client: &Client) -> Budget {
    let budget = again("the budget", || client.budget("all")).await;
    let line = &budget.limits[0];
    assert!(line.settled + line.reserved <= MOST + LARGEST, "{budget:?}");
    assert!(!line.saturated);
    budget
}

async fn seen(client: &Client, what: &str, is_it: impl Fn(&Budget) -> bool) -> Budget {
    let until = Instant::now() + WHOLE;
    loop {
        let budget = looked(client).await;
        if is_it(&budget) {
            return budget;
        }
        assert!(Instant::now() < until, "not within {WHOLE:?}: {what}: {budget:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_agents_pass_no_hard_budget_over_kill_9_and_its_sum_is_exact() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (mut server, url) = served(folder.path(), "127.0.0.1:0").await;
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let token = std::fs::read_to_string(folder.path().join("data/admin-token")).unwrap();
    let client = Client::new(&url, Token::from(token.trim().to_owned())).unwrap();
    let limits = json!([{ "measure": "tokens", "most": MOST, "window": "whole" }]);
    client.put_budget(&of(json!({ "name": "all", "scope": "global", "limits": limits }))).await.unwrap();
    for number in 0..AGENTS {
        client.register_agent(&of(json!({ "name": format!("spender-{number}") }))).await.unwrap();
    }
    let task = || {
        of(
            json!({ "type": "spend", "estimate": { "tokens": ESTIMATE, "cost_microusd": 0, "compute_ms": 0 } }),
        )
    };
    client.submit_many((0..TASKS).map(|_| task()).collect()).await.unwrap();

    let said = Arc::new(AtomicU64::new(0));
    let mut agents = JoinSet::new();
    for number in 0..AGENTS {
        agents.spawn(work(client.clone(), number, said.clone()));
    }
    for part in [MOST / 4, MOST / 2] {
        seen(&client, "a part is spent", |budget| budget.limits[0].settled >= part).await;
        signal(&server, Signal::KILL);
        server.wait().await.unwrap();
        (server, _) = served(folder.path(), &address).await;
    }
    let is_over = |budget: &Budget| {
        let line = &budget.limits[0];
        line.reserved == 0 && line.settled + line.overrun + ESTIMATE > MOST
    };
    let budget = seen(&client, "all is spent", is_over).await;
    let line = &budget.limits[0];
    assert!(budget.waiting > 0, "there was more to do than there is to spend: {budget:?}");
    let until = Instant::now() + WHOLE;
    // Who has said the last of it may not have heard the answer yet.
    while said.load(Ordering::Relaxed) != line.settled + line.overrun {
        let said = said.load(Ordering::Relaxed);
        assert!(said < line.settled + line.overrun && Instant::now() < until, "{said} was said: {budget:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    agents.abort_all();
    while let Some(ended) = agents.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()), "nobody gave up");
    }
    signal(&server, Signal::TERM);
}
