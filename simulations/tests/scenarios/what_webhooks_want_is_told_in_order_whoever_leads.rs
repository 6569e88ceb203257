//! Receivers refuse what they are told and take it without being heard, and whoever leads loses its power, one after the
//! other. Everything is told all the same, in order, some of it twice.

use std::collections::BTreeMap;

use synod::node::domain::id::WebhookId;
use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, cut_off, holds, power_loss, s};

#[test]
fn what_webhooks_want_is_told_in_order_whoever_leads() {
    alone(|| {
        let story = Scenario::of(607)
            .asks("submits,approvals,limits,webhooks".parse().unwrap())
            .lasts(s(24))
            .at_sight(s(6), |scene| power_loss(scene.leader(), s(2)))
            .at_sight(s(12), |scene| cut_off(scene.leader(), s(4)))
            .at_sight(s(19), |scene| power_loss(scene.leader(), s(1)));
        let outcome = holds(story);
        assert_eq!(outcome.injected(Kind::Crash).len(), 2);
        let (mut times, mut by, mut refused) = (BTreeMap::<(WebhookId, u64), usize>::new(), Vec::new(), 0);
        for record in outcome.facts(|fact| matches!(fact, Fact::Told { .. })) {
            let Fact::Told { webhook, seq, taken, .. } = &record.fact else { continue };
            by.extend(record.node.filter(|node| !by.contains(node)));
            if *taken {
                *times.entry((*webhook, *seq)).or_default() += 1;
            } else {
                refused += 1;
            }
        }
        assert!(by.len() > 1, "only {by:?} told anything");
        assert!(refused > 0, "no receiver refused anything");
        assert!(times.values().any(|times| *times > 1), "nothing was told twice");
        for webhook in 1..=3 {
            let told = times.keys().filter(|(of, _)| *of == WebhookId::from_raw(webhook)).count();
            assert!(told > 10, "webhook {webhook} was told {told} things");
        }
        assert_nothing_lost(&outcome);
    });
}
