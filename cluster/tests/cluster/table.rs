//! Several nodes of one group round one network, for the tests of agreement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use synod_cluster::checkpointer::Policy;
use synod_cluster::consensus::{Consensus, Formation, Options, Timing};
use synod_cluster::transport::hello::{Hello, OpenDoor, PROTOCOL};
use synod_cluster::transport::links::{AddressBook, Links, Service, Switchboard};
use synod_cluster::transport::memory::MemoryNetwork;
use synod_cluster::transport::serve::serve;
use synod_cluster::transport::tcp::Tcp;
use synod_cluster::transport::{Listener, Network};
use synod_domain::command::Command;
use synod_domain::id::{NodeId, TokenId};
use synod_domain::node::{JoinToken, NodeRole, NodeSpec};
use synod_domain::time::Timestamp;
use synod_storage::{MemoryDisk, Storage};
use tokio_util::sync::CancellationToken;

use super::support::{answer, by_hand, entropy, options, request, submit};

/// How long a test waits for what must happen. Whoever hits it has found a bug, or a very slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where the nodes are; they may be told later.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<BTreeMap<NodeId, String>>>);

impl AddressBook for Book {
    fn address_of(&self, node: NodeId) -> Option<String> {
        self.0.lock().get(&node).cloned()
    }
}

/// One node and its connections.
pub(crate) struct Seat {
    pub(crate) consensus: Consensus,
    pub(crate) door: CancellationToken,
}

/// The wires.
#[derive(Clone)]
pub(crate) enum Wires {
    Memory(MemoryNetwork),
    Tcp,
}

/// The nodes and what is between them.
pub(crate) struct Table {
    pub(crate) wires: Wires,
    book: Book,
    pub(crate) seats: BTreeMap<u64, Seat>,
    pub(crate) disks: BTreeMap<u64, MemoryDisk>,
    pub(crate) policy: Policy,
    pub(crate) timing: Timing,
}

/// Timings that keep tests short.
pub(crate) fn brisk() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(50),
        election: (Duration::from_millis(250), Duration::from_millis(500)),
        ..Timing::default()
    }
}

/// Timings for real time, on a machine that may stand still for a second.
pub(crate) fn patient() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(250),
        election: (Duration::from_secs(3), Duration::from_secs(5)),
        ..Timing::default()
    }
}

pub(crate) fn id(number: u64) -> NodeId {
    NodeId::from_raw(u128::from(number))
}

pub(crate) fn name(number: u64) -> String {
    number.to_string()
}

impl Table {
    pub(crate) fn new(wires: Wires) -> Self {
        Self {
            wires,
            book: Book::default(),
            seats: BTreeMap::new(),
            disks: BTreeMap::new(),
            policy: by_hand(),
            timing: brisk(),
        }
    }

    /// Seats the first nodes of a group in memory, `1..=count`, each with a disk in memory.
    pub(crate) async fn of(count: u64) -> Self {
        let mut table = Self::new(Wires::Memory(MemoryNetwork::default()));
        table.found(count).await;
        table
    }

    pub(crate) async fn found(&mut self, count: u64) {
        self.found_with(count, |_, _| {}).await;
    }

    pub(crate) async fn found_with(&mut self, count: u64, adapt: impl Fn(u64, &mut Options)) {
        let founders: BTreeMap<u64, NodeId> = (1..=count).map(|number| (number, id(number))).collect();
        let mut doors = Vec::new();
        for number in 1..=count {
            doors.push((number, self.listen(number).await));
        }
        for (number, door) in doors {
            let formation = Formation::Found(founders.clone());
            let storage = self.disk(number).open();
            self.seat(number, formation, storage, door, |options| adapt(number, options)).await;
        }
    }

    pub(crate) fn disk(&mut self, number: u64) -> MemoryDisk {
        self.disks.entry(number).or_default().clone()
    }

    fn network(&self, number: u64) -> Arc<dyn Network> {
        match &self.wires {
            Wires::Memory(network) => Arc::new(network.node(&name(number))),
            Wires::Tcp => Arc::new(Tcp),
        }
    }

    pub(crate) fn memory(&self) -> &MemoryNetwork {
        match &self.wires {
            Wires::Memory(network) => network,
            Wires::Tcp => panic!("the wires are real"),
        }
    }

    /// Opens a node's door and tells everybody where it is.
    pub(crate) async fn listen(&self, number: u64) -> Box<dyn Listener> {
        let address = match &self.wires {
            Wires::Memory(_) => format!("{number}:0"),
            Wires::Tcp => "127.0.0.1:0".to_owned(),
        };
        let listener = self.network(number).listen(&address).await.unwrap();
        self.book.0.lock().insert(id(number), listener.address());
        listener
    }

    pub(crate) fn links(&self, number: u64) -> Links {
        let hello = Hello { protocol: PROTOCOL, cluster: "test".to_owned(), node: id(number), generation: 1 };
        Links::new(self.network(number), hello, Arc::new(self.book.clone()))
    }

