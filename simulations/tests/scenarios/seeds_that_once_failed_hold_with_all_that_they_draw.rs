//! Every seed whose world once failed, as `synod simulate` makes it: with all the faults and clients that it draws. What
//! each was is in the table of docs/SIMULATION.md.

use synod_simulations::Scenario;
use synod_simulations::process::alone;

use super::support::s;

/// How long faults go on in them.
const LASTS: u64 = 30;

fn holds_as_drawn(seed: u64, nodes: u64) {
    let outcome = Scenario::drawn(seed, nodes, s(LASTS)).run();
    assert!(outcome.report.holds(), "{}\n{}", outcome.report, outcome.tail(60));
    assert!(outcome.report.injected.values().sum::<usize>() > 0, "nothing was injected");
}

#[test]
fn one_node_seed_7_stops_no_time_when_its_clock_is_put_right() {
    alone(|| holds_as_drawn(7, 1));
}

#[test]
fn three_nodes_seed_48_has_somebody_to_claim_to_the_end() {
    alone(|| holds_as_drawn(48, 3));
}

#[test]
fn three_nodes_seed_342_finishes_a_purge_that_a_power_loss_cut_off() {
    alone(|| holds_as_drawn(342, 3));
}

#[test]
fn three_nodes_seed_491_finishes_a_purge_that_a_power_loss_cut_off() {
    alone(|| holds_as_drawn(491, 3));
}

#[test]
fn four_nodes_seed_17_resumes_what_was_paused() {
    alone(|| holds_as_drawn(17, 4));
}
