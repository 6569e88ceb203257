//! Redis as a durable priority queue: a sorted set a priority, scripts for what must be one step, every
//! command synced (`appendfsync always`), one pipelined connection for all clients.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::Script;
use redis::aio::MultiplexedConnection;
use tokio::process::Command;

use crate::peer::Claimed;
use crate::server::{Process, free_address, in_path};

/// KEYS[1] the queue; ARGV: payload, then the ids.
const SUBMIT: &str = r"
for i = 2, #ARGV do
  local place = redis.call('INCR', 'sequence')
  redis.call('HSET', 'task:' .. ARGV[i], 'payload', ARGV[1], 'status', 'pending', 'attempt', 0)
  redis.call('ZADD', KEYS[1], place, ARGV[i])
end
return #ARGV - 1";

/// KEYS: the queues, most urgent first; ARGV: how many, the lease's end.
const CLAIM: &str = r"
local found, left = {}, tonumber(ARGV[1])
for _, queue in ipairs(KEYS) do
  if left > 0 then
    local popped = redis.call('ZPOPMIN', queue, left)
    for i = 1, #popped, 2 do
      local key = 'task:' .. popped[i]
      local attempt = redis.call('HINCRBY', key, 'attempt', 1)
      redis.call('HSET', key, 'status', 'running')
      redis.call('ZADD', 'leases', ARGV[2], popped[i])
      table.insert(found, popped[i])
      table.insert(found, tostring(attempt))
      table.insert(found, redis.call('HGET', key, 'payload'))
      left = left - 1
    end
  end
end
return found";

/// ARGV: result, then id and attempt of each.
const COMPLETE: &str = r"
for i = 2, #ARGV, 2 do
  local key = 'task:' .. ARGV[i]
  if redis.call('HGET', key, 'attempt') ~= ARGV[i + 1] then return redis.error_reply('lease lost') end
  redis.call('HSET', key, 'status', 'completed', 'result', ARGV[1])
  redis.call('ZREM', 'leases', ARGV[i])
end
return 1";

/// The lease's end; nothing expires while it is measured.
const LEASE_END: u64 = 4_000_000_000;

#[derive(Clone)]
pub(crate) struct Shared {
    connection: MultiplexedConnection,
    scripts: Arc<Scripts>,
    ids: Arc<AtomicU64>,
}

struct Scripts {
    submit: Script,
    claim: Script,
    complete: Script,
}

pub(crate) struct Client {
    shared: Shared,
    lane: String,
}

pub(crate) async fn start(binary: Option<&Path>, home: &Path) -> Result<(Process, Shared), String> {
    let binary = binary.map(Path::to_owned).or_else(|| in_path("redis-server"));
    let binary = binary.ok_or("redis-server was not found in the PATH")?;
    let address = free_address();
    let mut command = Command::new(binary);
    command.current_dir(home).args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
    command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    let mut process = Process::start(&mut command, home)?;
    process.listens(address).await?;
    let client = redis::Client::open(format!("redis://{address}/")).map_err(|error| error.to_string())?;
    let connection = client.get_multiplexed_async_connection().await.map_err(|error| error.to_string())?;
    let scripts =
        Scripts { submit: Script::new(SUBMIT), claim: Script::new(CLAIM), complete: Script::new(COMPLETE) };
    Ok((process, Shared { connection, scripts: Arc::new(scripts), ids: Arc::default() }))
}

impl Client {
    pub(crate) fn new(shared: &Shared, number: usize) -> Self {
        Self { shared: shared.clone(), lane: format!("queue:{}", number % 4) }
    }

    pub(crate) async fn submit(&mut self, payload: &str, count: usize) {
        let mut script = self.shared.scripts.submit.key(&self.lane);
        script.arg(payload);
        for _ in 0..count {
            script.arg(self.shared.ids.fetch_add(1, Ordering::Relaxed));
        }
        let _: u64 = script.invoke_async(&mut self.shared.connection).await.expect("a submit");
    }

    pub(crate) async fn claim(&mut self, count: usize) -> Vec<Claimed> {
        let mut script = self.shared.scripts.claim.key("queue:0");
        script.key("queue:1").key("queue:2").key("queue:3").arg(count).arg(LEASE_END);
        let found: Vec<String> = script.invoke_async(&mut self.shared.connection).await.expect("a claim");
        found.chunks_exact(3).map(|one| (one[0].clone(), one[1].parse().expect("an attempt"))).collect()
    }

    pub(crate) async fn complete(&mut self, tasks: &[Claimed]) {
        let mut script = self.shared.scripts.complete.arg("null");
        for (id, attempt) in tasks {
            script.arg(id).arg(attempt);
        }
        let _: u64 = script.invoke_async(&mut self.shared.connection).await.expect("a completion");
    }
}
