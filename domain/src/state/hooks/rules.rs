//! What may be asked about hooks.

use std::sync::Arc;

use crate::agent::{Agent, Standing};
use crate::event::{Event, Governing};
use crate::hook::{
    HOOKS_MAX, Hook, HookCommand, HookRefusal, HookSpec, HookState, HookStatus, HookTerms, PATH_BYTES_MAX,
    RETRIES_MAX, STALE_AFTER_MIN,
};
use crate::id::{AgentId, HookId};
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::payload::Payload;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step, submit};
use crate::task::bounded_reason;

impl State {
    /// Everything that may be asked about hooks.
    pub(in crate::state) fn judge_hook(&mut self, step: &mut Step, command: &HookCommand) -> Answer {
        match command {
            HookCommand::Create { spec } => self.create_hook(step, spec, None),
            HookCommand::CreateWith { spec, terms } => self.create_hook(step, spec, Some(terms)),
            HookCommand::Start { hook, attempt } => self.start_hook(step, *hook, *attempt),
            HookCommand::Touch { hook, attempt } => self.touch_hook(step, *hook, *attempt),
            HookCommand::Complete { hook, attempt, result } => {
                self.complete_hook(step, *hook, *attempt, result)
            }
            HookCommand::Fail { hook, attempt, reason } => self.fail_hook(step, *hook, *attempt, reason),
            HookCommand::Abandon { hook, attempt, reason } => {
                self.abandon_hook(step, *hook, *attempt, reason)
            }
            HookCommand::Reassign { hook, agent } => self.reassign_hook(step, *hook, *agent),
            HookCommand::Remove { hook } => self.remove_hook(step, *hook),
            HookCommand::Adopt { hook } => self.adopt_hook(step, hook),
        }
    }

    fn create_hook(
        &mut self,
        step: &mut Step,
        spec: &Arc<HookSpec>,
        terms: Option<&Arc<HookTerms>>,
    ) -> Answer {
        check_spec(spec)?;
        if self.hooks.get(spec.id).is_some() {
            return Err(HookRefusal::Exists(spec.id).into());
        }
        if let Some(terms) = terms {
            self.check_run(terms.run)?;
            if let Some(terms) = &terms.terms {
                self.check_resources(terms)?;
            }
        }
        self.check_new_hook(spec)?;
        let agent = self.agents.get(&spec.agent).ok_or(Refusal::AgentUnknown(spec.agent))?;
        self.check_serves(&agent.spec, &spec.workspace)?;
        let hook = Hook {
            spec: spec.clone(),
            agent: spec.agent,
            pool: agent.spec.pool.clone(),
            state: HookState::Pending,
            attempt: 1,
            retries: 0,
            revision: 0,
            last_error: None,
            heard_at: step.now,
            created_at: step.now,
            updated_at: step.now,
        };
        check_taker(&hook, agent)?;
        if let Some(terms) = terms {
            self.hooks.terms.insert(spec.id, terms.clone());
            self.changes.touch(RowKey::HookTerms(spec.id));
        }
        self.keep_hook(step, Governing::HookCreated, hook);
        Ok(Reply::Done)
    }

    fn start_hook(&mut self, step: &mut Step, id: HookId, attempt: u32) -> Answer {
        let mut hook = self.present(id, attempt)?;
        if hook.state == HookState::Active {
            return self.touch_hook(step, id, attempt);
        }
        hook.state = HookState::Active;
        hook.heard_at = step.now;
        self.keep_hook(step, Governing::HookStarted, hook);
        Ok(Reply::Done)
    }

    fn touch_hook(&mut self, step: &mut Step, id: HookId, attempt: u32) -> Answer {
        let mut hook = self.present(id, attempt)?;
        if !hook.is_held() {
            // Its agent is back before anybody else took it up.
            return self.start_hook(step, id, attempt);
        }
        hook.heard_at = step.now;
        self.note_hook(hook);
        Ok(Reply::Done)
    }

    fn complete_hook(&mut self, step: &mut Step, id: HookId, attempt: u32, result: &Payload) -> Answer {
        let mut hook = match self.present(id, attempt) {
            Ok(hook) => hook,
            Err(refusal) => return self.said_again(id, attempt, HookStatus::Completed, refusal),
        };
        submit::check_payload("result", result)?;
        hook.state = HookState::Completed { result: result.clone() };
        self.keep_hook(step, Governing::HookEnded, hook);
        Ok(Reply::Done)
    }

    fn fail_hook(&mut self, step: &mut Step, id: HookId, attempt: u32, reason: &str) -> Answer {
        let mut hook = match self.present(id, attempt) {
            Ok(hook) => hook,
            Err(refusal) => return self.said_again(id, attempt, HookStatus::Failed, refusal),
        };
        let reason = bounded_reason(reason);
        hook.last_error = Some(reason.clone());
        if hook.retries < hook.spec.max_retries {
            hook.retries += 1;
            self.begin_anew(step, Governing::HookReturned, hook);
        } else {
            hook.state = HookState::Failed { reason };
            self.keep_hook(step, Governing::HookEnded, hook);
        }
        Ok(Reply::Done)
    }

