//! Hands waiting tasks to the agents of this cluster: proposes claims on their behalf.
//!
//! Which agents get work next is planned by [`synod_domain::placement`]; which tasks they get is
//! decided by the mailbox, in `State::apply`. So a plan made from a stale look is harmless: the claim
//! is judged again.
//!
//! The router notes what was touched and wakes it; however much happens, at most one wake-up waits.
//! A pass costs in proportion to what was touched and to the free agents of those pools, not to the
//! backlog. Work that no free agent can take asks its pool to grow, within the pool's bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::agent::{Host, Standing};
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::placement::{Candidate, Plan, Problem, Strategy, WaitingWork, place};
use synod_domain::task::MailboxId;

use crate::address::Address;
use crate::propose::World;

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) touched: Arc<Touched>,
}

/// What the router noted since the last pass. Its size is bounded by the agents and mailboxes there are.
#[derive(Debug, Default)]
pub(crate) struct Touched(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    agents: BTreeSet<AgentId>,
    mailboxes: BTreeSet<MailboxId>,
    everything: bool,
    woken: bool,
}

/// The only way to talk to the scheduler. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle {
    pub(crate) address: Address<Message>,
    pub(crate) touched: Arc<Touched>,
}

impl Handle {
    /// Notes an agent whose slots or standing may have changed.
    pub(crate) fn touch_agent(&self, agent: AgentId) {
        self.touched.0.lock().agents.insert(agent);
    }

    /// Notes a mailbox that has new work.
    pub(crate) fn touch_mailbox(&self, mailbox: &MailboxId) {
        let mut notes = self.touched.0.lock();
        if !notes.mailboxes.contains(mailbox) {
            notes.mailboxes.insert(mailbox.clone());
        }
    }

    /// Notes that anything may have changed.
    pub(crate) fn touch_everything(&self) {
        self.touched.0.lock().everything = true;
    }

