//! No task begins while its approval is not given, and none does after it was denied or has expired; a policy that asks for
//! one, or denies, does so for every task that it is about while it is in force.
//!
//! Source: issue 6, "approvals are durable"; docs, "Approvals". What a policy is about is told by the types of tasks and by
//! its name, where clients ask for approvals; of other policies only what they asked for is known.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::approval::ApprovalStatus;
use synod::node::domain::event::{Event, Governing};
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;

use crate::history::{Fact, Governance, Plan, Record};
use crate::judges::work::{Heard, Lease, Work};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::Workload;

pub(super) const JUDGE: Judge = Judge {
    name: "approvals hold",
    says: "no task is taken or given out against a policy, nor begins without the approval that was asked for",
    look,
};

#[derive(Debug, Default)]
struct Watch {
    /// Whether policies are those of the world's clients, whose names say what they are about.
    knows: bool,
    policies: BTreeSet<String>,
    /// Approvals by their names: whose, and what came of it.
    approvals: BTreeMap<String, (TaskId, ApprovalStatus)>,
    /// Those that somebody said yes to and that still wait.
    agreed: BTreeSet<String>,
    /// Tasks that were submitted, and that must be asked for before anything else comes.
    must_ask: Option<(TaskId, usize)>,
    agents: BTreeMap<AgentId, Name>,
}

fn look(history: &[Record]) -> Verdict {
    let knows = Plan::said(history).has(Workload::Approvals);
    let mut watch = Watch { knows, ..Watch::default() };
    let (mut work, mut checked) = (Work::default(), 0);
    for (place, record) in history.iter().enumerate() {
        if let Fact::Happened { event: Event::AgentRegistered { agent, name, .. }, .. } = &record.fact {
            watch.agents.insert(*agent, name.clone());
        }
        match work.hear(record) {
            Heard::Forgot => {
                let agents = std::mem::take(&mut watch.agents);
                watch = Watch { knows, agents, ..Watch::default() };
            }
            Heard::Governs(governance) => watch.looked_up(governance),
            Heard::Governed { what, subject, task, .. } => {
                if let Some(wrong) = watch.governed(what, subject, task) {
                    return broken(place, task, wrong);
                }
            }
            Heard::Leased(lease) => {
                if let Some(wrong) = watch.leased(&lease, work.kind(lease.task)) {
                    return broken(place, Some(lease.task), wrong);
                }
                checked += 1;
            }
            Heard::Completed(_) | Heard::Returned(_) | Heard::Other => {}
        }
        if let Fact::Happened { event, .. } = &record.fact
            && let Some((task, place, wrong)) = watch.submitted(event, place)
        {
            return broken(place, Some(task), wrong);
        }
    }
    Ok(checked)
}

impl Watch {
    fn looked_up(&mut self, governance: &Governance) {
        let known = governance.policies.iter().filter(|_| self.knows);
        self.policies = known.map(ToString::to_string).collect();
        self.must_ask = None;
        for (approval, task, status) in &governance.approvals {
            self.approvals.insert(approval.to_string(), (*task, *status));
        }
    }

    /// Holds a task that was taken against the policies in force. One that must be asked for is asked for in the entry
    /// that takes it, before it may go.
    fn submitted(&mut self, event: &Event, place: usize) -> Option<(TaskId, usize, String)> {
        match event {
            Event::TaskSubmitted { task, kind, .. } => {
                if kind.as_str() == "forbidden" && self.policies.contains("deny-forbidden") {
                    return Some((*task, place, "it was taken although a policy denies it".to_owned()));
                }
                if kind.as_str() == "careful" && self.policies.contains("ask-careful") {
                    self.must_ask = Some((*task, place));
                }
                None
            }
            Event::TaskParked { task, on, .. } => {
                let (asks, submitted) = self.must_ask.take_if(|(asks, _)| asks == task)?;
                let asked = self.approvals.values().any(|(of, _)| *of == asks);
                let wrong = "nobody was asked to approve it, although a policy wants that".to_owned();
                (!asked || &**on != "approval").then_some((asks, submitted, wrong))
            }
            Event::TaskReady { task, .. } | Event::TaskLeased { task, .. } => {
                let (asks, submitted) = self.must_ask.take_if(|(asks, _)| asks == task)?;
                Some((asks, submitted, "it went on, and nobody was asked to approve it".to_owned()))
            }
            _ => None,
        }
    }

    fn governed(&mut self, what: Governing, subject: &str, task: Option<TaskId>) -> Option<String> {
        let status = match what {
            Governing::PolicyPut => {
                if self.knows {
                    self.policies.insert(subject.to_owned());
                }
                return None;
            }
            Governing::PolicyRemoved => {
                self.policies.remove(subject);
                return None;
            }
            Governing::ApprovalVoted => {
                self.agreed.insert(subject.to_owned());
                return None;
            }
            Governing::ApprovalRequested => ApprovalStatus::Pending,
            Governing::ApprovalGranted => ApprovalStatus::Approved,
            Governing::ApprovalDenied => ApprovalStatus::Denied,
            Governing::ApprovalExpired => ApprovalStatus::Expired,
            _ => return None,
        };
        let before = self.approvals.insert(subject.to_owned(), (task?, status)).map(|(_, status)| status);
        match (before, status) {
            (Some(before), ApprovalStatus::Approved) if before != ApprovalStatus::Pending => {
                Some(format!("{subject} was given after it was {before}"))
            }
            _ => None,
        }
    }

