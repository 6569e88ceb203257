//! A breaker holds: it opens at so many failures in a row, lets nothing begin while it is open, and as many probes as it
//! asks for when it is half-open; it is half-open when its time is over, and what it held back goes when it closes.
//!
//! Source: docs, "Breakers". At how many failures a breaker opens and how many probes it ever asks for was said before the
//! world began. Everything else follows from events, which stand in the order of the log: that a breaker has turned is told
//! before the end of the attempt that turned it. A probe that is lost with its agent makes room for another.
//!
//! How long one is open is in its state alone: a look that shows one open whose time is over, by the time of that state, is
//! wrong at once, and so is one that shows work waiting for a breaker that is closed. A reset of one that is closed is not
//! told, and forgets its failures: each that was asked for excuses one breaker once that does not open.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::{Event, Governing};
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::task::Phase;

use crate::history::{Breaker, Change, Circuit, Fact, Governance, Plan, Record, Request};
use crate::judges::work::{Heard, Lease, Work, is_failure};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::Workload;

pub(super) const JUDGE: Judge = Judge {
    name: "breakers hold",
    says: "an open breaker lets nothing begin, a half-open one its probes alone, and it opens at so many failures in a row",
    look,
};

/// How a breaker stands, as far as it is known.
#[derive(Debug)]
enum Stands {
    /// Work goes through; so many attempts failed in a row at least.
    Closed(u32),
    Open,
    HalfOpen {
        /// On their way.
        probes: BTreeSet<(TaskId, u32)>,
        succeeded: usize,
    },
    /// Half-open, with probes that are not known.
    Unknown,
}

/// What is known of a breaker.
#[derive(Debug)]
struct Known {
    /// The last entry of the log that says nothing new of it.
    from: u64,
    stands: Stands,
}

#[derive(Debug, Default)]
struct Breakers {
    plan: Plan,
    /// Those of the plan that there are.
    there: BTreeMap<String, Known>,
    /// Whether the next look says which there are.
    blind: bool,
    /// The pools of the agents of which that is known.
    pools: BTreeMap<AgentId, Option<Name>>,
    /// How many resets were asked for of which nothing was seen.
    resets: BTreeMap<String, u32>,
}

/// How an attempt fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fared {
    Well,
    Badly,
    /// It says nothing of the work.
    Lost,
}

