//! Those who work with the nodes from outside: the coordinator of the run, and the agents of external pools.
//!
//! The coordinator is the one of `synod run`. It works with one node; when that dies, it goes on with another, as the
//! same command does against a cluster: the open run is continued, and finds the tasks that it had submitted.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use synod::node::Node;
use synod::node::domain::agent::RuntimeSpec;
use synod::node::domain::task::{Phase as TaskPhase, Task};
use synod::run::{Error, Outcome, Progress, Run};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::outside::{self, Outside};
use super::seats::Seat;
use super::stage::{Finish, Stage};
use super::watch;
use crate::machine::Machine;
use crate::observer::known;
use crate::shared::Phase;

/// The pause before a part that somebody left is taken, and before a run is continued that could not go on.
const AGAIN: Duration = Duration::from_millis(500);

/// Who begins the run and brings it to its end.
const COORDINATOR: &str = "coordinator";

/// Lets those work with this node whom no other node has.
pub(crate) async fn start(node: Arc<Node>, machine: Arc<Machine>, stage: Arc<Stage>) {
    let coordinator: Arc<str> = COORDINATOR.into();
    let outside = outsiders(&stage);
    let mut parts = JoinSet::new();
    while machine.phase() != Phase::Closing {
        if stage.begun_at.lock().is_some() || is_whole(&machine) {
            if !stage.is_over()
                && let Some(seat) = stage.seats.take(&coordinator)
            {
                parts.spawn(coordinate(seat, node.clone(), machine.clone(), stage.clone()));
            }
            for outside in &outside {
                if let Some(seat) = stage.seats.take(&outside.part) {
                    let work = outside::work(node.clone(), machine.clone(), stage.clone(), outside.clone());
                    parts.spawn(async move {
                        let _seat = seat;
                        work.await;
                    });
                }
            }
        }
        sleep(AGAIN).await;
        while parts.try_join_next().is_some() {}
    }
}

/// Tells whether all nodes are in the cluster, as they are when people begin to work with it.
fn is_whole(machine: &Machine) -> bool {
    machine.nodes == 1 || machine.voters.load(Ordering::Relaxed) == machine.nodes
}

fn outsiders(stage: &Stage) -> Vec<Outside> {
    let external = stage.plan.pools.iter().filter(|pool| pool.runtime == RuntimeSpec::External);
    let agents = external.flat_map(|pool| {
        (0..stage.agents_outside(&pool.name)).map(|number| Outside::new(&stage.plan.name, pool, number))
    });
    agents.collect()
}

async fn coordinate(seat: Seat, node: Arc<Node>, machine: Arc<Machine>, stage: Arc<Stage>) {
    let now = machine.elapsed();
    let begun = *stage.begun_at.lock().get_or_insert(now);
    stage.moved(begun);
    let ears = Ears { stage: stage.clone(), machine: machine.clone() };
    let mut watch = watch::Watch::new(now);
    let mut run: Pin<Box<dyn Future<Output = Finish> + Send>> =
        Box::pin(run(node.clone(), stage.clone(), ears));
    loop {
        tokio::select! {
            biased;
            finish = &mut run => {
                stage.finish(&machine, finish);
                break;
            }
            () = sleep(watch.pause()) => {
                watch.look(&node, &machine, &stage);
                if watch::is_still(&machine, &stage) {
                    stage.finish(&machine, Finish::Stuck(all(&node, &machine)));
                    break;
                }
            }
        }
    }
    drop(seat);
}

/// Brings the run to its end, however often it must be continued.
async fn run(node: Arc<Node>, stage: Arc<Stage>, mut ears: Ears) -> Finish {
    if stage.plan.hangs_hooks() {
        // A repository is a real one: git runs outside of the world.
        let why = "work that hangs on hooks cannot be simulated; leave `hook` out of a copy of the file";
        return Finish::Refused(why.to_owned());
    }
    loop {
        match once(&node, &stage, &mut ears).await {
            Ok(outcome) => {
                let ids = outcome.tasks().map(|task| task.task);
                let tasks = ids.filter_map(|id| node.task(id).ok()).collect();
                return Finish::Done(Box::new(outcome), tasks);
            }
            Err(error @ (Error::Pool { .. } | Error::Plan { .. } | Error::Hooks)) => {
                return Finish::Refused(error.to_string());
            }
            Err(error @ Error::Node(synod::node::Error::Refused(_))) => {
                return Finish::Refused(error.to_string());
            }
            // The node cannot at the moment: there is no leader, or an answer was lost.
            Err(Error::Node(_) | Error::Client(_)) => sleep(AGAIN).await,
        }
    }
}

async fn once(node: &Node, stage: &Stage, ears: &mut Ears) -> Result<Outcome, Error> {
    let run = Run::open(node, stage.plan.clone(), false).await?;
    run.govern(node).await?;
    run.set_up_pools(node).await?;
    stage.submitted.store(0, Ordering::Relaxed);
    stage.ended.store(0, Ordering::Relaxed);
    run.drive(node, ears).await
}

/// Returns all tasks, those too that have ended and are not in the state any more.
fn all(node: &Node, machine: &Machine) -> Vec<Arc<Task>> {
    known(machine, node).into_iter().filter_map(|task| node.task(task).ok()).collect()
}

/// Hears how the run goes.
struct Ears {
    stage: Arc<Stage>,
    machine: Arc<Machine>,
}

impl Progress for Ears {
    fn submitted(&mut self, _: &str, _: &str, tasks: usize) {
        self.stage.submitted.fetch_add(u64::try_from(tasks).unwrap_or(0), Ordering::Relaxed);
        self.stage.moved(self.machine.elapsed());
        self.stage.tell();
    }

    fn ended(&mut self, _: &str, _: &str, _: TaskPhase, _: bool) {
        self.stage.ended.fetch_add(1, Ordering::Relaxed);
        self.stage.moved(self.machine.elapsed());
        self.stage.tell();
    }

    fn notice(&mut self, _: &str) {}
}
