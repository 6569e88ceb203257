//! How a pool is to be tended beside its definition, as one thing: what the API and fleet files say of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use synod_domain::agent::PoolSpec;
use synod_domain::apart::Apart;
use synod_domain::assignment::Assignment;
use synod_domain::autoscale::AutoscaleSpec;
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::renewal::RestartAfter;
use synod_domain::rollout::RolloutPolicy;
use synod_domain::tending::PoolCommand;

use crate::node::{Error, Node, Pool};

/// How a pool is to be tended; what is not there is taken back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolTending {
    /// How it scales by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<AutoscaleSpec>,
    /// What becomes of tasks that are submitted to it.
    pub assignment: Assignment,
    /// After what its agents begin anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_after: Option<RestartAfter>,
    /// How new agents replace old ones when its definition changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling: Option<RolloutPolicy>,
    /// What it is kept apart from.
    #[serde(skip_serializing_if = "Apart::is_empty")]
    pub apart: Apart,
}

impl PoolTending {
    /// Says what is wrong with it, if anything is: the field and why.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let faults = [
            self.autoscale.as_ref().and_then(AutoscaleSpec::fault),
            self.restart_after.as_ref().and_then(RestartAfter::fault),
            self.rolling.as_ref().and_then(RolloutPolicy::fault),
        ];
        faults.into_iter().flatten().next()
    }
}

impl Node {
    /// Returns what creates a pool or changes it, together with what it is kept apart from: no agent of it begins where
    /// it may not be.
    pub(crate) fn put_of(&self, spec: Arc<PoolSpec>, apart: &Apart) -> Command {
        if *apart == self.read(|state| state.apart(&spec.name).clone()) {
            Command::PutPool { spec }
        } else {
            Command::Pool(PoolCommand::Put { spec, apart: apart.clone() })
        }
    }

    /// Creates a pool or changes it, and says what it is kept apart from.
    ///
    /// # Errors
    /// When its sizes are not valid, or it would be apart from itself by way of others.
    pub async fn put_pool_apart(&self, pool: impl Into<Pool>, apart: &Apart) -> Result<(), Error> {
        let command = self.put_of(Arc::new(pool.into().0), apart);
        self.propose(command).await.map(drop)
    }

    /// Says how new agents of a pool replace old ones, if the pool is there already: a change of its definition that
    /// follows is brought to its agents like that.
    ///
    /// # Errors
    /// When the log does not take it.
    pub async fn tend_pool_before(&self, pool: &Name, tending: &PoolTending) -> Result<(), Error> {
        let wanted = tending.rolling.as_ref();
        if self.read(|state| state.pool(pool).is_some() && state.rolling(pool) != wanted) {
            let command = PoolCommand::SetRolling { pool: pool.clone(), policy: tending.rolling.clone() };
            self.propose(Command::Pool(command)).await?;
        }
        Ok(())
    }

    /// Changes what differs from how a pool is tended. Asked again it finds nothing to change.
    ///
    /// # Errors
    /// When there is no such pool, or something does not fit it.
    pub async fn tend_pool(&self, pool: &Name, tending: &PoolTending) -> Result<(), Error> {
        self.tend_pool_before(pool, tending).await?;
        let mut commands = Vec::new();
        self.read(|state| {
            if state.autoscaling(pool).map(|scaling| &scaling.spec) != tending.autoscale.as_ref() {
                let spec = tending.autoscale.clone();
                commands.push(PoolCommand::SetAutoscale { pool: pool.clone(), spec });
            }
            if *state.assignment(pool) != tending.assignment {
                let assignment = tending.assignment.clone();
                commands.push(PoolCommand::SetAssignment { pool: pool.clone(), assignment });
            }
            if state.restart_after(pool) != tending.restart_after.as_ref() {
                let spec = tending.restart_after.clone();
                commands.push(PoolCommand::SetRestartAfter { pool: pool.clone(), spec });
            }
        });
        for command in commands {
            self.propose(Command::Pool(command)).await?;
        }
        Ok(())
    }
}
