//! No agent has more in hand than it has slots for.
//!
//! Source: domain, `Agent::free`. Events tell leases in the order of the log; those of a crash of all
//! nodes may be lost, so whoever is the first to start again begins with who holds what, looked up.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::Event;
use synod::node::domain::id::{AgentId, TaskId};

use crate::history::{Fact, Record, Request};
use crate::judges::lives::Lives;
use crate::judges::{Judge, Verdict, broken};
use crate::workload::{INSIDE, OUTSIDE, SLOTS_INSIDE};

pub(super) const JUDGE: Judge =
    Judge { name: "slots hold", says: "no agent holds more leases than it has slots", look };

#[derive(Debug, Default)]
struct Hands {
    /// How many slots those have that said so.
    slots: BTreeMap<AgentId, u32>,
    /// Agents of pools that are not the world's.
    strangers: BTreeSet<AgentId>,
    held: BTreeMap<TaskId, AgentId>,
}

fn look(history: &[Record]) -> Verdict {
    let mut hands = Hands::default();
    let (mut lives, mut checked) = (Lives::default(), 0);
    for (place, record) in history.iter().enumerate() {
        if lives.forget(record) {
            hands.held.clear();
        }
        match &record.fact {
            Fact::Asked { request: Request::Register { agent, slots }, .. } => {
                hands.slots.insert(*agent, *slots);
            }
            Fact::Happened { event: Event::AgentRegistered { agent, pool: Some(pool), .. }, .. }
                if ![INSIDE, OUTSIDE].contains(&pool.as_str()) =>
            {
                hands.strangers.insert(*agent);
            }
            Fact::Stands(standing) => {
                hands.held.remove(&standing.task);
                hands.held.extend(standing.holder.map(|holder| (standing.task, holder)));
            }
            Fact::Happened { event: Event::TaskLeased { task, agent, .. }, .. } => {
                checked += 1;
                hands.held.insert(*task, *agent);
                let has = hands.held.values().filter(|holder| *holder == agent).count();
                let slots = match hands.slots.get(agent) {
                    Some(slots) => *slots,
                    None if hands.strangers.contains(agent) => continue,
                    None => SLOTS_INSIDE,
                };
                if u32::try_from(has).is_ok_and(|has| has > slots) {
                    return broken(
                        place,
                        Some(*task),
                        format!("{agent} holds {has} leases and has {slots} slots"),
                    );
                }
            }
            Fact::Happened {
                event: Event::TaskReturned { task, .. } | Event::TaskEnded { task, .. },
                ..
            } => {
                hands.held.remove(task);
            }
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use synod::node::domain::name::Name;

    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn one_lease_too_many_is_found() {
        let slots = u64::from(SLOTS_INSIDE);
        let full = || (0..slots).map(|place| leased(place, u128::from(place), 1));
        assert!(look(&history(full())).is_ok());
        assert!(look(&history(full().chain([leased(90, 90, 1)]))).is_err());
        assert!(
            look(&history(full().chain([Fact::Stopped, Fact::Starting { life: 2 }, leased(90, 90, 1)])))
                .is_ok()
        );
    }

    #[test]
    fn agents_outside_have_as_many_as_they_said() {
        let registers = || asked(1, Request::Register { agent: agent(9), slots: 2 });
        let leases = |count| (0..count).map(|place| leased(place, u128::from(place), 1));
        assert!(look(&history([registers()].into_iter().chain(leases(2)))).is_ok());
        assert!(look(&history([registers()].into_iter().chain(leases(3)))).is_err());
    }

    #[test]
    fn nothing_is_known_of_the_slots_of_an_embedders_agents() {
        let (name, pool) = (Name::default(), Name::new("tellers").ok());
        let registered = happened(0, Event::AgentRegistered { agent: agent(9), name, pool });
        let leases = (1..9).map(|place| leased(place, u128::from(place), 1));
        assert_eq!(look(&history([registered].into_iter().chain(leases))), Ok(8));
    }
}
