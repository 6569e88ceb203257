//! Makes the node's pools those of the plan.

use std::sync::Arc;

use synod_domain::agent::PoolSpec;
use synod_domain::apart::Apart;
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::state::State;

use crate::fleet::Plan;
use crate::node::{self, Node};
use crate::run::scope::{fleet_of, pool_name, scoped_pool, scoped_tending};
use crate::run::{Error, Run};

impl Run {
    /// Checks that each pool can work here, creates or changes them, and removes pools of earlier runs
    /// that this one does not have.
    ///
    /// # Errors
    /// When a pool cannot work on this machine, or the node does not take it.
    pub async fn set_up_pools(&self, node: &Node) -> Result<(), Error> {
        check_pools(node, &self.plan).await?;
        self.remove_others(node).await?;
        for pool in &self.plan.pools {
            let spec = scoped_pool(&self.plan.name, pool)?;
            let tending = scoped_tending(&self.plan, &pool.name)?;
            node.tend_pool_before(&spec.name, &tending).await?;
            put_unless_equal(node, spec, &tending.apart).await?;
        }
        // When all are there, because one may delegate to another.
        for pool in &self.plan.pools {
            let name = pool_name(&self.plan.name, &pool.name)?;
            node.tend_pool(&name, &scoped_tending(&self.plan, &pool.name)?).await?;
        }
        Ok(())
    }

    /// Removes what ended runs left: pools of other fleets that have no open run, and former ones of this.
    async fn remove_others(&self, node: &Node) -> Result<(), Error> {
        let mine: Result<Vec<Name>, Error> =
            self.plan.pools.iter().map(|pool| pool_name(&self.plan.name, &pool.name)).collect();
        let mine = mine?;
        let kept = |state: &State, pool: &Name| {
            let others_work = fleet_of(pool)
                .is_some_and(|fleet| fleet != self.plan.name && state.open_run_of(&fleet).is_some());
            mine.contains(pool) || others_work
        };
        let others: Vec<(Name, Vec<AgentId>)> = node.read(|state| {
            let names = state.pools().map(|pool| pool.spec.name.clone()).filter(|name| !kept(state, name));
            names
                .map(|name| {
                    let agents = state.agents_of(&name).map(|agent| agent.spec.id).collect();
                    (name, agents)
                })
                .collect()
        });
        for (pool, agents) in others {
            for agent in agents {
                node.propose(Command::RemoveAgent { agent }).await?;
            }
            match node.propose(Command::RemovePool { pool }).await {
                // Somebody else's work waits in it: it stays.
                Ok(_) | Err(node::Error::Refused(Refusal::PoolInUse { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Checks that each pool of a plan can work on this machine.
pub(super) async fn check_pools(node: &Node, plan: &Plan) -> Result<(), Error> {
    for spec in &plan.pools {
        pool_name(&plan.name, &spec.name)?;
        node.check_pool(spec).await.map_err(|reason| Error::Pool { pool: spec.name.clone(), reason })?;
    }
    Ok(())
}

/// Leaves a pool alone that is as it should be, so that a continued run keeps its grown size.
async fn put_unless_equal(node: &Node, spec: PoolSpec, apart: &Apart) -> Result<(), Error> {
    let equal = node.read(|state| {
        state.pool(&spec.name).is_some_and(|pool| *pool.spec == spec) && state.apart(&spec.name) == apart
    });
    if !equal {
        node.propose(node.put_of(Arc::new(spec), apart)).await?;
    }
    Ok(())
}
