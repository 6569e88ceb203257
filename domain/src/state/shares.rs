//! Which node has how many agents of which pool, as agreed.
//!
//! Shares are computed anew whenever a pool or a node changes, by the rule in [`spread`](crate::spread), and stand in
//! the pool's record. An agent of a pool that keeps some on standby serves if its node's share has a place for it;
//! so the promotion of a standby agent is part of the very entry that takes a node for down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::access::Owned;
use crate::agent::{Agent, Host, Pool, RuntimeSpec, Standing};
use crate::id::{AgentId, NodeId};
use crate::name::Name;
use crate::node::{Node, NodeStanding};
use crate::row::RowKey;
use crate::spread::{Lack, Manner, Place, Recovery, Shortfall, spread};
use crate::state::{State, Step};

/// How many agents each node has, of all pools; follows from the pools' records.
#[derive(Debug, Default)]
pub(super) struct Hosted(BTreeMap<NodeId, u32>);

impl Hosted {
    pub(super) fn add(&mut self, pool: &Pool) {
        for (node, count) in pool.shares.iter().chain(&pool.standbys) {
            *self.0.entry(*node).or_default() += count;
        }
    }

    fn remove(&mut self, pool: &Pool) {
        for (node, count) in pool.shares.iter().chain(&pool.standbys) {
            if let Some(hosted) = self.0.get_mut(node) {
                *hosted = hosted.saturating_sub(*count);
            }
        }
    }

    fn on(&self, node: NodeId) -> u32 {
        self.0.get(&node).copied().unwrap_or(0)
    }
}

impl State {
    /// Puts a pool in place of what was known of it, with its shares as they are.
    pub(super) fn store_pool(&mut self, step: &mut Step, pool: Pool) {
        let name = pool.spec.name.clone();
        self.hosted.add(&pool);
        let before = self.pools.insert(name.clone(), Arc::new(pool));
        if let Some(before) = &before {
            self.hosted.remove(before);
        }
        self.note_moved(step, &name, before.as_deref());
        self.changes.touch(RowKey::Pool(name));
    }

    pub(super) fn drop_pool(&mut self, step: &mut Step, name: &Name) {
        if let Some(before) = self.pools.remove(name) {
            self.hosted.remove(&before);
            self.note_moved(step, name, Some(&before));
        }
        self.changes.touch(RowKey::Pool(name.clone()));
        self.forget_owner(Owned::Pool(name.clone()));
    }

    /// Spreads every pool anew, because a node has changed. O(pools * nodes).
    pub(super) fn respread_all(&mut self, step: &mut Step) {
        for name in self.pools_in_order() {
            self.respread(step, &name);
        }
    }

    /// Spreads a pool anew. O(nodes).
    pub(super) fn respread(&mut self, step: &mut Step, name: &Name) {
        let Some(pool) = self.pools.get(name).cloned() else { return };
        let (shares, standbys) = self.spread_of(&pool);
        if shares != pool.shares || standbys != pool.standbys {
            self.store_pool(step, Pool { shares, standbys, ..Pool::clone(&pool) });
            self.tell_pool(step, name);
        }
        self.choose_standbys(step, name);
        self.cover(step, name);
    }

    /// Returns how a pool is to be spread, going by what it has where. O(nodes).
    pub(super) fn spread_of(&self, pool: &Pool) -> (BTreeMap<NodeId, u32>, BTreeMap<NodeId, u32>) {
        if pool.spec.runtime == RuntimeSpec::External {
            return Default::default();
        }
        let zones = self.zones();
        let zone_of = |node: &Node| zones.get(&node.spec.zone()).copied().unwrap_or(0);
        let taken = self.taken_for(&pool.spec.name);
        let strictly = self.apart(&pool.spec.name).strictly;
        let may = |node: &&Arc<Node>| !(strictly && taken.contains(&node.spec.id));
        let nodes = self.nodes.values().filter(may);
        let places: Vec<Place> = nodes.filter_map(|node| self.place_of(pool, node, zone_of(node))).collect();
        let shares = self.shares_of(pool, &places, &taken);
        let open =
            places.iter().filter(|place| self.nodes.get(&place.node).is_some_and(|node| node.takes_agents()));
        let mut reserves: Vec<Place> = open
            .map(|place| {
                let (before, share) = (at(&pool.shares, place.node), at(&shares, place.node));
                // Whoever is promoted is not on standby any more.
                let present = at(&pool.standbys, place.node).saturating_sub(share.saturating_sub(before));
                let room = place.room.saturating_sub(share);
                Place { present, room, favour: 0, burden: (share, place.burden.0), ..*place }
            })
            .collect();
        // On the only node they would go down with those whose place they are to take.
        let mut left = if reserves.len() > 1 { pool.spec.recovery.standby() } else { 0 };
        let failed = self.failed_reserves(&pool.spec.name);
        let mut standbys = BTreeMap::new();
        for place in &mut reserves {
            // They stay where they are until they are cured, and count as those whose place was taken.
            let stays = at(&failed, place.node).min(place.room).min(left);
            left -= stays;
            standbys.insert(place.node, stays);
            (place.present, place.room) = (place.present.saturating_sub(stays), place.room - stays);
        }
        for (node, more) in spread_beside(Manner::Even, left, &reserves, &taken) {
            *standbys.entry(node).or_insert(0) += more;
        }
        standbys.retain(|_, count| *count > 0);
        (shares, standbys)
    }

