//! Nodes of a test: an identity, a network that proves, and the state that all of them agree on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use synod_cluster::identity::{
    Admission, Admitted, Credentials, Error, Folder, Identity, JoinText, Joined, Joining, LetIn, MembersOnly,
    Registrar, Renewal, StillMembers, TlsNetwork, TurnedAway, init,
};
use synod_cluster::offload::Offload;
use synod_cluster::transport::hello::{Caller, Hello, PROTOCOL};
use synod_cluster::transport::links::{AddressBook, Links, Service, Switchboard};
use synod_cluster::transport::serve::{Handler, serve};
use synod_cluster::transport::tcp::Tcp;
use synod_cluster::transport::{self, Network};
use synod_domain::chance::Chance;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::{NodeId, RequestId, TokenId};
use synod_domain::name::Name;
use synod_domain::node::{JoinToken, NodeRole, NodeSpec};
use synod_domain::reply::{Answer, Reply};
use synod_domain::sources::{Clock, Entropy};
use synod_domain::state::State;
use synod_domain::time::Timestamp;
use synod_domain::token::TokenHash;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    /// A clock at noon of some day.
    pub(crate) fn noon() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_795_262_400_000)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct TestEntropy(Mutex<Chance>);

impl TestEntropy {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Chance::new(seed))))
    }
}

impl Entropy for TestEntropy {
    fn draw(&self) -> u64 {
        self.0.lock().draw()
    }
}

pub(crate) fn id(number: u64) -> NodeId {
    NodeId::from_raw(u128::from(number))
}

pub(crate) fn spec(number: u64, address: &str) -> NodeSpec {
    let name = Name::new(&format!("node-{number}")).unwrap();
    NodeSpec { name, address: address.to_owned(), ..NodeSpec::alone(id(number)) }
}

/// Says who asked. So a test sees that an answer came, and whom the other side saw.
struct Echo(Arc<AtomicU64>);

#[async_trait]
impl Handler for Echo {
    async fn answer(&self, caller: &Caller, _: Bytes) -> Option<Bytes> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Some(caller.hello.node.to_string().into())
    }
}

/// What all nodes of a test share: their clock, where they are, and what they agree on.
pub(crate) struct Group {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) entropy: Arc<TestEntropy>,
    book: Book,
    agreed: Mutex<Agreed>,
    /// So many admissions are begun and never answered.
    pub(crate) unanswered: AtomicU64,
}

#[derive(Clone, Default)]
struct Book(Arc<Mutex<BTreeMap<NodeId, String>>>);

impl AddressBook for Book {
    fn address_of(&self, node: NodeId) -> Option<String> {
        self.0.lock().get(&node).cloned()
    }
}

#[derive(Default)]
struct Agreed {
    log: Vec<Entry>,
    states: Vec<Arc<RwLock<State>>>,
}

