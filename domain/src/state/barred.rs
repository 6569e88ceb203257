//! The tasks that policies keep from the agents whose turn it was, and who else may have them.
//!
//! Such a task is parked on the policy that said no, and nothing is timed. With them stand those that ask for more than a
//! budget of that agent is as a whole: another agent may have one that is large enough. Two things can change the answer: other
//! policies, and then all of them go back to their mailboxes; or another agent. An agent that claims is asked about
//! them first, and those that it may have go back to their places before it takes the next one. Who has nothing to do
//! is told that there are some: [`State::barred_since`] says when there was something new to ask about, and
//! [`State::barred_for`] who need ask.
//!
//! Tasks between which no policy can tell a difference stand together, as a *sort*, and one answer holds for all of
//! them. So a claim costs one question for each sort that is kept from somebody in its mailboxes, whatever their backlog;
//! nothing while nothing is. Derived from the tasks, the policies and the agents, and rebuilt with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::Agent;
use crate::capability::Capabilities;
use crate::id::{RunId, TaskId};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::policy::PolicySet;
use crate::state::gates::Gate;
use crate::state::parking::{Place, place};
use crate::state::{State, Step};
use crate::task::{Lane, MailboxId, Task};
use crate::terms::{Estimate, Terms};

/// What policies know of a task: everything of it that a rule in force may speak of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sort {
    workspace: Name,
    kind: Name,
    lane: Lane,
    demand: Capabilities,
    labels: Vec<(Name, Arc<str>)>,
    /// What budgets know of it beside, if one of them keeps it.
    bill: Option<Bill>,
}

/// What budgets know of a task. What its kind is expected to use changes, for all of a kind together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bill {
    /// The budget that keeps it.
    budget: Name,
    run: Option<RunId>,
    account: Option<Name>,
    estimate: Option<Estimate>,
}

impl Sort {
    fn of(task: &Task, policies: &PolicySet, terms: Option<&Terms>) -> Self {
        let spec = &task.spec;
        let bill = |budget| Bill {
            budget,
            run: spec.run,
            account: terms.and_then(|terms| terms.account.clone()),
            estimate: terms.and_then(|terms| terms.estimate.clone()),
        };
        let spoken_of = spec.labels.iter().filter(|(label, _)| policies.speaks_of_label(label.as_str()));
        Self {
            workspace: spec.workspace.clone(),
            kind: spec.kind.clone(),
            lane: spec.lane,
            demand: spec.demand.clone(),
            labels: spoken_of.map(|(label, value)| (label.clone(), value.clone())).collect(),
            bill: beyond(task).cloned().map(bill),
        }
    }
}

/// The sorts that are kept from somebody in one mailbox.
#[derive(Debug, Default)]
struct Shelf {
    /// When the last of them came: a number that only grows.
    since: u64,
    sorts: BTreeMap<Arc<Sort>, BTreeSet<Place>>,
}

/// The tasks that are kept from somebody.
#[derive(Debug, Default)]
pub(super) struct Barred {
    shelves: BTreeMap<MailboxId, Shelf>,
    of: BTreeMap<TaskId, (MailboxId, Arc<Sort>, Place)>,
    /// How many sorts came so far. Not agreed: it only tells what came later than what.
    came: u64,
}

/// Tasks of one sort that an agent may have although they were kept from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarredWork {
    /// In which mailbox they are.
    pub mailbox: MailboxId,
    /// The first of them.
    pub first: TaskId,
    /// How many there are.
    pub count: usize,
}

/// Tells whether a task is kept from somebody and might be another's.
pub(super) fn is_barred(task: &Task) -> bool {
    task.parking().is_some_and(|parking| matches!(parking.on, ParkedOn::Policy(_) | ParkedOn::Beyond(_)))
}

/// Returns the budget that a task asks for more of than it is as a whole, if it waits for that.
fn beyond(task: &Task) -> Option<&Name> {
    match &task.parking()?.on {
        ParkedOn::Beyond(budget) => Some(budget),
        _ => None,
    }
}

impl Barred {
    /// Notes a task if it is kept from somebody.
    pub(super) fn add(&mut self, task: &Task, policies: &PolicySet, terms: Option<&Terms>) {
        if !is_barred(task) {
            return;
        }
        let mailbox = task.spec.mailbox.clone();
        let shelf = self.shelves.entry(mailbox.clone()).or_default();
        let sort = Arc::new(Sort::of(task, policies, terms));
        let places = shelf.sorts.entry(sort.clone()).or_default();
        if places.is_empty() {
            self.came += 1;
            shelf.since = self.came;
        }
        places.insert(place(task));
        self.of.insert(task.spec.id, (mailbox, sort, place(task)));
    }

    pub(super) fn remove(&mut self, task: TaskId) {
        let Some((mailbox, sort, place)) = self.of.remove(&task) else { return };
        let Some(shelf) = self.shelves.get_mut(&mailbox) else { return };
        if let Some(places) = shelf.sorts.get_mut(&sort) {
            places.remove(&place);
            if places.is_empty() {
                shelf.sorts.remove(&sort);
            }
        }
        if shelf.sorts.is_empty() {
            self.shelves.remove(&mailbox);
        }
    }

    fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.of.keys().copied()
    }

    /// Walks the sorts that a budget is too small for by what work of their kind is expected to use, and not by what was
    /// said of them; those of one kind, or all.
    pub(super) fn unestimated(&self, kind: Option<(&Name, &Name)>) -> impl Iterator<Item = &BTreeSet<Place>> {
        let is_asked = move |sort: &Sort| {
            let is_unsaid = sort.bill.as_ref().is_some_and(|bill| bill.estimate.is_none());
            is_unsaid && kind.is_none_or(|kind| (&sort.workspace, &sort.kind) == kind)
        };
        let sorts = self.shelves.values().flat_map(|shelf| &shelf.sorts);
        sorts.filter(move |(sort, _)| is_asked(sort)).map(|(_, places)| places)
    }

    /// Walks the sorts of a mailbox: what each asks for, and its tasks in their order.
    fn sorts(&self, mailbox: &MailboxId) -> impl Iterator<Item = (&Sort, &BTreeSet<Place>)> {
        let shelf = self.shelves.get(mailbox);
        shelf.into_iter().flat_map(|shelf| &shelf.sorts).map(|(sort, places)| (&**sort, places))
    }
}

impl State {
    /// Puts every task back into its mailbox that policies keep from somebody: they may say something else from here on.
    pub(super) fn ask_policies_again(&mut self, step: &mut Step) {
        let tasks: Vec<TaskId> = self.barred.tasks().collect();
        for task in tasks {
            self.unpark(step, task);
        }
    }

    /// Puts those back into their mailboxes that policies keep from others and let a claimant have, `most` of each sort;
    /// tells whether there were some.
    pub(super) fn call_barred(
        &mut self,
        step: &mut Step,
        mailboxes: &[MailboxId],
        claimant: &Agent,
        offered: &Capabilities,
        most: usize,
    ) -> bool {
        if self.barred.shelves.is_empty() {
            return false;
        }
        let mut called: Vec<TaskId> = Vec::new();
        for places in mailboxes.iter().flat_map(|mailbox| self.barred_in(mailbox, claimant, offered)) {
            called.extend(places.iter().take(most).map(|(_, _, _, task)| *task));
        }
        for task in &called {
            self.unpark(step, *task);
        }
        !called.is_empty()
    }

    /// Walks the sorts of a mailbox that policies let an agent have.
    pub(super) fn barred_in(
        &self,
        mailbox: &MailboxId,
        claimant: &Agent,
        offered: &Capabilities,
    ) -> impl Iterator<Item = &BTreeSet<Place>> {
        let sorts = self.barred.sorts(mailbox).filter(|(sort, _)| offered.satisfy(&sort.demand));
        sorts.map(|(_, places)| places).filter(|places| {
            let first = places.first().and_then(|(_, _, _, task)| self.tasks.get(task));
            first.is_some_and(|task| self.admits(claimant, task))
        })
    }

    /// Tells whether policies let an agent have a task, if only once people have agreed to it, and, of one that some budget
    /// is too small for, whether those of this agent are not.
    pub fn admits(&self, agent: &Agent, task: &Task) -> bool {
        !matches!(self.policy_gate(task, agent), Gate::Shut(ParkedOn::Policy(_)))
            && (beyond(task).is_none() || self.could_afford(task, agent))
    }

    /// Tells whether a task is kept from the agents whose turn it was, and might be another's: [`State::barred_for`] knows
    /// whose.
    pub fn is_barred(&self, task: &Task) -> bool {
        is_barred(task)
    }

    /// Returns what an agent may have of that which policies keep from others, one item for each sort. A claim for it
    /// takes it up.
    pub fn barred_for(&self, agent: &Agent, offered: Option<&Capabilities>) -> Vec<BarredWork> {
        if self.barred.shelves.is_empty() || !agent.takes_work() {
            return Vec::new();
        }
        let offered = offered.unwrap_or(&agent.spec.capabilities);
        let mut found = Vec::new();
        for mailbox in self.giving(agent) {
            for places in self.barred_in(&mailbox, agent, offered) {
                let Some((_, _, _, first)) = places.first() else { continue };
                let (mailbox, first, count) = (mailbox.clone(), *first, places.len());
                found.push(BarredWork { mailbox, first, count });
            }
        }
        found
    }

    /// Tells whether policies keep something of a mailbox from somebody, and when the last sort of it came: a number
    /// that grows with each, on this node alone. Whoever had nothing to do when it was looked at, and has nothing since, need not
    /// be asked again about what came before.
    pub fn barred_since(&self, mailbox: &MailboxId) -> Option<u64> {
        Some(self.barred.shelves.get(mailbox)?.since)
    }

    /// Notes all tasks that policies keep from somebody, after a restore.
    pub(super) fn restore_barred(&mut self) {
        for task in self.tasks.values() {
            let terms = self.terms.get(&task.spec.id).map(AsRef::as_ref);
            self.barred.add(task, self.policies.set(), terms);
        }
    }
}
