//! What happens to hooks when nobody asks: work on a hook is never forgotten.
//!
//! An agent that comes into service takes up what it left, and what others of its pool left. One that is gone, or silent
//! for too long, loses its hooks to others of its pool. Each time counts as a retry, so that work that kills its agents
//! does not go on through all of them. Nothing is polled: time comes from the clockwork, the rest with the commands
//! that change agents.

use std::time::Duration;

use crate::event::Governing;
use crate::hook::{ENDED_HOOK_LIFE, ENDED_HOOKS_MAX, Hook, HookState};
use crate::id::{AgentId, HookId};
use crate::state::hooks::rules::takes_hooks;
use crate::state::{State, Step};
use crate::task::bounded_reason;
use crate::time::Timestamp;

/// How late silence may be noticed. If nobody let time pass for longer, nobody listened either: the node or the
/// cluster was down, and the hook gets its time once more.
const LATE: Duration = Duration::from_secs(30);

/// How many ended hooks one entry forgets at most.
const FORGOTTEN_AT_ONCE: usize = 64;

impl State {
    /// Abandons a hook that has been silent for too long.
    pub(in crate::state) fn look_at_hook(&mut self, step: &mut Step, id: HookId) {
        let Some(hook) = self.hooks.get(id).cloned() else { return };
        let agent = self.agents.get(&hook.agent);
        let Some(at) = hook.stale_at(agent.map(AsRef::as_ref)) else { return };
        if at > step.now {
            self.rearm_hook(id);
            return;
        }
        let hook = Hook::clone(&hook);
        if step.now > at.after(LATE) {
            self.note_hook(Hook { heard_at: step.now, ..hook });
            return;
        }
        let reason = match hook.state {
            HookState::Active => format!("nothing was heard of it for {:?}", hook.spec.stale_after),
            _ => format!("{} was not in service for {:?}", hook.agent, hook.spec.stale_after),
        };
        self.abandon(step, hook, &reason);
    }

    /// Says that nobody works on a hook, and gives it to another agent if there is one.
    pub(super) fn abandon(&mut self, step: &mut Step, mut hook: Hook, reason: &str) {
        let id = hook.spec.id;
        hook.state = HookState::Abandoned { reason: bounded_reason(reason) };
        self.keep_hook(step, Governing::HookAbandoned, hook);
        self.hand_on(step, id);
    }

    /// Gives an abandoned hook to another agent of its pool, as long as it has a retry left.
    pub(super) fn hand_on(&mut self, step: &mut Step, id: HookId) {
        let Some(hook) = self.hooks.get(id).filter(|hook| !hook.is_held() && may_go_on(hook)) else { return };
        let Some(agent) = self.taker_of(hook) else { return };
        let hook = Hook::clone(hook);
        self.give(step, hook, agent);
    }

    fn give(&mut self, step: &mut Step, mut hook: Hook, agent: AgentId) {
        hook.retries += 1;
        hook.agent = agent;
        hook.pool = self.agents.get(&agent).and_then(|agent| agent.spec.pool.clone());
        self.begin_anew(step, Governing::HookReassigned, hook);
    }

    /// Looks at the hooks that a change of an agent concerns.
    pub(in crate::state) fn look_at_hooks_of(&mut self, step: &mut Step, id: AgentId) {
        let Some(agent) = self.agents.get(&id).cloned() else {
            for hook in self.hooks.of_agent(id) {
                let Some(hook) = self.hooks.get(hook).filter(|hook| hook.is_held()) else { continue };
                let hook = Hook::clone(hook);
                self.abandon(step, hook, "its agent was removed");
            }
            return;
        };
        for hook in self.hooks.of_agent(id) {
            // It is stale earlier or later from here on.
            self.rearm_hook(hook);
        }
        if !takes_hooks(&agent) {
            return;
        }
        let of_pool = agent.spec.pool.as_ref().and_then(|pool| self.hooks.abandoned.get(pool));
        let mut left: Vec<HookId> = of_pool.into_iter().flatten().copied().collect();
        if agent.spec.pool.is_none() {
            left.extend(self.hooks.of_agent(id));
        }
        for hook in left {
            let Some(hook) = self.hooks.get(hook) else { continue };
            if !hook.is_held() && may_go_on(hook) && hook.fits(&agent) {
                let hook = Hook::clone(hook);
                self.give(step, hook, id);
            }
        }
    }

    pub(in crate::state) fn forget_ended_hooks(&mut self, step: &mut Step) {
        let life = u64::try_from(ENDED_HOOK_LIFE.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp::from_millis(step.now.as_millis().saturating_sub(life));
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((at, id)) = self.hooks.ended.first().copied() else { return };
            if at >= before && self.hooks.ended.len() <= ENDED_HOOKS_MAX {
                return;
            }
            self.forget_hook(step, id);
        }
    }
}

fn may_go_on(hook: &Hook) -> bool {
    hook.retries < hook.spec.max_retries
}
