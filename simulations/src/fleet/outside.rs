//! Agents of external pools: programs elsewhere that register, claim and answer by themselves.
//!
//! They outlive the nodes: what they have in hand they go on with, and say it to another node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::agent::{AgentSpec, Host, PoolSpec};
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::{Ask, Error, Node};
use tokio::time::sleep;

use super::agents::{FAILED, doing};
use super::draw::Doing;
use super::stage::Stage;
use crate::history::Fact;
use crate::machine::Machine;
use crate::script::Act;
use crate::shared::Phase;

/// The longest an agent says nothing to its node.
const BREATH: Duration = Duration::from_secs(2);

/// The pause before an agent registers again whom its node does not know, or cannot hear.
const AGAIN: Duration = Duration::from_millis(500);

/// An agent of an external pool.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    pub(super) part: Arc<str>,
    id: AgentId,
    name: Name,
    /// The pool in the file.
    pool: Name,
    /// The pool on the nodes.
    scoped: Option<Name>,
    slots: u32,
}

/// An attempt that an agent has in hand.
#[derive(Debug, Clone)]
pub(super) struct Held {
    task: TaskId,
    kind: Name,
    attempt: u32,
    doing: Doing,
    /// When it says its result, since the world began.
    pub(super) due: Duration,
    said: bool,
}

impl Outside {
    pub(super) fn new(fleet: &Name, pool: &PoolSpec, number: u32) -> Self {
        let part: Arc<str> = format!("{}-{number}", pool.name).into();
        Self {
            id: AgentId::from_raw(u128::from(crate::trace::hash(part.as_bytes()))),
            name: Name::new(&part).unwrap_or_default(),
            part,
            pool: pool.name.clone(),
            scoped: Name::new(&format!("{fleet}/{}", pool.name)).ok(),
            slots: pool.concurrency,
        }
    }

    async fn register(&self, node: &Node) -> Result<(), Error> {
        let Some(scoped) = &self.scoped else { return Ok(()) };
        let capabilities = node.read(|state| state.pool(scoped).map(|pool| pool.spec.capabilities.clone()));
        let spec = AgentSpec {
            id: self.id,
            name: self.name.clone(),
            pool: Some(scoped.clone()),
            capabilities: capabilities.unwrap_or_default(),
            labels: BTreeMap::new(),
            region: None,
            concurrency: self.slots,
            host: Host::External,
            heartbeat_timeout: None,
            metadata: None,
        };
        node.register_agent(spec).await
    }
}

/// Works with a node until the world closes.
pub(super) async fn work(node: Arc<Node>, machine: Arc<Machine>, stage: Arc<Stage>, who: Outside) {
    while machine.phase() != Phase::Closing {
        if let Err(_unheard) = turn(&node, &machine, &stage, &who).await {
            sleep(AGAIN).await;
            // What keeps it from that, the next turn shows.
            let _ = who.register(&node).await;
        }
    }
}

/// Says what is due, and takes what there is.
async fn turn(node: &Node, machine: &Machine, stage: &Stage, who: &Outside) -> Result<(), Error> {
    let now = machine.elapsed();
    let held = stage.hands.lock().get(&who.id).cloned().unwrap_or_default();
    for one in &held {
        if one.due <= now {
            answer(node, machine, stage, who, one).await?;
        } else if !one.doing.late && one.doing.act != Act::Hang {
            heard(node.heartbeat_task(one.task, one.attempt, None).await, stage, who, one)?;
        }
    }
    let held = stage.hands.lock().get(&who.id).cloned().unwrap_or_default();
    let next = held.iter().map(|one| one.due).min().unwrap_or(Duration::MAX);
    let wait = next.saturating_sub(machine.elapsed()).min(BREATH);
    let free = who.slots.saturating_sub(u32::try_from(held.len()).unwrap_or(u32::MAX));
    if free == 0 {
        node.heartbeat_agent(who.id).await?;
        sleep(wait).await;
        return Ok(());
    }
    let request = node.new_request_id();
    let ask = Ask { agent: who.id, offered: None, max: free, start: true, wait, request };
    for given in node.claim_when_ready(ask).await? {
        let spec = &given.spec;
        let doing = doing(stage, machine.streams, (&who.pool, &spec.kind), &spec.labels, given.attempt);
        machine.note(Fact::Acts { task: spec.id, attempt: given.attempt, act: doing.act });
        let now = machine.elapsed();
        stage.moved(now);
        let due = if doing.act == Act::Hang { Duration::MAX } else { now + doing.length };
        let (task, kind, attempt) = (spec.id, spec.kind.clone(), given.attempt);
        let held = Held { task, kind, attempt, doing, due, said: false };
        stage.hands.lock().entry(who.id).or_default().push(held);
    }
    Ok(())
}

async fn answer(
    node: &Node,
    machine: &Machine,
    stage: &Stage,
    who: &Outside,
    one: &Held,
) -> Result<(), Error> {
    let behaviour = stage.play.simulation.behaviour(&one.kind, &who.pool);
    let usage = || behaviour.usage.clone();
    let said = match one.doing.act {
        Act::Succeed => {
            let result = behaviour.result.to_string();
            node.complete(one.task, one.attempt, result.as_bytes(), usage()).await.map(drop)
        }
        Act::Fail | Act::Refuse | Act::Hang | Act::HangDeaf | Act::Panic | Act::Kill => {
            node.fail(one.task, one.attempt, FAILED, true, usage()).await.map(drop)
        }
    };
    stage.moved(machine.elapsed());
    match said {
        Ok(()) | Err(Error::Refused(_)) => {
            let again = one.doing.twice && !one.said;
            change(stage, who, one, |held| {
                held.said = true;
                again
            });
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Puts down what the node does not want any more.
fn heard<T>(said: Result<T, Error>, stage: &Stage, who: &Outside, one: &Held) -> Result<(), Error> {
    match said {
        Ok(_) => Ok(()),
        Err(Error::Refused(_)) => {
            change(stage, who, one, |_| false);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn change(stage: &Stage, who: &Outside, one: &Held, keep: impl Fn(&mut Held) -> bool) {
    let mut hands = stage.hands.lock();
    let Some(held) = hands.get_mut(&who.id) else { return };
    held.retain_mut(|other| (other.task, other.attempt) != (one.task, one.attempt) || keep(other));
}
