//! Who begins anew gets nothing until it has; who leaves ends first what it has; a pool stays within its bounds; a rollout
//! goes its way from stage to stage and comes to an end.
//!
//! Source: docs, POOLS, "Agents that begin anew", "Scaling" and "Rollouts". An agent that served when
//! it was told to begin anew takes nothing from that very entry of the log on, until it is started again or is found to be
//! gone with its node; of one that did not serve then nothing is expected. An agent that leaves has minutes to end what it
//! has, and attempts of a world are over in seconds; with its node it leaves sooner. All but that and the bounds holds for
//! every pool, whoever tends it; those hold for pools that were planned.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod::node::domain::agent::AgentStatus;
use synod::node::domain::event::{Event, Governing};
use synod::node::domain::id::AgentId;
use synod::node::domain::rollout::Stage;

use crate::faults::Kind;
use crate::history::{Fact, Governance, Plan, Record, Tended};
use crate::judges::lives::Lives;
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "tending holds",
    says: "who begins anew is given nothing until it has, who leaves ends what it has, and pools keep their bounds and end \
           their rollouts",
    look,
};

/// The ways of a rollout; from its ends only another one leads on.
const WAYS: [(&str, &str); 5] = [
    ("canary", "rolling"),
    ("canary", "rolling_back"),
    ("rolling", "done"),
    ("rolling", "rolling_back"),
    ("rolling_back", "rolled_back"),
];

/// What is said of work that an agent gives back because it leaves, and its node does not stop.
const GAVE_BACK: [&str; 3] = [
    "its pool has become smaller, and its agent left before it was done",
    "its place moved to another node before it was done",
    "its agent was to begin anew, and was not done in time",
];

/// How long before and after the end of a node its agents may be without patience: they have two seconds then, and it may
/// take a while until others hear of it or nobody can be told.
const AFTER: Duration = Duration::from_secs(3);
const BEFORE: Duration = Duration::from_secs(8);

/// How long after nodes were told to stop the last of them may still be about to.
const STOPS: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct Pools {
    plan: Plan,
    /// When nodes ended.
    ends: Vec<Duration>,
    /// The pools of agents, where they are planned.
    members: BTreeMap<AgentId, String>,
    /// Agents that serve.
    serve: BTreeSet<AgentId>,
    /// Those that served and were told to begin anew.
    renew: BTreeSet<AgentId>,
    /// How far the rollout of each pool is.
    stages: BTreeMap<String, String>,
    /// How the pools stood that somebody looks after, when it was looked up last.
    tended: Vec<Tended>,
    checked: usize,
}

fn look(history: &[Record]) -> Verdict {
    let (plan, ends) = (Plan::said(history), ends(history));
    let (mut pools, mut lives) = (Pools { plan, ends, ..Pools::default() }, Lives::default());
    for (place, record) in history.iter().enumerate() {
        if lives.forget(record) {
            pools.forget();
        }
        let found = match &record.fact {
            Fact::Happened { event: event @ Event::TaskLeased { task, .. }, .. }
            | Fact::Happened { event: event @ Event::TaskReturned { task, .. }, .. } => {
                pools.hold(record.at, event).map_err(|what| (Some(*task), what))
            }
            Fact::Happened { event, .. } => pools.hear(event).map_err(|what| (None, what)),
            Fact::Governs(Governance { tended, .. }) => {
                pools.tended.clone_from(tended);
                Ok(())
            }
            Fact::Closed => pools.close().map_err(|what| (None, what)),
            _ => Ok(()),
        };
        if let Err((task, what)) = found {
            return broken(place, task, what);
        }
    }
    Ok(pools.checked)
}

/// Returns when nodes ended that had told their agents to: by themselves, or because they were told to stop. One may lose its
/// power after it was told and before it has stopped.
fn ends(history: &[Record]) -> Vec<Duration> {
    let mut told = None;
    let mut ends = Vec::new();
    for record in history {
        match &record.fact {
            Fact::Injected(fault)
                if matches!(
                    fault.kind(),
                    Kind::Restart | Kind::RollingRestart | Kind::Leave | Kind::StayOut
                ) =>
            {
                told = Some(record.at);
            }
            Fact::Stopped | Fact::NodeFailed { .. } => ends.push(record.at),
            Fact::Lost { .. } if told.is_some_and(|told| record.at <= told + STOPS) => ends.push(record.at),
            _ => {}
        }
    }
    ends
}

const fn is_of_rollout(what: Governing) -> bool {
    matches!(what, Governing::RolloutBegun | Governing::RolloutChanged | Governing::RolloutEnded)
}

impl Pools {
    /// Knows only from here on who serves, who begins anew and how far a rollout is. No agent goes to another pool.
    fn forget(&mut self) {
        self.serve.clear();
        self.renew.clear();
        self.stages.clear();
    }

