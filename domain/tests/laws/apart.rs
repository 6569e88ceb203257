//! Laws and examples of pools that are kept apart.

use std::collections::BTreeSet;

use proptest::prelude::*;
use synod_domain::agent::{Pool, PoolSpec, RuntimeSpec};
use synod_domain::apart::{APART_MAX, Apart};
use synod_domain::command::Command;
use synod_domain::id::NodeId;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::node::NodeStanding;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Answer;
use synod_domain::row::RowKey;
use synod_domain::spread::{Lack, Manner, Recovery, SpreadSpec};
use synod_domain::state::State;
use synod_domain::tending::PoolCommand;

use super::histories::{Draw, config};
use super::world::{World, name, node, node_spec, pool_spec, rows_but_audit};

const POOLS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn native(pool: &str, target: u32) -> PoolSpec {
    PoolSpec { min: target, max: 50, runtime: RuntimeSpec::Native(name("n")), ..pool_spec(pool) }
}

fn world(nodes: u128) -> World {
    let mut world = World::empty(Limits::default());
    (1..=nodes).for_each(|number| world.join(node_spec(number)));
    world
}

fn put(world: &mut World, spec: PoolSpec, from: &[&str], strictly: bool) -> Answer {
    let apart = Apart { from: from.iter().map(|pool| name(pool)).collect(), strictly };
    world.ask(Command::Pool(PoolCommand::Put { spec: spec.into(), apart }))
}

fn hosts(pool: &Pool) -> BTreeSet<NodeId> {
    pool.shares.keys().chain(pool.standbys.keys()).copied().collect()
}

fn shares(world: &World, pool: &str) -> Vec<u32> {
    (1..=3).map(|number| world.state.share(&name(pool), node(number))).collect()
}

#[test]
fn a_pool_passes_over_nodes_that_have_agents_of_those_it_is_apart_from_while_others_have_room() {
    let mut world = world(3);
    put(&mut world, native("databases", 2), &[], false).unwrap();
    put(&mut world, native("p", 4), &["databases", "nowhere"], false).unwrap();
    assert_eq!((shares(&world, "databases"), shares(&world, "p")), (vec![1, 1, 0], vec![0, 0, 4]));
    // What does not fit there goes beside them.
    let spread = SpreadSpec { max_per_node: Some(3), ..SpreadSpec::default() };
    put(&mut world, PoolSpec { spread, ..native("p", 5) }, &["databases"], false).unwrap();
    assert_eq!(shares(&world, "p"), [1, 1, 3]);
    assert_eq!(world.state.shortfall(&name("p")), None);
    // A pool that is put without a word about it stays as it is.
    world.ask(Command::PutPool { spec: native("p", 5).into() }).unwrap();
    assert_eq!(shares(&world, "p"), [0, 0, 5]);
    put(&mut world, native("p", 5), &[], false).unwrap();
    assert!(world.state.apart(&name("p")).is_empty());
}

#[test]
fn a_pool_makes_room_when_those_it_is_apart_from_come_and_moves_back_when_they_go() {
    let mut world = world(2);
    put(&mut world, native("p", 2), &["late"], false).unwrap();
    assert_eq!(shares(&world, "p"), [1, 1, 0]);
    put(&mut world, native("late", 1), &[], false).unwrap();
    let late = shares(&world, "late");
    assert_eq!(late.iter().sum::<u32>(), 1);
    assert_eq!(shares(&world, "p"), [2 * late[1], 2 * late[0], 0]);
    world.ask(Command::RemovePool { pool: name("late") }).unwrap();
    assert_eq!(shares(&world, "p").iter().sum::<u32>(), 2);
    world.ask(Command::ScalePool { pool: name("p"), target: 4 }).unwrap();
    assert_eq!(shares(&world, "p"), [2, 2, 0]);
}

#[test]
fn a_pool_that_is_strictly_apart_has_rather_fewer_agents_and_says_why() {
    let mut world = world(2);
    put(&mut world, native("p", 2), &["databases"], true).unwrap();
    put(&mut world, native("databases", 2), &[], false).unwrap();
    assert_eq!((shares(&world, "databases"), shares(&world, "p")), (vec![1, 1, 0], vec![0, 0, 0]));
    let short = world.state.shortfall(&name("p")).unwrap();
    assert_eq!((short.missing, short.lack), (2, Lack::Beside { nodes: 2, from: vec![name("databases")] }));
    world.join(node_spec(3));
    assert_eq!((shares(&world, "p"), world.state.shortfall(&name("p"))), (vec![0, 0, 2], None));
}

