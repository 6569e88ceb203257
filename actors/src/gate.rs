//! The leader branch's way to the log, shut when the node steps down.
//!
//! The journal beneath is bound to a term and would refuse by itself. Shutting the gate first means that nothing of a
//! branch that is being stopped is even asked, whatever its actors have begun.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use synod_domain::command::Command;
use synod_domain::id::RequestId;
use synod_domain::reply::Answer;
use synod_domain::state::State;

use crate::ports::{Journal, JournalError};

/// A journal that takes proposals until it is shut. Reads go on.
pub(crate) struct Gate {
    journal: Arc<dyn Journal>,
    shut: AtomicBool,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("shut", &self.shut).finish_non_exhaustive()
    }
}

impl Gate {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, shut: AtomicBool::new(false) }
    }

    pub(crate) fn shut(&self) {
        self.shut.store(true, Ordering::Release);
    }

    fn check(&self) -> Result<(), JournalError> {
        if self.shut.load(Ordering::Acquire) { Err(JournalError::NotLeader) } else { Ok(()) }
    }
}

#[async_trait]
impl Journal for Gate {
    async fn propose(&self, id: RequestId, command: Command) -> Result<Answer, JournalError> {
        self.check()?;
        self.journal.propose(id, command).await
    }

    async fn tick(&self) -> Result<(), JournalError> {
        self.check()?;
        self.journal.tick().await
    }

    fn read(&self, look: &mut dyn FnMut(&State)) {
        self.journal.read(look);
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// Takes everything and counts it.
    #[derive(Default)]
    struct Counting(Mutex<usize>);

    #[async_trait]
    impl Journal for Counting {
        async fn propose(&self, _: RequestId, _: Command) -> Result<Answer, JournalError> {
            *self.0.lock() += 1;
            Ok(Ok(synod_domain::reply::Reply::Done))
        }

        async fn tick(&self) -> Result<(), JournalError> {
            *self.0.lock() += 1;
            Ok(())
        }

        fn read(&self, look: &mut dyn FnMut(&State)) {
            look(&State::default());
        }
    }

    #[tokio::test]
    async fn nothing_goes_through_a_gate_that_is_shut() {
        let beneath = Arc::new(Counting::default());
        let gate = Gate::new(beneath.clone());
        let command = Command::BeginTerm { node: synod_domain::id::NodeId::from_raw(1), term: 1 };
        assert!(gate.propose(RequestId::from_raw(1), command.clone()).await.is_ok());
        assert_eq!(gate.tick().await, Ok(()));
        gate.shut();
        assert_eq!(gate.propose(RequestId::from_raw(2), command).await, Err(JournalError::NotLeader));
        assert_eq!(gate.tick().await, Err(JournalError::NotLeader));
        assert_eq!(*beneath.0.lock(), 2);
    }
}
