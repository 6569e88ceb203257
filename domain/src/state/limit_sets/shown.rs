//! What limit sets and their keys show of themselves.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::Use;
use crate::limit_set::{KeyUse, LimitSet, TOKENS_WINDOW};
use crate::name::Name;
use crate::parking::{ParkedOn, Parking};
use crate::state::State;
use crate::time::Timestamp;
use crate::why::Why;

impl State {
    /// Walks the limit sets, in order of name.
    pub fn limit_sets(&self) -> impl Iterator<Item = &Arc<LimitSet>> {
        self.limit_sets.sets.values().map(|known| &known.set)
    }

    /// Returns a limit set.
    pub fn limit_set(&self, name: &Name) -> Option<&Arc<LimitSet>> {
        self.limit_sets.sets.get(name).map(|known| &known.set)
    }

    /// Returns what the keys of a set use that use something or hold tasks back: those behind a key, in order, `most`
    /// at most.
    pub fn limit_keys(&self, set: &LimitSet, after: Option<&Arc<str>>, most: usize) -> Vec<KeyUse> {
        let name = &set.spec.name;
        let from = match after {
            Some(after) => Bound::Excluded((name.clone(), after.clone())),
            None => Bound::Included((name.clone(), Arc::from(""))),
        };
        let uses = self.limit_sets.uses.range((from, Bound::Unbounded)).map(|(key, _)| key);
        let used = uses.take_while(|(other, _)| other == name).map(|(_, key)| key).take(most);
        let parked = self.parked.keys_of_set(name, after).take(most);
        let keys: BTreeSet<&Arc<str>> = used.chain(parked).collect();
        keys.into_iter().take(most).map(|key| self.limit_key(set, key)).collect()
    }

    /// Returns what one key of a set uses.
    pub fn limit_key(&self, set: &LimitSet, key: &Arc<str>) -> KeyUse {
        let name = set.spec.name.clone();
        let none = Use::default();
        let used = self.limit_sets.uses.get(&(name.clone(), key.clone())).unwrap_or(&none);
        let now = self.meta.now;
        KeyUse {
            key: key.clone(),
            running: used.running,
            began: set.spec.rate.map_or(0, |rate| used.flows.began.passed(rate.window, now)),
            tokens: used.flows.tokens.passed(TOKENS_WINDOW, now),
            waiting: self.parked.count(&ParkedOn::Limit { set: name, key: key.clone() }),
            opens_at: self.limit_sets.opens_at(set, key, now),
        }
    }

    /// Returns when time makes room for a key.
    pub(in crate::state) fn limit_opens_at(&self, set: &Name, key: &Arc<str>) -> Option<Timestamp> {
        self.limit_sets.opens_at(self.limit_set(set)?, key, self.meta.now)
    }

    /// Says what of a key is used up, and what to do.
    pub(in crate::state) fn why_of_limit(&self, name: &Name, key: &Arc<str>, parking: &Parking) -> Why {
        let mut used = Vec::new();
        if let Some(set) = self.limit_set(name) {
            let now = self.limit_key(set, key);
            if let Some(concurrency) = set.spec.concurrency {
                used.push(format!("{} of {concurrency} run", now.running));
            }
            if let Some(rate) = set.spec.rate {
                used.push(format!("{} of {} began within {:?}", now.began, rate.count, rate.window));
            }
            if let Some(limit) = set.spec.tokens_per_minute {
                used.push(format!("{} of {limit} tokens were used within a minute", now.tokens));
            }
        }
        let hint = format!("{}; wait, or raise it (`synod limit show {name}` tells more)", used.join(", "));
        let (on, since) = (parking.on.clone(), parking.at);
        Why::HeldBack { on, since, until: self.limit_opens_at(name, key), hint: hint.into() }
    }
}
