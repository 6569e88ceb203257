//! What must hold in every world, one file each with the source of the property.
//!
//! A judge looks at a history and at nothing else. It returns how many facts it checked, or the first record
//! that breaks its property. Promises not to take silence for an answer: what a crash cut off is unknown.

mod accounts_hold;
mod acknowledged_exists;
mod acknowledged_tokens_open;
mod all_work_ends;
mod approvals_hold;
mod audit_unbroken;
mod breakers_hold;
mod budgets_hold;
mod committed_stays;
mod converges;
mod ends_once;
mod index_grows;
mod lanes_in_order;
mod ledgers_add_up;
mod limits_hold;
mod linearizable;
mod lives;
mod log_matching;
mod no_stale_completion;
mod nothing_foreign;
mod one_key_one_task;
mod one_leader_per_term;
mod one_lease;
mod one_redrive_one_task;
mod one_submit_one_task;
mod paused_is_not_given_out;
mod quotas_hold;
mod resources_hold;
mod serves;
mod slots_hold;
mod something_happened;
mod states_agree;
mod stays_up;
mod usage_adds_up;
mod webhooks_are_told;
mod work;
mod workspaces_apart;

use synod::node::domain::id::TaskId;

use crate::history::Record;

/// One property.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    /// Its name.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub says: &'static str,
    /// Looks at a history.
    pub look: fn(&[Record]) -> Verdict,
}

/// How many facts were checked, or what broke.
pub type Verdict = Result<usize, Violation>;

/// Where a property broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The place of the record in the history.
    pub record: usize,
    /// The task it is about, if it is about one.
    pub task: Option<TaskId>,
    /// What is wrong.
    pub what: String,
}

/// All judges, in the order in which they are asked.
pub const ALL: [Judge; 35] = [
    something_happened::JUDGE,
    stays_up::JUDGE,
    one_leader_per_term::JUDGE,
    log_matching::JUDGE,
    committed_stays::JUDGE,
    states_agree::JUDGE,
    index_grows::JUDGE,
    acknowledged_exists::JUDGE,
    one_key_one_task::JUDGE,
    one_submit_one_task::JUDGE,
    one_redrive_one_task::JUDGE,
    nothing_foreign::JUDGE,
    one_lease::JUDGE,
    slots_hold::JUDGE,
    lanes_in_order::JUDGE,
    no_stale_completion::JUDGE,
    usage_adds_up::JUDGE,
    ends_once::JUDGE,
    linearizable::JUDGE,
    paused_is_not_given_out::JUDGE,
    acknowledged_tokens_open::JUDGE,
    budgets_hold::JUDGE,
    ledgers_add_up::JUDGE,
    accounts_hold::JUDGE,
    breakers_hold::JUDGE,
    approvals_hold::JUDGE,
    limits_hold::JUDGE,
    resources_hold::JUDGE,
    quotas_hold::JUDGE,
    audit_unbroken::JUDGE,
    webhooks_are_told::JUDGE,
    workspaces_apart::JUDGE,
    all_work_ends::JUDGE,
    converges::JUDGE,
    serves::JUDGE,
];

fn broken<T>(record: usize, task: Option<TaskId>, what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { record, task, what: what.into() })
}

#[cfg(test)]
mod histories {
    //! Small histories for the tests of the judges.

    use std::time::Duration;

    use synod::node::domain::budget::window::Window;
    use synod::node::domain::event::{Event, Governing};
    use synod::node::domain::id::{AgentId, TaskId};
    use synod::node::domain::name::Name;
    use synod::node::domain::task::{Lane, MailboxId, Phase};
    use synod::node::domain::time::Timestamp;

    use crate::history::{Answer, Covers, Fact, Plan, Promise, Record, Request, Standing};
    use crate::workload::Workload;

    pub(super) fn history(facts: impl IntoIterator<Item = Fact>) -> Vec<Record> {
        let record = |(place, fact)| Record { at: Duration::from_millis(place), node: Some(1), fact };
        (0..).zip(facts).map(record).collect()
    }

