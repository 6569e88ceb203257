//! `synod dev --nodes`: real nodes as child processes, formed into one cluster, stopped together.
//!
//! Nothing is started again by itself: what a killed node does to the others is what one wants to see.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::json;
use tokio::net::UnixListener;

use super::control::{self, ENV_DEV, Said};
use super::member::{Member, Place, Start};
use super::ports::Ports;
use crate::api::NewJoinToken;
use crate::cli::print::{self, complain};
use crate::cli::signals::Signals;
use crate::cli::{Common, exit, serving};
use crate::client::Client;
use crate::http::first_token;
use crate::node::cluster::init_cluster;

/// Remembers the places of the nodes, in their folder.
const PLACES: &str = "dev.json";

/// What is wanted.
pub(super) struct Wanted {
    pub(super) data: PathBuf,
    pub(super) nodes: u16,
    pub(super) port: Option<u16>,
    pub(super) json: bool,
}

/// Runs the nodes until a signal, and returns the exit code.
pub(super) fn run(common: &Common, wanted: &Wanted) -> u8 {
    let runtime = match serving::runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    runtime.block_on(async {
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => {
                complain(&error);
                return exit::NODE_FAILED;
            }
        };
        let mut group = match Group::prepare(common, wanted) {
            Ok(group) => group,
            Err(reason) => {
                print::note(&format!("error: {reason}"));
                return exit::DATA;
            }
        };
        let code = tokio::select! {
            biased;
            _ = signals.next() => exit::OK,
            ended = group.serve(wanted.json) => match ended {
                Ok(code) => code,
                Err(reason) => {
                    print::note(&format!("error: {reason}"));
                    exit::NODE_FAILED
                }
            },
        };
        print::note(&"stopping; once more to stop at once");
        tokio::select! {
            biased;
            // Dropping the nodes kills them.
            _ = signals.next() => print::note(&"stopped at once"),
            () = group.stop() => {}
        }
        code
    })
}

struct Group {
    folder: PathBuf,
    start: Start,
    members: Vec<Member>,
    listener: UnixListener,
}

impl Group {
    /// Makes the folder and finds places for the nodes; those of an earlier run stay.
    fn prepare(common: &Common, wanted: &Wanted) -> Result<Self, String> {
        let folder = &wanted.data;
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
        builder.create(folder).map_err(failed)?;
        let listener = control::listen(folder).map_err(failed)?;
        let program =
            std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
        let start = Start { program, config: common.config.clone(), log: common.log.clone() };
        let members = places(folder, wanted).map_err(failed)?;
        let members = members.into_iter().map(|place| Member::new(folder, place)).collect();
        Ok(Self { folder: folder.clone(), start, members, listener })
    }

    /// Forms the cluster, says where it is, and does what other terminals say. Returns only on a failure.
    async fn serve(&mut self, json: bool) -> Result<u8, String> {
        self.form().await?;
        if let Err(code) = self.greet(json) {
            return Ok(code);
        }
        loop {
            let said = control::next(&self.listener).await;
            self.obey(said).await;
        }
    }

    async fn form(&mut self) -> Result<(), String> {
        let Some(founder) = self.members.first_mut() else {
            return Err("there is no node to run".to_owned());
        };
        if !founder.is_member() {
            init_cluster(&founder.data).await.map_err(|error| error.to_string())?;
        }
        // Those of an earlier run need each other to agree on anything, so all of them start before one is waited for.
        let start = self.start.clone();
        for member in self.members.iter_mut().filter(|member| member.is_member()) {
            member.spawn(&start, None).map_err(|error| error.to_string())?;
        }
        for member in self.members.iter_mut().filter(|member| member.child.is_some()) {
            member.ready().await?;
        }
        let client = self.client()?;
        for place in 1..self.members.len() {
            if self.members[place].child.is_some() {
                continue;
            }
            let made = client.create_join_token(&NewJoinToken::default()).await;
            let token = made.map_err(|error| format!("no join token can be made: {error}"))?.text;
            let founder = self.members[0].place.clone();
            let member = &mut self.members[place];
            member.spawn(&start, Some((&founder, &token))).map_err(|error| error.to_string())?;
            member.ready().await?;
        }
        Ok(())
    }

