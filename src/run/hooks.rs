//! Hangs the work of an entry on hooks: each item on one of an agent of its pool that this node runs, or the node that is
//! asked.
//!
//! A hook is named by its run and its item, so a continued run finds what it hung and hangs nothing twice. What becomes of
//! it, over the loss of agents too, is left to the rules of hooks.

use serde_json::Value;
use sha2::{Digest, Sha256};
use synod_domain::id::{AgentId, HookId, RunId};
use synod_domain::name::Name;
use tokio::time::Instant;

use crate::api;
use crate::client;
use crate::fleet::{EntryPlan, HookPlan, ItemPlan, Target};
use crate::node::{NewHook, Node};
use crate::run::entry::{key, payload};
use crate::run::remote::{PATIENCE, estimate, millis};
use crate::run::scope::pool_name;
use crate::run::work::Work;
use crate::run::{Error, RemoteRun, Run};

/// The code of a hook that no agent of its pool is there for.
const NOBODY: &str = "hook_without_agent";

/// The code of a node that keeps no hooks.
const NOT_KEPT: &str = "hooks_not_kept";

/// Hangs all items of an entry, one after the other: each makes a worktree.
pub(super) async fn hang(
    node: &Node,
    run: &Run,
    entry: &EntryPlan,
    after: Option<&Value>,
) -> Result<Vec<Work>, Error> {
    let Target::Pool(pool) = &entry.target else { return Ok(Vec::new()) };
    let pool = pool_name(&run.plan.name, pool)?;
    let mut work = Vec::with_capacity(entry.items.len());
    for item in &entry.items {
        let Some(plan) = &item.hook else { continue };
        let id = hook_of(run.id, item);
        if node.hook(id).is_err() {
            let agent = node.agent_for_hook(&pool).await?;
            node.create_hook_as(
                node.new_request_id(),
                id,
                new_hook(entry, item, plan, agent, after)?.run(run.id),
            )
            .await?;
        }
        work.push(Work::Hook(id));
    }
    Ok(work)
}

impl RemoteRun {
    /// Hangs all items of an entry on hooks of the node that is asked, one after the other.
    pub(super) async fn hang(&self, entry: &EntryPlan, after: Option<&Value>) -> Result<Vec<Work>, Error> {
        let Target::Pool(pool) = &entry.target else { return Ok(Vec::new()) };
        let there = pool_name(&self.plan.name, pool)?;
        let mut work = Vec::with_capacity(entry.items.len());
        for item in &entry.items {
            let Some(plan) = &item.hook else { continue };
            let (id, terms) = (hook_of(self.id, item), entry.terms.as_ref());
            let hook = api::NewHook {
                pool: Some(there.to_string()),
                id: Some(id.to_string()),
                repository: plan.repository.display().to_string(),
                work: api::Json::from_text(payload(item, after).to_string()).unwrap_or_default(),
                branch: plan.branch.clone(),
                base: plan.base.clone(),
                kind: Some(entry.name.to_string()),
                max_retries: Some(plan.max_retries),
                stale_after_ms: plan.stale_after.map(millis),
                run: Some(self.id.to_string()),
                estimate: terms.and_then(|terms| terms.estimate.as_ref()).map(estimate),
                account: terms.and_then(|terms| terms.account.as_ref()).map(ToString::to_string),
                model: terms.and_then(|terms| terms.model.as_ref()).map(ToString::to_string),
                ..api::NewHook::default()
            };
            self.make(pool, &hook).await?;
            work.push(Work::Hook(id));
        }
        Ok(work)
    }

    /// Makes a hook; waits for an agent of its pool, which may only be starting.
    async fn make(&self, pool: &Name, hook: &api::NewHook) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.client().create_hook(hook).await {
                Ok(_) => return Ok(()),
                Err(client::Error::Refused(problem)) if problem.code == NOT_KEPT => return Err(Error::Hooks),
                // The node has waited for one already.
                Err(client::Error::Refused(problem)) if problem.code == NOBODY => {
                    if Instant::now() >= until {
                        let reason = "the node that is asked runs none of its agents, and hooks are hung by the node that \
                                      has the repository; name that one with --server";
                        return Err(Error::Pool { pool: pool.clone(), reason: reason.to_owned() });
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
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
    if let Some(terms) = &entry.terms {
        hook = hook.terms(terms.clone());
    }
    Ok(hook)
}

/// Names the hook of an item: the same for as long as the run goes on.
pub(super) fn hook_of(run: RunId, item: &ItemPlan) -> HookId {
    let digest = Sha256::digest(key(run, item));
    let mut raw = [0; 16];
    raw.copy_from_slice(&digest[..16]);
    HookId::from_raw(u128::from_be_bytes(raw))
}
