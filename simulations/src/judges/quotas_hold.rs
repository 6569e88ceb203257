//! Never are more tasks of a workspace in hand than its quota allows, nor has it more agents.
//!
//! Source: issue 6, "workspaces with quotas"; docs, "Workspaces". A workspace is called by the most that its quota ever
//! lets it have in hand, and a pool that was let to it by the most agents, where clients ask for quotas. A quota that was
//! taken back does not come again.

use std::collections::BTreeMap;

use synod::node::domain::event::{Event, Governing};

use crate::history::{Fact, Plan, Record};
use crate::judges::work::{Heard, Work, figure};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::Workload;

pub(super) const JUDGE: Judge = Judge {
    name: "quotas hold",
    says: "no workspace has more in hand, nor more agents, than its quota allows",
    look,
};

/// How the names of pools begin that were let to a workspace with a quota.
const LET: &str = "let-";

fn look(history: &[Record]) -> Verdict {
    if !Plan::said(history).has(Workload::Quotas) {
        return Ok(0);
    }
    // Whether the quota of a workspace is in force; one that is not any more stays so.
    let mut bounded = BTreeMap::<String, bool>::new();
    let (mut work, mut checked) = (Work::default(), 0);
    for (place, record) in history.iter().enumerate() {
        if let Fact::Happened { event: Event::PoolChanged { pool, target }, .. } = &record.fact
            && pool.as_str().starts_with(LET)
            && bounded.values().any(|in_force| *in_force)
        {
            if figure(pool.as_str()).is_some_and(|most| u64::from(*target) > most) {
                return broken(place, None, format!("{pool} shall have {target} agents"));
            }
            checked += 1;
        }
        match work.hear(record) {
            Heard::Forgot => bounded.retain(|_, in_force| !*in_force),
            Heard::Governs(governance) => {
                for workspace in &governance.quotas {
                    bounded.entry(workspace.to_string()).or_insert(true);
                }
            }
            Heard::Governed { what: Governing::QuotaPut, subject, detail, .. } => {
                let is_put = detail.contains("concurrency=");
                let in_force = bounded.entry(subject.to_owned()).or_insert(is_put);
                *in_force &= is_put;
            }
            Heard::Leased(lease) if bounded.get(lease.workspace.as_str()) == Some(&true) => {
                let in_hand = work.held().filter(|other| other.workspace == lease.workspace).count() as u64;
                if figure(lease.workspace.as_str()).is_some_and(|most| in_hand > most) {
                    let what = format!("{in_hand} tasks of {} are in hand", lease.workspace);
                    return broken(place, Some(lease.task), what);
                }
                checked += 1;
            }
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use synod::node::domain::name::Name;
    use synod::node::domain::task::Phase;

    use crate::history::Governance;
    use crate::judges::histories::*;

    use super::*;

    fn planned(facts: impl IntoIterator<Item = Fact>) -> Vec<Record> {
        history([clients_ask_for(Workload::Quotas)].into_iter().chain(facts))
    }

    fn put(detail: &str) -> Fact {
        told(1, Governing::QuotaPut, "tenant-1", None, detail)
    }

    /// The lease of a task of a workspace.
    fn rented(index: u64, number: u128) -> Fact {
        let workspace = Name::new("tenant-1").unwrap();
        happened(index, Event::TaskLeased { task: task(number), workspace, agent: agent(1), attempt: 1 })
    }

    #[test]
    fn more_in_hand_than_a_quota_allows_is_found_while_it_is_in_force() {
        let then = |more: Vec<Fact>| look(&planned([rented(2, 1)].into_iter().chain(more)));
        let bounded = || put("concurrency=1");
        assert!(then(vec![bounded(), rented(3, 2)]).is_err(), "what ran before counts");
        assert_eq!(then(vec![bounded(), leased(3, 2, 1)]), Ok(0), "it is another's");
        assert_eq!(then(vec![bounded(), ended(3, 1, Phase::Completed), rented(4, 2)]), Ok(1));
        assert_eq!(then(vec![bounded(), put("none"), rented(3, 2)]), Ok(0));
        let looked = || {
            let quotas = vec!["tenant-1".parse().unwrap()];
            Fact::Governs(Governance { quotas, ..Governance::default() })
        };
        assert!(then(vec![looked(), rented(3, 2)]).is_err());
        assert_eq!(then(vec![bounded(), put("none"), looked(), rented(3, 2)]), Ok(0), "who looked is behind");
    }

    #[test]
    fn more_agents_than_a_quota_allows_are_found() {
        let changed = |target| {
            let pool = Name::new("let-2").unwrap();
            happened(2, Event::PoolChanged { pool, target })
        };
        assert_eq!(look(&planned([changed(3)])), Ok(0));
        assert_eq!(look(&planned([put("agents=2 concurrency=1"), changed(2)])), Ok(1));
        assert!(look(&planned([put("agents=2 concurrency=1"), changed(3)])).is_err());
    }
}
