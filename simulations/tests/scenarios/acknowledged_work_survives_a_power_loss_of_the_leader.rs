//! Lost acknowledgement after a power loss, T4: what was answered "durable" is there when the machine is back.

use std::time::Duration;

use synod_simulations::Scenario;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;

use super::support::{
    assert_nothing_lost, assert_one_leader_a_term, holds, led_after, power_loss, s, told_by, victim,
};

#[test]
fn acknowledged_work_survives_a_power_loss_of_the_leader() {
    alone(|| {
        let story = Scenario::of(401).lasts(s(12)).at_sight(s(6), |scene| power_loss(scene.leader(), s(3)));
        let outcome = holds(story);
        let lost =
            told_by(&outcome, |fact| matches!(fact, Fact::Lost { unsynced, kept: 0 } if *unsynced > 0));
        let [(at, node)] = lost[..] else { panic!("one machine lost unsynced writes: {lost:?}") };
        assert_eq!(node, victim(&outcome));
        let (elected, leader) = led_after(&outcome, at)[0];
        assert_ne!(leader, node, "another one leads meanwhile");
        assert!(elected - at < Duration::from_secs(3), "elected {:?} after", elected - at);
        let lives = outcome.count(|fact| matches!(fact, Fact::Started { life: 2 }));
        assert_eq!(lives, 1, "the machine came back and takes work");
        assert_one_leader_a_term(&outcome);
        assert_nothing_lost(&outcome);
    });
}
