//! Those who govern, each in an office of its own: they make budgets, policies, limits and resources and take them back,
//! decide about approvals, read the audit log, have things told, and submit the work that all of that is about.
//!
//! Their work has a pool and types of its own, and what a type is called says what judges must know of it: a task of
//! `spends-500` is expected to use 500 tokens. That this is so, and the greatest figures of what governs, is said before the
//! world begins, in its [`Plan`]: a judge knows them however often something is changed below that, by whomever, and takes
//! nothing of another world for what it is called here. At the end of new work everything is taken back, through every
//! crash, or what is held back would never end.

mod auditor;
mod broker;
mod caller;
mod electrician;
mod errand;
mod gardener;
mod keeper;
mod landlord;
mod messenger;
mod quartermaster;
mod regulator;
mod treasurer;
mod warden;

pub(crate) use auditor::{check, note_all};
pub(crate) use caller::Call;
pub(crate) use errand::{Errand, Work};
pub(crate) use messenger::wants_of;
pub(crate) use quartermaster::needs_of;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::breaker;
use synod::node::domain::budget::Budget;
use synod::node::domain::budget::tally::Sums;
use synod::node::domain::command::Command;
use synod::node::domain::name::Name;
use synod::node::domain::parking::{ParkedOn, Parking};
use synod::node::domain::retry::RetryPolicy;
use synod::node::domain::state::State;
use synod::node::domain::task::{Lane, Timeouts};
use synod::node::domain::terms::{Estimate, OverBudget, Terms};
use synod::node::domain::time::Timestamp;
use synod::node::{Error, NewTask, Node, Pool};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::chance::Stream;
use crate::history::{
    Account, Answer, Breaker, Change, Circuit, Fact, Governance, Ledger, Plan, Postbox, Request,
};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::workload::question::ask;
use crate::workload::{AGAIN, FIRST, NATIVE, Workload, Workloads};

/// The pool whose agents do the work that is governed.
pub(crate) const GOVERNED: &str = "governed";

/// The pool of agents outside that ask providers.
pub(crate) const CALLERS: &str = "callers";

/// How the types of tasks begin for which a provider is asked.
pub(crate) const ASKS: &str = "asks-";

/// Why an attempt ends whose provider wants a pause.
pub(crate) const REFUSAL: &str = "its provider has too many requests";

/// How often a task may fail.
pub(crate) const ATTEMPTS: u32 = 3;

/// How many agents it has, and how many tasks each may hold: more together than limits let through.
const AGENTS: u32 = 3;
const SLOTS: u32 = 4;

/// What all but the treasurer's tasks are expected to use, in tokens.
const LITTLE: u64 = 50;

/// How long an attempt may run, and be silent.
const RUNNING: Duration = Duration::from_secs(6);
const SILENCE: Duration = Duration::from_secs(2);

/// The pause between two looks whether everything was taken back.
const LOOK: Duration = Duration::from_millis(500);

/// The offices, by the names of those who hold them.
const OFFICES: [(&str, Workload); 11] = [
    (treasurer::NAME, Workload::Budgets),
    (regulator::NAME, Workload::Approvals),
    (warden::NAME, Workload::Limits),
    (quartermaster::NAME, Workload::Resources),
    (auditor::NAME, Workload::Audits),
    (messenger::NAME, Workload::Webhooks),
    (landlord::NAME, Workload::Quotas),
    (broker::NAME, Workload::Providers),
    (electrician::NAME, Workload::Breakers),
    (gardener::NAME, Workload::Tending),
    (keeper::NAME, Workload::Hooks),
];

/// Returns what somebody who governs asks for.
pub(super) fn workload_of(client: &str) -> Option<Workload> {
    if client.starts_with(caller::NAME) {
        return Some(Workload::Providers);
    }
    OFFICES.iter().find(|(name, _)| *name == client).map(|(_, workload)| *workload)
}

/// Says what those make who ask for these things.
pub(crate) fn plan(workloads: &Workloads) -> Plan {
    let mut plan = Plan::of(workloads.iter());
    if workloads.has(Workload::Budgets) {
        plan.budgets.extend(treasurer::promises());
    }
    if workloads.has(Workload::Providers) {
        plan.budgets.extend(broker::promises());
    }
    if workloads.has(Workload::Breakers) {
        plan.breakers.extend(electrician::fuses());
    }
    if workloads.has(Workload::Tending) {
        plan.pools.extend(gardener::sizes());
    }
    plan
}