    /// Returns how many agents of a pool serve on each place. Where some failed for good there come no more, as long
    /// as others have room for all.
    fn shares_of(&self, pool: &Pool, places: &[Place], taken: &BTreeSet<NodeId>) -> BTreeMap<NodeId, u32> {
        let (manner, target) = (pool.spec.spread.manner, pool.target);
        let shares = spread_beside(manner, target, places, taken);
        let stinted = self.stinted(pool);
        if !places.iter().any(|place| stinted.contains_key(&place.node)) {
            return shares;
        }
        let least = |place: &Place| stinted.get(&place.node).map_or(place.room, |most| place.room.min(*most));
        let elsewhere: Vec<Place> =
            places.iter().map(|place| Place { room: least(place), ..*place }).collect();
        let moved = spread_beside(manner, target, &elsewhere, taken);
        let sum = |shares: &BTreeMap<NodeId, u32>| shares.values().sum::<u32>();
        if sum(&moved) < sum(&shares) { shares } else { moved }
    }

    /// Numbers the zones of all nodes.
    fn zones(&self) -> BTreeMap<Option<&str>, u32> {
        let names: BTreeSet<Option<&str>> = self.nodes.values().map(|node| node.spec.zone()).collect();
        names.into_iter().zip(0..).collect()
    }

    /// Returns a node as a place for agents of a pool, if it is one.
    fn place_of(&self, pool: &Pool, node: &Node, zone: u32) -> Option<Place> {
        let id = node.spec.id;
        let (present, reserve) = (at(&pool.shares, id), at(&pool.standbys, id));
        let others = self.hosted.on(id).saturating_sub(self.own(pool, id));
        let most = pool.spec.spread.max_per_node.unwrap_or(u32::MAX);
        let room = most.min(node.spec.capacity.saturating_sub(others));
        if !pool.spec.spread.suits(&node.spec) {
            return None;
        }
        let place = Place { node: id, zone, present, room, favour: reserve, burden: (others, 0) };
        if node.takes_agents() {
            return Some(place);
        }
        let waits = node.standing == NodeStanding::Down && node.draining.is_none() && present > 0;
        match pool.spec.recovery {
            Recovery::Restart if waits => Some(Place { room: room.min(present), ..place }),
            Recovery::Degraded if waits => Some(place),
            Recovery::Restart | Recovery::Degraded | Recovery::Replacement | Recovery::Failover { .. } => {
                None
            }
        }
    }

    /// Returns how much of what a node hosts is of this pool, as it is stored.
    fn own(&self, pool: &Pool, node: NodeId) -> u32 {
        let stored = self.pools.get(&pool.spec.name);
        stored.map_or(0, |stored| at(&stored.shares, node) + at(&stored.standbys, node))
    }

    /// Decides who of a pool serves and who stands by: each node's share serves, those first that do already, and
    /// then those that are ready; last of all those that failed for good. O(members), and only for pools that keep some on standby or did so before.
    pub(super) fn choose_standbys(&mut self, step: &mut Step, name: &Name) {
        let Some(pool) = self.pools.get(name).cloned() else { return };
        let keeps = pool.spec.recovery.standby() > 0;
        let mut members: BTreeMap<NodeId, Vec<(bool, bool, bool, AgentId)>> = BTreeMap::new();
        for agent in self.agents_of(name) {
            if let Host::Node(node) = agent.spec.host
                && !agent.retiring
                && (keeps || agent.standby)
            {
                let id = agent.spec.id;
                let key = (self.is_given_up(id), agent.standby, agent.standing != Standing::Ready, id);
                members.entry(node).or_default().push(key);
            }
        }
        for (node, mut members) in members {
            members.sort_unstable();
            let share = if keeps { at(&pool.shares, node) as usize } else { members.len() };
            for (place, (_, was, _, id)) in members.into_iter().enumerate() {
                let standby = place >= share;
                if standby != was {
                    self.set_standby(step, id, standby);
                }
            }
        }
    }

    fn set_standby(&mut self, step: &mut Step, id: AgentId, standby: bool) {
        let Some(agent) = self.agents.get_mut(&id).map(Arc::make_mut) else { return };
        agent.standby = standby;
        // Why it does not serve at all is worth more than why it would not if it could.
        if agent.standing != Standing::Failed {
            agent.reason = if standby { "it stands by" } else { "it takes the place of another" }.into();
            agent.since = step.now;
        }
        self.changes.touch(RowKey::Agent(id));
        self.tell_standing(step, id);
    }

