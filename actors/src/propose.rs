//! Proposing commands, and not giving up while the outcome is unknown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use synod_domain::command::Command;
use synod_domain::id::{NodeId, RequestId};
use synod_domain::node::NodeSpec;
use synod_domain::reply::Answer;
use synod_domain::sources::{Clock, Entropy};
use synod_domain::state::State;

use crate::events::EventHub;
use crate::farewell::Farewell;
use crate::ids::Ids;
use crate::ports::{Blobs, Journal, JournalError, Neighbours, Receivers, Regions, Relay, Runtimes};

/// The first wait before a proposal is sent again, doubled up to [`RETRY_MAX`]. The journal answers
/// within a sync or says that it is overloaded, so short waits are right.
const RETRY_FIRST: Duration = Duration::from_millis(20);

/// The longest wait before a proposal is sent again.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// What every actor of a node gets: the world, through its ports. Cheap to clone.
#[derive(Clone)]
pub struct World {
    /// This node.
    pub node: NodeId,
    /// What it says of itself.
    pub spec: Arc<NodeSpec>,
    /// The number of its start.
    pub generation: u64,
    /// The way to the log.
    pub journal: Arc<dyn Journal>,
    /// Large payloads and results.
    pub blobs: Arc<dyn Blobs>,
    /// What agents are run by.
    pub runtimes: Arc<dyn Runtimes>,
    /// What is rumoured of other nodes.
    pub neighbours: Arc<dyn Neighbours>,
    /// The way of signs of life to whoever leads.
    pub relay: Arc<dyn Relay>,
    /// The way to other regions.
    pub regions: Arc<dyn Regions>,
    /// The way to those who are told what happens; nothing on a node that tells nobody.
    pub receivers: Option<Arc<dyn Receivers>>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// The node's chance.
    pub entropy: Arc<dyn Entropy>,
    /// The node's source of ids.
    pub ids: Arc<Ids>,
    /// What happened.
    pub hub: EventHub,
    /// How long an agent that runs elsewhere may be silent, unless it says otherwise itself.
    pub agent_timeout: Duration,
    /// How long it waits at its end for what may never be agreed.
    pub farewell: Farewell,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "World({})", self.node)
    }
}

impl World {
    /// Proposes a command until its outcome is known, always under the same request id.
    ///
    /// # Errors
    /// When the node stops, does not lead, or has no room for new work.
    pub async fn propose(&self, command: Command) -> Result<Answer, JournalError> {
        self.propose_as(self.ids.request(), command).await
    }

    /// Proposes a command as [`World::propose`] does, under a request id that the caller has. The same id is
    /// applied once, however often and by whomever it is proposed.
    ///
    /// # Errors
    /// When the node stops, nobody leads, or there is no room for new work; [`JournalError::Unknown`] if an earlier
    /// try may have been written.
    pub async fn propose_as(&self, id: RequestId, command: Command) -> Result<Answer, JournalError> {
        let mut wait = RETRY_FIRST;
        let mut unknown = None;
        loop {
            match self.journal.propose(id, command.clone()).await {
                Err(JournalError::Unknown(why)) => unknown = Some(why),
                Err(JournalError::Overloaded) => {}
                // That nothing was written this time says nothing of the time before.
                Err(error) => return Err(unknown.map_or(error, JournalError::Unknown)),
                Ok(answer) => return Ok(answer),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Proposes a command until there is an answer, however long nobody leads or the disk has no room: what a node
    /// says of its own agents must not be lost because of an election. Always under the same request id.
    ///
    /// # Errors
    /// When the node stops; also when it is about to, and waits for nothing that may never be agreed.
    pub(crate) async fn persist(&self, command: Command) -> Result<Answer, JournalError> {
        self.farewell.wait(self.insist(command)).await.unwrap_or(Err(JournalError::Stopped))
    }

    async fn insist(&self, command: Command) -> Result<Answer, JournalError> {
        let id = self.ids.request();
        let mut wait = RETRY_FIRST;
        loop {
            match self.propose_as(id, command.clone()).await {
                Err(JournalError::Stopped) => return Err(JournalError::Stopped),
                Err(error) => tracing::debug!(%error, "a proposal waits"),
                Ok(answer) => return Ok(answer),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Reads something from the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        let mut look = Some(look);
        let mut seen = None;
        self.journal.read(&mut |state| seen = look.take().map(|look| look(state)));
        match seen {
            Some(seen) => seen,
            None => unreachable!("a journal shows its state exactly once"),
        }
    }
}
