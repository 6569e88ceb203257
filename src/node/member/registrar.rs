//! Gets nodes agreed on that ask to be admitted.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use synod_actors::ids::Ids;
use synod_cluster::identity::{Admitted, Registrar};
use synod_cluster::journal::{AskError, Forwarder};
use synod_domain::command::Command;
use synod_domain::node::{NodeRole, NodeSpec};
use synod_domain::reply::Reply;
use synod_domain::state::State;
use synod_domain::token::TokenHash;

/// How often an admission is proposed whose outcome is not known; each try takes some seconds at most.
const TRIES: usize = 4;

/// Admits nodes through the log.
pub(super) struct Admitting {
    forwarder: Forwarder,
    state: Arc<RwLock<State>>,
    ids: Arc<Ids>,
}

impl Admitting {
    pub(super) fn new(forwarder: Forwarder, state: Arc<RwLock<State>>, ids: Arc<Ids>) -> Self {
        Self { forwarder, state, ids }
    }
}

#[async_trait]
impl Registrar for Admitting {
    async fn admit(&self, spec: NodeSpec, role: NodeRole, token: TokenHash) -> Result<Admitted, String> {
        let id = self.ids.request();
        let command = Command::AdmitNode { spec: Arc::new(spec), role, token };
        let mut tries = 0;
        let answer = loop {
            tries += 1;
            match self.forwarder.propose(id, command.clone()).await {
                Ok(answer) => break answer,
                Err(AskError::Unknown(_) | AskError::Overloaded) if tries < TRIES => {}
                Err(error) => return Err(error.to_string()),
            }
        };
        match answer {
            Ok(Reply::Admitted { number }) => {
                let state = self.state.read();
                let members = state.nodes().map(|node| (node.spec.id, node.spec.address.clone())).collect();
                Ok(Admitted { number, members, keyring: state.keyring().clone() })
            }
            Ok(reply) => Err(format!("the admission was answered by {reply:?}")),
            Err(refusal) => Err(format!("{refusal}; {}", refusal.hint())),
        }
    }
}
