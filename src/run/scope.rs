//! Keeps the fleets that share a data folder apart.
//!
//! A node goes on with every open run, so two fleets may be at work side by side. Their pools carry the
//! fleet's name before their own, and work that any agent may take asks for a mark that only the fleet's
//! agents offer: no fleet's agents ever get another fleet's work.

use synod_domain::agent::PoolSpec;
use synod_domain::assignment::Assignment;
use synod_domain::capability::{Capabilities, Capability};
use synod_domain::name::{NAME_BYTES_MAX, Name};

use crate::fleet::Plan;
use crate::node::PoolTending;
use crate::run::Error;

/// What the number of an agent adds to the name of its pool, at most.
const AGENT_NUMBER_BYTES: usize = 8;

/// Returns the name that a fleet's pool has on the node.
pub(super) fn pool_name(fleet: &Name, pool: &Name) -> Result<Name, Error> {
    let name = format!("{fleet}/{pool}");
    let too_long = name.len() + AGENT_NUMBER_BYTES > NAME_BYTES_MAX;
    Name::new(&name).ok().filter(|_| !too_long).ok_or_else(|| Error::Pool {
        pool: pool.clone(),
        reason: format!("the names of fleet and pool are too long together: {name}; shorten one of them"),
    })
}

/// Returns the fleet that a pool on the node belongs to.
pub(super) fn fleet_of(pool: &Name) -> Option<Name> {
    let (fleet, _) = pool.as_str().rsplit_once('/')?;
    Name::new(fleet).ok()
}

/// Returns a pool as the node knows it.
pub(super) fn scoped_pool(fleet: &Name, pool: &PoolSpec) -> Result<PoolSpec, Error> {
    let name = pool_name(fleet, &pool.name)?;
    Ok(PoolSpec { name, capabilities: marked(fleet, &pool.capabilities), ..pool.clone() })
}

/// Returns how a pool of a plan is to be tended, with the pools it names as the node knows them.
pub(super) fn scoped_tending(plan: &Plan, pool: &Name) -> Result<PoolTending, Error> {
    let mut tending = plan.tending.get(pool).cloned().unwrap_or_default();
    if let Assignment::Delegated { to } = &mut tending.assignment {
        *to = pool_name(&plan.name, to)?;
    }
    let from = tending.apart.from.iter().map(|other| pool_name(&plan.name, other));
    tending.apart.from = from.collect::<Result<_, _>>()?;
    Ok(tending)
}

/// Adds the mark of a fleet to what its agents offer, or to what its work asks for.
pub(super) fn marked(fleet: &Name, capabilities: &Capabilities) -> Capabilities {
    // A fleet whose name is too long for a mark has pools whose names are too long, and was refused.
    let mark = Name::new(&format!("fleet/{fleet}")).map(|name| Capability { name, version: None });
    capabilities.iter().chain(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    #[test]
    fn pools_of_one_name_in_two_fleets_are_two_pools() {
        let first = pool_name(&name("one"), &name("w")).expect("a name");
        let second = pool_name(&name("two"), &name("w")).expect("a name");
        assert_ne!(first, second);
        assert_eq!(fleet_of(&first), Some(name("one")));
        assert_eq!(fleet_of(&name("bare")), None);
    }

    #[test]
    fn work_of_a_fleet_is_not_for_the_agents_of_another() {
        let none = Capabilities::default();
        let (one, two) = (marked(&name("one"), &none), marked(&name("two"), &none));
        assert!(one.satisfy(&one) && !one.satisfy(&two));
    }

    #[test]
    fn names_that_are_too_long_together_are_refused_with_what_to_do() {
        let long = name(&"a".repeat(70));
        let error = pool_name(&long, &long).expect_err("too long");
        assert!(error.to_string().contains("shorten one of them"));
    }
}
