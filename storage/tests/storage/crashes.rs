//! Restart loops: the machine stops at any moment, and what was acknowledged is there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
};

use bytes::Bytes;
use synod_storage::{
    Record, Storage,
    conformance::{append, indexes, records},
    rows,
};

use crate::support::Folder;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn folder_copied_between_two_syncs_has_everything_acknowledged_so_far() {
    let folder = Arc::new(Folder::new());
    let storage = folder.open();
    let (send, copies) = mpsc::channel();
    for index in 1..60 {
        let (folder, send) = (Arc::clone(&folder), send.clone());
        // The committer waits for its callbacks, so this is a moment between two syncs.
        storage.log.append(
            records(index..index + 1),
            Box::new(move |outcome| {
                outcome.unwrap();
                if index % 6 == 0 {
                    send.send((index, folder.copy())).unwrap();
                }
            }),
        );
    }
    append(&*storage.log, Vec::new()).unwrap();
    drop(send);
    let copies: Vec<_> = copies.iter().collect();
    assert_eq!(copies.len(), 9);
    for (acknowledged, copy) in copies {
        let found = indexes(&*copy.open().log);
        // What shared its sync may be there as well.
        assert!(found.len() as u64 >= acknowledged, "{acknowledged} acknowledged, found {found:?}");
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
    }
}

/// What a folder must hold.
#[derive(Clone, Default)]
struct Model {
    records: BTreeMap<u64, Bytes>,
    note: Option<Bytes>,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    applied: u64,
}

impl Model {
    fn check(&self, storage: &Storage, seed: u64) {
        let read = storage.log.read(0, u64::MAX, usize::MAX).unwrap();
        let read: BTreeMap<u64, Bytes> =
            read.into_iter().map(|record| (record.index, record.bytes)).collect();
        assert!(read == self.records, "seed {seed}: the log differs");
        assert_eq!(storage.log.note("vote").unwrap(), self.note, "seed {seed}");
        assert_eq!(storage.state.applied(), self.applied, "seed {seed}");
        let rows: BTreeMap<_, _> = rows(&*storage.state).map(Result::unwrap).collect();
        assert!(rows == self.rows, "seed {seed}: the state differs");
    }
}

/// Runs random steps on a folder, with stops in between, against the model.
fn run(seed: u64) {
    let mut numbers = Numbers(seed);
    let mut folder = Folder::new();
    let mut storage = folder.open();
    let mut model = Model::default();
    for step in 0..120_u64 {
        match numbers.below(12) {
            0..=4 => {
                let next = model.records.keys().next_back().map_or(model.applied, |last| *last) + 1;
                let count = 1 + numbers.below(8);
                let new: Vec<Record> = (next..next + count)
                    .map(|index| {
                        let length = usize::try_from(numbers.below(6000)).unwrap();
                        let mut bytes = format!("{index} at {step} ").into_bytes();
                        bytes.resize(bytes.len() + length, b'.');
                        Record { index, bytes: Bytes::from(bytes) }
                    })
                    .collect();
                model.records.extend(new.iter().map(|record| (record.index, record.bytes.clone())));
                append(&*storage.log, new).unwrap();
            }
            5 => {
                let value = Bytes::from(step.to_string());
                model.note = Some(value.clone());
                let done = Arc::new(Mutex::new(false));
                let seen = Arc::clone(&done);
                storage.log.put_note("vote", value, Box::new(move |_| *seen.lock().unwrap() = true));
                append(&*storage.log, Vec::new()).unwrap();
                assert!(*done.lock().unwrap());
            }
            6 => {
                // Raft never truncates what was applied.
                let last = model.records.keys().next_back().copied().unwrap_or(0);
                let from = model.applied + 1 + numbers.below(last.saturating_sub(model.applied) + 2);
                model.records.split_off(&from);
                storage.log.truncate_from(from).unwrap();
            }
            7 | 8 => {
                let last = model.records.keys().next_back().copied().unwrap_or(0);
                let applied = model.applied + numbers.below(last.saturating_sub(model.applied) + 1);
                let key = numbers.below(50).to_be_bytes().to_vec();
                let gone = numbers.below(50).to_be_bytes().to_vec();
                let value = vec![7; usize::try_from(numbers.below(3000)).unwrap()];
                model.rows.remove(&gone);
                model.rows.insert(key.clone(), value.clone());
                model.applied = applied;
                let puts = vec![(key, value)];
                storage.state.commit(synod_storage::Batch { applied, puts, deletes: vec![gone] }).unwrap();
            }
            9 => {
                // Purge through a snapshot, as the node does.
                let applied = model.applied;
                storage.snapshots.save(applied, Bytes::new(), &mut rows(&*storage.state)).unwrap();
                model.records = model.records.split_off(&(applied + 1));
                storage.log.purge_through(applied).unwrap();
            }
            10 => {
                // The machine stops here.
                let copy = folder.copy();
                drop(storage);
                folder = copy;
                storage = folder.open();
            }
            _ => {
                drop(storage);
                storage = folder.open();
            }
        }
        if step % 10 == 0 {
            model.check(&storage, seed);
        }
    }
    drop(storage);
    model.check(&folder.open(), seed);
}

#[test]
fn random_steps_and_stops_match_the_model() {
    for seed in 1..13 {
        run(seed);
    }
}
