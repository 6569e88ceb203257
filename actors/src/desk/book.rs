//! What the claims desk knows: who waits, where, and how far each claim is.
//!
//! It only decides; proposing is left to the desk, which carries the [`Order`]s out. Everything here happens
//! under one lock together with a look at the state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod_domain::agent::{Agent, Host, Standing};
use synod_domain::capability::Capabilities;
use synod_domain::command::Command;
use synod_domain::id::{AgentId, RequestId, TaskId};
use synod_domain::refusal::Refusal;
use synod_domain::reply::{Assignment, Reply};
use synod_domain::state::{BarredWork, State};
use synod_domain::task::MailboxId;
use tokio::sync::oneshot;

use crate::desk::lines::{Lines, Work};
use crate::desk::{Ask, CLAIMS_WAITING_MAX, ClaimError, Outcome, used_otherwise};

/// Spreads ids over their whole range. Odd, so that different inputs stay different.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// What is to be done apart from whoever caused it.
#[derive(Debug)]
pub(super) enum Order {
    /// The leases are found under the key afterwards, whoever's claim brought them.
    Claim { ticket: u64, key: RequestId, command: Command },
    /// They go back unless the claim that has them under the key was asked again by somebody.
    Release { ticket: u64, key: RequestId, leases: Vec<Assignment> },
}

/// What joining comes to.
#[derive(Debug)]
pub(super) enum Joined {
    /// The answer is known already.
    Answered(Outcome),
    /// The same was asked before, and was granted these leases under this key.
    Earlier { key: RequestId, leases: Vec<Assignment> },
    /// The caller has a place, and is called when there is an answer.
    Seated { ticket: u64, caller: u64, called: oneshot::Receiver<()> },
}

/// Where a claim is.
#[derive(Debug)]
enum Stage {
    /// In the lines of its mailboxes.
    InLine,
    /// Its agent has no free slot, is only starting, or is paused; an event about that puts it in line.
    Aside,
    /// On its way, planned for this mailbox and so many tasks of it.
    Claiming { mailbox: MailboxId, most: u32, barred: bool },
    /// Its leases go back, because nobody took them.
    Releasing,
    /// There is an answer for the caller to take.
    Answered(Outcome),
}

#[derive(Debug)]
struct Case {
    ask: Ask,
    /// What it offers: what it said, or what its agent was registered with.
    able: Arc<Capabilities>,
    sources: Vec<MailboxId>,
    /// How many ids that follow from the request are used up.
    tries: u32,
    stage: Stage,
    /// Who waits for the answer; nobody when the caller has gone.
    caller: Option<Caller>,
    /// Whether the caller takes whatever the claim on its way brings, and waits no longer.
    last: bool,
    /// Whether the leases of its answer were granted to this claim, and not to the same one on another node.
    own: bool,
}

/// Who waits for an answer, and how it is called; it is called once.
#[derive(Debug)]
struct Caller {
    id: u64,
    call: Option<oneshot::Sender<()>>,
}

/// The book. A ticket is a place in line; it is kept until there is an answer.
#[derive(Debug, Default)]
pub(super) struct Book {
    cases: BTreeMap<u64, Case>,
    tickets: BTreeMap<(AgentId, RequestId), u64>,
    lines: Lines,
    /// Up to when all in line were asked about what policies keep from others.
    barred: BTreeMap<MailboxId, u64>,
    /// Claims on their way, by the mailbox they are planned for.
    claiming: BTreeMap<MailboxId, BTreeSet<u64>>,
    next: u64,
}

impl Book {
    pub(super) fn len(&self) -> usize {
        self.cases.len()
    }

    pub(super) fn has_claim_of(&self, agent: AgentId) -> bool {
        self.tickets_of(agent).next().is_some()
    }

    pub(super) fn claimants(&self) -> Vec<AgentId> {
        let mut agents: Vec<AgentId> = self.tickets.keys().map(|(agent, _)| *agent).collect();
        agents.dedup();
        agents
    }

    pub(super) fn sources_of(&self, ticket: u64) -> Vec<MailboxId> {
        self.cases.get(&ticket).map(|case| case.sources.clone()).unwrap_or_default()
    }

