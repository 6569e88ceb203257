//! Laws of quotas, and examples.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use synod_domain::access::{AccessCommand, Owned};
use synod_domain::agent::{AgentSpec, Host, PoolSpec, RuntimeSpec, Standing};
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::id::TaskId;
use synod_domain::limits::Limits;
use synod_domain::pause::Pausable;
use synod_domain::payload::Payload;
use synod_domain::quota::{Quota, QuotaOf};
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::reply::Answer;
use synod_domain::resource::ResourceCommand;
use synod_domain::retry::RetryPolicy;
use synod_domain::state::State;
use synod_domain::task::{Lane, MailboxId, TaskSpec};
use synod_domain::terms::Terms;

use super::histories::{Draw, config};
use super::world::{
    World, agent, agent_spec, capabilities, complete, fail, name, pool_spec, register, spec, standing,
    submit, task,
};

pub(super) fn put(workspace: &str, quota: Quota) -> Command {
    Command::Access(AccessCommand::PutQuota { workspace: name(workspace), quota })
}

fn at_once(concurrency: u64) -> Quota {
    Quota { concurrency: Some(concurrency), ..Quota::default() }
}

/// Any quota, mostly one that bounds something.
pub(super) fn command(draw: &mut Draw) -> Command {
    let mut some = |most: u64| draw.one_in(3).then(|| 1 + draw.below(most));
    let quota = Quota {
        agents: some(4),
        waiting: some(6),
        submits_per_second: some(20).map(|most| most as u32),
        storage_bytes: some(100),
        concurrency: some(3),
    };
    put(draw.pick(&["w1", "w2"]), if draw.one_in(4) { Quota::default() } else { quota })
}

fn of(number: u128, workspace: &str) -> TaskSpec {
    TaskSpec { workspace: name(workspace), ..spec(number) }
}

fn numbers(claimed: &[(TaskId, u32)]) -> Vec<u128> {
    claimed.iter().map(|(task, _)| task.raw()).collect()
}

#[track_caller]
fn assert_full(answer: Answer, of: QuotaOf, limit: u64) {
    let bound = Bound::Quota { workspace: name("w1"), of };
    assert_eq!(answer, Err(Refusal::Full { bound, limit }));
}

#[test]
fn no_more_of_a_workspace_is_in_hand_than_its_quota_allows_and_others_go_by() {
    let mut world = World::new(Limits::default());
    world.ready_agent(2);
    world.ask(put("w1", at_once(1))).unwrap();
    for number in 1..4 {
        world.submit(of(number, "w1"));
    }
    world.submit(of(4, "w2"));
    assert_eq!(numbers(&world.claim(1, 9)), [1, 4]);
    assert_eq!(world.state.held_back_by_quota(&name("w1")), 2);
    assert!(!world.state.has_work_for(agent(2), None) && world.state.claimable(&MailboxId::Open).is_empty());
    let said = world.state.why(task(2)).unwrap().to_string();
    assert!(said.contains("quota of workspace w1") && said.contains("1 tasks in hand, of 1"), "{said}");
    world.submit(of(5, "w1"));
    let before = world.state.rows().len();
    assert_eq!(numbers(&world.claim(2, 9)), []);
    assert_eq!(world.state.rows().len(), before, "what waits is left where it is");
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(world.state.bounded_mailboxes_of(&name("w1")), [MailboxId::Open]);
    let claimable = world.state.claimable(&MailboxId::Open);
    assert_eq!(claimable.iter().map(|work| work.count).collect::<Vec<_>>(), [1], "nobody claims in vain");
    assert_eq!(numbers(&world.claim(2, 9)), [2]);
    world.ask(put("w1", at_once(2))).unwrap();
    assert_eq!(numbers(&world.claim(2, 9)), [3], "at once");
    world.ask(put("w1", Quota::default())).unwrap();
    assert_eq!((numbers(&world.claim(1, 9)), world.state.held_back_by_quota(&name("w1"))), (vec![5], 0));
    assert_eq!(world.state.bounded_mailboxes_of(&name("w1")), [], "it is bounded no more");
}

