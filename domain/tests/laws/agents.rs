//! Examples of agents, pools and runs.

use synod_domain::agent::{AgentSpec, Host, Standing};
use synod_domain::command::Command;
use synod_domain::limits::Limits;
use synod_domain::payload::Payload;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::task::{Lane, MailboxId, Phase, TaskSpec};

use super::world::{
    World, agent, agent_spec, capabilities, claim, fail, name, pool_spec, register, run, spec, standing,
    submit, task,
};

fn world() -> World {
    let mut world = World::new(Limits::default());
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    world.ask(register(agent_spec(2, Some("p"), Host::External))).unwrap();
    world.ask(standing(2, Standing::Ready)).unwrap();
    world
}

fn to(mailbox: MailboxId, number: u128) -> TaskSpec {
    TaskSpec { mailbox, ..spec(number) }
}

fn start_run(number: u128, fleet: &str) -> Command {
    Command::StartRun { run: run(number), fleet: name(fleet), plan: Payload::default() }
}

#[test]
fn an_agent_takes_the_most_urgent_lane_and_within_it_the_nearest_mailbox() {
    let mut world = world();
    world.submit(spec(1));
    world.submit(to(MailboxId::Pool(name("p")), 2));
    world.submit(to(MailboxId::Agent(agent(2)), 3));
    world.submit(TaskSpec { lane: Lane::High, ..spec(4) });
    let mut taken = Vec::new();
    for _ in 0..4 {
        let (task, attempt) = world.claim(2, 1)[0];
        world.ask(super::world::complete(task.raw(), attempt)).unwrap();
        taken.push(task);
    }
    assert_eq!(taken, [4, 3, 2, 1].map(task));
}

#[test]
fn work_is_only_for_agents_that_can_do_it_and_are_meant() {
    let mut world = world();
    world.submit(TaskSpec { demand: capabilities(&["rust@1"]), ..spec(1) });
    world.submit(to(MailboxId::Pool(name("p")), 2));
    assert_eq!(world.claim(1, 5), []);
    let mut able = agent_spec(1, None, Host::External);
    able.capabilities = capabilities(&["rust@1", "python"]);
    world.ask(register(able)).unwrap();
    assert_eq!(world.ask(claim(1, 5)).map_err(|refusal| refusal.code()), Err("agent_unavailable"));
    world.ask(standing(1, Standing::Ready)).unwrap();
    assert_eq!(world.claim(1, 5), [(task(1), 1)]);
    assert_eq!(world.claim(2, 5), [(task(2), 1)]);
}

#[test]
fn a_removed_agent_gives_back_its_leases_and_cancels_what_only_it_could_take() {
    let mut world = world();
    world.submit(spec(1));
    world.submit(to(MailboxId::Agent(agent(2)), 2));
    world.submit(to(MailboxId::Agent(agent(2)), 3));
    assert_eq!(world.claim(2, 2), [(task(2), 1), (task(3), 1)]);
    world.ask(fail(3, 1, true)).unwrap();
    assert_eq!(world.claim(2, 2), [(task(1), 1)]);
    world.ask(Command::RemoveAgent { agent: agent(2) }).unwrap();
    assert_eq!(
        [1, 2, 3].map(|number| world.phase(number)),
        [Phase::Pending, Phase::Cancelled, Phase::Cancelled]
    );
    assert_eq!(world.ask(claim(2, 1)), Err(Refusal::AgentUnknown(agent(2))));
    assert_eq!(world.ask(submit(to(MailboxId::Agent(agent(2)), 4))), Err(Refusal::AgentUnknown(agent(2))));
    assert_eq!(world.claim(1, 5), [(task(1), 2)]);
}

#[test]
fn a_pool_is_removed_only_without_agents_and_unfinished_work() {
    let mut world = world();
    world.submit(to(MailboxId::Pool(name("p")), 1));
    world.claim(2, 1);
    world.ask(fail(1, 1, true)).unwrap();
    let remove = || Command::RemovePool { pool: name("p") };
    let in_use = |agents, waiting| Err(Refusal::PoolInUse { pool: name("p"), agents, waiting });
    // The task backs off: it is in no mailbox, yet it will come back.
    assert_eq!(world.ask(remove()), in_use(1, 1));
    world.ask(Command::RemoveAgent { agent: agent(2) }).unwrap();
    assert_eq!(world.ask(remove()), in_use(0, 1));
    world.ask(Command::Cancel { task: task(1), reason: "enough".into() }).unwrap();
    assert_eq!(world.ask(remove()), Ok(Reply::Done));
    assert_eq!(world.ask(submit(to(MailboxId::Pool(name("p")), 2))), Err(Refusal::PoolUnknown(name("p"))));
}

