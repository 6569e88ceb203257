//! What is next in a rollout, and that it comes to an end.

use proptest::prelude::*;

use super::*;
use crate::name::Name;

fn blueprint(concurrency: u32) -> Arc<Blueprint> {
    let runtime = RuntimeSpec::Native(Name::default());
    Arc::new(Blueprint { runtime, capabilities: Capabilities::default(), concurrency })
}

fn rollout(stage: Stage, batch: u32, canary: Option<Canary>) -> Rollout {
    Rollout {
        from: Version { number: 1, blueprint: blueprint(1) },
        to: Version { number: 2, blueprint: blueprint(2) },
        policy: RolloutPolicy { batch, canary },
        stage,
        paused: None,
        reason: "".into(),
        began_at: Timestamp::ZERO,
        since: Timestamp::ZERO,
        old: Tally::default(),
        new: Tally::default(),
    }
}

fn agent(raw: u128) -> AgentId {
    AgentId::from_raw(raw)
}

fn member(raw: u128, version: u64) -> Member {
    Member {
        agent: agent(raw),
        version,
        renewing: None,
        standing: Standing::Ready,
        held: 0,
        tally: Tally::default(),
    }
}

const CANARY: Canary = Canary { agents: 2, tasks_min: 10, excess_percent: 20 };

#[test]
fn no_more_than_a_batch_is_on_its_way_and_idle_agents_go_first() {
    let rollout = rollout(Stage::Rolling, 2, None);
    let mut members = vec![member(1, 1), member(2, 1), member(3, 1), member(4, 2)];
    members[0].held = 3;
    assert_eq!(next(&rollout, &members), Step::Renew { agents: vec![agent(2), agent(3)], version: 2 });
    members[1].renewing = Some(2);
    assert_eq!(next(&rollout, &members), Step::Renew { agents: vec![agent(3)], version: 2 });
    members[3].standing = Standing::Starting;
    assert!(matches!(next(&rollout, &members), Step::Wait(_)));
}

#[test]
fn rollout_is_done_when_all_are_of_the_new_version_and_serve() {
    let rollout = rollout(Stage::Rolling, 2, None);
    let mut members = vec![member(1, 2), member(2, 2)];
    members[1].standing = Standing::Starting;
    assert!(matches!(next(&rollout, &members), Step::Wait(_)));
    members[1].standing = Standing::Ready;
    // Nobody waits for one whose node is gone: it begins from the new version when it is back.
    members.push(Member { standing: Standing::Offline, ..member(3, 1) });
    let reason = "all agents are of version 2".to_owned();
    assert_eq!(next(&rollout, &members), Step::Enter { stage: Stage::Done, reason });
}

#[test]
fn failed_agent_of_the_new_version_turns_the_rollout_around() {
    for stage in [Stage::Canary, Stage::Rolling] {
        let rollout = rollout(stage, 2, Some(CANARY));
        let mut members = vec![member(1, 2), member(2, 1)];
        members[0].standing = Standing::Failed;
        let Step::Enter { stage, reason } = next(&rollout, &members) else { panic!("it goes on") };
        assert_eq!((stage, reason.contains("failed")), (Stage::RollingBack, true));
    }
    // One of the old version was broken before.
    let rollout = rollout(Stage::Rolling, 1, None);
    let members = [Member { standing: Standing::Failed, ..member(1, 1) }];
    assert_eq!(next(&rollout, &members), Step::Renew { agents: vec![agent(1)], version: 2 });
}

