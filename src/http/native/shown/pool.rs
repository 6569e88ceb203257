//! A pool, with how many agents and tasks it has.

use synod_domain::agent::{AgentStatus, Pool, RuntimeSpec};
use synod_domain::pause::Pausable;
use synod_domain::state::State;
use synod_domain::task::MailboxId;

use super::time;
use crate::api;

/// Shows a pool.
pub(crate) fn pool(state: &State, pool: &Pool) -> api::Pool {
    let spec = &pool.spec;
    let (mut agents, mut ready) = (0, 0);
    for agent in state.agents_of(&spec.name) {
        agents += 1;
        ready += u64::from(matches!(agent.status(), AgentStatus::Ready | AgentStatus::Busy));
    }
    let mailbox = state.mailbox(&MailboxId::Pool(spec.name.clone()));
    let pause = state
        .pause_of(&Pausable::Pool(spec.name.clone()))
        .or_else(|| state.pause_of(&Pausable::Mailbox(MailboxId::Pool(spec.name.clone()))));
    api::Pool {
        name: spec.name.to_string(),
        runtime: runtime(&spec.runtime),
        capabilities: spec.capabilities.iter().map(|one| one.to_string()).collect(),
        min: spec.min,
        max: spec.max,
        target: pool.target,
        concurrency: spec.concurrency,
        strategy: spec.strategy.to_string(),
        agents,
        ready,
        waiting: mailbox.map_or(0, |mailbox| mailbox.depth() as u64),
        unfinished: state.unfinished_for(&spec.name),
        retiring: pool.retiring.is_some(),
        paused: pause.map(|pause| pause.reason.to_string()),
        created_at: time(pool.created_at),
    }
}

/// Shows who runs a pool's agents, without the values of its environment: they may be secret.
fn runtime(runtime: &RuntimeSpec) -> api::PoolRuntime {
    match runtime {
        RuntimeSpec::Process(process) => api::PoolRuntime::Process(api::HostedSpec {
            command: process.command.clone(),
            cwd: process.cwd.clone(),
            env: process.env.keys().map(|name| (name.clone(), HIDDEN.to_owned())).collect(),
        }),
        RuntimeSpec::Native(name) => api::PoolRuntime::Native(name.to_string()),
        RuntimeSpec::External => api::PoolRuntime::External,
    }
}

/// Stands for a value that is not shown.
const HIDDEN: &str = "(hidden)";
