//! Who is let in: nodes that have proven who they are and are members, and strangers who want to join.
//!
//! What a node knows may be old. So a node that its table does not have is let in when its certificate shows a higher
//! number than any that was given out as far as is known here: it was admitted since. One with a number that was
//! given out, and not in the table, was removed. A node that is not in its own table yet knows nothing and trusts
//! the authority alone.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use synod_domain::id::NodeId;
use synod_domain::state::State;

use crate::identity::credentials::Credentials;
use crate::transport::hello::{Caller, Doorkeeper, Hello, speaks};
use crate::transport::serve::Handler;

/// Lets members in, and strangers as such.
#[derive(Clone)]
pub struct MembersOnly {
    credentials: Arc<Credentials>,
    state: Arc<RwLock<State>>,
}

impl MembersOnly {
    /// Makes the doorkeeper of a node; `state` is what it knows of the cluster.
    pub fn new(credentials: Arc<Credentials>, state: Arc<RwLock<State>>) -> Self {
        Self { credentials, state }
    }

    /// Refuses a node that was removed, or that has forgotten how often it started.
    fn check(&self, node: NodeId, generation: u64) -> Result<(), String> {
        let state = self.state.read();
        if state.node(self.credentials.node()).is_none() {
            return Ok(());
        }
        let Some(known) = state.node(node) else {
            let number = self.credentials.number_of(node);
            if number.is_some_and(|number| number > state.last_node_number()) {
                return Ok(());
            }
            return Err(format!(
                "{node} is no member of this cluster, it was removed; to use its machine again, delete its data \
                 folder and join with a new token"
            ));
        };
        if generation < known.generation {
            return Err(format!(
                "{node} says that it starts for the {generation}. time and is known to have started {} times: its \
                 disk has forgotten something; remove it from the cluster, delete its data folder, and join anew",
                known.generation
            ));
        }
        Ok(())
    }
}

impl Doorkeeper for MembersOnly {
    fn judge(&self, hello: &Hello, proven: Option<NodeId>, proves: bool) -> Result<Caller, String> {
        speaks(hello)?;
        if !proves {
            return Err("this connection proves nothing; nodes of a cluster talk over TLS".to_owned());
        }
        let Some(node) = proven else {
            return Ok(Caller { hello: hello.clone(), member: false });
        };
        if hello.node != node {
            return Err(format!("{} says hello with the certificate of {node}", hello.node));
        }
        if hello.cluster != self.credentials.cluster() {
            return Err(format!(
                "it belongs to cluster {:?} and this is {}",
                hello.cluster,
                self.credentials.cluster()
            ));
        }
        self.check(node, hello.generation)?;
        Ok(Caller { hello: hello.clone(), member: true })
    }
}

/// Looks at each request whether its sender still is a member: a connection outlives a removal, its use must not.
pub struct StillMembers {
    door: MembersOnly,
    inner: Arc<dyn Handler>,
}

impl StillMembers {
    /// Guards a handler, which is most often the switchboard.
    pub fn new(door: MembersOnly, inner: Arc<dyn Handler>) -> Self {
        Self { door, inner }
    }
}

#[async_trait]
impl Handler for StillMembers {
    async fn answer(&self, caller: &Caller, request: Bytes) -> Option<Bytes> {
        if caller.member && self.door.check(caller.hello.node, caller.hello.generation).is_err() {
            return None;
        }
        self.inner.answer(caller, request).await
    }
}