    /// Wakes it if anything was noted and no wake-up waits already.
    pub(crate) fn wake(&self) {
        let mut notes = self.touched.0.lock();
        let noted = notes.everything || !notes.agents.is_empty() || !notes.mailboxes.is_empty();
        if noted && !notes.woken {
            // While it is down, the notes stay; it looks at everything when it starts.
            notes.woken = self.address.tell(Message::Woken).is_ok();
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
    /// Agents with a free slot, by pool.
    free: BTreeMap<Option<Name>, BTreeSet<AgentId>>,
    pool_of: BTreeMap<AgentId, Option<Name>>,
    /// Agents whose claim is on its way.
    claiming: BTreeSet<AgentId>,
    growing: BTreeSet<Name>,
    /// Whom round robin served last, by mailbox.
    cursors: BTreeMap<MailboxId, AgentId>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scheduler;

impl Actor for Scheduler {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        {
            let mut notes = args.touched.0.lock();
            notes.everything = true;
            notes.woken = true;
        }
        me.send_message(Message::Woken)?;
        Ok(State {
            args,
            free: BTreeMap::new(),
            pool_of: BTreeMap::new(),
            claiming: BTreeSet::new(),
            growing: BTreeSet::new(),
            cursors: BTreeMap::new(),
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
            Message::GrowthEnded { pool } => {
                state.growing.remove(&pool);
            }
        }
        Ok(())
    }
}

impl State {
    /// Looks at what was touched and proposes claims for it.
    fn pass(&mut self, me: &ActorRef<Message>) {
        let mut notes = std::mem::take(&mut *self.args.touched.0.lock());
        if notes.everything {
            notes.agents.extend(self.pool_of.keys().copied());
            self.args.world.clone().read(|state| {
                notes.agents.extend(state.agents().map(|agent| agent.spec.id));
                notes.mailboxes.extend(state.mailboxes().map(|(mailbox, _)| mailbox.clone()));
            });
        }
        for agent in notes.agents {
            notes.mailboxes.extend(self.look_at_agent(agent));
        }
        for mailbox in notes.mailboxes {
            self.serve(me, &mailbox);
        }
    }

    /// Updates what is known of an agent; returns the mailboxes it could be served from.
    fn look_at_agent(&mut self, id: AgentId) -> Vec<MailboxId> {
        let seen = self.args.world.read(|state| {
            let agent = state.agent(id)?;
            // An agent that runs elsewhere on its own claims for itself.
            let hosted = matches!(agent.spec.host, Host::Node(_));
            Some((agent.spec.pool.clone(), hosted && agent.takes_work()))
        });
        if let Some(pool) = self.pool_of.remove(&id)
            && let Some(members) = self.free.get_mut(&pool)
        {
            members.remove(&id);
        }
        let Some((pool, free)) = seen else { return Vec::new() };
        if !free {
            return Vec::new();
        }
        self.free.entry(pool.clone()).or_default().insert(id);
        self.pool_of.insert(id, pool.clone());
        let own = [MailboxId::Agent(id), MailboxId::Open];
        own.into_iter().chain(pool.map(MailboxId::Pool)).collect()
    }

    fn serve(&mut self, me: &ActorRef<Message>, mailbox: &MailboxId) {
        let candidates: Vec<AgentId> = match mailbox {
            MailboxId::Agent(agent) => {
                self.pool_of.contains_key(agent).then_some(*agent).into_iter().collect()
            }
            MailboxId::Pool(pool) => {
                self.free.get(&Some(pool.clone())).into_iter().flatten().copied().collect()
            }
            MailboxId::Open => self.pool_of.keys().copied().collect(),
        };
        let seed = self.args.world.entropy.draw();
        let cursor = self.cursors.get(mailbox).copied();
        let claiming = &self.claiming;
        let (plan, growth) = self.args.world.read(|state| {
            let Some(found) = state.mailbox(mailbox) else { return (Plan::default(), None) };
            let waiting: Vec<WaitingWork> =
                found.demands().map(|(demand, count)| WaitingWork { demand, count }).collect();
            let agents: Vec<_> = candidates
                .iter()
                .filter(|agent| !claiming.contains(agent))
                .filter_map(|agent| state.agent(*agent))
                .filter(|agent| agent.takes_work())
                .collect();
            let pool = match mailbox {
                MailboxId::Pool(pool) => state.pool(pool),
                MailboxId::Agent(_) | MailboxId::Open => None,
            };
            let problem = Problem {
                waiting,
                candidates: agents
                    .iter()
                    .map(|agent| Candidate {
                        agent: agent.spec.id,
                        capabilities: &agent.spec.capabilities,
                        free: agent.free(),
                        held: u32::try_from(agent.held.len()).unwrap_or(u32::MAX),
                        completed: agent.completed,
                    })
                    .collect(),
                strategy: pool.map_or(Strategy::default(), |pool| pool.spec.strategy),
                cursor,
                seed,
            };
            let plan = place(&problem);
            let planned: u64 = plan.grants.iter().map(|(_, count)| u64::from(*count)).sum();
            let left = (found.depth() as u64).saturating_sub(planned);
            let growth = pool.filter(|pool| left > 0 && pool.target < pool.spec.max).map(|pool| {
                let slots = u64::from(pool.spec.concurrency);
                let more = u32::try_from(left.div_ceil(slots)).unwrap_or(u32::MAX);
                let starting = state
                    .agents_of(&pool.spec.name)
                    .filter(|agent| agent.standing == Standing::Starting)
                    .count();
                let starting = u32::try_from(starting).unwrap_or(u32::MAX);
                let target = pool.target.saturating_add(more.saturating_sub(starting));
                (pool.spec.name.clone(), pool.target, target.min(pool.spec.max))
            });
            (plan, growth)
        });
        if let Some(cursor) = plan.cursor {
            self.cursors.insert(mailbox.clone(), cursor);
        }
        for (agent, count) in plan.grants {
            self.claim(me, agent, count);
        }
        if let Some((pool, before, target)) = growth
            && target > before
        {
            self.grow(me, pool, target);
        }
    }

    fn claim(&mut self, me: &ActorRef<Message>, agent: AgentId, max: u32) {
        self.claiming.insert(agent);
        let (world, me) = (self.args.world.clone(), me.clone());
        tokio::spawn(async move {
            match world.propose(Command::Claim { agent, max, start: true }).await {
                // The agent hears of its leases through the events.
                Ok(Ok(_)) => {}
                Ok(Err(refusal)) => tracing::debug!(%agent, %refusal, "a claim was refused"),
                Err(error) => tracing::debug!(%agent, %error, "a claim was not recorded"),
            }
            // An error means that this scheduler is gone; the next looks at everything.
            let _ = me.send_message(Message::ClaimEnded { agent });
        });
    }

    fn claim_ended(&mut self, me: &ActorRef<Message>, agent: AgentId) {
        self.claiming.remove(&agent);
        for mailbox in self.look_at_agent(agent) {
            self.serve(me, &mailbox);
        }
    }

    fn grow(&mut self, me: &ActorRef<Message>, pool: Name, target: u32) {
        if !self.growing.insert(pool.clone()) {
            return;
        }
        let (world, me) = (self.args.world.clone(), me.clone());
        tokio::spawn(async move {
            if let Err(error) = world.propose(Command::ScalePool { pool: pool.clone(), target }).await {
                tracing::debug!(%pool, %error, "a pool did not grow");
            }
            // An error means that this scheduler is gone; the next looks at everything.
            let _ = me.send_message(Message::GrowthEnded { pool });
        });
    }
}
