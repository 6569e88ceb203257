//! What somebody of a workspace may ask for.
//!
//! [`State::check_reach`] is the one place where a change is held against the workspace of whoever asks for it. It knows
//! what each command is about; a command that it does not know is for operators alone. Something of another workspace is
//! refused as if it were not there. Looking is left to whoever shows the state.

use std::collections::BTreeSet;

use crate::access::{AccessCommand, Owned, RoleBinding, Subject};
use crate::agent::{AgentSpec, PoolSpec, RuntimeSpec};
use crate::assignment::Assignment;
use crate::breaker::{BreakerCommand, Guarded};
use crate::budget::command::BudgetCommand;
use crate::command::Command;
use crate::hook::{HookCommand, HookRefusal};
use crate::id::{AgentId, ApprovalId, HookId, TaskId, TokenId};
use crate::name::Name;
use crate::pause::Pausable;
use crate::policy::{Ask, PolicyCommand};
use crate::refusal::Refusal;
use crate::state::State;
use crate::task::{MailboxId, TaskSpec};
use crate::tending::PoolCommand;

impl State {
    /// Notes that what somebody of a workspace makes is that workspace's. Returns what was nobody's before.
    pub(super) fn note_owner(&mut self, workspace: &Name, command: &Command) -> Option<Owned> {
        let owned = match command {
            Command::PutPool { spec } | Command::Pool(PoolCommand::Put { spec, .. }) => {
                Owned::Pool(spec.name.clone())
            }
            Command::RegisterAgent { spec } | Command::Pool(PoolCommand::RegisterAgent { spec, .. })
                if spec.pool.is_none() =>
            {
                Owned::Agent(spec.id)
            }
            _ => return None,
        };
        self.set_owner(owned.clone(), Some(workspace.clone())).then_some(owned)
    }

    /// Holds that somebody of a workspace asks for something of that workspace.
    pub(super) fn check_reach(&self, workspace: &Name, command: &Command) -> Result<(), Refusal> {
        let reach = Reach { state: self, workspace };
        if let Some((task, _)) = command.under_lease() {
            return reach.lease(task);
        }
        match command {
            Command::Submit { spec } | Command::SubmitWith { spec, .. } => reach.submit(spec),
            Command::SubmitAfter { spec, after, .. } | Command::SubmitStrict { spec, after, .. } => {
                reach.submit(spec)?;
                reach.after(after)
            }
            Command::Claim { agent, .. } | Command::ClaimOnce { agent, .. } => reach.claimant(*agent),
            Command::Budget(BudgetCommand::Record { agent, workspace, .. }) => {
                reach.workspace(workspace)?;
                reach.agent(*agent)
            }
            Command::Cancel { task, .. } | Command::SetLane { task, .. } => reach.task(*task),
            Command::Redrive { task, .. } | Command::Purge { task } => reach.letter(*task),
            Command::PutPool { spec } => reach.put_pool(spec),
            Command::ScalePool { pool, .. } | Command::RetirePool { pool } | Command::RemovePool { pool } => {
                reach.pool(pool)
            }
            Command::Pool(command) => reach.tend(command),
            Command::RegisterAgent { spec } => reach.register(spec),
            Command::SetStanding { agent, .. }
            | Command::RemoveAgent { agent }
            | Command::RetireAgent { agent } => reach.agent(*agent),
            Command::Pause { what, .. } | Command::Resume { what } => reach.pausable(what),
            Command::RotateToken { token, .. } | Command::RevokeToken { token, .. } => reach.token(*token),
            Command::Access(command) => reach.access(command),
            Command::Policy(command) => reach.policy(command),
            Command::Hook(command) => reach.hook_command(command),
            Command::Breaker(command) => reach.breaker(command),
            _ => Err(reach.bound()),
        }
    }
}

impl State {
    /// Tells whether somebody of a workspace may speak of the lease on a task: it is their work. Of one that has ended it is
    /// mostly not known here whose it was; what is said of it changes nothing.
    pub fn reaches_lease(&self, workspace: &Name, task: TaskId) -> bool {
        Reach { state: self, workspace }.lease(task).is_ok()
    }

