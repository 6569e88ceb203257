//! Somebody who reads tasks from every node, and somebody who cancels a few.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Shared;
use crate::client::{Client, TRY_WITHIN};
use crate::history::Request;

/// Between two reads of one reader. Reads cost a round among the nodes, and are not what is measured.
const READ_EVERY: Duration = Duration::from_millis(40);

/// Between two cancels.
const CANCEL_EVERY: Duration = Duration::from_millis(500);

/// How long somebody who calls a task off insists: some tries at nodes that do not answer.
const INSIST: Duration = Duration::from_secs(30);

/// Readers; each stays with its node until that does not answer.
const READERS: u64 = 3;

pub(super) fn begin(shared: &Shared, tasks: &mut JoinSet<()>) {
    for number in 0..READERS {
        tasks.spawn(read(shared.clone(), number));
    }
    tasks.spawn(cancel(shared.clone()));
}

async fn read(shared: Shared, number: u64) {
    let mut chance = shared.chance(2_000 + number);
    let mut client = Client::new(&shared.doors, usize::try_from(number).unwrap_or(0), &shared.history);
    while shared.submits() {
        if let Some(task) = shared.any_task(&mut chance) {
            client.once(&Request::Read { task }, TRY_WITHIN, &Value::Null).await;
        }
        sleep(READ_EVERY).await;
    }
}

async fn cancel(shared: Shared) {
    let mut chance = shared.chance(3_000);
    let mut client = Client::new(&shared.doors, 0, &shared.history);
    while shared.submits() {
        sleep(CANCEL_EVERY).await;
        if let Some(task) = shared.any_task(&mut chance) {
            let until = Instant::now() + INSIST;
            client.insist(&Request::Cancel { task }, &json!({ "reason": "chance" }), until).await;
        }
    }
}
