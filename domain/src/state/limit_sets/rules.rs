//! What limit sets do to tasks.

use std::sync::Arc;

use super::flows::windows;
use super::{HEADS_AT_ONCE, Known, LimitSets};
use crate::event::{Event, Governing};
use crate::id::TaskId;
use crate::limit_set::{KeyOf, LIMIT_SETS_MAX, LimitSet, LimitSetCommand, LimitSetSpec, TOKENS_WINDOW};
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::gates::Closed;
use crate::state::parking::{Line, line};
use crate::state::{State, Step};
use crate::task::{Task, Usage};
use crate::time::Timestamp;

impl LimitSets {
    /// Tells whether a key is one that its set makes today.
    pub(super) fn is_current(&self, key: &KeyOf) -> bool {
        self.sets.get(&key.set).is_some_and(|known| known.digest == key.made_by)
    }

    /// Returns the keys of a task, those that are not kept made anew.
    fn keys_of(&self, task: &Task) -> Vec<KeyOf> {
        let kept = self.keys.get(&task.spec.id);
        let about = self.sets.iter().filter(|(_, known)| known.set.spec.is_about(&task.spec));
        let made = about.map(|(name, Known { set, digest })| {
            let kept =
                kept.and_then(|kept| kept.iter().find(|one| one.set == *name && one.made_by == *digest));
            kept.cloned().unwrap_or_else(|| KeyOf {
                set: name.clone(),
                made_by: *digest,
                key: set.spec.key.key(&task.spec),
                tokens: 0,
            })
        });
        made.collect()
    }

    /// Returns the keys of a task that are kept and that its sets make today.
    fn kept_keys(&self, task: TaskId) -> Vec<KeyOf> {
        let kept = self.keys.get(&task).map(|keys| keys.iter().filter(|one| self.is_current(one)).cloned());
        kept.into_iter().flatten().collect()
    }
}

impl State {
    pub(in crate::state) fn limit_set_command(
        &mut self,
        step: &mut Step,
        command: &LimitSetCommand,
    ) -> Answer {
        match command {
            LimitSetCommand::Put { spec } => self.put_limit_set(step, spec),
            LimitSetCommand::Remove { set } => self.remove_limit_set(step, set),
        }
    }

    fn put_limit_set(&mut self, step: &mut Step, spec: &Arc<LimitSetSpec>) -> Answer {
        spec.check()?;
        let name = &spec.name;
        let known = self.limit_sets.sets.get(name);
        if known.is_none() && self.limit_sets.sets.len() >= LIMIT_SETS_MAX {
            return Err(Refusal::Full { bound: Bound::LimitSets, limit: LIMIT_SETS_MAX as u64 });
        }
        let (average, before) = known.map_or((0, None), |known| (known.set.average, Some(known.digest)));
        let digest = spec.digest();
        let set = Arc::new(LimitSet { spec: LimitSetSpec::clone(spec), average });
        self.limit_sets.sets.insert(name.clone(), Known { set, digest });
        self.changes.touch(RowKey::LimitSet(name.clone()));
        self.tell_of_limit_set(step, name, Governing::LimitPut);
        if before == Some(digest) {
            // Another window keeps what went through for another time.
            for key in self.limit_sets.uses_of(name) {
                self.limit_sets.change(&key, |_| {});
            }
            let keys: Vec<Arc<str>> = self.parked.keys_of_set(name, None).cloned().collect();
            for key in keys {
                self.look_behind_limit(step, name, &key);
            }
        } else {
            self.count_anew(name);
            self.let_all_go(step, name);
        }
        // What a shorter window does not count any more goes with the change, not with whatever entry comes next.
        self.forget_limit_flows(step.now);
        Ok(Reply::Done)
    }

    fn remove_limit_set(&mut self, step: &mut Step, name: &Name) -> Answer {
        if self.limit_sets.sets.remove(name).is_none() {
            return Ok(Reply::Done);
        }
        self.changes.touch(RowKey::LimitSet(name.clone()));
        for key in self.limit_sets.uses_of(name) {
            if let Some(end) = self.limit_sets.uses.remove(&key).and_then(|used| used.end) {
                self.limit_sets.by_end.remove(&(end, key.clone()));
            }
            self.changes.touch(RowKey::LimitFlows(key.0, key.1));
        }
        self.tell_of_limit_set(step, name, Governing::LimitRemoved);
        self.let_all_go(step, name);
        Ok(Reply::Done)
    }