    /// Says why a lease should not have been given.
    fn leased(&self, lease: &Lease, kind: &str) -> Option<String> {
        let of_task = self.approvals.iter().filter(|(_, (task, _))| *task == lease.task);
        for (approval, (_, status)) in of_task {
            if *status != ApprovalStatus::Approved {
                return Some(format!("{approval} is {status}"));
            }
        }
        let banned = self.agents.get(&lease.agent).map(|name| format!("ban-{name}"));
        match banned {
            Some(policy) if kind == "choosy" && self.policies.contains(&policy) => {
                Some(format!("policy {policy} does not let that agent have it"))
            }
            _ if kind == "guarded" && self.policies.contains("ask-guarded") => {
                let asked = self.approvals.values().any(|(task, _)| *task == lease.task);
                (!asked).then(|| "it was given out, and nobody was asked".to_owned())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::MailboxId;

    use crate::judges::histories::*;

    use super::*;

    fn planned(facts: impl IntoIterator<Item = Fact>) -> Vec<Record> {
        history([clients_ask_for(Workload::Approvals)].into_iter().chain(facts))
    }

    fn policy(name: &str) -> Fact {
        governed(1, Governing::PolicyPut, name, None)
    }

    fn of(what: Governing) -> Fact {
        governed(2, what, "approval_1", Some(task(1)))
    }

    fn parked(on: &str) -> Fact {
        let (workspace, on, what) = (Name::default(), on.into(), "approval_1".into());
        happened(2, Event::TaskParked { task: task(1), workspace, on, what })
    }

    fn asked() -> [Fact; 4] {
        [
            policy("ask-careful"),
            submitted_as(2, 1, "careful"),
            of(Governing::ApprovalRequested),
            parked("approval"),
        ]
    }

    #[test]
    fn a_task_that_begins_without_its_approval_is_found() {
        let then = |more: Vec<Fact>| look(&planned(asked().into_iter().chain(more)));
        assert_eq!(then(vec![]), Ok(0));
        assert_eq!(then(vec![of(Governing::ApprovalGranted), leased(4, 1, 1)]), Ok(1));
        assert!(then(vec![leased(4, 1, 1)]).is_err());
        for no in [Governing::ApprovalDenied, Governing::ApprovalExpired] {
            assert!(then(vec![of(no), leased(4, 1, 1)]).is_err());
            assert!(then(vec![of(no), of(Governing::ApprovalGranted)]).is_err());
        }
        let looked = Fact::Governs(Governance {
            approvals: vec![(
                "approval_00000000000000000000000001".parse().unwrap(),
                task(1),
                ApprovalStatus::Pending,
            )],
            ..Governance::default()
        });
        assert!(look(&planned([submitted(1, 1), looked, leased(4, 1, 1)])).is_err());
    }

    #[test]
    fn a_policy_that_is_not_asked_is_found() {
        let ready = happened(
            2,
            Event::TaskReady { task: task(1), workspace: Name::default(), mailbox: MailboxId::Open },
        );
        for next in [ready, leased(2, 1, 1), parked("limit")] {
            assert!(look(&planned([policy("ask-careful"), submitted_as(2, 1, "careful"), next])).is_err());
        }
        assert!(look(&planned([policy("deny-forbidden"), submitted_as(2, 1, "forbidden")])).is_err());
        assert!(
            look(&planned([policy("ask-guarded"), submitted_as(2, 1, "guarded"), leased(3, 1, 1)])).is_err()
        );
        let removed = governed(2, Governing::PolicyRemoved, "deny-forbidden", None);
        assert_eq!(
            look(&planned([policy("deny-forbidden"), removed, submitted_as(2, 1, "forbidden")])),
            Ok(0)
        );
    }

    #[test]
    fn an_agent_that_may_not_have_a_task_and_gets_it_is_found() {
        let name: Name = "ann".parse().unwrap();
        let known = happened(1, Event::AgentRegistered { agent: agent(9), name, pool: None });
        let begin = |kind| [known.clone(), policy("ban-ann"), submitted_as(2, 1, kind), leased(3, 1, 1)];
        assert!(look(&planned(begin("choosy"))).is_err());
        assert_eq!(look(&planned(begin("other"))), Ok(1));
    }

    #[test]
    fn what_a_policy_is_called_says_nothing_where_clients_ask_for_none() {
        let facts = || [policy("deny-forbidden"), submitted_as(2, 1, "forbidden"), leased(3, 1, 1)];
        assert_eq!(look(&history(facts())), Ok(1));
        assert!(look(&planned(facts())).is_err());
        let waits = [submitted(2, 1), of(Governing::ApprovalRequested), leased(4, 1, 1)];
        assert!(look(&history(waits)).is_err(), "an approval is one, whoever asked for it");
    }
}
