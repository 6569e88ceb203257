//! The answering side of joining, of renewing certificates, and of the authority's key.
//!
//! Any node may be asked to join. One without the authority's key passes the request on as it is to a voter: a join
//! proves itself by its token, a return by the old key, so whoever passes it on needs no right of its own. What
//! only members may ask is not passed on. Promises that no certificate is signed for a node that the state does
//! not have, that the authority's key goes to voters alone, and that strangers cost a bounded amount of work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{Keyring, NodeRole, NodeSpec};
use synod_domain::sources::Entropy;
use synod_domain::state::State;
use synod_domain::token::TokenHash;
use synod_storage::{decode, encode};
use tokio::sync::Semaphore;

use crate::identity::authority::{Authority, request_key};
use crate::identity::certificate::not_after;
use crate::identity::credentials::{Credentials, unix_time};
use crate::identity::names::{Named, is_cluster};
use crate::identity::throttle::Throttle;
use crate::identity::token::hash_of;
use crate::identity::verify::is_of;
use crate::identity::wire::{
    Denied, FoundGrant, FoundRequest, Granted, JoinGrant, JoinRequest, Reply, Request, refused,
};
use crate::transport::hello::Caller;
use crate::transport::links::{Links, Service};
use crate::transport::serve::Handler;

/// How long whoever asks for admission waits for an answer: an election in the middle of it included.
pub const ADMISSION_PATIENCE: Duration = Duration::from_secs(30);

/// How long a node looks for a voter that signs: less than whoever asked it waits.
const RELAY_PATIENCE: Duration = Duration::from_secs(25);

/// Strangers' requests in work at once. Each may be a command in the log.
const STRANGERS_REQUESTS_MAX: usize = 16;

/// The longest address or version in a specification; longer is no name of a machine.
const TEXT_BYTES_MAX: usize = 255;

/// The most labels of a node, and the bytes of the value of each.
const LABELS_MAX: usize = 64;

/// What admitting a node came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Its number in the group.
    pub number: u64,
    /// Where the members are.
    pub members: BTreeMap<NodeId, String>,
    /// The keys of gossip.
    pub keyring: Keyring,
}

/// What letting a region in came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetIn {
    /// The keys of gossip between regions.
    pub ring: Keyring,
    /// Counts the changes of the ring.
    pub ring_number: u64,
    /// The regions that there are, this one among them, and addresses of gossip between them.
    pub regions: BTreeMap<Name, Vec<String>>,
}

/// Gets a node agreed on. A node implements it over its journal, so that any of them can be asked.
#[async_trait]
pub trait Registrar: Send + Sync + 'static {
    /// Proposes that a node be admitted with the token of this hash. The same node may be admitted again with it.
    ///
    /// # Errors
    /// With a text for whoever asks: why not.
    async fn admit(&self, spec: NodeSpec, role: NodeRole, token: TokenHash) -> Result<Admitted, String>;

    /// Proposes that a region be let in with the token of this hash, and as which cluster, if its founder says that. The
    /// same founder may ask again for the same name.
    ///
    /// # Errors
    /// With a text for whoever asks: why not.
    async fn let_in(
        &self,
        region: Name,
        founder: NodeId,
        token: TokenHash,
        cluster: Option<Arc<str>>,
    ) -> Result<LetIn, String>;
}

/// Answers [`Service::Admission`].
pub struct Admission {
    credentials: Arc<Credentials>,
    registrar: Arc<dyn Registrar>,
    state: Arc<RwLock<State>>,
    links: Links,
    entropy: Arc<dyn Entropy>,
    throttle: Mutex<Throttle>,
    places: Semaphore,
}

impl Admission {
    /// Makes the handler of a node.
    pub fn new(
        credentials: Arc<Credentials>,
        registrar: Arc<dyn Registrar>,
        state: Arc<RwLock<State>>,
        links: Links,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let (throttle, places) = (Mutex::new(Throttle::new()), Semaphore::new(STRANGERS_REQUESTS_MAX));
        Self { credentials, registrar, state, links, entropy, throttle, places }
    }