    fn abandon_hook(&mut self, step: &mut Step, id: HookId, attempt: u32, reason: &str) -> Answer {
        let hook = self.present(id, attempt)?;
        if hook.is_held() {
            self.abandon(step, hook, reason);
        }
        Ok(Reply::Done)
    }

    fn reassign_hook(&mut self, step: &mut Step, id: HookId, agent: Option<AgentId>) -> Answer {
        let mut hook = self.unfinished_hook(id)?;
        let to = match agent {
            Some(agent) => agent,
            None => self.taker_of(&hook).ok_or(HookRefusal::Nobody(id))?,
        };
        let agent = self.agents.get(&to).ok_or(Refusal::AgentUnknown(to))?;
        self.check_serves(&agent.spec, &hook.spec.workspace)?;
        check_taker(&hook, agent)?;
        hook.agent = to;
        hook.pool.clone_from(&agent.spec.pool);
        self.begin_anew(step, Governing::HookReassigned, hook);
        Ok(Reply::Done)
    }

    fn remove_hook(&mut self, step: &mut Step, id: HookId) -> Answer {
        let hook = self.hooks.get(id).ok_or(HookRefusal::Unknown(id))?;
        if hook.is_held() {
            return Err(HookRefusal::InUse { hook: id, status: hook.status() }.into());
        }
        self.forget_hook(step, id);
        Ok(Reply::Done)
    }

    fn adopt_hook(&mut self, step: &mut Step, found: &Arc<Hook>) -> Answer {
        let spec = &found.spec;
        check_spec(spec)?;
        let attempt = self.attempt_of_lost(spec.id)?.max(found.attempt);
        let found = &Hook { attempt, ..Hook::clone(found) };
        if found.status().is_end() {
            let hook = Hook { updated_at: step.now, heard_at: step.now, ..Hook::clone(found) };
            self.keep_hook(step, Governing::HookCreated, hook);
            return Ok(Reply::Done);
        }
        self.check_new_hook(spec)?;
        self.hooks.take(spec.id);
        let reason = "it was found in its repository".into();
        let state = HookState::Abandoned { reason };
        let hook = Hook { heard_at: step.now, state, ..Hook::clone(found) };
        let agent = self.agents.get(&hook.agent).filter(|agent| hook.fits(agent)).cloned();
        match agent {
            Some(agent) => {
                let hook = Hook { pool: agent.spec.pool.clone(), ..hook };
                self.begin_anew(step, Governing::HookCreated, hook);
            }
            None => {
                self.keep_hook(step, Governing::HookCreated, hook);
                self.hand_on(step, spec.id);
            }
        }
        Ok(Reply::Done)
    }

    /// Lets a hook wait for its agent under the next attempt.
    pub(super) fn begin_anew(&mut self, step: &mut Step, what: Governing, mut hook: Hook) {
        if let Some(reason) = hook.reason() {
            hook.last_error = Some(reason.clone());
        }
        hook.state = HookState::Pending;
        if !mutant(Mutant::KeepTheAttempt) {
            hook.attempt = hook.attempt.saturating_add(1);
        }
        hook.heard_at = step.now;
        self.keep_hook(step, what, hook);
    }

    /// Keeps what has happened to a hook, and tells it.
    pub(super) fn keep_hook(&mut self, step: &mut Step, what: Governing, mut hook: Hook) {
        hook.updated_at = step.now;
        hook.revision += 1;
        let reason = hook.reason().or(hook.last_error.as_ref());
        let stands = format!("{} under attempt {}", hook.status(), hook.attempt);
        tell(step, what, &hook, &reason.map_or(stands.clone(), |reason| format!("{stands}: {reason}")));
        self.note_hook(hook);
    }

    /// Keeps when a hook was heard of; that is not worth telling.
    pub(super) fn note_hook(&mut self, hook: Hook) {
        let id = hook.spec.id;
        self.changes.touch(RowKey::Hook(id));
        self.hooks.put(Arc::new(hook));
        self.rearm_hook(id);
    }

    pub(super) fn forget_hook(&mut self, step: &mut Step, id: HookId) {
        let Some(hook) = self.hooks.take(id) else { return };
        self.changes.touch(RowKey::Hook(id));
        if self.hooks.terms.remove(&id).is_some() {
            self.changes.touch(RowKey::HookTerms(id));
        }
        self.rearm_hook(id);
        tell(step, Governing::HookRemoved, &hook, "its record in the repository stays");
    }

    /// Returns a hook for whoever writes under an attempt, if it is the present one.
    fn present(&self, id: HookId, attempt: u32) -> Result<Hook, Refusal> {
        let hook = self.unfinished_hook(id)?;
        if hook.attempt != attempt && !mutant(Mutant::ForgetTheFence) {
            return Err(HookRefusal::Fenced { hook: id, attempt, present: hook.attempt }.into());
        }
        Ok(hook)
    }

