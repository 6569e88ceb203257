//! How the node is, part by part: its log, its mirror, its agents, and what it sees of its cluster.
//!
//! `degraded` means that it works and that somebody should look; `unhealthy` that it takes no work. Decides only
//! what a word is; what is known comes from the node.

use std::time::Duration;

use synod_domain::agent::AgentStatus;
use synod_domain::node::{NodeRole, NodeStanding};

use crate::api;
use crate::node::{ClusterStatus, Node, NodeStatus, Seeing};

const HEALTHY: &str = "healthy";
const DEGRADED: &str = "degraded";
const UNHEALTHY: &str = "unhealthy";

/// By how many entries a log may be behind before somebody should look: some seconds of a busy cluster. A lower
/// figure would call every node that starts ill.
const LAG_MAX: u64 = 10_000;

/// How long a leader may be silent before somebody should look: longer than an election takes.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Returns the parts of a node.
pub(super) fn components(node: &Node) -> Vec<api::Component> {
    let status = node.status();
    let cluster = node.cluster();
    let broken =
        node.read(|state| state.agents().filter(|agent| agent.status() == AgentStatus::Failed).count());
    vec![
        component("log", log(&cluster)),
        component("mirror", status.mirror.broken.clone().map(|why| (DEGRADED, why))),
        component("agents", (broken > 0).then(|| (DEGRADED, format!("{broken} agents have failed")))),
        component("quorum", quorum(&cluster)),
        component("gossip", gossip(&cluster)),
    ]
}

/// Returns the worst word of the parts.
pub(super) fn worst(components: &[api::Component]) -> &'static str {
    [UNHEALTHY, DEGRADED]
        .into_iter()
        .find(|word| components.iter().any(|one| one.status == *word))
        .unwrap_or(HEALTHY)
}

fn component(name: &str, ill: Option<(&str, String)>) -> api::Component {
    let (status, detail) = match ill {
        Some((status, detail)) => (status, Some(detail)),
        None => (HEALTHY, None),
    };
    api::Component { name: name.to_owned(), status: status.to_owned(), detail }
}

fn log(cluster: &ClusterStatus) -> Option<(&'static str, String)> {
    if let Some(what) = &cluster.waits_for {
        return Some((UNHEALTHY, format!("it waits for {what}")));
    }
    if cluster.leader.is_none() {
        return Some((UNHEALTHY, "there is no leader".to_owned()));
    }
    if let Some(silence) = cluster.staleness.filter(|silence| *silence > SILENCE_MAX) {
        return Some((DEGRADED, format!("the leader was not heard for {} s", silence.as_secs())));
    }
    let (last, applied) = (cluster.last_log.unwrap_or(0), cluster.applied.unwrap_or(0));
    let behind = last.saturating_sub(applied);
    if behind > LAG_MAX {
        return Some((DEGRADED, format!("{behind} entries of the log are not applied yet")));
    }
    let lagging: Vec<&str> =
        cluster.nodes.iter().filter(|one| one.lag.is_some_and(|lag| lag > LAG_MAX)).map(name).collect();
    (!lagging.is_empty()).then(|| (DEGRADED, format!("the log of {} is far behind", lagging.join(", "))))
}

fn quorum(cluster: &ClusterStatus) -> Option<(&'static str, String)> {
    let (voters, up, quorum) = votes(cluster);
    let down: Vec<&str> = cluster.nodes.iter().filter(|one| is_voter(one) && !is_up(one)).map(name).collect();
    if up < quorum {
        let so = format!("{up} of {voters} voters are up and {quorum} are needed; down: {}", down.join(", "));
        return Some((UNHEALTHY, so));
    }
    if up == quorum && voters > quorum {
        let so = format!("one more voter lost and nothing can be agreed; down: {}", down.join(", "));
        return Some((DEGRADED, so));
    }
    (!down.is_empty()).then(|| (DEGRADED, format!("voters are down: {}", down.join(", "))))
}

/// Returns how many voters there are, how many of them are up, and how many must be.
pub(super) fn votes(cluster: &ClusterStatus) -> (usize, usize, usize) {
    let voters = cluster.nodes.iter().filter(|one| is_voter(one)).count();
    let up = cluster.nodes.iter().filter(|one| is_voter(one) && is_up(one)).count();
    (voters, up, voters / 2 + 1)
}

fn gossip(cluster: &ClusterStatus) -> Option<(&'static str, String)> {
    let suspects: Vec<&str> = cluster
        .nodes
        .iter()
        .filter(|one| {
            one.seen.as_ref().is_some_and(|seen| matches!(seen.health, Seeing::Suspect | Seeing::Dead))
        })
        .map(name)
        .collect();
    (!suspects.is_empty()).then(|| (DEGRADED, format!("not heard of by gossip: {}", suspects.join(", "))))
}

fn is_voter(one: &NodeStatus) -> bool {
    one.node.role == NodeRole::Voter
}

/// Tells whether a node is agreed to be up and not rumoured to be gone.
fn is_up(one: &NodeStatus) -> bool {
    let gone = one.seen.as_ref().is_some_and(|seen| matches!(seen.health, Seeing::Dead | Seeing::Left));
    one.node.standing == NodeStanding::Up && !gone
}

fn name(one: &NodeStatus) -> &str {
    one.node.spec.name.as_str()
}
