//! What is done to a cluster under load, one scenario each; every one ends with the judgement of its history.

mod clocks;
mod crashes;
mod disks;
mod drains;
mod formation;
mod members;
mod partitions;
mod pauses;
mod restarts;
mod snapshots;
pub mod stage;

use std::future::Future;
use std::pin::Pin;

pub use stage::{Order, Stage};

/// How a scenario ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Everything holds.
    Holds,
    /// Something does not.
    Broken,
    /// This machine or this user cannot do it, for this reason. Nothing was shown.
    Skipped(String),
}

/// What a scenario is while it runs.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<Ended, String>> + 'a>>;

/// One scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub does: &'static str,
    /// How often its fault happens in the short form; 0 leaves it out.
    pub short: usize,
    /// How often in the long form.
    pub long: usize,
    /// Runs it.
    pub run: for<'a> fn(&'a Order) -> Running<'a>,
}

/// All scenarios, the cheapest first.
pub const ALL: [Scenario; 22] = [
    Scenario {
        name: "alone",
        does: "kills a node that belongs to no cluster",
        short: 2,
        long: 20,
        run: |order| Box::pin(crashes::kill_alone(order)),
    },
    Scenario {
        name: "formation",
        does: "stops all nodes and starts them in every order",
        short: 1,
        long: 6,
        run: |order| Box::pin(formation::any_order(order)),
    },
    Scenario {
        name: "joining",
        does: "lets two nodes join at once, one through a follower, and one that began before anybody served",
        short: 1,
        long: 5,
        run: |order| Box::pin(formation::at_once(order)),
    },
    Scenario {
        name: "early",
        does: "starts a node that joins before the founder serves, and once only",
        short: 0,
        long: 2,
        run: |order| Box::pin(formation::early(order)),
    },
    Scenario {
        name: "kill-leader",
        does: "kills the leader with SIGKILL, again and again",
        short: 5,
        long: 100,
        run: |order| Box::pin(crashes::kill_leader(order)),
    },
    Scenario {
        name: "looked-at",
        does: "kills the leader while somebody at every node looks at all that it can show; see docs/CHAOS.md",
        short: 1,
        long: 5,
        run: |order| Box::pin(crashes::kill_leader_looked_at(order)),
    },
    Scenario {
        name: "kill-all",
        does: "kills all nodes at once with SIGKILL",
        short: 1,
        long: 20,
        run: |order| Box::pin(crashes::kill_all(order)),
    },
    Scenario {
        name: "kill-any",
        does: "kills a node at random every two seconds, a minority at a time",
        short: 0,
        long: 60,
        run: |order| Box::pin(crashes::kill_any(order)),
    },
    Scenario {
        name: "pause-leader",
        does: "stops the leader past its term with SIGSTOP and wakes it",
        short: 1,
        long: 10,
        run: |order| Box::pin(pauses::leader(order)),
    },
    Scenario {
        name: "hung-peer",
        does: "stops a follower, which takes connections and never answers",
        short: 1,
        long: 5,
        run: |order| Box::pin(pauses::follower(order)),
    },
    Scenario {
        name: "partition",
        does: "cuts the leader, then a follower, off from the others",
        short: 1,
        long: 20,
        run: |order| Box::pin(partitions::full(order)),
    },
    Scenario {
        name: "one-way",
        does: "drops what goes in one direction between two nodes, each of the six",
        short: 1,
        long: 6,
        run: |order| Box::pin(partitions::one_way(order)),
    },
    Scenario {
        name: "bridge",
        does: "cuts two nodes off from each other, both reach the third",
        short: 1,
        long: 6,
        run: |order| Box::pin(partitions::bridge(order)),
    },
    Scenario {
        name: "flapping",
        does: "cuts a link and heals it every second",
        short: 0,
        long: 60,
        run: |order| Box::pin(partitions::flapping(order)),
    },
    Scenario {
        name: "membership",
        does: "lets a node join and removes one while another is cut off",
        short: 1,
        long: 2,
        run: |order| Box::pin(members::change_in_partition(order)),
    },
    Scenario {
        name: "snapshot",
        does: "lets a node come back so late that it needs a snapshot, and kills it meanwhile",
        short: 1,
        long: 5,
        run: |order| Box::pin(snapshots::install_and_kill(order)),
    },
    Scenario {
        name: "clocks",
        does: "runs with wall clocks two days apart, and kills leaders",
        short: 1,
        long: 10,
        run: |order| Box::pin(clocks::days_apart(order)),
    },
    Scenario {
        name: "disk-full",
        does: "fills the disk of a follower, then of the leader, and frees it",
        short: 1,
        long: 4,
        run: |order| Box::pin(disks::full(order)),
    },
    Scenario {
        name: "power-loss",
        does: "takes the power of all nodes at once, and of the leader, with all that was not synced",
        short: 1,
        long: 20,
        run: |order| Box::pin(disks::power_loss(order)),
    },
    Scenario {
        name: "wiped",
        does: "empties the disk of a node, which must not come back as who it was",
        short: 1,
        long: 3,
        run: |order| Box::pin(members::wiped(order)),
    },
    Scenario {
        name: "rolling",
        does: "restarts all nodes one after the other, in order",
        short: 1,
        long: 10,
        run: |order| Box::pin(restarts::rolling(order)),
    },
    Scenario {
        name: "drain",
        does: "lets one node after the other give its agents away, and take some again",
        short: 1,
        long: 10,
        run: |order| Box::pin(drains::one_after_the_other(order)),
    },
];

fn ended(holds: bool) -> Ended {
    if holds { Ended::Holds } else { Ended::Broken }
}