    fn tickets_of(&self, agent: AgentId) -> impl Iterator<Item = u64> + '_ {
        let (first, last) = (RequestId::from_raw(0), RequestId::from_raw(u128::MAX));
        self.tickets.range((agent, first)..=(agent, last)).map(|(_, ticket)| *ticket)
    }

    /// Gives a claim its place, or lets the caller take over the place that the same claim has.
    pub(super) fn join(&mut self, state: &State, ask: Ask) -> Result<Joined, ClaimError> {
        let agent = claims_for_itself(state, ask.agent)?;
        let key = (ask.agent, ask.request);
        if let Some(ticket) = self.tickets.get(&key).copied() {
            return Ok(self.take_over(state, ticket, ask));
        }
        let tries = match earlier(state, &ask, 0)? {
            Earlier::Leases { key, leases } => return Ok(Joined::Earlier { key, leases }),
            Earlier::Tries(tries) => tries,
        };
        takes_work(agent)?;
        if ask.max == 0 {
            return Ok(Joined::Answered(Ok(Vec::new())));
        }
        if self.cases.len() >= CLAIMS_WAITING_MAX {
            return Err(ClaimError::Crowded);
        }
        let ticket = self.draw();
        let (caller, called) = self.new_caller();
        let joined = Joined::Seated { ticket, caller: caller.id, called };
        let able = able(&ask, agent);
        let sources = state.sources_of(&agent.spec);
        let case = Case {
            ask,
            able,
            sources,
            tries,
            stage: Stage::Aside,
            caller: Some(caller),
            last: false,
            own: false,
        };
        self.cases.insert(ticket, case);
        self.tickets.insert(key, ticket);
        self.line_up(ticket);
        Ok(joined)
    }

    fn draw(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn new_caller(&mut self) -> (Caller, oneshot::Receiver<()>) {
        let (call, called) = oneshot::channel();
        (Caller { id: self.draw(), call: Some(call) }, called)
    }

    fn take_over(&mut self, state: &State, ticket: u64, ask: Ask) -> Joined {
        if matches!(self.cases.get(&ticket), Some(Case { stage: Stage::Answered(_), .. }))
            && let Some(Case { stage: Stage::Answered(outcome), .. }) = self.remove(ticket)
        {
            return Joined::Answered(outcome);
        }
        let (caller, called) = self.new_caller();
        let joined = Joined::Seated { ticket, caller: caller.id, called };
        let waits = self.step_aside(ticket);
        if let Some(case) = self.cases.get_mut(&ticket) {
            case.caller = Some(caller);
            case.last = false;
            case.ask = ask;
            case.renew(state);
        }
        if waits {
            self.line_up(ticket);
        }
        joined
    }

    /// Puts a claim that stands aside in the lines of its mailboxes.
    fn line_up(&mut self, ticket: u64) {
        let Some(case) = self.cases.get_mut(&ticket).filter(|case| matches!(case.stage, Stage::Aside)) else {
            return;
        };
        case.stage = Stage::InLine;
        for mailbox in &case.sources {
            self.lines.join(mailbox, &case.able, ticket);
        }
    }

    /// Takes a waiting claim out of the lines; tells whether it waits.
    fn step_aside(&mut self, ticket: u64) -> bool {
        let Some(case) = self.cases.get_mut(&ticket) else { return false };
        if matches!(case.stage, Stage::InLine) {
            case.stage = Stage::Aside;
            for mailbox in &case.sources {
                self.lines.leave(mailbox, &case.able, ticket);
            }
        }
        matches!(case.stage, Stage::Aside)
    }

    fn remove(&mut self, ticket: u64) -> Option<Case> {
        self.step_aside(ticket);
        let case = self.cases.remove(&ticket)?;
        self.tickets.remove(&(case.ask.agent, case.ask.request));
        Some(case)
    }

    /// Looks at an agent anew: its claims wait by what it is and can do by now, or are refused. Adds the
    /// mailboxes that they wait for.
    pub(super) fn review(&mut self, state: &State, agent: AgentId, mailboxes: &mut BTreeSet<MailboxId>) {
        let tickets: Vec<u64> = self.tickets_of(agent).collect();
        let allowed = claims_for_itself(state, agent).and_then(takes_work);
        for ticket in tickets {
            if !self.step_aside(ticket) {
                continue;
            }
            if let Err(refusal) = &allowed {
                self.answer(ticket, Err(refusal.clone().into()));
            } else if let Some(case) = self.cases.get_mut(&ticket) {
                case.renew(state);
                mailboxes.extend(case.sources.iter().cloned());
                self.line_up(ticket);
            }
        }
    }

    pub(super) fn review_all(
        &mut self,
        state: &State,
        mailboxes: &mut BTreeSet<MailboxId>,
        orders: &mut Vec<Order>,
    ) {
        let agents: BTreeSet<AgentId> = self.tickets.keys().map(|(agent, _)| *agent).collect();
        for agent in agents {
            self.review(state, agent, mailboxes);
            self.ask_agent(state, agent, orders);
        }
    }

    /// Asks all who wait before a mailbox whether they may have what policies keep from others there, if something of it
    /// has come since they were.
    pub(super) fn ask_all(&mut self, state: &State, mailbox: &MailboxId, orders: &mut Vec<Order>) {
        let Some(since) = state.barred_since(mailbox) else {
            self.barred.remove(mailbox);
            return;
        };
        if self.barred.get(mailbox).is_some_and(|asked| *asked >= since) {
            return;
        }
        self.barred.insert(mailbox.clone(), since);
        let tickets = self.lines.all_before(mailbox);
        self.ask(state, &tickets, orders);
    }

    /// Asks an agent whether it may have what policies keep from others.
    pub(super) fn ask_agent(&mut self, state: &State, agent: AgentId, orders: &mut Vec<Order>) {
        let tickets: Vec<u64> = self.tickets_of(agent).collect();
        self.ask(state, &tickets, orders);
    }

    /// Calls those of these who are in line and may have what policies keep from others: for each sort of it as many as
    /// there are tasks.
    pub(super) fn ask(&mut self, state: &State, tickets: &[u64], orders: &mut Vec<Order>) {
        let mut slots: BTreeMap<TaskId, usize> = BTreeMap::new();
        for ticket in tickets {
            let Some(case) = self.cases.get(ticket).filter(|case| matches!(case.stage, Stage::InLine)) else {
                continue;
            };
            let Some(agent) = state.agent(case.ask.agent).filter(|agent| state.may_claim(agent)) else {
                continue;
            };
            let mut work = state.barred_for(agent, Some(&case.able)).into_iter();
            let is_left = |work: &BarredWork| slots.get(&work.first).is_none_or(|slots| *slots < work.count);
            let Some(work) = work.find(is_left) else { continue };
            let most = case.ask.max.min(agent.free());
            *slots.entry(work.first).or_default() += most as usize;
            orders.extend(self.begin(*ticket, &work.mailbox, most, true));
        }
    }

    /// Calls as many of a mailbox's line as there is work for.
    pub(super) fn call(&mut self, state: &State, mailbox: &MailboxId, orders: &mut Vec<Order>) {
        let Some(mut line) = self.lines.before(mailbox) else { return };
        // What is paused is not among it: a claim for that would come back empty, again and again.
        let mut work = Work::of(state.claimable(mailbox));
        for ticket in self.claiming.get(mailbox).into_iter().flatten() {
            if let Some(Case { able, stage: Stage::Claiming { most, .. }, .. }) = self.cases.get(ticket) {
                work.set_against(able, *most);
            }
        }
        let (mut called, mut aside) = (Vec::new(), Vec::new());
        while let Some(ticket) = line.next(&work) {
            let Some(case) = self.cases.get(&ticket) else { continue };
            let Some(agent) = state.agent(case.ask.agent).filter(|agent| state.may_claim(agent)) else {
                aside.push(ticket);
                continue;
            };
            let most = case.ask.max.min(agent.free());
            work.set_against(&case.able, most);
            called.push((ticket, most));
        }
        for ticket in aside {
            self.step_aside(ticket);
        }
        for (ticket, most) in called {
            orders.extend(self.begin(ticket, mailbox, most, false));
        }
    }

    fn begin(&mut self, ticket: u64, mailbox: &MailboxId, most: u32, barred: bool) -> Option<Order> {
        self.step_aside(ticket);
        let case = self.cases.get_mut(&ticket)?;
        case.stage = Stage::Claiming { mailbox: mailbox.clone(), most, barred };
        self.claiming.entry(mailbox.clone()).or_default().insert(ticket);
        let Ask { agent, max, start, request, .. } = case.ask;
        let key = follows(request, agent, case.tries);
        let command = Command::ClaimOnce { key, agent, max, start, offered: case.ask.offered.clone() };
        Some(Order::Claim { ticket, key, command })
    }

    /// Takes in what a claim came to, and whether that was granted to it or to the same on another node; looks at what
    /// that leaves for others.
    pub(super) fn claimed(
        &mut self,
        state: &State,
        ticket: u64,
        (outcome, own): (Outcome, bool),
        orders: &mut Vec<Order>,
    ) {
        let Some(case) = self.cases.get_mut(&ticket) else { return };
        let Stage::Claiming { mailbox, barred, .. } = std::mem::replace(&mut case.stage, Stage::Aside) else {
            return;
        };
        let mut mailboxes: BTreeSet<MailboxId> = case.sources.iter().cloned().collect();
        if let Some(claims) = self.claiming.get_mut(&mailbox) {
            claims.remove(&ticket);
            if claims.is_empty() {
                self.claiming.remove(&mailbox);
            }
        }
        if barred {
            // It may have brought other work, and others were not asked because of it.
            self.barred.remove(&mailbox);
        }
        mailboxes.insert(mailbox);
        case.tries += 1;
        case.own = own;
        let (agent, waits, last) = (case.ask.agent, case.caller.is_some(), case.last);
        match outcome {
            Ok(leases) if leases.is_empty() && waits && !last => {
                self.review(state, agent, &mut mailboxes);
                self.ask(state, &[ticket], orders);
            }
            Ok(leases) if !leases.is_empty() && !waits => orders.extend(self.release(ticket, leases)),
            outcome => self.answer(ticket, outcome),
        }
        for mailbox in &mailboxes {
            if barred {
                self.ask_all(state, mailbox, orders);
            }
            self.call(state, mailbox, orders);
        }
    }

    /// Gives back what its own claim got. What another node's got is for whoever asks there, or asks again.
    fn release(&mut self, ticket: u64, leases: Vec<Assignment>) -> Option<Order> {
        let case = self.cases.get_mut(&ticket)?;
        if !case.own {
            self.remove(ticket);
            return None;
        }
        case.stage = Stage::Releasing;
        let key = follows(case.ask.request, case.ask.agent, case.tries.saturating_sub(1));
        Some(Order::Release { ticket, key, leases })
    }

    /// Takes in that leases are back. If the same was asked again meanwhile, that caller gets in line.
    pub(super) fn released(&mut self, state: &State, ticket: u64, orders: &mut Vec<Order>) {
        let Some(case) = self.cases.get_mut(&ticket) else { return };
        if case.caller.is_none() {
            self.remove(ticket);
            return;
        }
        case.stage = Stage::Aside;
        let (agent, mut mailboxes) = (case.ask.agent, BTreeSet::new());
        self.review(state, agent, &mut mailboxes);
        self.ask(state, &[ticket], orders);
        for mailbox in &mailboxes {
            self.call(state, mailbox, orders);
        }
    }

    /// Lays the answer out for the caller and calls it; nobody's answer is dropped.
    fn answer(&mut self, ticket: u64, outcome: Outcome) {
        let Some(case) = self.cases.get_mut(&ticket) else { return };
        let Some(caller) = &mut case.caller else {
            self.remove(ticket);
            return;
        };
        case.stage = Stage::Answered(outcome);
        if let Some(call) = caller.call.take() {
            // A caller that is leaving says so itself.
            let _ = call.send(());
        }
    }

    /// Gives a caller its answer, if the place is still its own.
    pub(super) fn take(&mut self, ticket: u64, caller: u64) -> Option<Outcome> {
        self.case_of(ticket, caller).filter(|case| matches!(case.stage, Stage::Answered(_)))?;
        match self.remove(ticket)?.stage {
            Stage::Answered(outcome) => Some(outcome),
            Stage::InLine | Stage::Aside | Stage::Claiming { .. } | Stage::Releasing => None,
        }
    }

    /// Lets a caller leave whose wait is over; tells whether it could, or must take what is on its way.
    pub(super) fn leave(&mut self, ticket: u64, caller: u64) -> bool {
        let Some(case) = self.case_of(ticket, caller) else { return false };
        match case.stage {
            Stage::InLine | Stage::Aside => {
                self.remove(ticket);
                true
            }
            Stage::Releasing => {
                case.caller = None;
                true
            }
            Stage::Claiming { .. } => {
                case.last = true;
                false
            }
            Stage::Answered(_) => false,
        }
    }

    /// Takes note that a caller has gone without its answer.
    pub(super) fn abandon(&mut self, ticket: u64, caller: u64) -> Option<Order> {
        let case = self.case_of(ticket, caller)?;
        match &mut case.stage {
            Stage::InLine | Stage::Aside => {
                self.remove(ticket);
                None
            }
            Stage::Claiming { .. } | Stage::Releasing => {
                case.caller = None;
                None
            }
            Stage::Answered(Ok(leases)) if !leases.is_empty() => {
                let leases = std::mem::take(leases);
                case.caller = None;
                self.release(ticket, leases)
            }
            Stage::Answered(_) => {
                self.remove(ticket);
                None
            }
        }
    }

    fn case_of(&mut self, ticket: u64, caller: u64) -> Option<&mut Case> {
        let case = self.cases.get_mut(&ticket)?;
        case.caller.as_ref().is_some_and(|one| one.id == caller).then_some(case)
    }
}

