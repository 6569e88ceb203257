//! Hands waiting tasks to the agents of this cluster: proposes claims on their behalf.
//!
//! Which agents get work next is planned by [`synod_domain::placement`]; which tasks they get is
//! decided by the mailbox, in `State::apply`. So a plan made from a stale look is harmless: the claim
//! is judged again. It may bring less than was planned, or other work; therefore the mailbox that a claim
//! was planned for is looked at again when the claim has ended.
//!
//! The router notes what was touched and wakes it; however much happens, at most one wake-up waits.
//! A pass costs in proportion to what was touched and to what is handed out, neither to the backlog nor to
//! the idle agents. Work that no agent of its pool is there for asks the pool to grow, within its bounds.
//!
//! What policies keep from one agent may be for another ([`synod_domain::state::BarredWork`]). Whoever gets free is asked
//! about it, and all who are free in its mailbox when another sort of it came; those who were looked at before need not
//! be, because nothing about them has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::agent::{Agent, Host, Pool, RuntimeSpec, Standing};
use synod_domain::assignment::Assignment;
use synod_domain::command::Command;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::name::Name;
use synod_domain::placement::{Candidate, Plan, Problem, Strategy, WaitingWork, place};
use synod_domain::state::State as Agreed;
use synod_domain::task::MailboxId;

use crate::address::Address;
use crate::free::{Free, Order};
use crate::propose::World;
use crate::tether::Tether;

/// How many agents are looked at under one read of the state; writers wait meanwhile.
const LOOKS_MAX: usize = 256;

/// The wait after a proposal that the journal did not take, before its cause is looked at again. The journal
/// may say no at once, for example while the disk is full, and asking faster would only heat the machine.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) notes: Arc<Mutex<Notes>>,
}

/// What was touched and not looked at yet.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Agents whose slots or standing may have changed.
    pub(crate) agents: BTreeSet<AgentId>,
    /// Mailboxes that have new work.
    pub(crate) mailboxes: BTreeSet<MailboxId>,
    /// Mailboxes of work that a policy has just kept from somebody.
    pub(crate) barred: BTreeSet<MailboxId>,
    /// Anything may have changed.
    pub(crate) everything: bool,
}

impl Touched {
    fn is_empty(&self) -> bool {
        !self.everything && self.agents.is_empty() && self.mailboxes.is_empty() && self.barred.is_empty()
    }
}

/// What the router noted since the last pass. Its size is bounded by what happens during one pass.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    touched: Touched,
    woken: bool,
}

/// The only way to talk to the scheduler. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle {
    pub(crate) address: Address<Message>,
    pub(crate) notes: Arc<Mutex<Notes>>,
}

impl Handle {
    /// Notes what was touched, and wakes it unless a wake-up waits already.
    pub(crate) fn touch(&self, touched: Touched) {
        if touched.is_empty() {
            return;
        }
        let mut notes = self.notes.lock();
        notes.touched.agents.extend(touched.agents);
        notes.touched.mailboxes.extend(touched.mailboxes);
        notes.touched.barred.extend(touched.barred);
        notes.touched.everything |= touched.everything;
        if !notes.woken {
            notes.woken = self.address.tell(Message::Woken).is_ok();
            if !notes.woken {
                // It is down and looks at everything when it starts, so nothing need be kept for it.
                notes.touched = Touched::default();
            }
        }
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    Woken,
    ClaimEnded { agent: AgentId },
    GrowthEnded { pool: Name },
}

pub(crate) struct State {
    args: Args,
    /// Agents with a free slot and no claim on its way.
    free: Free,
    claims: BTreeMap<AgentId, Claim>,
    growing: BTreeSet<Name>,
    /// Up to when all who are free were asked about what policies keep from others.
    barred: BTreeMap<MailboxId, u64>,
    /// Whom round robin served last, by pool.
    cursors: BTreeMap<Name, AgentId>,
    beside: Tether,
}

/// A claim on its way, as it was planned.
struct Claim {
    mailbox: MailboxId,
    max: u32,
    /// Whether it is for what policies keep from others.
    barred: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scheduler;

impl Actor for Scheduler {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        {
            let mut notes = args.notes.lock();
            notes.touched.everything = true;
            notes.woken = true;
        }
        me.send_message(Message::Woken)?;
        Ok(State {
            args,
            free: Free::default(),
            claims: BTreeMap::new(),
            growing: BTreeSet::new(),
            barred: BTreeMap::new(),
            cursors: BTreeMap::new(),
            beside: Tether::default(),
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Woken => state.pass(&me),
            Message::ClaimEnded { agent } => state.claim_ended(&me, agent),
            Message::GrowthEnded { pool } => state.growth_ended(&me, pool),
        }
        Ok(())
    }
}

/// What is to be done about one mailbox.
#[derive(Default)]
struct Outlook {
    plan: Plan,
    /// Agents that were thought free and are not.
    stale: Vec<AgentId>,
    growth: Option<(Name, u32)>,
}

impl State {
    /// Looks at what was touched and proposes claims for it.
    fn pass(&mut self, me: &ActorRef<Message>) {
        let mut touched = std::mem::take(&mut *self.args.notes.lock()).touched;
        if touched.everything {
            touched.agents.extend(self.free.agents());
            self.args.world.read(|state| {
                touched.agents.extend(state.agents().map(|agent| agent.spec.id));
                touched.mailboxes.extend(state.mailboxes().map(|(mailbox, _)| mailbox.clone()));
            });
        }
        let agents: Vec<AgentId> = touched.agents.into_iter().collect();
        for agents in agents.chunks(LOOKS_MAX) {
            self.look_at_agents(me, agents, &mut touched.mailboxes);
        }
        for mailbox in touched.barred {
            self.ask_all(me, &mailbox);
        }
        for mailbox in touched.mailboxes {
            self.serve(me, &mailbox);
        }
    }

