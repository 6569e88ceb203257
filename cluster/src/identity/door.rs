//! Who is let in: nodes that have proven who they are and are members, voters of other regions as such, and strangers
//! who want to join.
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
use synod_domain::name::Name;
use synod_domain::state::State;

use crate::identity::credentials::Credentials;
use crate::transport::Proven;
use crate::transport::hello::{Caller, Doorkeeper, Hello, speaks};
use crate::transport::serve::Handler;

/// Lets members in, and strangers as such.
#[derive(Clone)]
pub struct MembersOnly {
    own: Own,
    state: Arc<RwLock<State>>,
}

/// Who the door belongs to, and what it knows of numbers.
#[derive(Clone)]
enum Own {
    Credentials(Arc<Credentials>),
    Word(Arc<Word>),
}

/// Who a node is on a network that is closed by itself, where nobody proves anything: for simulations and tests.
pub struct Word {
    /// The cluster.
    pub cluster: String,
    /// The node.
    pub node: NodeId,
    /// Tells which number a node was admitted under, as its certificate would.
    pub number_of: Arc<dyn Fn(NodeId) -> Option<u64> + Send + Sync>,
}

impl Own {
    fn node(&self) -> NodeId {
        match self {
            Self::Credentials(credentials) => credentials.node(),
            Self::Word(word) => word.node,
        }
    }

    fn cluster(&self) -> &str {
        match self {
            Self::Credentials(credentials) => credentials.cluster(),
            Self::Word(word) => &word.cluster,
        }
    }

    fn number_of(&self, node: NodeId) -> Option<u64> {
        match self {
            Self::Credentials(credentials) => credentials.number_of(node),
            Self::Word(word) => (word.number_of)(node),
        }
    }
}

impl MembersOnly {
    /// Makes the doorkeeper of a node; `state` is what it knows of the cluster.
    pub fn new(credentials: Arc<Credentials>, state: Arc<RwLock<State>>) -> Self {
        Self { own: Own::Credentials(credentials), state }
    }

    /// Makes the doorkeeper of a node that takes everybody's word for who they are. It refuses whom it would refuse
    /// elsewhere.
    pub fn on_a_closed_network(word: Arc<Word>, state: Arc<RwLock<State>>) -> Self {
        Self { own: Own::Word(word), state }
    }

    /// Refuses a node that was removed, or that has forgotten how often it started.
    fn check(&self, node: NodeId, generation: u64) -> Result<(), String> {
        let state = self.state.read();
        if state.node(self.own.node()).is_none() {
            return Ok(());
        }
        let Some(known) = state.node(node) else {
            let number = self.own.number_of(node);
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

    /// Refuses a region that was removed. One that is not known here yet was let in by another region.
    fn check_region(&self, region: &Name) -> Result<(), String> {
        if self.state.read().federation().is_removed(region) {
            return Err(format!("region {region} was removed from those that are trusted here"));
        }
        Ok(())
    }

    /// Tells whether a caller that was let in still would be.
    fn still(&self, caller: &Caller) -> bool {
        match &caller.region {
            Some(region) => self.check_region(region).is_ok(),
            None => !caller.member || self.check(caller.hello.node, caller.hello.generation).is_ok(),
        }
    }
}

impl Doorkeeper for MembersOnly {
    fn judge(&self, hello: &Hello, proven: Option<&Proven>, proves: bool) -> Result<Caller, String> {
        speaks(hello)?;
        let believes = matches!(self.own, Own::Word(_));
        if !proves && !believes {
            return Err("this connection proves nothing; nodes of a cluster talk over TLS".to_owned());
        }
        let believed = believes.then(|| Proven::own(hello.node));
        let Some(Proven { node, foreign }) = proven.or(believed.as_ref()) else {
            return Ok(Caller::stranger(hello.clone()));
        };
        if hello.node != *node {
            return Err(format!("{} says hello with the certificate of {node}", hello.node));
        }
        if let Some(foreign) = foreign {
            if hello.cluster != foreign.cluster {
                let (said, proven) = (&hello.cluster, &foreign.cluster);
                return Err(format!("it says that it is of cluster {said:?}, and its certificate {proven}"));
            }
            self.check_region(&foreign.region)?;
            return Ok(Caller { hello: hello.clone(), member: false, region: Some(foreign.region.clone()) });
        }
        if hello.cluster != self.own.cluster() {
            return Err(format!(
                "it belongs to cluster {:?} and this is {}",
                hello.cluster,
                self.own.cluster()
            ));
        }
        self.check(*node, hello.generation)?;
        Ok(Caller::member(hello.clone()))
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
        if !self.door.still(caller) {
            return None;
        }
        self.inner.answer(caller, request).await
    }
}
