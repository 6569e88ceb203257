//! `synod budget`

use clap::{Args, Subcommand, ValueEnum};
use synod_domain::time::Timestamp;

use super::Common;
use super::confirm::ConfirmArgs;
use super::output::{Cell, Row, Tone};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{
    Budget, BudgetLimit, BudgetSettings, Enforcement, Estimate, Measure, NewBudget, OverrideBudget,
    ResetBudget, UsageBy, UsageQuery, Used, WindowKind,
};
use crate::period::Period;

#[derive(Debug, Args)]
pub(super) struct BudgetArgs {
    #[command(subcommand)]
    command: BudgetCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum BudgetCommand {
    /// Make a budget, or change the one of that name.
    Put(PutArgs),
    /// List budgets with how they stand.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show one budget.
    Show {
        /// Its name.
        budget: String,
    },
    /// Show what was used: by agent, model, workspace or day.
    Report {
        /// By what it is summed.
        #[arg(long, value_enum, default_value = "agent")]
        by: By,
        /// How many days back, today among them.
        #[arg(long, value_name = "N")]
        days: Option<u32>,
        /// Of this workspace only.
        #[arg(long, value_name = "WORKSPACE")]
        workspace: Option<String>,
    },
    /// Raise all limits of a budget for a while; 0 percent ends that.
    Override {
        /// Its name.
        budget: String,
        /// By how much, in percent of each limit.
        #[arg(long, value_name = "N")]
        percent: u32,
        /// For how long.
        #[arg(long = "for", value_name = "PERIOD")]
        period: Period,
        /// Why, for whoever looks later.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Forget what was spent of a budget in the windows that are open.
    Reset {
        /// Its name.
        budget: String,
        /// Why, for whoever looks later.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Show or set what holds for all budgets.
    Settings(SettingsArgs),
    /// Remove a budget: what waits for it goes on.
    Remove {
        /// Its name.
        budget: String,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

#[derive(Debug, Args)]
struct PutArgs {
    /// Its name.
    budget: String,
    /// Whose spending it counts: global, workspace:NAME, pool:NAME, agent:ID, run:ID, fleet:NAME or account:NAME.
    #[arg(long, value_name = "SCOPE")]
    scope: String,
    /// A limit: WHAT=MOST/WINDOW, for example tokens=100000/hour, cost=10.50/day (dollars), compute=3600/week
    /// (seconds), requests=50/minute. Windows: minute, hour, day, week, month, whole, rolling:PERIOD, opened:PERIOD.
    /// May be given several times.
    #[arg(long = "limit", value_name = "LIMIT", value_parser = limit, required = true)]
    limits: Vec<BudgetLimit>,
    /// Warn only; hold nothing back.
    #[arg(long)]
    soft: bool,
    /// At which part of a limit it is warned, in percent.
    #[arg(long, value_name = "N")]
    warn: Option<u8>,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// How many tokens a task is expected to use of which nothing better is known.
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// What it is expected to cost, in dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = micros)]
    cost: Option<u64>,
    /// How long it is expected to work.
    #[arg(long, value_name = "PERIOD")]
    compute: Option<Period>,
    /// How many requests it is expected to make.
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// How long an attempt that passed a hard limit may still say that it is done.
    #[arg(long, value_name = "PERIOD")]
    grace: Option<Period>,
}

impl SettingsArgs {
    /// Changes what is named.
    fn change(&self, known: &BudgetSettings) -> BudgetSettings {
        let millis = |period: Period| u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX);
        BudgetSettings {
            estimate: Estimate {
                tokens: self.tokens.unwrap_or(known.estimate.tokens),
                cost_microusd: self.cost.unwrap_or(known.estimate.cost_microusd),
                compute_ms: self.compute.map_or(known.estimate.compute_ms, millis),
            },
            requests: self.requests.unwrap_or(known.requests),
            grace_ms: self.grace.map_or(known.grace_ms, millis),
        }
    }
}

/// By what usage is summed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Agent,
    Model,
    Workspace,
    Day,
}

pub(super) fn main(common: &Common, args: &BudgetArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &BudgetCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        BudgetCommand::Put(args) => {
            let budget = NewBudget {
                name: args.budget.clone(),
                scope: args.scope.clone(),
                limits: args.limits.clone(),
                enforcement: if args.soft { Enforcement::Soft } else { Enforcement::Hard },
                warn_percent: args.warn,
                note: args.note.clone(),
            };
            Ok(output.item(&client.put_budget(&budget).await?))
        }
        BudgetCommand::List { list } => {
            pages::list(session, list, async |page| client.budgets(&page).await).await
        }
        BudgetCommand::Show { budget } => Ok(output.item(&client.budget(budget).await?)),
        BudgetCommand::Report { by, days, workspace } => {
            let by = match by {
                By::Agent => UsageBy::Agent,
                By::Model => UsageBy::Model,
                By::Workspace => UsageBy::Workspace,
                By::Day => UsageBy::Day,
            };
            let query = UsageQuery { by: Some(by), days: *days, workspace: workspace.clone() };
            let report = client.usage(&query).await?;
            Ok(output.list(&report.items, None))
        }
        BudgetCommand::Override { budget, percent, period, reason } => {
            let for_ms = u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX);
            let raise = OverrideBudget { percent: *percent, for_ms, reason: reason.clone() };
            Ok(output.item(&client.override_budget(budget, &raise).await?))
        }
        BudgetCommand::Reset { budget, reason, confirm } => {
            if confirm.dry_run {
                return Ok(output.done("budget", budget, &format!("would reset budget {budget}")));
            }
            confirm.ask(&format!("Forget what was spent of budget {budget}"))?;
            let reset = ResetBudget { reason: reason.clone() };
            Ok(output.item(&client.reset_budget(budget, &reset).await?))
        }
        BudgetCommand::Settings(args) => {
            let known = client.budget_settings().await?;
            let wanted = args.change(&known);
            let now = if wanted == known { known } else { client.set_budget_settings(&wanted).await? };
            Ok(output.one("budget_settings", "budgets", &now))
        }
        BudgetCommand::Remove { budget, confirm } => {
            if confirm.dry_run {
                return Ok(output.done("budget", budget, &format!("would remove budget {budget}")));
            }
            confirm.ask(&format!("Remove budget {budget}"))?;
            client.remove_budget(budget).await?;
            Ok(output.done("budget", budget, &format!("removed: budget {budget}")))
        }
    }
}

/// Reads `WHAT=MOST/WINDOW`.
fn limit(text: &str) -> Result<BudgetLimit, String> {
    let wrong = || format!("{text:?} is not WHAT=MOST/WINDOW, such as tokens=100000/hour");
    let (what, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (most, window) = rest.split_once('/').ok_or_else(wrong)?;
    let whole = |most: &str| most.parse::<u64>().map_err(|_| format!("{most:?} is not a whole number"));
    let (measure, most) = match what {
        "tokens" => (Measure::Tokens, whole(most)?),
        "requests" => (Measure::Requests, whole(most)?),
        "cost" => (Measure::Cost, micros(most)?),
        "compute" => (Measure::Compute, whole(most)?.saturating_mul(1000)),
        _ => return Err(format!("{what:?} is not tokens, cost, compute or requests")),
    };
    let (window, length_ms) = match window.split_once(':') {
        Some(("rolling", length)) => (WindowKind::Rolling, Some(length)),
        Some(("opened", length)) => (WindowKind::Opened, Some(length)),
        _ => (plain_window(window)?, None),
    };
    let length_ms = length_ms.map(|length| {
        let period: Period = length.parse().map_err(|error| format!("{length:?}: {error}"))?;
        Ok::<_, String>(u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX))
    });
    Ok(BudgetLimit { measure, most, window, length_ms: length_ms.transpose()? })
}

fn plain_window(text: &str) -> Result<WindowKind, String> {
    Ok(match text {
        "minute" => WindowKind::Minute,
        "hour" => WindowKind::Hour,
        "day" => WindowKind::Day,
        "week" => WindowKind::Week,
        "month" => WindowKind::Month,
        "whole" => WindowKind::Whole,
        _ => {
            return Err(format!(
                "{text:?} is no window: minute, hour, day, week, month, whole, rolling:PERIOD or opened:PERIOD"
            ));
        }
    })
}

/// Reads dollars with at most six digits behind the point, exactly.
pub(super) fn micros(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no amount of dollars with at most six digits behind the point");
    let (dollars, behind) = text.split_once('.').unwrap_or((text, ""));
    if behind.len() > 6 || !behind.chars().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let dollars: u64 = dollars.parse().map_err(|_| wrong())?;
    let behind: u64 = format!("{behind:0<6}").parse().map_err(|_| wrong())?;
    dollars.checked_mul(1_000_000).and_then(|micros| micros.checked_add(behind)).ok_or_else(wrong)
}

fn dollars(micros: u64) -> String {
    format!("${}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

impl Row for Budget {
    const KIND: &'static str = "budget";
    const COLUMNS: &'static [&'static str] =
        &["name", "scope", "limits", "spent", "reserved", "left", "waiting"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let all = |show: &dyn Fn(&crate::api::BudgetLine) -> String| {
            self.limits.iter().map(show).collect::<Vec<_>>().join(", ")
        };
        let figure = |measure: Measure, figure: u64| match measure {
            Measure::Tokens | Measure::Requests => figure.to_string(),
            Measure::Cost => dollars(figure),
            Measure::Compute => format!("{}s", figure / 1000),
        };
        let limits = all(&|line| {
            let (what, window) = (word(&line.measure), word(&line.window));
            format!("{what} {}/{window}", figure(line.measure, line.most))
        });
        let spent =
            all(&|line| format!("{} ({}%)", figure(line.measure, line.settled + line.overrun), line.percent));
        let exhausted = self.limits.iter().any(|line| line.exhausted);
        vec![
            self.name.as_str().into(),
            self.scope.as_str().into(),
            limits.into(),
            if exhausted { Cell::toned(&spent, Tone::Bad) } else { spent.into() },
            all(&|line| figure(line.measure, line.reserved)).into(),
            all(&|line| figure(line.measure, line.left)).into(),
            self.waiting.to_string().into(),
        ]
    }
}

impl Row for Used {
    const KIND: &'static str = "usage";
    const COLUMNS: &'static [&'static str] = &[
        "key",
        "name",
        "tokens in",
        "tokens out",
        "assumed",
        "cost",
        "requests",
        "compute",
        "attempts",
        "silent",
    ];

    fn id(&self) -> &str {
        &self.key
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        vec![
            if self.key.is_empty() { "-".into() } else { self.key.as_str().into() },
            self.name.as_deref().unwrap_or("-").into(),
            self.tokens_in.to_string().into(),
            self.tokens_out.to_string().into(),
            self.tokens_assumed.to_string().into(),
            dollars(self.cost_microusd.saturating_add(self.cost_assumed_microusd)).into(),
            self.requests.to_string().into(),
            format!("{}s", self.compute_ms / 1000).into(),
            self.attempts.to_string().into(),
            self.silent.to_string().into(),
        ]
    }
}

/// Returns the word of a value as it stands in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_exactly_and_others_refused() {
        let read = |text| limit(text).map(|limit| (limit.measure, limit.most, limit.window, limit.length_ms));
        assert_eq!(read("tokens=100000/hour"), Ok((Measure::Tokens, 100_000, WindowKind::Hour, None)));
        assert_eq!(read("cost=10.50/day"), Ok((Measure::Cost, 10_500_000, WindowKind::Day, None)));
        assert_eq!(read("cost=0.000001/whole"), Ok((Measure::Cost, 1, WindowKind::Whole, None)));
        let rolling = Ok((Measure::Requests, 50, WindowKind::Rolling, Some(18_000_000)));
        assert_eq!(read("requests=50/rolling:5h"), rolling);
        for wrong in
            ["tokens", "tokens=x/hour", "cost=1.0000001/day", "cost=-1/day", "time=1/day", "tokens=1/year"]
        {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