#[test]
fn of_two_that_name_each_other_the_later_name_yields_and_rings_are_refused() {
    let mut world = world(1);
    put(&mut world, native("b", 1), &["a"], true).unwrap();
    assert_eq!(shares(&world, "b"), [1, 0, 0]);
    put(&mut world, native("a", 1), &["b"], true).unwrap();
    assert_eq!((shares(&world, "a"), shares(&world, "b")), (vec![1, 0, 0], vec![0, 0, 0]));
    // By leaving its word out it makes the other yield no more, and yields itself if that still names it.
    put(&mut world, native("b", 1), &[], false).unwrap();
    assert_eq!((shares(&world, "a"), shares(&world, "b")), (vec![0, 0, 0], vec![1, 0, 0]));
    put(&mut world, native("c", 1), &["a"], false).unwrap();
    let before = rows_but_audit(&world.state);
    let ring = put(&mut world, native("b", 1), &["c"], false);
    assert!(matches!(ring, Err(Refusal::Invalid { field, .. }) if field == "spread.apart_from"));
    let own = put(&mut world, native("b", 1), &["b"], false);
    assert!(matches!(own, Err(Refusal::Invalid { field, .. }) if field == "spread.apart_from"));
    let many: Vec<String> = (0..=APART_MAX).map(|number| format!("n{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(put(&mut world, native("b", 1), &many, false).is_err());
    assert!(put(&mut world, native("b", 1), &[], true).is_err());
    assert!(
        rows_but_audit(&world.state)
            .iter()
            .filter(|row| !before.contains(row))
            .all(|(key, _)| *key == RowKey::Meta)
    );
}

/// Something happens to a pool or a node; most of it is accepted.
fn disturb(world: &mut World, draw: &mut Draw) {
    let pool = draw.pick(&POOLS);
    let number = 1 + u128::from(draw.below(4));
    let reason = || "told".into();
    let command = match draw.below(12) {
        0..4 => {
            let from = POOLS.iter().filter(|other| **other != pool && draw.one_in(3));
            let from: BTreeSet<Name> = from.map(|other| name(other)).collect();
            let strictly = !from.is_empty() && draw.one_in(2);
            let standby = draw.below(2) as u32;
            let recovery =
                draw.pick(&[Recovery::Replacement, Recovery::Failover { standby }, Recovery::Degraded]);
            let manner = draw.pick(&[Manner::Even, Manner::Packed, Manner::Zones]);
            let max_per_node = draw.one_in(3).then(|| 1 + draw.below(2) as u32);
            let spread = SpreadSpec { manner, max_per_node, ..SpreadSpec::default() };
            let spec = PoolSpec { spread, recovery, ..native(pool, draw.below(5) as u32) };
            Command::Pool(PoolCommand::Put { spec: spec.into(), apart: Apart { from, strictly } })
        }
        4..7 => Command::ScalePool { pool: name(pool), target: draw.below(6) as u32 },
        7 => Command::RemovePool { pool: name(pool) },
        8 => {
            let standing = draw.pick(&[NodeStanding::Up, NodeStanding::Down]);
            Command::MarkNode { node: node(number), standing, reason: reason() }
        }
        9 => Command::DrainNode { node: node(number), drain: draw.one_in(2), reason: reason() },
        _ => Command::ScalePool { pool: name(pool), target: 1 },
    };
    // Rings and pools that are not there are refused.
    let _ = world.ask(command);
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn pools_that_are_apart_share_a_node_only_if_they_may_and_no_other_has_room(
        seed in any::<u64>(), steps in 1_usize..50,
    ) {
        let mut draw = Draw::new(seed);
        let mut world = world(4);
        for _ in 0..steps {
            disturb(&mut world, &mut draw);
            for pool in world.state.pools() {
                let name = &pool.spec.name;
                let apart = world.state.apart(name);
                let others = world.state.yields_to(name).filter_map(|other| world.state.pool(other));
                let taken: BTreeSet<NodeId> = others.flat_map(|other| hosts(other)).collect();
                let beside: Vec<NodeId> = hosts(pool).intersection(&taken).copied().collect();
                prop_assert!(!apart.strictly || beside.is_empty(), "{name} on {beside:?}");
                let serves_beside = beside.iter().any(|node| pool.shares.contains_key(node));
                // Nodes have more room than there are agents.
                let most = pool.spec.spread.max_per_node.unwrap_or(u32::MAX);
                let free = world.state.nodes().filter(|node| {
                    let id = node.spec.id;
                    node.takes_agents() && !taken.contains(&id) && world.state.share(name, id) < most
                });
                prop_assert!(!serves_beside || free.count() == 0, "{name} on {beside:?}, and others have room");
            }
        }
        let rows = world.state.rows().into_iter().map(|(_, row)| row);
        let mut restored = State::restore(rows).unwrap();
        let next = synod_domain::command::Entry {
            at: super::world::at(world.now + 1),
            seed: 1,
            commands: vec![synod_domain::command::Request {
                id: synod_domain::id::RequestId::from_raw(1 << 100),
                command: Command::DrainNode { node: node(1), drain: true, reason: "moving".into() },
            }],
        };
        prop_assert_eq!(restored.apply(&next), world.state.apply(&next));
        prop_assert_eq!(restored.rows(), world.state.rows());
    }
}
