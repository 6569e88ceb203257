//! One life of a node on its machine: comes in, starts the real node, lets clients at it, tells what it sees.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use synod::node::domain::state::{Outbox, State};
use synod::node::storage::Storage;
use synod::node::{Cluster, Error, Node, closed_id};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::admission::{admit, come_in};
use crate::history::Fact;
use crate::machine::{Machine, Order};
use crate::net::{Net, address_of};
use crate::observer::{Observer, close, follow_the_lead, note_tail};
use crate::receivers::Listeners;
use crate::shared::{Phase, name_of};
use crate::story::Story;
use crate::{disk, fleet, probe, replay, workload};

/// How long agents may finish when the node stops: shorter than their longest work, so that some of it is given back.
const DRAIN: Duration = Duration::from_secs(2);

/// In how many looks the voters are counted once: it takes more than the rest of a look.
const VOTERS_EVERY: u32 = 25;

/// How long after a start silence is not held against agents. Longer than their pause between two words.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// How long a task waits in a lane before it rises: short enough that some do in a world of a minute.
pub(crate) const AGEING: Duration = Duration::from_secs(3);

/// Entries between two snapshots: a world writes some thousands, so its log is cut off often.
pub(crate) const SNAPSHOT_ENTRIES: u64 = 100;

/// The time between two checkpoints: short, so that what follows on one comes as often as the rest.
pub(crate) const CHECKPOINTS: Duration = Duration::from_secs(1);

/// Lives once, to a crash, a failure, an order to stop or the end of the world.
pub(crate) async fn live(machine: Arc<Machine>) {
    let life = machine.next_life();
    machine.note(Fact::Starting { life });
    // Until it has counted, there may be something.
    machine.unfinished.store(1, Ordering::Relaxed);
    let mut tasks = JoinSet::new();
    let node = match begin(&machine, life, &mut tasks).await {
        Ok(node) => node,
        Err(error) => return machine.has_failed(error.to_string()),
    };
    let mut looks = 0_u32;
    while machine.phase() != Phase::Closing {
        match machine.order() {
            Order::None => {}
            Order::Stop => break,
            Order::Leave => tokio::select! {
                biased;
                left = node.leave() => match left {
                    Ok(()) => break,
                    // Without the others it cannot, and stays. Whether it votes is to be counted again.
                    Err(_) => {
                        machine.voters.store(0, Ordering::Relaxed);
                        machine.tell(Order::None);
                    }
                },
                // Whoever runs it sees that it has ended, and does not wait for its farewell. It may still have a vote.
                reason = node.failed() => {
                    machine.tell(Order::None);
                    return machine.has_failed(reason);
                }
            },
        }
        tell(&machine, &node, looks);
        looks = looks.wrapping_add(1);
        tokio::select! {
            biased;
            reason = node.failed() => {
                // What it was told and has not begun, it has not done.
                machine.tell(Order::None);
                return machine.has_failed(reason);
            }
            () = sleep(machine.pace.look) => {}
        }
    }
    // Who has left knows no more what the others agree on.
    if machine.phase() == Phase::Closing && machine.order() != Order::Leave {
        tokio::select! {
            biased;
            reason = node.failed() => return machine.has_failed(reason),
            () = close(&machine, &node) => {}
        }
    }
    tasks.shutdown().await;
    node.stop().await;
    machine.note(Fact::Stopped);
}

/// Tells the driver how the node does.
fn tell(machine: &Machine, node: &Node, looks: u32) {
    let works = node.waits_for().is_none();
    machine.now_takes_work(works);
    let is_in_order = || workload::is_in_order(machine, node);
    let unfinished = if works { node.read(unfinished) + u64::from(!is_in_order()) } else { 1 };
    machine.unfinished.store(unfinished, Ordering::Relaxed);
    if machine.nodes > 1 && looks.is_multiple_of(VOTERS_EVERY) {
        let cluster = node.cluster();
        let voters = cluster.nodes.iter().filter(|node| node.votes == Some(true)).count();
        // And nobody else: a vote of one that is out of the table may still be asked for.
        let all_vote = voters == cluster.nodes.len() && !cluster.changing;
        let voters = if all_vote { u64::try_from(voters).unwrap_or(0) } else { 0 };
        machine.voters.store(voters, Ordering::Relaxed);
    }
}

/// Counts what is still to be done: work, and what is to be told.
fn unfinished(state: &State) -> u64 {
    let waits: usize = state.outboxes().map(Outbox::waiting).sum();
    state.unfinished() + waits as u64
}

async fn begin(machine: &Arc<Machine>, life: u32, tasks: &mut JoinSet<()>) -> Result<Arc<Node>, Error> {
    let opened = disk::open(&machine.disk(), machine.disk_lies.load(Ordering::Relaxed))?;
    if let Some(repair) = opened.repaired {
        machine.note(Fact::Repaired { reason: repair.reason });
    }
    note_tail(machine, opened.storage.state.applied());
    let builder = Node::builder().clock(machine.clock.clone()).entropy(machine.entropy.clone()).drain(DRAIN);
    let builder = builder.receivers(Arc::new(Listeners::new(machine, life)));
    let builder = machine.story.equip(machine, builder)?;
    let builder = machine.cast.equip(builder, machine)?;
    let builder = if machine.nodes > 1 {
        let identity = who(machine, &opened.storage).await?;
        machine.wires.lives(machine.node, identity.node);
        let name = Some(name_of(machine.node, identity.node));
        let listen = address_of(machine.node);
        let net = Arc::new(Net::new(machine.node, machine.wires.clone()));
        builder.closed(net, identity).cluster(Cluster { listen, name, ..Cluster::default() })
    } else {
        builder
    };
    let node = Arc::new(builder.storage(opened.storage).begin().await?);
    // Nothing happens between these two, for nobody waits: what is not in the state is heard.
    let observer = Observer::new(machine.clone(), &node);
    tasks.spawn(follow_the_lead(machine.clone(), node.clone()));
    tasks.spawn(observer.run(node.clone(), life));
    tasks.spawn(work(machine.clone(), node.clone(), life));
    Ok(node)
}

/// Returns who the node is, and lets it come into the cluster if it is nobody yet.
async fn who(machine: &Machine, storage: &Storage) -> Result<synod::node::ClosedIdentity, Error> {
    if let Some(identity) = machine.identity.lock().clone() {
        return Ok(identity);
    }
    let node = closed_id(storage, &*machine.clock, &*machine.entropy).await?;
    let identity = come_in(machine, node).await;
    *machine.identity.lock() = Some(identity.clone());
    Ok(identity)
}

/// Lets people at the node once it takes work.
async fn work(machine: Arc<Machine>, node: Arc<Node>, life: u32) {
    if node.ready().await.is_err() {
        // Its failure says why.
        return;
    }
    let clients = machine.cast.start(node.clone(), machine.clone(), life);
    let ordinary = people(node.clone(), machine.clone(), life);
    let probed = probe::run(node.clone(), machine.clone());
    tokio::join!(admit(machine.clone(), node.clone()), ordinary, clients, probed);
}

/// Lets those at it who belong to the world's story.
async fn people(node: Arc<Node>, machine: Arc<Machine>, life: u32) {
    match &machine.story {
        Story::Clients(_) if !machine.cast.ordinary => {}
        Story::Clients(_) => workload::start(node, machine, life).await,
        Story::Fleet(stage) => fleet::start(node, machine.clone(), stage.clone()).await,
        Story::Replay(reel) => replay::start(node, machine.clone(), reel.clone()).await,
    }
}
