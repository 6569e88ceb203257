//! What a key uses, and for how long that counts.

use std::sync::Arc;
use std::time::Duration;

use super::{HEADS_AT_ONCE, Key, LimitSets, Use};
use crate::limit_set::{LimitSet, TOKENS_WINDOW};
use crate::name::Name;
use crate::row::RowKey;
use crate::state::State;
use crate::time::Timestamp;

/// How many keys one entry forgets at most, so that no entry pays for a whole day of them.
const FORGOTTEN_AT_ONCE: usize = 64;

impl LimitSets {
    /// Returns how many tasks of a key may begin now, of which each is expected to use `tokens`; no more than are let go
    /// at once.
    pub(super) fn room(&self, set: &LimitSet, key: &Arc<str>, tokens: u64, now: Timestamp) -> u64 {
        let spec = &set.spec;
        let none = Use::default();
        let used = self.uses.get(&(spec.name.clone(), key.clone())).unwrap_or(&none);
        let mut room = HEADS_AT_ONCE;
        if let Some(concurrency) = spec.concurrency {
            room = room.min(u64::from(concurrency).saturating_sub(used.running));
        }
        if let Some(rate) = spec.rate {
            room = room.min(rate.count.saturating_sub(used.flows.began.passed(rate.window, now)));
        }
        if let Some(limit) = spec.tokens_per_minute {
            let flow = &used.flows.tokens;
            if flow.room_at(limit, TOKENS_WINDOW, tokens, now) > now {
                return 0;
            }
            let left = limit.saturating_sub(flow.passed(TOKENS_WINDOW, now));
            room = room.min((left / tokens.max(1)).max(1));
        }
        room
    }

    /// Returns when time makes room for a key; `None` when there is some, or when only the end of a task makes it.
    pub(super) fn opens_at(&self, set: &LimitSet, key: &Arc<str>, now: Timestamp) -> Option<Timestamp> {
        let spec = &set.spec;
        let used = self.uses.get(&(spec.name.clone(), key.clone()))?;
        if spec.concurrency.is_some_and(|concurrency| used.running >= u64::from(concurrency)) {
            return None;
        }
        let rate = spec.rate.map(|rate| used.flows.began.room_at(rate.count, rate.window, 1, now));
        let rate = rate.filter(|at| *at > now);
        // Each task may expect to use another number of them, so each change is worth a look.
        let tokens = spec.tokens_per_minute.and_then(|_| used.flows.tokens.next_room(TOKENS_WINDOW, now));
        rate.or(tokens)
    }

    /// Changes what a key uses, and sets when that is forgotten. A key that uses nothing is no more.
    pub(super) fn change(&mut self, key: &Key, change: impl FnOnce(&mut Use)) {
        let windows = self.sets.get(&key.0).map(|known| windows(&known.set)).unwrap_or_default();
        let used = self.uses.entry(key.clone()).or_default();
        change(used);
        let Use { running, flows, end } = used;
        let ends = [flows.began.over_at(windows.0), flows.tokens.over_at(windows.1)];
        let after = ends.into_iter().flatten().max();
        let before = std::mem::replace(end, after);
        let is_idle = *running == 0 && after.is_none();
        if before != after {
            if let Some(before) = before {
                self.by_end.remove(&(before, key.clone()));
            }
            if let Some(after) = after {
                self.by_end.insert((after, key.clone()));
            }
        }
        if is_idle {
            self.uses.remove(key);
        }
    }

    pub(super) fn uses_of(&self, set: &Name) -> Vec<Key> {
        let from = (set.clone(), Arc::from(""));
        self.uses.range(from..).map(|(key, _)| key).take_while(|(name, _)| name == set).cloned().collect()
    }
}

/// Over how long what begins and what is used counts.
pub(super) fn windows(set: &LimitSet) -> (Duration, Duration) {
    (set.spec.rate.map(|rate| rate.window).unwrap_or_default(), TOKENS_WINDOW)
}

impl State {
    /// Forgets what went through keys longer ago than it counts.
    pub(in crate::state) fn forget_limit_flows(&mut self, now: Timestamp) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((end, key)) = self.limit_sets.by_end.first().cloned() else { return };
            if end > now {
                return;
            }
            let windows =
                self.limit_sets.sets.get(&key.0).map(|known| windows(&known.set)).unwrap_or_default();
            self.limit_sets.change(&key, |used| {
                used.flows.began.forget(windows.0, now);
                used.flows.tokens.forget(windows.1, now);
            });
            self.changes.touch(RowKey::LimitFlows(key.0, key.1));
        }
    }
}
