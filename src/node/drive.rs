//! What brings a node up, and what follows the lead.
//!
//! ```text
//!  a leader is known, what was agreed is applied here ─► start agreed ─► ready ─► leads? ─► leader branch
//!                                                                          ▲        │ not any more
//!                                                                          └────────┘ leader branch ends
//! ```
//!
//! Promises that the leader's branch runs only while this node leads, that one has ended before the next begins, and
//! that whatever was left of an old term cannot write (its journal is bound to the term). Waits for others without
//! end, and says for whom; gives up only where waiting cannot help.

use std::sync::Arc;
use std::time::Duration;

use synod_actors::ports::JournalError;
use synod_actors::system::{self, System, World};
use synod_cluster::consensus::Consensus;
use synod_cluster::identity::Federated;
use synod_cluster::journal::AskError;
use synod_domain::command::Command;
use synod_domain::federation::REGION_ADDRESSES_MAX;
use synod_domain::limits::Limits;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::node::Error;
use crate::node::member::{Member, Papers};
use crate::node::wiring::TermJournal;

/// The wait before something is tried again that the group did not take.
const AGAIN: Duration = Duration::from_millis(200);

/// How far a node has come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It waits, for this.
    Waiting(String),
    /// It takes work.
    Ready,
    /// It never will, for this reason.
    Never(String),
}

/// The tree of a node; nothing once it has stopped.
pub(super) type Tree = Arc<Mutex<Option<System>>>;

/// Brings a member up and follows the lead.
pub(super) struct Drive {
    pub(super) member: Arc<Member>,
    pub(super) consensus: Arc<Consensus>,
    pub(super) world: World,
    pub(super) limits: Option<Limits>,
    pub(super) tree: Tree,
    pub(super) readiness: watch::Sender<Readiness>,
    pub(super) failed: watch::Sender<Option<String>>,
    pub(super) stop: CancellationToken,
}

impl Drive {
    pub(super) async fn run(self) {
        let came = tokio::select! {
            biased;
            () = self.stop.cancelled() => return,
            came = self.come_up() => came,
        };
        match came {
            Ok(()) => {
                tracing::info!("takes work");
                self.readiness.send_replace(Readiness::Ready);
                self.follow_the_lead().await;
            }
            Err(error) => {
                let why = error.to_string();
                self.readiness.send_replace(Readiness::Never(why.clone()));
                self.failed.send_replace(Some(why));
            }
        }
    }

    async fn come_up(&self) -> Result<(), Error> {
        self.wait_for_the_group().await?;
        if let Some(limits) = self.limits.clone() {
            self.insist(Command::SetLimits { limits }).await?;
        }
        self.agree_on_first_key().await?;
        self.agree_on_other_regions().await?;
        loop {
            let begun = match &mut *self.tree.lock().await {
                Some(system) => system.begin().await,
                None => return Err(Error::Failed("the node has stopped".to_owned())),
            };
            match begun {
                Ok(()) => return Ok(()),
                Err(system::Error::Record(why)) => self.wait(why).await,
                Err(error @ (system::Error::Refused(_) | system::Error::Start { .. })) => {
                    return Err(error.into());
                }
            }
        }
    }

    /// Waits until a leader vouches for what this node has applied.
    async fn wait_for_the_group(&self) -> Result<(), Error> {
        loop {
            match self.member.forwarder.linearize().await {
                Ok(()) => return Ok(()),
                Err(AskError::Stopped) => return Err(Error::Failed("the log has stopped".to_owned())),
                Err(error) => self.wait(error.to_string()).await,
            }
            // A majority that does not talk to this node never will; a minority may know less than it.
            let refusals = self.member.forwarder.refusals().await;
            if let Some(why) = refusals {
                return Err(Error::Start(format!("its cluster does not talk to it: {why}")));
            }
        }
    }

    async fn wait(&self, what: String) {
        let waiting = Readiness::Waiting(what.clone());
        let is_news = self.readiness.send_if_modified(|now| {
            let is_news = *now != waiting;
            *now = waiting;
            is_news
        });
        if is_news {
            tracing::info!("waits: {what}");
        }
        tokio::time::sleep(AGAIN).await;
    }

    /// Proposes until the group takes it.
    async fn insist(&self, command: Command) -> Result<(), Error> {
        let id = self.world.ids.request();
        loop {
            match self.world.propose_as(id, command.clone()).await {
                Ok(answer) => return Ok(answer.map(drop)?),
                Err(error @ JournalError::Stopped) => return Err(error.into()),
                Err(
                    error @ (JournalError::NoLeader(_)
                    | JournalError::NotLeader
                    | JournalError::Overloaded
                    | JournalError::NoSpace
                    | JournalError::Unknown(_)),
                ) => self.wait(error.to_string()).await,
            }
        }
    }

    /// Makes the founder's first key of gossip the cluster's.
    async fn agree_on_first_key(&self) -> Result<(), Error> {
        let Some(secret) = self.member.who.first_key.clone() else { return Ok(()) };
        if self.world.read(|state| state.keyring().keys.is_empty()) {
            self.insist(Command::InstallGossipKey { secret }).await?;
        }
        match &self.member.papers {
            Papers::Kept { folder, .. } => Ok(folder.first_key_is_agreed()?),
            Papers::Closed(_) => Ok(()),
        }
    }

    /// Makes what the founder of a region got of the others what its cluster knows.
    async fn agree_on_other_regions(&self) -> Result<(), Error> {
        let Some(federated) = self.member.who.federation.clone() else { return Ok(()) };
        let Federated { ring, ring_number, regions } = federated;
        self.insist(Command::ShareRing { ring, number: ring_number }).await?;
        for (region, mut addresses) in regions {
            addresses.truncate(REGION_ADDRESSES_MAX);
            self.insist(Command::KnowRegion { region, addresses, heard: false }).await?;
        }
        match &self.member.papers {
            Papers::Kept { folder, .. } => Ok(folder.federation_is_agreed()?),
            Papers::Closed(_) => Ok(()),
        }
    }

    async fn follow_the_lead(&self) {
        let mut leadership = self.consensus.leadership();
        let mut leads = None;
        loop {
            let term = *leadership.borrow_and_update();
            if term != leads {
                leads = self.take_or_leave_the_lead(leads, term).await;
            }
            // A lead that could not be taken up is tried again while it lasts.
            let again = term != leads;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                changed = leadership.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(AGAIN), if again => {}
            }
        }
    }

    /// Ends what ran in the term before, begins what runs in this one; returns in which it runs now.
    async fn take_or_leave_the_lead(&self, before: Option<u64>, term: Option<u64>) -> Option<u64> {
        let mut tree = self.tree.lock().await;
        let system = tree.as_mut()?;
        if let Some(before) = before {
            system.step_down().await;
            tracing::info!(term = before, "leads no more");
        }
        let term = term?;
        let journal = Arc::new(TermJournal::new(&self.consensus, term, self.world.node));
        match system.lead(journal, term).await {
            Ok(()) => {
                tracing::info!(term, "leads");
                Some(term)
            }
            Err(error @ system::Error::Start { .. }) => {
                self.failed.send_replace(Some(error.to_string()));
                None
            }
            Err(error @ (system::Error::Record(_) | system::Error::Refused(_))) => {
                tracing::info!(term, %error, "the lead could not be taken up");
                None
            }
        }
    }
}