#[test]
fn a_quota_below_what_is_in_hand_ends_nothing_and_adds_nothing() {
    let mut world = World::new(Limits::default());
    world.ready_agent(2);
    for number in 1..6 {
        world.submit(of(number, "w1"));
    }
    world.claim(1, 2);
    world.claim(2, 1);
    world.ask(put("w1", at_once(1))).unwrap();
    assert_eq!((world.state.in_hand_of(&name("w1")), numbers(&world.claim(2, 1))), (3, vec![]));
    for number in [1, 2] {
        world.ask(complete(number, 1)).unwrap();
        assert_eq!(numbers(&world.claim(1, 9)), [], "as many are left as it may have, or more");
    }
    world.ask(complete(3, 1)).unwrap();
    assert_eq!(numbers(&world.claim(1, 9)), [4]);
    world.ask(put("w1", at_once(0))).unwrap();
    world.ask(complete(4, 1)).unwrap();
    assert_eq!(numbers(&world.claim(1, 9)), [], "none at all");
    assert!(world.state.why(task(5)).unwrap().to_string().contains("of 0 that"));
}

#[test]
fn work_that_a_quota_holds_back_rises_in_its_lane_and_does_not_starve() {
    let limits = Limits { ageing: Duration::from_secs(60), ..Limits::default() };
    let mut world = World::new(limits);
    world.ask(put("w1", at_once(1))).unwrap();
    world.submit(TaskSpec { lane: Lane::Low, ..of(1, "w1") });
    let mut done = Vec::new();
    for number in 2..12 {
        world.submit(of(number, "w1"));
        world.pass(20_000);
        for (task, attempt) in world.claim(1, 1) {
            done.push(task.raw());
            world.pass(20_000);
            world.ask(complete(task.raw(), attempt)).unwrap();
        }
    }
    assert!(done.contains(&1), "{done:?}");
}

#[test]
fn what_is_set_aside_for_a_workspace_at_rest_is_there_for_others() {
    let mut world = World::new(Limits::default());
    world.ready_agent(2);
    let put_resource = ResourceCommand::Put { name: name("gpu"), capacity: 1, about: "".into() };
    world.ask(Command::Resource(put_resource)).unwrap();
    let needing = |number, workspace| {
        let resources = [(name("gpu"), 1)].into();
        let terms = Arc::new(Terms { resources, ..Terms::default() });
        Command::SubmitWith { spec: Arc::new(of(number, workspace)), terms }
    };
    world.ask(put("w1", at_once(1))).unwrap();
    world.ask(needing(1, "w2")).unwrap();
    assert_eq!(numbers(&world.claim(1, 1)), [1]);
    world.ask(needing(2, "w1")).unwrap();
    world.ask(needing(3, "w2")).unwrap();
    assert_eq!(numbers(&world.claim(1, 1)), [], "the first has it");
    world.submit(of(4, "w1"));
    assert_eq!(numbers(&world.claim(2, 1)), [4]);
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(numbers(&world.claim(1, 1)), [3], "the second may not have it now");
    world.ask(complete(3, 1)).unwrap();
    assert_eq!(numbers(&world.claim(1, 1)), []);
    world.ask(complete(4, 1)).unwrap();
    assert_eq!(numbers(&world.claim(1, 1)), [2], "nobody else has to ask for that");
}

#[test]
fn what_is_beyond_a_quota_is_refused_by_its_name() {
    let mut world = World::new(Limits::default());
    world.ask(put("w1", Quota { waiting: Some(2), ..Quota::default() })).unwrap();
    world.submit(of(1, "w1"));
    world.submit(of(2, "w1"));
    assert_full(world.ask(submit(of(3, "w1"))), QuotaOf::Waiting, 2);
    world.submit(of(4, "w2"));
    world.claim(1, 1);
    world.submit(of(3, "w1"));
    assert_eq!((world.state.waiting_of(&name("w1")), world.state.in_hand_of(&name("w1"))), (2, 1));

    world.ask(put("w1", Quota { storage_bytes: Some(30), ..Quota::default() })).unwrap();
    let wide = TaskSpec { payload: Payload::inline([7; 31]), ..of(5, "w1") };
    assert_full(world.ask(submit(wide)), QuotaOf::Storage, 30);

    world.ask(put("w1", Quota { submits_per_second: Some(2), ..Quota::default() })).unwrap();
    world.submit(of(6, "w1"));
    world.submit(of(7, "w1"));
    assert_full(world.ask(submit(of(8, "w1"))), QuotaOf::Submits, 2);
    world.state = State::restore(world.state.rows().into_iter().map(|(_, row)| row)).unwrap();
    assert_full(world.ask(submit(of(8, "w1"))), QuotaOf::Submits, 2);
    world.pass(500);
    world.submit(of(8, "w1"));
    // Beyond the pace what was submitted before is answered all the same.
    let keyed = |number| TaskSpec { idempotency_key: Some("k".into()), ..of(number, "w1") };
    world.pass(500);
    world.submit(keyed(9));
    world.ask(submit(keyed(9))).unwrap();
}

