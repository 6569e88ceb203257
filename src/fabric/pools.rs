//! The fabric's verbs about pools.

use std::sync::Arc;

use synod_domain::fabric::Profile;
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;

use crate::fabric::until::until;
use crate::fabric::{AgentConfig, Error, Fabric, Pool};

/// A pool to make: its id, what its agents are made from, and how many there may be.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    id: Arc<str>,
    agents: AgentConfig,
    min: u32,
    max: u32,
}

impl PoolConfig {
    /// Describes a pool of such agents; the name of the agents is what people call the pool. It has one agent, and one at
    /// most, unless more is said.
    pub fn new(id: &str, agents: AgentConfig) -> Self {
        Self { id: id.into(), agents, min: 1, max: 1 }
    }

    /// Sets how many agents it keeps at least. It may have as many then, or as many as it might have before.
    #[must_use]
    pub fn min_agents(mut self, min: u32) -> Self {
        self.min = min;
        self.max = self.max.max(min);
        self
    }

    /// Sets how many agents it may have; it grows while work waits.
    #[must_use]
    pub const fn max_agents(mut self, max: u32) -> Self {
        self.max = max;
        self
    }
}

impl Fabric {
    /// Makes a pool, or changes it, and returns it when its agents take work. Agents that run elsewhere come when they
    /// come.
    ///
    /// # Errors
    /// When the fabric has no room for so many agents, the id belongs to something else, or they do not start.
    ///
    /// ```no_run
    /// # async fn example(fabric: &synod::fabric::Fabric) -> Result<(), synod::fabric::Error> {
    /// use serde_json::{Value, json};
    /// use synod::fabric::{AgentConfig, PoolConfig};
    ///
    /// let agents = AgentConfig::new("claude-3-opus", "Frontend Agents")
    ///     .handler(|_, task: Value| async move { Ok(json!({ "seen": task["component"] })) });
    /// let pool = fabric.create_pool(PoolConfig::new("pool-frontend", agents).min_agents(2).max_agents(10)).await?;
    ///
    /// fabric.scale_pool("pool-frontend", 5).await?;
    /// fabric.schedule_to_pool("pool-frontend", "ui_review", &json!({ "component": "Dashboard" })).await?;
    /// fabric.delete_pool("pool-frontend").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_pool(&self, config: PoolConfig) -> Result<Pool, Error> {
        let id = Name::new(&config.id)?;
        let profile = Profile {
            title: config.agents.name.clone(),
            model: Some(config.agents.model.clone()),
            single: false,
        };
        self.make_pool(&config.agents, id.clone(), (config.min, config.max), profile).await?;
        if let Some(budget) = &config.agents.budget {
            self.budgets().set_budget_of_pool(&id, budget).await?;
        }
        if !config.agents.runs_elsewhere() {
            self.in_service(&id).await?;
        }
        self.known_pool(&id)
    }

    /// Changes how many agents a pool should have, within its bounds, and returns the pool. Those that are surplus
    /// finish what they have.
    ///
    /// # Errors
    /// When there is no such pool, or the fabric has no room for so many agents.
    pub async fn scale_pool(&self, id: &str, target_size: u32) -> Result<Pool, Error> {
        let id = Name::new(id)?;
        self.known_pool(&id)?;
        self.node.scale_pool(&id, target_size).await?;
        self.known_pool(&id)
    }

    /// Lets a pool finish all work that waits for it or is in hand, taking nothing new, removes its agents and then the
    /// pool, and returns when it is gone. Asked again it goes on waiting.
    ///
    /// # Errors
    /// When there is no such pool.
    pub async fn delete_pool(&self, id: &str) -> Result<(), Error> {
        let id = Name::new(id)?;
        self.known_pool(&id)?;
        self.node.retire_pool(&id, false).await?;
        until(&self.node, |state| state.pool(&id).is_none().then_some(())).await?;
        self.budgets().remove_budget_of_pool(&id).await
    }

    /// Returns a pool as it stands.
    ///
    /// # Errors
    /// When the fabric has no such pool.
    pub fn pool(&self, id: &str) -> Result<Pool, Error> {
        self.known_pool(&Name::new(id)?)
    }

    /// Returns the pools of the fabric; agents that were spawned by themselves are in none.
    pub fn pools(&self) -> Vec<Pool> {
        self.node.read(|state| {
            let pools = state.fabric_pools().filter(|(_, profile)| !profile.single);
            pools.map(|(pool, profile)| Pool::of(state, pool, profile)).collect()
        })
    }

    fn known_pool(&self, id: &Name) -> Result<Pool, Error> {
        self.node.read(|state| match (state.pool(id), state.profile(id)) {
            (Some(pool), Some(profile)) if !profile.single => Ok(Pool::of(state, pool, profile)),
            _ => Err(Refusal::PoolUnknown(id.clone()).into()),
        })
    }
}
