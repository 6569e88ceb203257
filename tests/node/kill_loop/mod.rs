//! A node under load is killed twenty times; what it had acknowledged is there, once.
//!
//! ```text
//!  parent ──starts──► one life: submits, claims, completes ──► ledger: what was acknowledged
//!     │                            │
//!     └──SIGKILL at any moment ────┘      after the last: all work is finished, history and ledger agree
//! ```
//!
//! The seed of the moments is printed; `KILL_LOOP_SEED` repeats them (not the races of the threads).

mod check;
mod ledger;
mod life;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use synod::clock::SeededEntropy;
use synod::node::Node;
use synod::node::domain::sources::Entropy;
use synod::node::domain::task::{AttemptEnd, Phase};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use self::check::{Found, faults};
use self::ledger::{Fact, Ledger};
use crate::support::{PATIENCE, folder, sole};

const KILLS: u32 = 20;

/// Submits that may be on their way in one life when it is killed: they may or may not be there afterwards.
const IN_DOUBT: usize = life::SUBMITTERS * KILLS as usize;

/// A loop that acknowledged less than this tested nothing.
const SUBMITS_MIN: usize = 200;

/// How many faults or tasks are shown; the first tell most.
const SHOWN: usize = 20;

/// When a life is ended.
#[derive(Debug)]
enum Moment {
    /// So long after the process started, ready or not.
    Starting(Duration),
    /// So long after it was ready.
    Working(Duration),
    /// So long after it was told to stop.
    Stopping(Duration),
}

impl Moment {
    fn draw(rng: &mut ChaCha12Rng) -> Self {
        let mut millis = |most: u64| Duration::from_micros(rng.random_range(0..most * 1000));
        let (starting, working, stopping) = (millis(150), millis(400), millis(30));
        match rng.random_range(0..10) {
            0..2 => Self::Starting(starting),
            2..8 => Self::Working(Duration::from_millis(20) + working),
            _ => Self::Stopping(stopping),
        }
    }
}

fn seed() -> u64 {
    match std::env::var("KILL_LOOP_SEED") {
        Ok(seed) => seed.parse().expect("KILL_LOOP_SEED is a number"),
        Err(_) => SeededEntropy::from_system().unwrap().draw(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_nothing_and_redo_nothing() {
    let seed = seed();
    eprintln!("KILL_LOOP_SEED={seed}");
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let folder = folder();
    for number in 0..KILLS {
        let moment = Moment::draw(&mut rng);
        live_and_die(folder.path(), number, &moment).await;
    }
    let node = finish(folder.path()).await;
    let facts = Ledger::read(folder.path());
    let found = history(&node).await;
    let wrong = faults(&facts, &found, unfinished(&node), IN_DOUBT);
    let first = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "seed {seed}: {} faults:\n{first}", wrong.len());
    assert_keys_still_answer(&node, &facts).await;
    assert_it_was_a_test(&facts, &found);
    node.stop().await;
}

/// Starts a process that works in the folder, and kills it.
async fn live_and_die(folder: &Path, number: u32, moment: &Moment) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill_loop::life::one_life", "--exact", "--ignored", "--nocapture"])
        .env(life::FOLDER, folder)
        .env(life::NUMBER, number.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    match moment {
        Moment::Starting(after) => tokio::time::sleep(*after).await,
        Moment::Working(after) => {
            ready(&mut child).await;
            tokio::time::sleep(*after).await;
        }
        Moment::Stopping(after) => {
            ready(&mut child).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            child.stdin.as_mut().unwrap().write_all(b"stop\n").await.unwrap();
            tokio::time::sleep(*after).await;
        }
    }
    // An orderly stop may have been quicker; every other end before the kill is a fault.
    if let Some(status) = child.try_wait().unwrap() {
        assert!(matches!(moment, Moment::Stopping(_)) && status.success(), "life {number} ended: {status}");
    }
    child.kill().await.unwrap();
}

async fn ready(child: &mut Child) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let is_ready = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.ends_with(life::READY) {
                return;
            }
        }
        panic!("the node did not start; its stderr is above");
    };
    tokio::time::timeout(PATIENCE, is_ready).await.expect("the node starts");
}

/// Lets a last life, in this process, finish what waits.
async fn finish(folder: &Path) -> Node {
    let ledger = Arc::new(Ledger::open(folder));
    let node = Arc::new(life::start(folder, &ledger).await);
    let serving = tokio::spawn(life::serve(node.clone(), ledger));
    let until = Instant::now() + PATIENCE;
    while unfinished(&node) > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The check counts them; these say how.
    node.read(|state| state.tasks().take(SHOWN).for_each(|task| eprintln!("stuck: {task:#?}")));
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled(), "the external agent could not go on");
    sole(node).await
}

fn unfinished(node: &Node) -> usize {
    node.read(|state| state.tasks().count())
}

/// Reads the whole history, page by page.
async fn history(node: &Node) -> Vec<Found> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = node.ended(before, 500).unwrap();
        let Some(last) = page.last() else { return found };
        before = Some(last.spec.id);
        for task in page {
            let result = match task.phase() {
                Phase::Completed => Some(serde_json::from_slice(&node.result(&task).await.unwrap()).unwrap()),
                _ => None,
            };
            found.push(Found {
                task: task.spec.id,
                phase: task.phase(),
                attempts: task.attempts.iter().map(|attempt| (attempt.number, attempt.end.clone())).collect(),
                result,
            });
        }
    }
}

/// Submits again what was acknowledged under a key, in the first life and in the last: the same task answers.
async fn assert_keys_still_answer(node: &Node, facts: &[Fact]) {
    let keyed: BTreeMap<_, _> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Submitted { task, key: Some(key) } => Some((key.clone(), *task)),
            _ => None,
        })
        .collect();
    for (key, task) in keyed.iter().step_by(keyed.len().div_ceil(100)) {
        let again = node.submit(life::keyed_task(key)).await.unwrap();
        assert_eq!(again, *task, "the key {key} has another task");
    }
}

/// A run in which nothing happened proves nothing.
fn assert_it_was_a_test(facts: &[Fact], found: &[Found]) {
    let mut submits = BTreeSet::new();
    let (mut completions, mut begun) = (0, 0);
    for fact in facts {
        match fact {
            Fact::Submitted { task, .. } => drop(submits.insert(*task)),
            Fact::Began { .. } => begun += 1,
            Fact::Completed { .. } => completions += 1,
        }
    }
    let lost = |found: &&Found| found.attempts.iter().any(|(_, end)| matches!(end, AttemptEnd::Lost(_)));
    let redelivered = found.iter().filter(lost).count();
    eprintln!(
        "{KILLS} kills: {} submits and {completions} completions acknowledged, {begun} attempts begun, \
         {redelivered} tasks redelivered, {} in history",
        submits.len(),
        found.len()
    );
    assert!(submits.len() >= SUBMITS_MIN, "only {} submits were acknowledged", submits.len());
    assert!(redelivered > 0, "no kill met work in hand");
}
