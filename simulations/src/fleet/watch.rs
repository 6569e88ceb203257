//! Looks now and then why work waits, and whether anything will happen at all.
//!
//! The causes are the node's own answers to why a task waits, those of the first waiting task of each entry. A cause
//! that the node learns to give is counted here without a change.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use synod::node::Node;
use synod::node::domain::name::Name;
use synod::node::domain::task::{Task, TaskStatus};
use synod::node::domain::why::Why;

use super::stage::Stage;
use crate::machine::Machine;

/// The shortest pause between two looks.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// A look is taken after so much of the time that has passed: some thousand looks for a day.
const PART: u32 = 256;

/// For how long work waited for a cause.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Waited {
    pub(super) time: Duration,
    /// What the node said of one task.
    pub(super) example: String,
}

/// When it was looked last.
pub(super) struct Watch {
    began: Duration,
    looked: Duration,
}

impl Watch {
    pub(super) const fn new(now: Duration) -> Self {
        Self { began: now, looked: now }
    }

    /// Returns how long to wait before the next look.
    pub(super) fn pause(&self) -> Duration {
        (self.looked.saturating_sub(self.began) / PART).max(PAUSE_MIN)
    }

    /// Looks why work waits, and counts the time since the last look for the causes.
    pub(super) fn look(&mut self, node: &Node, machine: &Machine, stage: &Stage) {
        let now = machine.elapsed();
        let time = now.saturating_sub(self.looked);
        self.looked = now;
        let mut waits = stage.waits.lock();
        for (kind, why) in causes(node) {
            let waited = waits
                .entry((kind, why.code()))
                .or_insert_with(|| Waited { time: Duration::ZERO, example: why.to_string() });
            waited.time += time;
        }
    }
}

/// Asks of each entry why the first of its waiting tasks waits.
fn causes(node: &Node) -> BTreeMap<Name, Why> {
    node.read(|state| {
        let mut first = BTreeMap::<&Name, &Task>::new();
        for task in state.tasks() {
            let waits = match task.status {
                TaskStatus::Waiting { .. } | TaskStatus::Kept { .. } | TaskStatus::Parked { .. } => true,
                // Less telling than one that could be given out.
                TaskStatus::BackingOff { .. } => !first.contains_key(&task.spec.kind),
                TaskStatus::Scheduled { .. } | TaskStatus::Running { .. } | TaskStatus::Ended(_) => false,
            };
            let is_better = first
                .get(&task.spec.kind)
                .is_none_or(|known| matches!(known.status, TaskStatus::BackingOff { .. }));
            if waits && is_better {
                first.insert(&task.spec.kind, task);
            }
        }
        let asked =
            first.into_iter().filter_map(|(kind, task)| Some((kind.clone(), state.why(task.spec.id)?)));
        asked.collect()
    })
}

/// Tells whether nothing will happen any more: nobody works, and longer than anything may wait nothing has happened.
pub(super) fn is_still(machine: &Machine, stage: &Stage) -> bool {
    let still = machine.elapsed().saturating_sub(*stage.moved_at.lock());
    let outside_works = stage.hands.lock().values().flatten().any(|held| held.due < Duration::MAX);
    stage.working.load(Ordering::Relaxed) == 0 && !outside_works && still > stage.patience()
}