#[test]
fn a_pool_keeps_its_size_within_its_bounds_when_scaled_and_when_changed() {
    let mut world = world();
    world.ask(Command::ScalePool { pool: name("p"), target: 99 }).unwrap();
    assert_eq!(world.state.pool(&name("p")).unwrap().target, 10);
    let smaller = synod_domain::agent::PoolSpec { max: 4, ..pool_spec("p") };
    world.ask(Command::PutPool { spec: smaller.into() }).unwrap();
    assert_eq!(world.state.pool(&name("p")).unwrap().target, 4);
}

#[test]
fn a_hosted_agent_that_is_started_again_gives_its_work_back_under_the_next_attempt() {
    let mut world = world();
    world.submit(spec(1));
    world.claim(1, 1);
    world.ask(register(agent_spec(1, None, Host::Node(super::world::node(1))))).unwrap();
    assert_eq!((world.held(1), world.phase(1)), (0, Phase::Pending));
    assert_eq!(world.ask(super::world::complete(1, 1)).map_err(|refusal| refusal.code()), Err("lease_lost"));
}

#[test]
fn an_external_agent_registered_again_keeps_its_leases_and_takes_nothing_until_it_is_ready() {
    let mut world = world();
    world.submit(spec(1));
    world.claim(2, 1);
    world.ask(register(agent_spec(2, Some("p"), Host::External))).unwrap();
    assert_eq!((world.held(2), world.phase(1)), (1, Phase::Running));
    assert_eq!(world.ask(claim(2, 1)).map_err(|refusal| refusal.code()), Err("agent_unavailable"));
    world.ask(super::world::complete(1, 1)).unwrap();
}

#[test]
fn the_end_of_a_run_cancels_what_is_left_of_it_and_nothing_else() {
    let mut world = world();
    world.ask(start_run(1, "fleet")).unwrap();
    (1..=3).for_each(|number| world.submit(TaskSpec { run: Some(run(1)), ..spec(number) }));
    world.submit(spec(4));
    world.claim(1, 2);
    world.ask(super::world::complete(1, 1)).unwrap();
    world.ask(Command::EndRun { run: run(1), summary: "stopped by hand".into() }).unwrap();
    let phases = [1, 2, 3, 4].map(|number| world.phase(number));
    assert_eq!(phases, [Phase::Completed, Phase::Cancelled, Phase::Cancelled, Phase::Pending]);
    assert_eq!((world.reason(3).as_str(), world.held(1)), ("its run ended: stopped by hand", 0));
    let again = Command::EndRun { run: run(1), summary: "".into() };
    assert_eq!(world.ask(again), Err(Refusal::RunUnknown(run(1))));
    let late = TaskSpec { run: Some(run(1)), ..spec(5) };
    assert_eq!(world.ask(submit(late)), Err(Refusal::RunUnknown(run(1))));
}

#[test]
fn a_fleet_has_one_open_run_and_no_run_takes_the_id_of_another() {
    let mut world = world();
    world.ask(start_run(1, "fleet")).unwrap();
    let open = || Err(Refusal::RunOpen { fleet: name("fleet"), run: run(1) });
    assert_eq!(world.ask(start_run(2, "fleet")), open());
    assert_eq!(world.ask(start_run(1, "other")), open());
    world.ask(Command::EndRun { run: run(1), summary: "over".into() }).unwrap();
    assert_eq!(world.ask(start_run(2, "fleet")), Ok(Reply::Done));
}

#[test]
fn labels_of_an_agent_are_few_and_short_as_those_of_a_task() {
    let mut world = world();
    let many = (0..65).map(|number| (name(&format!("l{number}")), "x".into())).collect();
    for labels in [[(name("l"), "x".repeat(4097).into())].into(), many] {
        let refused = world.ask(register(AgentSpec { labels, ..agent_spec(3, None, Host::External) }));
        assert!(matches!(refused, Err(Refusal::Invalid { field, .. }) if field == "labels"));
    }
    let labels = [(name("l"), "x".repeat(4096).into())].into();
    world.ask(register(AgentSpec { labels, ..agent_spec(3, None, Host::External) })).unwrap();
}
