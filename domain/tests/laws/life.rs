//! Laws of the life of a task: none is lost, each ends once, one valid lease.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use synod_domain::event::Event;
use synod_domain::id::TaskId;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::state::State;
use synod_domain::task::TaskStatus;

use super::histories::{config, histories, one_by_one};
use super::world::name;

/// What an onlooker who sees only events and answers knows.
#[derive(Default)]
struct Onlooker {
    accepted: BTreeSet<TaskId>,
    ended: BTreeSet<TaskId>,
    forwarded: BTreeSet<TaskId>,
    attempts: BTreeMap<TaskId, u32>,
}

impl Onlooker {
    fn see(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::TaskSubmitted { task, .. } | Event::TaskKept { task, .. } => {
                prop_assert!(self.accepted.insert(*task), "{task} was accepted twice");
            }
            Event::TaskLeased { task, attempt, .. } => {
                let before = self.attempts.insert(*task, *attempt).unwrap_or(0);
                prop_assert_eq!(*attempt, before + 1, "attempts of {} go up by one", task);
            }
            Event::TaskEnded { task, .. } => {
                prop_assert!(self.accepted.contains(task), "{task} ended before it was accepted");
                prop_assert!(self.ended.insert(*task), "{task} ended twice");
            }
            Event::TaskForwarded { task, .. } => {
                prop_assert!(!self.ended.contains(task), "{task} was forwarded after its end");
                prop_assert!(self.forwarded.insert(*task), "{task} was forwarded twice");
            }
            _ => {}
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn no_task_is_lost_and_each_ends_once_with_a_reason(history in histories()) {
        let mut state = State::default();
        let mut onlooker = Onlooker::default();
        let mut archived: BTreeSet<TaskId> = BTreeSet::new();
        for entry in &history {
            for event in state.apply(entry).events {
                onlooker.see(&event)?;
                if let Event::TaskEnded { phase, reason, .. } = event {
                    let completed = phase == synod_domain::task::Phase::Completed;
                    prop_assert_eq!(reason.is_none(), completed);
                    prop_assert!(reason.is_none_or(|reason| !reason.is_empty()));
                }
            }
            let unfinished: BTreeSet<TaskId> = state.tasks().map(|task| task.spec.id).collect();
            let ended: BTreeSet<TaskId> = state.recently_ended().map(|task| task.spec.id).collect();
            prop_assert!(state.tasks().all(|task| task.end().is_none()));
            prop_assert!(state.recently_ended().all(|task| task.end().is_some()));
            prop_assert!(ended.is_disjoint(&archived));
            prop_assert_eq!(&(&unfinished | &onlooker.ended) | &onlooker.forwarded, onlooker.accepted.clone());
            prop_assert!(unfinished.is_disjoint(&onlooker.ended));
            prop_assert!(onlooker.forwarded.is_disjoint(&(&unfinished | &onlooker.ended)));
            prop_assert_eq!(&ended | &archived, onlooker.ended.clone());
            if entry.seed % 3 == 0 {
                state.take_changes();
                state.changes_stored();
                archived.extend(ended);
            }
        }
    }

    #[test]
    fn a_lease_stands_with_its_task_and_its_agent_alike_and_capacity_is_kept(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            let before: BTreeMap<_, _> = state.agents().map(|one| (one.spec.id, one.held.len())).collect();
            state.apply(entry);
            let mut held: BTreeMap<_, BTreeSet<TaskId>> = BTreeMap::new();
            for task in state.tasks() {
                if let Some(lease) = task.lease() {
                    prop_assert_eq!(lease.attempt, task.attempt);
                    held.entry(lease.agent).or_default().insert(task.spec.id);
                }
            }
            for agent in state.agents() {
                let leased = held.remove(&agent.spec.id).unwrap_or_default();
                prop_assert_eq!(&agent.held, &leased, "{} holds what is leased to it", agent.spec.id);
                // Registered again with fewer slots it may hold more than that, but takes nothing.
                let grew = agent.held.len() > before.get(&agent.spec.id).copied().unwrap_or(0);
                prop_assert!(!grew || agent.held.len() <= agent.spec.concurrency as usize);
                prop_assert!(!grew || agent.standing == synod_domain::agent::Standing::Ready);
            }
            prop_assert!(held.is_empty(), "leases without an agent: {held:?}");
        }
    }