fn look(history: &[Record]) -> Verdict {
    let mut breakers = Breakers { plan: Plan::said(history), ..Breakers::default() };
    if !breakers.plan.has(Workload::Breakers) {
        return Ok(0);
    }
    let (mut work, mut checked) = (Work::default(), 0);
    for (place, record) in history.iter().enumerate() {
        let (mut index, mut fared) = (0, Fared::Lost);
        match &record.fact {
            Fact::Asked { request: Request::Govern(Change::ResetBreaker { of }), .. } => {
                *breakers.resets.entry(of.clone()).or_default() += 1;
            }
            Fact::Happened { index: of, event, .. } => {
                (index, fared) = (*of, how(event));
                match event {
                    Event::TaskEnded { task, phase: Phase::Completed, agent, .. } => {
                        breakers.succeeded(index, work.kind(*task), *agent);
                    }
                    Event::AgentRegistered { agent, pool, .. } => {
                        breakers.pools.insert(*agent, pool.clone());
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        let (task, wrong) = match work.hear(record) {
            Heard::Forgot => {
                breakers.there.clear();
                breakers.blind = true;
                continue;
            }
            Heard::Governs(governance) => {
                checked += governance.breakers.len();
                (None, breakers.looked_up(governance))
            }
            Heard::Governed { what, subject, detail, .. } => {
                breakers.turned(index, what, subject, detail);
                continue;
            }
            Heard::Leased(lease) => {
                let kind = work.kind(lease.task);
                checked += usize::from(breakers.plan.breakers.values().any(|fuse| fuse.is_about(kind)));
                (Some(lease.task), breakers.leased(index, &lease, kind))
            }
            Heard::Completed(lease) | Heard::Returned(lease) => {
                (Some(lease.task), breakers.ended(index, &lease, work.kind(lease.task), fared))
            }
            Heard::Other => continue,
        };
        if let Err(what) = wrong {
            return broken(place, task, what);
        }
    }
    Ok(checked)
}

/// Says how an attempt fared by the event that tells of its end.
fn how(event: &Event) -> Fared {
    let reason = match event {
        Event::TaskEnded { phase: Phase::Completed, .. } => return Fared::Well,
        Event::TaskReturned { reason, .. } => Some(reason),
        Event::TaskEnded { reason, phase: Phase::Failed | Phase::TimedOut, .. } => reason.as_ref(),
        _ => None,
    };
    if reason.is_some_and(|reason| is_failure(reason)) { Fared::Badly } else { Fared::Lost }
}

impl Breakers {
    /// Takes note that a task completed, also one of whose lease nothing is known, or that nobody told of. A pool does work
    /// of other types, too, which is open to everybody: what its agents complete counts, whatever it is.
    fn succeeded(&mut self, index: u64, kind: &str, agent: Option<AgentId>) {
        let pool = agent.and_then(|agent| self.pools.get(&agent));
        for (of, known) in self.there.iter_mut().filter(|(_, known)| known.from < index) {
            let is_by_it = of.strip_prefix("pool/").is_some_and(|of| {
                pool.is_none_or(|pool| pool.as_ref().is_some_and(|pool| pool.as_str() == of))
            });
            let is_about = is_by_it || self.plan.breakers.get(of).is_none_or(|fuse| fuse.is_about(kind));
            if let Stands::Closed(failures) = &mut known.stands
                && (is_about || kind.is_empty())
            {
                *failures = 0;
            }
        }
    }

    fn turned(&mut self, index: u64, what: Governing, of: &str, detail: &str) {
        if !self.plan.breakers.contains_key(of) {
            return;
        }
        let from = index.saturating_sub(1);
        if what == Governing::BreakerSet && detail == "removed" {
            self.there.remove(of);
            return;
        }
        let Some(known) = self.there.get_mut(of) else {
            // What closes may have been removed; what is set where nothing is known may be there already.
            let stands = match what {
                Governing::BreakerOpened => Stands::Open,
                Governing::BreakerSet if !self.blind => Stands::Closed(0),
                _ => return,
            };
            self.there.insert(of.to_owned(), Known { from, stands });
            return;
        };
        if known.from >= index {
            return;
        }
        match what {
            Governing::BreakerOpened => known.stands = Stands::Open,
            Governing::BreakerClosed => {
                // Only somebody's hand closes one that is open: that reset is used.
                if matches!(known.stands, Stands::Open)
                    && let Some(resets) = self.resets.get_mut(of)
                {
                    *resets = resets.saturating_sub(1);
                }
                known.stands = Stands::Closed(0);
            }
            // Said again when a probe was lost.
            Governing::BreakerHalfOpened if matches!(known.stands, Stands::Open) => {
                known.stands = Stands::HalfOpen { probes: BTreeSet::new(), succeeded: 0 };
            }
            _ => {}
        }
    }

    fn leased(&mut self, index: u64, lease: &Lease, kind: &str) -> Result<(), String> {
        for (of, known) in self.there.iter_mut().filter(|(_, known)| known.from < index) {
            let Some(fuse) = self.plan.breakers.get(of).filter(|fuse| fuse.is_about(kind)) else { continue };
            match &mut known.stands {
                Stands::Closed(_) | Stands::Unknown => {}
                Stands::Open => return Err(format!("it begins, and the breaker of {of} is open")),
                Stands::HalfOpen { probes, succeeded } => {
                    probes.insert((lease.task, lease.attempt));
                    let (count, most) = (probes.len() + *succeeded, fuse.probes);
                    if count > most as usize {
                        return Err(format!(
                            "it is probe {count} of the breaker of {of}, and {most} are the most"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn ended(&mut self, index: u64, lease: &Lease, kind: &str, fared: Fared) -> Result<(), String> {
        for (of, known) in self.there.iter_mut().filter(|(_, known)| known.from < index) {
            let Some(fuse) = self.plan.breakers.get(of).filter(|fuse| fuse.is_about(kind)) else { continue };
            match &mut known.stands {
                Stands::Closed(failures) if fared == Fared::Badly => {
                    *failures += 1;
                    // The word that it opened would have come before.
                    if *failures >= fuse.failures {
                        let resets = self.resets.get_mut(of).filter(|resets| **resets > 0);
                        let Some(resets) = resets else {
                            return Err(format!(
                                "it is failure {failures} in a row, and the breaker of {of} is closed"
                            ));
                        };
                        (*resets, *failures) = (*resets - 1, 1);
                    }
                }
                Stands::Closed(_) | Stands::Open | Stands::Unknown => {}
                Stands::HalfOpen { probes, succeeded } => {
                    let was_probe = probes.remove(&(lease.task, lease.attempt));
                    *succeeded += usize::from(was_probe && fared == Fared::Well);
                    if was_probe && fared == Fared::Badly {
                        return Err(format!(
                            "it is a probe that failed, and the breaker of {of} is not open"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn looked_up(&mut self, governance: &Governance) -> Result<(), String> {
        let now = governance.now;
        for Breaker { of, circuit, waiting } in &governance.breakers {
            match circuit {
                Circuit::Open(until) if *until <= now => {
                    return Err(format!("the breaker of {of} is open until {until}, and it is {now}"));
                }
                Circuit::Closed if *waiting > 0 => {
                    return Err(format!("{waiting} wait for the breaker of {of}, which is closed"));
                }
                Circuit::Open(_) | Circuit::HalfOpen | Circuit::Closed => {}
            }
        }
        if std::mem::take(&mut self.blind) {
            let planned = governance.breakers.iter().filter(|one| self.plan.breakers.contains_key(&one.of));
            let known = |one: &Breaker| {
                let stands = match one.circuit {
                    Circuit::HalfOpen => Stands::Unknown,
                    Circuit::Open(_) => Stands::Open,
                    // Of failures before this nothing is known: it may open sooner.
                    Circuit::Closed => Stands::Closed(0),
                };
                (one.of.clone(), Known { from: governance.index, stands })
            };
            self.there = planned.map(known).collect();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use synod::node::domain::time::Timestamp;

    use crate::agent::SCRIPTED_FAILURE;
    use crate::history::Fuse;
    use crate::judges::histories::*;

    use super::*;

    const GLASS: &str = "type/brittle-glass";

    fn told_of(index: u64, what: Governing) -> Fact {
        told(index, what, GLASS, None, "set")
    }

    fn returned(index: u64, number: u128, reason: &str) -> Fact {
        let (task, workspace) = (task(number), Name::default());
        let (reason, until) = (reason.into(), Timestamp::ZERO);
        happened(index, Event::TaskReturned { task, workspace, agent: agent(9), attempt: 1, reason, until })
    }

    fn failed(index: u64, number: u128) -> Fact {
        returned(index, number, SCRIPTED_FAILURE)
    }

    /// A world in which there may be a breaker of one type.
    fn planned() -> Fact {
        let fuse = Fuse { failures: 3, probes: 2, kinds: ["brittle-glass".to_owned()].into() };
        let breakers = [(GLASS.to_owned(), fuse)].into();
        Fact::Planned(Plan { breakers, ..Plan::of([Workload::Breakers]) })
    }

    /// A breaker, and tasks of its type; some have failed.
    fn after(failures: u128, more: impl IntoIterator<Item = Fact>) -> Verdict {
        let submits = (1..9).map(|number| submitted_as(1, number, "brittle-glass"));
        let other = [submitted_as(1, 9, "brittle-china"), told_of(2, Governing::BreakerSet)];
        let fails = (1..=failures).flat_map(|number| [leased(3, number, 1), failed(4, number)]);
        look(&history([planned()].into_iter().chain(submits).chain(other).chain(fails).chain(more)))
    }

    #[test]
    fn what_begins_behind_an_open_breaker_is_found() {
        let open = || [leased(5, 3, 1), told_of(6, Governing::BreakerOpened), failed(6, 3)];
        let then = |more: Vec<Fact>| after(2, open().into_iter().chain(more));
        assert!(then(vec![leased(7, 4, 1)]).is_err());
        assert_eq!(then(vec![leased(7, 9, 1)]), Ok(3), "it is of another type");
        assert_eq!(then(vec![told_of(7, Governing::BreakerClosed), leased(8, 4, 1)]), Ok(4));
        let removed = told(7, Governing::BreakerSet, GLASS, None, "removed");
        assert_eq!(then(vec![removed, leased(8, 4, 1)]), Ok(4));
        let other = told(2, Governing::BreakerOpened, "type/brittle-china", None, "open");
        assert_eq!(after(0, [other, leased(3, 9, 1)]), Ok(0), "nobody planned that one");
    }

    #[test]
    fn a_breaker_that_does_not_open_is_found() {
        assert_eq!(after(2, []), Ok(2));
        assert!(after(3, []).is_err());
        let ends = [leased(5, 3, 1), ended(6, 3, Phase::Completed), leased(7, 4, 1), failed(8, 4)];
        assert_eq!(after(2, ends), Ok(4), "they are not in a row");
        let lost = [leased(5, 3, 1), returned(6, 3, "its node is gone")];
        assert_eq!(after(2, lost), Ok(3), "it says nothing of the work");
        let unseen = [ended(5, 3, Phase::Completed), leased(5, 4, 1), failed(6, 4)];
        assert_eq!(after(2, unseen), Ok(3), "who completed is not known to have begun");
    }

    #[test]
    fn other_work_that_the_agents_of_a_pool_complete_counts_for_its_breaker() {
        let pool = "pool/fused";
        let fuse = Fuse { failures: 3, probes: 2, kinds: ["brittle-glass".to_owned()].into() };
        let plan = Plan { breakers: [(pool.to_owned(), fuse)].into(), ..Plan::of([Workload::Breakers]) };
        let is_of = |pool: &str| {
            let (name, pool) = ("ann".parse().unwrap(), Some(pool.parse().unwrap()));
            happened(1, Event::AgentRegistered { agent: agent(9), name, pool })
        };
        let submits = (1..4).map(|number| submitted_as(1, number, "brittle-glass"));
        let fails = |number| [leased(4, number, 1), failed(5, number)];
        let first = [told(2, Governing::BreakerSet, pool, None, "set"), submitted_as(1, 9, "simulated")];
        let (workspace, phase, by) = (Name::default(), Phase::Completed, Some(agent(9)));
        let over = Event::TaskEnded { task: task(9), workspace, phase, reason: None, agent: by, run: None };
        let other = [leased(4, 9, 1), happened(5, over)];
        let facts = || {
            submits.clone().chain(first.clone()).chain([fails(1), fails(2), other.clone(), fails(3)].concat())
        };
        let then = |more: Vec<Fact>| {
            look(&history([Fact::Planned(plan.clone())].into_iter().chain(more).chain(facts())))
        };
        assert_eq!(then(vec![is_of("fused")]), Ok(3));
        assert_eq!(then(vec![]), Ok(3), "whose agent it was is not known");
        assert!(then(vec![is_of("other")]).is_err());
    }

    #[test]
    fn a_reset_that_was_asked_for_excuses_a_breaker_once() {
        let reset = || asked(1, Request::Govern(Change::ResetBreaker { of: GLASS.to_owned() }));
        let fails = |numbers: std::ops::Range<u128>| {
            numbers.flat_map(|number| [leased(7, number, 1), failed(8, number)]).collect::<Vec<_>>()
        };
        assert_eq!(after(2, [vec![reset()], fails(3..5)].concat()), Ok(4));
        assert!(after(2, [vec![reset()], fails(3..6)].concat()).is_err());
        let used = vec![told_of(5, Governing::BreakerOpened), reset(), told_of(6, Governing::BreakerClosed)];
        assert!(after(2, [used, fails(3..6)].concat()).is_err(), "that one closed it");
    }

    #[test]
    fn more_probes_than_were_asked_for_are_found_and_one_that_is_lost_makes_room() {
        let half_open = || [told_of(5, Governing::BreakerOpened), told_of(6, Governing::BreakerHalfOpened)];
        let then = |more: Vec<Fact>| after(0, half_open().into_iter().chain(more));
        let two = || vec![leased(7, 1, 1), leased(7, 2, 1)];
        assert_eq!(then(two()), Ok(2));
        assert!(then([two(), vec![leased(8, 3, 1)]].concat()).is_err());
        let succeeds = vec![ended(8, 1, Phase::Completed), leased(9, 3, 1)];
        assert!(then([two(), succeeds].concat()).is_err());
        let lost = vec![ended(8, 1, Phase::Cancelled), leased(9, 3, 1)];
        assert_eq!(then([two(), lost].concat()), Ok(3));
        assert!(then([two(), vec![failed(8, 1)]].concat()).is_err(), "a probe that fails opens it");
    }

    #[test]
    fn one_that_is_open_for_longer_than_its_time_is_found_and_so_is_work_that_a_closed_one_keeps() {
        let shows = |circuit, waiting| {
            let breakers = vec![Breaker { of: GLASS.to_owned(), circuit, waiting }];
            let now = Timestamp::from_millis(500);
            Fact::Governs(Governance { index: 6, now, breakers, ..Governance::default() })
        };
        let until = |millis| shows(Circuit::Open(Timestamp::from_millis(millis)), 1);
        let skips = |shown, then| after(0, [Fact::Skipped, shown, then]);
        assert!(skips(until(500), Fact::Closed).is_err());
        assert!(skips(shows(Circuit::Closed, 1), Fact::Closed).is_err());
        assert!(skips(until(501), leased(7, 1, 1)).is_err());
        assert_eq!(skips(until(501), leased(6, 1, 1)), Ok(2), "who is looked at may be ahead");
        for circuit in [Circuit::HalfOpen, Circuit::Closed] {
            assert_eq!(skips(shows(circuit, 0), leased(7, 1, 1)), Ok(2));
        }
    }
}