impl Group {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let (clock, entropy) = (TestClock::noon(), TestEntropy::new(seed));
        let (book, agreed, unanswered) = (Book::default(), Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { clock, entropy, book, agreed, unanswered })
    }

    /// Applies a command on every node that follows.
    pub(crate) fn propose(&self, command: Command) -> Answer {
        let mut agreed = self.agreed.lock();
        let request = Request { id: RequestId::from_raw(agreed.log.len() as u128 + 1), command };
        let entry = Entry { at: self.clock.now(), seed: 7, commands: vec![request] };
        agreed.log.push(entry.clone());
        let mut answers = agreed.states.iter().map(|state| state.write().apply(&entry).answers.remove(0));
        let first = answers.next().unwrap();
        assert!(answers.all(|other| other == first));
        first
    }

    /// Returns a state that has applied everything and goes on to.
    pub(crate) fn follow(&self) -> Arc<RwLock<State>> {
        let mut agreed = self.agreed.lock();
        let mut state = State::default();
        for entry in &agreed.log {
            state.apply(entry);
        }
        let state = Arc::new(RwLock::new(state));
        agreed.states.push(state.clone());
        state
    }

    /// Returns a state of which nothing is known yet and that hears nothing.
    pub(crate) fn deaf() -> Arc<RwLock<State>> {
        Arc::default()
    }

    /// Makes a join token.
    pub(crate) fn token(&self, of: &Identity, role: NodeRole) -> JoinText {
        let token = JoinText::make(of.authority.hash(), &*self.entropy);
        let expires_at = self.clock.now().after(synod_cluster::identity::TOKEN_LIFE);
        let id = TokenId::from_raw(u128::from(self.entropy.draw()));
        let agreed = JoinToken { id, hash: token.hash(), role, expires_at, used_by: None };
        self.propose(Command::PutJoinToken { token: agreed }).unwrap();
        token
    }

    /// Founds a cluster and runs its founder, node 1.
    pub(crate) async fn found(self: &Arc<Self>, wire: Arc<dyn Network>, bind: &str) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path().join("cluster"));
        let identity = init(&folder, id(1), &Name::default(), &*self.clock, &*self.entropy).unwrap();
        let node = self.run(dir, identity, wire, bind, self.follow()).await;
        self.start(&node);
        node
    }

    /// Says that a node has started.
    pub(crate) fn start(&self, node: &Node) {
        let mut spec = spec(0, &node.address);
        (spec.id, spec.name) = (node.identity.node, Name::new(&node.identity.node.to_string()).unwrap());
        self.propose(Command::StartNode { spec: Arc::new(spec), generation: 1 }).unwrap();
    }

    /// Asks the node at an address to admit node `number`.
    pub(crate) async fn ask_to_join(
        &self,
        wire: Arc<dyn Network>,
        folder: &Folder,
        address: &str,
        token: &JoinText,
        number: u64,
        role: NodeRole,
    ) -> Result<Joined, Error> {
        self.joining(wire, folder, address, token, number, role).once().await
    }

    /// What node `number` asks of the node at an address.
    pub(crate) fn joining<'a>(
        &'a self,
        network: Arc<dyn Network>,
        folder: &'a Folder,
        address: &'a str,
        token: &'a JoinText,
        number: u64,
        role: NodeRole,
    ) -> Joining<'a> {
        let (clock, spec) = (self.clock.clone(), spec(number, ""));
        Joining { network, folder, address, token, spec, role, clock, entropy: &*self.entropy }
    }

    /// Joins node `number` by way of `by`, over TCP, and runs it.
    pub(crate) async fn join(self: &Arc<Self>, by: &Node, number: u64, role: NodeRole) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path().join("cluster"));
        let token = self.token(&by.identity, role);
        let joined =
            self.ask_to_join(Arc::new(Tcp), &folder, &by.address, &token, number, role).await.unwrap();
        let node = self.run(dir, joined.identity, Arc::new(Tcp), "127.0.0.1:0", self.follow()).await;
        self.start(&node);
        node
    }

    /// Runs a node that has an identity.
    pub(crate) async fn run(
        self: &Arc<Self>,
        dir: TempDir,
        identity: Identity,
        wire: Arc<dyn Network>,
        bind: &str,
        state: Arc<RwLock<State>>,
    ) -> Node {
        let credentials = Credentials::new(&identity, self.clock.clone()).unwrap();
        let network = Arc::new(TlsNetwork::new(wire, credentials.clone()).unwrap());
        let listener = network.listen(bind).await.unwrap();
        let address = listener.address();
        self.book.0.lock().insert(identity.node, address.clone());
        let links = Links::new(network.clone(), hello(&identity, 1), Arc::new(self.book.clone()));
        let registrar = Arc::new(TestRegistrar { group: self.clone(), state: state.clone() });
        let entropy = self.entropy.clone();
        let admission = Admission::new(credentials.clone(), registrar, state.clone(), links.clone(), entropy);
        let echoed = Arc::new(AtomicU64::new(0));
        let switchboard = Arc::new(Switchboard::default());
        switchboard.plug(Service::Admission, Arc::new(admission));
        for service in
            [Service::Agreement, Service::Journal, Service::Courier, Service::Blobs, Service::Regions]
        {
            switchboard.plug(service, Arc::new(Echo(echoed.clone())));
        }
        let door = MembersOnly::new(credentials.clone(), state.clone());
        let guarded = Arc::new(StillMembers::new(door.clone(), switchboard));
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::new(door), guarded, stop.clone()));
        let folder = Folder::at(dir.path().join("cluster"));
        let turned_away = network.turned_away();
        let _stop = stop.drop_guard();
        let group = self.clone();
        Node {
            group,
            dir,
            folder,
            identity,
            credentials,
            state,
            network,
            address,
            links,
            echoed,
            turned_away,
            _stop,
        }
    }
}