    async fn decide(&self, caller: &Caller, bytes: &Bytes) -> Reply {
        let request = Request::read(bytes)?;
        let _place = match &request {
            Request::Join(_) | Request::Return { .. } | Request::Found(_) | Request::FoundAs(..) => {
                let place = self.places.try_acquire();
                Some(place.or_else(|_| refused("too many ask at once; ask again in a moment"))?)
            }
            Request::Renew { .. } | Request::Authority | Request::HoldsAuthority => None,
        };
        match request {
            Request::Join(join) => {
                self.check_token(&join.secret)?;
                check_spec(&join.spec)?;
                check_request(&join.request)?;
                match self.credentials.authority() {
                    Some(authority) => self.admit(&authority, *join).await,
                    None => self.pass_on(caller, bytes).await,
                }
            }
            Request::Return { certificate, request } => match self.credentials.authority() {
                Some(authority) => self.take_back(&authority, &certificate, &request),
                None => self.pass_on(caller, bytes).await,
            },
            Request::Renew { request } => {
                let node = member(caller)?;
                let number = self.number_of(node)?;
                // One that is not known here yet shall not pass for a voter.
                let role = self.state.read().node(node).map_or(NodeRole::Worker, |node| node.role);
                let authority = self.credentials.authority().ok_or(Denied::NoAuthority)?;
                self.sign(&authority, &request, node, number, role).map(Granted::Certificate)
            }
            Request::Authority => {
                let node = member(caller)?;
                let role = self.state.read().node(node).map(|node| node.role);
                if role != Some(NodeRole::Voter) {
                    return refused("only voters get the key of the authority, and this node is none");
                }
                let authority = self.credentials.authority().ok_or(Denied::NoAuthority)?;
                let pem = authority.key().pem();
                pem.map(Granted::Authority).or_else(|error| refused(error.to_string()))
            }
            Request::HoldsAuthority => {
                member(caller)?;
                Ok(Granted::Holds(self.credentials.authority().is_some()))
            }
            Request::Found(found) => {
                self.check_token(&found.secret)?;
                match self.credentials.authority() {
                    Some(authority) => self.let_in(&authority, *found, None).await,
                    None => self.pass_on(caller, bytes).await,
                }
            }
            Request::FoundAs(found, cluster) => {
                self.check_token(&found.secret)?;
                if !is_cluster(&cluster) || cluster == self.credentials.cluster() {
                    return refused("it does not say which cluster it founds");
                }
                match self.credentials.authority() {
                    Some(authority) => self.let_in(&authority, *found, Some(cluster.into())).await,
                    None => self.pass_on(caller, bytes).await,
                }
            }
        }
    }

    /// Lets an unknown token cost something only as long as strangers have failures left.
    fn check_token(&self, secret: &[u8; 32]) -> Result<(), Denied> {
        let hash = hash_of(secret);
        let known = {
            let state = self.state.read();
            let of_regions = state.federation().tokens.values().any(|token| token.hash == hash);
            of_regions || state.join_tokens().any(|token| token.hash == hash)
        };
        if known || self.throttle.lock().take() {
            return Ok(());
        }
        refused("too many tried to join with tokens that are not known; ask again in a minute")
    }

    async fn admit(&self, authority: &Authority, join: JoinRequest) -> Reply {
        let JoinRequest { secret, spec, role, request } = join;
        let node = spec.id;
        let admitted = self.registrar.admit(spec, role, hash_of(&secret)).await;
        let admitted = admitted.map_err(|why| {
            tracing::warn!(%node, why, "a node was not admitted");
            Denied::Refused(why)
        })?;
        let certificate = self.sign(authority, &request, node, admitted.number, role)?;
        tracing::info!(%node, number = admitted.number, %role, "a node was admitted");
        Ok(Granted::Joined(Box::new(JoinGrant {
            number: admitted.number,
            certificate,
            authority: authority.certificate().pem().to_owned(),
            members: admitted.members,
            keyring: admitted.keyring,
        })))
    }

    /// Lets a region in. Its founder gets the key of the authority: it signs for its own nodes from here on.
    async fn let_in(&self, authority: &Authority, found: FoundRequest, cluster: Option<Arc<str>>) -> Reply {
        let FoundRequest { secret, node, region } = found;
        match self.credentials.region() {
            Some(here) if here != region => {}
            Some(here) => {
                return refused(format!("this region is called {here} already; choose another name"));
            }
            None => return refused("this region has no name yet; ask again in a moment"),
        }
        let let_in = self.registrar.let_in(region.clone(), node, hash_of(&secret), cluster).await;
        let let_in = let_in.map_err(|why| {
            tracing::warn!(%node, %region, why, "a region was not let in");
            Denied::Refused(why)
        })?;
        let authority_key = authority.key().pem().or_else(|error| refused(error.to_string()))?;
        tracing::warn!(%node, %region, "a region was let in, and has the key of the authority");
        Ok(Granted::Founded(Box::new(FoundGrant {
            authority: authority.certificate().pem().to_owned(),
            authority_key,
            ring: let_in.ring,
            ring_number: let_in.ring_number,
            regions: let_in.regions,
        })))
    }

