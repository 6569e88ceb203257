//! Every seed with which a world once found something, as `synod simulate` makes it: with all the faults and clients that it
//! draws. What each was is in the table of docs/SIMULATION.md. First one of each finding, then the others that found the same.

use synod_simulations::process::alone;
use synod_simulations::{Outcome, Scenario};

use super::support::s;

/// How long faults go on in them.
const LASTS: u64 = 30;

fn holds_as_drawn(seed: u64, nodes: u64) {
    holds(&Scenario::drawn(seed, nodes, s(LASTS)).run());
}

/// Three nodes, with faults for so many seconds.
fn holds_for(seconds: u64, seed: u64) {
    holds(&Scenario::drawn(seed, 3, s(seconds)).run());
}

fn holds(outcome: &Outcome) {
    assert!(outcome.report.holds(), "{}\n{}", outcome.report, outcome.tail(60));
    assert!(outcome.report.injected.values().sum::<usize>() > 0, "nothing was injected");
}

#[test]
fn one_node_seed_7_stops_no_time_when_its_clock_is_put_right() {
    alone(|| holds_as_drawn(7, 1));
}

#[test]
fn three_nodes_seed_1_refuses_an_empty_log_whose_snapshot_is_damaged() {
    alone(|| holds_as_drawn(1, 3));
}

#[test]
fn three_nodes_seed_2_takes_no_vote_from_one_of_two_who_are_left() {
    alone(|| holds_for(10, 2));
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
fn three_nodes_seed_88_asks_something_of_every_workload() {
    alone(|| holds_as_drawn(88, 3));
}

#[test]
fn three_nodes_seed_141_says_which_row_of_history_is_damaged() {
    alone(|| holds_as_drawn(141, 3));
}

#[test]
fn three_nodes_seed_205_gives_a_newcomer_another_permission_when_the_first_has_expired() {
    alone(|| holds_as_drawn(205, 3));
}

#[test]
fn three_nodes_seed_323_takes_no_vote_while_a_disk_waits_to_be_thrown_away() {
    alone(|| holds_as_drawn(323, 3));
}

#[test]
fn three_nodes_seed_400_takes_nobody_at_an_old_address_for_a_refusal() {
    alone(|| holds_as_drawn(400, 3));
}

#[test]
fn three_nodes_seed_764_keeps_a_large_result_when_all_who_took_it_have_left() {
    alone(|| holds_as_drawn(764, 3));
}

#[test]
fn three_nodes_seed_960_starts_on_a_snapshot_that_ends_before_its_log_begins() {
    alone(|| holds_as_drawn(960, 3));
}

#[test]
fn three_nodes_seed_1048_makes_another_snapshot_for_a_damaged_one() {
    alone(|| holds_as_drawn(1048, 3));
}

#[test]
fn three_nodes_seed_1322_does_not_think_that_what_is_held_still_waits() {
    alone(|| holds_as_drawn(1322, 3));
}

#[test]
fn three_nodes_seed_1668_sees_that_a_node_ends_while_it_leaves() {
    alone(|| holds_as_drawn(1668, 3));
}

#[test]
fn three_nodes_seed_2039_forgets_a_key_by_the_time_of_the_log() {
    alone(|| holds_as_drawn(2039, 3));
}

#[test]
fn four_nodes_seed_17_resumes_what_was_paused() {
    alone(|| holds_as_drawn(17, 4));
}

#[test]
fn three_nodes_seed_107_counts_a_zero_that_was_meant_however_short_the_attempt() {
    alone(|| holds_for(10, 107));
}

#[test]
fn three_nodes_seed_37_counts_the_report_at_the_end_of_an_attempt() {
    alone(|| holds_for(10, 37));
}

#[test]
fn three_nodes_seed_259_pauses_something_though_a_tenant_has() {
    alone(|| holds_as_drawn(259, 3));
}

/// Seeds that found what another had found, each a test of its own, which `just kept-seeds` runs.
macro_rules! hold {
    ($($name:ident: $seed:literal for $seconds:literal s),+ $(,)?) => {$(
        #[test]
        #[ignore = "it found what another had found, and all of them take minutes; `just kept-seeds` runs them"]
        fn $name() {
            alone(|| holds_for($seconds, $seed));
        }
    )+};
}

hold! {
    three_nodes_seed_12_holds: 12 for 30 s,
    three_nodes_seed_36_holds: 36 for 30 s,
    three_nodes_seed_38_holds: 38 for 30 s,
    three_nodes_seed_43_holds: 43 for 30 s,
    three_nodes_seed_160_holds: 160 for 30 s,
    three_nodes_seed_243_holds: 243 for 30 s,
    three_nodes_seed_261_holds: 261 for 30 s,
    three_nodes_seed_321_holds: 321 for 30 s,
    three_nodes_seed_394_holds: 394 for 30 s,
    three_nodes_seed_478_holds: 478 for 30 s,
    three_nodes_seed_562_holds: 562 for 30 s,
    three_nodes_seed_748_holds: 748 for 30 s,
    three_nodes_seed_881_holds: 881 for 30 s,
    three_nodes_seed_977_holds: 977 for 30 s,
    three_nodes_seed_1029_holds: 1029 for 30 s,
    three_nodes_seed_1111_holds: 1111 for 30 s,
    three_nodes_seed_1189_holds: 1189 for 30 s,
    three_nodes_seed_1275_holds: 1275 for 30 s,
    three_nodes_seed_1283_holds: 1283 for 30 s,
    three_nodes_seed_1307_holds: 1307 for 30 s,
    three_nodes_seed_1481_holds: 1481 for 30 s,
    three_nodes_seed_1586_holds: 1586 for 30 s,
    three_nodes_seed_1749_holds: 1749 for 30 s,
    three_nodes_seed_1918_holds: 1918 for 30 s,
    three_nodes_seed_1946_holds: 1946 for 30 s,
    three_nodes_seed_1_holds_for_ten_seconds: 1 for 10 s,
    three_nodes_seed_3_holds_for_ten_seconds: 3 for 10 s,
    three_nodes_seed_11_holds_for_ten_seconds: 11 for 10 s,
    three_nodes_seed_14_holds_for_ten_seconds: 14 for 10 s,
    three_nodes_seed_17_holds_for_ten_seconds: 17 for 10 s,
}
