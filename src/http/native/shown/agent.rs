//! An agent, and how long ago this node heard of it.

use std::collections::BTreeMap;

use synod_actors::runtimes::process::Vitals;
use synod_domain::agent::{Agent, Host};
use synod_domain::id::{AgentId, NodeId};
use synod_domain::state::State;
use synod_domain::task::MailboxId;

use super::task::millis;
use super::time;
use crate::api;
use crate::node::Node;

/// Shows an agent, and how long ago this node heard of it.
pub(crate) fn agent(node: &Node, agent: &Agent) -> api::Agent {
    node.read(|state| agent_of(state, node, agent))
}

/// Shows an agent to whoever reads the state already: a second read waits behind whoever waits to write, who waits for the
/// first.
pub(crate) fn agent_of(state: &State, node: &Node, agent: &Agent) -> api::Agent {
    let spec = &agent.spec;
    let host = match &spec.host {
        Host::Node(node) => node.to_string(),
        Host::External => "external".to_owned(),
    };
    let node_name = match &spec.host {
        Host::Node(host) => state.node(*host).map(|found| found.spec.name.to_string()),
        Host::External => None,
    };
    let ended = agent.completed + agent.failed;
    let life = state.life(spec.id);
    let average = millis(agent.worked).checked_div(ended);
    api::Agent {
        id: spec.id.to_string(),
        name: spec.name.to_string(),
        pool: spec.pool.as_ref().map(ToString::to_string),
        status: agent.status().to_string(),
        reason: agent.reason.to_string(),
        since: time(agent.since),
        host,
        node_name,
        capabilities: spec.capabilities.iter().map(|one| one.to_string()).collect(),
        labels: spec.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        metadata: spec.metadata.as_deref().map(|text| api::Json::from_bytes(text.as_bytes())),
        region: Some(spec.region.as_ref().unwrap_or_else(|| node.region()).to_string()),
        concurrency: spec.concurrency,
        held: agent.held.iter().map(ToString::to_string).collect(),
        heartbeat_timeout_ms: spec.heartbeat_timeout.map(millis),
        heard_ms_ago: node.heard_ago(spec.id).map(millis),
        registered_at: time(agent.registered_at),
        completed: agent.completed,
        failed: agent.failed,
        restarts: agent.restarts,
        average_ms: average,
        version: life.map_or(0, |life| life.version),
        renewing: life.and_then(|life| life.renewal.as_ref()).map(|renewal| renewal.reason.to_string()),
        health: None,
    }
}

/// Shows how an agent does, with what was found of the programs on this node.
pub(crate) fn health(node: &Node, agent: &Agent, vitals: &BTreeMap<AgentId, Vitals>) -> api::AgentHealth {
    let id = agent.spec.id;
    let programs = vitals.get(&id).map(|found| api::AgentPrograms {
        processes: found.processes,
        memory_bytes: found.memory_bytes,
        cpu_percent: found.cpu_percent,
    });
    node.read(|state| {
        let life = state.life(id);
        let recent = life.map(|life| life.recent).unwrap_or_default();
        let waiting = state.mailbox(&MailboxId::Agent(id)).map_or(0, |mailbox| mailbox.depth() as u64);
        let percent = f64::from(recent.failed()) * 100.0 / f64::from(recent.count().max(1));
        let name = |host: &NodeId| state.node(*host).map(|host| host.spec.name.to_string());
        let unmeasured = match &agent.spec.host {
            _ if programs.is_some() => None,
            Host::External => Some("it runs elsewhere".to_owned()),
            Host::Node(host) if *host != node.id() => {
                Some(format!("it runs on {}; ask there", name(host).unwrap_or_else(|| host.to_string())))
            }
            Host::Node(_) => Some("no program of it is at work".to_owned()),
        };
        api::AgentHealth {
            held: agent.held.len() as u64,
            queue_depth: waiting,
            recent_attempts: recent.count(),
            recent_failed: recent.failed(),
            error_percent: (percent * 10.0).round() / 10.0,
            began_at: time(life.map_or(agent.registered_at, |life| life.began_at)),
            programs,
            unmeasured,
        }
    })
}
