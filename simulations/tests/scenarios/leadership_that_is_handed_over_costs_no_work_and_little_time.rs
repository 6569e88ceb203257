//! Handover by request, as before an upgrade: another leads in the next term, and nobody waits for an election.

use synod_simulations::Scenario;
use synod_simulations::process::alone;

use super::support::{
    assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, longest_silence, s,
};

#[test]
fn leadership_that_is_handed_over_costs_no_work_and_little_time() {
    alone(|| {
        let story = Scenario::of(447).lasts(s(24)).client("admin", 2, |seat| async move {
            for round in 0..5 {
                seat.until(s(6) + s(3) * round).await;
                let said = seat.node().transfer_leadership(None).await;
                seat.note(&said.is_ok());
            }
            Ok(())
        });
        let outcome = holds(story);
        let handed: Vec<_> =
            outcome.noted("admin").iter().filter(|(_, said)| *said == true).map(|(at, _)| *at).collect();
        assert!(handed.len() >= 4, "only {} of 5 were handed over", handed.len());
        let led: Vec<_> = outcome.leaders().into_iter().filter(|(at, _, _)| *at > s(5)).collect();
        assert!(led.len() >= handed.len(), "{led:?}");
        for at in handed {
            let silence = longest_silence(&outcome, at, at + s(3));
            assert!(silence < s(1), "nothing was acknowledged for {silence:?} after {at:?}");
        }
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