    fn unfinished_hook(&self, id: HookId) -> Result<Hook, Refusal> {
        let hook = self.hooks.get(id).ok_or(HookRefusal::Unknown(id))?;
        if hook.status().is_end() {
            return Err(HookRefusal::Ended { hook: id, status: hook.status() }.into());
        }
        Ok(Hook::clone(hook))
    }

    /// Answers somebody who says again what ended the hook: as it was answered then.
    fn said_again(&self, id: HookId, attempt: u32, said: HookStatus, refusal: Refusal) -> Answer {
        let hook = self.hooks.get(id);
        match hook.is_some_and(|hook| hook.attempt == attempt && hook.status() == said) {
            true => Ok(Reply::Done),
            false => Err(refusal),
        }
    }

    /// Checks that there is room for a hook, and that nobody else works on its branch.
    fn check_new_hook(&self, spec: &HookSpec) -> Result<(), Refusal> {
        if !self.nodes.is_empty() && !self.nodes.contains_key(&spec.node) {
            return Err(Refusal::NodeUnknown(spec.node));
        }
        let branch = (spec.node, spec.repository.clone(), spec.branch.clone());
        if let Some(hook) = self.hooks.branches.get(&branch).filter(|hook| **hook != spec.id) {
            let (branch, repository) = (spec.branch.to_string(), spec.repository.to_string());
            return Err(HookRefusal::BranchTaken { branch, repository, hook: *hook }.into());
        }
        if self.hooks.unfinished() >= HOOKS_MAX {
            return Err(Refusal::Full { bound: Bound::Hooks, limit: HOOKS_MAX as u64 });
        }
        Ok(())
    }

    /// Returns the attempt of a hook of that id whose node is not a member any more, so that nobody but another node can
    /// go on with it; 0 when there is none of that id.
    fn attempt_of_lost(&self, id: HookId) -> Result<u32, Refusal> {
        match self.hooks.get(id) {
            Some(known) => {
                let is_lost = !self.nodes.is_empty() && !self.nodes.contains_key(&known.spec.node);
                if known.status().is_end() || !is_lost {
                    Err(HookRefusal::Exists(id).into())
                } else {
                    Ok(known.attempt)
                }
            }
            None => Ok(0),
        }
    }

    /// Returns who would take a hook over: of the agents in service of its pool that can reach it the one that has the
    /// fewest, but not the one that has it.
    pub(super) fn taker_of(&self, hook: &Hook) -> Option<AgentId> {
        let pool: &Name = hook.pool.as_ref()?;
        let takers = self
            .agents_of(pool)
            .filter(|agent| agent.spec.id != hook.agent && takes_hooks(agent) && hook.fits(agent));
        takers.map(|agent| agent.spec.id).min_by_key(|agent| (self.hooks.held_by(*agent), *agent))
    }
}

/// Tells whether an agent would soon begin what it is given.
pub(super) fn takes_hooks(agent: &Agent) -> bool {
    agent.standing == Standing::Ready && !agent.standby && !agent.retiring
}

fn tell(step: &mut Step, what: Governing, hook: &Hook, detail: &str) {
    step.events.push(Event::Governed {
        what,
        subject: hook.spec.id.to_string().into(),
        workspace: Some(hook.spec.workspace.clone()),
        task: None,
        agent: Some(hook.agent),
        detail: detail.into(),
    });
}

fn check_taker(hook: &Hook, agent: &Agent) -> Result<(), Refusal> {
    if !hook.fits(agent) {
        let (agent, repository) = (agent.spec.id, hook.spec.repository.to_string());
        return Err(HookRefusal::OutOfReach { agent, repository }.into());
    }
    if agent.retiring {
        let (agent, status) = (agent.spec.id, agent.status().to_string());
        return Err(Refusal::AgentUnavailable { agent, status });
    }
    Ok(())
}

fn check_spec(spec: &HookSpec) -> Result<(), Refusal> {
    let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
    submit::check_payload("work", &spec.work)?;
    for (field, text) in [("repository", &spec.repository), ("branch", &spec.branch)] {
        if text.is_empty() || text.len() > PATH_BYTES_MAX {
            return refuse(field, format!("it must have 1 to {PATH_BYTES_MAX} bytes"));
        }
    }
    if !spec.repository.starts_with('/') {
        return refuse("repository", "it must be an absolute path".to_owned());
    }
    let is_commit =
        matches!(spec.base.len(), 40 | 64) && spec.base.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_commit {
        return refuse("base", "it must be the full name of a commit".to_owned());
    }
    if spec.max_retries > RETRIES_MAX {
        return refuse("max_retries", format!("at most {RETRIES_MAX} are allowed"));
    }
    if spec.stale_after < STALE_AFTER_MIN {
        return refuse("stale_after", format!("it must be at least {STALE_AFTER_MIN:?}"));
    }
    Ok(())
}
