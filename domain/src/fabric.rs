//! The fabric: pools that stand under common bounds, with what people call them.
//!
//! A pool is the fabric's when it was put there with a [`Profile`]. The bounds count all of its pools together and are
//! part of the agreed state, so that nobody passes them, however many nodes and programs ask at the same time. Other
//! pools are not counted and not bound.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::PoolSpec;
use crate::name::Name;

/// The longest title or model of a profile, in bytes. Both stand on lines of output.
pub const WORDS_BYTES_MAX: usize = 256;

/// What the fabric allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// How many agents all of its pools may have together.
    pub agents_max: u32,
    /// How many tasks may wait for one of its agents, or for one of its pools.
    pub queue_depth_max: u64,
    /// How many tasks one of its agents may hold at a time.
    pub tasks_per_agent_max: u32,
}

impl Default for Bounds {
    /// A hundred agents that hold five tasks each, with a thousand waiting for each.
    fn default() -> Self {
        Self { agents_max: 100, queue_depth_max: 1000, tasks_per_agent_max: 5 }
    }
}

/// What people and programs are told of a pool of the fabric, besides what the rules look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What people call it.
    pub title: Arc<str>,
    /// The model that its agents use, if they said so.
    pub model: Option<Arc<str>>,
    /// Whether it is there for a single agent, and ends with it.
    pub single: bool,
}

/// What can be asked of the fabric. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FabricCommand {
    /// Sets the bounds. What is there already stays when they are lowered.
    SetBounds {
        /// The new bounds.
        bounds: Bounds,
    },
    /// Creates a pool of the fabric, or changes it. One that exists already and is not the fabric's is refused.
    PutPool {
        /// What it shall be.
        spec: Arc<PoolSpec>,
        /// What people are told of it.
        profile: Profile,
    },
}

/// Names a row of the fabric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FabricKey {
    /// Its bounds.
    Bounds,
    /// The profile of a pool.
    Profile(Name),
}

/// A row of the fabric. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FabricRow {
    /// Its bounds.
    Bounds(Bounds),
    /// The profile of a pool.
    Profile(Name, Profile),
}
