//! Reading what requests name: ids, names, capabilities, durations, metadata.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use synod_domain::agent::Agent;
use synod_domain::apart::Apart;
use synod_domain::capability::{Capabilities, Capability};
use synod_domain::id::{AgentId, NodeId, TaskId};
use synod_domain::name::Name;
use synod_domain::node::NodeRole;
use synod_domain::payload::METADATA_BYTES_MAX;
use synod_domain::restart::{RestartKind, RestartPolicy};
use synod_domain::spread::{Manner, Recovery, SpreadSpec};
use synod_domain::state::State;

use crate::api;
use crate::http::Problem;
use crate::http::sight::Sight;
use crate::node::Node;

/// Holds that what a task holds may be shown to whoever asks.
pub(super) fn open(node: &Node, task: TaskId) -> Result<(), Problem> {
    if node.withholds(task) { Err(Problem::withheld(task, node.region())) } else { Ok(()) }
}

/// Reads an id.
pub(super) fn id<T: FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::bad_request(field, error))
}

/// Reads a name.
pub(super) fn name(field: &str, text: &str) -> Result<Name, Problem> {
    Name::new(text).map_err(|error| Problem::bad_request(field, error))
}

/// Reads a name that may be left out.
pub(super) fn optional_name(field: &str, text: Option<&str>) -> Result<Option<Name>, Problem> {
    text.map(|text| name(field, text)).transpose()
}

/// Reads a workspace that may be left out. Whoever is bound to one means that one, and is refused any other.
pub(super) fn own_workspace(node: &Node, text: Option<&str>) -> Result<Option<Name>, Problem> {
    workspace_of(node.bound_to(), text)
}

/// The same, for one who is bound to `own`.
pub(super) fn workspace_of(own: Option<Name>, text: Option<&str>) -> Result<Option<Name>, Problem> {
    let named = optional_name("workspace", text)?;
    match (own, named) {
        (Some(own), Some(named)) if own != named => {
            Err(Problem::bad_request("workspace", format!("the token is bound to {own}")))
        }
        (Some(own), _) => Ok(Some(own)),
        (None, named) => Ok(named),
    }
}

/// Reads capabilities; two versions of one name are refused, because only one could count.
pub(super) fn capabilities(field: &str, texts: &[String]) -> Result<Capabilities, Problem> {
    let read: Vec<Capability> = texts
        .iter()
        .map(|text| text.parse().map_err(|error| Problem::bad_request(field, error)))
        .collect::<Result<_, _>>()?;
    let count = read.len();
    let set = Capabilities::from(read);
    if set.len() < count {
        return Err(Problem::bad_request(field, "each capability may be named once"));
    }
    Ok(set)
}

/// Reads labels.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> Result<BTreeMap<Name, Arc<str>>, Problem> {
    let read = labels.iter().map(|(label, value)| Ok((name("labels", label)?, Arc::from(value.as_str()))));
    read.collect()
}

/// Reads metadata: any JSON, within the bound.
pub(super) fn metadata(metadata: Option<&api::Json>) -> Result<Option<Arc<str>>, Problem> {
    let Some(text) = metadata.map(api::Json::text) else { return Ok(None) };
    if text.len() > METADATA_BYTES_MAX {
        let why = format!("it has {} bytes; at most {METADATA_BYTES_MAX} are allowed", text.len());
        return Err(Problem::bad_request("metadata", why));
    }
    Ok(Some(text.into()))
}

/// Reads a long poll's patience.
pub(super) fn patience(field: &str, millis: u64, max: Duration) -> Result<Duration, Problem> {
    let wait = Duration::from_millis(millis);
    if wait > max {
        return Err(Problem::bad_request(field, format!("it may be at most {}", max.as_millis())));
    }
    Ok(wait)
}

/// Returns the agent of an id or name. Of several agents that a node runs under one name, it is the first.
pub(super) fn agent(node: &Node, text: &str) -> Result<Arc<Agent>, Problem> {
    let sight = Sight::of_caller(node);
    let found =
        node.read(|state| agent_in(state, text).filter(|agent| sight.agent(state, &agent.spec)).cloned());
    found.ok_or_else(|| Problem::not_found("agent_unknown", format!("agent {text:?}")))
}

/// Finds the agent of an id or name.
pub(in crate::http) fn agent_in<'a>(state: &'a State, text: &str) -> Option<&'a Arc<Agent>> {
    if let Ok(id) = text.parse::<AgentId>() {
        return state.agent(id);
    }
    let name = Name::new(text).ok()?;
    state.agent_named(&name).or_else(|| state.agents().find(|agent| agent.spec.name == name))
}