    fn tell_of_limit_set(&self, step: &mut Step, name: &Name, what: Governing) {
        let known = self.limit_sets.sets.get(name);
        let detail = known.map_or_else(|| "removed".into(), |known| Arc::from(known.set.spec.to_string()));
        let workspace = known.and_then(|known| known.set.spec.workspace.clone());
        let subject = Arc::from(name.as_str());
        step.events.push(Event::Governed { what, subject, workspace, task: None, agent: None, detail });
    }

    /// Lets all tasks go that a set holds back, which has other keys than before, or is no more. Each is asked again when
    /// its turn comes. Costs as much as there are, once.
    fn let_all_go(&mut self, step: &mut Step, name: &Name) {
        let keys: Vec<Arc<str>> = self.parked.keys_of_set(name, None).cloned().collect();
        for key in keys {
            self.let_go(step, &ParkedOn::Limit { set: name.clone(), key }, usize::MAX);
        }
    }

    /// Counts the tasks in hand under the keys that a set makes of them.
    fn count_anew(&mut self, name: &Name) {
        for key in self.limit_sets.uses_of(name) {
            self.limit_sets.change(&key, |used| used.running = 0);
        }
        let held: Vec<TaskId> = self.agents.values().flat_map(|agent| agent.held.iter().copied()).collect();
        for id in held {
            let Some(task) = self.tasks.get(&id).cloned() else { continue };
            let keys = self.limit_sets.keys_of(&task);
            if let Some(one) = keys.iter().find(|one| one.set == *name) {
                let key = (one.set.clone(), one.key.clone());
                self.limit_sets.change(&key, |used| used.running += 1);
                self.keep_limit_keys(id, keys);
            }
        }
    }

    fn keep_limit_keys(&mut self, task: TaskId, keys: Vec<KeyOf>) {
        let known = self.limit_sets.keys.get(&task);
        if keys.is_empty() && known.is_none() || known.is_some_and(|known| **known == keys) {
            return;
        }
        if keys.is_empty() {
            self.limit_sets.keys.remove(&task);
        } else {
            self.limit_sets.keys.insert(task, Arc::new(keys));
        }
        self.changes.touch(RowKey::LimitKeys(task));
    }

    /// Makes the keys of a task that is accepted, and holds it back from the start where there is no room for it.
    pub(in crate::state) fn limit_submitted(&mut self, task: &Task) -> Option<ParkedOn> {
        if self.limit_sets.sets.is_empty() {
            return None;
        }
        let keys = self.limit_sets.keys_of(task);
        self.keep_limit_keys(task.spec.id, keys);
        self.limit_gate(task)
    }

    /// Holds back what a key has no room for.
    pub(in crate::state) fn limit_gate(&self, task: &Task) -> Option<ParkedOn> {
        if self.limit_sets.sets.is_empty() {
            return None;
        }
        let shut = self.limit_sets.keys_of(task).into_iter().find(|one| {
            let Some(known) = self.limit_sets.sets.get(&one.set) else { return false };
            let tokens = self.expected_tokens(task, &known.set);
            self.limit_sets.room(&known.set, &one.key, tokens, self.meta.now) == 0
        })?;
        Some(ParkedOn::Limit { set: shut.set, key: shut.key })
    }

    /// Returns how many tokens an attempt at a task is expected to use.
    fn expected_tokens(&self, task: &Task, set: &LimitSet) -> u64 {
        let estimate = self.terms.get(&task.spec.id).and_then(|terms| terms.estimate.as_ref());
        let tokens = estimate.map(|estimate| estimate.tokens).filter(|tokens| *tokens > 0);
        tokens.unwrap_or(set.average).max(1)
    }

    /// Counts a task that is given out.
    pub(in crate::state) fn limit_granted(&mut self, step: &mut Step, task: &Task) {
        if self.limit_sets.sets.is_empty() || mutant(Mutant::ForgetTheLimit) {
            return;
        }
        let mut keys = self.limit_sets.keys_of(task);
        for one in &mut keys {
            let Some(known) = self.limit_sets.sets.get(&one.set) else { continue };
            let (set, windows) = (known.set.clone(), windows(&known.set));
            let counts_tokens = set.spec.tokens_per_minute.is_some();
            one.tokens = if counts_tokens { self.expected_tokens(task, &set) } else { 0 };
            let key = (one.set.clone(), one.key.clone());
            let (now, tokens) = (step.now, one.tokens);
            self.limit_sets.change(&key, |used| {
                used.running += 1;
                if set.spec.rate.is_some() {
                    used.flows.began.note(windows.0, 1, now);
                }
                if counts_tokens {
                    used.flows.tokens.note(windows.1, tokens, now);
                }
            });
            if set.spec.rate.is_some() || counts_tokens {
                self.changes.touch(RowKey::LimitFlows(key.0, key.1));
            }
        }
        self.keep_limit_keys(task.spec.id, keys.clone());
        for one in keys {
            // Where time makes room, more may have come than tasks were let go for; those that begin let the next go on.
            self.let_next_go(step, &one, None, 1);
        }
    }