    /// Holds that work goes to nobody who begins anew, and is not cut off by one who leaves.
    fn hold(&mut self, at: Duration, event: &Event) -> Result<(), String> {
        match event {
            Event::TaskLeased { agent, .. } if self.renew.contains(agent) => {
                Err(format!("{agent} gets it, which is to begin anew first"))
            }
            Event::TaskReturned { agent, reason, .. } if self.members.contains_key(agent) => {
                let is_near = |end: &Duration| at <= *end + AFTER && *end <= at + BEFORE;
                if GAVE_BACK.contains(&&**reason) && !self.ends.iter().any(is_near) {
                    return Err(format!("{agent} leaves and gives it back, and had the time to end it"));
                }
                self.checked += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn hear(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::AgentRegistered { agent, pool, .. } => {
                let planned = pool.iter().filter(|pool| self.plan.pools.contains_key(pool.as_str()));
                self.members.extend(planned.map(|pool| (*agent, pool.to_string())));
                self.changed(*agent, false);
            }
            Event::AgentRemoved { agent, .. } => self.changed(*agent, false),
            Event::AgentChanged { agent, status, .. } => self.stands(*agent, *status),
            Event::PoolChanged { pool, target } => {
                let Some(size) = self.plan.pools.get(pool.as_str()) else { return Ok(()) };
                if *target < size.least || *target > size.most {
                    let (least, most) = (size.least, size.most);
                    return Err(format!("{pool} shall have {target} agents, and may have {least} to {most}"));
                }
                self.checked += 1;
            }
            Event::Governed { what: Governing::AgentRenewed, agent: Some(agent), .. }
                if self.serve.contains(agent) =>
            {
                self.renew.insert(*agent);
                self.checked += 1;
            }
            Event::Governed { what, subject, detail, .. } if is_of_rollout(*what) => {
                self.moved(*what, subject, detail)?;
                self.checked += 1;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes note that an agent begins another life, or is there no more.
    fn changed(&mut self, agent: AgentId, serves: bool) {
        self.renew.remove(&agent);
        if serves {
            self.serve.insert(agent);
        } else {
            self.serve.remove(&agent);
        }
    }

    fn stands(&mut self, agent: AgentId, status: AgentStatus) {
        match status {
            // It finishes what it has.
            AgentStatus::Draining => drop(self.serve.remove(&agent)),
            AgentStatus::Ready | AgentStatus::Busy | AgentStatus::Standby => self.changed(agent, true),
            AgentStatus::Starting | AgentStatus::Offline | AgentStatus::Failed => self.changed(agent, false),
        }
    }

    fn moved(&mut self, what: Governing, pool: &str, detail: &str) -> Result<(), String> {
        let to = detail.split_once(':').map_or(detail, |(stage, _)| stage);
        let from = self.stages.insert(pool.to_owned(), to.to_owned());
        // Another one may begin whenever the pool's definition is put.
        let Some(from) = from.filter(|_| what != Governing::RolloutBegun) else { return Ok(()) };
        let is_over = matches!(to, "done" | "rolled_back");
        if is_over != (what == Governing::RolloutEnded) {
            return Err(format!("the rollout of {pool} is {to}, and it is not said that it ended"));
        }
        if from == to && !is_over || WAYS.contains(&(&from, to)) {
            return Ok(());
        }
        Err(format!("the rollout of {pool} goes from {from} to {to}"))
    }

    /// Holds that pools that were let be have come to rest: with as many agents as they should have, of one version.
    fn close(&mut self) -> Result<(), String> {
        for one in self.tended.iter().filter(|one| self.plan.pools.contains_key(one.pool.as_str())) {
            let Tended { pool, target, serving, rollout } = one;
            // An open finding, docs/SIMULATION.md: one that is taken back while its agents move to other nodes may stay so,
            // although as many serve as should.
            let is_known = |stage: &Stage| *stage == Stage::RollingBack && serving == target;
            if let Some(stage) = rollout.filter(|stage| !stage.is_over() && !is_known(stage)) {
                return Err(format!("the rollout of {pool} never ends: it is {stage}"));
            }
            if serving != target {
                return Err(format!("{pool} should have {target} agents, and {serving} serve"));
            }
            self.checked += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use synod::node::domain::name::Name;
    use synod::node::domain::time::Timestamp;

    use crate::history::Size;
    use crate::judges::histories::*;
    use crate::workload::Workload;

    use super::*;

    fn changes(index: u64, status: AgentStatus) -> Fact {
        happened(
            index,
            Event::AgentChanged { agent: agent(9), workspace: Name::default(), status, reason: "".into() },
        )
    }

    fn renews(index: u64) -> Fact {
        let (what, subject, detail) = (Governing::AgentRenewed, "bed".into(), "".into());
        let agent = Some(agent(9));
        happened(index, Event::Governed { what, subject, workspace: None, task: None, agent, detail })
    }

    fn registers(index: u64) -> Fact {
        let (name, pool) = (Name::default(), Some("bed".parse().unwrap()));
        happened(index, Event::AgentRegistered { agent: agent(9), name, pool })
    }

    /// A world in which a pool may have one agent to three.
    fn planned(facts: impl IntoIterator<Item = Fact>) -> Vec<Record> {
        let pools = [("bed".to_owned(), Size { least: 1, most: 3 })].into();
        let plan = Fact::Planned(Plan { pools, ..Plan::of([Workload::Tending]) });
        history([plan].into_iter().chain(facts))
    }

    #[test]
    fn an_agent_that_is_to_begin_anew_and_gets_work_is_found() {
        let then = |more: Vec<Fact>| {
            let before = [changes(1, AgentStatus::Ready), leased(2, 1, 1), renews(3)];
            look(&history(before.into_iter().chain(more)))
        };
        assert!(then(vec![leased(4, 2, 1)]).is_err());
        assert!(then(vec![changes(3, AgentStatus::Draining), leased(4, 2, 1)]).is_err());
        assert_eq!(then(vec![registers(5), leased(6, 2, 1)]), Ok(1));
        assert_eq!(then(vec![changes(5, AgentStatus::Offline), registers(5), leased(6, 2, 1)]), Ok(1));
        let unknown = [renews(3), leased(4, 2, 1)];
        assert_eq!(look(&history(unknown)), Ok(0), "it may not have served");
    }

    #[test]
    fn an_agent_that_leaves_with_work_that_it_could_end_is_found_unless_its_node_ends() {
        let gives_back = |reason: &str| {
            let (task, workspace, agent) = (task(1), Name::default(), agent(9));
            let (reason, until) = (reason.into(), Timestamp::ZERO);
            happened(3, Event::TaskReturned { task, workspace, agent, attempt: 1, reason, until })
        };
        for reason in GAVE_BACK {
            let then = |more: Vec<Fact>| {
                look(&planned([registers(1), leased(2, 1, 1), gives_back(reason)].into_iter().chain(more)))
            };
            assert!(then(vec![]).is_err(), "{reason}");
            assert_eq!(then(vec![Fact::Stopped]), Ok(1), "{reason}");
            let mut late = planned([registers(1), gives_back(reason), Fact::Stopped]);
            late[3].at = Duration::from_secs(60);
            assert!(look(&late).is_err(), "that end was a minute later");
            assert_eq!(look(&history([registers(1), gives_back(reason)])), Ok(0), "nobody planned that pool");
        }
        let fails = [registers(1), leased(2, 1, 1), gives_back("the script says so")];
        assert_eq!(look(&planned(fails)), Ok(1));
    }

    #[test]
    fn a_pool_that_leaves_its_bounds_is_found() {
        let shall_have = |target| {
            let pool = "bed".parse().unwrap();
            happened(1, Event::PoolChanged { pool, target })
        };
        assert_eq!(look(&planned([shall_have(1), shall_have(3)])), Ok(2));
        assert!(look(&planned([shall_have(0)])).is_err());
        assert!(look(&planned([shall_have(4)])).is_err());
        assert_eq!(look(&history([shall_have(4)])), Ok(0), "nobody planned that one");
    }

    #[test]
    fn a_rollout_that_goes_where_it_may_not_is_found() {
        let goes = |stages: &[&str]| {
            let begun = told(1, Governing::RolloutBegun, "bed", None, "canary: it has begun");
            let moves = stages.iter().map(|stage| {
                let is_over = matches!(*stage, "done" | "rolled_back");
                let what = if is_over { Governing::RolloutEnded } else { Governing::RolloutChanged };
                told(2, what, "bed", None, &format!("{stage}: so it is"))
            });
            look(&history([begun].into_iter().chain(moves)))
        };
        assert_eq!(goes(&["canary", "rolling", "rolling", "done"]), Ok(5));
        assert_eq!(goes(&["rolling_back", "rolled_back"]), Ok(3));
        for wrong in [&["done"][..], &["rolling", "canary"], &["rolling", "done", "done"], &["rolled_back"]] {
            assert!(goes(wrong).is_err(), "{wrong:?}");
        }
        let again = told(9, Governing::RolloutChanged, "bed", None, "done: it is");
        assert!(
            look(&history([told(1, Governing::RolloutBegun, "bed", None, "rolling: x"), again])).is_err()
        );
    }

    #[test]
    fn a_pool_that_does_not_come_to_rest_is_found() {
        let ends = |serving, rollout| {
            let one = Tended { pool: "bed".parse().unwrap(), target: 2, serving, rollout };
            let governance = Governance { tended: vec![one], ..Governance::default() };
            look(&planned([Fact::Governs(governance), Fact::Closed]))
        };
        assert_eq!(
            (ends(2, None), ends(2, Some(Stage::Done)), ends(2, Some(Stage::RolledBack))),
            (Ok(1), Ok(1), Ok(1))
        );
        assert!(ends(2, Some(Stage::Rolling)).is_err());
        assert!(ends(1, Some(Stage::RollingBack)).is_err());
        assert!(ends(1, None).is_err());
        assert!(ends(3, None).is_err());
    }
}
