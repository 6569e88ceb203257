//! What the cluster has agreed on, and the only judge of what may change it.
//!
//! [`State::apply`] takes one entry of the log. First time passes up to the entry's time, and what is
//! due happens ([`timers`]); then each command is judged alone and in order. A refused command leaves
//! the state as it was. A command whose request id was applied before is answered as it was then.
//!
//! The state is the unfinished work and what is needed to judge it. A task that ends leaves for
//! history with the next checkpoint ([`persist`]); what stays is its [`Ending`], so that late writers
//! get the right answer.

mod access;
mod after;
mod agents;
mod answers;
mod apart;
mod approvals;
mod arriving;
mod assigning;
mod audit;
mod barred;
mod breakers;
mod budgets;
mod changes;
mod claims;
mod counts;
mod ends;
mod fabric;
mod federation;
mod founding;
mod gates;
mod groups;
mod hooks;
mod joining;
mod kept;
mod keyring;
mod keys;
mod letters;
mod limit_sets;
mod limits;
mod lives;
mod newcomers;
mod nodes;
mod parking;
mod passages;
mod pauses;
mod persist;
mod policies;
mod pools;
mod quotas;
mod reach;
mod recovering;
mod resources;
mod retiring;
mod rollouts;
mod runs;
mod shares;
mod spawning;
mod strict;
mod submit;
mod tending;
mod timers;
mod tokens;
mod totals;
mod view;
mod violations;
mod wakes;
mod webhooks;
mod whereabouts;
mod whose;
mod why;
mod window;

pub use after::PREREQUISITES_MAX;
pub use barred::BarredWork;
pub use persist::RestoreError;
pub use webhooks::Outbox;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::{Agent, Pool};
use crate::chance::Chance;
use crate::command::{Command, Entry, Request};
use crate::event::Event;
use crate::federation::Federation;
use crate::id::{AgentId, NodeId, RequestId, RunId, TaskId, TokenId};
use crate::mailbox::{Mailbox, Paused, Weights};
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::node::{JoinToken, Keyring, Node};
use crate::refusal::Refusal;
use crate::region::{Pointer, Route, Verdict};
use crate::reply::{Answer, Applied};
use crate::row::{Ending, Meta};
use crate::run::Run;
use crate::task::{MailboxId, Task};
use crate::terms::Terms;
use crate::time::Timestamp;

/// What applying one entry brought about.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// One answer for each command, in order.
    pub answers: Vec<Answer>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// The agreed state. Equal entries in equal order give equal states.
#[derive(Debug, Default)]
pub struct State {
    meta: Meta,
    tasks: BTreeMap<TaskId, Arc<Task>>,
    dead_letters: BTreeMap<TaskId, Arc<Task>>,
    agents: BTreeMap<AgentId, Arc<Agent>>,
    pools: BTreeMap<Name, Arc<Pool>>,
    weights: Weights,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    timers: timers::Timers,
    keys: keys::Keys,
    requests: window::Window<RequestId, Applied>,
    endings: window::Window<TaskId, Ending>,
    runs: BTreeMap<RunId, Run>,
    pool_agents: BTreeMap<Name, BTreeSet<AgentId>>,
    counts: counts::Counts,
    groups: groups::Groups,
    /// The agents that run elsewhere, by the name that only one of them has.
    names: BTreeMap<Name, AgentId>,
    /// The agents that nodes run, by the name that only one of them has.
    hosted_names: BTreeMap<Name, AgentId>,
    hosted: shares::Hosted,
    pauses: pauses::Pauses,
    tokens: tokens::Tokens,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    join_tokens: BTreeMap<TokenId, JoinToken>,
    keyring: Keyring,
    federation: Federation,
    pointers: passages::Passages<Pointer>,
    arrivals: passages::Passages<Verdict>,
    /// Of dead letters that were kept for other regions.
    routes: BTreeMap<TaskId, Route>,
    /// Tasks and dead letters whose content is shown in this region alone.
    strict: BTreeSet<TaskId>,
    /// The terms of tasks that have some of their own.
    terms: BTreeMap<TaskId, Arc<Terms>>,
    after: after::After,
    fabric: fabric::Fabric,
    resources: resources::Resources,
    policies: policies::Policies,
    approvals: approvals::Approvals,
    violations: violations::Violations,
    parked: parking::Parked,
    barred: barred::Barred,
    budgets: budgets::Budgets,
    wakes: wakes::Wakes,
    hooks: hooks::Hooks,
    breakers: breakers::Breakers,
    limit_sets: limit_sets::LimitSets,
    trail: audit::Trail,
    tending: tending::Tending,
    access: access::Access,
    webhooks: webhooks::Webhooks,
    quotas: quotas::Quotas,
    /// The workspaces that mailboxes pass over: paused ones, and those with as much in hand as they may have.
    resting: Paused,
    whereabouts: whereabouts::Whereabouts,
    changes: changes::ChangeLog,
}

