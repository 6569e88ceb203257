//! Examples of nodes and of the cluster.

use std::collections::BTreeMap;

use super::{NODE, TOKEN};
use crate::api;

const OTHER: &str = "node_01kxs5a4c8001y0d8v2kq7rk5h";
const STARTED: &str = "2026-11-20T05:54:02.118Z";
const OVER: &str = "2026-11-21T06:09:02.118Z";

pub(in crate::http::native) fn node() -> api::Node {
    api::Node {
        id: NODE.to_owned(),
        name: "node-a".to_owned(),
        number: 1,
        role: "voter".to_owned(),
        standing: "up".to_owned(),
        reason: "it started".to_owned(),
        since: STARTED.to_owned(),
        draining: None,
        leader: true,
        term: 3,
        applied: 1042,
        lag: Some(0),
        lost_through: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation: 2,
        uptime_ms: 86_400_000,
        address: "10.0.0.1:7500".to_owned(),
        api: "10.0.0.1:7400".to_owned(),
        region: "default".to_owned(),
        labels: BTreeMap::from([("disk".to_owned(), "fast".to_owned())]),
        capacity: 10_000,
        agents: 4,
        seen: Some(api::Seen {
            health: "alive".to_owned(),
            since_ms: 86_400_000,
            generation: 2,
            agents: 4,
            free_slots: 9_996,
            waiting: 12,
            applied: 1042,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }),
    }
}

pub(in crate::http::native) fn draining_node() -> api::Node {
    api::Node { draining: Some(STARTED.to_owned()), ..node() }
}

pub(in crate::http::native) fn drain_node() -> api::DrainNode {
    api::DrainNode { reason: Some("its disk is replaced".to_owned()) }
}

pub(in crate::http::native) fn set_role() -> api::SetRole {
    api::SetRole { role: "voter".to_owned() }
}

pub(in crate::http::native) fn health() -> api::Health {
    let healthy =
        |name: &str| api::Component { name: name.to_owned(), status: "healthy".to_owned(), detail: None };
    api::Health {
        status: "healthy".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: 86_400_000,
        components: ["log", "mirror", "agents", "quorum", "gossip"].map(healthy).to_vec(),
    }
}

pub(in crate::http::native) fn cluster() -> api::Cluster {
    api::Cluster {
        cluster: Some("cluster_01kxs5a0m8001qj2x8n3c4m5d6".to_owned()),
        node: OTHER.to_owned(),
        generation: 4,
        listens: Some("10.0.0.2:7500".to_owned()),
        leader: Some(NODE.to_owned()),
        leads: false,
        term: 3,
        last_log: 1042,
        applied: 1042,
        staleness_ms: Some(31),
        waits_for: None,
        changing: false,
        voters: 3,
        voters_up: 3,
        quorum: 2,
        gossip: Some(api::Gossip { received: 86_400, foreign: 2, unknown_key: 0, damaged: 0, replayed: 0 }),
        courier: api::Courier {
            dead_letters: 1,
            latest: vec![api::CourierLetter {
                at: STARTED.to_owned(),
                from: OTHER.to_owned(),
                to: format!("ledger@{NODE}"),
                kind: "entry".to_owned(),
                version: 1,
                bytes: 64,
                reason: "nobody is called ledger there".to_owned(),
            }],
        },
        nodes: vec![node()],
    }
}

pub(in crate::http::native) fn member() -> api::Member {
    let node = node();
    api::Member {
        id: node.id,
        name: node.name,
        role: node.role,
        health: "alive".to_owned(),
        since_ms: Some(86_400_000),
        generation: node.generation,
        address: node.address,
        api: node.api,
        region: node.region,
        labels: node.labels,
        version: node.version,
    }
}

pub(in crate::http::native) fn transfer() -> api::TransferLeadership {
    api::TransferLeadership { to: Some("node-b".to_owned()) }
}

pub(in crate::http::native) fn leader() -> api::Leader {
    api::Leader { leader: NODE.to_owned() }
}

pub(in crate::http::native) fn snapshot_made() -> api::SnapshotMade {
    api::SnapshotMade { node: NODE.to_owned(), applied: 1042 }
}

pub(in crate::http::native) fn new_join_token() -> api::NewJoinToken {
    api::NewJoinToken { role: Some("worker".to_owned()), ttl_ms: Some(900_000) }
}

pub(in crate::http::native) fn join_token() -> api::JoinToken {
    api::JoinToken {
        id: TOKEN.to_owned(),
        role: "worker".to_owned(),
        expires_at: OVER.to_owned(),
        used_by: None,
        state: "open".to_owned(),
    }
}

pub(in crate::http::native) fn join_token_with_text() -> api::JoinTokenWithText {
    api::JoinTokenWithText {
        token: join_token(),
        text: "synodjoin_...".to_owned(),
        join: Some("10.0.0.1:7500".to_owned()),
    }
}

pub(in crate::http::native) fn region() -> api::Region {
    let member = member();
    let seen = api::RegionMember {
        id: member.id,
        name: member.name,
        health: member.health,
        address: member.address,
        api: member.api,
    };
    api::Region {
        name: "eu".to_owned(),
        here: false,
        alive: 1,
        members: vec![seen],
        addresses: vec!["10.0.1.1:7501".to_owned()],
        removed_at: None,
        cluster: Some("0123456789abcdef".to_owned()),
        rival: None,
        offered_tasks: 0,
    }
}

pub(in crate::http::native) fn gossip_key() -> api::GossipKey {
    api::GossipKey { number: 1, used: true }
}

pub(in crate::http::native) const RUN: &str = "run_01kxs5a1f0001k0m2p5s8t3v6w";

fn plan() -> api::Json {
    api::Json::from_bytes(br#"{"name":"audit"}"#)
}

pub(in crate::http::native) fn open_run() -> api::OpenRun {
    api::OpenRun { fleet: "audit".to_owned(), plan: plan(), fresh: false }
}

pub(in crate::http::native) fn run(continued: bool) -> api::Run {
    api::Run { id: RUN.to_owned(), fleet: "audit".to_owned(), plan: plan(), continued }
}

pub(in crate::http::native) fn end_run() -> api::EndRun {
    api::EndRun { summary: "12 of 12 tasks completed".to_owned() }
}

pub(in crate::http::native) fn backup() -> &'static str {
    "(bytes)"
}
