//! The cluster as a person sees it: one line about the whole, and a table of nodes.

use synod_domain::time::Timestamp;

use crate::api::{Cluster, Member, Node};
use crate::cli::output::{Cell, Output, Row, Tone};
use crate::cli::{exit, print};
use crate::period::Period;

/// Shows the cluster.
pub(super) fn status(output: &Output, cluster: &Cluster) -> u8 {
    if output.is_for_people() {
        if let Err(code) = print::line(&print::harmless(&summary(cluster))) {
            return code;
        }
        let lines: Vec<Line<'_>> = cluster.nodes.iter().map(|node| Line { node, cluster }).collect();
        return print::result(&output.table(&lines), exit::OK);
    }
    output.one("cluster", cluster.cluster.as_deref().unwrap_or(&cluster.node), cluster)
}

fn summary(cluster: &Cluster) -> String {
    let name_of = |id: &str| {
        let node = cluster.nodes.iter().find(|node| node.id == id);
        node.map_or_else(|| id.to_owned(), |node| node.name.clone())
    };
    let what = match &cluster.cluster {
        Some(cluster) => format!("cluster {cluster}"),
        None => "a node that stands alone".to_owned(),
    };
    let leader = cluster.leader.as_deref().map_or_else(|| "nobody".to_owned(), name_of);
    let age = match cluster.staleness_ms {
        Some(age) => format!(", leader heard {age} ms ago"),
        None => String::new(),
    };
    let changing = if cluster.changing { ", being changed" } else { "" };
    let dead = match (cluster.courier.dead_letters, cluster.courier.latest.last()) {
        (0, _) | (_, None) => String::new(),
        (count, Some(last)) => {
            format!("; {count} letters not delivered, the last one to {}: {}", last.to, last.reason)
        }
    };
    format!(
        "{what}: {leader} leads in term {}, {} of {} voters up ({} needed{changing}); asked {} (log {}, applied {}{age}){dead}",
        cluster.term,
        cluster.voters_up,
        cluster.voters,
        cluster.quorum,
        name_of(&cluster.node),
        cluster.last_log,
        cluster.applied,
    )
}

/// Says that nobody leads, and what it takes; nothing when somebody does.
pub(super) fn lack_of_leader(cluster: &Cluster) -> Option<String> {
    if cluster.leader.is_some() {
        return None;
    }
    let waits = cluster.waits_for.as_deref().map(|what| format!("; it waits for {what}")).unwrap_or_default();
    Some(format!(
        "nobody leads as far as this node knows{waits}: {} of {} voters are up and {} must be, and reach each other",
        cluster.voters_up, cluster.voters, cluster.quorum
    ))
}

/// A node in the table of a cluster.
#[derive(serde::Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    node: &'a Node,
    #[serde(skip)]
    cluster: &'a Cluster,
}

impl Row for Line<'_> {
    const KIND: &'static str = "node";
    const COLUMNS: &'static [&'static str] =
        &["name", "id", "role", "standing", "gossip", "leads", "applied", "lag", "agents", "address", "api"];

    fn id(&self) -> &str {
        &self.node.id
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let node = self.node;
        let text = |text: &str| if text.is_empty() { "-".into() } else { text.into() };
        let here = if node.id == self.cluster.node { " *" } else { "" };
        vec![
            format!("{}{here}", node.name).into(),
            node.id.as_str().into(),
            node.role.as_str().into(),
            standing(node),
            gossip(node),
            if node.leader { "yes" } else { "no" }.into(),
            node.applied.to_string().into(),
            node.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()).into(),
            node.agents.to_string().into(),
            text(&node.address),
            text(&node.api),
        ]
    }
}

fn standing(node: &Node) -> Cell {
    if node.lost_through.is_some() {
        return Cell::toned("has lost its log: remove it and let it join anew", Tone::Bad);
    }
    match (&*node.standing, &node.draining) {
        ("up", Some(_)) => Cell::toned("draining", Tone::Busy),
        ("up", None) => Cell::toned("up", Tone::Good),
        ("down", _) => Cell::toned("down", Tone::Bad),
        (other, _) => Cell::toned(other, Tone::Busy),
    }
}

fn gossip(node: &Node) -> Cell {
    match &node.seen {
        None => "-".into(),
        Some(seen) => health(&seen.health),
    }
}

fn health(word: &str) -> Cell {
    let tone = match word {
        "alive" => Tone::Good,
        "suspect" => Tone::Busy,
        "dead" => Tone::Bad,
        _ => Tone::Faint,
    };
    Cell::toned(word, tone)
}

impl Row for Node {
    const KIND: &'static str = "node";
    const COLUMNS: &'static [&'static str] = &[
        "name", "id", "role", "standing", "leads", "term", "applied", "agents", "region", "uptime", "version",
    ];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let up = std::time::Duration::from_secs(self.uptime_ms / 1000);
        vec![
            self.name.as_str().into(),
            self.id.as_str().into(),
            self.role.as_str().into(),
            standing(self),
            if self.leader { "yes" } else { "no" }.into(),
            self.term.to_string().into(),
            self.applied.to_string().into(),
            self.agents.to_string().into(),
            self.region.as_str().into(),
            Period(up).to_string().into(),
            self.version.as_str().into(),
        ]
    }
}

impl Row for Member {
    const KIND: &'static str = "member";
    const COLUMNS: &'static [&'static str] =
        &["name", "id", "role", "gossip", "for", "start", "address", "api", "region", "version"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let text = |text: &str| if text.is_empty() { "-".into() } else { text.into() };
        let since = self.since_ms.map_or_else(
            || "-".to_owned(),
            |since| Period(std::time::Duration::from_secs(since / 1000)).to_string(),
        );
        vec![
            self.name.as_str().into(),
            self.id.as_str().into(),
            self.role.as_str().into(),
            health(&self.health),
            since.into(),
            self.generation.to_string().into(),
            text(&self.address),
            text(&self.api),
            self.region.as_str().into(),
            self.version.as_str().into(),
        ]
    }
}
