//! `synod breaker`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{Breaker, PutBreaker, ResetBreaker, TripBreaker};
use crate::period::Period;

#[derive(Debug, Args)]
pub(super) struct BreakerArgs {
    #[command(subcommand)]
    command: BreakerCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum BreakerCommand {
    /// List the circuit breakers.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a breaker: how it stands, what it has seen, what it holds back.
    Show {
        /// pool/NAME or type/NAME.
        of: String,
    },
    /// Make a breaker, or change when it opens and closes. What is left out gets its default.
    Set {
        /// pool/NAME or type/NAME.
        of: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Close a breaker by hand; what it held back goes on.
    Reset {
        /// pool/NAME or type/NAME.
        of: String,
    },
    /// Open a breaker by hand, for a while or until it is reset.
    Trip {
        /// pool/NAME or type/NAME.
        of: String,
        /// For how long; until it is reset if left out.
        #[arg(long, value_name = "PERIOD")]
        period: Option<Period>,
        /// Why, for whoever asks why nothing moves.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Remove a breaker; what it held back goes on.
    Remove {
        /// pool/NAME or type/NAME.
        of: String,
    },
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// Open at this many failures in a row; 0 for never.
    #[arg(long, value_name = "N")]
    failures: Option<u32>,
    /// Open when this share of the last attempts has failed; 0 for never.
    #[arg(long, value_name = "PERCENT")]
    rate: Option<u32>,
    /// At how many attempts to look back for the rate.
    #[arg(long, value_name = "N")]
    window: Option<u32>,
    /// How many attempts must have ended before their rate counts.
    #[arg(long, value_name = "N")]
    at_least: Option<u32>,
    /// How long to stay open the first time; twice as long each time that a probe fails.
    #[arg(long, value_name = "PERIOD")]
    open_for: Option<Period>,
    /// How long to stay open at most.
    #[arg(long, value_name = "PERIOD")]
    open_max: Option<Period>,
    /// How many attempts to let through when half-open.
    #[arg(long, value_name = "N")]
    probes: Option<u32>,
}

pub(super) fn main(common: &Common, args: &BreakerArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &BreakerCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        BreakerCommand::List { list } => {
            pages::list(session, list, async |page| client.breakers(&page).await).await
        }
        BreakerCommand::Show { of } => Ok(output.item(&client.breaker(of).await?)),
        BreakerCommand::Set { of, settings } => {
            let wanted = PutBreaker {
                failures: settings.failures,
                rate_percent: settings.rate,
                window: settings.window,
                at_least: settings.at_least,
                open_for_ms: settings.open_for.as_ref().map(millis),
                open_max_ms: settings.open_max.as_ref().map(millis),
                probes: settings.probes,
            };
            Ok(output.item(&client.put_breaker(of, &wanted).await?))
        }
        BreakerCommand::Reset { of } => {
            client.reset_breaker(&ResetBreaker { of: of.clone() }).await?;
            Ok(output.done("breaker", of, &format!("closed: the breaker of {of}")))
        }
        BreakerCommand::Trip { of, period, reason } => {
            let (period_ms, reason) = (period.as_ref().map(millis), reason.clone());
            client.trip_breaker(&TripBreaker { of: of.clone(), period_ms, reason }).await?;
            Ok(output.done("breaker", of, &format!("open: the breaker of {of}")))
        }
        BreakerCommand::Remove { of } => {
            client.remove_breaker(of).await?;
            Ok(output.done("breaker", of, &format!("removed: the breaker of {of}")))
        }
    }
}

fn millis(period: &Period) -> u64 {
    u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX)
}

impl Row for Breaker {
    const KIND: &'static str = "breaker";
    const COLUMNS: &'static [&'static str] =
        &["of", "state", "in a row", "failed", "succeeded", "waiting", "since"];

    fn id(&self) -> &str {
        &self.of
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let tone = match self.state.as_str() {
            "closed" => Tone::Good,
            "half_open" => Tone::Busy,
            _ => Tone::Bad,
        };
        vec![
            self.of.as_str().into(),
            Cell::toned(&self.state, tone),
            self.failures_in_a_row.to_string().into(),
            self.failed.to_string().into(),
            self.succeeded.to_string().into(),
            self.waiting.to_string().into(),
            age(now, self.since.as_deref()).into(),
        ]
    }
}
