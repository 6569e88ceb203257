//! Who asks: it travels with the work of a request, so that every change that comes of it says so.
//!
//! Whoever serves somebody does it within [`asking`]; what is proposed there is proposed in their name, through however
//! many verbs of the node it goes. Everywhere else the process itself asks, as an embedder does. What is spawned in
//! between asks for the process too: nothing of the API does that.
//!
//! An actor with a workspace is bound to it: the rules refuse a change of anything else as if that were not there. What
//! is shown to them goes by [`Sight`](crate::node::sight::Sight).

use std::sync::Arc;

use synod_cluster::history::History;
use synod_domain::audit::{Actor, ActorKind};
use synod_domain::command::Command;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::task::Phase;

use crate::node::{Error, Node};

tokio::task_local! {
    static ASKS: Arc<Actor>;
}

/// Does the work of somebody's request.
pub async fn asking<T>(actor: Arc<Actor>, work: impl Future<Output = T>) -> T {
    ASKS.scope(actor, work).await
}

impl Node {
    /// Returns in whose name a change is proposed here.
    pub(super) fn asks(&self) -> Arc<Actor> {
        ASKS.try_with(Arc::clone).unwrap_or_else(|_| Arc::clone(&self.itself))
    }

    /// Returns the workspace that whoever asks is bound to; none for an operator, and for the process itself.
    pub(crate) fn bound_to(&self) -> Option<Name> {
        self.asks().workspace.clone()
    }

    /// Holds what is said under a lease against the workspace of whoever says it, where the rules cannot: they do not know
    /// any more whose a task was that has ended. Before anything is done about it, so that nobody's agent is heard of
    /// because of somebody else.
    pub(super) fn check_lease(&self, asks: &Actor, command: &Command) -> Result<(), Error> {
        let (Some(own), Some((task, _))) = (&asks.workspace, command.under_lease()) else { return Ok(()) };
        let unknown = || Err(Refusal::TaskUnknown(task).into());
        if !self.read(|state| state.reaches_lease(own, task)) {
            return unknown();
        }
        match self.task(task) {
            Ok(known) if known.phase().is_end() && known.spec.workspace != *own => unknown(),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Holds that whoever asks may claim for an agent.
    pub(super) fn check_claimant(&self, agent: AgentId) -> Result<(), Error> {
        match self.bound_to() {
            Some(own) => Ok(self.read(|state| state.check_claimant(&own, agent))?),
            None => Ok(()),
        }
    }

    /// Holds that an agent is somebody's of the workspace that whoever asks is bound to.
    pub(super) fn check_agent(&self, agent: AgentId) -> Result<(), Error> {
        match self.bound_to() {
            Some(own) if !self.read(|state| state.reaches_agent(&own, agent)) => {
                Err(Refusal::AgentUnknown(agent).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Tells whether what a task holds is withheld from whoever asks: it is strict, and they ask through another region.
    /// Where that cannot be told, it is.
    pub(crate) fn withholds(&self, task: TaskId) -> bool {
        if self.asks().kind != ActorKind::Region {
            return false;
        }
        let is_open = |history: History| history.is_strict(task).is_ok_and(|strict| !strict);
        !self.history().is_ok_and(is_open)
    }

    /// Says what becomes of a change of a task that the rules do not know; `to` is how it was to end. Of one that has
    /// ended they tell whoever is bound to a workspace nothing, because they do not know any more whose it was. This node
    /// does.
    pub(super) async fn of_unknown(
        &self,
        asks: &Actor,
        task: TaskId,
        to: Option<Phase>,
    ) -> Result<Reply, Error> {
        let unknown = || Err(Refusal::TaskUnknown(task).into());
        let Some(own) = &asks.workspace else { return unknown() };
        self.linearize().await?;
        let known = match self.task(task) {
            Err(Error::NoTask(_) | Error::Refused(_)) => return unknown(),
            known => known?,
        };
        match known.phase() {
            phase if known.spec.workspace != *own || !phase.is_end() => unknown(),
            // As often as it is said.
            phase if to == Some(phase) => Ok(Reply::Ended { phase }),
            phase => Err(Refusal::AlreadyEnded { task, phase }.into()),
        }
    }
}
