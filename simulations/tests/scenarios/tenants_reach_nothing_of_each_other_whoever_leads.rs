//! Tenant leak: two who are bound to a workspace each reach for tasks, letters, pools, agents, pauses and tokens of the
//! other and of everybody, and are shown lists beside every node, while two leaders die and one is cut off. The judge finds
//! whoever is let at something; this story says that all of it was reached for, and that lists show what is the tenants' own.

use std::collections::BTreeSet;

use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::history::{Fact, Request, Thing, Verb};
use synod_simulations::process::alone;

use super::support::{assert_nothing_lost, cut_off, holds, killed, power_loss, s};

const fn kind(thing: &Thing) -> &'static str {
    match thing {
        Thing::Task(_) => "task",
        Thing::Letter(_) => "letter",
        Thing::Pool(_) => "pool",
        Thing::Agent(_) => "agent",
        Thing::Token(_) => "token",
        Thing::Pause(_) => "pause",
        Thing::Workspace(_) => "workspace",
    }
}

#[test]
fn tenants_reach_nothing_of_each_other_whoever_leads() {
    alone(|| {
        let story = Scenario::of(614)
            .asks("submits,keys,tokens,pauses,redrives,tenants".parse().unwrap())
            .lasts(s(55))
            .at_sight(s(8), |scene| power_loss(scene.leader(), s(1)))
            .at_sight(s(18), |scene| cut_off(scene.leader(), s(4)))
            .at_sight(s(30), |scene| killed(scene.leader(), s(1)));
        let outcome = holds(story);
        assert_eq!((outcome.injected(Kind::Crash).len(), outcome.injected(Kind::Partition).len()), (2, 1));
        let (mut reached, mut shown, mut listed_by) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for record in &outcome.history {
            match &record.fact {
                Fact::Asked { request: Request::Reach { thing, verb, .. }, .. } => {
                    reached.insert((kind(thing), *verb));
                }
                Fact::Shown { workspace, things } => {
                    shown.extend(things.iter().map(|thing| (workspace.clone(), kind(thing))));
                    listed_by.extend(record.node);
                }
                _ => {}
            }
        }
        for due in [
            ("task", Verb::Cancel),
            ("task", Verb::Follow),
            ("task", Verb::Look),
            ("letter", Verb::Redrive),
            ("letter", Verb::Follow),
            ("pool", Verb::Pause),
            ("pool", Verb::Retire),
            ("pool", Verb::Submit),
            ("pool", Verb::Look),
            ("agent", Verb::Retire),
            ("token", Verb::Revoke),
            ("workspace", Verb::Submit),
        ] {
            assert!(reached.contains(&due), "nobody tried to {} a {}", due.1.as_str(), due.0);
        }
        for kind in ["task", "letter", "pool", "agent", "token", "pause"] {
            let to = shown.iter().filter(|(_, of)| *of == kind).count();
            assert_eq!(to, 2, "not both tenants were ever shown a {kind} of their own");
        }
        assert_eq!(listed_by.len(), 3, "lists were looked at beside every node");
        assert_nothing_lost(&outcome);
    });
}
