//! A node's verbs about hooks: work that is pinned to an agent and kept in git.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use synod_actors::events::{Heard, Subscription};
use synod_domain::agent::{Agent, Host};
use synod_domain::command::Command;
use synod_domain::hook::{Hook, HookCommand, HookRefusal, HookSpec, HookStatus, HookTerms, RETRIES_DEFAULT};
use synod_domain::id::{AgentId, HookId, RequestId, RunId};
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::terms::Terms;

use crate::hooks::keeper::Troubles;
use crate::hooks::{Error as HookError, HookSettings, Load, Repositories};
use crate::node::{Error, Node};

/// What sort of work a hook is that does not say.
const KIND_DEFAULT: &str = "hook";

/// What a node has for its hooks.
pub(super) struct Keeping {
    pub(super) repositories: Arc<dyn Repositories>,
    pub(super) troubles: Troubles,
    pub(super) settings: HookSettings,
}

/// A hook to make. Fields that are left alone get their defaults.
#[derive(Debug, Clone)]
pub struct NewHook {
    agent: AgentId,
    repository: PathBuf,
    work: Vec<u8>,
    branch: Option<String>,
    base: Option<String>,
    kind: Option<Name>,
    workspace: Name,
    max_retries: u32,
    stale_after: Option<Duration>,
    terms: HookTerms,
}

impl NewHook {
    /// Describes work for an agent, in a repository of the node that it is asked of.
    ///
    /// # Errors
    /// When the work cannot be written as JSON.
    pub fn new(agent: AgentId, repository: impl Into<PathBuf>, work: &impl Serialize) -> Result<Self, Error> {
        let work = serde_json::to_vec(work).map_err(|error| Error::Json { what: "work", error })?;
        Ok(Self::of_json(agent, repository.into(), work))
    }

    /// Describes work that is JSON text already.
    pub(crate) fn of_json(agent: AgentId, repository: PathBuf, work: Vec<u8>) -> Self {
        Self {
            agent,
            repository,
            work,
            branch: None,
            base: None,
            kind: None,
            workspace: Name::default(),
            max_retries: RETRIES_DEFAULT,
            stale_after: None,
            terms: HookTerms::default(),
        }
    }

    /// Sets the branch that the work is done on, in place of one of the hook's own; one that exists is gone on with.
    #[must_use]
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = Some(branch.into());
        self
    }

    /// Sets where the branch begins, in place of where the repository stands.
    #[must_use]
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// Sets what sort of work it is: the kind of the tasks that the agent gets.
    #[must_use]
    pub fn kind(mut self, kind: Name) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Sets whose work it is.
    #[must_use]
    pub fn workspace(mut self, workspace: Name) -> Self {
        self.workspace = workspace;
        self
    }

    /// Sets how often it is tried again.
    #[must_use]
    pub const fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets how long it may be silent before it is abandoned.
    #[must_use]
    pub const fn stale_after(mut self, silence: Duration) -> Self {
        self.stale_after = Some(silence);
        self
    }

    /// Sets the run that it is of, which is open: what its work uses counts for the budgets of that run and of its fleet.
    #[must_use]
    pub const fn run(mut self, run: RunId) -> Self {
        self.terms.run = Some(run);
        self
    }

    /// Sets the terms on which each of its tasks is given out.
    #[must_use]
    pub fn terms(mut self, terms: Terms) -> Self {
        self.terms.terms = Some(Arc::new(terms));
        self
    }
}

impl Node {
    /// Makes a hook in a repository of this node, and returns it once it is durable; its agent gets the work at once.
    ///
    /// # Errors
    /// When the repository or the branch cannot be used, or it is refused: then there is no hook.
    pub async fn create_hook(&self, hook: NewHook) -> Result<Arc<Hook>, Error> {
        let request = self.new_request_id();
        self.create_hook_as(request, HookId::from_raw(request.raw()), hook).await
    }

