//! The fabric's verbs about agents: making them, hearing of them, choosing one, letting them go.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use synod_domain::agent::{Agent, AgentSpec, Host, PoolSpec, Standing};
use synod_domain::command::Command;
use synod_domain::fabric::{FabricCommand, Profile};
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::state::State;

use crate::fabric::agent_config::native_name;
use crate::fabric::budgets::name_of;
use crate::fabric::shown::pending;
use crate::fabric::until::until;
use crate::fabric::{AgentConfig, AgentInfo, Error, Fabric};
use crate::node;

impl Fabric {
    /// Makes an agent and returns it when it takes work.
    ///
    /// Its name is what it is known by: whoever spawns an agent of the same name again, as a program does that was
    /// started again, takes up the one that is there, with everything that waits for it.
    ///
    /// # Errors
    /// When the fabric has as many agents as it may, the name is not a name or belongs to something else, or the agent
    /// does not start.
    ///
    /// ```no_run
    /// # async fn example(fabric: &synod::fabric::Fabric) -> Result<(), synod::fabric::Error> {
    /// use synod::fabric::AgentConfig;
    ///
    /// let config = AgentConfig::new("claude-3-opus", "worker-1").capabilities(["code", "test", "review"]);
    /// let agent = fabric.spawn(config).await?;
    /// fabric.heartbeat(agent.id).await?;
    /// let info = fabric.agent_info(agent.id)?;
    /// println!("Last heartbeat: {:?}", info.last_heartbeat);
    /// println!("Status: {}", info.status);
    /// fabric.terminate(agent.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn spawn(&self, config: AgentConfig) -> Result<AgentInfo, Error> {
        let pool = Name::new(&config.name)?;
        let size = if config.runs_elsewhere() { (0, 1) } else { (1, 1) };
        let profile = Profile { title: config.name.clone(), model: Some(config.model.clone()), single: true };
        let is_new = self.make_pool(&config, pool.clone(), size, profile).await?;
        if config.runs_elsewhere() {
            let registered = self.register_outside(&config, &pool).await;
            if registered.is_err() && is_new {
                // Without its agent it is there for nothing; what the caller has to know is the first error.
                let _ = self.node.retire_pool(&pool, false).await;
            }
            registered?;
        } else {
            self.in_service(&pool).await?;
        }
        let agent = self.node.read(|state| {
            let agent = state.agents_of(&pool).find(|agent| !agent.retiring)?;
            self.shown(state, agent)
        });
        let agent =
            agent.ok_or_else(|| Error::NotStarted { pool, why: "it was terminated meanwhile".to_owned() })?;
        if let Some(budget) = &config.budget {
            self.budgets().set_budget(agent.id, budget).await?;
        }
        Ok(agent)
    }

    /// Puts a pool of such agents; tells whether it is new.
    pub(super) async fn make_pool(
        &self,
        config: &AgentConfig,
        name: Name,
        size: (u32, u32),
        profile: Profile,
    ) -> Result<bool, Error> {
        let spec = config.pool(name.clone(), size, self.config.max_concurrent_tasks_per_agent)?;
        if let Some(runtime) = config.native() {
            self.check_not_taken(&name)?;
            self.node.register_runtime(native_name(&name)?, runtime.clone()).await?;
        }
        if let Err(why) = self.node.check_pool(&spec).await {
            return Err(Error::Agent { agent: name.to_string(), why });
        }
        let is_new = self.node.read(|state| state.pool(&name).is_none());
        let command = FabricCommand::PutPool { spec: Arc::new(spec), profile };
        self.node.propose(Command::Fabric(command)).await?;
        Ok(is_new)
    }

    /// Refuses a name before anything is registered under it; the state judges it again.
    fn check_not_taken(&self, pool: &Name) -> Result<(), Refusal> {
        let taken = self.node.read(|state| state.pool(pool).is_some() && state.profile(pool).is_none());
        if taken {
            let why = format!("there is a pool {pool} that is not the fabric's; choose another name");
            return Err(Refusal::Invalid { field: "pool".to_owned(), why });
        }
        Ok(())
    }

    async fn register_outside(&self, config: &AgentConfig, pool: &Name) -> Result<(), Error> {
        let known = self.node.read(|state| {
            let agent = state.agents_of(pool).next()?;
            Some(agent.spec.id)
        });
        let spec = AgentSpec {
            id: known.unwrap_or_else(|| self.node.new_agent_id()),
            name: pool.clone(),
            pool: Some(pool.clone()),
            capabilities: config.can_do()?,
            labels: BTreeMap::new(),
            region: None,
            concurrency: config.holds(self.config.max_concurrent_tasks_per_agent),
            host: Host::External,
            heartbeat_timeout: Some(self.config.offline_after()),
            metadata: None,
        };
        Ok(self.node.register_agent(spec).await?)
    }

    /// Waits until a pool has as many agents in service as it should have. One that failed before this is tried once
    /// more; one that fails in a start of its own after that is told of.
    pub(super) async fn in_service(&self, pool: &Name) -> Result<(), Error> {
        // By the number of the start that failed: what is agreed of it stays until the next one says something.
        let mut tried: BTreeMap<AgentId, u64> = BTreeMap::new();
        loop {
            let failed = until(&self.node, |state| {
                let Some(known) = state.pool(pool) else { return Some(None) };
                let serves = |agent: &&Arc<Agent>| agent.standing == Standing::Ready && !agent.retiring;
                if state.agents_of(pool).filter(serves).count() >= known.target as usize {
                    return Some(None);
                }
                let anew = |agent: &&Arc<Agent>| {
                    let before = tried.get(&agent.spec.id);
                    agent.standing == Standing::Failed && before.is_none_or(|start| agent.restarts > *start)
                };
                state.agents_of(pool).find(anew).cloned().map(Some)
            });
            let Some(agent) = failed.await? else { return Ok(()) };
            let (id, why) = (agent.spec.id, agent.reason.to_string());
            if tried.insert(id, agent.restarts).is_some() {
                return Err(Error::NotStarted { pool: pool.clone(), why });
            }
            self.node.start_afresh(id).await?;
        }
    }

    /// Lets an agent finish what it has in hand, taking nothing new, and returns when it is gone. What waits for it
    /// alone is cancelled. A pool that it belongs to is smaller by one from then on.
    ///
    /// # Errors
    /// When there is no such agent, or its pool would be smaller than it may be.
    pub async fn terminate(&self, agent: AgentId) -> Result<(), Error> {
        self.leave(agent, false).await
    }

    /// Terminates an agent without waiting for what it has in hand: that goes to others, or is cancelled when only this
    /// agent could do it.
    ///
    /// # Errors
    /// As [`Fabric::terminate`].
    pub async fn terminate_now(&self, agent: AgentId) -> Result<(), Error> {
        self.leave(agent, true).await
    }

    async fn leave(&self, id: AgentId, force: bool) -> Result<(), Error> {
        let own = self.of_agent(id, |state, agent| {
            let pool = state.pool(agent.spec.pool.as_ref()?)?;
            state.profile(&pool.spec.name).filter(|profile| profile.single)?;
            Some(pool.clone())
        })?;
        if let Some(own) = own.as_ref().filter(|own| own.spec.min > 0) {
            // A pool that is there for one agent may lose it.
            let spec = Arc::new(PoolSpec { min: 0, ..PoolSpec::clone(&own.spec) });
            let name = &own.spec.name;
            let profile = self.node.read(|state| state.profile(name).cloned()).unwrap_or_default();
            let smaller = Command::Fabric(FabricCommand::PutPool { spec, profile });
            unless_gone(self.node.propose(smaller).await.map(drop))?;
        }
        unless_gone(self.node.retire_agent(id, force).await)?;
        if let Some(own) = &own {
            unless_gone(self.node.retire_pool(&own.spec.name, false).await)?;
        }
        until(&self.node, |state| state.agent(id).is_none().then_some(())).await?;
        let budget = name_of(id)?;
        if self.node.read(|state| state.budget(&budget).is_some()) {
            self.budgets().remove_budget(id).await?;
        }
        Ok(())
    }

    /// Hears that an agent lives. One that a node runs is seen to live and need not say so.
    ///
    /// # Errors
    /// When there is no such agent, or its return into service cannot be recorded.
    pub async fn heartbeat(&self, agent: AgentId) -> Result<(), Error> {
        let outside = self.of_agent(agent, |_, agent| agent.spec.host == Host::External)?;
        if outside {
            self.node.heartbeat_agent(agent).await?;
        }
        Ok(())
    }

    /// Returns an agent as it stands.
    ///
    /// # Errors
    /// When the fabric has no such agent.
    pub fn agent_info(&self, agent: AgentId) -> Result<AgentInfo, Error> {
        let info = self.node.read(|state| self.shown(state, state.agent(agent)?));
        info.ok_or_else(|| Refusal::AgentUnknown(agent).into())
    }

    /// Returns the agents of the fabric, pool by pool.
    pub fn list(&self) -> Vec<AgentInfo> {
        self.node.read(|state| {
            let agents = state.fabric_pools().flat_map(|(pool, _)| state.agents_of(&pool.spec.name));
            agents.filter_map(|agent| self.shown(state, agent)).collect()
        })
    }

    /// Returns the agent with the fewest tasks waiting for it or in its hands, of those that take work: of a pool, or of
    /// the whole fabric.
    ///
    /// # Errors
    /// When there is no such pool, or none of its agents is in service.
    ///
    /// ```no_run
    /// # async fn example(fabric: &synod::fabric::Fabric) -> Result<(), synod::fabric::Error> {
    /// // Route a message to the fabric for handling.
    /// let message = serde_json::json!({ "from": "ada", "text": "hello" });
    /// let agent = fabric.get_available_agent(Some("pool-support"))?;
    /// let task = fabric.schedule(agent.id, "handle_message", &message).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_available_agent(&self, pool: Option<&str>) -> Result<AgentInfo, Error> {
        let pool = pool.map(Name::new).transpose()?;
        self.node.read(|state| {
            if let Some(pool) = &pool
                && state.profile(pool).is_none()
            {
                return Err(Refusal::PoolUnknown(pool.clone()).into());
            }
            let pools: Vec<&Name> = match &pool {
                Some(pool) => vec![pool],
                None => state.fabric_pools().map(|(pool, _)| &pool.spec.name).collect(),
            };
            let agents: Vec<&Arc<Agent>> = pools.into_iter().flat_map(|pool| state.agents_of(pool)).collect();
            let serving = agents.iter().filter(|agent| agent.standing == Standing::Ready && !agent.standby);
            let best = serving.min_by_key(|agent| {
                (pending(state, agent) + agent.held.len(), Reverse(agent.free()), agent.completed)
            });
            let best = best.and_then(|agent| self.shown(state, agent));
            best.ok_or_else(|| Error::NoneAvailable { pool: pool.clone(), agents: agents.len() })
        })
    }

    /// Looks at an agent of the fabric.
    fn of_agent<T>(&self, id: AgentId, look: impl FnOnce(&State, &Agent) -> T) -> Result<T, Error> {
        self.node.read(|state| match state.agent(id) {
            Some(agent) => Ok(look(state, agent)),
            None => Err(Refusal::AgentUnknown(id).into()),
        })
    }

    /// Shows an agent, if it is the fabric's.
    fn shown(&self, state: &State, agent: &Agent) -> Option<AgentInfo> {
        let profile = state.profile(agent.spec.pool.as_ref()?)?;
        Some(AgentInfo::of(&self.node, &self.config, state, agent, profile))
    }
}

/// What may have gone meanwhile need not be asked to.
fn unless_gone(outcome: Result<(), node::Error>) -> Result<(), node::Error> {
    match outcome {
        Err(node::Error::Refused(
            Refusal::AgentUnknown(_) | Refusal::PoolUnknown(_) | Refusal::PoolRetiring(_),
        )) => Ok(()),
        other => other,
    }
}
