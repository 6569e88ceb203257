//! Named resources of which there is so much: GPUs, browsers, licences.
//!
//! A task says in its [terms](crate::terms::Terms) how much of which it needs. It is granted all of it at once, in the
//! step that gives the task out, or none of it; and it gives all of it back when that attempt is over, however it ends.
//! Whoever has to wait has a turn in one order for all resources, and nobody behind it takes what it waits for.
//!
//! A deadlock needs somebody who holds one thing and waits for another. Here nobody does: what holds resources is an
//! attempt in the hands of an agent, which asks for no more; what waits for resources holds none.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::TaskId;
use crate::name::Name;
use crate::time::Timestamp;

/// The most resources in all. Each has a queue on every replica.
pub const RESOURCES_MAX: usize = 1000;

/// The most resources that one task may need. All of them are looked at when its turn has come.
pub const RESOURCES_OF_TASK_MAX: usize = 16;

/// The longest description of a resource, in bytes.
pub const ABOUT_BYTES_MAX: usize = 256;

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is called.
    pub name: Name,
    /// How much of it there is.
    pub capacity: u64,
    /// What it is, for people.
    pub about: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a task that waits for resources has meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Since when.
    pub since: Timestamp,
    /// Its turn: since when, as if it had waited in the lane critical. Work of a lower lane comes later by what ageing
    /// would have cost it, so that nobody is passed for ever.
    pub turn: Timestamp,
    /// The order among equal turns.
    pub sequence: u64,
}

/// What can be asked of resources. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ResourceCommand {
    /// Makes a resource or changes it. What tasks have of it stays theirs when there is less of it than that.
    Put {
        /// What it is called.
        name: Name,
        /// How much of it there is.
        capacity: u64,
        /// What it is, for people.
        about: Arc<str>,
    },
    /// Removes a resource that nobody has or waits for.
    Remove {
        /// Which.
        name: Name,
    },
}

/// Names a row about resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKey {
    /// A resource.
    Resource(Name),
    /// The turn of a task that waits.
    Wait(TaskId),
}

/// A row about resources. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ResourceRow {
    /// A resource.
    Resource(Resource),
    /// The turn of a task that waits.
    Wait(TaskId, Wait),
}
