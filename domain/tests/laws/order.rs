//! The law of order: a claim takes what a slow and obvious model says may be taken.

use proptest::prelude::*;
use synod_domain::agent::Agent;
use synod_domain::capability::Capabilities;
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::pause::Pausable;
use synod_domain::reply::Reply;
use synod_domain::state::State;
use synod_domain::task::{Lane, Task, TaskStatus};
use synod_domain::time::Timestamp;

use super::histories::{config, histories, one_by_one};

/// A waiting task as the model sees it.
#[derive(Debug, Clone)]
struct Waiting {
    lane: Lane,
    source: usize,
    workspace: Name,
    place: (Timestamp, u64),
    task: synod_domain::id::TaskId,
}

/// What the agent could take, after those who waited too long rose a lane.
fn candidates(state: &State, agent: &Agent, offered: &Capabilities) -> Vec<Waiting> {
    let is_paused = |what| state.pauses().any(|pause| pause.what == what);
    if agent.spec.pool.clone().is_some_and(|pool| is_paused(Pausable::Pool(pool))) {
        return Vec::new();
    }
    if agent.takes_work() && !state.may_claim(agent) {
        return Vec::new();
    }
    let sources = state.sources_of(&agent.spec);
    let waiting = |task: &Task| {
        let since = match &task.status {
            TaskStatus::Waiting { since } => *since,
            // What is kept from others may be for this one.
            TaskStatus::Parked { parking } if state.is_barred(task) && state.admits(agent, task) => {
                parking.lane_since
            }
            _ => return None,
        };
        let source = sources.iter().position(|source| *source == task.spec.mailbox)?;
        let paused = is_paused(Pausable::Mailbox(task.spec.mailbox.clone()))
            || is_paused(Pausable::Workspace(task.spec.workspace.clone()));
        if paused || !offered.satisfy(&task.spec.demand) {
            return None;
        }
        let rises = since.after(state.limits().ageing) <= state.now();
        Some(Waiting {
            lane: task.lane.above().filter(|_| rises).unwrap_or(task.lane),
            source,
            workspace: task.spec.workspace.clone(),
            place: (task.spec.deadline.unwrap_or(Timestamp::NEVER), task.sequence),
            task: task.spec.id,
        })
    };
    state.tasks().filter_map(|task| waiting(task)).collect()
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn a_claim_takes_by_lane_then_by_distance_then_by_deadline_and_age_within_a_workspace(
        history in histories(),
    ) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            let before = entry.commands.first().and_then(|request| match &request.command {
                // What a gate holds back is no candidate; the laws of each gate say what that is.
                Command::Claim { .. }
                    if state.breakers().any(|one| one.circuit.word() != "closed")
                        || state.limit_sets().next().is_some() =>
                {
                    None
                }
                Command::Claim { agent, max, offered, .. } => {
                    let agent = state.agent(*agent)?.clone();
                    let offered = offered.as_ref().unwrap_or(&agent.spec.capabilities);
                    Some((candidates(&state, &agent, offered), agent.free().min(*max)))
                }
                _ => None,
            });
            let leased_before: Vec<_> =
                state.tasks().filter(|task| task.lease().is_some()).map(|task| task.spec.id).collect();
            let effects = state.apply(entry);
            let (Some((mut waiting, most)), Some(Ok(Reply::Claimed(taken)))) = (before, effects.answers.first())
            else {
                continue;
            };
            // A repeated request is answered with the leases it got then.
            if taken.iter().any(|one| leased_before.contains(&one.spec.id)) || effects.events.is_empty() {
                continue;
            }
            // What governs holds tasks back, ends them, or gives an agent nothing more.
            waiting.retain(|one| {
                let task = state.task(one.task);
                let taken = taken.iter().any(|other| other.spec.id == one.task);
                // So does a quota that is used up by what was taken, or was before.
                let rests = state.is_beyond_quota(&one.workspace);
                taken || !rests && task.is_some_and(|task| matches!(task.status, TaskStatus::Waiting { .. }))
            });
            let governed = entry.commands.first().is_some_and(|request| match &request.command {
                Command::Claim { agent, .. } => state.agent(*agent).is_some_and(|agent| agent.takes_work() && !state.may_claim(agent)),
                _ => false,
            });
            prop_assert!(governed || taken.len() == (most as usize).min(waiting.len()));
            for assignment in taken {
                let found = waiting.iter().position(|one| one.task == assignment.spec.id);
                prop_assert!(found.is_some(), "{} was not to be had", assignment.spec.id);
                let one = waiting.swap_remove(found.unwrap());
                for other in &waiting {
                    let nearer = (one.lane, one.source) <= (other.lane, other.source);
                    prop_assert!(nearer, "{:?} went before {:?}", one, other);
                    let rivals = (one.lane, one.source, &one.workspace) == (other.lane, other.source, &other.workspace);
                    prop_assert!(!rivals || one.place < other.place, "{:?} went before {:?}", one, other);
                }
            }
        }
    }
}
