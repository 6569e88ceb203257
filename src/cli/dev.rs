//! `synod dev`

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;
use synod_domain::sources::Entropy;

use super::print::{self, complain};
use super::serving::{Greeting, Serving};
use super::{Common, exit};
use crate::clock::SeededEntropy;
use crate::http::server::PORT_DEFAULT;
use crate::settings::{Flags, HttpFlags};

#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// Keep the data here; otherwise it goes into a temporary folder that is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port; 7400 unless it is taken, then a free one.
    #[arg(long)]
    port: Option<u16>,
    /// Print one JSON document when the server is ready: url, pid, data, token_file.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(common: &Common, args: DevArgs) -> u8 {
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
    // Not the folder of the settings: that is a server's, and this one is for trying things.
    let (data, temporary) = match args.data {
        Some(data) => (data, None),
        None => match Temporary::make() {
            Ok(folder) => (folder.0.clone(), Some(folder)),
            Err(error) => {
                print::note(&format!("error: no temporary folder can be made: {error}"));
                return exit::DATA;
            }
        },
    };
    let code = Serving { loaded, data, json: args.json, greeting: Greeting::Dev }.run();
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
