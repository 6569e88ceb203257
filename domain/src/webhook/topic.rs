//! What happens, under the words that webhooks ask for it by.
//!
//! A topic is finer than the kind of an event where people want one end of a thing and not the other: how a task ended,
//! and what happened to that which governs.

use std::sync::Arc;

use serde_json::Value;

use crate::event::{Event, Governing};
use crate::task::Phase;

/// The topic of a message that says nothing but that it comes.
pub const TEST_TOPIC: &str = "webhook_test";

/// The longest text that is told as it is; a longer one is cut. Reasons are shorter.
const TEXT_BYTES_MAX: usize = 4096;

/// The ends of a task, as topics. One that failed for good or timed out is a dead letter from there on.
const ENDS: [&str; 3] = ["task_completed", "dead_letter_added", "task_cancelled"];

/// Walks all topics that something may happen under.
pub fn topics() -> impl Iterator<Item = &'static str> {
    let kinds = Event::KINDS.into_iter().filter(|kind| !matches!(*kind, "task_ended" | "governed"));
    let governing = Governing::ALL.into_iter().filter(|what| !is_about_webhooks(*what));
    kinds.chain(ENDS).chain(governing.map(Governing::as_str))
}

/// Returns the topic of an event; none for what happens to webhooks, which would be told for ever.
pub fn topic_of(event: &Event) -> Option<&'static str> {
    match event {
        Event::Governed { what, .. } => (!is_about_webhooks(*what)).then(|| what.as_str()),
        Event::TaskEnded { phase, .. } => Some(match phase {
            Phase::Failed | Phase::TimedOut => "dead_letter_added",
            Phase::Cancelled => "task_cancelled",
            Phase::Pending | Phase::Scheduled | Phase::Running | Phase::Completed => "task_completed",
        }),
        other => Some(other.kind()),
    }
}

const fn is_about_webhooks(what: Governing) -> bool {
    matches!(
        what,
        Governing::WebhookPut
            | Governing::WebhookRemoved
            | Governing::WebhookGaveUp
            | Governing::WebhookOverflowed
            | Governing::WebhookAsked
    )
}

/// Returns an event as it is told: JSON, with texts that are too long cut.
pub fn data_of(event: &Event) -> Arc<str> {
    let Ok(mut data) = serde_json::to_value(event) else {
        // No event has a key that is no text.
        return "{}".into();
    };
    if let Value::Object(fields) = &mut data {
        fields.values_mut().for_each(cut);
    }
    data.to_string().into()
}

fn cut(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            let end = (0..=TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        Value::Array(values) => values.iter_mut().for_each(cut),
        Value::Object(fields) => fields.values_mut().for_each(cut),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;
    use crate::name::Name;

    fn ended(phase: Phase, reason: &str) -> Event {
        Event::TaskEnded {
            task: TaskId::from_raw(1),
            workspace: Name::default(),
            phase,
            reason: Some(reason.into()),
            agent: None,
            run: None,
        }
    }

    #[test]
    fn every_event_has_a_topic_that_is_listed() {
        let all: Vec<&str> = topics().collect();
        for phase in [Phase::Completed, Phase::Failed, Phase::TimedOut, Phase::Cancelled] {
            let topic = topic_of(&ended(phase, "so")).expect("a topic");
            assert!(all.contains(&topic), "{topic}");
        }
        assert_eq!(topic_of(&ended(Phase::TimedOut, "late")), Some("dead_letter_added"));
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), all.len(), "a topic is listed twice");
        assert!(!all.contains(&"webhook_gave_up") && !all.contains(&TEST_TOPIC));
    }

    #[test]
    fn what_is_told_is_json_with_texts_of_bounded_length() {
        let data = data_of(&ended(Phase::Failed, &"ä".repeat(5000)));
        let data: Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(data["type"], "task_ended");
        assert_eq!(data["phase"], "failed");
        let reason = data["reason"].as_str().expect("a text");
        assert!(reason.len() <= TEXT_BYTES_MAX + 3 && reason.ends_with('…'));
    }
}
