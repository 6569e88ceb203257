//! Laws of roles, owners and tokens of a workspace, and examples.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::access::{AccessCommand, Owned, RoleBinding, Subject};
use synod_domain::agent::{Host, Standing};
use synod_domain::audit::{Actor, ActorKind};
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::{AgentId, ApprovalId, TaskId, TokenId};
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::permission::{Permission, Permissions};
use synod_domain::policy::{ApprovalDemand, Effect, PolicyCommand};
use synod_domain::refusal::Refusal;
use synod_domain::reply::Answer;
use synod_domain::state::State;
use synod_domain::task::{Lane, MailboxId, Phase, TaskSpec};
use synod_domain::token::{TokenKind, TokenSpec};

use super::governing;
use super::histories::{Draw, config, histories, one_by_one};
use super::world::{
    World, agent, agent_spec, complete, fail, hash, name, pool_spec, register, rows_but_audit, spec,
    standing, submit, task, token,
};

fn access(command: AccessCommand) -> Command {
    Command::Access(command)
}

fn set(text: &str) -> Permissions {
    text.parse().unwrap()
}

fn token_spec(id: u64, called: &str, permissions: &str) -> TokenSpec {
    TokenSpec {
        id: token(id),
        name: name(called),
        kind: TokenKind::Client,
        hash: hash(100 + id),
        permissions: set(permissions),
        expires_at: None,
        created_by: None,
    }
}

fn put_token(id: u64, called: &str, permissions: &str, workspace: &str) -> Command {
    let spec = token_spec(id, called, permissions).into();
    access(AccessCommand::PutToken { spec, workspace: name(workspace) })
}

fn give(owned: Owned, workspace: Option<&str>) -> Command {
    access(AccessCommand::SetOwner { owned, workspace: workspace.map(name) })
}

fn bind(subject: Subject, role: &str, workspace: Option<&str>) -> Command {
    let workspace = workspace.map(name);
    access(AccessCommand::Bind(RoleBinding { subject, role: name(role), workspace }))
}

/// Somebody of a workspace asks for it.
fn of(workspace: &str, command: Command) -> Command {
    let actor = Actor { workspace: Some(name(workspace)), ..Actor::of(ActorKind::Token, "somebody") };
    Command::By { actor: Arc::new(actor), command: Box::new(command) }
}

/// Something about roles, owners and tokens.
pub(super) fn command(draw: &mut Draw) -> Command {
    let role = name(draw.pick(&["deployer", "reader", "viewer", "nobody"]));
    let subject =
        if draw.one_in(2) { Subject::Token(token(draw.below(6))) } else { Subject::Name(name("token")) };
    let workspace = draw.one_in(2).then(|| draw.workspace());
    let binding = RoleBinding { subject, role: role.clone(), workspace: workspace.clone() };
    match draw.below(12) {
        0 | 1 => {
            access(AccessCommand::PutRole { role, permissions: set(draw.pick(&["tasks:*", "pools:read"])) })
        }
        2 => access(AccessCommand::RemoveRole { role }),
        3 | 4 => access(AccessCommand::Bind(binding)),
        5 => access(AccessCommand::Unbind(binding)),
        6 | 7 => put_token(draw.below(6), "token", "tasks:read", draw.pick(&["w1", "w2"])),
        8 if draw.one_in(2) => super::quotas::command(draw),
        8 => Command::PutPool { spec: pool_spec("w1/own").into() },
        9 => give(Owned::Agent(agent(5)), draw.pick(&[Some("w1"), Some("w2"), None])),
        _ => give(Owned::Pool(name(draw.pick(&["a", "b", "w1/own"]))), draw.pick(&[Some("w1"), None, None])),
    }
}

/// What of others nobody of a workspace may change. What is on its way out goes when the last work is over, whosever
/// work that was.
#[derive(Debug, PartialEq)]
struct Others {
    tasks: BTreeMap<TaskId, Lane>,
    pools: Vec<String>,
    agents: BTreeMap<AgentId, (Standing, bool, Arc<synod_domain::agent::AgentSpec>)>,
    tokens: Vec<TokenId>,
    bindings: Vec<RoleBinding>,
    roles: Vec<(Name, Permissions)>,
    owners: Vec<(Owned, Name)>,
}