/// What one entry brings along while it is applied.
#[derive(Debug)]
struct Step {
    now: Timestamp,
    chance: Chance,
    events: Vec<Event>,
    /// What may have come to rest, to be looked at when the command is done.
    idle: Vec<retiring::Idle>,
}

impl State {
    /// Applies one entry of the log.
    ///
    /// Cost: O(log n) for each command and each due task, n being the unfinished tasks. Time never
    /// goes back: an entry older than the last one is applied at the last one's time.
    pub fn apply(&mut self, entry: &Entry) -> Effects {
        let now = entry.at.max(self.meta.now);
        self.meta.now = now;
        self.meta.today.turn(now);
        self.changes.touch_meta();
        let mut step = Step { now, chance: Chance::new(entry.seed), events: Vec::new(), idle: Vec::new() };
        self.advance(&mut step);
        let answers = entry.commands.iter().map(|request| self.answer(&mut step, request)).collect();
        self.fill_outboxes(&mut step);
        Effects { answers, events: step.events }
    }

    fn answer(&mut self, step: &mut Step, request: &Request) -> Answer {
        if let Some(applied) = self.requests.get(&request.id)
            && !mutant(Mutant::ForgetRequests)
        {
            return Ok(self.answer_again(applied.clone()));
        }
        let (actor, command) = match &request.command {
            Command::By { actor, command } => (Some(actor), &**command),
            command => (None, command),
        };
        let noted = self.note(command);
        let workspace = actor.and_then(|actor| actor.workspace.as_ref());
        let held_to = workspace.filter(|_| !mutant(Mutant::AcceptAForeignWorkspace));
        let reached = held_to.map_or(Ok(()), |workspace| self.check_reach(workspace, command));
        // Before it is judged, since what it may have goes by whose it is.
        let made = workspace.filter(|_| reached.is_ok()).and_then(|own| self.note_owner(own, command));
        let may = reached.and_then(|()| self.check_spawn(actor.map(AsRef::as_ref), command, step.now));
        let answer = may.and_then(|()| self.judge(step, command));
        if let (Some(owned), Err(_)) = (made, &answer) {
            self.forget_owner(owned);
        }
        self.settle(step);
        let recorded = !(mutant(Mutant::SkipTheRecord) && matches!(command, Command::LimitSet(_)));
        if let Some(noted) = noted.filter(|_| recorded) {
            self.record(step, request.id, actor, noted, &answer);
        }
        if let Ok(reply) = &answer {
            let dirty = self.requests.push(request.id, Applied::of(reply));
            self.changes.touch_requests(dirty);
        }
        answer
    }

