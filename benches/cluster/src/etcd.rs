//! A three-member etcd with its defaults, on loopback, without TLS and without tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use synod_chaos::cluster::{free_address, here};
use synod_chaos::http::{Link, Outcome};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Member {
    name: String,
    data: PathBuf,
    peers: SocketAddr,
    clients: SocketAddr,
    child: Option<Child>,
}

/// Running members.
pub(crate) struct Etcd {
    binary: PathBuf,
    members: Vec<Member>,
}

impl Etcd {
    pub(crate) async fn start(binary: &Path, folder: &Path, members: usize) -> Result<Self, String> {
        let member = |number| Member {
            name: format!("e{number}"),
            data: folder.join(format!("e{number}")),
            peers: free_address(),
            clients: free_address(),
            child: None,
        };
        let mut etcd = Self { binary: binary.to_owned(), members: (0..members).map(member).collect() };
        for number in 0..members {
            etcd.launch(number)?;
        }
        etcd.leader().await?;
        Ok(etcd)
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.clients).collect()
    }

    /// Starts a member, for the first time or again.
    pub(crate) fn launch(&mut self, number: usize) -> Result<(), String> {
        let all: Vec<String> =
            self.members.iter().map(|member| format!("{}=http://{}", member.name, member.peers)).collect();
        let member = &mut self.members[number];
        let (peers, clients) = (format!("http://{}", member.peers), format!("http://{}", member.clients));
        let log =
            std::fs::File::create(member.data.with_extension("log")).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.binary);
        command
            .args(["--name", &member.name, "--data-dir"])
            .arg(&member.data)
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--initial-cluster", &all.join(","), "--initial-cluster-state", "new"])
            .args(["--initial-cluster-token", "bench", "--logger", "zap", "--log-outputs", "stderr"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        member.child = Some(command.spawn().map_err(|error| error.to_string())?);
        Ok(())
    }

    pub(crate) async fn kill(&mut self, number: usize) {
        if let Some(mut child) = self.members[number].child.take() {
            let _ = child.kill().await;
        }
    }

    /// Returns the member that leads, once the members agree on one.
    pub(crate) async fn leader(&self) -> Result<usize, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            for (number, member) in
                self.members.iter().enumerate().filter(|(_, member)| member.child.is_some())
            {
                let mut link = Link::new(here(member.clients), "");
                let outcome = link.post("/v3/maintenance/status", &json!({}), None, LOOK_EVERY * 25).await;
                if let Outcome::Answer { status: 200, body } = outcome
                    && body["leader"].is_string()
                    && body["leader"] == body["header"]["member_id"]
                    && body["leader"] != "0"
                {
                    return Ok(number);
                }
            }
            if Instant::now() > until {
                return Err("no member of etcd leads".to_owned());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn stop(mut self) {
        for number in 0..self.members.len() {
            self.kill(number).await;
        }
    }
}
