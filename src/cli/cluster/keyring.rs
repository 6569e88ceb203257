//! `synod cluster keyring`: the keys of gossip, by number.

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use crate::api::GossipKey;
use crate::cli::output::{Cell, Row};
use crate::cli::pages::{self, ListArgs};
use crate::cli::remote::{Failure, Session};

#[derive(Debug, Subcommand)]
pub(super) enum KeyringCommand {
    /// List the keys, without their secrets.
    List {
        #[command(flatten)]
        list: ListArgs,
        #[command(flatten)]
        ring: Ring,
    },
    /// Install a new key: it opens datagrams from then on, and seals none before it is used.
    Install {
        #[command(flatten)]
        ring: Ring,
    },
    /// Seal gossip with a key, once every node has it.
    Use {
        /// Its number.
        number: u32,
        #[command(flatten)]
        ring: Ring,
    },
    /// Remove a key that is not in use.
    Remove {
        /// Its number.
        number: u32,
        #[command(flatten)]
        ring: Ring,
    },
}

/// Which ring is meant.
#[derive(Debug, Args)]
pub(super) struct Ring {
    /// The ring of gossip between regions, which all of them share.
    #[arg(long)]
    regions: bool,
}

pub(super) async fn run(session: &Session, command: &KeyringCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        KeyringCommand::List { list, ring } => {
            let fetch = async |page| {
                let keys = if ring.regions {
                    client.region_keyring(&page).await
                } else {
                    client.keyring(&page).await
                };
                Ok(keys?.map(Key::from))
            };
            pages::list(session, list, fetch).await
        }
        KeyringCommand::Install { ring } => {
            let key = if ring.regions {
                client.install_region_key().await
            } else {
                client.install_gossip_key().await
            };
            Ok(output.item(&Key::from(key?)))
        }
        KeyringCommand::Use { number, ring } => {
            let key = if ring.regions {
                client.use_region_key(*number).await
            } else {
                client.use_gossip_key(*number).await
            };
            Ok(output.item(&Key::from(key?)))
        }
        KeyringCommand::Remove { number, ring } => {
            if ring.regions {
                client.remove_region_key(*number).await?;
            } else {
                client.remove_gossip_key(*number).await?;
            }
            let name = number.to_string();
            Ok(output.done("gossip_key_removal", &name, &format!("removed: key {number} of gossip")))
        }
    }
}

/// A key with its number as text, which is what names it in a list.
#[derive(Debug, serde::Serialize)]
struct Key {
    #[serde(skip)]
    id: String,
    #[serde(flatten)]
    key: GossipKey,
}

impl From<GossipKey> for Key {
    fn from(key: GossipKey) -> Self {
        Self { id: key.number.to_string(), key }
    }
}

impl Row for Key {
    const KIND: &'static str = "gossip_key";
    const COLUMNS: &'static [&'static str] = &["number", "used"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        vec![self.id.as_str().into(), if self.key.used { "yes" } else { "no" }.into()]
    }
}