    fn token_file(&self) -> PathBuf {
        self.members[0].data.join(first_token::FILE)
    }

    fn client(&self) -> Result<Client, String> {
        let file = self.token_file();
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let token = SecretString::from(text.trim().to_owned());
        Client::new(&self.members[0].place.url(), token).map_err(|error| error.to_string())
    }

    /// Says where the nodes are; the error is the exit code of what could not be said.
    fn greet(&self, json: bool) -> Result<(), u8> {
        let file = self.token_file();
        let token = std::fs::read_to_string(&file).unwrap_or_default();
        let urls: Vec<String> = self.members.iter().map(|member| member.place.url()).collect();
        let servers = urls.join(",");
        print::note(&format!("{:8} {:28} {:>8}  DATA", "NODE", "API", "PID"));
        for member in &self.members {
            let pid = member.pid().map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            print::note(&format!(
                "{:8} {:28} {pid:>8}  {}",
                member.place.name,
                member.place.url(),
                member.data.display()
            ));
        }
        print::note(&format!(
            "\ntry, in another terminal:\n  \
             export SYNOD_SERVER={servers} SYNOD_TOKEN={} {ENV_DEV}={}\n  \
             synod cluster status\n  \
             synod dev kill {}\n  \
             synod dev start {2}\n",
            token.trim(),
            self.folder.display(),
            self.members[self.members.len() - 1].place.name,
        ));
        if !json {
            return Ok(());
        }
        let nodes = self.members.iter().map(|member| {
            json!({
                "name": member.place.name,
                "url": member.place.url(),
                "cluster": format!("127.0.0.1:{}", member.place.cluster),
                "pid": member.pid(),
                "data": member.data,
            })
        });
        print::line(&json!({
            "version": 1,
            "pid": std::process::id(),
            "data": self.folder,
            "servers": servers,
            "token_file": file,
            "nodes": nodes.collect::<Vec<_>>(),
        }))
    }

    async fn obey(&mut self, said: Said) {
        let answer = self.done(&said.verb, &said.node).await.unwrap_or_else(|why| format!("error: {why}"));
        print::note(&answer);
        said.answer(&answer).await;
    }

    async fn done(&mut self, verb: &str, node: &str) -> Result<String, String> {
        let known: Vec<String> = self.members.iter().map(|member| member.place.name.clone()).collect();
        let found = self.members.iter_mut().find(|member| member.place.name == node);
        let Some(member) = found else {
            return Err(format!("there is no node {node:?}; there are {}", known.join(", ")));
        };
        match verb {
            "kill" => member.kill().await.map(|pid| format!("{node} (process {pid}) was killed")),
            "start" => {
                let runs = member.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
                if runs {
                    return Err(format!("{node} runs"));
                }
                member
                    .spawn(&self.start, None)
                    .map_err(|error| format!("{node} cannot be started: {error}"))?;
                let pid = member.pid().unwrap_or(0);
                // Not waited for: without a quorum it would not be ready before others are started too.
                Ok(format!("{node} is started as process {pid}"))
            }
            other => Err(format!("{other:?} is neither kill nor start")),
        }
    }

    async fn stop(&mut self) {
        futures::future::join_all(self.members.iter_mut().map(Member::stop)).await;
    }
}

/// Returns the places of an earlier run on the folder, or chooses new ones and remembers them.
fn places(folder: &Path, wanted: &Wanted) -> std::io::Result<Vec<Place>> {
    let file = folder.join(PLACES);
    let mut places: Vec<Place> = match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(std::io::Error::other)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut ports = Ports::new()?;
    for number in u16::try_from(places.len()).unwrap_or(u16::MAX)..wanted.nodes {
        let api = wanted.port.map(|port| port.saturating_add(number));
        places.push(Place::choose(number, api.filter(|port| *port != 0), &mut ports)?);
    }
    std::fs::write(&file, serde_json::to_vec_pretty(&places).map_err(std::io::Error::other)?)?;
    Ok(places)
}
