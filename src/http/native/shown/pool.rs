//! A pool, with how many agents and tasks it has.

use std::collections::{BTreeMap, BTreeSet};

use synod_domain::agent::{AgentStatus, Pool, RuntimeSpec};
use synod_domain::apart::Apart;
use synod_domain::breaker::Guarded;
use synod_domain::id::NodeId;
use synod_domain::pause::Pausable;
use synod_domain::restart::RestartPolicy;
use synod_domain::spread::{Lack, Recovery, Shortfall, SpreadSpec};
use synod_domain::state::State;
use synod_domain::task::MailboxId;

use super::task::millis;
use super::{tending, time};
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
    let scaling = state.autoscaling(&spec.name);
    let rolling = state.rollout(&spec.name).filter(|rollout| !rollout.stage.is_over());
    api::Pool {
        name: spec.name.to_string(),
        runtime: runtime(&spec.runtime),
        capabilities: spec.capabilities.iter().map(|one| one.to_string()).collect(),
        min: spec.min,
        max: spec.max,
        target: pool.target,
        concurrency: spec.concurrency,
        strategy: spec.strategy.to_string(),
        spread: spread(&spec.spread, state.apart(&spec.name)),
        recovery: recovery(spec.recovery),
        restart: restart(&spec.restart),
        shares: shares(state, pool),
        shortfall: state.shortfall(&spec.name).map(|short| shortfall(state, &short)),
        agents,
        ready,
        waiting: mailbox.map_or(0, |mailbox| mailbox.depth() as u64),
        unfinished: state.unfinished_for(&spec.name),
        retiring: pool.retiring.is_some(),
        paused: pause.map(|pause| pause.reason.to_string()),
        breaker: state
            .breaker(&Guarded::Pool(spec.name.clone()))
            .map(|breaker| breaker.circuit.word().to_owned()),
        autoscale: scaling.map(|scaling| tending::autoscale(&scaling.spec)),
        scaled: scaling.and_then(|scaling| scaling.last.as_ref()).map(tending::scaled),
        assignment: tending::assignment(state.assignment(&spec.name)),
        restart_after: state.restart_after(&spec.name).map(tending::restart_after),
        rollout: state.rolling(&spec.name).map(tending::policy),
        rolling: rolling.map(|rollout| rollout.stage.to_string()),
        created_at: time(pool.created_at),
    }
}

/// Shows where a pool's agents may be.
pub(crate) fn spread(spread: &SpreadSpec, apart: &Apart) -> api::Spread {
    api::Spread {
        manner: Some(spread.manner.to_string()),
        max_per_node: spread.max_per_node,
        labels: spread.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        region: spread.region.as_ref().map(ToString::to_string),
        apart_from: apart.from.iter().map(ToString::to_string).collect(),
        apart_strictly: apart.strictly,
    }
}

fn recovery(recovery: Recovery) -> api::Recovery {
    let standby = match recovery {
        Recovery::Failover { standby } => Some(standby),
        Recovery::Restart | Recovery::Replacement | Recovery::Degraded => None,
    };
    api::Recovery { kind: recovery.to_string(), standby }
}

/// Shows a restart policy, whole.
pub(crate) fn restart(policy: &RestartPolicy) -> api::Restart {
    api::Restart {
        kind: Some(policy.kind.to_string()),
        intensity: Some(policy.intensity),
        period_ms: Some(millis(policy.period)),
        backoff_ms: Some(millis(policy.backoff_initial)),
        backoff_max_ms: Some(millis(policy.backoff_max)),
    }
}

fn shares(state: &State, pool: &Pool) -> Vec<api::Share> {
    let nodes: BTreeSet<NodeId> = pool.shares.keys().chain(pool.standbys.keys()).copied().collect();
    let of = |shares: &BTreeMap<NodeId, u32>, node| shares.get(&node).copied().unwrap_or(0);
    let shown = nodes.into_iter().map(|node| api::Share {
        node: node.to_string(),
        name: name_of(state, node),
        agents: of(&pool.shares, node),
        standbys: of(&pool.standbys, node),
    });
    shown.collect()
}

fn name_of(state: &State, node: NodeId) -> String {
    state.node(node).map_or_else(|| node.to_string(), |node| node.spec.name.to_string())
}

fn shortfall(state: &State, short: &Shortfall) -> api::Shortfall {
    let reason = match &short.lack {
        Lack::NodesDown { nodes } => {
            let names: Vec<String> = nodes.iter().map(|node| name_of(state, *node)).collect();
            format!("its agents wait for nodes that are down: {}", names.join(", "))
        }
        Lack::NodesAway { down, draining } => {
            format!("nodes that suit it take no agents: {down} are down, {draining} drain")
        }
        Lack::Unsuited { region, labels } => {
            let region = region.iter().map(|region| format!("in region {region}"));
            let labels = labels.iter().map(|(name, value)| format!("labelled {name}={value}"));
            let wanted: Vec<String> = region.chain(labels).collect();
            format!("there is no node {}", wanted.join(", "))
        }
        Lack::Full { nodes, max_per_node } => {
            let most = max_per_node.map(|most| format!(" with at most {most} on each")).unwrap_or_default();
            format!("the {nodes} nodes that suit it are full{most}")
        }
        Lack::Beside { nodes, from } => {
            let from: Vec<String> = from.iter().map(ToString::to_string).collect();
            format!(
                "{nodes} nodes that suit it have agents of {}, which it is strictly apart from",
                from.join(", ")
            )
        }
        Lack::GivenUp { agents, example } => {
            let why = state.agent(*example).map(|agent| format!(": {}", agent.reason)).unwrap_or_default();
            format!("{agents} of its agents failed for good, {example} among them{why}")
        }
    };
    api::Shortfall { missing: short.missing, reason }
}

/// Shows who runs a pool's agents, without the values of its environment: they may be secret.
pub(super) fn runtime(runtime: &RuntimeSpec) -> api::PoolRuntime {
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
