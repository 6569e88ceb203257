//! `synod dev`: a node, or with `--nodes` several, for trying things.

#[cfg(unix)]
mod control;
#[cfg(unix)]
mod group;
#[cfg(unix)]
mod member;
#[cfg(unix)]
mod ports;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use synod_domain::sources::Entropy;

use super::print::{self, complain};
use super::serving::{Greeting, Serving};
use super::{Common, exit};
use crate::clock::SeededEntropy;
use crate::http::server::PORT_DEFAULT;
use crate::settings::{Flags, HttpFlags};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct DevArgs {
    #[cfg(unix)]
    #[command(subcommand)]
    command: Option<DevCommand>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// What is done to a node of a `synod dev --nodes` that runs in another terminal.
#[cfg(unix)]
#[derive(Debug, Subcommand)]
enum DevCommand {
    /// Kill a node of `synod dev --nodes`, as a power cut would.
    Kill(control::NodeArgs),
    /// Start a node of `synod dev --nodes` that was killed.
    Start(control::NodeArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Keep the data here; otherwise it goes into a temporary folder that is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Run so many real nodes, each a process of its own, as one cluster.
    #[cfg(unix)]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: Option<u16>,
    /// The port; 7400 unless it is taken, then a free one. With --nodes the first of as many.
    #[arg(long)]
    port: Option<u16>,
    /// Print one JSON document when the server is ready: url, pid, data, token_file.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(common: &Common, args: DevArgs) -> u8 {
    #[cfg(unix)]
    match args.command {
        Some(DevCommand::Kill(node)) => return control::tell("kill", &node),
        Some(DevCommand::Start(node)) => return control::tell("start", &node),
        None => {}
    }
    let args = args.serve;
    #[cfg(unix)]
    if let Some(nodes) = args.nodes {
        return several(common, &args, nodes);
    }
    one(common, args)
}

/// Runs several nodes as child processes.
#[cfg(unix)]
fn several(common: &Common, args: &ServeArgs, nodes: u16) -> u8 {
    let (data, temporary) = match data_folder(args.data.clone()) {
        Ok(found) => found,
        Err(code) => return code,
    };
    let code = group::run(common, &group::Wanted { data, nodes, port: args.port, json: args.json });
    drop(temporary);
    code
}

fn data_folder(data: Option<PathBuf>) -> Result<(PathBuf, Option<Temporary>), u8> {
    // Not the folder of the settings: that is a server's, and this one is for trying things.
    match data {
        Some(data) => Ok((data, None)),
        None => match Temporary::make() {
            Ok(folder) => Ok((folder.0.clone(), Some(folder))),
            Err(error) => {
                print::note(&format!("error: no temporary folder can be made: {error}"));
                Err(exit::DATA)
            }
        },
    }
}

/// Runs one node in this process.
fn one(common: &Common, args: ServeArgs) -> u8 {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port.unwrap_or_else(free_port)));
    let http = HttpFlags { listen: Some(listen), ..HttpFlags::default() };
    let flags = Flags { data: args.data.clone(), http: Some(http), ..Flags::default() };
    let loaded = match common.load_with(flags) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error);
            return exit::USAGE;
        }
    };
    let (data, temporary) = match data_folder(args.data) {
        Ok(found) => found,
        Err(code) => return code,
    };
    let code = Serving {
        loaded,
        data,
        join_token: None,
        until_input_ends: false,
        json: args.json,
        greeting: Greeting::Dev,
    }
    .run();
    drop(temporary);
    code
}

/// Returns the usual port, or 0 for any when it is taken. Somebody may take it before we do; then we say so.
fn free_port() -> u16 {
    let usual = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT_DEFAULT));
    usual.map_or(0, |_| PORT_DEFAULT)
}

/// A folder for its owner alone that is removed when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn make() -> std::io::Result<Self> {
        let entropy = SeededEntropy::from_system().map_err(std::io::Error::other)?;
        let folder = std::env::temp_dir().join(format!("synod-dev-{:016x}", entropy.draw()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // One that is there already is somebody else's, and an error.
        builder.create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            print::note(&format!("note: {} stays: {error}", self.0.display()));
        }
    }
}
