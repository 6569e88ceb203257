//! `synod tls init`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit;
use super::print::{self, complain};
use crate::http::tls::{Certificate, Error};

#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    #[command(subcommand)]
    command: TlsCommand,
}

#[derive(Debug, Subcommand)]
enum TlsCommand {
    /// Make a certificate that signs itself, and its key.
    Init {
        /// The folder for cert.pem and key.pem.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// A name or address by which clients reach the server; may be given several times.
        #[arg(long = "host", value_name = "NAME", required = true)]
        hosts: Vec<String>,
        /// Replace files that are there.
        #[arg(long)]
        force: bool,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn main(args: &TlsArgs) -> u8 {
    let TlsCommand::Init { out, hosts, force, json } = &args.command;
    let made = Certificate::make(hosts).and_then(|made| made.write(out, *force).map(|paths| (made, paths)));
    let (made, [cert, key]) = match made {
        Ok(made) => made,
        Err(error) => {
            complain(&error);
            return match error {
                Error::Write { .. } => exit::DATA,
                Error::Exists(_) | Error::Make(_) | Error::File { .. } | Error::Pair(_) => exit::USAGE,
            };
        }
    };
    let fingerprint = made.fingerprint();
    if *json {
        let document = json!({ "version": 1, "cert": cert, "key": key, "sha256": fingerprint });
        return print::result(&document, exit::OK);
    }
    let (cert, key) = (cert.display(), key.display());
    let allowed: String = hosts.iter().map(|host| format!(" --allow-host {host}")).collect();
    let first = hosts.first().map_or("localhost", String::as_str);
    print::note(&format!(
        "on the server:  synod server --data DIR --listen 0.0.0.0:7400 --tls-cert {cert} --tls-key {key}{allowed}\n\
         on a client:    copy {cert} there (never the key) and trust it: --ca {cert}, or SYNOD_CA={cert},\n\
         \x20               with --url https://{first}:7400"
    ));
    print::result(&format!("SHA-256 {fingerprint}"), exit::OK)
}