impl Case {
    /// Takes over what its agent is by now.
    fn renew(&mut self, state: &State) {
        if matches!(self.stage, Stage::InLine) {
            return;
        }
        if let Some(agent) = state.agent(self.ask.agent) {
            self.able = able(&self.ask, agent);
            self.sources = state.sources_of(&agent.spec);
        }
    }
}

/// Returns the agent, if it runs elsewhere.
fn claims_for_itself(state: &State, id: AgentId) -> Result<&Arc<Agent>, Refusal> {
    let agent = state.agent(id).ok_or(Refusal::AgentUnknown(id))?;
    match agent.spec.host {
        Host::External => Ok(agent),
        Host::Node(_) => {
            let why = "its node runs it and claims for it".to_owned();
            Err(Refusal::Invalid { field: "agent".to_owned(), why })
        }
    }
}

/// Refuses an agent that takes nothing new, unless it will shortly.
fn takes_work(agent: &Arc<Agent>) -> Result<(), Refusal> {
    match agent.standing {
        Standing::Starting | Standing::Ready => Ok(()),
        Standing::Draining | Standing::Offline | Standing::Failed => {
            Err(Refusal::AgentUnavailable { agent: agent.spec.id, status: agent.status().to_string() })
        }
    }
}

fn able(ask: &Ask, agent: &Agent) -> Arc<Capabilities> {
    Arc::new(ask.offered.clone().unwrap_or_else(|| agent.spec.capabilities.clone()))
}

