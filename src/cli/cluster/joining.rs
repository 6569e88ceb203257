//! `synod cluster token`: join tokens.

use clap::Subcommand;
use synod_domain::time::Timestamp;

use crate::api::{JoinToken, JoinTokenWithText, NewJoinToken};
use crate::cli::output::{Cell, Row, Tone};
use crate::cli::pages::{self, ListArgs};
use crate::cli::remote::{Failure, Session};
use crate::cli::{exit, print};
use crate::period::Period;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a join token; its text is shown this once. It lets one node join, once.
    Create {
        /// What whoever joins with it may become: voter, or worker; or region, to let another region be founded.
        #[arg(long, value_name = "ROLE", default_value = "voter", value_parser = ["voter", "worker", "region"])]
        role: String,
        /// For how long it is taken; 15 minutes if left out.
        #[arg(long, value_name = "PERIOD")]
        ttl: Option<Period>,
    },
    /// List join tokens, without their texts.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Revoke a join token: nobody joins with it any more.
    Revoke {
        /// Its id.
        #[arg(value_name = "TOKEN")]
        id: String,
    },
}

pub(super) async fn run(session: &Session, command: &TokenCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        TokenCommand::Create { role, ttl } => {
            let ttl_ms = ttl.as_ref().map(|ttl| u64::try_from(ttl.0.as_millis()).unwrap_or(u64::MAX));
            let wanted = NewJoinToken { role: Some(role.clone()), ttl_ms };
            Ok(show(session, &client.create_join_token(&wanted).await?))
        }
        TokenCommand::List { list } => {
            pages::list(session, list, async |page| client.join_tokens(&page).await).await
        }
        TokenCommand::Revoke { id } => {
            client.revoke_join_token(id).await?;
            Ok(output.done("join_token_revocation", id, &format!("revoked: join token {id}")))
        }
    }
}

/// Shows a new text: alone on standard output for a person, so that it can be put into a file.
fn show(session: &Session, made: &JoinTokenWithText) -> u8 {
    let output = &session.output;
    if output.is_quiet() {
        return print::result(&made.text, exit::OK);
    }
    if output.is_for_people() {
        let token = &made.token;
        let join = made.join.as_deref().unwrap_or("HOST:PORT");
        if token.role == "region" {
            print::note(&print::harmless(&format!(
                "token {} for a region, until {}; its text is not stored and not shown again. Whoever has it gets the \
                 key of the authority.\non the other machine, with the text in a file:\n  \
                 synod cluster init --data DIR --region NAME --federate {join} --token-file FILE",
                token.id, token.expires_at
            )));
            return print::result(&made.text, exit::OK);
        }
        print::note(&print::harmless(&format!(
            "join token {} for a {}, until {}; its text is not stored and not shown again.\n\
             on the other machine, with the text in a file:\n  \
             synod server --data DIR --join {join} --role {} --token-file FILE --cluster-listen HOST:PORT",
            token.id, token.role, token.expires_at, token.role
        )));
        return print::result(&made.text, exit::OK);
    }
    output.one("join_token_with_text", &made.token.id, made)
}

impl Row for JoinToken {
    const KIND: &'static str = "join_token";
    const COLUMNS: &'static [&'static str] = &["id", "role", "state", "expires", "used by"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let tone = if self.state == "open" { Tone::Good } else { Tone::Faint };
        vec![
            self.id.as_str().into(),
            self.role.as_str().into(),
            Cell::toned(self.state.as_str(), tone),
            self.expires_at.as_str().into(),
            self.used_by.as_deref().unwrap_or("-").into(),
        ]
    }
}
