//! Measures gossip among many nodes, in the time that the runtime moves: how soon a death is known, and what it costs.
//!
//! The real task of each node runs, with the real profile and real seals; only the datagrams go through [`Air`]. One
//! runtime, one thread, paused time: what is measured follows from the seed and not from the machine.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use synod_cluster::gossip::{Gossip, Health};
use tokio::time::{Instant, sleep};

use super::air::Air;
use super::support::{World, address, all_are, id, rumour};

/// Nodes that gossip.
pub(crate) struct Crowd {
    world: World,
    air: Air,
    members: Vec<Gossip>,
    generation: u64,
}

/// What nodes send in rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Datagrams of a node in a second.
    pub(crate) datagrams: f64,
    /// Bytes of a node in a second, with headers.
    pub(crate) bytes: f64,
}

/// When a death was known, since it happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// When each of the others suspected it, in order of time.
    pub(crate) suspected: Vec<Duration>,
    /// When each of the others took it for dead, in order of time.
    pub(crate) dead: Vec<Duration>,
}

impl Crowd {
    /// Makes a cluster of so many nodes, each with the first as its seed, and waits until all know all.
    pub(crate) async fn gather(count: u64, seed: u64) -> Self {
        let mut crowd =
            Self { world: World::new(seed), air: Air::new(seed), members: Vec::new(), generation: 1 };
        for number in 1..=count {
            let member = crowd.start(number, 1, 1).await;
            crowd.members.push(member);
        }
        for member in &crowd.members {
            all_are(member, count, Health::Alive).await;
        }
        crowd
    }

    async fn start(&self, number: u64, generation: u64, seed: u64) -> Gossip {
        let datagrams = self.air.bind(&address(number));
        let options = self.world.options(datagrams, rumour(number, generation), vec![address(seed)]);
        Gossip::start(options).await.unwrap()
    }

    /// Counts what is sent while nothing happens, for so long after so long a rest from the making of the cluster.
    pub(crate) async fn load(&self, rest: Duration, counted: Duration) -> Load {
        sleep(rest).await;
        let (datagrams, bytes) = self.air.sent();
        sleep(counted).await;
        let (datagrams_after, bytes_after) = self.air.sent();
        let each = |count: u64| {
            f64::from(u32::try_from(count).unwrap()) / counted.as_secs_f64() / self.members.len() as f64
        };
        Load { datagrams: each(datagrams_after - datagrams), bytes: each(bytes_after - bytes) }
    }

    /// Lets a node die without a word, and waits until all others know.
    pub(crate) async fn death_of(&self, number: u64) -> Known {
        let place = usize::try_from(number - 1).unwrap();
        let known = Arc::new(Mutex::new(Known::default()));
        let others: Vec<Gossip> = (0..)
            .zip(&self.members)
            .filter(|(other, _)| *other != place)
            .map(|(_, gossip)| gossip.clone())
            .collect();
        let died = Instant::now();
        self.members[place].stop();
        let mut watching = Vec::new();
        for gossip in others {
            let (mut changes, known) = (gossip.changes(), known.clone());
            watching.push(tokio::spawn(async move {
                let mut suspected = false;
                loop {
                    changes.borrow_and_update();
                    let health = gossip.member(id(number)).map(|member| member.health);
                    let now = died.elapsed();
                    if matches!(health, Some(Health::Suspect | Health::Dead)) && !suspected {
                        suspected = true;
                        known.lock().suspected.push(now);
                    }
                    if health == Some(Health::Dead) {
                        known.lock().dead.push(now);
                        return;
                    }
                    changes.changed().await.unwrap();
                }
            }));
        }
        for watching in watching {
            watching.await.unwrap();
        }
        known.lock().clone()
    }

    /// Lets a dead node come back, and waits until all know.
    pub(crate) async fn revive(&mut self, number: u64) {
        let place = usize::try_from(number - 1).unwrap();
        self.generation += 1;
        self.members[place] = self.start(number, self.generation, number % 2 + 1).await;
        let count = self.members.len() as u64;
        for member in &self.members {
            all_are(member, count, Health::Alive).await;
        }
    }

    /// Returns how often somebody who lives was taken for dead and came back.
    pub(crate) fn mistakes(&self) -> u64 {
        self.members.iter().map(|member| member.counters().renewals).sum()
    }
}