#[test]
fn agents_beyond_a_quota_are_refused_and_pools_do_not_grow_past_it() {
    let mut world = World::empty(Limits::default());
    let mut hosted = pool_spec("programs");
    hosted.runtime = RuntimeSpec::Native(name("embedded"));
    for spec in [pool_spec("outside"), hosted.clone()] {
        let pool = spec.name.clone();
        world.ask(Command::PutPool { spec: spec.into() }).unwrap();
        let workspace = Some(name("w1"));
        world.ask(Command::Access(AccessCommand::SetOwner { owned: Owned::Pool(pool), workspace })).unwrap();
    }
    world.ask(put("w1", Quota { agents: Some(3), ..Quota::default() })).unwrap();
    let scale = |target| Command::ScalePool { pool: name("programs"), target };
    world.ask(scale(2)).unwrap();
    world.ask(register(agent_spec(1, Some("outside"), Host::External))).unwrap();
    assert_full(world.ask(register(agent_spec(2, Some("outside"), Host::External))), QuotaOf::Agents, 3);
    assert_full(world.ask(scale(3)), QuotaOf::Agents, 3);
    hosted.min = 3;
    assert_full(world.ask(Command::PutPool { spec: hosted.into() }), QuotaOf::Agents, 3);
    world.ask(register(agent_spec(1, Some("outside"), Host::External))).expect("it is there already");
    world.ask(register(agent_spec(3, None, Host::External))).expect("it is of another workspace");
    world.ask(scale(1)).unwrap();
    world.ask(register(agent_spec(2, Some("outside"), Host::External))).unwrap();
    assert_eq!(world.state.agents_of_workspace(&name("w1")), 3);
    assert_eq!(world.state.agents_of_workspace(&name("default")), 1);
}

#[test]
fn what_comes_to_a_workspace_counts_for_its_quota_of_agents() {
    let mut world = World::empty(Limits::default());
    world.ask(put("w1", Quota { agents: Some(1), ..Quota::default() })).unwrap();
    for number in [1, 2] {
        world.ask(register(agent_spec(number, None, Host::External))).unwrap();
    }
    let give = |number, workspace: Option<&str>| {
        let owned = Owned::Agent(agent(number));
        Command::Access(AccessCommand::SetOwner { owned, workspace: workspace.map(name) })
    };
    world.ask(give(1, Some("w1"))).unwrap();
    assert_full(world.ask(give(2, Some("w1"))), QuotaOf::Agents, 1);
    world.ask(Command::PutPool { spec: pool_spec("outside").into() }).unwrap();
    let owned = Owned::Pool(name("outside"));
    world.ask(Command::Access(AccessCommand::SetOwner { owned, workspace: Some(name("w1")) })).unwrap();
    let moved = agent_spec(2, Some("outside"), Host::External);
    assert_full(world.ask(register(moved.clone())), QuotaOf::Agents, 1);
    world.ask(register(agent_spec(1, Some("outside"), Host::External))).expect("it is counted already");
    world.ask(Command::RemoveAgent { agent: agent(1) }).unwrap();
    world.ask(register(moved)).unwrap();
    assert_eq!(world.state.agents_of_workspace(&name("w1")), 1);
}

#[test]
fn a_pool_that_scales_by_itself_stays_within_the_quota_and_goes_on_when_there_is_room() {
    let mut world = World::empty(Limits::default());
    let hosted = PoolSpec { runtime: RuntimeSpec::Native(name("n")), ..pool_spec("p") };
    world.ask(Command::PutPool { spec: hosted.into() }).unwrap();
    let of_p = TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(1) };
    world.submit(of_p);
    let most = |world: &World| world.state.most_agents_of(world.state.pool(&name("p")).unwrap());
    assert_eq!(most(&world), 10);
    let bound = |agents| Quota { agents: Some(agents), ..Quota::default() };
    world.ask(register(agent_spec(1, None, Host::External))).unwrap();
    world.ask(put("default", bound(1))).unwrap();
    assert_eq!(most(&world), 0);
    let said = world.state.why(task(1)).unwrap().to_string();
    assert!(said.contains("the quota of workspace default") && said.contains("1 agents, of 1"), "{said}");
    let told = |world: &mut World| {
        let is_told = |event: &Event| matches!(event, Event::PoolChanged { .. });
        std::mem::take(&mut world.events).iter().any(is_told)
    };
    told(&mut world);
    world.ask(Command::RemoveAgent { agent: agent(1) }).unwrap();
    assert!(told(&mut world), "somebody may start an agent for it");
    assert_eq!(most(&world), 1);
    world.ask(Command::ScalePool { pool: name("p"), target: 1 }).unwrap();
    assert_eq!(most(&world), 1);
    world.ask(put("default", bound(4))).unwrap();
    assert!(told(&mut world));
    assert_eq!(most(&world), 4);
}

