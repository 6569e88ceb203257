//! `synod token`

use clap::{Args, Subcommand, ValueEnum};
use synod_domain::time::Timestamp;

use super::Common;
use super::confirm::ConfirmArgs;
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::print;
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{NewToken, RotateToken, Token, TokenWithSecret};
use crate::period::Period;

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token. Its secret is shown this once.
    Create {
        /// What people call it.
        name: String,
        /// What it is for; gives the permissions if none are named.
        #[arg(long, value_enum, default_value_t = Kind::Client)]
        kind: Kind,
        /// What it allows: `tasks:read`, `tasks:*`, `*`; apart by commas, or given several times.
        #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',')]
        permissions: Vec<String>,
        /// How long it is valid; as long as the token it is made with if left out.
        #[arg(long, value_name = "PERIOD")]
        expires_in: Option<Period>,
        /// Bind it to this workspace: it sees and changes only what is of that one.
        #[arg(long, value_name = "WORKSPACE")]
        workspace: Option<String>,
    },
    /// List tokens, without their secrets.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a token, without its secret.
    Get {
        /// Its id.
        #[arg(value_name = "TOKEN")]
        id: String,
    },
    /// Give a token a new secret, which is shown this once.
    Rotate {
        /// Its id.
        #[arg(value_name = "TOKEN")]
        id: String,
        /// How long the old secret is still taken.
        #[arg(long, value_name = "PERIOD")]
        keep_old: Option<Period>,
    },
    /// Revoke a token: it is valid no more.
    Revoke {
        /// Its id.
        #[arg(value_name = "TOKEN")]
        id: String,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// For operators: everything.
    Admin,
    /// For those who submit work and look after it.
    Client,
    /// For workers.
    Worker,
}

pub(super) fn main(common: &Common, args: &TokenArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &TokenCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    let millis = |period: &Period| u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX);
    match command {
        TokenCommand::Create { name, kind, permissions, expires_in, workspace } => {
            let kind = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            let new = NewToken {
                name: name.clone(),
                kind,
                permissions: (!permissions.is_empty()).then(|| permissions.clone()),
                expires_in_ms: expires_in.as_ref().map(millis),
                workspace: workspace.clone(),
            };
            Ok(show(session, &client.create_token(&new).await?))
        }
        TokenCommand::List { list } => {
            pages::list(session, list, async |page| client.tokens(&page).await).await
        }
        TokenCommand::Get { id } => Ok(output.item(&client.token(id).await?)),
        TokenCommand::Rotate { id, keep_old } => {
            let rotate = RotateToken { keep_old_ms: keep_old.as_ref().map_or(0, millis) };
            Ok(show(session, &client.rotate_token(id, &rotate).await?))
        }
        TokenCommand::Revoke { id, confirm } => {
            let token = client.token(id).await?;
            let what = format!("token {} ({})", token.name, token.id);
            if confirm.dry_run {
                return Ok(output.done("token_revocation", &token.id, &format!("would revoke {what}")));
            }
            confirm.ask(&format!("Revoke {what}"))?;
            client.revoke_token(&token.id).await?;
            Ok(output.done("token_revocation", &token.id, &format!("revoked: {what}")))
        }
    }
}

/// Shows a new secret: alone on standard output for a person, so that it can be put into a file.
fn show(session: &Session, made: &TokenWithSecret) -> u8 {
    if session.output.is_quiet() {
        return print::result(&made.secret, super::exit::OK);
    }
    if session.output.is_for_people() {
        print::note(&format!(
            "token {} ({}); its secret is not stored and not shown again:",
            print::harmless(&made.token.name),
            made.token.id
        ));
        return print::result(&made.secret, super::exit::OK);
    }
    session.output.one("token_with_secret", &made.token.id, made)
}

impl Row for Token {
    const KIND: &'static str = "token";
    const COLUMNS: &'static [&'static str] =
        &["id", "name", "kind", "workspace", "permissions", "expires", "created"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        vec![
            self.id.as_str().into(),
            self.name.as_str().into(),
            self.kind.as_str().into(),
            self.workspace.as_deref().unwrap_or("-").into(),
            print::first_line(&self.permissions.join(","), 60).into(),
            self.expires_at.as_deref().unwrap_or("-").into(),
            Cell::toned(age(now, Some(&self.created_at)), Tone::Faint),
        ]
    }
}