/// Lets those govern who work with this node, until the world closes.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, life: u32) {
    if !OFFICES.iter().any(|(_, workload)| shared.has(*workload)) {
        return;
    }
    while put_pool(&node).await.is_err() {
        sleep(AGAIN).await;
    }
    let mut tasks = JoinSet::new();
    for (name, workload) in OFFICES {
        // The audit log is read everywhere, and each keeps the hooks of its node; everything else comes from whoever never
        // goes.
        let is_everywhere = matches!(workload, Workload::Audits | Workload::Hooks);
        if !shared.has(workload) || shared.node != FIRST && !is_everywhere {
            continue;
        }
        let of = if is_everywhere { format!("{name} of n{}", shared.node) } else { name.to_owned() };
        let stream = shared.streams.open(&format!("{of} life {life}"));
        let office =
            Office { node: Arc::clone(&node), shared: Arc::clone(&shared), name: name.into(), stream };
        match workload {
            Workload::Budgets => tasks.spawn(treasurer::run(office)),
            Workload::Approvals => tasks.spawn(regulator::run(office)),
            Workload::Limits => tasks.spawn(warden::run(office)),
            Workload::Resources => tasks.spawn(quartermaster::run(office)),
            Workload::Webhooks => tasks.spawn(messenger::run(office)),
            Workload::Quotas => tasks.spawn(landlord::run(office)),
            Workload::Providers => tasks.spawn(broker::run(office)),
            Workload::Breakers => tasks.spawn(electrician::run(office)),
            Workload::Tending => tasks.spawn(gardener::run(office)),
            Workload::Hooks => tasks.spawn(keeper::run(office)),
            _ => tasks.spawn(auditor::run(office)),
        };
    }
    if shared.has(Workload::Providers) && shared.node == FIRST {
        for number in 0..caller::COUNT {
            let name = format!("{}{number}", caller::NAME);
            let stream = shared.streams.open(&format!("{name} life {life}"));
            let (node, shared) = (Arc::clone(&node), Arc::clone(&shared));
            tasks.spawn(caller::run(Office { node, shared, name: name.into(), stream }));
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn put_pool(node: &Node) -> Result<(), Error> {
    node.put_pool(Pool::native(GOVERNED, NATIVE)?.size(AGENTS).concurrency(SLOTS)).await.map(drop)
}

/// Notes how everything stands that governs, unless nothing does. In one moment: it waits for nothing.
pub(crate) fn look(shared: &Machine, node: &Node) {
    let index = node.status().applied.unwrap_or(0);
    let governance = node.read(|state| {
        let now = state.now();
        Governance {
            index,
            now,
            budgets: state.budgets().map(|budget| ledger(state, budget)).collect(),
            policies: state.policies().map(|policy| policy.spec.name.clone()).collect(),
            approvals: state
                .approvals()
                .filter_map(|approval| Some((approval.id, approval.task?, approval.status)))
                .collect(),
            limit_sets: state.limit_sets().map(|set| set.spec.name.clone()).collect(),
            resources: state
                .resources()
                .map(|one| (one.name.clone(), one.capacity, state.resource_in_use(&one.name)))
                .collect(),
            postboxes: state
                .outboxes()
                .map(|outbox| Postbox {
                    webhook: outbox.webhook.spec.id,
                    noted: outbox.standing.last_seq,
                    waiting: outbox.waiting() as u64,
                    given_up: outbox.standing.given_up,
                    dropped: outbox.standing.dropped,
                })
                .collect(),
            quotas: state.quotas().map(|(workspace, _)| workspace.clone()).collect(),
            accounts: accounts(state),
            breakers: state.breakers().map(|one| breaker(state, one)).collect(),
            tended: state
                .pools()
                .filter(|pool| state.is_tended(&pool.spec.name))
                .map(|pool| gardener::tended(state, pool))
                .collect(),
            pinned: keeper::pinned(state).collect(),
        }
    });
    if !governance.is_empty() || shared.governs() {
        shared.note(Fact::Governs(governance));
    }
}

/// Tells whether what takes its time is over: a pool that is tended, and what is pinned to agents.
pub(crate) fn is_in_order(shared: &Machine, node: &Node) -> bool {
    let pools = !shared.has(Workload::Tending) || node.read(gardener::is_in_order);
    pools && (!shared.has(Workload::Hooks) || node.read(keeper::all_over))
}

/// Returns how a budget stands.
fn ledger(state: &State, budget: &Budget) -> Ledger {
    let sums = budget.lines.iter().map(|line| line.sums(state.now()));
    let all = sums.fold(Sums::default(), |all, sums| Sums {
        settled: all.settled.saturating_add(sums.settled),
        reserved: all.reserved.saturating_add(sums.reserved),
        overrun: all.overrun.saturating_add(sums.overrun),
    });
    let Sums { settled, reserved, overrun } = all;
    let name = &budget.spec.name;
    let waiting =
        state.parked_on(&ParkedOn::Budget(name.clone())) + state.parked_on(&ParkedOn::Beyond(name.clone()));
    Ledger { budget: budget.spec.name.clone(), settled, reserved, overrun, waiting }
}

/// Returns how a breaker stands.
fn breaker(state: &State, one: &breaker::Breaker) -> Breaker {
    let circuit = match &one.circuit {
        breaker::Circuit::Closed { .. } => Circuit::Closed,
        breaker::Circuit::Open { until, .. } => Circuit::Open(*until),
        breaker::Circuit::HalfOpen { .. } => Circuit::HalfOpen,
    };
    let waiting = state.parked_on(&ParkedOn::Breaker(one.spec.of.clone()));
    Breaker { of: one.spec.of.path(), circuit, waiting }
}

/// Returns the accounts that are left alone, and those that something waits for.
fn accounts(state: &State) -> Vec<Account> {
    let held = state.held_accounts().map(|(account, held)| (account.clone(), Some(held.until)));
    let mut all: BTreeMap<Name, Option<Timestamp>> = held.collect();
    for task in state.tasks() {
        if let Some(Parking { on: ParkedOn::Account(account), .. }) = task.parking() {
            all.entry(account.clone()).or_default();
        }
    }
    let one = |(account, until): (Name, Option<Timestamp>)| {
        let waiting = state.parked_on(&ParkedOn::Account(account.clone()));
        Account { account, until, waiting }
    };
    all.into_iter().map(one).collect()
}

impl Machine {
    /// Tells whether somebody governs in this world.
    fn governs(&self) -> bool {
        OFFICES.iter().any(|(_, workload)| self.has(*workload))
    }
}

/// Somebody who governs, in one life of a node.
struct Office {
    node: Arc<Node>,
    shared: Arc<Machine>,
    name: Arc<str>,
    stream: Stream,
}

/// A task to be.
struct Wanted {
    kind: String,
    errand: Errand,
    /// How many tokens it is expected to use.
    tokens: u64,
    over_budget: OverBudget,
    resources: BTreeMap<Name, u64>,
    resources_within: Option<Duration>,
    /// The account of the provider that it asks.
    account: Option<Name>,
}

impl Wanted {
    fn of(kind: &str, errand: Errand) -> Self {
        Self {
            kind: kind.to_owned(),
            errand,
            tokens: LITTLE,
            over_budget: OverBudget::Wait,
            resources: BTreeMap::new(),
            resources_within: None,
            account: None,
        }
    }
}

impl Office {
    fn is_busy(&self) -> bool {
        self.shared.phase() == Phase::Busy
    }

    /// Waits a drawn while, in milliseconds.
    async fn pause(&mut self, least: u64, most: u64) {
        let pause = self.stream.millis(least, most);
        sleep(pause).await;
    }

    /// Asks for a change. What it could not do is noted with its answer.
    async fn govern(&self, change: Change, command: Command) {
        let call = async { self.node.propose(command).await.map(drop) };
        let _ = ask(&self.shared, &self.name, Request::Govern(change), call, |()| Answer::Done).await;
    }

    /// Submits a task in a workspace of this name, in a drawn lane.
    async fn submit(&mut self, wanted: Wanted) {
        self.submit_to(GOVERNED, wanted).await;
    }

    /// Submits one to another pool.
    async fn submit_to(&mut self, pool: &str, wanted: Wanted) {
        let content = self.stream.draw();
        let lane = self.stream.pick(&Lane::ALL).copied().unwrap_or_default();
        let name = Arc::clone(&self.name);
        let task = move || -> Result<NewTask, Error> {
            let Wanted { kind, errand, tokens, over_budget, resources, resources_within, account } = wanted;
            let estimate = Some(Estimate { tokens, ..Estimate::default() });
            let terms =
                Terms { estimate, over_budget, resources, resources_within, account, ..Terms::default() };
            let timeouts = Timeouts { waiting: None, running: Some(RUNNING), silence: Some(SILENCE) };
            let retry = RetryPolicy {
                max_attempts: ATTEMPTS,
                initial: Duration::from_millis(200),
                factor_percent: 200,
                max: Duration::from_secs(1),
            };
            let task = NewTask::to_pool(pool, &kind, &errand)?.workspace(Name::new(&name)?);
            Ok(task.terms(terms).lane(lane).timeouts(timeouts).retry(retry))
        };
        let request = Request::Submit { key: None, content, pool: pool.into() };
        let call = async { self.node.submit(task()?).await };
        // A refusal is one of the things that are asked for here.
        let _ = ask(&self.shared, &self.name, request, call, |task| Answer::Submitted(*task)).await;
    }

    /// Waits a while when everything was taken back that is there, and tells whether to look again: what had no answer
    /// may come later.
    async fn looks_again(&self) -> bool {
        sleep(LOOK).await;
        self.shared.phase() != Phase::Closing
    }
}

/// Makes a name of a text that is one.
fn named(text: &str) -> Name {
    Name::new(text).unwrap_or_default()
}
