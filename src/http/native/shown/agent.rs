//! An agent, and how long ago this node heard of it.

use synod_domain::agent::{Agent, Host};
use synod_domain::state::State;

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
    }
}
