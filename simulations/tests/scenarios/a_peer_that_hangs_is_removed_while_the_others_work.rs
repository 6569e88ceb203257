//! Removal of a hung peer, T28: it takes connections and never answers. The others remove it, and need no word of it for
//! that; its machine gets an empty disk and comes back as another.

use synod::node::domain::event::Event;
use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::{Fact, Record};
use synod_simulations::process::alone;
use tokio::time::sleep;

use super::support::{
    acknowledged, assert_nothing_lost, assert_one_leader_a_term, assert_states_agree, holds, longest_silence,
    ms, s, told_by,
};

#[test]
fn a_peer_that_hangs_is_removed_while_the_others_work() {
    alone(|| {
        let story = Scenario::of(444)
            .nodes(4)
            .lasts(s(24))
            .at(s(7), Fault::HungPeer { node: 4, lasts: s(8) })
            .client("admin", 1, |seat| async move {
                seat.until(s(8)).await;
                while seat.elapsed() < s(15) {
                    let hung = seat.node().read(|state| {
                        let named = state.nodes().find(|node| node.spec.name.as_str().starts_with("n4-"));
                        named.map(|node| node.spec.id)
                    });
                    let Some(hung) = hung else { return Ok(()) };
                    if seat.node().remove_node(hung, "it hangs").await.is_ok() {
                        return Ok(());
                    }
                    sleep(ms(200)).await;
                }
                Ok(())
            })
            .once(
                |record: &Record| {
                    matches!(&record.fact, Fact::Happened { event: Event::NodeRemoved { .. }, .. })
                },
                ms(1_500),
                |_| Fault::EmptyDisk { node: 4, down: s(6) },
            );
        let outcome = holds(story);
        let (hung, healed) = (outcome.injected(Kind::HungPeer)[0], outcome.healed(Kind::HungPeer)[0]);
        let is_removal = |event: &Event| matches!(event, Event::NodeRemoved { .. });
        let removed: Vec<_> =
            outcome.events().filter(|(_, event)| is_removal(event)).map(|(record, _)| record.at).collect();
        assert_eq!(removed.len(), 1);
        assert!(
            removed[0] > hung && removed[0] < s(13),
            "removed at {:?}, it hung from {hung:?}",
            removed[0]
        );
        let silence = longest_silence(&outcome, removed[0], healed);
        assert!(silence < s(3), "nothing was acknowledged for {silence:?} after its removal");
        assert!(acknowledged(&outcome, hung, healed) > 10);
        let admitted = told_by(&outcome, |fact| matches!(fact, Fact::Admitted { .. }));
        assert_eq!(admitted.iter().filter(|(_, node)| *node == 4).count(), 2, "its machine joins as another");
        assert_one_leader_a_term(&outcome);
        assert_states_agree(&outcome, &[1, 2, 3, 4]);
        assert_nothing_lost(&outcome);
    });
}