    #[test]
    fn totals_and_mailboxes_agree_with_the_tasks(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            prop_assert_eq!(state.unfinished(), state.tasks().count() as u64);
            let bytes: usize = state.tasks().map(|task| task.spec.weight()).sum();
            prop_assert_eq!(state.payload_bytes(), bytes as u64);
            for workspace in ["w1", "w2", "w3"].map(name) {
                let count = state.tasks().filter(|task| task.spec.workspace == workspace).count();
                prop_assert_eq!(state.unfinished_of(&workspace), count as u64);
            }
            for pool in ["a", "b"].map(name) {
                let mailbox = synod_domain::task::MailboxId::Pool(pool.clone());
                let count = state.tasks().filter(|task| task.mailbox_here() == Some(&mailbox)).count();
                prop_assert_eq!(state.unfinished_for(&pool), count as u64);
            }
            let mut waiting = BTreeMap::new();
            for task in state.tasks().filter(|task| matches!(task.status, TaskStatus::Waiting { .. })) {
                *waiting.entry(task.spec.mailbox.clone()).or_insert(0) += 1;
            }
            let depths: BTreeMap<_, _> = state.mailboxes().map(|(id, one)| (id.clone(), one.depth())).collect();
            prop_assert_eq!(waiting, depths);
        }
    }
}