#[test]
fn a_pause_and_a_quota_that_both_hold_a_workspace_back_end_each_for_itself() {
    let mut world = World::new(Limits::default());
    world.ask(put("w1", at_once(0))).unwrap();
    let what = Pausable::Workspace(name("w1"));
    world.ask(Command::Pause { what: what.clone(), reason: "by hand".into() }).unwrap();
    world.submit(of(1, "w1"));
    assert_eq!(world.state.why(task(1)).unwrap().code(), "paused");
    world.ask(put("w1", Quota::default())).unwrap();
    assert_eq!(numbers(&world.claim(1, 1)), []);
    world.ask(put("w1", at_once(0))).unwrap();
    world.ask(Command::Resume { what }).unwrap();
    assert_eq!(numbers(&world.claim(1, 1)), []);
    assert_eq!(world.state.why(task(1)).unwrap().code(), "held_back");
    world.ask(put("w1", at_once(1))).unwrap();
    assert_eq!(numbers(&world.claim(1, 1)), [1]);
}

/// Keeps agents busy with the backlogs of three workspaces, and returns how many tasks of each were given out.
fn served(weights: [u32; 3], backlogs: [u128; 3], slots: u32, quota: Option<u64>, rounds: usize) -> [u64; 3] {
    let names = ["w1", "w2", "w3"];
    let mut world = World::empty(Limits::default());
    let spec = AgentSpec { concurrency: slots, ..agent_spec(1, None, Host::External) };
    world.ask(register(spec)).unwrap();
    world.ask(standing(1, Standing::Ready)).unwrap();
    if let Some(most) = quota {
        world.ask(put("w1", at_once(most))).unwrap();
    }
    let mut number = 0;
    for (which, workspace) in names.into_iter().enumerate() {
        let weight = weights[which];
        world.ask(Command::SetWeight { workspace: name(workspace), weight }).unwrap();
        for _ in 0..backlogs[which] {
            number += 1;
            world.submit(of(number, workspace));
        }
    }
    let (mut served, mut held) = ([0; 3], std::collections::VecDeque::new());
    for _ in 0..rounds {
        for (task, attempt) in world.claim(1, slots) {
            let workspace = world.state.task(task).unwrap().spec.workspace.clone();
            let which = names.iter().position(|one| name(one) == workspace).unwrap();
            served[which] += 1;
            held.push_back((task, attempt));
        }
        let Some((task, attempt)) = held.pop_front() else { break };
        world.ask(complete(task.raw(), attempt)).unwrap();
    }
    served
}

/// Two workspaces, one with a quota; two lines of agents; tasks that fail, are called off and lose their agents.
struct Run {
    world: World,
    tasks: u128,
}

impl Run {
    fn new(allowed: u64) -> Self {
        let mut world = World::empty(Limits::default());
        for number in 1..4 {
            let mut spec = agent_spec(number, None, Host::External);
            spec.capabilities = capabilities(if number == 3 { &["gpu"] } else { &[] });
            world.ask(register(spec)).unwrap();
            world.ask(standing(number, Standing::Ready)).unwrap();
        }
        world.ask(put("w1", at_once(allowed))).unwrap();
        Self { world, tasks: 0 }
    }

    fn leased(&self) -> Vec<(u128, u32)> {
        let leased = self.world.state.tasks().filter(|task| task.lease().is_some());
        leased.map(|task| (task.spec.id.raw(), task.attempt)).collect()
    }

