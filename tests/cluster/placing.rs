//! Where agents of pools are put, and what becomes of them when their node dies, each recovery in its own way.

use std::collections::BTreeMap;

use synod::node::Pool;
use synod::node::domain::agent::{AgentStatus, Host};
use synod::node::domain::id::NodeId;
use synod::node::domain::name::Name;
use synod::node::domain::node::NodeStanding;
use synod::node::domain::spread::{Lack, Manner, Recovery, SpreadSpec};
use synod::node::domain::state::State;

use crate::group::Group;
use crate::support::{Script, completed, eventually, task};

/// Counts the agents of a pool by node, those that serve and those that stand by; all others are still on their way.
fn placed(state: &State, pool: &str) -> Option<BTreeMap<NodeId, (u32, u32)>> {
    let mut counts: BTreeMap<NodeId, (u32, u32)> = BTreeMap::new();
    for agent in state.agents_of(&Name::new(pool).unwrap()) {
        let Host::Node(node) = agent.spec.host else { return None };
        let count = counts.entry(node).or_default();
        match agent.status() {
            AgentStatus::Ready | AgentStatus::Busy => count.0 += 1,
            AgentStatus::Standby => count.1 += 1,
            AgentStatus::Offline => {}
            AgentStatus::Starting | AgentStatus::Draining | AgentStatus::Failed => return None,
        }
    }
    counts.retain(|_, count| *count != (0, 0));
    Some(counts)
}

/// The numbers alone, in order.
fn sizes(counts: &BTreeMap<NodeId, (u32, u32)>) -> Vec<(u32, u32)> {
    let mut sizes: Vec<(u32, u32)> = counts.values().copied().collect();
    sizes.sort_unstable();
    sizes
}

/// Waits until the agents of a pool are so many on so many nodes, and returns on which.
async fn spread(group: &Group, pool: &str, wanted: &[(u32, u32)]) -> BTreeMap<NodeId, (u32, u32)> {
    // The one that stays, and what else is read of it is as new.
    let node = group.node(2);
    eventually(&format!("{pool} is spread as {wanted:?}"), || {
        node.read(|state| placed(state, pool)).filter(|counts| sizes(counts) == wanted)
    })
    .await
}

fn pool(name: &str, size: u32, spread: SpreadSpec) -> Pool {
    Pool::native(name, "script").unwrap().size(size).spread(spread)
}

/// Nodes of this zone alone.
fn within(zone: &str) -> SpreadSpec {
    let labels = BTreeMap::from([(Name::new("zone").unwrap(), zone.into())]);
    SpreadSpec { labels, ..SpreadSpec::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_are_packed_bounded_zoned_and_kept_to_labels_and_lose_a_node_each_in_its_own_way() {
    let group = Group::form_labelled(&[("zone", "a"), ("zone", "a"), ("zone", "b")]).await;
    group.voters(3).await;
    let any = group.nodes().next().unwrap();
    let packed = SpreadSpec { manner: Manner::Packed, ..SpreadSpec::default() };
    any.put_pool(pool("packed", 3, packed)).await.unwrap();
    let single = SpreadSpec { max_per_node: Some(1), ..SpreadSpec::default() };
    any.put_pool(pool("single", 5, single)).await.unwrap();
    let zones = SpreadSpec { manner: Manner::Zones, ..SpreadSpec::default() };
    any.put_pool(pool("zoned", 6, zones)).await.unwrap();
    any.put_pool(pool("bound", 2, within("b"))).await.unwrap();
    any.put_pool(pool("spared", 2, within("a")).recovery(Recovery::Failover { standby: 1 })).await.unwrap();
    any.put_pool(pool("lessened", 4, within("a")).recovery(Recovery::Degraded)).await.unwrap();

    spread(&group, "packed", &[(3, 0)]).await;
    spread(&group, "single", &[(1, 0), (1, 0), (1, 0)]).await;
    let short = any.read(|state| state.shortfall(&Name::new("single").unwrap())).unwrap();
    assert_eq!((short.missing, short.lack), (2, Lack::Full { nodes: 3, max_per_node: Some(1) }));
    let zoned = spread(&group, "zoned", &[(1, 0), (2, 0), (3, 0)]).await;
    assert_eq!(zoned[&group.node(2).id()], (3, 0), "it is a zone by itself");
    let bound = spread(&group, "bound", &[(2, 0)]).await;
    assert_eq!(bound.into_keys().collect::<Vec<_>>(), [group.node(2).id()]);
    let spared = spread(&group, "spared", &[(1, 0), (1, 1)]).await;
    let zone_a = [group.node(0).id(), group.node(1).id()];
    assert!(spared.keys().all(|node| zone_a.contains(node)), "{spared:?}");
    spread(&group, "lessened", &[(2, 0), (2, 0)]).await;

    // Gossip tells the others how many agents each node runs and has room for.
    for seat in 0..3 {
        let id = group.node(seat).id();
        let runs = |state: &State| {
            let agents = state.agents().filter(|agent| agent.spec.host == Host::Node(id)).count();
            (u32::try_from(agents).unwrap(), state.node(id).unwrap().spec.capacity)
        };
        let other = group.node((seat + 1) % 3);
        eventually("its load is known elsewhere", || {
            let (agents, capacity) = other.read(runs);
            let status = other.cluster();
            let seen = status.nodes.iter().find(|one| one.node.spec.id == id)?.seen.as_ref()?;
            (agents > 0 && (seen.agents, seen.free_slots) == (agents, capacity - agents)).then_some(())
        })
        .await;
    }

    // The node of zone a that has nobody on standby dies; the other one has who takes the place.
    let victim = (0..2).find(|seat| spared[&group.node(*seat).id()] == (1, 0)).unwrap();
    lose(group, victim).await;
}

async fn lose(mut group: Group, victim: usize) {
    let (dead, stays) = (group.node(victim).id(), group.node(1 - victim).id());
    let spared = Name::new("spared").unwrap();
    let stood_by = eventually("one stands by", || {
        group.node(2).read(|state| {
            let mut agents = state.agents_of(&spared);
            agents.find(|agent| agent.status() == AgentStatus::Standby).map(|agent| agent.spec.id)
        })
    })
    .await;
    group.kill(victim);
    let left = group.node(2).clone();
    eventually("it is taken for dead", || {
        left.read(|state| state.node(dead).is_some_and(|node| node.standing == NodeStanding::Down))
            .then_some(())
    })
    .await;
    // Whoever stood by serves; who shall stand by in its place has nowhere to be but beside it.
    let spared = spread(&group, "spared", &[(2, 0)]).await;
    assert_eq!(spared.into_keys().collect::<Vec<_>>(), [stays]);
    let serves = left.read(|state| state.agent(stood_by).map(|agent| agent.status()));
    assert_eq!(serves, Some(AgentStatus::Ready));
    // The other pool goes on smaller and says so.
    spread(&group, "lessened", &[(2, 0)]).await;
    let short = left.read(|state| state.shortfall(&Name::new("lessened").unwrap())).unwrap();
    assert_eq!((short.missing, short.lack), (2, Lack::NodesDown { nodes: vec![dead] }));
    spread(&group, "single", &[(1, 0), (1, 0)]).await;
    spread(&group, "packed", &[(3, 0)]).await;
    spread(&group, "zoned", &[(3, 0), (3, 0)]).await;
    for pool in ["zoned", "spared", "lessened", "single", "packed", "bound"] {
        let done = left.submit(task(pool, &Script::Echo(pool.into()))).await.unwrap();
        completed(&left, done).await;
    }
    drop(left);
    group.stop_all().await;
}
