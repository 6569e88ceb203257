//! Who asks: it travels with the work of a request, so that every change that comes of it says so.
//!
//! Whoever serves somebody does it within [`asking`]; what is proposed there is proposed in their name, through however
//! many verbs of the node it goes. Everywhere else the process itself asks, as an embedder does. What is spawned in
//! between asks for the process too: nothing of the API does that.

use std::sync::Arc;

use synod_cluster::history::History;
use synod_domain::audit::{Actor, ActorKind};
use synod_domain::id::TaskId;
use synod_domain::name::Name;

use crate::node::Node;

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

    /// Tells whether what a task holds is withheld from whoever asks: it is strict, and they ask through another region.
    /// Where that cannot be told, it is.
    pub(crate) fn withholds(&self, task: TaskId) -> bool {
        if self.asks().kind != ActorKind::Region {
            return false;
        }
        let is_open = |history: History| history.is_strict(task).is_ok_and(|strict| !strict);
        !self.history().is_ok_and(is_open)
    }
}