impl Others {
    fn than(workspace: &Name, state: &State) -> Self {
        let is_ours = |pool: &Name| state.workspace_of_pool(pool) == *workspace;
        let tasks = state.tasks().filter(|task| task.spec.workspace != *workspace);
        let goes = |pool: &Name| state.pool(pool).is_none_or(|pool| pool.retiring.is_some());
        let pools = state.pools().filter(|pool| !is_ours(&pool.spec.name) && !goes(&pool.spec.name));
        let agents = state.agents().filter(|agent| state.workspace_of_agent(&agent.spec) != *workspace);
        let agents = agents.filter(|agent| !agent.retiring && !agent.spec.pool.as_ref().is_some_and(goes));
        let tokens = state.tokens().map(|token| token.spec.id);
        let bindings = state.role_bindings().filter(|one| one.workspace.as_ref() != Some(workspace));
        let owners = state.owners().filter(|(_, owner)| *owner != workspace);
        Self {
            tasks: tasks.map(|task| (task.spec.id, task.lane)).collect(),
            pools: pools.map(|pool| format!("{:?} {:?} {}", pool.spec, pool.retiring, pool.target)).collect(),
            agents: agents
                .map(|agent| (agent.spec.id, (agent.standing, agent.retiring, agent.spec.clone())))
                .collect(),
            tokens: tokens.filter(|id| state.workspace_of_token(*id) != Some(workspace)).collect(),
            bindings: bindings.cloned().collect(),
            roles: state.roles().map(|(role, permissions)| (role.clone(), permissions.clone())).collect(),
            owners: owners.map(|(owned, owner)| (owned.clone(), owner.clone())).collect(),
        }
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn no_agent_of_a_workspace_works_for_another(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            let owners: BTreeMap<Owned, Name> =
                state.owners().map(|(owned, owner)| (owned.clone(), owner.clone())).collect();
            for task in state.tasks() {
                let Some(agent) = task.lease().and_then(|lease| state.agent(lease.agent)) else { continue };
                let owned = agent.spec.pool.clone().map_or(Owned::Agent(agent.spec.id), Owned::Pool);
                if let Some(owner) = owners.get(&owned) {
                    prop_assert_eq!(owner, &task.spec.workspace, "{:?}", owned);
                }
            }
        }
    }

    #[test]
    fn whoever_is_of_a_workspace_changes_nothing_of_another(history in histories()) {
        let own = name("w1");
        let mut state = State::default();
        for entry in one_by_one(&history) {
            let of_nodes = |request: &Request| matches!(
                request.command,
                Command::SetLimits { .. } | Command::StartNode { .. } | Command::Access(_)
            );
            // Some are asked by operators, so that there is something to reach for.
            if entry.commands.iter().any(of_nodes) || entry.seed.is_multiple_of(3) {
                state.apply(&entry);
                continue;
            }
            state.apply(&Entry { commands: Vec::new(), ..entry.clone() });
            let before = Others::than(&own, &state);
            let commands = entry.commands.iter().map(|request| {
                Request { id: request.id, command: of("w1", request.command.clone()) }
            });
            state.apply(&Entry { commands: commands.collect(), ..entry.clone() });
            prop_assert_eq!(Others::than(&own, &state), before, "{:?}", entry.commands);
        }
    }
}

/// A world with a pool and an agent of w1, and one of each of nobody.
fn world() -> World {
    let mut world = World::empty(Limits::default());
    for pool in ["a", "b"] {
        world.ask(Command::PutPool { spec: pool_spec(pool).into() }).unwrap();
    }
    world.ask(give(Owned::Pool(name("a")), Some("w1"))).unwrap();
    for (number, pool) in [(1, "a"), (2, "b")] {
        world.ask(register(agent_spec(number, Some(pool), Host::External))).unwrap();
        world.ask(standing(number, Standing::Ready)).unwrap();
    }
    world
}

fn for_pool(number: u128, workspace: &str, pool: &str) -> TaskSpec {
    TaskSpec { workspace: name(workspace), mailbox: MailboxId::Pool(name(pool)), ..spec(number) }
}

#[test]
fn agents_of_a_workspace_take_its_work_alone_and_nothing_from_the_open_mailbox() {
    let mut world = world();
    world.submit(TaskSpec { workspace: name("w1"), ..spec(1) });
    let refused = world.ask(submit(for_pool(2, "w2", "a")));
    assert!(
        matches!(refused, Err(Refusal::Invalid { ref field, .. }) if field == "workspace"),
        "{refused:?}"
    );
    world.submit(for_pool(3, "w1", "a"));
    assert_eq!(world.claim(1, 9), [(task(3), 1)]);
    assert_eq!(world.claim(2, 9), [(task(1), 1)], "whoever is nobody's takes everybody's");
    // Given back, it serves all again.
    world.ask(give(Owned::Pool(name("a")), None)).unwrap();
    world.submit(for_pool(4, "w2", "a"));
    assert_eq!(world.claim(1, 9), [(task(4), 1)]);
    let held = world.ask(give(Owned::Pool(name("a")), Some("w1")));
    assert!(matches!(held, Err(Refusal::Invalid { .. })), "work of w2 is in hand there: {held:?}");
}

