//! Names of settings that the older control plane knew: taken, and weaker than ours.
//!
//! In the environment `CONTROL_PLANE_…`, in a file the section `control_plane`. What they mean here stands in
//! one table each, [`VARIABLES`] and [`translate`].

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::settings::Error;

/// Where the environment may give a token that is valid without having been made here.
pub const ENV_EXTRA_TOKEN: &str = "ARAGORA_API_TOKEN";

/// The shortest such token: what is shorter can be guessed.
pub const EXTRA_TOKEN_LEN_MIN: usize = 16;

/// How a value is written there.
#[derive(Clone, Copy)]
enum Form {
    Seconds,
    Number,
}

/// Each variable, the setting that it means, and its form.
const VARIABLES: [(&str, [&str; 2], Form); 3] = [
    ("CONTROL_PLANE_HEARTBEAT_INTERVAL", ["agents", "heartbeat_interval"], Form::Seconds),
    ("CONTROL_PLANE_AGENT_TIMEOUT", ["agents", "timeout"], Form::Seconds),
    ("CONTROL_PLANE_MAX_RETRIES", ["tasks", "max_retries_default"], Form::Number),
];

/// Returns each variable that is set, with the settings that it means.
pub(super) fn environment(
    look: impl Fn(&str) -> Option<String>,
) -> Result<Vec<(&'static str, Value)>, Error> {
    let set = VARIABLES.into_iter().filter_map(|(name, key, form)| Some((name, key, form, look(name)?)));
    set.map(|(name, [section, field], form, text)| {
        let wrong = |what| Error::Invalid(format!("{name}: {text:?} is not a number of {what}"));
        let value = match form {
            Form::Seconds => {
                json!(text.trim().parse().ok().and_then(period).ok_or_else(|| wrong("seconds"))?)
            }
            Form::Number => json!(text.trim().parse::<u32>().map_err(|_| wrong("retries"))?),
        };
        Ok((name, json!({ section: { field: value } })))
    })
    .collect()
}

/// Writes seconds as one of our lengths of time.
fn period(seconds: f64) -> Option<String> {
    let time = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    (!time.is_zero()).then(|| format!("{}ms", time.as_millis()))
}

/// The section of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    heartbeat_interval: Option<f64>,
    agent_timeout: Option<f64>,
    max_retries: Option<u32>,
    queues: Queues,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Queues {
    #[serde(alias = "urgent")]
    critical: Queue,
    high: Queue,
    normal: Queue,
    low: Queue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Queue {
    max_size: Option<u64>,
    workers: Option<u64>,
}

/// Takes the section out of a file; returns the settings that it means and what to tell the operator.
pub(super) fn translate(file: &mut Value) -> Result<(Value, Vec<String>), Error> {
    let section = file.as_object_mut().and_then(|file| file.remove("control_plane"));
    let Some(section) = section.filter(|section| !section.is_null()) else {
        return Ok((json!({}), Vec::new()));
    };
    let section: Section = serde_json::from_value(section)
        .map_err(|error| Error::Invalid(format!("control_plane in the file: {error}")))?;
    let mut settings = Map::new();
    let mut set = |section: &str, field: &str, value: Value| {
        settings.entry(section).or_insert_with(|| json!({}))[field] = value;
    };
    let times = [("heartbeat_interval", section.heartbeat_interval), ("timeout", section.agent_timeout)];
    for (field, seconds) in times {
        if let Some(seconds) = seconds {
            let time = period(seconds).ok_or_else(|| {
                Error::Invalid(format!("control_plane in the file: {seconds} is not a number of seconds"))
            })?;
            set("agents", field, json!(time));
        }
    }
    if let Some(retries) = section.max_retries {
        set("tasks", "max_retries_default", json!(retries));
    }
    let mut notes = Vec::new();
    let Queues { critical, high, normal, low } = &section.queues;
    let queues = [critical, high, normal, low];
    let sizes: Vec<u64> = queues.iter().filter_map(|queue| queue.max_size).collect();
    if sizes.len() == queues.len() {
        let sum = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        set("limits", "mailbox_depth", json!(sum));
    } else if !sizes.is_empty() {
        // The sum of some would bound the others too.
        notes.push(
            "control_plane.queues.*.max_size is not used: a mailbox is bounded over all its lanes, so it takes the \
             size of all four; or set limits.mailbox_depth"
                .to_owned(),
        );
    }
    if queues.iter().any(|queue| queue.workers.is_some()) {
        notes.push(
            "control_plane.queues.*.workers is not used: lanes have no workers of their own; pools have a size"
                .to_owned(),
        );
    }
    Ok((Value::Object(settings), notes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_mean_settings_of_ours() {
        let look = |name: &str| match name {
            "CONTROL_PLANE_HEARTBEAT_INTERVAL" => Some("7.5".to_owned()),
            "CONTROL_PLANE_MAX_RETRIES" => Some("5".to_owned()),
            _ => None,
        };
        let found = environment(look).expect("valid");
        assert_eq!(
            found,
            [
                ("CONTROL_PLANE_HEARTBEAT_INTERVAL", json!({"agents": {"heartbeat_interval": "7500ms"}})),
                ("CONTROL_PLANE_MAX_RETRIES", json!({"tasks": {"max_retries_default": 5}})),
            ]
        );
        for wrong in ["", "soon", "-1", "0", "NaN", "inf"] {
            let error = environment(|_| Some(wrong.to_owned())).expect_err("no number").to_string();
            assert!(error.contains("CONTROL_PLANE_HEARTBEAT_INTERVAL"), "{error}");
        }
    }

    #[test]
    fn the_section_is_taken_out_and_the_sizes_of_all_lanes_add_up() {
        let mut file = json!({ "log": {"level": "info"}, "control_plane": {
            "heartbeat_interval": 10, "agent_timeout": 60, "max_retries": 4,
            "queues": { "critical": {"max_size": 1}, "high": {"max_size": 2, "workers": 3},
                        "normal": {"max_size": 4}, "low": {"max_size": 8} } } });
        let (settings, notes) = translate(&mut file).expect("valid");
        assert_eq!(file, json!({ "log": {"level": "info"} }));
        assert_eq!(
            settings,
            json!({
                "agents": {"heartbeat_interval": "10000ms", "timeout": "60000ms"},
                "tasks": {"max_retries_default": 4},
                "limits": {"mailbox_depth": 15},
            })
        );
        assert!(matches!(&notes[..], [note] if note.contains("workers")), "{notes:?}");
    }

    #[test]
    fn the_size_of_one_lane_alone_bounds_nothing_and_is_told() {
        let mut file = json!({ "control_plane": { "queues": { "low": {"max_size": 8} } } });
        let (settings, notes) = translate(&mut file).expect("valid");
        assert_eq!(settings, json!({}));
        assert!(matches!(&notes[..], [note] if note.contains("limits.mailbox_depth")), "{notes:?}");
    }

    #[test]
    fn an_unknown_key_of_the_section_is_refused() {
        let mut file = json!({ "control_plane": { "heartbeat": 1 } });
        let error = translate(&mut file).expect_err("unknown").to_string();
        assert!(error.contains("control_plane") && error.contains("`heartbeat`"), "{error}");
    }
}