    /// Everything that may be asked, and who judges it.
    fn judge(&mut self, step: &mut Step, command: &Command) -> Answer {
        match command {
            Command::SetLimits { limits } => self.set_limits(step, limits),
            Command::SetWeight { workspace, weight } => self.set_weight(workspace, *weight),
            Command::StartNode { spec, generation } => self.start_node(step, spec, *generation),
            Command::PutPool { spec } => self.put_pool(step, spec),
            Command::ScalePool { pool, target } => self.scale_pool(step, pool, *target),
            Command::RemovePool { pool } => self.remove_pool(step, pool),
            Command::RegisterAgent { spec } => self.register_agent(step, spec),
            Command::SetStanding { agent, standing, reason } => {
                self.set_standing(step, *agent, *standing, reason)
            }
            Command::RemoveAgent { agent } => self.remove_agent(step, *agent),
            Command::Submit { spec } => self.submit(step, spec),
            Command::Claim { agent, max, start, offered } => {
                self.claim(step, *agent, *max, *start, offered.as_ref())
            }
            Command::Start { task, attempt } => self.start(step, *task, *attempt),
            Command::Heartbeat { task, attempt, progress } => {
                self.heartbeat(step, *task, *attempt, progress.as_ref())
            }
            Command::Complete { task, attempt, result, usage } => {
                self.complete(step, *task, *attempt, result, usage)
            }
            Command::Fail { task, attempt, reason, retryable, usage } => {
                self.fail(step, *task, *attempt, reason, *retryable, usage)
            }
            Command::Release { task, attempt, reason } => self.release(step, *task, *attempt, reason),
            Command::Cancel { task, reason } => self.cancel(step, *task, reason),
            Command::Redrive { task, new_task } => self.redrive(step, *task, *new_task),
            Command::Purge { task } => self.purge(step, *task),
            Command::SetLane { task, lane } => self.set_lane(step, *task, *lane),
            Command::StartRun { run, fleet, plan } => self.start_run(step, *run, fleet, plan),
            Command::EndRun { run, summary } => self.end_run(step, *run, summary),
            Command::RetireAgent { agent } => self.retire_agent(step, *agent),
            Command::RetirePool { pool } => self.retire_pool(step, pool),
            Command::Pause { what, reason } => self.pause(step, what, reason),
            Command::Resume { what } => self.resume(step, what),
            Command::PutToken { spec } => self.put_token(step, spec),
            Command::RotateToken { token, hash, keep_old_until } => {
                self.rotate_token(step, *token, *hash, *keep_old_until)
            }
            Command::RevokeToken { token, .. } => self.revoke_token(step, *token),
            Command::AdmitNode { spec, role, token } => self.admit_node(step, spec, *role, token),
            Command::MarkNode { node, standing, reason } => self.mark_node(step, *node, *standing, reason),
            Command::DrainNode { node, drain, reason } => self.drain_node(step, *node, *drain, reason),
            Command::SetNodeRole { node, role } => self.set_node_role(step, *node, *role),
            Command::RemoveNode { node, reason } => self.remove_node(step, *node, reason),
            Command::PutJoinToken { token } => self.put_join_token(step, token),
            Command::RevokeJoinToken { token } => self.revoke_join_token(*token),
            Command::InstallGossipKey { secret } => self.install_gossip_key(secret),
            Command::UseGossipKey { number } => self.use_gossip_key(*number),
            Command::RemoveGossipKey { number } => self.remove_gossip_key(*number),
            Command::BeginTerm { node, term } => self.begin_term(step, *node, *term),
            Command::PutRegionToken { token } => self.put_region_token(step, token),
            Command::AdmitRegion { region, founder, token } => {
                self.admit_region(step, region, *founder, token, None)
            }
            Command::KnowRegion { region, addresses, heard } => {
                self.know_region(step, region, addresses, *heard)
            }
            Command::RemoveRegion { region, .. } => self.remove_region(step, region, None),
            Command::ShareRing { ring, number } => self.share_ring(ring, *number),
            Command::KeepForRegion { spec, route } => self.keep_for_region(step, spec, route),
            Command::OfferToRegion { task, region } => self.offer_to_region(step, *task, region),
            Command::ForwardedTo { task, region, known_as } => {
                self.forwarded_to(step, *task, region, *known_as)
            }
            Command::RegionRefused { task, region, why } => self.region_refused(step, *task, region, why),
            Command::TakeHere { task, here } => self.take_here(step, *task, here),
            Command::TakeOffered { spec, from } => self.take_offered(step, spec, from),
            Command::ClaimOnce { key, agent, max, start, offered } => {
                self.claim_once(step, *key, (*agent, *max, *start), offered.as_ref())
            }
            Command::RefuseOffered { task, from, why } => self.refuse_offered(step, *task, from, why),
            Command::AdmitRegionAs { region, founder, token, cluster } => {
                self.admit_region(step, region, *founder, token, Some(cluster))
            }
            Command::SeeRegion { region, cluster } => self.see_region(step, region, cluster),
            Command::LoseRegion { region, reason } => self.remove_region(step, region, Some(reason)),
            Command::Policy(command) => self.judge_policy(step, command),
            Command::SubmitWith { spec, terms } => self.submit_with(step, spec, terms),
            Command::Hook(command) => self.judge_hook(step, command),
            Command::SubmitAfter { spec, after, terms } => {
                self.submit_after(step, spec, after, terms.as_ref())
            }
            Command::Fabric(command) => self.fabric_command(step, command),
            Command::Budget(command) => self.budget_command(step, command),
            Command::Breaker(command) => self.breaker_command(step, command),
            Command::LimitSet(command) => self.limit_set_command(step, command),
            Command::Resource(command) => self.judge_resource(step, command),
            Command::By { .. } => {
                Err(Refusal::Invalid { field: "command".to_owned(), why: "who asks is said once".to_owned() })
            }
            Command::Audit(command) => self.change_audit(command),
            Command::Pool(command) => self.tend(step, command),
            Command::Access(command) => self.judge_access(step, command),
            Command::Webhook(command) => self.webhook_command(step, command),
            Command::SubmitStrict { spec, after, terms } => {
                self.submit_strict(step, spec, after, terms.as_ref())
            }
        }
    }
}
