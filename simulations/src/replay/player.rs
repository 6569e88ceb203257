//! Plays a recording: submits what was submitted, at its time, and calls off what was called off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use synod::node::domain::id::TaskId;
use synod::node::domain::state::State;
use synod::node::domain::task::{Task, Timeouts};
use synod::node::{Error, NewTask, Node, Pool};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::parts::{LEAD, Part, Score};
use crate::fleet::Seats;
use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::trace;
use crate::workload::{INSIDE, NATIVE, ask};

/// The pause before the part of the player is taken, and before something is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// How much longer than in the recording it may take: what does not end within that does not end.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Who plays.
const PLAYER: &str = "player";

/// Hears how many tasks have ended.
pub type Heard = Arc<dyn Fn(u64) + Send + Sync>;

/// A score and what came of it.
pub(crate) struct Reel {
    pub(crate) score: Score,
    seats: Seats,
    /// Which task of the world stands for which of the recording.
    ids: Mutex<BTreeMap<TaskId, TaskId>>,
    pub(super) ended: Mutex<BTreeMap<TaskId, Arc<Task>>>,
    heard: Option<Heard>,
}

impl std::fmt::Debug for Reel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reel").field("tasks", &self.score.tasks()).finish_non_exhaustive()
    }
}

impl Reel {
    pub(crate) fn new(score: Score, heard: Option<Heard>) -> Self {
        Self { score, seats: Seats::default(), ids: Mutex::default(), ended: Mutex::default(), heard }
    }
}

/// Lets the player work with this node if it works with no other.
pub(crate) async fn start(node: Arc<Node>, machine: Arc<Machine>, reel: Arc<Reel>) {
    let part: Arc<str> = PLAYER.into();
    while machine.phase() == Phase::Busy {
        if let Some(seat) = reel.seats.take(&part) {
            play(&node, &machine, &reel).await;
            drop(seat);
        }
        sleep(AGAIN).await;
    }
}

async fn play(node: &Arc<Node>, machine: &Arc<Machine>, reel: &Arc<Reel>) {
    sleep(LEAD.saturating_sub(machine.elapsed())).await;
    while put_pools(node, &reel.score).await.is_err() {
        sleep(AGAIN).await;
    }
    let mut asking = JoinSet::new();
    for part in &reel.score.parts {
        sleep((LEAD + part.at).saturating_sub(machine.elapsed())).await;
        // Those before this player's node died are known, or are found again by their keys.
        asking.spawn(perform(node.clone(), machine.clone(), reel.clone(), part.clone()));
        while asking.try_join_next().is_some() {}
    }
    while asking.join_next().await.is_some() {}
    let until = LEAD + reel.score.length() + PATIENCE;
    while node.read(State::unfinished) > 0 && machine.elapsed() < until {
        sleep(AGAIN).await;
        tell(reel, node);
    }
    gather(reel, node);
    machine.finish();
}

async fn put_pools(node: &Node, score: &Score) -> Result<(), Error> {
    for pool in &score.pools {
        node.put_pool(
            Pool::native(pool.name.as_str(), NATIVE)?.size(pool.agents).concurrency(pool.concurrency),
        )
        .await?;
    }
    Ok(())
}

/// Submits a task, and calls it off when that was done.
async fn perform(node: Arc<Node>, machine: Arc<Machine>, reel: Arc<Reel>, part: Part) {
    // Whoever submitted it is called as its workspace is, as all clients of worlds are.
    let player: Arc<str> = part.workspace.as_str().into();
    let key: Arc<str> = part.task.to_string().into();
    let content = trace::hash(key.as_bytes());
    let task = loop {
        // Judges know by this that nodes run the agents.
        let request = Request::Submit { key: Some(key.clone()), content, pool: INSIDE.into() };
        let submit = async { node.submit(new_task(&part)?).await };
        match ask(&machine, &player, request, submit, |task| Answer::Submitted(*task)).await {
            Ok(task) => break task,
            // It would be refused again; the comparison shows that it is missing.
            Err(Error::Refused(_)) => return,
            Err(_) => sleep(AGAIN).await,
        }
    };
    reel.ids.lock().insert(part.task, task);
    let Some(at) = part.cancelled_at else { return };
    sleep((LEAD + at).saturating_sub(machine.elapsed())).await;
    loop {
        let call = node.cancel(task, "it was called off in the recording");
        match ask(&machine, &player, Request::Cancel { task }, call, |()| Answer::Done).await {
            Ok(()) | Err(Error::Refused(_)) => return,
            Err(_) => sleep(AGAIN).await,
        }
    }
}

fn new_task(part: &Part) -> Result<NewTask, Error> {
    let task = NewTask::to_pool(part.pool.as_str(), part.kind.as_str(), &part.script)?;
    Ok(task
        .workspace(part.workspace.clone())
        .lane(part.lane)
        .deadline(part.deadline)
        .timeouts(Timeouts::default())
        .retry(part.retry.clone())
        .idempotency_key(&part.task.to_string()))
}

fn tell(reel: &Reel, node: &Node) {
    let submitted = u64::try_from(reel.ids.lock().len()).unwrap_or(u64::MAX);
    let done = submitted.saturating_sub(node.read(State::unfinished));
    if let Some(heard) = &reel.heard {
        heard(done);
    }
}

fn gather(reel: &Reel, node: &Node) {
    let ids = reel.ids.lock().clone();
    let found = ids.into_iter().filter_map(|(recorded, task)| Some((recorded, node.task(task).ok()?)));
    reel.ended.lock().extend(found);
}