    fn act(&mut self, draw: &mut Draw) {
        let leased = self.leased();
        match draw.below(12) {
            0..4 => {
                self.tasks += 1;
                let mut spec = of(self.tasks, draw.pick(&["w1", "w1", "w2"]));
                spec.demand = capabilities(if draw.one_in(4) { &["gpu"] } else { &[] });
                spec.lane = draw.pick(&Lane::ALL);
                spec.retry = RetryPolicy { max_attempts: 3, ..RetryPolicy::default() };
                self.world.submit(spec);
            }
            4..8 => drop(self.world.claim(1 + u128::from(draw.below(3)), 1 + draw.below(3) as u32)),
            8 if !leased.is_empty() => {
                let (number, attempt) = draw.pick(&leased);
                self.world.ask(complete(number, attempt)).unwrap();
            }
            9 if !leased.is_empty() => {
                let (number, attempt) = draw.pick(&leased);
                self.world.ask(fail(number, attempt, true)).unwrap();
            }
            10 => {
                let task = task(1 + u128::from(draw.below(self.tasks as u64 + 1)));
                // It may have ended, or be none.
                let _ = self.world.ask(Command::Cancel { task, reason: "enough".into() });
            }
            11 => {
                let number = 1 + u128::from(draw.below(3));
                self.world.ask(standing(number, Standing::Offline)).unwrap();
                self.world.ask(standing(number, Standing::Ready)).unwrap();
            }
            _ => {}
        }
    }

    fn look(&self, allowed: u64) -> Result<(), TestCaseError> {
        let own = name("w1");
        let in_hand = self.world.state.tasks().filter(|task| task.spec.workspace == own);
        let in_hand = in_hand.filter(|task| task.lease().is_some()).count() as u64;
        prop_assert_eq!(self.world.state.in_hand_of(&own), in_hand);
        prop_assert!(in_hand <= allowed, "{} of {}", in_hand, allowed);
        Ok(())
    }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn weights_are_shares_of_what_is_given_out_while_there_is_more_than_enough(
        weights in prop::array::uniform3(1_u32..6), slots in 1_u32..5, turns in 1_usize..4,
    ) {
        let sum: u32 = weights.iter().sum();
        // What is given out before the first ends, and one for each that does.
        let rounds = (sum as usize) * turns + 1 - slots as usize;
        prop_assume!((sum as usize) * turns >= slots as usize);
        let served = served(weights, [60; 3], slots, None, rounds);
        let expected = weights.map(|weight| u64::from(weight) * turns as u64);
        prop_assert_eq!(served, expected, "{} slots", slots);
    }

    #[test]
    fn the_share_of_one_that_has_nothing_to_do_or_may_not_is_used_by_the_others(
        weights in prop::array::uniform3(1_u32..6), slots in 2_u32..5, turns in 1_usize..4, idle in any::<bool>(),
    ) {
        let others = (weights[1] + weights[2]) as usize * turns;
        prop_assume!(others >= slots as usize);
        let (backlog, quota) = if idle { (0, None) } else { (60, Some(0)) };
        let served = served(weights, [backlog, 60, 60], slots, quota, others + 1 - slots as usize);
        let expected = [0, u64::from(weights[1]) * turns as u64, u64::from(weights[2]) * turns as u64];
        prop_assert_eq!(served, expected);
    }

    #[test]
    fn one_that_has_as_much_in_hand_as_it_may_leaves_the_rest_to_the_weights_of_the_others(
        weights in prop::array::uniform3(1_u32..6), slots in 2_u32..5,
    ) {
        let served = served(weights, [500; 3], slots, Some(1), 300);
        let (of_others, expected) = (served[1] + served[2], u64::from(weights[1]) * (served[1] + served[2]));
        let share = u64::from(weights[1] + weights[2]);
        // A turn that is not over yet may be off by as much as it has left.
        prop_assert!((served[1] * share).abs_diff(expected) <= 5 * share, "{:?} of {}", served, of_others);
        prop_assert!(served[0] > 0, "it does not starve");
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn no_concurrency_is_ever_passed_and_all_that_waits_runs_in_the_end(
        seeds in prop::collection::vec((any::<u64>(), 0_u64..80), 1..120), allowed in 1_u64..4,
    ) {
        let mut run = Run::new(allowed);
        for (seed, step) in seeds {
            run.world.pass(step);
            run.act(&mut Draw::new(seed));
            run.look(allowed)?;
            if seed % 7 == 0 {
                // A replica that starts from the rows goes on alike.
                let restored = State::restore(run.world.state.rows().into_iter().map(|(_, row)| row)).unwrap();
                prop_assert_eq!(restored.rows(), run.world.state.rows());
                run.world.state = restored;
            }
        }
        for _ in 0..400 {
            if run.world.state.unfinished() == 0 {
                break;
            }
            // Backoffs end meanwhile.
            run.world.pass(60_000);
            for number in 1..4 {
                run.world.claim(number, 2);
                run.look(allowed)?;
            }
            for (number, attempt) in run.leased() {
                run.world.ask(complete(number, attempt)).unwrap();
            }
        }
        prop_assert_eq!(run.world.state.unfinished(), 0);
        prop_assert!(run.world.state.agent(agent(1)).is_some());
    }
}