    /// Updates what is known of agents; adds the mailboxes with work that those who are free may take from.
    fn look_at_agents(
        &mut self,
        me: &ActorRef<Message>,
        agents: &[AgentId],
        mailboxes: &mut BTreeSet<MailboxId>,
    ) {
        let (free, claims) = (&mut self.free, &self.claims);
        let mut barred = BTreeSet::new();
        self.args.world.read(|state| {
            for id in agents {
                let pool = state.agent(*id).and_then(|agent| agent.spec.pool.clone()).map(MailboxId::Pool);
                barred.extend(pool.filter(|pool| state.barred_since(pool).is_some()));
                match state.agent(*id) {
                    // One whose claim is on its way is looked at when that has ended.
                    Some(agent) if takes_work(state, agent) && !claims.contains_key(id) => {
                        let sources = state.sources_of(&agent.spec);
                        free.put(agent, sources.contains(&MailboxId::Open));
                        mailboxes
                            .extend(sources.into_iter().filter(|source| state.mailbox(source).is_some()));
                    }
                    Some(_) | None => free.remove(*id),
                }
            }
        });
        self.ask(me, agents);
        for mailbox in &barred {
            self.grow_for_barred(me, mailbox);
        }
    }

    /// Asks everybody who is free and takes from a mailbox whether they may have what policies keep from others there,
    /// if something of it has come since they were.
    fn ask_all(&mut self, me: &ActorRef<Message>, mailbox: &MailboxId) {
        let Some(since) = self.args.world.read(|state| state.barred_since(mailbox)) else {
            self.barred.remove(mailbox);
            return;
        };
        if self.barred.get(mailbox).is_none_or(|asked| *asked < since) {
            self.barred.insert(mailbox.clone(), since);
            let agents = self.free.pick(mailbox, usize::MAX, Order::Load);
            for agents in agents.chunks(LOOKS_MAX) {
                self.ask(me, agents);
            }
        }
        self.grow_for_barred(me, mailbox);
    }

    /// Lets a pool grow for what policies keep from agents that it has and would let the next one have.
    fn grow_for_barred(&mut self, me: &ActorRef<Message>, mailbox: &MailboxId) {
        let MailboxId::Pool(name) = mailbox else { return };
        let claims = &self.claims;
        let growth = self.args.world.read(|state| {
            let pool = state.pool(name).filter(|pool| grows_by_itself(state, pool))?;
            growth(state, pool, &state.open_to_newcomers(pool), &Plan::default(), claims)
        });
        if let Some((pool, target)) = growth {
            self.grow(me, pool, target);
        }
    }