/// Returns the node of an id or name.
pub(super) fn node(node: &Node, text: &str) -> Result<NodeId, Problem> {
    let found = node.read(|state| {
        if let Ok(id) = text.parse::<NodeId>() {
            return state.node(id).map(|node| node.spec.id);
        }
        state.nodes().find(|node| node.spec.name.as_str() == text).map(|node| node.spec.id)
    });
    found.ok_or_else(|| Problem::not_found("node_unknown", format!("node {text:?}")))
}

/// Reads on which nodes a pool's agents shall be.
pub(super) fn spread(wanted: &api::Spread) -> Result<SpreadSpec, Problem> {
    let manner = match wanted.manner.as_deref() {
        None | Some("even") => Manner::Even,
        Some("packed") => Manner::Packed,
        Some("zones") => Manner::Zones,
        Some(other) => {
            let why = format!("{other:?} is none of even, packed, zones");
            return Err(Problem::bad_request("spread.manner", why));
        }
    };
    Ok(SpreadSpec {
        manner,
        max_per_node: wanted.max_per_node,
        labels: labels(&wanted.labels)?,
        region: optional_name("spread.region", wanted.region.as_deref())?,
    })
}

/// Reads what a pool is kept apart from.
pub(super) fn apart(wanted: &api::Spread) -> Result<Apart, Problem> {
    let from = wanted.apart_from.iter().map(|pool| name("spread.apart_from", pool));
    Ok(Apart { from: from.collect::<Result<_, _>>()?, strictly: wanted.apart_strictly })
}

/// Reads what shall become of a pool's agents whose node goes down.
pub(super) fn recovery(wanted: &api::Recovery) -> Result<Recovery, Problem> {
    let recovery = match wanted.kind.as_str() {
        "restart" => Recovery::Restart,
        "replacement" => Recovery::Replacement,
        "failover" => return Ok(Recovery::Failover { standby: wanted.standby.unwrap_or(1) }),
        "degraded" => Recovery::Degraded,
        other => {
            let why = format!("{other:?} is none of restart, replacement, failover, degraded");
            return Err(Problem::bad_request("recovery.kind", why));
        }
    };
    match wanted.standby {
        None => Ok(recovery),
        Some(_) => Err(Problem::bad_request("recovery.standby", "only failover keeps agents on standby")),
    }
}

/// The most restarts within a period that a pool may ask for. Each agent remembers that many times.
const INTENSITY_MAX: u32 = 100;

/// Reads when and how often a broken agent shall be restarted.
pub(super) fn restart(wanted: &api::Restart) -> Result<RestartPolicy, Problem> {
    let default = RestartPolicy::default();
    let kinds = [RestartKind::Permanent, RestartKind::Transient, RestartKind::Temporary];
    let kind = match wanted.kind.as_deref() {
        None => default.kind,
        Some(text) => kinds.into_iter().find(|kind| kind.to_string() == text).ok_or_else(|| {
            let known = kinds.map(|kind| kind.to_string()).join(", ");
            Problem::bad_request("restart.kind", format!("{text:?} is none of {known}"))
        })?,
    };
    let intensity = wanted.intensity.unwrap_or(default.intensity);
    if intensity > INTENSITY_MAX {
        return Err(Problem::bad_request("restart.intensity", format!("it may be at most {INTENSITY_MAX}")));
    }
    let period = wanted.period_ms.map_or(default.period, Duration::from_millis);
    if period.is_zero() {
        return Err(Problem::bad_request("restart.period_ms", "it must be at least 1"));
    }
    let backoff_initial = wanted.backoff_ms.map_or(default.backoff_initial, Duration::from_millis);
    // A first wait longer than the default longest one is meant, not a mistake.
    let longest = default.backoff_max.max(backoff_initial);
    let backoff_max = wanted.backoff_max_ms.map_or(longest, Duration::from_millis);
    if backoff_initial > backoff_max {
        return Err(Problem::bad_request("restart.backoff_ms", "it is longer than backoff_max_ms"));
    }
    Ok(RestartPolicy { kind, intensity, period, backoff_initial, backoff_max })
}

/// Reads the role of a node.
pub(super) fn role(field: &str, text: &str) -> Result<NodeRole, Problem> {
    match text {
        "voter" => Ok(NodeRole::Voter),
        "worker" => Ok(NodeRole::Worker),
        other => Err(Problem::bad_request(field, format!("{other:?} is neither voter nor worker"))),
    }
}

/// Splits what stands apart by commas.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}
