//! `synod server`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::print::{self, complain};
use super::serving::{self, Greeting, Serving};
use super::{Common, exit};
use crate::http::first_token;
use crate::settings::{Flags, HttpFlags, Loaded, TlsFlags};
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
    /// Another name of this server, as NAME or NAME:PORT; may be given several times.
    #[arg(long = "allow-host", value_name = "NAME")]
    allow_hosts: Vec<String>,
    /// Print one JSON document when the server is ready: url, pid, data, token_file.
    #[arg(long)]
    json: bool,
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
    let flags = Flags { data: args.data, http: Some(http), ..Flags::default() };
    match load(common, flags) {
        Ok((loaded, data)) => Serving { loaded, data, json: args.json, greeting: Greeting::Server }.run(),
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
    let runtime = match serving::runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    runtime.block_on(async {
        let node = match serving::start(&loaded.settings, &data).await {
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