    /// Returns how many agents of a pool serve on a node, as agreed.
    pub fn share(&self, pool: &Name, node: NodeId) -> u32 {
        self.pools.get(pool).map_or(0, |pool| at(&pool.shares, node))
    }

    /// Returns how many agents of a pool a node keeps in all: its share, and those on standby.
    pub fn kept_on(&self, pool: &Name, node: NodeId) -> u32 {
        self.pools.get(pool).map_or(0, |pool| at(&pool.shares, node) + at(&pool.standbys, node))
    }

    /// Returns how many agents all pools together keep on a node.
    pub fn hosted_on(&self, node: NodeId) -> u32 {
        self.hosted.on(node)
    }

    /// Walks the agents that a node runs, in order of id. It looks at every agent.
    pub fn agents_on(&self, node: NodeId) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values().filter(move |agent| agent.spec.host == Host::Node(node))
    }

    /// Says why a pool has fewer places for agents than it should, if it does. O(nodes).
    pub fn shortfall(&self, name: &Name) -> Option<Shortfall> {
        let pool = self.pools.get(name)?;
        if pool.spec.runtime == RuntimeSpec::External {
            return None;
        }
        let is_up = |id: &NodeId| self.nodes.get(id).is_some_and(|node| node.standing == NodeStanding::Up);
        let placed: u32 = pool.shares.iter().filter(|(node, _)| is_up(node)).map(|(_, share)| share).sum();
        let missing = pool.target.saturating_sub(placed);
        let failed = self.failed_of(pool);
        let agents = u32::try_from(failed.len()).unwrap_or(u32::MAX);
        if missing > 0 {
            let lack = self.lack_of(pool, is_up);
            return Some(Shortfall { missing: missing.saturating_add(agents), lack });
        }
        let example = *failed.first()?;
        Some(Shortfall { missing: agents, lack: Lack::GivenUp { agents, example } })
    }

    /// Returns the agents of a pool that failed for good and leave places unserved: no more on a node than it has.
    fn failed_of(&self, pool: &Pool) -> Vec<AgentId> {
        let mut places = pool.shares.clone();
        let mut failed = Vec::new();
        for (agent, node) in self.missing_of(&pool.spec.name) {
            if let Some(left) = places.get_mut(&node).filter(|left| **left > 0) {
                *left -= 1;
                failed.push(agent);
            }
        }
        failed
    }

    fn lack_of(&self, pool: &Pool, is_up: impl Fn(&NodeId) -> bool) -> Lack {
        let down: Vec<NodeId> = pool.shares.keys().filter(|node| !is_up(node)).copied().collect();
        if !down.is_empty() {
            return Lack::NodesDown { nodes: down };
        }
        let suiting = self.nodes.values().filter(|node| pool.spec.spread.suits(&node.spec));
        let taken = self.taken_for(&pool.spec.name);
        let strictly = self.apart(&pool.spec.name).strictly;
        let (mut nodes, mut beside, mut down, mut draining) = (0, 0, 0, 0);
        for node in suiting {
            match (node.standing, node.draining) {
                (NodeStanding::Up, None) if strictly && taken.contains(&node.spec.id) => beside += 1,
                (NodeStanding::Up, None) => nodes += 1,
                (NodeStanding::Up, Some(_)) => draining += 1,
                (NodeStanding::Down | NodeStanding::Joining, _) => down += 1,
            }
        }
        if beside > 0 {
            let from = self.yields_to(&pool.spec.name).cloned().collect();
            Lack::Beside { nodes: beside, from }
        } else if nodes > 0 {
            let max_per_node = pool.spec.spread.max_per_node;
            Lack::Full { nodes, max_per_node }
        } else if down + draining > 0 {
            Lack::NodesAway { down, draining }
        } else {
            let spread = &pool.spec.spread;
            Lack::Unsuited { region: spread.region.clone(), labels: spread.labels.clone() }
        }
    }
}

/// Spreads agents over places, and only those that do not fit elsewhere over places that are taken.
fn spread_beside(
    manner: Manner,
    target: u32,
    places: &[Place],
    taken: &BTreeSet<NodeId>,
) -> BTreeMap<NodeId, u32> {
    let (beside, free): (Vec<Place>, Vec<Place>) =
        places.iter().copied().partition(|place| taken.contains(&place.node));
    let mut shares = spread(manner, target, &free);
    let left = target.saturating_sub(shares.values().sum());
    shares.extend(spread(manner, left, &beside));
    shares
}

fn at(counts: &BTreeMap<NodeId, u32>, node: NodeId) -> u32 {
    counts.get(&node).copied().unwrap_or(0)
}