#[test]
fn what_is_of_another_workspace_is_refused_as_if_it_were_not_there() {
    let mut world = world();
    world.ask(give(Owned::Pool(name("b")), Some("w2"))).unwrap();
    world.submit(for_pool(1, "w2", "b"));
    world.ask(put_token(1, "t", "tasks:read", "w2")).unwrap();
    let before = rows_but_audit(&world.state);
    let scale = |pool: &str| Command::ScalePool { pool: name(pool), target: 1 };
    let revoke = |id| Command::RevokeToken { token: token(id), reason: "lost".into() };
    let cancel = |id| Command::Cancel { task: task(id), reason: "mine".into() };
    for (there, nowhere) in [
        (scale("b"), scale("c")),
        (cancel(1), cancel(99)),
        (standing(2, Standing::Offline), standing(99, Standing::Offline)),
        (revoke(1), revoke(99)),
        (submit(for_pool(7, "w1", "b")), submit(for_pool(7, "w1", "c"))),
    ] {
        let words = |answer: Answer| {
            let refusal = answer.expect_err("it is refused");
            let said = refusal.to_string();
            // But for what it was asked for by.
            said.replace(&task(1).to_string(), "_")
                .replace(&task(99).to_string(), "_")
                .replace(&token(1).to_string(), "_")
                .replace(&token(99).to_string(), "_")
                .replace(&agent(2).to_string(), "_")
                .replace(&agent(99).to_string(), "_")
                .replace("pool b", "pool _")
                .replace("pool c", "pool _")
        };
        assert_eq!(words(world.ask(of("w1", there))), words(world.ask(of("w1", nowhere))));
    }
    assert_eq!(rows_but_audit(&world.state), before);
    for of_operators in [
        Command::SetLimits { limits: Limits::default() },
        Command::SetWeight { workspace: name("w1"), weight: 9 },
        access(AccessCommand::PutRole { role: name("x"), permissions: Permissions::all() }),
        give(Owned::Pool(name("b")), Some("w1")),
    ] {
        assert_eq!(world.ask(of("w1", of_operators)), Err(Refusal::WorkspaceBound(name("w1"))));
    }
}

#[test]
fn the_id_of_anothers_task_that_has_ended_tells_nothing_of_it() {
    let mut world = world();
    world.ask(give(Owned::Pool(name("b")), Some("w2"))).unwrap();
    let ends = |world: &mut World, number: u128, workspace: &str, pool: &str, by: u128| {
        world.submit(for_pool(number, workspace, pool));
        assert_eq!(world.claim(by, 1), [(task(number), 1)]);
        world.ask(fail(number, 1, false)).unwrap();
    };
    ends(&mut world, 1, "w2", "b", 2);
    ends(&mut world, 2, "w1", "a", 1);
    world.submit(for_pool(3, "w2", "b"));
    world.ask(Command::Cancel { task: task(3), reason: "over".into() }).unwrap();
    let cancel = |id| Command::Cancel { task: task(id), reason: "mine".into() };
    let lane = |id| Command::SetLane { task: task(id), lane: Lane::Low };
    for others in [1, 3, 99] {
        for change in [cancel(others), lane(others)] {
            assert_eq!(world.ask(of("w1", change)), Err(Refusal::TaskUnknown(task(others))));
        }
    }
    let failed = Phase::Failed;
    assert_eq!(world.ask(of("w1", cancel(2))), Err(Refusal::AlreadyEnded { task: task(2), phase: failed }));
    // To begin after it would tell how it ended, and why.
    let after = |id| Command::SubmitAfter {
        spec: for_pool(10 + id, "w1", "a").into(),
        after: [task(id)].into_iter().collect(),
        terms: None,
    };
    assert_eq!(world.ask(of("w1", after(1))), Err(Refusal::PrerequisiteUnknown(task(1))));
    world.ask(of("w1", after(2))).expect("its own may be followed");
}

