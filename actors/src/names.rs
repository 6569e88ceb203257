//! Names for the agents that nodes run: `pool-1`, `pool-2`, and so on.
//!
//! A node begins to count behind the shares of the nodes before it, so that nodes that start agents of a pool at the
//! same time do not choose the same names; if they do all the same, the state refuses one.

use std::collections::BTreeSet;

use synod_domain::agent::Pool;
use synod_domain::name::{NAME_BYTES_MAX, Name, NameError};

use crate::propose::World;

/// How much of a pool's name its agents' names keep: room is left for a dash and any number of an agent.
const POOL_PART_MAX: usize = NAME_BYTES_MAX - 21;

/// Returns `count` names that no agent has, nor any of `ours`.
pub(crate) fn free(
    world: &World,
    pool: &Pool,
    count: usize,
    ours: BTreeSet<Name>,
) -> Result<Vec<Name>, NameError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut taken = ours;
    world.read(|state| taken.extend(state.agents().map(|agent| agent.spec.name.clone())));
    let kept = pool.shares.iter().chain(&pool.standbys);
    let before: u64 = kept.filter(|(node, _)| **node < world.node).map(|(_, kept)| u64::from(*kept)).sum();
    let pool = pool.spec.name.as_str();
    // Names are ASCII, so any place is a boundary.
    let pool = &pool[..pool.len().min(POOL_PART_MAX)];
    let mut names = Vec::with_capacity(count);
    for number in (before + 1).. {
        if names.len() == count {
            break;
        }
        let name = Name::new(&format!("{pool}-{number}"))?;
        if !taken.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
