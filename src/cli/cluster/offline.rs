//! `synod cluster init` and `restore`: what is done to a data folder while no node runs on it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use synod_domain::name::Name;

use crate::cli::output::Output;
use crate::cli::print::{self, complain};
use crate::cli::remote::ClientArgs;
use crate::cli::run::node_error_code;
use crate::cli::{Common, exit, serving};
use crate::node;
use crate::node::cluster::Founded;
use crate::settings::{ENV_JOIN_TOKEN, Flags};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The data folder; created for its owner alone if need be. Whatever it holds stays.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the node shall listen for others; said in the command that is printed.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where others reach it, if that is not where it listens; said in the command that is printed.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// What people call the node; said in the command that is printed.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What the cluster's region is called, among others; `default` unless set. It stays so.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Found a region beside the one of this member, which trusts it from then on; takes a token of
    /// `synod cluster token create --role region` there, and a name of its own.
    #[arg(long, value_name = "HOST:PORT", requires = "region")]
    federate: Option<String>,
    /// The token; other users of this machine may see it, so prefer a file or SYNOD_JOIN_TOKEN.
    #[arg(long, value_name = "TOKEN", requires = "federate", conflicts_with = "token_file")]
    token: Option<String>,
    /// The file that holds the token.
    #[arg(long, value_name = "FILE", requires = "federate")]
    token_file: Option<PathBuf>,
}

impl InitArgs {
    /// Returns the text of the token that lets a region be founded.
    fn token(&self) -> Result<String, String> {
        if let Some(path) = &self.token_file {
            let text = std::fs::read_to_string(path);
            return text
                .map(|text| text.trim().to_owned())
                .map_err(|error| format!("--token-file: {} cannot be read: {error}", path.display()));
        }
        let said = self.token.clone().or_else(|| std::env::var(ENV_JOIN_TOKEN).ok());
        said.filter(|text| !text.is_empty()).ok_or_else(|| {
            format!(
                "--federate takes a token: make one there with `synod cluster token create --role region`, and give \
                 it with --token-file FILE or {ENV_JOIN_TOKEN}"
            )
        })
    }

    async fn found(&self, data: &Path) -> Result<Founded, node::Error> {
        let region = self.region.as_deref().map(Name::new).transpose()?.unwrap_or_default();
        match &self.federate {
            None => node::cluster::init_region(data, &region).await,
            Some(address) => {
                let token = self.token().map_err(node::Error::Cluster)?;
                node::cluster::found_region(data, &region, address, &token).await
            }
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The file that `synod cluster backup` wrote.
    file: PathBuf,
    /// The data folder to make; empty or not there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Makes a folder the first node of a cluster.
pub(super) fn init(common: &Common, args: &InitArgs, client: &ClientArgs) -> u8 {
    for (flag, name) in [("--name", &args.name), ("--region", &args.region)] {
        if let Some(Err(error)) = name.as_deref().map(Name::new) {
            print::note(&format!("error: {flag}: {error}"));
            return exit::USAGE;
        }
    }
    let data = match data_folder(common, args.data.clone()) {
        Ok(data) => data,
        Err(code) => return code,
    };
    let runtime = match serving::runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let founded = match runtime.block_on(args.found(&data)) {
        Ok(founded) => founded,
        Err(error) => {
            complain(&error);
            return failed(&error);
        }
    };
    let output = Output::new(&client.output);
    let node = founded.node.to_string();
    let mut next = format!("synod server --data {}", data.display());
    for (flag, value) in
        [("--cluster-listen", &args.listen), ("--advertise", &args.advertise), ("--node-name", &args.name)]
    {
        if let Some(value) = value {
            next.push_str(&format!(" {flag} {value}"));
        }
    }
    let region = args.region.clone().unwrap_or_else(|| Name::default().to_string());
    let item = json!({
        "id": node, "cluster": founded.cluster, "node": node, "region": region, "data": data, "next": next,
    });
    let said = format!(
        "cluster {}, region {region}, with its first node {node}, in {}",
        founded.cluster,
        data.display()
    );
    let code = output.streamed("cluster_founded", &node, &item, &said).err().unwrap_or(exit::OK);
    if output.is_for_people() {
        print::note(&format!("start it:           {next}\nlet others join:    synod cluster token create"));
    }
    code
}

/// Makes a folder out of a backup.
pub(super) fn restore(common: &Common, args: &RestoreArgs, client: &ClientArgs) -> u8 {
    let data = match data_folder(common, Some(args.data.clone())) {
        Ok(data) => data,
        Err(code) => return code,
    };
    let runtime = match serving::runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let restored = runtime.block_on(async {
        let mut from = tokio::fs::File::open(&args.file).await.map_err(|error| {
            print::note(&format!("error: {} cannot be read: {error}", args.file.display()));
            exit::USAGE
        })?;
        node::cluster::restore(&data, &mut from).await.map_err(|error| {
            complain(&error);
            failed(&error)
        })
    });
    let restored = match restored {
        Ok(restored) => restored,
        Err(code) => return code,
    };
    let output = Output::new(&client.output);
    let name = data.display().to_string();
    let item = json!({
        "id": name, "data": name, "applied": restored.applied, "payloads": restored.payloads,
        "lacking": restored.lacking,
    });
    let said = format!(
        "{name}: everything through {} of the old log, and {} large payloads",
        restored.applied, restored.payloads
    );
    let code = output.streamed("restored", &name, &item, &said).err().unwrap_or(exit::OK);
    if restored.lacking > 0 {
        print::note(&format!(
            "{} large payloads are named and were not in the backup: tasks that need them will fail and say so",
            restored.lacking
        ));
    }
    if output.is_for_people() {
        print::note(&format!(
            "it stands alone:        synod server --data {name}\nmake it a cluster:      synod cluster init --data {name}"
        ));
    }
    code
}

/// Starts the log and names the data folder.
fn data_folder(common: &Common, data: Option<PathBuf>) -> Result<PathBuf, u8> {
    let loaded = common.load_with(Flags { data, ..Flags::default() }).map_err(|error| {
        complain(&error);
        exit::USAGE
    })?;
    telemetry::start(&loaded.settings.log).map_err(|reason| {
        print::note(&format!("error: {reason}"));
        exit::USAGE
    })?;
    loaded.settings.data.ok_or_else(|| {
        print::note(&"error: there is no data folder; name one with --data, SYNOD_DATA or `data` in the settings file");
        exit::USAGE
    })
}

/// Says by an exit code why a folder could not be made: it is in use, or not as it must be.
fn failed(error: &node::Error) -> u8 {
    match error {
        node::Error::Cluster(_) => exit::DATA,
        other => node_error_code(other),
    }
}
