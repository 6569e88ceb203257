//! What of a recording does not happen again, counted, so that a difference has its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod::node::domain::event::{Event, Governing};
use synod::node::domain::id::TaskId;
use synod::node::domain::name::Name;

/// What is left out.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Tasks that had begun before the recording.
    begun: BTreeSet<TaskId>,
    /// How often each sort of thing happened.
    happened: BTreeMap<Sort, usize>,
    /// The pools that are known: whatever is said of one again is a change.
    pools: BTreeMap<Name, u32>,
    /// Which tasks were held back, by the word for what held them.
    held: BTreeMap<Arc<str>, BTreeSet<TaskId>>,
}

/// A sort of thing that is left out, in the order in which it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Pause,
    Scaling,
    Region,
    Policy,
    Approval,
    Budget,
    Account,
    Limits,
    Resource,
    Breaker,
    Quota,
    Hook,
}

impl Sort {
    /// Returns the words for one of them, and for several.
    const fn words(self) -> [&'static str; 2] {
        match self {
            Self::Pause => ["pause", "pauses"],
            Self::Scaling => ["change of a pool", "changes of pools"],
            Self::Region => ["hand-over to another region", "hand-overs to other regions"],
            Self::Policy => ["change of a policy", "changes of policies"],
            Self::Approval => ["approval", "approvals"],
            Self::Budget => ["change of a budget", "changes of budgets"],
            Self::Account => ["pause that a provider asked for", "pauses that providers asked for"],
            Self::Limits => ["change of a limit set", "changes of limit sets"],
            Self::Resource => ["change of a resource", "changes of resources"],
            Self::Breaker => ["turn of a breaker", "turns of breakers"],
            Self::Quota => ["change of a quota", "changes of quotas"],
            Self::Hook => ["hook", "hooks"],
        }
    }

    /// Returns the sort of something that happened to what governs; none of what is a word about it, or has no bearing on
    /// how work goes.
    const fn of(what: Governing) -> Option<Self> {
        Some(match what {
            Governing::PolicyPut | Governing::PolicyRemoved => Self::Policy,
            Governing::ApprovalRequested => Self::Approval,
            Governing::BudgetPut
            | Governing::BudgetRemoved
            | Governing::BudgetReset
            | Governing::BudgetRaised => Self::Budget,
            Governing::AccountHeld => Self::Account,
            Governing::LimitPut | Governing::LimitRemoved => Self::Limits,
            Governing::ResourcePut | Governing::ResourceRemoved => Self::Resource,
            Governing::BreakerSet
            | Governing::BreakerOpened
            | Governing::BreakerHalfOpened
            | Governing::BreakerClosed => Self::Breaker,
            Governing::QuotaPut => Self::Quota,
            Governing::HookCreated => Self::Hook,
            Governing::PoolPolicyChanged | Governing::RolloutBegun => Self::Scaling,
            _ => return None,
        })
    }
}

impl LeftOut {
    /// Takes note of a task that had begun before the recording.
    pub(super) fn had_begun(&mut self, task: TaskId) {
        self.begun.insert(task);
    }

    /// Takes note of what happened.
    pub(super) fn hear(&mut self, event: &Event) {
        let sort = match event {
            Event::Paused { .. } => Some(Sort::Pause),
            Event::PoolChanged { pool, target } => {
                let before = self.pools.insert(pool.clone(), *target);
                before.is_some_and(|before| before != *target).then_some(Sort::Scaling)
            }
            Event::TaskForwarded { .. } => Some(Sort::Region),
            Event::Governed { what, .. } => Sort::of(*what),
            Event::TaskParked { task, on, .. } => {
                self.held.entry(on.clone()).or_default().insert(*task);
                None
            }
            _ => None,
        };
        if let Some(sort) = sort {
            *self.happened.entry(sort).or_default() += 1;
        }
    }

    /// Says it to people.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.begun.is_empty() {
            let words = [
                "task had begun before the recording and is",
                "tasks had begun before the recording and are",
            ];
            notes.push(format!("{} left out", counted(self.begun.len(), words)));
        }
        notes.extend(self.happened.iter().map(|(sort, count)| {
            let are = if *count == 1 { "is" } else { "are" };
            format!("{} {are} left out", counted(*count, sort.words()))
        }));
        notes.extend(self.held.iter().map(|(by, tasks)| {
            let tasks = counted(tasks.len(), ["task", "tasks"]);
            let article = if by.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            format!("{tasks} waited for {article} {by} there, and for none here")
        }));
        notes
    }
}

fn counted(count: usize, [one, several]: [&str; 2]) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn governed(what: Governing) -> Event {
        let (subject, detail) = ("x".into(), "".into());
        Event::Governed { what, subject, workspace: None, task: None, agent: None, detail }
    }

    fn parked(task: u128, on: &str) -> Event {
        Event::TaskParked {
            task: TaskId::from_raw(task),
            workspace: Name::default(),
            on: on.into(),
            what: "something".into(),
        }
    }

    #[test]
    fn what_governs_is_counted_and_said_and_what_is_only_told_of_it_is_not() {
        let mut left_out = LeftOut::default();
        let target = |target| Event::PoolChanged { pool: Name::default(), target };
        let happened = [
            target(1),
            target(1),
            target(3),
            governed(Governing::BudgetPut),
            governed(Governing::BudgetRaised),
            governed(Governing::BudgetWarned),
            governed(Governing::PolicyPut),
            governed(Governing::ApprovalRequested),
            governed(Governing::LimitPut),
            governed(Governing::ResourcePut),
            governed(Governing::BreakerOpened),
            parked(1, "budget"),
            parked(1, "budget"),
            parked(2, "budget"),
            parked(2, "approval"),
        ];
        happened.iter().for_each(|event| left_out.hear(event));
        let said = [
            "1 change of a pool is left out",
            "1 change of a policy is left out",
            "1 approval is left out",
            "2 changes of budgets are left out",
            "1 change of a limit set is left out",
            "1 change of a resource is left out",
            "1 turn of a breaker is left out",
            "1 task waited for an approval there, and for none here",
            "2 tasks waited for a budget there, and for none here",
        ];
        assert_eq!(left_out.notes(), said);
    }
}