#[test]
fn canaries_are_started_watched_and_followed() {
    let rollout = rollout(Stage::Canary, 5, Some(CANARY));
    let mut members: Vec<Member> = (1..=4).map(|raw| member(raw, 1)).collect();
    assert_eq!(next(&rollout, &members), Step::Renew { agents: vec![agent(1), agent(2)], version: 2 });
    members[0].renewing = Some(2);
    members[1].version = 2;
    assert_eq!(next(&rollout, &members), Step::Wait("its first agents are on their way".to_owned()));
    members[0] = member(1, 2);
    members[0].tally = Tally { completed: 6, failed: 1 };
    let waits = Step::Wait("7 of 10 attempts of the new version have ended".to_owned());
    assert_eq!(next(&rollout, &members), waits);
    members[1].tally = Tally { completed: 3, failed: 0 };
    let reason = "of 10 attempts of the new version 1 failed".to_owned();
    assert_eq!(next(&rollout, &members), Step::Enter { stage: Stage::Rolling, reason });
}

#[test]
fn canaries_that_fail_more_often_than_the_others_turn_it_around_as_soon_as_that_is_certain() {
    let rollout = rollout(Stage::Canary, 5, Some(CANARY));
    let mut members = vec![member(1, 2), member(2, 2), member(3, 1)];
    // 2 of 10 would be 20 %, which is what may be.
    members[0].tally = Tally { completed: 0, failed: 2 };
    assert!(matches!(next(&rollout, &members), Step::Wait(_)));
    members[0].tally = Tally { completed: 0, failed: 3 };
    assert!(matches!(next(&rollout, &members), Step::Enter { stage: Stage::RollingBack, .. }));
    // The work itself is at fault: the others fail as often.
    members[2].tally = Tally { completed: 80, failed: 20 };
    assert!(matches!(next(&rollout, &members), Step::Wait(_)));
}

#[test]
fn paused_rollout_stands_still() {
    let mut rollout = rollout(Stage::Rolling, 1, None);
    rollout.paused = Some("lunch".into());
    assert_eq!(next(&rollout, &[member(1, 1)]), Step::Wait("it is paused: lunch".to_owned()));
}

/// What may happen to a small pool while the rule is followed.
fn follow(
    mut rollout: Rollout,
    mut members: Vec<Member>,
    mut fates: impl Iterator<Item = u8>,
) -> (Rollout, usize) {
    let mut away_most = 0;
    for _ in 0..500 {
        match next(&rollout, &members) {
            Step::Enter { stage, .. } => rollout.stage = stage,
            Step::Renew { agents, version } => {
                assert!(!agents.is_empty());
                for member in members.iter_mut().filter(|member| agents.contains(&member.agent)) {
                    assert_eq!(member.renewing, None);
                    member.renewing = Some(version);
                }
            }
            Step::Wait(_) => {
                if rollout.stage.is_over() {
                    break;
                }
                let fate = fates.next().unwrap_or(0);
                for member in &mut members {
                    if let Some(version) = member.renewing.take() {
                        let standing =
                            if fate == 1 && version == 2 { Standing::Failed } else { Standing::Ready };
                        (member.version, member.standing, member.tally) =
                            (version, standing, Tally::default());
                    } else if fate == 2 && member.version == 2 {
                        member.tally.failed += 1;
                    } else {
                        member.tally.completed += 1;
                    }
                }
            }
        }
        away_most = away_most.max(members.iter().filter(|member| member.renewing.is_some()).count());
    }
    let goal = rollout.goal().number;
    assert!(members.iter().all(|member| member.version == goal), "{rollout:?} {members:?}");
    (rollout, away_most)
}

proptest! {
    #[test]
    fn rollout_ends_with_all_agents_of_one_version_and_keeps_to_its_batch(
        size in 1_u128..9, batch in 1_u32..4, canary in prop::option::of((1_u32..4, 0_u64..12, 0_u32..50)),
        fates in prop::collection::vec(0_u8..3, 0..30),
    ) {
        let canary = canary.map(|(agents, tasks_min, excess_percent)| Canary { agents, tasks_min, excess_percent });
        let rollout = rollout(Stage::Canary, batch, canary);
        let members = (1..=size).map(|raw| member(raw, 1)).collect();
        let (rollout, away_most) = follow(rollout, members, fates.into_iter());
        prop_assert!(rollout.stage.is_over(), "{:?}", rollout);
        prop_assert!(away_most <= batch as usize);
    }
}