    /// Proposes claims for those of these agents that are free and may have what policies keep from others: for each
    /// sort of it as many as there are tasks.
    fn ask(&mut self, me: &ActorRef<Message>, agents: &[AgentId]) {
        let mut slots: BTreeMap<TaskId, usize> = BTreeMap::new();
        let free = &self.free;
        let claims: Vec<(AgentId, Claim)> = self.args.world.read(|state| {
            let agents = agents.iter().filter(|id| free.holds(**id)).filter_map(|id| state.agent(*id));
            let claims = agents.filter(|agent| takes_work(state, agent)).filter_map(|agent| {
                let mut work = state.barred_for(agent, None).into_iter();
                let work =
                    work.find(|work| slots.get(&work.first).is_none_or(|slots| *slots < work.count))?;
                let max = agent.free();
                *slots.entry(work.first).or_default() += max as usize;
                Some((agent.spec.id, Claim { mailbox: work.mailbox, max, barred: true }))
            });
            claims.collect()
        });
        for (agent, claim) in claims {
            self.claim(me, agent, claim);
        }
    }

    /// Proposes claims for the work of a mailbox, as far as agents are free, and growth for the rest.
    fn serve(&mut self, me: &ActorRef<Message>, mailbox: &MailboxId) {
        loop {
            let outlook = self.look_ahead(mailbox);
            if outlook.stale.is_empty() {
                if let (Some(cursor), MailboxId::Pool(pool)) = (outlook.plan.cursor, mailbox) {
                    self.cursors.insert(pool.clone(), cursor);
                }
                for (agent, max) in outlook.plan.grants {
                    self.claim(me, agent, Claim { mailbox: mailbox.clone(), max, barred: false });
                }
                if let Some((pool, target)) = outlook.growth {
                    self.grow(me, pool, target);
                }
                return;
            }
            // They may have stood in the place of others who are free. They are touched when they are again.
            for agent in outlook.stale {
                self.free.remove(agent);
            }
        }
    }

    fn look_ahead(&mut self, mailbox: &MailboxId) -> Outlook {
        let seed = self.args.world.entropy.draw();
        let (free, claims, cursors) = (&self.free, &self.claims, &mut self.cursors);
        self.args.world.read(|state| {
            let pool = match mailbox {
                MailboxId::Pool(name) => state.pool(name),
                MailboxId::Agent(_) | MailboxId::Open => None,
            };
            if let (MailboxId::Pool(name), None) = (mailbox, pool) {
                cursors.remove(name);
            }
            // What is paused is not among it: a claim for that would come back empty, again and again.
            let waiting = state.claimable(mailbox);
            if waiting.is_empty() {
                return Outlook::default();
            }
            let depth = waiting.iter().map(|work| work.count).sum();
            let strategy = pool.map_or(Strategy::default(), |pool| pool.spec.strategy);
            let cursor = pool.and_then(|pool| cursors.get(&pool.spec.name).copied());
            let consolidate =
                pool.is_some_and(|pool| *state.assignment(&pool.spec.name) == Assignment::Consolidated);
            let order = match strategy {
                _ if consolidate => Order::Full,
                Strategy::RoundRobin => Order::After(cursor),
                Strategy::LeastBusy | Strategy::CapabilityAware => Order::Load,
                Strategy::Random => Order::Lot(seed),
            };
            let picked = free.pick(mailbox, depth, order);
            let pool = pool.filter(|pool| grows_by_itself(state, pool));
            if picked.is_empty() && pool.is_none() {
                return Outlook::default();
            }
            let agents =
                picked.iter().map(|id| (*id, state.agent(*id).filter(|agent| takes_work(state, agent))));
            let (known, stale): (Vec<_>, Vec<_>) = agents.partition(|(_, agent)| agent.is_some());
            let problem = Problem {
                waiting,
                candidates: known
                    .iter()
                    .filter_map(|(_, agent)| agent.map(|agent| candidate(agent)))
                    .collect(),
                strategy,
                consolidate,
                cursor,
                seed,
            };
            let plan = place(&problem);
            let growth = pool.and_then(|pool| growth(state, pool, &problem.waiting, &plan, claims));
            Outlook { plan, stale: stale.into_iter().map(|(id, _)| id).collect(), growth }
        })
    }

