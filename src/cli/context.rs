//! `synod context`: nodes that a person works with, by name.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use synod_domain::time::Timestamp;

use super::output::{Cell, Output, OutputArgs, Row, Tone};
use super::remote::Failure;
use super::remote::contexts::{self, Context, Contexts};
use crate::client::{Client, Token};

#[derive(Debug, Args)]
pub(super) struct ContextArgs {
    #[command(subcommand)]
    command: ContextCommand,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    /// List the contexts.
    List,
    /// Make a context the one that counts when none is named.
    Use {
        /// Its name.
        name: String,
    },
    /// Make a context, or change one; what is not given stays.
    Set(SetArgs),
    /// Show a context, without its token; the current one if none is named.
    Show {
        /// Its name.
        name: Option<String>,
    },
    /// Remove a context.
    Remove {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
struct SetArgs {
    /// Its name.
    name: String,
    /// The node's address.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The token, or `-` to read it from standard input.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// The file that holds the token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A PEM file of certificates to believe.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// A context as it is shown: never with its token.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    current: bool,
    url: String,
    /// Where the token stands: `here`, a file, or nowhere.
    token: Option<String>,
    ca: Option<PathBuf>,
}

pub(super) fn main(args: &ContextArgs) -> u8 {
    let output = Output::new(&args.output);
    run(&output, &args.command).unwrap_or_else(|failure| failure.tell(&output))
}

fn run(output: &Output, command: &ContextCommand) -> Result<u8, Failure> {
    let mut all = Contexts::read()?;
    match command {
        ContextCommand::List => {
            let shown: Vec<Shown> =
                all.contexts.iter().map(|(name, context)| Shown::of(&all, name, context)).collect();
            Ok(output.list(&shown, None))
        }
        ContextCommand::Use { name } => {
            all.find(Some(name))?;
            all.current = Some(name.clone());
            all.write()?;
            show(output, &all, name)
        }
        ContextCommand::Set(args) => {
            set(&mut all, args)?;
            all.write()?;
            show(output, &all, &args.name)
        }
        ContextCommand::Show { name } => {
            let Some(name) = name.as_ref().or(all.current.as_ref()) else {
                return Err(Failure::Usage(
                    "there is no current context; `synod context use` sets it".to_owned(),
                ));
            };
            show(output, &all, name)
        }
        ContextCommand::Remove { name } => {
            all.find(Some(name))?;
            all.contexts.remove(name);
            all.current.take_if(|current| current == name);
            all.write()?;
            Ok(output.done("context_removal", name, &format!("removed: context {name}")))
        }
    }
}

fn set(all: &mut Contexts, args: &SetArgs) -> Result<(), Failure> {
    let known = all.contexts.get(&args.name).cloned();
    let Some(url) = args.url.clone().or_else(|| Some(known.as_ref()?.url.clone())) else {
        return Err(Failure::Usage(format!("context {} is new: say --url", args.name)));
    };
    let known = known.unwrap_or_default();
    let (token, token_file) = match (&args.token, &args.token_file) {
        (None, None) => (known.token, known.token_file),
        (Some(text), _) => (Some(read(text)?), None),
        // Found again from any folder.
        (None, Some(path)) => (None, Some(absolute(path)?)),
    };
    let ca = args.ca.as_ref().map(|path| absolute(path)).transpose()?.or(known.ca);
    // Says what is wrong with the address or the token before it is stored.
    Client::new(&url, Token::from(token.as_deref().unwrap_or("-")))?;
    all.contexts.insert(args.name.clone(), Context { url, token, token_file, ca });
    // The first one is the one that is meant.
    all.current.get_or_insert_with(|| args.name.clone());
    Ok(())
}

fn read(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.trim().to_owned());
    }
    let said = std::io::read_to_string(std::io::stdin())
        .map_err(|error| Failure::Usage(format!("the token cannot be read from standard input: {error}")))?;
    match said.trim() {
        "" => Err(Failure::Usage("standard input holds no token".to_owned())),
        token => Ok(token.to_owned()),
    }
}

fn absolute(path: &std::path::Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

fn show(output: &Output, all: &Contexts, name: &str) -> Result<u8, Failure> {
    let context = all.find(Some(name))?.cloned().unwrap_or_default();
    Ok(output.item(&Shown::of(all, name, &context)))
}

impl Shown {
    fn of(all: &Contexts, name: &str, context: &Context) -> Self {
        let here = contexts::path().map_or_else(|| "here".to_owned(), |path| path.display().to_string());
        let token = match (&context.token, &context.token_file) {
            (Some(_), _) => Some(format!("in {here}")),
            (None, Some(path)) => Some(format!("in {}", path.display())),
            (None, None) => None,
        };
        Self {
            name: name.to_owned(),
            current: all.current.as_deref() == Some(name),
            url: context.url.clone(),
            token,
            ca: context.ca.clone(),
        }
    }
}

impl Row for Shown {
    const KIND: &'static str = "context";
    const COLUMNS: &'static [&'static str] = &["name", "current", "url", "token"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        vec![
            self.name.as_str().into(),
            if self.current { Cell::toned("yes", Tone::Good) } else { "".into() },
            self.url.as_str().into(),
            self.token.as_deref().unwrap_or("-").into(),
        ]
    }
}