    /// Signs anew for a node that was away for so long that its certificate is over.
    fn take_back(&self, authority: &Authority, old: &str, request: &[u8]) -> Reply {
        let bad = |error: &dyn std::fmt::Display| {
            Denied::Refused(format!("the old certificate is not taken: {error}"))
        };
        let old = super::authority::read_pem(old).map_err(|error| bad(&error))?;
        let named = Named::of(&old).map_err(|error| bad(&error))?;
        let end = not_after(&old).map_err(|error| bad(&error))?;
        is_of(authority.certificate().der(), &old, unix_time(end)).map_err(|error| bad(&error))?;
        // Regions share the authority, and a node id is no secret: one that another cluster has certified is a stranger.
        if named.cluster != self.credentials.cluster() {
            return Err(bad(&format!("it is of cluster {}", named.cluster)));
        }
        let key = request_key(request).map_err(|error| bad(&error))?;
        if !super::authority::holds(&old, &key) {
            return Err(bad(&"it is for another key"));
        }
        let known = self.state.read().node(named.node).map(|node| (node.number, node.role));
        let Some((_, role)) = known.filter(|(number, _)| *number == named.number) else {
            return refused(format!("{} is no member of this cluster, it was removed", named.node));
        };
        self.sign(authority, request, named.node, named.number, role).map(Granted::Certificate)
    }

    fn number_of(&self, node: NodeId) -> Result<u64, Denied> {
        let known = self.state.read().node(node).map(|node| node.number);
        match known.or_else(|| self.credentials.number_of(node)) {
            Some(number) => Ok(number),
            None => refused(format!("{node} is not known here yet; ask again in a moment")),
        }
    }

    fn sign(
        &self,
        authority: &Authority,
        request: &[u8],
        node: NodeId,
        number: u64,
        role: NodeRole,
    ) -> Result<String, Denied> {
        let subject = self.credentials.subject(node, number, role);
        let signed = authority.issue(request, &subject, self.credentials.now(), &*self.entropy);
        signed.or_else(|error| refused(error.to_string()))
    }

    /// Asks the voters, one after the other, until one has decided.
    async fn pass_on(&self, caller: &Caller, bytes: &Bytes) -> Reply {
        // Members pass on what they cannot answer themselves; nothing is passed on twice.
        if caller.member {
            return Err(Denied::NoAuthority);
        }
        let voters = voters(&self.state.read(), self.credentials.node());
        let asking = async {
            for voter in voters {
                let asked = self.links.ask(voter, Service::Admission, bytes.clone(), RELAY_PATIENCE).await;
                match asked.map(|answer| decode::<Reply>(&answer)) {
                    Ok(Ok(Err(Denied::NoAuthority))) => {}
                    Ok(Ok(reply)) => return Some(reply),
                    Ok(Err(error)) => tracing::warn!(%voter, %error, "a voter answered what makes no sense"),
                    Err(error) => {
                        tracing::info!(%voter, %error, "a voter could not be asked for a signature");
                    }
                }
            }
            None
        };
        let answered = tokio::time::timeout(RELAY_PATIENCE, asking).await.unwrap_or(None);
        // No decision: a follower that has just come does not know the voters yet.
        answered.unwrap_or(Err(Denied::NoAuthority))
    }
}

#[async_trait]
impl Handler for Admission {
    async fn answer(&self, caller: &Caller, request: Bytes) -> Option<Bytes> {
        let reply = self.decide(caller, &request).await;
        encode(&reply).ok().map(Bytes::from)
    }
}

/// Returns the other voters, in order of id.
pub(super) fn voters(state: &State, me: NodeId) -> Vec<NodeId> {
    let others = state.nodes().filter(|node| node.role == NodeRole::Voter && node.spec.id != me);
    others.map(|node| node.spec.id).collect()
}

fn member(caller: &Caller) -> Result<NodeId, Denied> {
    if caller.member { Ok(caller.hello.node) } else { refused("only members may ask that") }
}

/// A request that cannot be signed must not use up its token.
fn check_request(request: &[u8]) -> Result<(), Denied> {
    request_key(request).map(drop).or_else(|error| refused(error.to_string()))
}

fn check_spec(spec: &NodeSpec) -> Result<(), Denied> {
    let texts = [&*spec.address, &*spec.api, &*spec.version];
    if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
        return refused(format!("an address or a version has more than {TEXT_BYTES_MAX} bytes"));
    }
    if spec.labels.len() > LABELS_MAX || spec.labels.values().any(|value| value.len() > TEXT_BYTES_MAX) {
        return refused(format!("a node has at most {LABELS_MAX} labels of {TEXT_BYTES_MAX} bytes"));
    }
    Ok(())
}
