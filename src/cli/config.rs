//! `synod config show`

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use serde_json::json;

use super::{Common, exit, print};

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting.
    Show {
        /// Say where each value came from.
        #[arg(long)]
        origin: bool,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn main(common: &Common, args: &ConfigArgs) -> u8 {
    let ConfigCommand::Show { origin, json } = args.command;
    let shown = match common.load(None) {
        Ok(loaded) => loaded.show(),
        Err(error) => {
            print::complain(&error);
            return exit::USAGE;
        }
    };
    if json {
        return print::result(&json!({ "version": 1, "settings": shown }), exit::OK);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    for one in shown {
        let value = match &one.value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let mut row = vec![one.key, value];
        if origin {
            row.push(one.origin.to_string());
        }
        table.add_row(row);
    }
    print::result(&table, exit::OK)
}
