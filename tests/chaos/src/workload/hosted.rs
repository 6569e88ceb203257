//! A share of the load for agents that the nodes run themselves: a small pool of a program that says in a file what it
//! does, somebody who submits tasks for it, and somebody who reads the file into the history.
//!
//! The file lies beside the nodes' data, where no fault reaches it, and every line of it is one write of some bytes at
//! its end, so lines of different programs do not mix.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::Shared;
use crate::client::Client;
use crate::history::{Answer, Fact, HOSTED, Request, Step};

/// What agents of the pool can do, and nobody else.
const CAPABILITY: &str = "chaos-hosted";

/// Agents of the pool: two on each of three nodes.
const AGENTS: u32 = 6;

/// Between two submits: less than the agents can do while one node is away.
const SUBMIT_EVERY: Duration = Duration::from_millis(250);

/// How long a submit is sent again, and how long the pool may take to be made.
const INSIST: Duration = Duration::from_secs(60);

/// Between two looks at what the programs say.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The name of the file.
const FILE: &str = "hosted.said";

/// Says that it begins, works for a moment, fails now and then, and says that it ends. `$0` is the file.
const PROGRAM: &str = r#"say() { echo "$SYNOD_TASK_ID $SYNOD_ATTEMPT $SYNOD_AGENT@$SYNOD_NODE $1" >>"$0"; }
say began
sleep 0.2
if [ $(($$ % 20)) -eq 0 ]; then echo chance >&2; exit 75; fi
say ended
echo "$SYNOD_ATTEMPT""#;

/// Makes the pool.
pub(super) async fn make_pool(shared: &Shared, folder: &Path) -> Result<(), String> {
    let mut client = Client::new(&shared.doors, 0, &shared.history);
    let file = file(folder)?;
    let pool = json!({
        "name": "hosted",
        "min": AGENTS,
        "max": AGENTS,
        "capabilities": [CAPABILITY],
        "runtime": { "process": { "command": ["sh", "-c", PROGRAM, file] } },
    });
    client.set_up("/api/v1/pools", &pool, Instant::now() + INSIST).await.map(drop)
}

/// Returns where the programs write, wherever they are started.
fn file(folder: &Path) -> Result<PathBuf, String> {
    let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder.join(FILE))
}

pub(super) fn begin(
    shared: &Shared,
    folder: &Path,
    submitters: &mut JoinSet<()>,
    workers: &mut JoinSet<()>,
) -> Result<(), String> {
    submitters.spawn(submit(shared.clone()));
    workers.spawn(listen(shared.clone(), file(folder)?));
    Ok(())
}

async fn submit(shared: Shared) {
    let mut client = Client::new(&shared.doors, 1, &shared.history);
    let mut due = interval(SUBMIT_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut count = 0;
    while shared.submits() {
        due.tick().await;
        count += 1;
        let mark = format!("{HOSTED}{}-{count}", shared.load.seed);
        let body = json!({
            "type": "chaos",
            "required_capabilities": [CAPABILITY],
            "metadata": { "mark": mark },
            "retry": { "max_attempts": 50, "backoff_ms": 20, "backoff_max_ms": 200 },
        });
        let request = Request::Submit { key: Some(format!("key-{mark}")), mark, silence: None };
        match client.insist(&request, &body, Instant::now() + INSIST).await {
            Answer::Submitted { task } => shared.remember(&task),
            _ => client.turn(),
        }
    }
}

/// Notes what the programs say until the workers stop, and then what is left.
async fn listen(shared: Shared, file: PathBuf) {
    let mut said = Said::default();
    loop {
        let last = !shared.works();
        said.more(&file, &shared);
        if last {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

#[derive(Default)]
struct Said {
    open: Option<std::fs::File>,
    /// What came of a line whose end has not.
    rest: String,
}

impl Said {
    fn more(&mut self, file: &Path, shared: &Shared) {
        if self.open.is_none() {
            self.open = std::fs::File::open(file).ok();
        }
        let Some(open) = &mut self.open else { return };
        if open.read_to_string(&mut self.rest).is_err() {
            return;
        }
        while let Some(end) = self.rest.find('\n') {
            let line: String = self.rest.drain(..=end).collect();
            if let Some(fact) = worked(&line) {
                shared.history.note(fact);
            }
        }
    }
}

fn worked(line: &str) -> Option<Fact> {
    let mut words = line.split_whitespace();
    let (task, attempt, agent) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    let step = match words.next()? {
        "began" => Step::Began,
        "ended" => Step::Ended,
        _ => return None,
    };
    Some(Fact::Worked { task: task.to_owned(), attempt, agent: agent.to_owned(), step })
}
