//! Members of a test, by number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use synod_cluster::gossip::{Gossip, Health, Load, Member, Options, Profile, Rumour};
use synod_cluster::transport::memory::MemoryNetwork;
use synod_cluster::transport::{Datagrams, Network};
use synod_domain::chance::Chance;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{GossipKey, GossipSecret, Keyring, NodeRole};
use synod_domain::sources::{Clock, Entropy};
use synod_domain::time::Timestamp;
use tokio::sync::watch;

/// How long a test waits for what it expects, in the time that it moves.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }
}

pub(crate) struct TestEntropy(Mutex<Chance>);

impl Entropy for TestEntropy {
    fn draw(&self) -> u64 {
        self.0.lock().draw()
    }
}

pub(crate) fn id(number: u64) -> NodeId {
    NodeId::from_raw(u128::from(number))
}

pub(crate) fn address(number: u64) -> String {
    format!("node-{number}:7")
}

pub(crate) fn host(number: u64) -> String {
    format!("node-{number}")
}

pub(crate) fn rumour(number: u64, generation: u64) -> Rumour {
    Rumour {
        node: id(number),
        generation,
        name: Name::new(&host(number)).unwrap(),
        address: address(number),
        api: String::new(),
        region: Name::default(),
        role: NodeRole::Voter,
        labels: BTreeMap::new(),
        load: Load::default(),
        version: "1".into(),
        leads: None,
        applied: 0,
    }
}

/// A ring of keys, each named by its number and made of one byte.
pub(crate) fn ring(keys: &[(u32, u8)], used: u32) -> Keyring {
    let key = |(number, byte): &(u32, u8)| GossipKey { number: *number, secret: GossipSecret([*byte; 32]) };
    let last = keys.iter().map(|(number, _)| *number).max().unwrap_or(0);
    Keyring { keys: keys.iter().map(key).collect(), used: Some(used), last }
}

/// What all members of a test share.
pub(crate) struct World {
    pub(crate) network: MemoryNetwork,
    pub(crate) keys: watch::Sender<Keyring>,
    pub(crate) profile: Profile,
    pub(crate) seed: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let keys = watch::Sender::new(ring(&[(1, 1)], 1));
        Self { network: MemoryNetwork::default(), keys, profile: Profile::Lan, seed }
    }

    pub(crate) fn options(&self, datagrams: Box<dyn Datagrams>, me: Rumour, seeds: Vec<String>) -> Options {
        let chance = Chance::new(self.seed ^ (u64::try_from(me.node.raw()).unwrap() << 20) ^ me.generation);
        Options {
            datagrams,
            advertise: None,
            me,
            seeds,
            keyring: self.keys.subscribe(),
            clock: Arc::new(TestClock(AtomicU64::new(0))),
            entropy: Arc::new(TestEntropy(Mutex::new(chance))),
            profile: self.profile,
        }
    }

    pub(crate) async fn bind(&self, number: u64) -> Box<dyn Datagrams> {
        // The socket of an earlier start may close a moment later.
        loop {
            match self.network.node(&host(number)).bind(&address(number)).await {
                Ok(datagrams) => return datagrams,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    pub(crate) async fn start(&self, number: u64, generation: u64, seeds: &[u64]) -> Gossip {
        let seeds = seeds.iter().map(|seed| address(*seed)).collect();
        let datagrams = self.bind(number).await;
        Gossip::start(self.options(datagrams, rumour(number, generation), seeds)).await.unwrap()
    }

    /// Starts members 1 to `count`, each with the first as its seed, and waits until all know all.
    pub(crate) async fn cluster(&self, count: u64) -> Vec<Gossip> {
        let mut members = Vec::new();
        for number in 1..=count {
            members.push(self.start(number, 1, &[1]).await);
        }
        for member in &members {
            all_are(member, count, Health::Alive).await;
        }
        members
    }

    pub(crate) fn cut(&self, some: &[u64], others: &[u64]) {
        for (one, other) in pairs(some, others) {
            self.network.cut(&host(one), &host(other));
        }
    }

    pub(crate) fn heal(&self, some: &[u64], others: &[u64]) {
        for (one, other) in pairs(some, others) {
            self.network.heal(&host(one), &host(other));
        }
    }
}

fn pairs(some: &[u64], others: &[u64]) -> Vec<(u64, u64)> {
    some.iter().flat_map(|one| others.iter().map(|other| (*one, *other))).collect()
}

/// Waits until what a member knows is as expected.
pub(crate) async fn until(gossip: &Gossip, what: &str, expected: impl Fn(&[Member]) -> bool) {
    let mut changes = gossip.changes();
    let waiting = async {
        loop {
            changes.borrow_and_update();
            if expected(&gossip.members()) {
                return;
            }
            changes.changed().await.unwrap();
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!(
            "{what} was not seen by {}: {:#?} {:?}",
            gossip.address(),
            gossip.members(),
            gossip.counters()
        );
    }
}

pub(crate) async fn all_are(gossip: &Gossip, count: u64, health: Health) {
    let count = usize::try_from(count).unwrap();
    until(gossip, &format!("{count} members {health}"), |members| {
        members.len() == count && members.iter().all(|member| member.health == health)
    })
    .await;
}

pub(crate) async fn is(gossip: &Gossip, number: u64, health: Health) {
    until(gossip, &format!("node {number} {health}"), |members| {
        members.iter().any(|member| member.rumour.node == id(number) && member.health == health)
    })
    .await;
}

/// Notes every health of a member that another one sees, from here on.
pub(crate) struct Watched {
    seen: Arc<Mutex<Vec<(u64, Health)>>>,
    watching: tokio::task::JoinHandle<()>,
}

impl Watched {
    pub(crate) fn start(by: &Gossip, number: u64) -> Self {
        let seen = Arc::<Mutex<Vec<(u64, Health)>>>::default();
        let (gossip, mut changes, noted) = (by.clone(), by.changes(), seen.clone());
        let watching = tokio::spawn(async move {
            loop {
                if let Some(member) = gossip.member(id(number)) {
                    let health = (member.rumour.generation, member.health);
                    let mut noted = noted.lock();
                    if noted.last() != Some(&health) {
                        noted.push(health);
                    }
                }
                changes.changed().await.unwrap();
            }
        });
        Self { seen, watching }
    }

    pub(crate) fn end(self) -> Vec<(u64, Health)> {
        self.watching.abort();
        self.seen.lock().clone()
    }
}