#[test]
fn what_somebody_of_a_workspace_makes_is_that_workspaces_and_below_its_name() {
    let mut world = world();
    let put = |pool: &str| Command::PutPool { spec: pool_spec(pool).into() };
    for wrong in ["c", "b", "w2/c", "w1"] {
        let refused = world.ask(of("w1", put(wrong)));
        assert!(matches!(refused, Err(Refusal::Invalid { ref field, .. }) if field == "name"), "{refused:?}");
    }
    world.ask(of("w1", put("w1/c"))).unwrap();
    assert_eq!(world.state.workspace_of_pool(&name("w1/c")), name("w1"));
    world.ask(of("w1", put("a"))).expect("what was given to it may be changed");
    let alone = synod_domain::agent::AgentSpec { name: name("w1/x"), ..agent_spec(9, None, Host::External) };
    world.ask(of("w1", register(alone.clone()))).unwrap();
    assert_eq!(world.state.workspace_of_agent(&alone), name("w1"));
    let mut process = pool_spec("w1/d");
    let program = synod_domain::agent::RuntimeSpec::Native(name("embedded"));
    process.runtime = program;
    process.min = 1;
    let refused = world.ask(of("w1", Command::PutPool { spec: process.into() }));
    assert_eq!(refused, Err(Refusal::WorkspaceBound(name("w1"))));
    // What is gone leaves its name to whoever comes next.
    world.ask(of("w1", Command::RemovePool { pool: name("w1/c") })).unwrap();
    world.ask(Command::PutPool { spec: pool_spec("w1/c").into() }).unwrap();
    assert_eq!(world.state.workspace_of_pool(&name("w1/c")), Name::default());
}

#[test]
fn roles_add_to_what_a_token_allows_where_they_are_bound_and_as_long() {
    let mut world = World::empty(Limits::default());
    world.ask(put_token(1, "ci", "tasks:read", "w1")).unwrap();
    world.ask(Command::PutToken { spec: token_spec(2, "ci", "tasks:read").into() }).unwrap();
    let allows = |world: &World, id: u64| {
        let known = world.state.token(token(id)).unwrap().clone();
        let workspace = world.state.workspace_of_token(token(id));
        world.state.permissions_of(&known.spec, workspace).into_owned()
    };
    let deployer = name("deployer");
    let put =
        |words: &str| access(AccessCommand::PutRole { role: name("deployer"), permissions: set(words) });
    let unknown = world.ask(bind(Subject::Name(name("ci")), "deployer", Some("w1")));
    assert_eq!(unknown, Err(Refusal::RoleUnknown(deployer.clone())));
    world.ask(put("pools:*")).unwrap();
    world.ask(bind(Subject::Name(name("ci")), "deployer", Some("w1"))).unwrap();
    assert_eq!(allows(&world, 1), set("tasks:read,pools:*"));
    assert_eq!(allows(&world, 2), set("tasks:read"), "it is of no workspace");
    world.ask(put("pools:read")).unwrap();
    assert_eq!(allows(&world, 1), set("tasks:read,pools:read"), "at once");
    world.ask(bind(Subject::Token(token(2)), "viewer", None)).unwrap();
    assert!(
        allows(&world, 2).allow(Permission::EventsRead) && !allows(&world, 1).allow(Permission::EventsRead)
    );
    let state = State::restore(world.state.rows().into_iter().map(|(_, row)| row)).unwrap();
    assert_eq!(state.rows(), world.state.rows());
    // A role that goes takes its bindings along, and one of the same name is another.
    world.ask(access(AccessCommand::RemoveRole { role: deployer.clone() })).unwrap();
    world.ask(put("*")).unwrap();
    assert_eq!(allows(&world, 1), set("tasks:read"));
    world.ask(Command::RevokeToken { token: token(2), reason: "lost".into() }).unwrap();
    assert_eq!(world.state.role_bindings().count(), 0);
    for (role, why) in [("viewer", "built in"), ("admin", "built in")] {
        let permissions = Permissions::all();
        let refused = world.ask(access(AccessCommand::PutRole { role: name(role), permissions }));
        assert!(matches!(refused, Err(Refusal::Invalid { why: ref said, .. }) if said.contains(why)));
    }
}

