//! Roles: a node that is made a worker votes no more and leads no more, and works. Its death leaves the majority alone;
//! made a voter again, it is one.

use synod::node::domain::event::Event;
use synod::node::domain::node::NodeRole;
use synod_simulations::Scenario;
use synod_simulations::faults::Kind;
use synod_simulations::history::Fact;
use synod_simulations::process::alone;
use tokio::time::sleep;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, killed,
    led_after, longest_silence, ms, s,
};

#[test]
fn a_worker_has_no_vote_and_does_its_work_all_the_same() {
    alone(|| {
        let story = Scenario::of(446)
            .lasts(s(30))
            .client("admin", 1, |seat| async move {
                for (at, role) in [(s(5), NodeRole::Worker), (s(18), NodeRole::Voter)] {
                    seat.until(at).await;
                    loop {
                        let third = seat.node().read(|state| {
                            let named = state.nodes().find(|node| node.spec.name.as_str().starts_with("n3-"));
                            named.map(|node| (node.spec.id, node.role))
                        });
                        match third {
                            Some((_, is)) if is == role => break,
                            Some((node, _)) => drop(seat.node().set_node_role(node, role).await),
                            None => {}
                        }
                        sleep(ms(100)).await;
                    }
                }
                Ok(())
            })
            .at(s(13), killed(3, s(2)))
            // Two of three are a majority only if the third votes again.
            .at(s(24), killed(2, s(3)));
        let outcome = holds(story);
        let changed: Vec<_> = outcome
            .events()
            .filter_map(|(record, event)| match event {
                Event::NodeRoleChanged { role, .. } => Some((record.at, *role)),
                _ => None,
            })
            .collect();
        let [(demoted, NodeRole::Worker), (promoted, NodeRole::Voter)] = changed[..] else {
            panic!("{changed:?}")
        };
        let crashes = outcome.injected(Kind::Crash);
        assert!(demoted < crashes[0] && promoted < crashes[1]);
        let led = led_after(&outcome, demoted + s(2));
        assert!(led.iter().all(|(at, node)| *node != 3 || *at > promoted), "a worker led: {led:?}");
        let works = outcome
            .facts(|fact| matches!(fact, Fact::Acts { .. }))
            .filter(|record| record.node == Some(3) && record.at > demoted + s(1) && record.at < crashes[0]);
        assert!(works.count() > 3, "it works");
        let silence = longest_silence(&outcome, crashes[0], crashes[0] + s(2));
        assert!(silence < s(1), "nobody needs the vote of a worker: {silence:?}");
        assert!(acknowledged(&outcome, crashes[1] + s(2), crashes[1] + s(3)) > 0, "it votes again");
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3]);
        assert_nothing_lost(&outcome);
    });
}
