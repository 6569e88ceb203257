//! The model within small bounds, and a leader that acknowledges too early.

use synod_model::properties::{ACKNOWLEDGED_EXISTS, ANSWERED_AGAIN, search};
use synod_model::protocol::Bounds;

#[test]
fn every_order_of_a_few_events_keeps_the_promises() {
    let found = search(Bounds::SMALL);
    print!("{found}");
    assert!(found.holds(), "{found}");
    assert!(found.states > 10_000, "so few states show nothing: {found}");
}

#[test]
fn two_operations_on_their_way_together_keep_the_promises() {
    let found = search(Bounds::WIDE);
    print!("{found}");
    assert!(found.broken.is_empty(), "{found}");
    // Nobody asks again here, so this alone is not reached.
    assert_eq!(found.unreached, [ANSWERED_AGAIN], "{found}");
}

#[test]
fn a_leader_that_answers_before_the_follower_has_it_is_found() {
    let found = search(Bounds { eager: true, ..Bounds::WIDE });
    assert!(found.broken.iter().any(|(property, _)| *property == ACKNOWLEDGED_EXISTS), "{found}");
}

#[test]
#[ignore = "takes minutes and gigabytes; `just model` does it in a release build"]
fn every_order_of_more_events_keeps_the_promises() {
    let found = search(Bounds::LARGE);
    assert!(found.holds(), "{found}");
}