pub(crate) fn hello(identity: &Identity, generation: u64) -> Hello {
    Hello { protocol: PROTOCOL, cluster: identity.cluster.clone(), node: identity.node, generation }
}

struct TestRegistrar {
    group: Arc<Group>,
    state: Arc<RwLock<State>>,
}

#[async_trait]
impl Registrar for TestRegistrar {
    async fn admit(&self, spec: NodeSpec, role: NodeRole, token: TokenHash) -> Result<Admitted, String> {
        let left = |left: u64| left.checked_sub(1);
        if self.group.unanswered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
            std::future::pending::<()>().await;
        }
        let answer = self.group.propose(Command::AdmitNode { spec: Arc::new(spec), role, token });
        let Reply::Admitted { number } = answer.map_err(|refusal| refusal.to_string())? else {
            return Err("a strange answer".to_owned());
        };
        let state = self.state.read();
        let members = state.nodes().map(|node| (node.spec.id, node.spec.address.clone())).collect();
        Ok(Admitted { number, members, keyring: state.keyring().clone() })
    }

    async fn let_in(
        &self,
        region: Name,
        founder: NodeId,
        token: TokenHash,
        cluster: Option<Arc<str>>,
    ) -> Result<LetIn, String> {
        let cluster = cluster.ok_or_else(|| "a founder says which cluster it founds".to_owned())?;
        let answer = self.group.propose(Command::AdmitRegionAs { region, founder, token, cluster });
        answer.map_err(|refusal| refusal.to_string())?;
        let state = self.state.read();
        let federation = state.federation();
        let regions = federation.others().map(|(name, known)| (name.clone(), known.addresses.clone()));
        let (ring, ring_number) = (federation.ring.clone(), federation.ring_number);
        Ok(LetIn { ring, ring_number, regions: regions.collect() })
    }
}

/// A running node.
pub(crate) struct Node {
    group: Arc<Group>,
    pub(crate) dir: TempDir,
    pub(crate) folder: Folder,
    pub(crate) identity: Identity,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) state: Arc<RwLock<State>>,
    pub(crate) network: Arc<TlsNetwork>,
    pub(crate) address: String,
    pub(crate) links: Links,
    pub(crate) echoed: Arc<AtomicU64>,
    pub(crate) turned_away: watch::Receiver<TurnedAway>,
    _stop: DropGuard,
}

impl Node {
    pub(crate) fn id(&self) -> NodeId {
        self.identity.node
    }

    /// Asks another node for its echo.
    pub(crate) async fn ask(&self, node: NodeId) -> Result<Bytes, transport::Error> {
        self.links.ask(node, Service::Journal, Bytes::from("who am I?"), DEADLINE).await
    }

    /// Makes links that say something else than this node would.
    pub(crate) fn links_saying(&self, hello: Hello) -> Links {
        Links::new(self.network.clone(), hello, Arc::new(self.group.book.clone()))
    }

    pub(crate) fn renewal(&self) -> Renewal {
        Renewal {
            credentials: self.credentials.clone(),
            folder: self.folder.clone(),
            links: self.links.clone(),
            state: self.state.clone(),
            entropy: self.group.entropy.clone(),
            offload: Offload::Inline,
        }
    }

    /// Waits until somebody was turned away and returns why.
    pub(crate) async fn why_turned_away(&mut self) -> String {
        tokio::time::timeout(DEADLINE, self.turned_away.changed()).await.unwrap().unwrap();
        self.turned_away.borrow_and_update().last.clone().unwrap().to_string()
    }
}