    /// Makes a hook as [`Node::create_hook`] does, under a request id and a hook id that the caller chose.
    ///
    /// # Errors
    /// As [`Node::create_hook`].
    pub async fn create_hook_as(
        &self,
        request: RequestId,
        id: HookId,
        hook: NewHook,
    ) -> Result<Arc<Hook>, Error> {
        let keeping = self.keeping()?;
        if let Some(made) = self.read(|state| state.hook(id).cloned()) {
            return Ok(made);
        }
        let branch = hook.branch.unwrap_or_else(|| format!("hook/{id}"));
        let ground = keeping.repositories.examine(&hook.repository, &branch, hook.base.as_deref()).await?;
        let kind = match hook.kind {
            Some(kind) => kind,
            None => Name::new(KIND_DEFAULT)?,
        };
        let spec = HookSpec {
            id,
            workspace: hook.workspace,
            agent: hook.agent,
            node: self.id(),
            repository: ground.repository.into(),
            branch: branch.into(),
            base: ground.base.into(),
            kind,
            work: self.store(&hook.work).await?,
            max_retries: hook.max_retries,
            stale_after: hook.stale_after.unwrap_or(keeping.settings.stale_after),
        };
        let spec = Arc::new(spec);
        let command = match hook.terms == HookTerms::default() {
            true => HookCommand::Create { spec },
            false => HookCommand::CreateWith { spec, terms: Arc::new(hook.terms) },
        };
        self.propose_as(request, hooks(command)).await?;
        let made = self.hook(id)?;
        // The keeper does it too; here it is waited for, so that whoever made it sees at once what is wrong.
        if made.is_held() {
            let brought = keeping.repositories.bring_up(&made, &Load { work: hook.work, result: None }).await;
            keeping.troubles.note(id, brought.err().map(|error| error.to_string()));
        }
        Ok(made)
    }

    /// Returns the agent of a pool on this node that has the fewest hooks to do, and waits for one if there is none.
    ///
    /// # Errors
    /// When the node fails or stops meanwhile.
    pub async fn agent_for_hook(&self, pool: &Name) -> Result<AgentId, Error> {
        let mut events = self.events();
        loop {
            let found = self.read(|state| {
                let here = |agent: &&Arc<Agent>| agent.spec.host == Host::Node(self.id());
                let stays = |agent: &&Arc<Agent>| !agent.retiring && !agent.standby;
                let agents = state.agents_of(pool).filter(here).filter(stays).map(|agent| agent.spec.id);
                agents.min_by_key(|agent| (state.hooks_of(*agent).count(), *agent))
            });
            if let Some(agent) = found {
                return Ok(agent);
            }
            self.heard(&mut events).await?;
        }
    }

    /// Waits until a hook has ended, for so long at most; then it is returned as it is.
    ///
    /// # Errors
    /// When there is none or it was removed, or the node fails or stops meanwhile.
    pub async fn wait_for_hook(&self, hook: HookId, patience: Duration) -> Result<Arc<Hook>, Error> {
        let mut events = self.events();
        let waiting = async {
            loop {
                let known = self.hook(hook)?;
                if known.status().is_end() {
                    return Ok(known);
                }
                self.heard(&mut events).await?;
            }
        };
        match tokio::time::timeout(patience, waiting).await {
            Ok(ended) => ended,
            Err(_) => self.hook(hook),
        }
    }

    /// Waits for what happens next, while the node lives.
    async fn heard(&self, events: &mut Subscription) -> Result<(), Error> {
        let heard = tokio::select! {
            biased;
            heard = events.next() => heard,
            reason = self.failed() => return Err(Error::Failed(reason)),
        };
        match heard {
            Heard::Closed => Err(Error::Failed("the node has stopped".to_owned())),
            Heard::Happening(_) | Heard::Missed(_) => Ok(()),
        }
    }

    /// Returns a hook.
    ///
    /// # Errors
    /// When there is none, or it ended long ago.
    pub fn hook(&self, hook: HookId) -> Result<Arc<Hook>, Error> {
        let found = self.read(|state| state.hook(hook).cloned());
        found.ok_or_else(|| Refusal::from(HookRefusal::Unknown(hook)).into())
    }

    /// Returns the hooks that nobody works on and that have not ended: pending and abandoned ones, oldest first.
    pub fn pending_hooks(&self) -> Vec<Arc<Hook>> {
        let waits = |hook: &&Arc<Hook>| matches!(hook.status(), HookStatus::Pending | HookStatus::Abandoned);
        self.read(|state| state.hooks().filter(waits).cloned().collect())
    }

