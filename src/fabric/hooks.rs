//! Hooks through the fabric: work that is pinned to one of its agents and kept in a git repository.
//!
//! They are the node's own; the guide to them is `docs/HOOKS.md`. The node has to be one that keeps hooks
//! ([`Builder::hooks`](crate::node::Builder::hooks)) and has the repository.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use synod_domain::hook::{Hook as Known, HookStatus};
use synod_domain::id::{AgentId, HookId};

use crate::fabric::{Error, Fabric};
use crate::node::NewHook;

/// A hook: what is to be done, by whom, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// Its id.
    pub hook_id: HookId,
    /// Who has it.
    pub agent_id: AgentId,
    /// What is to be done.
    pub work_item: Value,
    /// The branch that the work is done on.
    pub branch: Arc<str>,
    /// Where it stands.
    pub status: HookStatus,
    /// Which attempt it is; whoever writes about it under an earlier one is refused.
    pub attempt: u32,
    /// The folder to work in, if it is on this node.
    pub worktree: Option<PathBuf>,
}

/// The hooks of the fabric's agents in one repository.
#[derive(Debug, Clone)]
pub struct Hooks<'a> {
    fabric: &'a Fabric,
    repository: PathBuf,
}

impl Fabric {
    /// Returns the hooks of its agents in a git repository of this node.
    ///
    /// ```no_run
    /// # async fn example(fabric: &synod::fabric::Fabric, agent: synod::fabric::AgentInfo) -> Result<(), synod::fabric::Error> {
    /// use serde_json::json;
    ///
    /// let hooks = fabric.hooks("/path/to/repository");
    /// let work = json!({ "task": "refactor", "file": "api.py" });
    /// let hook = hooks.create_hook(agent.id, &work, Some("agent/refactor-123")).await?;
    /// for pending in hooks.check_pending_hooks().await? {
    ///     println!("Pending: {} - {}", pending.hook_id, pending.work_item);
    /// }
    /// hooks.complete_hook(hook.hook_id, &json!({ "files_changed": ["api.py"], "tests_passed": true })).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn hooks(&self, repository: impl Into<PathBuf>) -> Hooks<'_> {
        Hooks { fabric: self, repository: repository.into() }
    }
}

impl Hooks<'_> {
    /// Pins work to an agent, on this branch of the repository or on one of its own, and returns it once it is durable.
    ///
    /// # Errors
    /// When there is no such agent, or the repository or the branch cannot be used: then there is no hook.
    pub async fn create_hook(
        &self,
        agent: AgentId,
        work_item: &impl Serialize,
        branch: Option<&str>,
    ) -> Result<Hook, Error> {
        self.fabric.agent_info(agent)?;
        let hook = NewHook::new(agent, &self.repository, work_item)?.workspace(self.fabric.workspace.clone());
        let hook = match branch {
            Some(branch) => hook.branch(branch),
            None => hook,
        };
        let made = self.fabric.node().create_hook(hook).await?;
        self.shown(&made).await
    }

    /// Returns the hooks in the repository that nobody works on and that have not ended: those that wait for their
    /// agent, and those that were abandoned.
    ///
    /// # Errors
    /// When what is to be done cannot be read.
    pub async fn check_pending_hooks(&self) -> Result<Vec<Hook>, Error> {
        let mut pending = Vec::new();
        for hook in self.fabric.node().pending_hooks() {
            if self.is_here(&hook) {
                pending.push(self.shown(&hook).await?);
            }
        }
        Ok(pending)
    }

    /// Returns a hook.
    ///
    /// # Errors
    /// When there is none, or it ended long ago.
    pub async fn hook(&self, hook: HookId) -> Result<Hook, Error> {
        let known = self.fabric.node().hook(hook)?;
        self.shown(&known).await
    }

    /// Says that work on a hook has begun.
    ///
    /// # Errors
    /// When there is none, or it has ended.
    pub async fn start_hook(&self, hook: HookId) -> Result<(), Error> {
        let attempt = self.fabric.node().hook(hook)?.attempt;
        Ok(self.fabric.node().start_hook(hook, attempt).await?)
    }

    /// Ends a hook with its result. What lies uncommitted in its worktree is committed to its branch.
    ///
    /// # Errors
    /// When there is none, it has ended otherwise, or somebody else has it meanwhile.
    pub async fn complete_hook(&self, hook: HookId, result: &impl Serialize) -> Result<(), Error> {
        let attempt = self.fabric.node().hook(hook)?.attempt;
        Ok(self.fabric.node().complete_hook(hook, attempt, result).await?)
    }

    /// Ends an attempt without a result: the hook waits for the next, or has failed when its retries are used.
    ///
    /// # Errors
    /// When there is none, or it has ended.
    pub async fn fail_hook(&self, hook: HookId, reason: &str) -> Result<(), Error> {
        let attempt = self.fabric.node().hook(hook)?.attempt;
        Ok(self.fabric.node().fail_hook(hook, attempt, reason).await?)
    }

    /// Says that its agent does not work on a hook any more.
    ///
    /// # Errors
    /// When there is none, or it has ended.
    pub async fn abandon_hook(&self, hook: HookId, reason: &str) -> Result<(), Error> {
        let attempt = self.fabric.node().hook(hook)?.attempt;
        Ok(self.fabric.node().abandon_hook(hook, attempt, reason).await?)
    }

    /// Gives a hook to another agent, under the next attempt.
    ///
    /// # Errors
    /// When there is none, it has ended, or there is no such agent.
    pub async fn reassign_hook(&self, hook: HookId, agent: AgentId) -> Result<(), Error> {
        self.fabric.agent_info(agent)?;
        Ok(self.fabric.node().reassign_hook(hook, Some(agent)).await?)
    }

    fn is_here(&self, hook: &Known) -> bool {
        let wanted = self.repository.canonicalize();
        let path = wanted.as_deref().unwrap_or(&self.repository);
        hook.spec.node == self.fabric.node().id() && path == std::path::Path::new(&*hook.spec.repository)
    }

    async fn shown(&self, hook: &Known) -> Result<Hook, Error> {
        let node = self.fabric.node();
        let work = node.fetch(&hook.spec.work).await?;
        let work_item = serde_json::from_slice(&work)
            .map_err(|error| crate::node::Error::Json { what: "work", error })?;
        Ok(Hook {
            hook_id: hook.spec.id,
            agent_id: hook.agent,
            work_item,
            branch: hook.spec.branch.clone(),
            status: hook.status(),
            attempt: hook.attempt,
            worktree: node.worktree_of(hook),
        })
    }
}
