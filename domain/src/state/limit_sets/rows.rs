//! Limit sets as rows, and back.

use std::sync::Arc;

use super::{Known, LimitSets};
use crate::id::TaskId;
use crate::limit_set::{Flows, KeyOf, LimitSet};
use crate::name::Name;
use crate::row::{Row, RowKey};
use crate::state::State;

impl LimitSets {
    pub(in crate::state) fn row_keys(&self) -> impl Iterator<Item = RowKey> {
        let sets = self.sets.keys().cloned().map(RowKey::LimitSet);
        let keys = self.keys.keys().copied().map(RowKey::LimitKeys);
        let flows = self.uses.iter().filter(|(_, used)| used.flows != Flows::default());
        sets.chain(keys).chain(flows.map(|((set, key), _)| RowKey::LimitFlows(set.clone(), key.clone())))
    }

    pub(in crate::state) fn row(&self, key: &RowKey) -> Option<Row> {
        match key {
            RowKey::LimitSet(set) => self.sets.get(set).map(|known| Row::LimitSet(known.set.clone())),
            RowKey::LimitKeys(task) => self.keys.get(task).map(|keys| Row::LimitKeys(*task, keys.clone())),
            RowKey::LimitFlows(set, key) => {
                let flows = &self.uses.get(&(set.clone(), key.clone()))?.flows;
                (*flows != Flows::default()).then(|| Row::LimitFlows(set.clone(), key.clone(), flows.clone()))
            }
            _ => None,
        }
    }

    pub(in crate::state) fn restore_set(&mut self, set: Arc<LimitSet>) {
        let digest = set.spec.digest();
        self.sets.insert(set.spec.name.clone(), Known { set, digest });
    }

    pub(in crate::state) fn restore_keys(&mut self, task: TaskId, keys: Arc<Vec<KeyOf>>) {
        self.keys.insert(task, keys);
    }

    pub(in crate::state) fn restore_flows(&mut self, set: Name, key: Arc<str>, flows: Flows) {
        self.uses.entry((set, key)).or_default().flows = flows;
    }
}

impl State {
    /// Counts what runs, and sets when what went through is forgotten, after a restore.
    pub(in crate::state) fn recount_limits(&mut self) {
        let leased = self
            .limit_sets
            .keys
            .iter()
            .filter(|(task, _)| self.tasks.get(task).is_some_and(|task| task.lease().is_some()));
        let mut running: Vec<(Name, Arc<str>)> = Vec::new();
        for (_, keys) in leased {
            let current = keys.iter().filter(|one| self.limit_sets.is_current(one));
            running.extend(current.map(|one| (one.set.clone(), one.key.clone())));
        }
        let known: Vec<(Name, Arc<str>)> = self.limit_sets.uses.keys().cloned().collect();
        for key in known {
            self.limit_sets.change(&key, |_| {});
        }
        for key in running {
            self.limit_sets.change(&key, |used| used.running += 1);
        }
    }
}
