//! What a webhook wants reaches its receiver: all of it, in the order in which it happened, the same whenever it is told
//! again, and nothing of what it does not want.
//!
//! Source: `docs/WEBHOOKS.md`, "what is promised". Receivers of a world refuse for some seconds at most and webhooks try a
//! hundred times, so nothing is given up; what was dropped because there was too much is not missed. What happened in a
//! crash may never be told to the history, and is told to webhooks all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod::node::domain::event::{Event, Governing};
use synod::node::domain::id::WebhookId;
use synod::node::domain::webhook::{TEST_TOPIC, data_of, topic_of};

use crate::history::{Fact, Governance, Postbox, Record};
use crate::judges::{Judge, Verdict, broken};
use crate::trace;
use crate::workload::wants_of;

pub(super) const JUDGE: Judge = Judge {
    name: "webhooks are told",
    says: "all that a webhook wants reaches its receiver, in order, and nothing else does",
    look,
};

/// How long before the last look something may happen and not be told yet. The world waits until nothing is left to be
/// told, but what happens while it closes may be late.
const SLACK: Duration = Duration::from_secs(10);

/// What is known of one webhook.
#[derive(Debug, Default)]
struct Told {
    /// What each message was when it came first.
    messages: BTreeMap<u64, u64>,
    taken: BTreeSet<u64>,
    /// Whether somebody was heard to say that it was made.
    made: bool,
    /// What happened since of what it wants, and where that stands in the history.
    wanted: Vec<(usize, u64)>,
}

fn look(history: &[Record]) -> Verdict {
    let mut all = BTreeMap::<WebhookId, Told>::new();
    let (mut checked, mut last, mut is_closed) = (0, None, false);
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Told { webhook, seq, topic, workspace, hash, taken } => {
                let workspace = workspace.as_ref().map(|workspace| workspace.as_str());
                let is_test = **topic == *TEST_TOPIC;
                if wants_of(*webhook).is_some_and(|wants| !is_test && !wants.has(topic, workspace)) {
                    let whose = workspace.unwrap_or("nobody");
                    return broken(place, None, format!("{webhook} does not want {topic} of {whose}"));
                }
                let told = all.entry(*webhook).or_default();
                if *told.messages.entry(*seq).or_insert(*hash) != *hash {
                    return broken(place, None, format!("message {seq} of {webhook} was another before"));
                }
                if *seq > 1 && !told.taken.contains(&(seq - 1)) {
                    let what =
                        format!("message {seq} of {webhook} is told, and the one before it was not taken");
                    return broken(place, None, what);
                }
                if *taken {
                    told.taken.insert(*seq);
                }
                checked += 1;
            }
            Fact::Happened { event, .. } => hear(&mut all, place, event),
            Fact::Governs(Governance { postboxes, .. }) => last = Some((place, postboxes)),
            Fact::Closed => is_closed = true,
            _ => {}
        }
    }
    let Some((place, postboxes)) = last.filter(|_| is_closed) else { return Ok(checked) };
    for postbox in postboxes.iter().filter(|postbox| postbox.dropped == 0) {
        let told = all.remove(&postbox.webhook).unwrap_or_default();
        checked += is_whole(history, place, postbox, &told)?;
    }
    Ok(checked)
}

/// Takes note of what happened for those that want it.
fn hear(all: &mut BTreeMap<WebhookId, Told>, place: usize, event: &Event) {
    if let Event::Governed { what: Governing::WebhookPut, subject, .. } = event
        && let Ok(webhook) = subject.parse::<WebhookId>()
    {
        all.entry(webhook).or_default().made = true;
    }
    let Some(topic) = topic_of(event) else { return };
    let workspace = event.workspace().map(|workspace| workspace.as_str());
    for (webhook, told) in all.iter_mut().filter(|(_, told)| told.made) {
        if wants_of(*webhook).is_some_and(|wants| wants.always && wants.has(topic, workspace)) {
            told.wanted.push((place, trace::hash(data_of(event).as_bytes())));
        }
    }
}