/// The id under which a request claims the next time, after so many times.
fn follows(request: RequestId, agent: AgentId, tries: u32) -> RequestId {
    let mixed = (agent.raw() ^ (u128::from(tries) << 64)).wrapping_mul(SPREAD);
    let mixed = (mixed ^ (mixed >> 67)).wrapping_mul(SPREAD);
    RequestId::from_raw(request.raw() ^ mixed)
}

/// The id under which the lease on a task that was granted under a key is kept by whoever was asked again, or given
/// back by whoever was left. Only the first of the two counts.
pub(super) fn kept_or_back(key: RequestId, task: TaskId) -> RequestId {
    let mixed = (task.raw() ^ key.raw().rotate_left(31)).wrapping_mul(SPREAD);
    RequestId::from_raw((mixed ^ (mixed >> 61)).wrapping_mul(SPREAD))
}

/// What the state remembers of a request.
enum Earlier {
    /// Leases that it was granted under this key and still has.
    Leases { key: RequestId, leases: Vec<Assignment> },
    /// Nothing that is still valid; so many of its ids are used up.
    Tries(u32),
}

fn earlier(state: &State, ask: &Ask, from: u32) -> Result<Earlier, ClaimError> {
    for tries in from.. {
        let key = follows(ask.request, ask.agent, tries);
        match state.answered(key) {
            None => return Ok(Earlier::Tries(tries)),
            Some(Reply::Claimed(leases)) if leases.is_empty() => {}
            Some(Reply::Claimed(leases)) if leases.iter().all(|lease| lease.agent == ask.agent) => {
                return Ok(Earlier::Leases { key, leases });
            }
            Some(_) => return Err(used_otherwise()),
        }
    }
    Err(used_otherwise())
}
