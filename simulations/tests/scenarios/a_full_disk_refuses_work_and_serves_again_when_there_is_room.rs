//! Disk full, T12: what is new is refused and says why, what is in hand can be read and ended, and no node fails of it.

use synod_simulations::Scenario;
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::{Answer, Fact, Request};
use synod_simulations::process::alone;

use super::support::{acknowledged, assert_nothing_lost, holds, s};

/// Just less than what the disk of a world keeps for work in hand.
const RESERVE: u64 = 60 * 1024;

/// What a submit is answered that the disk has no room for.
const NO_ROOM: &str = "no room for new work";

#[test]
fn a_full_disk_refuses_work_and_serves_again_when_there_is_room() {
    alone(|| {
        let story = Scenario::of(425)
            .nodes(1)
            .asks("submits,claims".parse().unwrap())
            .lasts(s(14))
            .at(s(5), Fault::FullDisk { node: 1, lasts: s(4), bytes: RESERVE });
        let outcome = holds(story);
        let (full, healed) = (outcome.injected(Kind::FullDisk)[0], outcome.healed(Kind::FullDisk)[0]);
        let within = |answered: &dyn Fn(&Answer) -> bool| {
            let facts =
                outcome.facts(|fact| matches!(fact, Fact::Answered { answer, .. } if answered(answer)));
            facts.filter(|record| record.at >= full && record.at <= healed).count()
        };
        let refused = within(&|answer| matches!(answer, Answer::Failed(why) if why.contains(NO_ROOM)));
        assert!(refused > 0, "nobody was told that there is no room");
        let read = within(&|answer| matches!(answer, Answer::Looked(Some(_))));
        assert!(read > 3, "only {read} looks were answered meanwhile");
        // Completed by agents outside and inside, under a full disk.
        let ended = within(&|answer| matches!(answer, Answer::Ended(_)));
        let told = outcome.events().filter(|(record, event)| {
            let ended = matches!(event, synod::node::domain::event::Event::TaskEnded { .. });
            ended && record.at > full && record.at < healed
        });
        let ended = ended + told.count();
        assert!(ended > 3, "only {ended} of what was in hand could be ended");
        let submits =
            outcome.count(|fact| matches!(fact, Fact::Asked { request: Request::Submit { .. }, .. }));
        assert!(submits > 20);
        assert_eq!(outcome.count(|fact| matches!(fact, Fact::NodeFailed { .. })), 0, "a node failed of it");
        assert!(acknowledged(&outcome, s(1), full) > 5);
        assert!(acknowledged(&outcome, healed + s(2), s(14)) > 5, "it serves again");
        assert_nothing_lost(&outcome);
    });
}