/// Holds, at the last look, that all was taken that is not waiting, and that all is among it that happened.
fn is_whole(history: &[Record], place: usize, postbox: &Postbox, told: &Told) -> Verdict {
    let Postbox { webhook, noted, waiting, given_up, .. } = postbox;
    if *given_up > 0 {
        return broken(place, None, format!("{given_up} messages of {webhook} were given up"));
    }
    let gone = noted.saturating_sub(*waiting);
    if let Some(missing) = (1..=gone).find(|seq| !told.taken.contains(seq)) {
        return broken(place, None, format!("message {missing} of {webhook} is gone, and nobody took it"));
    }
    let mut messages = told.messages.values();
    let (mut found, last_look) = (0, history[place].at);
    for (happened, hash) in &told.wanted {
        if messages.any(|message| message == hash) {
            found += 1;
        } else if history[*happened].at + SLACK < last_look {
            return broken(*happened, None, format!("{webhook} was never told of this, or not in its turn"));
        } else {
            break;
        }
    }
    Ok(found + usize::try_from(gone).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use synod::node::domain::name::Name;

    use crate::judges::histories::*;

    use super::*;

    fn webhook() -> WebhookId {
        WebhookId::from_raw(2)
    }

    fn put(index: u64, set: &str) -> Fact {
        governed(index, Governing::LimitPut, set, None)
    }

    fn made() -> Fact {
        governed(1, Governing::WebhookPut, &webhook().to_string(), None)
    }

    /// Tells what a fact says that happened.
    fn tells(seq: u64, what: &Fact, taken: bool) -> Fact {
        let Fact::Happened { event, .. } = what else { unreachable!("it happened") };
        let hash = trace::hash(data_of(event).as_bytes());
        Fact::Told { webhook: webhook(), seq, topic: "limit_put".into(), workspace: None, hash, taken }
    }

    fn ends(noted: u64, waiting: u64) -> [Fact; 2] {
        let postbox = Postbox { webhook: webhook(), noted, waiting, given_up: 0, dropped: 0 };
        let governance = Governance { postboxes: vec![postbox], ..Governance::default() };
        [Fact::Governs(governance), Fact::Closed]
    }

    /// Looks at a story that ended long after what happened in it.
    fn looked(facts: Vec<Fact>, end: [Fact; 2]) -> Verdict {
        let mut records = history(facts);
        let mut end = history(end);
        end.iter_mut().for_each(|record| record.at = SLACK * 2);
        records.extend(end);
        look(&records)
    }

    #[test]
    fn what_is_told_in_order_and_again_holds() {
        let (one, two) = (put(2, "one"), put(3, "two"));
        let told =
            vec![tells(1, &one, false), tells(1, &one, true), tells(1, &one, true), tells(2, &two, true)];
        let facts = || [made(), one.clone(), two.clone()].into_iter().chain(told.clone()).collect::<Vec<_>>();
        assert_eq!(looked(facts(), ends(2, 0)), Ok(8));
        assert!(looked(facts(), ends(3, 0)).is_err(), "the third is gone");
        assert_eq!(looked(facts(), ends(3, 1)), Ok(8), "the third waits");
        // Before it was made it need not be told.
        let early = vec![put(1, "early"), made()];
        assert_eq!(looked(early, ends(0, 0)), Ok(0));
    }

    #[test]
    fn what_was_refused_and_is_not_told_again_is_found() {
        let (one, two) = (put(2, "one"), put(3, "two"));
        let skips = vec![made(), tells(1, &one, false), tells(2, &two, true)];
        assert!(look(&history(skips)).is_err());
        let forgets = vec![made(), one.clone(), tells(1, &one, false)];
        assert!(looked(forgets, ends(1, 0)).is_err());
    }

    #[test]
    fn what_is_never_told_or_out_of_turn_is_found_unless_it_has_just_happened() {
        let (one, two) = (put(2, "one"), put(3, "two"));
        let told = |first: &Fact, second: &Fact| {
            vec![made(), one.clone(), two.clone(), tells(1, first, true), tells(2, second, true)]
        };
        assert_eq!(looked(told(&one, &two), ends(2, 0)), Ok(6));
        assert!(looked(told(&two, &one), ends(2, 0)).is_err());
        let silent = || vec![made(), one.clone(), two.clone(), tells(1, &one, true)];
        assert!(looked(silent(), ends(1, 0)).is_err());
        assert_eq!(look(&history(silent().into_iter().chain(ends(1, 0)))), Ok(3));
    }

    #[test]
    fn what_changes_between_two_tellings_or_is_not_wanted_is_found() {
        let (one, two) = (put(2, "one"), put(3, "two"));
        assert!(look(&history([tells(1, &one, false), tells(1, &two, true)])).is_err());
        let told = |topic: &str, workspace: Option<Name>| Fact::Told {
            webhook: WebhookId::from_raw(1),
            seq: 1,
            topic: topic.into(),
            workspace,
            hash: 1,
            taken: true,
        };
        let own = || Name::new("messenger").ok();
        assert_eq!(look(&history([told("task_submitted", own())])), Ok(1));
        assert!(look(&history([told("task_submitted", Some(Name::default()))])).is_err());
        assert!(look(&history([told("paused", own())])).is_err());
        assert_eq!(look(&history([told(TEST_TOPIC, None)])), Ok(1));
    }
}
