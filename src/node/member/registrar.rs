//! Gets nodes agreed on that ask to be admitted.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use synod_actors::ids::Ids;
use synod_cluster::identity::{Admitted, LetIn, Registrar};
use synod_cluster::journal::{AskError, Forwarder};
use synod_domain::command::Command;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{NodeRole, NodeSpec};
use synod_domain::reply::{Answer, Reply};
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

    /// Proposes until the outcome is known, or it has been tried often enough.
    async fn propose(&self, command: Command) -> Result<Answer, String> {
        let id = self.ids.request();
        let mut tries = 0;
        loop {
            tries += 1;
            match self.forwarder.propose(id, command.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(AskError::Unknown(_) | AskError::Overloaded) if tries < TRIES => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

#[async_trait]
impl Registrar for Admitting {
    async fn admit(&self, spec: NodeSpec, role: NodeRole, token: TokenHash) -> Result<Admitted, String> {
        match self.propose(Command::AdmitNode { spec: Arc::new(spec), role, token }).await? {
            Ok(Reply::Admitted { number }) => {
                let state = self.state.read();
                let members = state.nodes().map(|node| (node.spec.id, node.spec.address.clone())).collect();
                Ok(Admitted { number, members, keyring: state.keyring().clone() })
            }
            Ok(reply) => Err(format!("the admission was answered by {reply:?}")),
            Err(refusal) => Err(format!("{refusal}; {}", refusal.hint())),
        }
    }

    async fn let_in(
        &self,
        region: Name,
        founder: NodeId,
        token: TokenHash,
        cluster: Option<Arc<str>>,
    ) -> Result<LetIn, String> {
        let known = |state: &State| {
            let federation = state.federation();
            let regions =
                federation.others().filter(|(name, known)| **name != region && !known.addresses.is_empty());
            let regions = regions.map(|(name, known)| (name.clone(), known.addresses.clone()));
            LetIn {
                ring: federation.ring.clone(),
                ring_number: federation.ring_number,
                regions: regions.collect(),
            }
        };
        let before = known(&self.state.read());
        if before.ring.used.is_none() || before.regions.is_empty() {
            return Err("this region does not listen for others yet; ask again in a moment".to_owned());
        }
        let region = region.clone();
        let command = match cluster {
            Some(cluster) => Command::AdmitRegionAs { region, founder, token, cluster },
            // A founder of a version that does not say it.
            None => Command::AdmitRegion { region, founder, token },
        };
        match self.propose(command).await? {
            Ok(_) => Ok(known(&self.state.read())),
            Err(refusal) => Err(format!("{refusal}; {}", refusal.hint())),
        }
    }
}
