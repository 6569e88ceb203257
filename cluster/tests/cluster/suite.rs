//! openraft's own suite for log and state machine, on the memory disk and on a real one.

use std::sync::Arc;

use openraft::testing::{StoreBuilder, Suite};
use synod_cluster::checkpointer::Policy;
use synod_cluster::group::Group;
use synod_cluster::log_store::LogStore;
use synod_cluster::machine::StateMachine;
use synod_cluster::offload::Offload;
use synod_storage::{MemoryDisk, Storage};

use super::support::Heard;

struct InMemory;

impl StoreBuilder<Group, LogStore, StateMachine, MemoryDisk> for InMemory {
    async fn build(&self) -> Result<(MemoryDisk, LogStore, StateMachine), openraft::StorageError<u64>> {
        let disk = MemoryDisk::new();
        let (log, machine) = parts(disk.open(), &Offload::Inline);
        Ok((disk, log, machine))
    }
}

struct OnDisk;

impl StoreBuilder<Group, LogStore, StateMachine, tempfile::TempDir> for OnDisk {
    async fn build(
        &self,
    ) -> Result<(tempfile::TempDir, LogStore, StateMachine), openraft::StorageError<u64>> {
        let folder = tempfile::tempdir().unwrap();
        let storage = synod_storage::open(folder.path(), &synod_storage::Options::default()).unwrap().storage;
        let (log, machine) = parts(storage, &Offload::thread("suite").unwrap());
        Ok((folder, log, machine))
    }
}

fn parts(storage: Storage, offload: &Offload) -> (LogStore, StateMachine) {
    let log = LogStore::open(Arc::clone(&storage.log), offload.clone()).unwrap();
    let machine =
        StateMachine::open(storage, Arc::new(Heard::default()), offload.clone(), Policy::default()).unwrap();
    (log, machine)
}

#[test]
fn openraft_suite_passes_in_memory() {
    Suite::test_all(InMemory).unwrap();
}

#[test]
fn openraft_suite_passes_on_disk() {
    Suite::test_all(OnDisk).unwrap();
}
