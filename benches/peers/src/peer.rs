//! One server under test, and its clients.

use std::path::Path;

use crate::Args;
use crate::server::Process;
use crate::{postgres, redis_server, synod};

/// The servers, in the order in which they are measured.
pub(crate) const KINDS: [Kind; 3] = [Kind::Synod, Kind::Redis, Kind::Postgres];

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Synod,
    Redis,
    Postgres,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Synod => "synod",
            Self::Redis => "Redis",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A running server.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    process: Process,
    address: Address,
}

enum Address {
    Synod(synod::Address),
    Redis(redis_server::Shared),
    Postgres(postgres::Address),
}

/// One client of it, with one request in flight at a time.
pub(crate) enum Client {
    Synod(synod::Client),
    Redis(redis_server::Client),
    Postgres(postgres::Client),
}

/// A claimed task: its name at the server, and its attempt.
pub(crate) type Claimed = (String, u32);

impl Peer {
    /// Starts a server on a new folder, or says why it cannot be measured.
    pub(crate) async fn start(kind: Kind, args: &Args, home: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(home).map_err(|error| error.to_string())?;
        let (process, address) = match kind {
            Kind::Synod => {
                let (process, address) = synod::start(&args.synod, home).await?;
                (process, Address::Synod(address))
            }
            Kind::Redis => {
                let (process, shared) = redis_server::start(args.redis.as_deref(), home).await?;
                (process, Address::Redis(shared))
            }
            Kind::Postgres => {
                let (process, address) = postgres::start(args.postgres.as_deref(), home).await?;
                (process, Address::Postgres(address))
            }
        };
        Ok(Self { kind, process, address })
    }

    pub(crate) async fn client(&self, number: usize) -> Client {
        match &self.address {
            Address::Synod(address) => Client::Synod(synod::Client::connect(address, number).await),
            Address::Redis(shared) => Client::Redis(redis_server::Client::new(shared, number)),
            Address::Postgres(address) => Client::Postgres(postgres::Client::connect(address).await),
        }
    }

    pub(crate) async fn stop(self) {
        self.process.stop().await;
    }
}

impl Client {
    /// Submits `count` tasks in one request.
    pub(crate) async fn submit(&mut self, payload: &str, count: usize) {
        match self {
            Self::Synod(client) => client.submit(payload, count).await,
            Self::Redis(client) => client.submit(payload, count).await,
            Self::Postgres(client) => client.submit(payload, count).await,
        }
    }

    /// Claims at most `count` tasks in one request.
    pub(crate) async fn claim(&mut self, count: usize) -> Vec<Claimed> {
        match self {
            Self::Synod(client) => client.claim(count, 0).await,
            Self::Redis(client) => client.claim(count).await,
            Self::Postgres(client) => client.claim(count).await,
        }
    }

    /// Completes tasks in one request.
    pub(crate) async fn complete(&mut self, tasks: &[Claimed]) {
        match self {
            Self::Synod(client) => client.complete(tasks).await,
            Self::Redis(client) => client.complete(tasks).await,
            Self::Postgres(client) => client.complete(tasks).await,
        }
    }
}
