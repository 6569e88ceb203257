//! Stories: worlds in which something is said instead of drawn, one file each, with a sentence for a name.
//!
//! Each runs in a process of its own, which this program starts again for it. Every judge must be content in each, and
//! beyond that each says what must have happened, so that it fails when its fault did not come. `SYNOD_TRACE=FILE`
//! writes the whole trace of one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[cfg(target_os = "linux")]
#[path = "../src/os_random.rs"]
mod os_random;

mod scenarios {
    mod support;

    mod a_clock_that_jumps_by_a_day_ends_no_lease_and_no_wait;
    mod a_completion_that_comes_after_its_lease_has_ended_does_not_count;
    mod a_completion_that_is_said_twice_counts_once;
    mod a_disk_that_lies_about_its_syncs_is_found_out;
    mod a_failed_sync_ends_the_node_and_nothing_is_acknowledged_on_it;
    mod a_file_that_is_gone_or_cut_off_is_noticed_and_made_good;
    mod a_flipped_bit_in_the_log_makes_a_node_refuse_and_begin_anew;
    mod a_flipped_bit_in_the_state_is_noticed_at_the_next_start;
    mod a_full_disk_refuses_work_and_serves_again_when_there_is_room;
    mod a_hundred_tasks_that_fail_at_once_come_back_apart;
    mod a_key_and_an_id_of_another_workspace_lead_nowhere;
    mod a_leader_that_is_not_heard_and_one_that_does_not_hear_are_both_replaced_or_served;
    mod a_leader_that_pauses_for_longer_than_a_lease_comes_back_as_a_follower;
    mod a_link_that_flaps_costs_seconds_and_no_work;
    mod a_machine_is_admitted_while_another_is_cut_off;
    mod a_machine_that_dies_after_any_step_of_its_work_comes_back_whole;
    mod a_machine_that_joins_under_load_becomes_a_member_and_works;
    mod a_machine_that_stays_out_is_not_waited_for;
    mod a_minority_takes_no_work_and_no_term_has_two_leaders;
    mod a_node_that_does_not_hear_that_it_was_removed_has_left;
    mod a_node_that_falls_behind_again_and_again_always_catches_up;
    mod a_node_that_leaves_takes_nothing_with_it_and_its_machine_joins_as_another;
    mod a_node_whose_disk_was_emptied_comes_back_as_another;
    mod a_peer_that_hangs_holds_nobody_up;
    mod a_peer_that_hangs_is_removed_while_the_others_work;
    mod a_slow_disk_of_a_follower_slows_nobody_and_one_of_the_leader_stops_nobody;
    mod a_snapshot_that_is_cut_off_midway_is_given_again;
    mod a_task_that_always_fails_ends_as_a_dead_letter_and_harms_nobody;
    mod a_task_that_kills_the_node_it_runs_on_does_not_kill_them_all;
    mod a_torn_batch_at_the_end_of_the_log_is_cut_off;
    mod a_voter_is_replaced_while_another_is_cut_off;
    mod a_worker_has_no_vote_and_does_its_work_all_the_same;
    mod acknowledged_work_survives_a_power_loss_of_all_nodes;
    mod acknowledged_work_survives_a_power_loss_of_the_leader;
    mod agents_that_answer_late_twice_or_never_end_every_task_once;
    mod agents_that_lie_about_what_they_use_are_counted_once_each;
    mod all_nodes_are_restarted_one_after_the_other_and_work_goes_on;
    mod an_old_leader_does_not_tell_the_past_for_the_present;
    mod breakers_open_half_open_and_close_as_they_say_whoever_leads;
    mod budgets_at_their_limit_hold_whoever_dies_and_whatever_agents_say;
    mod calling_work_off_while_it_is_done_ends_it_once;
    mod everything_that_governs_holds_together_while_machines_come_and_go;
    mod forty_agents_that_lose_their_leader_at_once_bring_no_second_election;
    mod leadership_that_is_handed_over_costs_no_work_and_little_time;
    mod limits_that_change_live_hold_while_the_leader_is_cut_off;
    mod lost_and_doubled_datagrams_cost_no_node_its_work;
    mod one_key_is_one_task_whoever_leads;
    mod one_loses_its_power_while_the_others_stand_still;
    mod power_that_goes_in_the_middle_of_a_write_costs_nothing;
    mod power_that_is_lost_again_and_again_costs_no_acknowledged_work;
    mod providers_that_refuse_are_left_alone_and_their_work_goes_when_its_time_comes;
    mod quotas_that_change_live_hold_and_what_they_held_back_ends;
    mod resources_are_granted_all_at_once_and_come_back_whoever_dies;
    mod seed_7_of_one_node_stops_no_time_when_its_clock_is_put_right;
    mod seeds_that_once_failed_hold_with_all_that_they_draw;
    mod tenants_reach_nothing_of_each_other_whoever_leads;
    mod the_audit_log_is_one_chain_on_a_node_that_came_back_with_a_snapshot;
    mod three_times_the_load_is_refused_and_the_world_is_as_before;
    mod two_claims_at_once_never_get_one_lease;
    mod two_nodes_that_do_not_reach_each_other_still_work_through_the_third;
    mod what_waits_for_an_approval_waits_through_a_blackout_and_never_begins_without_it;
    mod what_waits_long_enough_is_not_starved_by_what_is_urgent;
    mod what_webhooks_want_is_told_in_order_whoever_leads;
}
