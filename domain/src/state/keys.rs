//! Idempotency keys: which submit already had this key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::id::{RunId, TaskId};
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::payload::Payload;
use crate::row::{Row, RowKey};
use crate::state::State;
use crate::task::TaskSpec;
use crate::time::Timestamp;

/// The longest key. Keys are held in memory on every replica.
pub(super) const KEY_BYTES_MAX: usize = 256;

/// How many keys one entry forgets at most, so that no entry pays for a whole day of them.
const FORGOTTEN_AT_ONCE: usize = 64;

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyUse {
    pub(super) task: TaskId,
    pub(super) digest: u64,
    pub(super) at: Timestamp,
    pub(super) run: Option<RunId>,
}

/// The keys in use, and in which order they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Keys {
    uses: BTreeMap<(Name, Arc<str>), KeyUse>,
    by_age: BTreeSet<(Timestamp, Name, Arc<str>)>,
}

impl Keys {
    pub(super) fn get(&self, workspace: &Name, key: &Arc<str>) -> Option<&KeyUse> {
        if mutant(Mutant::ForeignWorkspace) {
            return self.uses.iter().find(|((_, other), _)| other == key).map(|(_, usage)| usage); // whosever
        }
        self.uses.get(&(workspace.clone(), key.clone()))
    }

    pub(super) fn insert(&mut self, workspace: Name, key: Arc<str>, usage: KeyUse) {
        self.by_age.insert((usage.at, workspace.clone(), key.clone()));
        self.uses.insert((workspace, key), usage);
    }

    pub(super) fn remove(&mut self, workspace: &Name, key: &Arc<str>) {
        if let Some(usage) = self.uses.remove(&(workspace.clone(), key.clone())) {
            self.by_age.remove(&(usage.at, workspace.clone(), key.clone()));
        }
    }

    pub(super) fn row(&self, workspace: &Name, key: &Arc<str>) -> Option<Row> {
        let usage = self.get(workspace, key)?;
        Some(Row::Key {
            workspace: workspace.clone(),
            key: key.clone(),
            task: usage.task,
            digest: usage.digest,
            at: usage.at,
            run: usage.run,
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Name, Arc<str>)> {
        self.uses.keys()
    }

    fn oldest_before(&self, time: Timestamp) -> Option<(Name, Arc<str>)> {
        let (at, workspace, key) = self.by_age.first()?;
        (*at < time).then(|| (workspace.clone(), key.clone()))
    }
}

impl State {
    /// Forgets keys older than the limit; those of an open run stay until it closes.
    pub(super) fn forget_keys(&mut self, now: Timestamp) {
        let age = self.meta.limits.idempotency.as_millis();
        let Ok(age) = u64::try_from(age) else { return };
        let before = Timestamp::from_millis(now.as_millis().saturating_sub(age));
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((workspace, key)) = self.keys.oldest_before(before) else { return };
            let usage = self.keys.get(&workspace, &key).cloned();
            self.keys.remove(&workspace, &key);
            let kept = usage.filter(|usage| usage.run.is_some_and(|run| self.runs.contains_key(&run)));
            if let Some(usage) = kept {
                self.keys.insert(workspace.clone(), key.clone(), KeyUse { at: now, ..usage });
            }
            self.changes.touch(RowKey::Key(workspace, key));
        }
    }
}

/// Digests what a submit asks for, without its id and its deadline, which differ between retries.
///
/// FNV-1a, 64 bits: it detects a mistaken reuse of a key; it does not resist somebody who forges one.
pub(super) fn digest(spec: &TaskSpec) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    feed(spec.kind.as_str().as_bytes());
    feed(spec.mailbox.to_string().as_bytes());
    feed(spec.demand.to_string().as_bytes());
    feed(spec.lane.as_str().as_bytes());
    feed(&spec.labels.len().to_be_bytes());
    for (name, value) in &spec.labels {
        feed(name.as_str().as_bytes());
        feed(value.as_bytes());
    }
    match &spec.payload {
        Payload::Inline(bytes) => feed(bytes),
        Payload::Blob { hash, .. } => feed(hash),
    }
    feed(spec.metadata.as_deref().unwrap_or_default().as_bytes());
    hash
}
