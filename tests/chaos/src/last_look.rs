//! The last look: what every node shows of every task, once all work is done and all nodes have applied the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::{attempt_of, status_of};
use crate::cluster::Cluster;
use crate::history::{Fact, Found, History};
use crate::http::{Link, Outcome};

/// How long a page may take.
const PAGE_WITHIN: Duration = Duration::from_secs(30);

/// Between two looks at what is left.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits until no work is left, by the figures of any node that answers.
///
/// # Errors
/// When work is left after that time; the judges say which.
pub async fn work_done(cluster: &Cluster, within: Duration) -> Result<(), String> {
    let until = Instant::now() + within;
    let mut last = String::new();
    loop {
        for node in 0..cluster.nodes.len() {
            let outcome = cluster.link(node).get("/api/v1/stats", PAGE_WITHIN).await;
            match outcome.success().and_then(|stats| stats["unfinished"].as_u64()) {
                Some(0) => return Ok(()),
                Some(left) => last = format!("{left} tasks"),
                None => {}
            }
        }
        if Instant::now() > until {
            return Err(format!("work is left after {within:?}: {last}"));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Looks at all nodes.
///
/// # Errors
/// When a node does not show its tasks.
pub async fn look(cluster: &Cluster, history: &History) -> Result<usize, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut most = Ok(0);
    for node in 0..cluster.nodes.len() {
        // A node that does not answer is no reason not to look at the others.
        match look_at(&mut cluster.link(node), node, history, &mut texts).await {
            Ok(tasks) => {
                history.note(Fact::Looked { node, tasks });
                most = most.map(|most: usize| most.max(tasks));
            }
            Err(why) => most = Err(why),
        }
    }
    most
}

async fn look_at(
    link: &mut Link,
    node: usize,
    history: &History,
    texts: &mut BTreeMap<String, String>,
) -> Result<usize, String> {
    let mut tasks = 0;
    let mut cursor = None::<String>;
    loop {
        let mut path = "/api/v1/tasks?limit=1000&consistency=stale".to_owned();
        if let Some(cursor) = &cursor {
            path = format!("{path}&cursor={cursor}");
        }
        let outcome = page(link, &path).await;
        let page = outcome.success().ok_or_else(|| format!("node {node}: {path}: {outcome:?}"))?;
        for task in page["items"].as_array().into_iter().flatten() {
            tasks += 1;
            let mut found = found(task).ok_or_else(|| format!("node {node} shows a strange task: {task}"))?;
            // Written out only where nodes differ: a hundred thousand tasks are much text.
            let text = task.to_string();
            match texts.get(&found.task) {
                None => {
                    texts.insert(found.task.clone(), text);
                }
                Some(first) if *first == text => {}
                Some(first) => found.whole = format!("{text} in place of {first}"),
            }
            history.note(Fact::Found { node, task: Box::new(found) });
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(tasks);
        }
    }
}

/// Asks for a page, and again when the node asks for that: one whose disk was full reads it anew with its next checkpoint.
async fn page(link: &mut Link, path: &str) -> Outcome {
    let until = Instant::now() + PAGE_WITHIN;
    loop {
        let outcome = link.get(path, PAGE_WITHIN).await;
        match outcome.retry_after() {
            Some(pause) if Instant::now() + pause < until => sleep(pause).await,
            Some(_) | None => return outcome,
        }
    }
}

fn told(attempt: &Value) -> String {
    let word = |name: &str| attempt[name].as_str().unwrap_or("").to_owned();
    let (leased, ended) = (word("leased_at"), word("ended_at"));
    format!(
        "{} of {} from {leased} to {ended}: {} {}",
        attempt["number"],
        word("agent"),
        word("end"),
        word("reason")
    )
}

fn found(task: &Value) -> Option<Found> {
    let attempts = task["attempts"].as_array()?;
    Some(Found {
        task: task["id"].as_str()?.to_owned(),
        mark: task["metadata"]["mark"].as_str().map(str::to_owned),
        status: status_of(task)?,
        attempt: attempt_of(task)?,
        completions: attempts.iter().filter(|attempt| attempt["end"] == "completed").count(),
        story: attempts.iter().map(told).collect::<Vec<_>>().join("; "),
        whole: String::new(),
    })
}
