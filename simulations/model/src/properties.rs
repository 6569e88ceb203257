//! What must hold in every state, and what must be reachable, so that the first are not true of nothing.

use std::fmt;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};
use synod_domain::node::NodeStanding;
use synod_domain::task::Phase;

use crate::outside::Broken;
use crate::protocol::{Bounds, Leads, Protocol, Talk, World};
use crate::setting::{FIRST_NODE, TASK, agent};

/// At most one worker has the right to the task, and everybody agrees on which.
pub const ONE_LEASE: &str = "at most one valid lease";
/// What has ended stays so.
pub const ENDS_ONCE: &str = "a task ends once";
/// Who lost its lease completes nothing.
pub const NO_STALE_COMPLETION: &str = "no completion by a stale attempt is accepted";
/// What was said to exist does.
pub const ACKNOWLEDGED_EXISTS: &str = "an acknowledged submit exists";
/// However often a request is sent, it counts once and is answered alike.
pub const COUNTS_ONCE: &str = "a request id counts once";
/// A new leader has not heard anybody yet.
pub const FORGIVEN: &str = "silence before a new term is forgiven";
/// What a lost node had is for others.
pub const GONE_HOLDS_NOTHING: &str = "who is gone holds nothing";
/// Equal logs make equal states.
pub const REPLICAS_AGREE: &str = "another node makes the same state of the same log";
/// Somebody asked again and got the answer that was lost.
pub const ANSWERED_AGAIN: &str = "a repeated submit is answered again";

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(ONE_LEASE, |_, world: &World| has_one_lease(world)),
        Property::always(ENDS_ONCE, |_, world: &World| ends_once(world)),
        Property::always(NO_STALE_COMPLETION, |_, world| !saw(world, Broken::StaleCompletion)),
        Property::always(ACKNOWLEDGED_EXISTS, |_, world: &World| acknowledged_exists(world)),
        Property::always(COUNTS_ONCE, |_, world| !saw(world, Broken::CountedTwice)),
        Property::always(REPLICAS_AGREE, |_, world| !saw(world, Broken::ReplicasDiffer)),
        Property::always(FORGIVEN, |_, world| !saw(world, Broken::NotForgiven)),
        Property::always(GONE_HOLDS_NOTHING, |_, world: &World| gone_holds_nothing(world)),
        Property::sometimes("completed", |_, world| ended(world) == Some(Phase::Completed)),
        Property::sometimes("cancelled", |_, world| ended(world) == Some(Phase::Cancelled)),
        Property::sometimes("given up after its last attempt", |_, world| {
            ended(world) == Some(Phase::TimedOut)
        }),
        Property::sometimes("a lease is lost", |_, world: &World| {
            let seen = &world.outside;
            seen.granted > 0 && seen.lease.is_none() && seen.ended.is_none()
        }),
        Property::sometimes("leased again after a lost lease", |_, world: &World| world.outside.granted > 1),
        Property::sometimes("a late completion is refused", |_, world: &World| {
            world.workers.iter().any(|worker| worker.refused)
        }),
        Property::sometimes(ANSWERED_AGAIN, |_, world: &World| {
            world.submit == Talk::Heard { accepted: true, again: true }
        }),
        Property::sometimes("completed after failover", |_, world: &World| {
            world.outside.ended.is_some_and(|ended| ended.after_failover && ended.phase == Phase::Completed)
        }),
    ]
}

fn saw(world: &World, broken: Broken) -> bool {
    world.outside.broken.contains(&broken)
}

fn ended(world: &World) -> Option<Phase> {
    world.outside.ended.map(|ended| ended.phase)
}

fn has_one_lease(world: &World) -> bool {
    let state = world.replica.state();
    let lease = state.task(TASK).and_then(|task| task.lease());
    let holders = [0, 1]
        .map(agent)
        .into_iter()
        .filter(|agent| state.agent(*agent).is_some_and(|agent| agent.held.contains(&TASK)));
    !saw(world, Broken::TwoLeases)
        && holders.eq(lease.map(|lease| lease.agent))
        && (world.leads == Leads::Nobody || lease.map(|lease| lease.attempt) == world.outside.lease)
}

fn gone_holds_nothing(world: &World) -> bool {
    let state = world.replica.state();
    let down = state.node(FIRST_NODE).is_some_and(|node| node.standing == NodeStanding::Down);
    !down || state.agent(agent(0)).is_none_or(|agent| agent.held.is_empty())
}

fn ends_once(world: &World) -> bool {
    let stands = world.replica.state().task(TASK).map(|task| task.phase());
    let has_ended = stands.filter(|phase| phase.is_end());
    !saw(world, Broken::EndedTwice) && (world.leads == Leads::Nobody || has_ended == ended(world))
}

fn acknowledged_exists(world: &World) -> bool {
    let acknowledged = matches!(world.submit, Talk::Heard { accepted: true, .. });
    !acknowledged || world.replica.state().task(TASK).is_some()
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How many different states there are.
    pub states: usize,
    /// How many steps lead between them.
    pub steps: usize,
    /// How many steps the longest shortest way has.
    pub depth: usize,
    /// What is broken, each with the shortest way there.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// What was never reached though it should be.
    pub unreached: Vec<&'static str>,
}

impl Found {
    /// Tells whether everything holds and everything is reached.
    pub fn holds(&self) -> bool {
        self.broken.is_empty() && self.unreached.is_empty()
    }
}

/// Visits every state within the bounds, or as many as it takes to break a property.
pub fn search(bounds: Bounds) -> Found {
    let checker =
        Protocol::within(bounds).checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    let mut broken = Vec::new();
    let mut unreached = Vec::new();
    for property in checker.model().properties() {
        match (property.expectation, found.get(property.name)) {
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                let way = path.clone().into_actions().iter().map(|step| format!("{step:?}")).collect();
                broken.push((property.name, way));
            }
            (Expectation::Sometimes, None) => unreached.push(property.name),
            (Expectation::Always | Expectation::Eventually, None) | (Expectation::Sometimes, Some(_)) => {}
        }
    }
    if !broken.is_empty() {
        // The rest was not looked at.
        unreached.clear();
    }
    Found {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        broken,
        unreached,
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} states, {} steps, at most {} deep", self.states, self.steps, self.depth)?;
        for (property, way) in &self.broken {
            writeln!(f, "BROKEN: {property}")?;
            for step in way {
                writeln!(f, "  | {step}")?;
            }
        }
        for property in &self.unreached {
            writeln!(f, "NEVER REACHED: {property}")?;
        }
        Ok(())
    }
}