/// Without this the laws could hold because nothing happens.
#[test]
fn histories_reach_every_event_every_refusal_and_every_reply() {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..3_500 {
        let mut state = State::default();
        for entry in histories().new_tree(&mut runner).unwrap().current() {
            let effects = state.apply(&entry);
            let words = effects.events.iter().map(|event| match event {
                Event::TaskEnded { phase, .. } => format!("ended {phase}"),
                other => first_word(other),
            });
            let hooks = effects.events.iter().filter_map(super::hooks::told).map(|(_, told)| match told {
                Some((status, _)) => format!("hook {status}"),
                None => "hook forgotten".to_owned(),
            });
            let governed = effects.events.iter().filter_map(|event| match event {
                Event::Governed { what, .. } => Some(what.as_str().to_owned()),
                _ => None,
            });
            for word in words.chain(hooks).chain(governed) {
                *seen.entry(word).or_default() += 1;
            }
            for (answer, request) in effects.answers.iter().zip(&entry.commands) {
                let word = match answer {
                    Ok(Reply::Claimed(leases)) if leases.is_empty() => "claimed nothing".to_owned(),
                    Ok(reply) => first_word(reply),
                    Err(Refusal::Full { bound, .. }) => format!("full {}", first_word(bound)),
                    Err(refusal) => refusal.code().to_owned(),
                };
                *seen.entry(word).or_default() += 1;
                let applied = if answer.is_ok() { "accepted" } else { "refused" };
                *seen.entry(format!("{applied} {}", first_word(&request.command))).or_default() += 1;
            }
        }
    }
    let expected = [
        "TaskSubmitted",
        "TaskLeased",
        "TaskStarted",
        "TaskProgressed",
        "TaskReturned",
        "TaskReady",
        "TaskRose",
        "ended completed",
        "ended failed",
        "ended timed_out",
        "ended cancelled",
        "DeadLetterRemoved",
        "AgentRegistered",
        "AgentChanged",
        "AgentRemoved",
        "PoolChanged",
        "PoolRemoved",
        "RunStarted",
        "RunEnded",
        "Paused",
        "Resumed",
        "TokenCreated",
        "TokenRotated",
        "TokenRevoked",
        "NodeAdmitted",
        "NodeStarted",
        "NodeDown",
        "NodeUp",
        "NodeDraining",
        "NodeRoleChanged",
        "NodeRemoved",
        "TermBegun",
        "TaskParked",
        "Governed",
        "accepted Breaker",
        "accepted LimitSet",
        "breaker_unknown",
        "Done",
        "Admitted",
        "Submitted",
        "Claimed",
        "claimed nothing",
        "Ended",
        "WillRetry",
        "task_unknown",
        "already_ended",
        "lease_lost",
        "full Mailbox",
        "full Workspace",
        "full Node",
        "full PayloadBytes",
        "idempotency_conflict",
        "task_exists",
        "agent_unknown",
        "agent_unavailable",
        "pool_unknown",
        "pool_in_use",
        "run_unknown",
        "run_open",
        "invalid",
        "agent_name_taken",
        "pool_retiring",
        "token_unknown",
        "token_exists",
        "node_unknown",
        "node_forgot",
        "node_name_taken",
        "node_away",
        "last_voter",
        "join_token_refused",
        "gossip_key_refused",
        "full GossipKeys",
        "accepted PutRegionToken",
        "accepted AdmitRegion",
        "refused AdmitRegion",
        "accepted KnowRegion",
        "refused KnowRegion",
        "accepted RemoveRegion",
        "accepted ShareRing",
        "region_unknown",
        "accepted ClaimOnce",
        "accepted InstallGossipKey",
        "accepted UseGossipKey",
        "accepted RemoveGossipKey",
        "accepted PutJoinToken",
        "accepted RevokeJoinToken",
        "accepted Redrive",
        "refused Redrive",
        "accepted Purge",
        "accepted SetLane",
        "accepted Release",
        "accepted RemovePool",
        "accepted StartNode",
        "accepted EndRun",
        "accepted SetLimits",
        "accepted ScalePool",
        "accepted RetireAgent",
        "accepted RetirePool",
        "accepted Pause",
        "accepted Resume",
        "TaskKept",
        "TaskOffered",
        "TaskRefusedThere",
        "TaskForwarded",
        "task_elsewhere",
        "task_not_kept",
        "accepted KeepForRegion",
        "refused KeepForRegion",
        "accepted OfferToRegion",
        "accepted ForwardedTo",
        "accepted RegionRefused",
        "accepted TakeHere",
        "refused TakeHere",
        "accepted TakeOffered",
        "refused TakeOffered",
        "accepted RefuseOffered",
        "offer_declined",
        "accepted AdmitRegionAs",
        "accepted SeeRegion",
        "refused SeeRegion",
        "accepted LoseRegion",
        "refused LoseRegion",
        "Governed",
        "hook PENDING",
        "hook ACTIVE",
        "hook COMPLETED",
        "hook FAILED",
        "hook ABANDONED",
        "hook forgotten",
        "accepted Hook",
        "hook_unknown",
        "hook_exists",
        "hook_fenced",
        "hook_ended",
        "hook_in_use",
        "hook_branch_taken",
        "hook_out_of_reach",
        "hook_without_agent",
        "accepted SubmitAfter",
        "refused SubmitAfter",
        "prerequisite_unknown",
        "accepted Fabric",
        "refused Fabric",
        "full FabricAgents",
        "TaskParked",
        "accepted SubmitWith",
        "budget_put",
        "budget_removed",
        "budget_reset",
        "budget_warned",
        "budget_exhausted",
        "budget_reopened",
        "budget_raised",
        "budget_unknown",
        "account_held",
        "attempt_over_budget",
        "accepted Budget",
        "refused Budget",
        "accepted Resource",
        "refused Resource",
        "refused SubmitWith",
        "resource_unknown",
        "resource_in_use",
        "accepted Pool",
        "refused Pool",
        "nobody_free",
        "rollout_refused",
        "accepted Policy",
        "refused Policy",
        "Governed",
        "Ruled",
        "policy_denied",
    ];
    let missing: Vec<_> = expected.iter().filter(|word| !seen.contains_key(**word)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}; seen: {seen:?}");
}

fn first_word(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}
