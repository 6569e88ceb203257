//! The part of random histories that is about nodes: their standing, how they join, gossip keys, and pools that are
//! spread over them.

use synod_domain::agent::{PoolSpec, RuntimeSpec};
use synod_domain::command::Command;
use synod_domain::node::{GossipSecret, JoinToken, NodeRole, NodeStanding};
use synod_domain::spread::{Manner, Recovery, SpreadSpec};
use synod_domain::state::State;
use synod_domain::tending::PoolCommand;

use super::histories::Draw;
use super::world::{agent, at, hash, name, node, node_spec, pool_spec, start_node, token};

/// Node 1 founds the cluster, and node 2 joins it.
pub(super) fn founding(now: u64) -> Vec<Command> {
    let join = JoinToken {
        id: token(500),
        hash: hash(500),
        role: NodeRole::Voter,
        expires_at: at(now + 1000),
        used_by: None,
    };
    let spec = node_spec(2).into();
    let mut commands = vec![
        start_node(1, 1),
        Command::PutJoinToken { token: join },
        Command::AdmitNode { spec, role: NodeRole::Voter, token: hash(500) },
        start_node(2, 1),
    ];
    commands.extend(super::federation::founding(now));
    commands
}

/// Starts a node, mostly as it should.
pub(super) fn start(state: &State, draw: &mut Draw, number: u128) -> Command {
    let known = state.node(node(number)).map_or(0, |node| node.generation);
    let mut spec = node_spec(if draw.one_in(20) { 2 } else { number });
    spec.id = node(number);
    spec.capacity = draw.pick(&[1, 3, 10_000]);
    if draw.one_in(3) {
        spec.labels.insert(name("disk"), "ssd".into());
    }
    Command::StartNode { spec: spec.into(), generation: known + u64::from(!draw.one_in(8)) }
}

/// A pool that is run by nodes more often than not.
pub(super) fn put_pool(draw: &mut Draw) -> Command {
    let mut spread = SpreadSpec {
        manner: draw.pick(&[Manner::Even, Manner::Packed, Manner::Zones]),
        ..SpreadSpec::default()
    };
    spread.max_per_node = draw.one_in(3).then(|| 1 + draw.below(3) as u32);
    if draw.one_in(4) {
        spread.labels.insert(name("disk"), "ssd".into());
    }
    let failover = Recovery::Failover { standby: draw.below(3) as u32 };
    let recovery = draw.pick(&[Recovery::Replacement, Recovery::Restart, failover, Recovery::Degraded]);
    let runtime = if draw.one_in(3) { RuntimeSpec::External } else { RuntimeSpec::Native(name("n")) };
    let pool = pool_spec(draw.pick(&["a", "b", "c"]));
    Command::PutPool {
        spec: PoolSpec { max: draw.pick(&[1, 2, 10]), runtime, spread, recovery, ..pool }.into(),
    }
}

/// An agent that failed for good, mostly of a node.
pub(super) fn give_up(who: u128) -> Command {
    Command::Pool(PoolCommand::GiveUpAgent { agent: agent(1 + who % 4), reason: "the disk is gone".into() })
}

pub(super) fn command(state: &State, now: u64, draw: &mut Draw) -> Command {
    let number = 1 + u128::from(draw.below(4));
    let id = node(number);
    match draw.below(30) {
        0..3 => put_join_token(now, draw),
        3 => Command::RevokeJoinToken { token: token(500 + draw.below(4)) },
        4..7 => {
            let mut spec = node_spec(number);
            if draw.one_in(4) {
                spec.name = name("node-1");
            }
            let role = draw.pick(&[NodeRole::Voter, NodeRole::Worker]);
            Command::AdmitNode { spec: spec.into(), role, token: hash(500 + draw.below(4)) }
        }
        7 | 8 => {
            let reason = draw.pick(&["it was silent", "it left"]).into();
            Command::MarkNode { node: id, standing: NodeStanding::Down, reason }
        }
        9..13 => {
            // Mostly one that is down.
            let down: Vec<_> = state
                .nodes()
                .filter(|node| node.standing == NodeStanding::Down)
                .map(|node| node.spec.id)
                .collect();
            let id = if down.is_empty() { id } else { draw.pick(&down) };
            Command::MarkNode { node: id, standing: NodeStanding::Up, reason: "it answers".into() }
        }
        13 => Command::MarkNode { node: id, standing: NodeStanding::Joining, reason: "why not".into() },
        14..16 => Command::DrainNode { node: id, drain: draw.one_in(2), reason: "moving".into() },
        16 => Command::SetNodeRole { node: id, role: draw.pick(&[NodeRole::Voter, NodeRole::Worker]) },
        17 => Command::RemoveNode { node: id, reason: "broken".into() },
        18 | 19 => super::federation::command(now, draw),
        20..26 => Command::InstallGossipKey { secret: GossipSecret([draw.below(9) as u8; 32]) },
        26 => Command::UseGossipKey { number: draw.below(6) as u32 },
        27 => Command::RemoveGossipKey { number: draw.below(6) as u32 },
        _ => Command::BeginTerm { node: id, term: draw.below(20) },
    }
}

fn put_join_token(now: u64, draw: &mut Draw) -> Command {
    let number = 500 + draw.below(4);
    let role = draw.pick(&[NodeRole::Voter, NodeRole::Worker]);
    let expires_at = at((now + draw.below(4000)).saturating_sub(100));
    Command::PutJoinToken {
        token: JoinToken { id: token(number), hash: hash(number), role, expires_at, used_by: None },
    }
}