    /// Gives back what a task used, whose attempt is over, and counts what it reported.
    pub(in crate::state) fn limit_closed(&mut self, step: &mut Step, closed: &Closed<'_>) {
        if self.limit_sets.sets.is_empty() {
            return;
        }
        let task = closed.task;
        let granted_at = task.lease().map_or(step.now, |lease| lease.granted_at);
        let line = line(task);
        for one in self.limit_sets.kept_keys(task.spec.id) {
            let key = (one.set.clone(), one.key.clone());
            self.limit_sets.change(&key, |used| used.running = used.running.saturating_sub(1));
            if let Some(tokens) = closed.usage.map(tokens_of).filter(|tokens| *tokens > 0) {
                self.correct_tokens(step, &one, granted_at, tokens);
            }
            self.let_next_go(step, &one, Some(&line), 1);
        }
    }

    fn correct_tokens(&mut self, step: &Step, one: &KeyOf, granted_at: Timestamp, tokens: u64) {
        let Some(known) = self.limit_sets.sets.get_mut(&one.set) else { return };
        if known.set.spec.tokens_per_minute.is_none() {
            return;
        }
        Arc::make_mut(&mut known.set).learn(tokens);
        self.changes.touch(RowKey::LimitSet(one.set.clone()));
        let key = (one.set.clone(), one.key.clone());
        let (noted, now) = (one.tokens, step.now);
        self.limit_sets.change(&key, |used| {
            used.flows.tokens.correct(TOKENS_WINDOW, granted_at, noted, tokens, now);
        });
        self.changes.touch(RowKey::LimitFlows(key.0, key.1));
    }

    /// Forgets the keys of a task that is over. Another goes on in its place, which it may have been let go for.
    pub(in crate::state) fn limit_over(&mut self, step: &mut Step, task: &Task) {
        if self.limit_sets.keys.is_empty() {
            return;
        }
        let (keys, line) = (self.limit_sets.kept_keys(task.spec.id), line(task));
        self.keep_limit_keys(task.spec.id, Vec::new());
        // Whose attempt has just closed has let another go by that.
        let last = task.attempts.last();
        if last.is_some_and(|last| last.number == task.attempt && last.ended_at == step.now) {
            return;
        }
        for one in keys {
            self.let_next_go(step, &one, Some(&line), 1);
        }
    }

    /// Notes that something holds a task back that was about to go: others go on under its other keys.
    pub(in crate::state) fn limit_passed(&mut self, step: &mut Step, task: &Task, on: &ParkedOn) {
        if self.limit_sets.sets.is_empty() {
            return;
        }
        let keys = self.limit_sets.keys_of(task);
        self.keep_limit_keys(task.spec.id, keys.clone());
        let others = keys
            .into_iter()
            .filter(|one| !matches!(on, ParkedOn::Limit { set, key } if *set == one.set && *key == one.key));
        for one in others {
            self.let_next_go(step, &one, None, 1);
        }
    }

    /// Lets tasks of a key go on as far as there is room.
    pub(in crate::state) fn look_behind_limit(&mut self, step: &mut Step, set: &Name, key: &Arc<str>) {
        let one = KeyOf { set: set.clone(), made_by: 0, key: key.clone(), tokens: 0 };
        self.let_next_go(step, &one, None, HEADS_AT_ONCE);
    }

    /// Lets the first `most` tasks of each line of a key go on, as far as there is room.
    fn let_next_go(&mut self, step: &mut Step, one: &KeyOf, after: Option<&Line>, most: u64) {
        let on = ParkedOn::Limit { set: one.set.clone(), key: one.key.clone() };
        if self.parked.count(&on) == 0 {
            return;
        }
        let room = match self.limit_sets.sets.get(&one.set) {
            // Who expects to use more than there is room for is parked again when asked.
            Some(known) => self.limit_sets.room(&known.set, &one.key, 0, step.now),
            None => HEADS_AT_ONCE,
        };
        let count = usize::try_from(room.min(most)).unwrap_or(usize::MAX);
        self.let_heads_go(step, &on, after, count);
    }
}

fn tokens_of(usage: &Usage) -> u64 {
    usage.tokens_in.saturating_add(usage.tokens_out)
}
