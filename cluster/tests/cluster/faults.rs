//! Disks that fail, fill up and recover.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use synod_cluster::proposer::ProposeError;
use synod_storage::{Batch, Error, MemoryDisk, Row, StateStore, Storage};

use super::support::{
    accepted, agent_ready, answer, claim, complete, killed, live, request, start, submit, weight,
};

/// A state store whose commits can be made to fail for good.
pub(crate) struct BrokenStore {
    inner: Arc<dyn StateStore>,
    broken: AtomicBool,
}

impl BrokenStore {
    pub(crate) fn over(storage: &Storage) -> Arc<Self> {
        Arc::new(Self { inner: storage.state.clone(), broken: AtomicBool::new(false) })
    }

    pub(crate) fn fail(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

impl StateStore for BrokenStore {
    fn applied(&self) -> u64 {
        self.inner.applied()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.inner.get(key)
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.inner.scan(from, to, limit)
    }

    fn scan_back(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.inner.scan_back(from, to, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Error::Fatal { cause: "broken on purpose".into() });
        }
        self.inner.commit(batch)
    }

    fn replace(&self, applied: u64, rows: &mut dyn Iterator<Item = Result<Row, Error>>) -> Result<(), Error> {
        self.inner.replace(applied, rows)
    }
}

#[test]
fn failed_sync_is_fatal_and_nothing_is_acknowledged_after_it() {
    let disk = MemoryDisk::new();
    let before = killed(async || {
        let node = start(disk.open()).await;
        live(&node, 0, 5).await;
        let before = node.state().read().rows();
        disk.fail_next_sync();
        for number in 1..4 {
            let answer = node.proposer().propose(request(number), submit(300 + number)).await.map(answer);
            assert!(answer.is_err(), "{answer:?}");
        }
        let mut fatal = node.fatal();
        let told = tokio::time::timeout(Duration::from_secs(5), fatal.wait_for(Option::is_some)).await;
        let message = told.unwrap().unwrap().clone().unwrap();
        assert!(message.contains("sync"), "{message}");
        assert_eq!(node.state().read().rows(), before);
        assert_eq!(*node.leadership().borrow(), None);
        before
    });
    disk.crash(|_| 0);
    let after = killed(async || start(disk.open()).await.state().read().rows());
    assert_eq!(after, before);
}

#[test]
fn full_disk_refuses_new_work_lets_work_end_and_recovers() {
    let disk = MemoryDisk::new();
    killed(async || {
        let node = start(disk.open()).await;
        let [register, ready] = agent_ready();
        accepted(&node, 1, register).await;
        accepted(&node, 2, ready).await;
        accepted(&node, 3, submit(1)).await;
        accepted(&node, 4, submit(2)).await;
        accepted(&node, 5, claim(2)).await;

        // Scarce: new work is refused, work in hand ends.
        disk.limit_space(Some(32 * 1024));
        let refused = node.proposer().propose(request(6), submit(3)).await.map(answer);
        assert_eq!(refused, Err(ProposeError::NoSpace));
        accepted(&node, 7, complete(1)).await;

        // Full: what is on its way waits, the rest is refused, and nobody dies.
        disk.limit_space(Some(8));
        let proposer = node.proposer();
        let waiting =
            tokio::spawn(async move { proposer.propose(request(8), complete(2)).await.map(answer) });
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert!(!waiting.is_finished());
        let refused = node.proposer().propose(request(9), weight(3)).await.map(answer);
        assert_eq!(refused, Err(ProposeError::NoSpace));

        // A checkpoint that finds no room is written later.
        node.checkpoint().await;
        assert_eq!(node.status().mirror.broken, None);

        disk.limit_space(None);
        let answer = waiting.await.unwrap();
        assert!(matches!(answer, Ok(Ok(_))), "{answer:?}");
        accepted(&node, 10, submit(3)).await;
        node.checkpoint().await;
        let status = node.status();
        assert_eq!(status.mirror.checkpointed, status.applied);
        assert_eq!(*node.fatal().borrow(), None);
    });
    // What the refused checkpoint carried is in the mirror too.
    killed(async || {
        let node = start(disk.open()).await;
        assert_eq!(node.state().read().unfinished(), 1);
        assert_eq!(node.history().page(None, 10).unwrap().len(), 2);
    });
}
