//! Clients that submit at a steady rate, most with a key and some without.

use std::time::Duration;

use rand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Shared;
use crate::client::{Client, TRY_WITHIN, task_body};
use crate::history::{Answer, Micros, Request};

/// Clients that share the rate. So many, that a change of leader does not stop all of them in mid-call at once.
const CLIENTS: u32 = 32;

/// One submit in so many has no key: it is sent once, and nobody knows what became of it if no answer comes.
const KEYLESS: u32 = 8;

/// How long a submit with a key is sent again.
const INSIST: Duration = Duration::from_secs(60);

pub(super) fn begin(shared: &Shared, tasks: &mut JoinSet<()>) {
    for number in 0..CLIENTS {
        tasks.spawn(submit(shared.clone(), number));
    }
}

async fn submit(shared: Shared, number: u32) {
    let mut chance = shared.chance(u64::from(number));
    let mut client = Client::new(&shared.doors, usize::try_from(number).unwrap_or(0), &shared.history);
    let every = Duration::from_secs(1) * CLIENTS / shared.load.rate.max(1);
    let mut due = interval_at(Instant::now() + every * number / CLIENTS, every);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let silence = Micros::try_from(shared.load.silence.as_micros()).ok();
    let mut count = 0;
    while shared.submits() {
        due.tick().await;
        count += 1;
        let mark = format!("s{}-{number}-{count}", shared.load.seed);
        let key = (chance.random_range(0..KEYLESS) != 0).then(|| format!("key-{mark}"));
        let body = task_body(&mark, shared.load.silence, shared.load.padding);
        let keyed = key.is_some();
        let request = Request::Submit { key, mark, silence };
        let answer = if keyed {
            client.insist(&request, &body, Instant::now() + INSIST).await
        } else {
            client.once(&request, TRY_WITHIN, &body).await
        };
        match answer {
            Answer::Submitted { task } => shared.remember(&task),
            Answer::Unknown { .. } | Answer::Refused { .. } => {
                client.turn();
                // A node that refuses at once is not asked in a circle.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            _ => {}
        }
    }
}
