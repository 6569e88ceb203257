//! The Rust types that this node can run agents with, by the name that pools refer to them by.
//!
//! A pool may be agreed before its type is registered here: after a restart, or when another node put it. So what a
//! pool gets is bound late, at each start and each attempt: agents fail with a reason while there is no such type, and
//! work when there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use synod_actors::ports::{AgentRuntime, Finish, Work};
use synod_actors::runtimes::native::{NativeAgent, NativeRuntime};
use synod_domain::agent::{Host, RuntimeSpec, Standing};
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;

use crate::node::{Error, Node};

/// The registered types. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Natives(Arc<RwLock<BTreeMap<Name, Arc<dyn AgentRuntime>>>>);

impl Natives {
    pub(super) fn register(&self, name: Name, runtime: Arc<dyn AgentRuntime>) {
        self.0.write().insert(name, runtime);
    }

    pub(super) fn names(&self) -> Vec<Name> {
        self.0.read().keys().cloned().collect()
    }

    /// Returns the runtime of a name, whether or not there is a type for it at present.
    pub(super) fn runtime(&self, name: &Name) -> Arc<dyn AgentRuntime> {
        Arc::new(Late { natives: self.clone(), name: name.clone() })
    }

    fn get(&self, name: &Name) -> Result<Arc<dyn AgentRuntime>, String> {
        let natives = self.0.read();
        natives.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = natives.keys().map(Name::as_str).collect();
            format!(
                "no native agent {name} is registered with this node; it has: {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )
        })
    }
}

/// Whatever is registered under a name when it is needed.
struct Late {
    natives: Natives,
    name: Name,
}

#[async_trait]
impl AgentRuntime for Late {
    async fn prepare(&self) -> Result<(), String> {
        self.natives.get(&self.name)?.prepare().await
    }

    async fn run(&self, work: Work) -> Finish {
        match self.natives.get(&self.name) {
            Ok(runtime) => runtime.run(work).await,
            Err(reason) => Finish::Failed { reason, retryable: true },
        }
    }
}

impl Node {
    /// Registers a Rust type as an agent of a running node, in place of one of that name: attempts that begin from here
    /// on are its. Agents that failed because there was none are started afresh.
    ///
    /// A type is known to this process alone and is registered again by each start of it.
    ///
    /// # Errors
    /// When the name is not a name.
    pub async fn register_native<A: NativeAgent>(&self, name: &str, agent: A) -> Result<(), Error> {
        self.register_runtime(Name::new(name)?, Arc::new(NativeRuntime::new(agent))).await
    }

    pub(crate) async fn register_runtime(
        &self,
        name: Name,
        runtime: Arc<dyn AgentRuntime>,
    ) -> Result<(), Error> {
        self.natives.register(name.clone(), runtime);
        let of_it = RuntimeSpec::Native(name);
        let here = Host::Node(self.id());
        let failed: Vec<AgentId> = self.read(|state| {
            let pools = state.pools().filter(|pool| pool.spec.runtime == of_it);
            let agents = pools.flat_map(|pool| state.agents_of(&pool.spec.name));
            let failed = agents.filter(|agent| agent.standing == Standing::Failed && agent.spec.host == here);
            failed.map(|agent| agent.spec.id).collect()
        });
        for agent in failed {
            self.start_afresh(agent).await?;
        }
        Ok(())
    }

    /// Starts an agent afresh, unless its pool is about to do so itself.
    pub(crate) async fn start_afresh(&self, agent: AgentId) -> Result<(), Error> {
        match self.restart_agent(agent).await {
            // Its pool is being started, and starts whoever belongs to it; or it is gone, and its pool sees to that.
            Err(Error::Restart(_) | Error::Refused(Refusal::AgentUnknown(_))) => Ok(()),
            other => other,
        }
    }
}
