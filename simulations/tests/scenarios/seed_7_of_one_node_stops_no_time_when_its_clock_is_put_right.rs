//! Seed 7 of one node, "all work ends": the clock of a node that stands alone was ahead by most of a day for half a minute.
//! Put right, it was behind all that had been, and the node's time stood still until it would be there: no timeout and no
//! backoff came due for a day.
//!
//! Mended in `cluster/src/clock.rs`, with `time_goes_on_for_a_node_alone_whose_wall_clock_was_ahead_and_is_put_right`.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::process::alone;

use super::support::{holds, s};

const HOUR: i64 = 3_600_000;

#[test]
fn seed_7_of_one_node_stops_no_time_when_its_clock_is_put_right() {
    alone(|| {
        let jump = Fault::ClockJump { node: 1, lasts: s(4), millis: 23 * HOUR };
        let outcome = holds(Scenario::of(7).nodes(1).lasts(s(20)).at(s(3), jump));
        assert_eq!(outcome.healed(Kind::ClockJump).len(), 1);
        assert!(outcome.acknowledged().len() > 30, "too little was asked to hang");
    });
}
