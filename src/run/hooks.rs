//! Hangs the work of an entry on hooks: each item on one of an agent of its pool that this node runs.
//!
//! A hook is named by its run and its item, so a continued run finds what it hung and hangs nothing twice. What becomes of
//! it, over the loss of agents too, is left to the rules of hooks.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};
use synod_actors::events::Heard;
use synod_domain::agent::Host;
use synod_domain::id::{AgentId, HookId, RunId};
use synod_domain::name::Name;

use crate::fleet::{EntryPlan, HookPlan, ItemPlan, Target};
use crate::node::{self, NewHook, Node};
use crate::run::entry::{key, payload};
use crate::run::scope::pool_name;
use crate::run::work::Work;
use crate::run::{Error, Run};

/// Hangs all items of an entry, one after the other: each makes a worktree.
pub(super) async fn hang(
    node: &Node,
    run: &Run,
    entry: &EntryPlan,
    after: Option<&Value>,
) -> Result<Vec<Work>, Error> {
    let Target::Pool(pool) = &entry.target else { return Ok(Vec::new()) };
    let pool = pool_name(&run.plan.name, pool)?;
    let mut given = BTreeMap::new();
    let mut work = Vec::with_capacity(entry.items.len());
    for item in &entry.items {
        let Some(plan) = &item.hook else { continue };
        let id = hook_of(run.id, item);
        if node.hook(id).is_err() {
            let agent = agent_of(node, &pool, &given).await?;
            *given.entry(agent).or_default() += 1;
            node.create_hook_as(node.new_request_id(), id, new_hook(entry, item, plan, agent, after)?)
                .await?;
        }
        work.push(Work::Hook(id));
    }
    Ok(work)
}

fn new_hook(
    entry: &EntryPlan,
    item: &ItemPlan,
    plan: &HookPlan,
    agent: AgentId,
    after: Option<&Value>,
) -> Result<NewHook, Error> {
    let mut hook = NewHook::new(agent, &plan.repository, &payload(item, after))?
        .kind(entry.name.clone())
        .max_retries(plan.max_retries);
    if let Some(branch) = &plan.branch {
        hook = hook.branch(branch);
    }
    if let Some(base) = &plan.base {
        hook = hook.base(base);
    }
    if let Some(silence) = plan.stale_after {
        hook = hook.stale_after(silence);
    }
    Ok(hook)
}

/// Names the hook of an item: the same for as long as the run goes on.
fn hook_of(run: RunId, item: &ItemPlan) -> HookId {
    let digest = Sha256::digest(key(run, item));
    let mut raw = [0; 16];
    raw.copy_from_slice(&digest[..16]);
    HookId::from_raw(u128::from_be_bytes(raw))
}

/// Returns the agent of a pool on this node that was given the fewest; waits for one if there is none.
async fn agent_of(node: &Node, pool: &Name, given: &BTreeMap<AgentId, usize>) -> Result<AgentId, Error> {
    let mut events = node.events();
    loop {
        let found = node.read(|state| {
            let here = |host: &Host| matches!(host, Host::Node(id) if *id == node.id());
            let agents = state
                .agents_of(pool)
                .filter(|agent| here(&agent.spec.host) && !agent.retiring && !agent.standby);
            let agents = agents.map(|agent| agent.spec.id);
            agents.min_by_key(|agent| (given.get(agent).copied().unwrap_or_default(), *agent))
        });
        if let Some(agent) = found {
            return Ok(agent);
        }
        let heard = tokio::select! {
            biased;
            heard = events.next() => heard,
            reason = node.failed() => return Err(node::Error::Failed(reason).into()),
        };
        if heard == Heard::Closed {
            return Err(node::Error::Failed("the node has stopped".to_owned()).into());
        }
    }
}
