//! `synod server`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use secrecy::SecretString;
use synod_domain::node::NodeRole;

use super::agent::pair;
use super::print::{self, complain};
use super::serving::{self, Greeting, Serving};
use super::{Common, exit};
use crate::http::first_token;
use crate::settings::{ClusterFlags, ENV_JOIN_TOKEN, Flags, HttpFlags, Loaded, TlsFlags, is_member};
use crate::telemetry;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ServerArgs {
    #[command(subcommand)]
    command: Option<ServerCommand>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum ServerCommand {
    /// Make another operator's token; for who may open the data folder, while no node runs on it.
    ResetToken {
        /// The data folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The data folder; created for its owner alone if need be.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port; 127.0.0.1:7400 unless set. Beyond loopback it takes TLS.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The certificate, PEM; `synod tls init` makes one.
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    cluster: MemberArgs,
    /// Another name of this server, as NAME or NAME:PORT; may be given several times.
    #[arg(long = "allow-host", value_name = "NAME")]
    allow_hosts: Vec<String>,
    /// Print one JSON document when the server is ready: url, pid, data, token_file.
    #[arg(long)]
    json: bool,
    /// Stop when standard input ends: for who starts nodes and must not leave them behind.
    #[arg(long, hide = true)]
    until_input_ends: bool,
}

/// A node as a member of a cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
struct MemberArgs {
    /// Join the cluster of this member on the first start; takes a token of `synod cluster token create`.
    #[arg(long, value_name = "HOST:PORT")]
    join: Option<String>,
    /// The join token; other users of this machine may see it, so prefer a file or SYNOD_JOIN_TOKEN.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// The file that holds the join token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Join as a voter, or as a worker: it hosts agents and does not vote.
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Option<NodeRole>,
    /// Where to listen for other nodes; 127.0.0.1:7500 unless set.
    #[arg(long, value_name = "HOST:PORT")]
    cluster_listen: Option<String>,
    /// Where other nodes reach this one, if that is not where it listens.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// Where to listen for other regions, if there are any: UDP; the next free port after that of --cluster-listen
    /// unless set.
    #[arg(long, value_name = "HOST:PORT")]
    wan_listen: Option<String>,
    /// What people call this node.
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,
    /// Where this node is.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// What people and placement filter by; may be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// How many agents it hosts at most.
    #[arg(long, value_name = "N")]
    capacity: Option<u32>,
}

impl MemberArgs {
    fn flags(&self) -> ClusterFlags {
        ClusterFlags {
            listen: self.cluster_listen.clone(),
            advertise: self.advertise.clone(),
            wan_listen: self.wan_listen.clone(),
            name: self.node_name.clone(),
            region: self.region.clone(),
            labels: self.labels.iter().cloned().collect(),
            capacity: self.capacity,
            role: self.role,
            join: self.join.clone(),
            token_file: self.token_file.clone(),
        }
    }

    /// The text of the join token, if flag or environment give it.
    fn token(&self) -> Option<SecretString> {
        let said = self.token.clone().or_else(|| std::env::var(ENV_JOIN_TOKEN).ok());
        // One that lies in the environment of a node that joins nothing is not meant.
        said.filter(|text| !text.is_empty() && self.join.is_some()).map(SecretString::from)
    }
}

/// Reads the role of a node.
pub(super) fn role(text: &str) -> Result<NodeRole, String> {
    match text {
        "voter" => Ok(NodeRole::Voter),
        "worker" => Ok(NodeRole::Worker),
        other => Err(format!("{other:?} is neither voter nor worker")),
    }
}

pub(super) fn main(common: &Common, args: ServerArgs) -> u8 {
    match args.command {
        None => serve(common, args.serve),
        Some(ServerCommand::ResetToken { data }) => reset_token(common, data),
    }
}

fn serve(common: &Common, args: ServeArgs) -> u8 {
    let tls = (args.tls_cert.is_some() || args.tls_key.is_some())
        .then_some(TlsFlags { cert: args.tls_cert, key: args.tls_key });
    let http = HttpFlags { listen: args.listen, allow_hosts: args.allow_hosts, tls };
    let (cluster, join_token) = (Some(args.cluster.flags()), args.cluster.token());
    let flags = Flags { data: args.data, http: Some(http), cluster, ..Flags::default() };
    match load(common, flags) {
        Ok((loaded, data)) => {
            let greeting = Greeting::Server;
            let until_input_ends = args.until_input_ends;
            Serving { loaded, data, join_token, until_input_ends, json: args.json, greeting }.run()
        }
        Err(code) => code,
    }
}

/// Reads the settings, among them a data folder.
fn load(common: &Common, flags: Flags) -> Result<(Loaded, PathBuf), u8> {
    let loaded = common.load_with(flags).map_err(|error| {
        complain(&error);
        exit::USAGE
    })?;
    match loaded.settings.data.clone() {
        Some(data) => Ok((loaded, data)),
        None => {
            print::note(
                &"error: there is no data folder; name one with --data, SYNOD_DATA or `data` in the settings file, \
                  or try `synod dev`, which needs none",
            );
            Err(exit::USAGE)
        }
    }
}

fn reset_token(common: &Common, data: Option<PathBuf>) -> u8 {
    let (loaded, data) = match load(common, Flags { data, ..Flags::default() }) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if let Err(reason) = telemetry::start(&loaded.settings.log) {
        print::note(&format!("error: {reason}"));
        return exit::USAGE;
    }
    if !data.is_dir() {
        print::note(&format!("error: {} is no data folder", data.display()));
        return exit::DATA;
    }
    if is_member(&data) {
        print::note(&format!(
            "error: {} belongs to a cluster, which no single node can speak for; make the token with \
             `synod token create` of another operator",
            data.display()
        ));
        return exit::DATA;
    }
    let runtime = match serving::runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    runtime.block_on(async {
        let node = match serving::start(&loaded.settings, None, &data).await {
            Ok(node) => node,
            Err(code) => return code,
        };
        let made = first_token::admin_token(&node, &data).await;
        node.stop().await;
        match made {
            Ok(_) => {
                let file = data.join(first_token::FILE);
                print::note(&format!(
                    "another operator's token is in {}; older ones are valid until they are revoked",
                    file.display()
                ));
                exit::OK
            }
            Err(error) => {
                complain(&error);
                exit::DATA
            }
        }
    })
}