    pub(super) fn of(node: u64, fact: Fact) -> Record {
        Record { at: Duration::ZERO, node: Some(node), fact }
    }

    pub(super) fn applied(node: u64, index: u64, term: u64, hash: u64) -> Record {
        of(node, Fact::Applied { index, term, hash })
    }

    pub(super) fn task(number: u128) -> TaskId {
        TaskId::from_raw(number)
    }

    pub(super) fn agent(number: u128) -> AgentId {
        AgentId::from_raw(number)
    }

    pub(super) fn began(faults: bool) -> Fact {
        Fact::Began { seed: 1, duration: Duration::from_secs(1), faults, nodes: 1 }
    }

    /// What is said of a world whose clients ask for such things.
    pub(super) fn clients_ask_for(workload: Workload) -> Fact {
        Fact::Planned(Plan::of([workload]))
    }

    /// What is said of a world in which there may be these budgets.
    pub(super) fn may_have_budgets<const N: usize>(budgets: [(&str, u64, Window, Covers); N]) -> Fact {
        let promise = |(name, most, window, covers): (&str, u64, Window, Covers)| {
            (name.to_owned(), Promise { most, window, covers })
        };
        let asks = [Workload::Budgets, Workload::Providers].into();
        Fact::Planned(Plan { asks, budgets: budgets.into_iter().map(promise).collect(), ..Plan::default() })
    }

    pub(super) fn happened(index: u64, event: Event) -> Fact {
        happened_at(index, 0, event)
    }

    pub(super) fn happened_at(index: u64, millis: u64, event: Event) -> Fact {
        Fact::Happened { index, at: Timestamp::from_millis(millis), event }
    }

    pub(super) fn submitted(index: u64, number: u128) -> Fact {
        submitted_as(index, number, Name::default().as_str())
    }

    pub(super) fn governed_event(
        what: Governing,
        subject: &str,
        task: Option<TaskId>,
        detail: &str,
    ) -> Event {
        let (subject, detail) = (subject.into(), detail.into());
        Event::Governed { what, subject, workspace: None, task, agent: None, detail }
    }

    pub(super) fn told(
        index: u64,
        what: Governing,
        subject: &str,
        task: Option<TaskId>,
        detail: &str,
    ) -> Fact {
        happened(index, governed_event(what, subject, task, detail))
    }

    pub(super) fn governed(index: u64, what: Governing, subject: &str, task: Option<TaskId>) -> Fact {
        told(index, what, subject, task, "")
    }

    pub(super) fn submitted_as(index: u64, number: u128, kind: &str) -> Fact {
        let (task, workspace) = (task(number), Name::default());
        happened(
            index,
            Event::TaskSubmitted {
                task,
                workspace,
                kind: Name::new(kind).unwrap_or_default(),
                mailbox: MailboxId::Open,
                lane: Lane::Normal,
                run: None,
            },
        )
    }

    pub(super) fn leased(index: u64, number: u128, attempt: u32) -> Fact {
        happened(
            index,
            Event::TaskLeased { task: task(number), workspace: Name::default(), agent: agent(9), attempt },
        )
    }

    pub(super) fn ended(index: u64, number: u128, phase: Phase) -> Fact {
        let (task, workspace) = (task(number), Name::default());
        happened(index, Event::TaskEnded { task, workspace, phase, reason: None, agent: None, run: None })
    }

    pub(super) fn stands(number: u128, phase: Option<Phase>, attempt: u32) -> Fact {
        let result_of = (phase == Some(Phase::Completed)).then_some(attempt);
        Fact::Stands(Standing { task: task(number), phase, attempt, holder: None, result_of })
    }

    pub(super) fn asked(question: u64, request: Request) -> Fact {
        Fact::Asked { question, client: "test".into(), request }
    }

    pub(super) fn answered(question: u64, answer: Answer) -> Fact {
        Fact::Answered { question, answer }
    }
}
