//! Which tasks are meant, as flags.

use clap::Args;
use synod_domain::time::Timestamp;

use super::remote::Failure;
use crate::api::{Filter, Priority, TaskStatus};
use crate::clock::SystemClock;
use crate::period::Period;
use synod_domain::sources::Clock;

/// Which tasks are meant; all that is given must hold.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct FilterArgs {
    /// In one of these statuses: pending, scheduled, running, completed, failed, timed_out, cancelled.
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status, help_heading = "Filter")]
    pub(super) status: Vec<TaskStatus>,
    /// Of this type.
    #[arg(long = "type", value_name = "TYPE", help_heading = "Filter")]
    kind: Option<String>,
    /// For this pool.
    #[arg(long, value_name = "POOL", help_heading = "Filter")]
    pool: Option<String>,
    /// For this agent, or in its hands, by id or name.
    #[arg(long, value_name = "AGENT", help_heading = "Filter")]
    agent: Option<String>,
    /// Of this workspace.
    #[arg(long, value_name = "WORKSPACE", help_heading = "Filter")]
    workspace: Option<String>,
    /// Submitted with this priority.
    #[arg(long, value_name = "PRIORITY", value_parser = priority, help_heading = "Filter")]
    priority: Option<Priority>,
    /// With this label; may be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE", help_heading = "Filter")]
    labels: Vec<String>,
    /// Submitted since then: a time (RFC 3339), or how long ago (`2h`).
    #[arg(long, value_name = "WHEN", help_heading = "Filter")]
    since: Option<String>,
    /// Submitted before then: a time (RFC 3339), or how long ago (`2h`).
    #[arg(long, value_name = "WHEN", help_heading = "Filter")]
    before: Option<String>,
    /// Of this run of a fleet file.
    #[arg(long, value_name = "RUN", help_heading = "Filter")]
    run: Option<String>,
}

impl FilterArgs {
    /// Returns the filter, for tasks in one of `statuses` if the flags name none.
    pub(super) fn filter(&self, statuses: &[TaskStatus]) -> Result<Filter, Failure> {
        let statuses = if self.status.is_empty() { statuses } else { &self.status };
        let words: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
        let now = SystemClock.now();
        Ok(Filter {
            status: (!words.is_empty()).then(|| words.join(",")),
            kind: self.kind.clone(),
            pool: self.pool.clone(),
            agent: self.agent.clone(),
            workspace: self.workspace.clone(),
            priority: self.priority,
            label: (!self.labels.is_empty()).then(|| self.labels.join(",")),
            submitted_after: self.since.as_deref().map(|when| time(when, now)).transpose()?,
            submitted_before: self.before.as_deref().map(|when| time(when, now)).transpose()?,
            run: self.run.clone(),
        })
    }

    /// Tells whether anything is excluded by a flag.
    pub(super) fn is_empty(&self) -> bool {
        self.filter(&[]).is_ok_and(|filter| filter == Filter::default())
    }
}

/// Reads a status.
pub(super) fn status(text: &str) -> Result<TaskStatus, String> {
    TaskStatus::ALL.into_iter().find(|status| status.as_str() == text.replace('-', "_")).ok_or_else(|| {
        let known = TaskStatus::ALL.map(TaskStatus::as_str).join(", ");
        format!("use one of {known}")
    })
}

/// Reads a priority.
pub(super) fn priority(text: &str) -> Result<Priority, String> {
    match text {
        "critical" | "urgent" => Ok(Priority::Critical),
        "high" => Ok(Priority::High),
        "normal" => Ok(Priority::Normal),
        "low" => Ok(Priority::Low),
        _ => Err("use critical, high, normal or low".to_owned()),
    }
}

/// Returns a priority's word.
pub(super) const fn word(priority: Priority) -> &'static str {
    match priority {
        Priority::Critical => "critical",
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

/// Reads a time, or a length of time before `now`, as RFC 3339.
pub(super) fn time(text: &str, now: Timestamp) -> Result<String, Failure> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.to_string());
    }
    let wrong = || {
        Failure::Usage(format!(
            "{text:?} is no time; write it as 2026-01-31T12:00:00Z, or as 2h for two hours ago"
        ))
    };
    let period: Period = text.parse().map_err(|_| wrong())?;
    let ago = u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX);
    let millis = i64::try_from(now.as_millis().saturating_sub(ago)).map_err(|_| wrong())?;
    Ok(jiff::Timestamp::from_millisecond(millis).map_err(|_| wrong())?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_points_or_lengths_before_now() {
        let now = Timestamp::from_millis(10_000_000);
        assert_eq!(time("1h", now).expect("a length"), "1970-01-01T01:46:40Z");
        assert_eq!(time("2026-01-31T12:00:00+01:00", now).expect("a point"), "2026-01-31T11:00:00Z");
        let said = time("yesterday", now).expect_err("no time").to_string();
        assert!(said.contains("yesterday"), "{said}");
    }

    #[test]
    fn urgent_is_critical_and_hyphens_are_fine() {
        assert_eq!(priority("urgent"), Ok(Priority::Critical));
        assert_eq!(status("timed-out"), Ok(TaskStatus::TimedOut));
        assert!(status("done").expect_err("none").contains("completed"));
    }
}
