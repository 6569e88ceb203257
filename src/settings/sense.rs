//! Values that are well written and make no sense.
//!
//! A node that read them would start and then refuse every request, or take every agent for dead: said at once, with
//! the name of the setting, they are found before they do harm. Promises nothing about values that are merely unwise.

use synod_domain::hook::STALE_AFTER_MIN;

use crate::settings::{Error, Settings};

/// Holds that nothing is 0 without which nothing works.
pub(super) fn check(settings: &Settings) -> Result<(), Error> {
    let (http, agents, snapshots) = (&settings.http, &settings.agents, &settings.snapshots);
    let (hooks, webhooks) = (&settings.hooks, &settings.webhooks);
    let zeros = [
        ("http.timeout", http.timeout.0.is_zero(), "no request could be answered"),
        ("http.body_bytes", http.body_bytes == 0, "no request could say anything"),
        ("http.connections", http.connections == 0, "nobody could connect"),
        ("agents.timeout", agents.timeout.0.is_zero(), "every agent outside would count as gone at once"),
        ("agents.heartbeat_interval", agents.heartbeat_interval.0.is_zero(), "agents would do nothing else"),
        ("hooks.patrol", hooks.patrol.0.is_zero(), "the node would do nothing but look at them"),
        ("hooks.stale_after", hooks.stale_after.0 < STALE_AFTER_MIN, "every hook would be abandoned at once"),
        ("hooks.git_deadline", hooks.git_deadline.0.is_zero(), "git could do nothing"),
        ("webhooks.timeout", webhooks.timeout.0.is_zero(), "no webhook could be told anything"),
        ("snapshots.log_entries", snapshots.log_entries == 0, "a node would do nothing but write snapshots"),
    ];
    match zeros.into_iter().find(|(_, is_zero, _)| *is_zero) {
        Some((key, _, so)) => Err(Error::Invalid(format!("{key}: it must be more than 0: {so}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::period::Period;

    type Spoil = fn(&mut Settings, Period);

    #[test]
    fn settings_of_zero_without_which_nothing_works_are_refused_by_name() {
        assert!(check(&Settings::default()).is_ok());
        let none = Period(Duration::ZERO);
        let spoilt: [(&str, Spoil); 10] = [
            ("http.timeout", |settings, none| settings.http.timeout = none),
            ("http.body_bytes", |settings, _| settings.http.body_bytes = 0),
            ("http.connections", |settings, _| settings.http.connections = 0),
            ("agents.timeout", |settings, none| settings.agents.timeout = none),
            ("agents.heartbeat_interval", |settings, none| settings.agents.heartbeat_interval = none),
            ("hooks.patrol", |settings, none| settings.hooks.patrol = none),
            ("hooks.stale_after", |settings, none| settings.hooks.stale_after = none),
            ("hooks.git_deadline", |settings, none| settings.hooks.git_deadline = none),
            ("webhooks.timeout", |settings, none| settings.webhooks.timeout = none),
            ("snapshots.log_entries", |settings, _| settings.snapshots.log_entries = 0),
        ];
        for (key, spoil) in spoilt {
            let mut settings = Settings::default();
            spoil(&mut settings, none);
            let error = check(&settings).expect_err(key).to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
