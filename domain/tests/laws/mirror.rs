//! Laws of the mirror on disk: whatever was written makes the same state with the same future.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use synod_domain::id::TaskId;
use synod_domain::row::{Changes, Row, RowKey};
use synod_domain::state::State;

use super::histories::{config, governed_histories, histories};

/// Rows by their bytes, as a disk keeps them.
#[derive(Default)]
struct Disk(BTreeMap<Vec<u8>, (RowKey, Row)>);

impl Disk {
    fn write(&mut self, changes: &Changes) {
        for (key, row) in &changes.rows {
            match row {
                Some(row) => self.0.insert(key.to_bytes(), (key.clone(), row.clone())),
                None => self.0.remove(&key.to_bytes()),
            };
        }
    }

    fn state(&self) -> State {
        let rows = self.0.values().filter(|(key, _)| !matches!(key, RowKey::History(_) | RowKey::Audit(_)));
        State::restore(rows.map(|(_, row)| row.clone())).unwrap()
    }

    fn holds(&self, key: &RowKey) -> bool {
        self.0.contains_key(&key.to_bytes())
    }

    fn history(&self) -> BTreeSet<TaskId> {
        let ids = self.0.values().filter_map(|(key, _)| match key {
            RowKey::History(task) => Some(*task),
            _ => None,
        });
        ids.collect()
    }
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn a_restored_state_has_the_same_future(history in histories(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(history.len());
        let mut state = State::default();
        for entry in &history[..cut] {
            state.apply(entry);
        }
        let mut restored = State::restore(state.rows().into_iter().map(|(_, row)| row)).unwrap();
        prop_assert_eq!(restored.unfinished(), state.unfinished());
        prop_assert_eq!(restored.payload_bytes(), state.payload_bytes());
        for entry in &history[cut..] {
            prop_assert_eq!(restored.apply(entry), state.apply(entry));
        }
        prop_assert_eq!(restored.rows(), state.rows());
    }

    #[test]
    fn a_restored_state_has_the_same_future_whatever_governs(
        history in governed_histories(),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(history.len());
        let mut state = State::default();
        for entry in &history[..cut] {
            state.apply(entry);
        }
        let mut restored = State::restore(state.rows().into_iter().map(|(_, row)| row)).unwrap();
        for entry in &history[cut..] {
            prop_assert_eq!(restored.apply(entry), state.apply(entry));
            prop_assert_eq!(restored.next_due(), state.next_due());
        }
        prop_assert_eq!(restored.rows(), state.rows());
    }

    #[test]
    fn what_was_written_is_the_state_whatever_became_of_other_batches(
        history in histories(),
        fates in prop::collection::vec(0..5, 75),
    ) {
        let mut state = State::default();
        let mut disk = Disk::default();
        let mut ended = BTreeSet::new();
        for (entry, fate) in history.iter().zip(fates) {
            state.apply(entry);
            ended.extend(state.recently_ended().map(|task| task.spec.id));
            if fate > 2 {
                continue;
            }
            let changes = state.take_changes();
            let keys: Vec<_> = changes.rows.iter().map(|(key, _)| key.clone()).collect();
            prop_assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]));
            match fate {
                0 => {
                    disk.write(&changes);
                    state.changes_stored();
                }
                // It reached the disk, and nobody learned of it.
                1 => disk.write(&changes),
                // It failed and was dropped.
                _ => continue,
            }
            let restored = disk.state();
            prop_assert_eq!(restored.rows(), state.rows());
            prop_assert_eq!(&disk.history(), &ended);
        }
    }

    #[test]
    fn a_task_born_and_ended_between_two_checkpoints_is_written_once(
        history in histories(),
        takes in prop::collection::vec(any::<bool>(), 75),
    ) {
        let mut state = State::default();
        let mut disk = Disk::default();
        let mut written = BTreeSet::new();
        for (entry, take) in history.iter().zip(takes) {
            state.apply(entry);
            if !take {
                continue;
            }
            let changes = state.take_changes();
            for (key, row) in &changes.rows {
                match key {
                    RowKey::History(task) => prop_assert!(written.insert(*task), "{task} went to history twice"),
                    RowKey::Task(_) if row.is_none() => {
                        prop_assert!(disk.holds(key), "{key:?} is deleted, but was never written");
                    }
                    _ => {}
                }
            }
            disk.write(&changes);
            state.changes_stored();
            // At rest nothing but the counters of nothing is left to write.
            prop_assert_eq!(state.take_changes().rows, Vec::new());
            state.changes_stored();
        }
    }
}
