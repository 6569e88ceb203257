//! No agent has more in hand than it has slots for.
//!
//! Source: domain, `Agent::free`. Events tell leases in the order of the log; those of a crash may be lost, so each
//! life begins with who holds what, looked up.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::Event;
use synod::node::domain::id::{AgentId, TaskId};

use crate::history::{Fact, Record, Request};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::{SLOTS_INSIDE, SLOTS_OUTSIDE};

pub(super) const JUDGE: Judge =
    Judge { name: "slots hold", says: "no agent holds more leases than it has slots", look };

#[derive(Debug, Default)]
struct Hands {
    outside: BTreeSet<AgentId>,
    held: BTreeMap<TaskId, AgentId>,
}

fn look(history: &[Record]) -> Verdict {
    let mut hands = Hands::default();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Starting { .. } => hands.held.clear(),
            Fact::Asked { request: Request::Register { agent }, .. } => {
                hands.outside.insert(*agent);
            }
            Fact::Stands(standing) => {
                hands.held.remove(&standing.task);
                hands.held.extend(standing.holder.map(|holder| (standing.task, holder)));
            }
            Fact::Happened { event: Event::TaskLeased { task, agent, .. }, .. } => {
                checked += 1;
                hands.held.insert(*task, *agent);
                let has = hands.held.values().filter(|holder| *holder == agent).count();
                let slots = if hands.outside.contains(agent) { SLOTS_OUTSIDE } else { SLOTS_INSIDE };
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
    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn one_lease_too_many_is_found() {
        let slots = u64::from(SLOTS_INSIDE);
        let full = || (0..slots).map(|place| leased(place, u128::from(place), 1));
        assert!(look(&history(full())).is_ok());
        assert!(look(&history(full().chain([leased(90, 90, 1)]))).is_err());
        assert!(look(&history(full().chain([Fact::Starting { life: 2 }, leased(90, 90, 1)]))).is_ok());
    }

    #[test]
    fn agents_outside_have_fewer() {
        let registers = asked(1, Request::Register { agent: agent(9) });
        let leases = (0..=u64::from(SLOTS_OUTSIDE)).map(|place| leased(place, u128::from(place), 1));
        assert!(look(&history([registers].into_iter().chain(leases))).is_err());
    }
}