    fn claim(&mut self, me: &ActorRef<Message>, agent: AgentId, claim: Claim) {
        let max = claim.max;
        self.free.remove(agent);
        self.claims.insert(agent, claim);
        let (world, me) = (self.args.world.clone(), me.clone());
        self.beside.spawn(async move {
            match world.propose(Command::Claim { agent, max, start: true, offered: None }).await {
                // The agent hears of its leases through the events.
                Ok(Ok(_)) => {}
                Ok(Err(refusal)) => tracing::debug!(%agent, %refusal, "a claim was refused"),
                Err(error) => {
                    tracing::debug!(%agent, %error, "a claim was not recorded");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
            }
            // An error means that this scheduler is gone; the next looks at everything.
            let _ = me.send_message(Message::ClaimEnded { agent });
        });
    }

    fn claim_ended(&mut self, me: &ActorRef<Message>, agent: AgentId) {
        let mut mailboxes = BTreeSet::new();
        if let Some(Claim { mailbox, barred, .. }) = self.claims.remove(&agent) {
            if barred {
                // It may have brought other work, and others were not asked because of it.
                self.barred.remove(&mailbox);
                self.ask_all(me, &mailbox);
            }
            mailboxes.insert(mailbox);
        }
        self.look_at_agents(me, &[agent], &mut mailboxes);
        for mailbox in mailboxes {
            self.serve(me, &mailbox);
        }
    }

    fn grow(&mut self, me: &ActorRef<Message>, pool: Name, target: u32) {
        if !self.growing.insert(pool.clone()) {
            return;
        }
        let (world, me) = (self.args.world.clone(), me.clone());
        self.beside.spawn(async move {
            if let Err(error) = world.propose(Command::ScalePool { pool: pool.clone(), target }).await {
                tracing::debug!(%pool, %error, "a pool did not grow");
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
            // An error means that this scheduler is gone; the next looks at everything.
            let _ = me.send_message(Message::GrowthEnded { pool });
        });
    }

    fn growth_ended(&mut self, me: &ActorRef<Message>, pool: Name) {
        self.growing.remove(&pool);
        let mailbox = MailboxId::Pool(pool);
        self.serve(me, &mailbox);
        self.grow_for_barred(me, &mailbox);
    }
}

/// Tells whether claims are proposed for an agent. One that runs elsewhere on its own claims for itself.
fn takes_work(state: &Agreed, agent: &Agent) -> bool {
    matches!(agent.spec.host, Host::Node(_)) && state.may_claim(agent)
}

/// Tells whether a pool has room and grows for what waits. One that has a rule of its own grows by that.
fn grows_by_itself(state: &Agreed, pool: &Pool) -> bool {
    pool.spec.runtime != RuntimeSpec::External
        && pool.target < state.most_agents_of(pool)
        && state.autoscaling(&pool.spec.name).is_none()
}

fn candidate(agent: &Agent) -> Candidate<'_> {
    Candidate {
        agent: agent.spec.id,
        capabilities: &agent.spec.capabilities,
        free: agent.free(),
        held: u32::try_from(agent.held.len()).unwrap_or(u32::MAX),
        completed: agent.completed,
    }
}

/// Returns how many agents a pool should have for the work that neither the plan nor claims on their way
/// take, beyond agents that are still coming; `None` when it need not grow.
fn growth(
    state: &Agreed,
    pool: &Pool,
    waiting: &[WaitingWork],
    plan: &Plan,
    claims: &BTreeMap<AgentId, Claim>,
) -> Option<(Name, u32)> {
    let name = &pool.spec.name;
    // More agents of this pool would not help work that none of them can do.
    let doable = waiting.iter().filter(|work| pool.spec.capabilities.satisfy(&work.demand));
    let doable: u64 = doable.map(|work| work.count as u64).sum();
    let planned: u64 = plan.grants.iter().map(|(_, count)| u64::from(*count)).sum();
    let left = doable.saturating_sub(planned);
    if left == 0 {
        return None;
    }
    let claimed =
        claims.values().filter(|claim| matches!(&claim.mailbox, MailboxId::Pool(pool) if pool == name));
    let claimed: u64 = claimed.map(|claim| u64::from(claim.max)).sum();
    let left = left.saturating_sub(claimed);
    // Agents that failed count as coming: others made from the same definition would hardly do better.
    let serves = |agent: &&Arc<Agent>| agent.standing == Standing::Ready && !agent.standby;
    let serving = state.agents_of(name).filter(serves).count() as u64;
    // Nobody comes whose node is waited for, or for whom there is no node at all.
    let missing = state.shortfall(name).map_or(0, |shortfall| shortfall.missing);
    let coming = u64::from(pool.target.saturating_sub(missing)).saturating_sub(serving);
    let more = left.div_ceil(u64::from(pool.spec.concurrency.max(1))).saturating_sub(coming);
    let most = state.most_agents_of(pool);
    let target = u64::from(pool.target).saturating_add(more).min(u64::from(most));
    let target = u32::try_from(target).unwrap_or(most);
    (target > pool.target).then(|| (name.clone(), target))
}
