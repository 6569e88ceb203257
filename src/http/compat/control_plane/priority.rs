//! Priorities as this API names and numbers them. Its `urgent` and the `critical` of its manual are one level.

use serde_json::Value;
use synod_domain::task::Lane;

use crate::http::Problem;

use super::invalid;

/// Reads a priority: a word in any case, or its number; `normal` if there is none.
pub(super) fn read(given: Option<&Value>) -> Result<Lane, Problem> {
    let refuse = |shown: &str| invalid(format!("Invalid priority: {shown}"));
    match given {
        None | Some(Value::Null) => Ok(Lane::Normal),
        Some(Value::String(word)) => match word.to_ascii_lowercase().as_str() {
            "critical" | "urgent" => Ok(Lane::Critical),
            "high" => Ok(Lane::High),
            "normal" => Ok(Lane::Normal),
            "low" => Ok(Lane::Low),
            _ => Err(refuse(word)),
        },
        Some(other) => {
            let lane = Lane::ALL.into_iter().find(|lane| other.as_u64() == Some(u64::from(number(*lane))));
            lane.ok_or_else(|| refuse(&other.to_string()))
        }
    }
}

/// Returns the number; more is more urgent.
pub(super) const fn number(lane: Lane) -> u8 {
    match lane {
        Lane::Critical => 100,
        Lane::High => 75,
        Lane::Normal => 50,
        Lane::Low => 0,
    }
}

/// Returns the word that its clients know.
pub(super) const fn word(lane: Lane) -> &'static str {
    match lane {
        Lane::Critical => "urgent",
        Lane::High => "high",
        Lane::Normal => "normal",
        Lane::Low => "low",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_and_numbers_are_read_back_and_critical_is_urgent() {
        for lane in Lane::ALL {
            assert_eq!(read(Some(&json!(word(lane)))).expect("a word"), lane);
            assert_eq!(read(Some(&json!(number(lane)))).expect("a number"), lane);
        }
        assert_eq!(read(Some(&json!("CRITICAL"))).expect("a word"), Lane::Critical);
        assert_eq!(read(None).expect("nothing"), Lane::Normal);
    }

    #[test]
    fn what_is_no_priority_is_refused_with_its_text() {
        for (given, shown) in
            [(json!("asap"), "asap"), (json!(60), "60"), (json!(-1), "-1"), (json!([]), "[]")]
        {
            let problem = read(Some(&given)).expect_err("no priority");
            assert_eq!(problem.detail(), format!("Invalid priority: {shown}"));
        }
    }
}