    /// Starts a node and lets the others reach it.
    pub(crate) async fn seat(
        &mut self,
        number: u64,
        formation: Formation,
        storage: Storage,
        door: Box<dyn Listener>,
        adapt: impl FnOnce(&mut Options),
    ) {
        let mut options = options(storage, self.policy.clone(), true);
        options.number = number;
        options.me = id(number);
        // Equal draws would make equal election timeouts, and candidates who split every vote.
        options.entropy = entropy(number);
        options.timing = self.timing.clone();
        options.formation = formation;
        options.links = Some(self.links(number));
        adapt(&mut options);
        let consensus = Consensus::start(options).await.unwrap();
        let switchboard = Arc::new(Switchboard::default());
        switchboard.plug(Service::Agreement, consensus.handler());
        let stop = CancellationToken::new();
        tokio::spawn(serve(door, Arc::new(OpenDoor), switchboard, stop.clone()));
        self.seats.insert(number, Seat { consensus, door: stop });
    }

    /// Starts a node again, or for the first time, that the leader takes in.
    pub(crate) async fn join(&mut self, number: u64) {
        let door = self.listen(number).await;
        let storage = self.disk(number).open();
        self.seat(number, Formation::Join, storage, door, |_| {}).await;
    }

    /// Ends a node without letting it say goodbye. Its disk keeps what it has.
    pub(crate) async fn leave(&mut self, number: u64) -> Seat {
        let seat = self.seats.remove(&number).unwrap();
        seat.consensus.shutdown().await;
        seat.door.cancel();
        seat
    }

    pub(crate) fn at(&self, number: u64) -> &Consensus {
        &self.seats[&number].consensus
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.seats.keys().copied().collect()
    }

    pub(crate) fn others(&self, number: u64) -> Vec<u64> {
        self.numbers().into_iter().filter(|other| *other != number).collect()
    }

    /// Waits until one of these leads.
    pub(crate) async fn leader_of(&self, numbers: &[u64]) -> u64 {
        let mut waits: Vec<_> = Vec::new();
        for number in numbers {
            let (number, mut leadership) = (*number, self.at(*number).leadership());
            waits.push(Box::pin(async move {
                leadership.wait_for(Option::is_some).await.unwrap();
                number
            }));
        }
        let first = futures::future::select_all(waits);
        tokio::time::timeout(PATIENCE, first).await.expect("somebody leads").0
    }

    pub(crate) async fn leader(&self) -> u64 {
        self.leader_of(&self.numbers()).await
    }

    /// Submits tasks at one node and expects durable answers.
    pub(crate) async fn write(&self, at: u64, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let told = self.at(at).proposer().propose(request(number), submit(number)).await.map(answer);
            assert!(matches!(told, Ok(Ok(_))), "{told:?}");
        }
    }

    /// Waits until these nodes have the same state with so many tasks in it.
    pub(crate) async fn agree(&self, numbers: &[u64], tasks: u64) {
        let agreed = async {
            loop {
                let states: Vec<_> = numbers.iter().map(|number| self.at(*number).state()).collect();
                let rows: Vec<_> = states.iter().map(|state| state.read().rows()).collect();
                let unfinished = states[0].read().unfinished();
                if unfinished == tasks && rows.windows(2).all(|pair| pair[0] == pair[1]) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let agreed = tokio::time::timeout(PATIENCE, agreed).await;
        let shown = || numbers.iter().map(|number| self.at(*number).status()).collect::<Vec<_>>();
        assert!(agreed.is_ok(), "they do not agree: {:#?}", shown());
    }

    /// Makes a node forget the beginning of its log.
    pub(crate) async fn purge(&self, number: u64) {
        let purging = async {
            while self.at(number).status().purged.is_none() {
                self.at(number).snapshot().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, purging).await.expect("the log is purged");
    }

    /// Cuts every link of a node.
    pub(crate) fn isolate(&self, number: u64) {
        for other in self.others(number) {
            self.memory().cut(&name(number), &name(other));
        }
    }

    /// Heals every link of a node.
    pub(crate) fn reunite(&self, number: u64) {
        for other in self.others(number) {
            self.memory().heal(&name(number), &name(other));
        }
    }
}

/// Describes a node as it is agreed.
pub(crate) fn spec(number: u64) -> Arc<NodeSpec> {
    let mut spec = NodeSpec::alone(id(number));
    spec.name = synod_domain::name::Name::new(&format!("n{number}")).unwrap();
    Arc::new(spec)
}

/// The commands that admit a node with a join token of its own.
pub(crate) fn admission(number: u64, role: NodeRole) -> [Command; 2] {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    let token = JoinToken {
        id: TokenId::from_raw(u128::from(number)),
        hash,
        role,
        expires_at: Timestamp::NEVER,
        used_by: None,
    };
    [Command::PutJoinToken { token }, Command::AdmitNode { spec: spec(number), role, token: hash }]
}