#[test]
fn an_approval_by_a_role_is_given_by_those_it_is_bound_to_in_the_workspace_alone() {
    let mut world = World::empty(Limits::default());
    let permissions = set("approvals:read");
    world.ask(access(AccessCommand::PutRole { role: name("release"), permissions })).unwrap();
    for (id, workspace) in [(1, "w1"), (2, "w1"), (3, "w2")] {
        world.ask(put_token(id, &format!("t{id}"), "approvals:*", workspace)).unwrap();
    }
    for id in [1, 3] {
        world.ask(bind(Subject::Token(token(id)), "release", None)).unwrap();
    }
    let by_role = Effect::RequireApproval(ApprovalDemand {
        roles: [name("release")].into_iter().collect(),
        ..ApprovalDemand::default()
    });
    world.ask(governing::put(governing::policy("p", "deploy", by_role))).unwrap();
    let mut ask = governing::ask_for("deploy", &[]);
    ask.workspace = Some(name("w1"));
    let id = ApprovalId::from_raw(77);
    world.ask(of("w1", Command::Policy(PolicyCommand::Ask { id, ask: ask.into() }))).unwrap();
    let vote = |voter: u64| {
        let mut voter_of = governing::voter("somebody");
        voter_of.token = Some(token(voter));
        Command::Policy(PolicyCommand::Vote {
            approval: id,
            voter: voter_of,
            approve: true,
            reason: "".into(),
        })
    };
    assert_eq!(world.ask(of("w2", vote(3))), Err(Refusal::ApprovalUnknown(id)));
    assert!(matches!(world.ask(vote(3)), Err(Refusal::NotAnApprover { .. })), "of another workspace");
    assert!(matches!(world.ask(of("w1", vote(2))), Err(Refusal::NotAnApprover { .. })), "without the role");
    world.ask(of("w1", vote(1))).unwrap();
}

#[test]
fn a_lease_is_spoken_of_by_whose_work_it_is_and_by_nobody_else() {
    let mut world = world();
    for number in 1..=3 {
        world.submit(for_pool(number, "w2", "b"));
    }
    assert_eq!(world.claim(2, 2).len(), 2);
    let says = |number| [complete(number, 1), fail(number, 1, true), super::world::claim(2, 1)];
    for said in says(1) {
        let refused = world.ask(of("w1", said)).unwrap_err();
        assert!(matches!(refused.code(), "task_unknown" | "agent_unknown"), "{refused}");
    }
    assert_eq!(world.phase(1), Phase::Running);
    world.ask(of("w2", complete(1, 1))).unwrap();
    // The agent is nobody's, and so it is seen as the default workspace's; what it does is everybody's.
    assert_eq!(world.ask(of("default", complete(2, 1))), Err(Refusal::TaskUnknown(task(2))));
    let claims = of("default", super::world::claim(2, 1));
    assert_eq!(world.ask(claims.clone()), Err(Refusal::WorkspaceBound(name("default"))));
    world.ask(complete(2, 1)).unwrap();
    assert_eq!(world.claim(2, 1).len(), 1);
    assert_eq!(world.phase(3), Phase::Running);
    // One that is given to it does its work alone, and it claims for that.
    world.ask(complete(3, 1)).unwrap();
    world.ask(give(Owned::Pool(name("b")), Some("default"))).unwrap();
    world.ask(claims).unwrap();
    let actor = |workspace: Option<&str>| {
        Arc::new(Actor { workspace: workspace.map(name), ..Actor::of(ActorKind::Token, "somebody") })
    };
    assert_eq!(complete(3, 1).by(&actor(None)), complete(3, 1), "operators are held to nothing");
    assert_eq!(complete(3, 1).by(&actor(Some("w1"))), of("w1", complete(3, 1)));
}

#[test]
fn what_begins_after_something_that_has_ended_is_refused_to_a_workspace_whosever_it_was() {
    let mut world = world();
    for (number, workspace) in [(1, "w1"), (2, "w2")] {
        world.submit(for_pool(number, workspace, "b"));
    }
    assert_eq!(world.claim(2, 2).len(), 2);
    let follow = |number: u128, after: u128| {
        let spec = TaskSpec { workspace: name("w1"), ..spec(number) }.into();
        Command::SubmitAfter { spec, after: [task(after)].into_iter().collect(), terms: None }
    };
    world.ask(of("w1", follow(10, 1))).unwrap();
    let foreign = Err(Refusal::PrerequisiteUnknown(task(2)));
    assert_eq!(world.ask(of("w1", follow(11, 2))), foreign);
    for number in [1, 2] {
        world.ask(complete(number, 1)).unwrap();
        let refused = world.ask(of("w1", follow(11, number)));
        assert_eq!(refused, Err(Refusal::PrerequisiteUnknown(task(number))), "as if it had never been there");
    }
    world.ask(follow(12, 1)).unwrap();
}