    /// Says that work on a hook has begun.
    ///
    /// # Errors
    /// When another attempt has it, or it has ended.
    pub async fn start_hook(&self, hook: HookId, attempt: u32) -> Result<(), Error> {
        self.propose(hooks(HookCommand::Start { hook, attempt })).await.map(drop)
    }

    /// Says that work on a hook goes on.
    ///
    /// # Errors
    /// When another attempt has it, or it has ended.
    pub async fn touch_hook(&self, hook: HookId, attempt: u32) -> Result<(), Error> {
        self.propose(hooks(HookCommand::Touch { hook, attempt })).await.map(drop)
    }

    /// Ends a hook with its result. What lies uncommitted in its worktree is committed to its branch.
    ///
    /// # Errors
    /// When another attempt has it, it has ended otherwise, or the result cannot be written as JSON or stored.
    pub async fn complete_hook(
        &self,
        hook: HookId,
        attempt: u32,
        result: &impl Serialize,
    ) -> Result<(), Error> {
        let result = serde_json::to_vec(result).map_err(|error| Error::Json { what: "result", error })?;
        let result = self.store(&result).await?;
        self.propose(hooks(HookCommand::Complete { hook, attempt, result })).await.map(drop)
    }

    /// Ends an attempt without a result: the hook waits for the next, or has failed when its retries are used.
    ///
    /// # Errors
    /// When another attempt has it, or it has ended.
    pub async fn fail_hook(&self, hook: HookId, attempt: u32, reason: &str) -> Result<(), Error> {
        self.propose(hooks(HookCommand::Fail { hook, attempt, reason: reason.into() })).await.map(drop)
    }

    /// Says that an agent does not work on a hook any more; another one of its pool takes it over if there is one.
    ///
    /// # Errors
    /// When another attempt has it, or it has ended.
    pub async fn abandon_hook(&self, hook: HookId, attempt: u32, reason: &str) -> Result<(), Error> {
        self.propose(hooks(HookCommand::Abandon { hook, attempt, reason: reason.into() })).await.map(drop)
    }

    /// Gives a hook to an agent under the next attempt; to another one of its pool when none is named.
    ///
    /// # Errors
    /// When it has ended, or there is no such agent.
    pub async fn reassign_hook(&self, hook: HookId, agent: Option<AgentId>) -> Result<(), Error> {
        self.propose(hooks(HookCommand::Reassign { hook, agent })).await.map(drop)
    }

    /// Forgets a hook that nobody works on. Its branch, and its record in the repository, stay.
    ///
    /// # Errors
    /// When it is pending or active.
    pub async fn remove_hook(&self, hook: HookId) -> Result<(), Error> {
        self.propose(hooks(HookCommand::Remove { hook })).await.map(drop)
    }

    /// Takes over the hooks that are on record in a repository of this node and that the log does not know, and returns
    /// their ids. Those that have not ended go on, under the next attempt.
    ///
    /// # Errors
    /// When the repository cannot be read, or one of them is refused; those before it are taken over.
    pub async fn import_hooks(&self, repository: &Path) -> Result<Vec<HookId>, Error> {
        let (path, found) = self.keeping()?.repositories.find(repository).await?;
        let mut taken = Vec::new();
        for one in found.into_iter().filter(|one| !one.record.removed) {
            let work = self.store(&one.work).await?;
            let result = match &one.result {
                Some(result) => Some(self.store(result).await?),
                None => None,
            };
            let hook = Arc::new(one.record.hook(self.id(), &path, work, result));
            match self.propose(hooks(HookCommand::Adopt { hook })).await {
                Ok(_) => taken.push(one.record.hook),
                Err(Error::Refused(Refusal::Hook(HookRefusal::Exists(_)))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Returns where the worktree of a hook is, if this node has it.
    pub fn worktree_of(&self, hook: &Hook) -> Option<PathBuf> {
        let keeping = self.hooks.as_ref().filter(|_| hook.spec.node == self.id())?;
        Some(keeping.repositories.worktree(hook.spec.id))
    }

    /// Returns what keeps a hook of this node from going on.
    pub fn trouble_of(&self, hook: HookId) -> Option<String> {
        self.hooks.as_ref()?.troubles.of(hook)
    }

    fn keeping(&self) -> Result<&Keeping, Error> {
        self.hooks.as_ref().ok_or_else(|| HookError::None.into())
    }
}

const fn hooks(command: HookCommand) -> Command {
    Command::Hook(command)
}
