//! A node of the cluster, and the cluster as one of its nodes knows it.

use std::collections::BTreeMap;
use std::time::Duration;

use synod_domain::agent::Host;
use synod_domain::federation::RegionToken;
use synod_domain::id::NodeId;
use synod_domain::node::{JoinToken, NodeRole};
use synod_domain::time::Timestamp;

use super::task::millis;
use super::time;
use crate::api;
use crate::courier::DeadLetters;
use crate::node::cluster::RegionStatus;
use crate::node::{ClusterStatus, Node, NodeStatus, Seen};

/// Shows all nodes of a status, in its order.
pub(crate) fn nodes<'a>(node: &Node, status: &'a ClusterStatus) -> impl Iterator<Item = api::Node> + use<'a> {
    let hosted: BTreeMap<NodeId, u64> = node.read(|state| {
        let mut hosted = BTreeMap::new();
        for agent in state.agents() {
            if let Host::Node(host) = agent.spec.host {
                *hosted.entry(host).or_default() += 1;
            }
        }
        hosted
    });
    let now = node.now();
    status.nodes.iter().map(move |one| {
        let agents = hosted.get(&one.node.spec.id).copied().unwrap_or(0);
        shown(status, one, agents, now)
    })
}

fn shown(status: &ClusterStatus, one: &NodeStatus, agents: u64, now: Timestamp) -> api::Node {
    let NodeStatus { node, seen, votes: _, matched, lag, lost } = one;
    let spec = &node.spec;
    let applied = if spec.id == status.node {
        status.applied
    } else {
        seen.as_ref().map(|seen| seen.applied).max(*matched)
    };
    api::Node {
        id: spec.id.to_string(),
        name: spec.name.to_string(),
        number: node.number,
        role: node.role.to_string(),
        standing: node.standing.to_string(),
        reason: node.reason.to_string(),
        since: time(node.since),
        draining: node.draining.map(time),
        leader: status.leader == Some(spec.id),
        term: status.term,
        applied: applied.unwrap_or(0),
        lag: *lag,
        lost_through: *lost,
        version: spec.version.to_string(),
        generation: node.generation,
        uptime_ms: millis(now.since(node.started_at)),
        address: spec.address.clone(),
        api: spec.api.clone(),
        region: spec.region.to_string(),
        labels: labels(one),
        capacity: spec.capacity,
        agents,
        seen: seen.as_ref().map(shown_seen),
    }
}

fn shown_seen(seen: &Seen) -> api::Seen {
    api::Seen {
        health: seen.health.to_string(),
        since_ms: millis(seen.since),
        generation: seen.generation,
        agents: seen.agents,
        free_slots: seen.free_slots,
        waiting: seen.waiting,
        applied: seen.applied,
        version: seen.version.to_string(),
    }
}

fn labels(one: &NodeStatus) -> BTreeMap<String, String> {
    one.node.spec.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Shows the cluster as `node` knows it; `votes` are the voters, those that are up, and those that must be.
pub(crate) fn cluster(node: &Node, votes: (usize, usize, usize)) -> api::Cluster {
    let status = node.cluster();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (voters, up, quorum) = votes;
    api::Cluster {
        nodes: nodes(node, &status).collect(),
        node: status.node.to_string(),
        generation: status.generation,
        leader: status.leader.map(|leader| leader.to_string()),
        leads: status.leads.is_some(),
        // A vote for a later term may be known before the lead is given up.
        term: status.leads.unwrap_or(status.term),
        last_log: status.last_log.unwrap_or(0),
        applied: status.applied.unwrap_or(0),
        // The longest time there is stands for never.
        staleness_ms: status.staleness.filter(|age| *age != Duration::MAX).map(millis),
        waits_for: status.waits_for,
        changing: status.changing,
        cluster: status.cluster,
        listens: status.listens,
        voters: count(voters),
        voters_up: count(up),
        quorum: count(quorum),
        gossip: node.datagrams().map(|counted| api::Gossip {
            received: counted.received,
            foreign: counted.foreign,
            unknown_key: counted.unknown_key,
            damaged: counted.damaged,
            replayed: counted.replayed,
        }),
        courier: courier(&node.courier().dead_letters()),
    }
}

fn courier(dead: &DeadLetters) -> api::Courier {
    let latest = dead.latest.iter().map(|letter| api::CourierLetter {
        at: time(letter.at),
        from: letter.from.to_string(),
        to: letter.to.to_string(),
        kind: letter.kind.clone(),
        version: letter.version,
        bytes: letter.bytes as u64,
        reason: letter.why.to_string(),
    });
    api::Courier { dead_letters: dead.total, latest: latest.collect() }
}

/// Shows a node as gossip knows it.
pub(crate) fn member(one: &NodeStatus) -> api::Member {
    let NodeStatus { node, seen, .. } = one;
    let spec = &node.spec;
    let said =
        |seen: &Seen| (seen.address.clone(), seen.api.clone(), seen.generation, seen.version.to_string());
    let agreed = || (spec.address.clone(), spec.api.clone(), node.generation, spec.version.to_string());
    let (address, api, generation, version) = seen.as_ref().map_or_else(agreed, said);
    api::Member {
        id: spec.id.to_string(),
        name: spec.name.to_string(),
        role: node.role.to_string(),
        health: seen.as_ref().map_or_else(|| "unheard".to_owned(), |seen| seen.health.to_string()),
        since_ms: seen.as_ref().map(|seen| millis(seen.since)),
        generation,
        address,
        api,
        region: spec.region.to_string(),
        labels: labels(one),
        version,
    }
}

/// Shows a permission to join, never its text.
pub(crate) fn join_token(token: &JoinToken, now: Timestamp) -> api::JoinToken {
    let state = match token.used_by {
        Some(_) => "used",
        None if token.expires_at <= now => "over",
        None => "open",
    };
    api::JoinToken {
        id: token.id.to_string(),
        role: role(token.role).to_owned(),
        expires_at: time(token.expires_at),
        used_by: token.used_by.map(|node| node.to_string()),
        state: state.to_owned(),
    }
}

/// Shows a token that lets a region be founded, under the word of that.
pub(crate) fn region_token(token: &RegionToken, role: &str, now: Timestamp) -> api::JoinToken {
    let state = match &token.used_by {
        Some(_) => "used",
        None if token.expires_at <= now => "over",
        None => "open",
    };
    api::JoinToken {
        id: token.id.to_string(),
        role: role.to_owned(),
        expires_at: time(token.expires_at),
        used_by: token.used_by.as_ref().map(|(node, _)| node.to_string()),
        state: state.to_owned(),
    }
}

/// Shows a region.
pub(crate) fn region(region: &RegionStatus) -> api::Region {
    let members = region.members.iter().map(|member| api::RegionMember {
        id: member.node.to_string(),
        name: member.name.to_string(),
        health: member.health.to_string(),
        address: member.address.clone(),
        api: member.api.clone(),
    });
    api::Region {
        name: region.name.to_string(),
        here: region.here,
        alive: u32::try_from(region.alive()).unwrap_or(u32::MAX),
        members: members.collect(),
        addresses: region.addresses.clone(),
        removed_at: region.removed.map(time),
        cluster: region.cluster.as_ref().map(ToString::to_string),
        rival: region
            .rival
            .as_ref()
            .map(|rival| api::RegionRival { cluster: rival.cluster.to_string(), seen_at: time(rival.at) }),
        offered_tasks: u64::try_from(region.offered).unwrap_or(u64::MAX),
    }
}

/// Returns the word of a role.
pub(crate) const fn role(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Voter => "voter",
        NodeRole::Worker => "worker",
    }
}