    /// Holds that somebody of a workspace may claim for an agent.
    ///
    /// # Errors
    /// When it is not theirs, or was given to nobody and does everybody's work.
    pub fn check_claimant(&self, workspace: &Name, agent: AgentId) -> Result<(), Refusal> {
        Reach { state: self, workspace }.claimant(agent)
    }

    /// Tells whether an agent is somebody's of a workspace.
    pub fn reaches_agent(&self, workspace: &Name, agent: AgentId) -> bool {
        Reach { state: self, workspace }.agent(agent).is_ok()
    }
}

/// What somebody of a workspace reaches.
struct Reach<'a> {
    state: &'a State,
    workspace: &'a Name,
}

impl Reach<'_> {
    /// Says that something is for operators alone.
    fn bound(&self) -> Refusal {
        Refusal::WorkspaceBound(self.workspace.clone())
    }

    fn workspace(&self, of: &Name) -> Result<(), Refusal> {
        if of == self.workspace {
            return Ok(());
        }
        Err(invalid("workspace", format!("the token is bound to {}", self.workspace)))
    }

    fn submit(&self, spec: &TaskSpec) -> Result<(), Refusal> {
        self.workspace(&spec.workspace)?;
        if let Some(run) = spec.run {
            // A run is an operator's.
            return Err(Refusal::RunUnknown(run));
        }
        self.mailbox(&spec.mailbox)
    }

    /// Of what has ended it is not known here whose it was, unless it is a dead letter. So it is refused as if it were not
    /// there; the node that was asked looks it up in history, and leaves out what has completed.
    fn after(&self, after: &BTreeSet<TaskId>) -> Result<(), Refusal> {
        let known = |task: &TaskId| {
            self.state.tasks.get(task).or_else(|| self.state.dead_letters.get(task)).map(|task| &task.spec)
        };
        let unknown =
            after.iter().find(|task| known(task).is_none_or(|spec| spec.workspace != *self.workspace));
        unknown.map_or(Ok(()), |task| Err(Refusal::PrerequisiteUnknown(*task)))
    }

    fn lease(&self, task: TaskId) -> Result<(), Refusal> {
        let known = self.state.tasks.get(&task).or_else(|| self.state.dead_letters.get(&task));
        let Some(known) = known else { return Ok(()) };
        if known.spec.workspace == *self.workspace { Ok(()) } else { Err(Refusal::TaskUnknown(task)) }
    }

    fn mailbox(&self, mailbox: &MailboxId) -> Result<(), Refusal> {
        match mailbox {
            MailboxId::Open => Ok(()),
            MailboxId::Pool(pool) => self.pool(pool),
            MailboxId::Agent(agent) => self.agent(*agent),
        }
    }

    /// Of one that has ended it is not known here whose it was, so nothing is told of it; the node that was asked looks
    /// it up in history.
    fn task(&self, task: TaskId) -> Result<(), Refusal> {
        let known = self.state.tasks.get(&task).or_else(|| self.state.dead_letters.get(&task));
        match known {
            Some(known) if known.spec.workspace == *self.workspace => Ok(()),
            Some(_) | None => Err(Refusal::TaskUnknown(task)),
        }
    }

    fn letter(&self, task: TaskId) -> Result<(), Refusal> {
        match self.state.dead_letters.get(&task) {
            Some(known) if known.spec.workspace == *self.workspace => Ok(()),
            Some(_) | None => Err(Refusal::TaskUnknown(task)),
        }
    }

    fn pool(&self, pool: &Name) -> Result<(), Refusal> {
        let is_there = self.state.pools.contains_key(pool);
        let is_ours = is_there && self.state.workspace_of_pool(pool) == *self.workspace;
        if is_ours { Ok(()) } else { Err(Refusal::PoolUnknown(pool.clone())) }
    }

    fn agent(&self, agent: AgentId) -> Result<(), Refusal> {
        let known = self.state.agents.get(&agent);
        let is_ours =
            known.is_some_and(|known| self.state.workspace_of_agent(&known.spec) == *self.workspace);
        if is_ours { Ok(()) } else { Err(Refusal::AgentUnknown(agent)) }
    }

    /// Agents that were given to nobody are seen as the default workspace's, and do everybody's work all the same: a claim for
    /// one would show it to whoever asks.
    fn claimant(&self, agent: AgentId) -> Result<(), Refusal> {
        self.agent(agent)?;
        let gives_all =
            self.state.agents.get(&agent).is_some_and(|known| self.state.serves_everybody(&known.spec));
        if gives_all { Err(self.bound()) } else { Ok(()) }
    }

    fn put_pool(&self, spec: &PoolSpec) -> Result<(), Refusal> {
        if self.pool(&spec.name).is_err() {
            // First, so that it tells nothing of names that are others'.
            self.name(&spec.name)?;
            if self.state.pools.contains_key(&spec.name) {
                return Err(Refusal::PoolUnknown(spec.name.clone()));
            }
        }
        self.runtime(&spec.runtime)
    }

    /// A process would run as the node's user and read everything; a Rust type is the embedder's.
    fn runtime(&self, runtime: &RuntimeSpec) -> Result<(), Refusal> {
        match runtime {
            RuntimeSpec::Process(_) | RuntimeSpec::Native(_) => Err(self.bound()),
            RuntimeSpec::External => Ok(()),
        }
    }

    fn tend(&self, command: &PoolCommand) -> Result<(), Refusal> {
        match command {
            PoolCommand::RegisterAgent { spec, .. } => self.register(spec),
            PoolCommand::Put { spec, apart } => {
                self.put_pool(spec)?;
                // Where others' agents are is their business.
                apart.from.iter().try_for_each(|other| self.pool(other))
            }
            PoolCommand::SetAssignment { pool, assignment } => {
                self.pool(pool)?;
                match assignment {
                    Assignment::Delegated { to } => self.pool(to),
                    Assignment::Queued | Assignment::Immediate | Assignment::Consolidated => Ok(()),
                }
            }
            PoolCommand::BeginRollout { pool, blueprint, .. } => {
                self.pool(pool)?;
                self.runtime(&blueprint.runtime)
            }
            PoolCommand::SetAutoscale { pool, .. }
            | PoolCommand::SetRestartAfter { pool, .. }
            | PoolCommand::SetRolling { pool, .. }
            | PoolCommand::PauseRollout { pool, .. }
            | PoolCommand::ResumeRollout { pool }
            | PoolCommand::AbortRollout { pool, .. } => self.pool(pool),
            // The foreman's.
            PoolCommand::Autoscale { .. }
            | PoolCommand::RenewAgents { .. }
            | PoolCommand::MoveRollout { .. }
            // A node's.
            | PoolCommand::GiveUpAgent { .. } => Err(self.bound()),
        }
    }

    fn register(&self, spec: &AgentSpec) -> Result<(), Refusal> {
        if self.agent(spec.id).is_err() {
            self.name(&spec.name)?;
            if self.state.agents.contains_key(&spec.id) {
                return Err(Refusal::AgentUnknown(spec.id));
            }
        }
        spec.pool.as_ref().map_or(Ok(()), |pool| self.pool(pool))
    }

    /// Names of pools and agents are those of the whole cluster. Below its own a workspace meets no other's, so that no
    /// refusal tells of one.
    fn name(&self, name: &Name) -> Result<(), Refusal> {
        let workspace = self.workspace;
        let is_below =
            name.as_str().strip_prefix(workspace.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if is_below {
            return Ok(());
        }
        Err(invalid("name", format!("the token is bound to {workspace}: names begin with {workspace}/")))
    }

    fn pausable(&self, what: &Pausable) -> Result<(), Refusal> {
        match what {
            Pausable::Workspace(of) if of == self.workspace => Ok(()),
            Pausable::Pool(pool) | Pausable::Mailbox(MailboxId::Pool(pool)) => self.pool(pool),
            Pausable::Mailbox(MailboxId::Agent(agent)) => self.agent(*agent),
            Pausable::Workspace(_) | Pausable::Mailbox(MailboxId::Open) => Err(self.bound()),
        }
    }

    fn token(&self, token: TokenId) -> Result<(), Refusal> {
        let is_ours = self.state.workspace_of_token(token) == Some(self.workspace);
        if is_ours { Ok(()) } else { Err(Refusal::TokenUnknown(token)) }
    }

    fn access(&self, command: &AccessCommand) -> Result<(), Refusal> {
        match command {
            AccessCommand::PutToken { workspace, .. } => self.workspace(workspace),
            AccessCommand::Bind(binding) | AccessCommand::Unbind(binding) => self.binding(binding),
            AccessCommand::PutRole { .. }
            | AccessCommand::RemoveRole { .. }
            | AccessCommand::SetOwner { .. }
            | AccessCommand::PutQuota { .. } => Err(self.bound()),
        }
    }

    /// One that counts for tokens of the workspace alone.
    fn binding(&self, binding: &RoleBinding) -> Result<(), Refusal> {
        if binding.workspace.as_ref() != Some(self.workspace) {
            let why = format!("the token is bound to {0}; bind the role for workspace {0}", self.workspace);
            return Err(invalid("workspace", why));
        }
        match binding.subject {
            Subject::Token(token) => self.token(token),
            Subject::Name(_) => Ok(()),
        }
    }

    fn policy(&self, command: &PolicyCommand) -> Result<(), Refusal> {
        match command {
            PolicyCommand::Ask { ask, .. } | PolicyCommand::Note { ask, .. } => self.ask(ask),
            PolicyCommand::Vote { approval, .. } => self.approval(*approval),
            PolicyCommand::Put { .. }
            | PolicyCommand::Enable { .. }
            | PolicyCommand::Remove { .. }
            | PolicyCommand::SetDefaults { .. }
            | PolicyCommand::Settle { .. } => Err(self.bound()),
        }
    }

    fn ask(&self, ask: &Ask) -> Result<(), Refusal> {
        if let Some(task) = ask.task {
            self.task(task)?;
        }
        if let Some(agent) = ask.agent {
            self.agent(agent)?;
        }
        match &ask.workspace {
            Some(workspace) => self.workspace(workspace),
            None => Err(self.bound()),
        }
    }

    fn approval(&self, approval: ApprovalId) -> Result<(), Refusal> {
        let known = self.state.approval(approval);
        let is_ours = known.is_some_and(|known| known.workspace.as_ref() == Some(self.workspace));
        if is_ours { Ok(()) } else { Err(Refusal::ApprovalUnknown(approval)) }
    }

    fn hook_command(&self, command: &HookCommand) -> Result<(), Refusal> {
        match command {
            // They name a folder of a node's disk.
            HookCommand::Create { .. } | HookCommand::CreateWith { .. } | HookCommand::Adopt { .. } => {
                Err(self.bound())
            }
            HookCommand::Reassign { hook, agent } => {
                self.hook(*hook)?;
                agent.map_or(Ok(()), |agent| self.agent(agent))
            }
            HookCommand::Start { hook, .. }
            | HookCommand::Touch { hook, .. }
            | HookCommand::Complete { hook, .. }
            | HookCommand::Fail { hook, .. }
            | HookCommand::Abandon { hook, .. }
            | HookCommand::Remove { hook } => self.hook(*hook),
        }
    }

    fn hook(&self, hook: HookId) -> Result<(), Refusal> {
        let is_ours = self.state.hook(hook).is_some_and(|known| known.spec.workspace == *self.workspace);
        if is_ours { Ok(()) } else { Err(HookRefusal::Unknown(hook).into()) }
    }

    /// A type of tasks is everybody's; a pool is not.
    fn breaker(&self, command: &BreakerCommand) -> Result<(), Refusal> {
        let of = match command {
            BreakerCommand::Put { spec } => &spec.of,
            BreakerCommand::Remove { of }
            | BreakerCommand::Reset { of }
            | BreakerCommand::Trip { of, .. } => of,
        };
        match of {
            Guarded::Pool(pool) if self.pool(pool).is_ok() => Ok(()),
            Guarded::Pool(_) => Err(Refusal::BreakerUnknown(of.clone())),
            Guarded::Kind(_) => Err(self.bound()),
        }
    }
}

fn invalid(field: &str, why: String) -> Refusal {
    Refusal::Invalid { field: field.to_owned(), why }
}
