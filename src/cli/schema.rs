//! `synod schema`

use clap::{Args, ValueEnum};

use super::{exit, print};

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Which format.
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Fleet files.
    Fleet,
}

pub(super) fn main(args: &SchemaArgs) -> u8 {
    let schema = match args.format {
        Format::Fleet => crate::fleet::schema(),
    };
    match serde_json::to_string_pretty(&schema) {
        Ok(text) => print::result(&text, exit::OK),
        Err(error) => {
            print::complain(&error);
            exit::NODE_FAILED
        }
    }
}
