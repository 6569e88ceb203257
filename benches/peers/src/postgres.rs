//! PostgreSQL as a durable priority queue: one table, `FOR UPDATE SKIP LOCKED`, one connection a client.

use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use tokio::process::Command;
use tokio_postgres::{NoTls, Statement};

use crate::peer::Claimed;
use crate::server::{Process, free_address};

const SCHEMA: &str = "
create table tasks (
  id bigint generated always as identity primary key,
  priority int not null, payload text not null, status text not null default 'pending',
  attempt int not null default 0, lease_until timestamptz, result text);
create index waiting on tasks (priority, id) where status = 'pending';";

const SUBMIT: &str = "insert into tasks (priority, payload) select $1, $2 from generate_series(1, $3)";

const CLAIM: &str = "
update tasks set status = 'running', attempt = attempt + 1, lease_until = now() + interval '1 hour'
where id in (select id from tasks where status = 'pending' order by priority, id limit $1 for update skip locked)
returning id, attempt, payload";

const COMPLETE: &str = "
update tasks set status = 'completed', result = 'null', lease_until = null
from unnest($1::bigint[], $2::int[]) as done (id, attempt)
where tasks.id = done.id and tasks.attempt = done.attempt";

#[derive(Debug, Clone)]
pub(crate) struct Address(SocketAddr);

pub(crate) struct Client {
    client: tokio_postgres::Client,
    submit: Statement,
    claim: Statement,
    complete: Statement,
}

pub(crate) async fn start(programs: Option<&Path>, home: &Path) -> Result<(Process, Address), String> {
    let programs = programs.map(Path::to_owned).or_else(find);
    let programs = programs
        .ok_or("PostgreSQL's programs were found neither in the PATH nor under /usr/lib/postgresql")?;
    let owner = give_away(home)?;
    let as_owner = |program: &str| {
        let mut command = Command::new(programs.join(program));
        if let Some((user, group)) = owner {
            command.uid(user).gid(group);
        }
        command.current_dir(home);
        command
    };
    let data = home.join("data");
    let made = as_owner("initdb").args(["-A", "trust", "-U", "bench", "-D"]).arg(&data).output().await;
    let made = made.map_err(|error| format!("initdb does not start: {error}"))?;
    if !made.status.success() {
        return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
    }
    let address = free_address();
    let mut command = as_owner("postgres");
    command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &address.port().to_string()]);
    command.args([
        "-c",
        "unix_socket_directories=",
        "-c",
        "max_connections=200",
        "-c",
        "shared_buffers=512MB",
    ]);
    let mut process = Process::start(&mut command, home)?;
    process.listens(address).await?;
    let address = Address(address);
    for _ in 0..100 {
        // It listens before it takes connections.
        if let Ok(client) = connect(&address).await {
            client.batch_execute(SCHEMA).await.map_err(|error| error.to_string())?;
            return Ok((process, address));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err("it takes no connections".to_owned())
}

/// PostgreSQL does not run as root: then the folder is given to the owner of its package's home.
fn give_away(home: &Path) -> Result<Option<(u32, u32)>, String> {
    use std::os::unix::fs::MetadataExt;
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let owner = std::fs::metadata("/var/lib/postgresql").map_err(
        |_| "PostgreSQL does not run as root, and there is no owner of /var/lib/postgresql to run it as",
    )?;
    for folder in [home.parent(), Some(home)].into_iter().flatten() {
        chown(folder, Some(owner.uid()), Some(owner.gid())).map_err(|error| error.to_string())?;
    }
    Ok(Some((owner.uid(), owner.gid())))
}

fn find() -> Option<PathBuf> {
    if let Some(postgres) = crate::server::in_path("postgres") {
        return postgres.parent().map(Path::to_owned);
    }
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort();
    versions.into_iter().rev().find(|programs| programs.join("postgres").is_file())
}

async fn connect(address: &Address) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let config = format!("host=127.0.0.1 port={} user=bench dbname=postgres", address.0.port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Client {
    pub(crate) async fn connect(address: &Address) -> Self {
        let client = connect(address).await.expect("a connection");
        let submit = client.prepare(SUBMIT).await.expect("the submit");
        let claim = client.prepare(CLAIM).await.expect("the claim");
        let complete = client.prepare(COMPLETE).await.expect("the completion");
        Self { client, submit, claim, complete }
    }

    pub(crate) async fn submit(&mut self, payload: &str, count: usize) {
        let count = i32::try_from(count).expect("a batch");
        self.client.execute(&self.submit, &[&1_i32, &payload, &count]).await.expect("a submit");
    }

    pub(crate) async fn claim(&mut self, count: usize) -> Vec<Claimed> {
        let count = i64::try_from(count).expect("a batch");
        let rows = self.client.query(&self.claim, &[&count]).await.expect("a claim");
        rows.iter()
            .map(|row| (row.get::<_, i64>(0).to_string(), row.get::<_, i32>(1).cast_unsigned()))
            .collect()
    }

    pub(crate) async fn complete(&mut self, tasks: &[Claimed]) {
        let ids: Vec<i64> = tasks.iter().map(|(id, _)| id.parse().expect("an id")).collect();
        let attempts: Vec<i32> = tasks.iter().map(|(_, attempt)| attempt.cast_signed()).collect();
        let done = self.client.execute(&self.complete, &[&ids, &attempts]).await.expect("a completion");
        assert_eq!(done, tasks.len() as u64, "a completion was lost");
    }
}
