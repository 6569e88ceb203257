//! Policies and approvals: what is refused, what waits for whom, and what becomes of it.

use std::sync::Arc;

use synod_domain::agent::{Host, PoolSpec, RuntimeSpec};
use synod_domain::approval::{ApprovalStatus, Voter};
use synod_domain::audit::{Actor, ActorKind};
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::id::{ApprovalId, ViolationId};
use synod_domain::limits::Limits;
use synod_domain::permission::Permissions;
use synod_domain::policy::{Attributes, Defaults, Effect, Enforcement, PolicyCommand, Ruled, Ruling, Value};
use synod_domain::refusal::Refusal;
use synod_domain::reply::{Answer, Reply};
use synod_domain::state::State;
use synod_domain::task::{MailboxId, Phase, TaskSpec};
use synod_domain::token::{TokenKind, TokenSpec};
use synod_domain::violation::ViolationStatus;

use super::governing::{approval_by, ask_for, policy, put, rule, voter};
use super::world::{World, agent, agent_spec, hash, name, pool_spec, register, spec, task, token};

fn world() -> World {
    World::new(Limits::default())
}

fn vote(approval: ApprovalId, by: Voter, approve: bool) -> Command {
    Command::Policy(PolicyCommand::Vote { approval, voter: by, approve, reason: "looked at it".into() })
}

fn of_task(number: u128) -> ApprovalId {
    ApprovalId::from_raw(task(number).raw())
}

fn ruled(answer: Answer) -> Ruled {
    match answer.unwrap() {
        Reply::Ruled(ruled) => *ruled,
        other => panic!("{other:?}"),
    }
}

fn ask(world: &mut World, id: u128, ask: synod_domain::policy::Ask) -> Ruled {
    ruled(world.ask(Command::Policy(PolicyCommand::Ask { id: ApprovalId::from_raw(id), ask: ask.into() })))
}

/// A token with a name that may do everything but make policies, so that it has no role but that of an approver.
fn token_named(world: &mut World, number: u64, of: &str) -> Voter {
    let spec = TokenSpec {
        id: token(number),
        name: name(of),
        kind: TokenKind::Client,
        hash: hash(number),
        permissions: "approvals:write".parse::<Permissions>().unwrap(),
        expires_at: None,
        created_by: None,
    };
    world.ask(Command::PutToken { spec: spec.into() }).unwrap();
    Voter { token: Some(token(number)), name: name("whatever-they-say") }
}

fn restored(world: &World) -> State {
    State::restore(world.state.rows().into_iter().map(|(_, row)| row)).unwrap()
}

#[test]
fn a_denied_submit_is_refused_with_the_policy_its_version_and_the_rule() {
    let mut world = world();
    world.ask(put(policy("no-work", "task.submit", Effect::Allow))).unwrap();
    let mut denying = policy("no-work", "tool.*", Effect::Allow);
    denying.rules.push(rule("task.*", Effect::Deny));
    world.ask(put(denying)).unwrap();
    let before = super::world::rows_but_audit(&world.state);
    let refusal = world.ask(super::world::submit(spec(1))).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "task.submit is denied by policy no-work (version 2), rule 2: task.submit is denied"
    );
    assert_eq!(refusal.code(), "policy_denied");
    assert_eq!(super::world::rows_but_audit(&world.state), before, "a refusal changes nothing");
}

#[test]
fn the_same_policy_again_is_no_new_version_and_a_toggle_is_one() {
    let mut world = world();
    let spec = policy("p", "tool.*", Effect::Allow);
    world.ask(put(spec.clone())).unwrap();
    world.ask(put(spec)).unwrap();
    assert_eq!(world.state.policy(&name("p")).unwrap().version, 1);
    world.ask(Command::Policy(PolicyCommand::Enable { policy: name("p"), enabled: false })).unwrap();
    let policy = world.state.policy(&name("p")).unwrap();
    assert_eq!((policy.version, policy.spec.enabled), (2, false));
}

#[test]
fn a_policy_that_cannot_be_read_leaves_what_there_was() {
    let mut world = world();
    world.ask(put(policy("p", "task.submit", Effect::Deny))).unwrap();
    let mut broken = policy("p", "task.submit", Effect::Allow);
    broken.rules[0].when = Some("size >".into());
    let refusal = world.ask(put(broken)).unwrap_err();
    assert!(refusal.to_string().starts_with("rules[0].when is not valid: line 1, column"), "{refusal}");
    assert!(world.ask(super::world::submit(spec(1))).is_err(), "the policy of before is asked");
}

#[test]
fn a_task_that_needs_two_approvals_waits_holding_no_agent_and_runs_after_the_second() {
    let mut world = world();
    world.ask(put(policy("careful", "task.submit", approval_by(&["ann", "ben"], 2)))).unwrap();
    world.submit(spec(1));
    assert_eq!((world.phase(1), world.claim(1, 1).len(), world.held(1)), (Phase::Pending, 0, 0));
    let why = world.state.why(task(1)).unwrap();
    assert!(why.to_string().contains("2 of 2 approvals by ann, ben; do: synod approval approve"), "{why}");
    let (ann, ben) = (token_named(&mut world, 1, "ann"), token_named(&mut world, 2, "ben"));
    world.ask(vote(of_task(1), ann.clone(), true)).unwrap();
    world.ask(vote(of_task(1), ann, true)).unwrap();
    assert_eq!(world.claim(1, 1).len(), 0, "nobody is counted twice");
    world.ask(vote(of_task(1), ben, true)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    assert_eq!(world.state.approval(of_task(1)).unwrap().status, ApprovalStatus::Approved);
}

#[test]
fn only_those_who_are_asked_may_approve_or_deny_whatever_name_they_give() {
    let mut world = world();
    world.ask(put(policy("careful", "task.submit", approval_by(&["ann"], 1)))).unwrap();
    world.submit(spec(1));
    let mut cid = token_named(&mut world, 3, "cid");
    cid.name = name("ann");
    for approve in [true, false] {
        let refusal = world.ask(vote(of_task(1), cid.clone(), approve)).unwrap_err();
        assert_eq!(refusal, Refusal::NotAnApprover { approval: of_task(1), name: name("cid") });
    }
    let unknown = Voter { token: Some(token(9)), name: name("ann") };
    assert_eq!(world.ask(vote(of_task(1), unknown, true)), Err(Refusal::TokenUnknown(token(9))));
    assert_eq!(world.state.approval(of_task(1)).unwrap().status, ApprovalStatus::Pending);
}

#[test]
fn a_no_ends_the_task_with_the_reason_and_a_yes_comes_too_late() {
    let mut world = world();
    world.ask(put(policy("careful", "task.submit", approval_by(&[], 1)))).unwrap();
    world.submit(spec(1));
    world.ask(vote(of_task(1), voter("ann"), false)).unwrap();
    assert_eq!(world.state.task(task(1)).map(|task| task.phase()), Some(Phase::Cancelled));
    assert!(world.reason(1).contains("ann says no: looked at it"), "{}", world.reason(1));
    let late = world.ask(vote(of_task(1), voter("ben"), true)).unwrap_err();
    assert_eq!(late, Refusal::ApprovalClosed { approval: of_task(1), status: ApprovalStatus::Denied });
}

#[test]
fn an_approval_that_nobody_gives_in_time_is_a_no_also_after_a_restart() {
    let mut world = world();
    world.ask(put(policy("careful", "task.submit", approval_by(&["ann"], 1)))).unwrap();
    world.submit(spec(1));
    world.state = restored(&world);
    let due = world.state.next_due().unwrap();
    assert_eq!(due.as_millis(), world.now + 1000);
    world.pass(999);
    assert_eq!(world.phase(1), Phase::Pending);
    world.pass(1);
    assert_eq!(world.state.approval(of_task(1)).unwrap().status, ApprovalStatus::Expired);
    assert_eq!(world.phase(1), Phase::TimedOut);
    let reason = world.reason(1);
    assert!(reason.contains("not approved in time: it waited for 1 of 1 approvals by ann"), "{reason}");
}

#[test]
fn what_was_asked_for_a_task_that_is_over_is_withdrawn() {
    let mut world = world();
    world.ask(put(policy("careful", "task.submit", approval_by(&[], 1)))).unwrap();
    world.submit(spec(1));
    world.ask(Command::Cancel { task: task(1), reason: "enough".into() }).unwrap();
    assert_eq!(world.state.approval(of_task(1)).unwrap().status, ApprovalStatus::Withdrawn);
    assert!(world.state.next_due().is_none());
}

#[test]
fn an_agent_that_a_policy_blocks_does_not_get_the_work_and_another_does() {
    let mut world = world();
    world.ready_agent(2);
    let mut blocking = policy("trusted-only", "tool.none", Effect::Allow);
    blocking.agents.blocked.insert(name("worker-1"));
    world.ask(put(blocking)).unwrap();
    world.submit(spec(1));
    assert_eq!(world.claim(1, 1).len(), 0);
    let why = world.state.why(task(1)).unwrap().to_string();
    assert!(why.contains("policy trusted-only"), "{why}");
    assert_eq!(world.state.next_due(), None, "nobody looks at it again by the clock");
    assert!(!world.state.has_work_for(agent(1), None) && world.state.has_work_for(agent(2), None));
    world.state = restored(&world);
    assert!(!world.state.has_work_for(agent(1), None) && world.state.has_work_for(agent(2), None));
    assert_eq!((world.claim(1, 1).len(), world.claim(2, 1)), (0, vec![(task(1), 1)]));
}

#[test]
fn work_that_a_policy_keeps_from_an_agent_keeps_its_place_for_one_that_may_have_it() {
    let mut world = world();
    world.ready_agent(2);
    let mut blocking = policy("trusted-only", "tool.none", Effect::Allow);
    blocking.agents.blocked.insert(name("worker-1"));
    blocking.scope.task_types.insert(name("secret"));
    world.ask(put(blocking)).unwrap();
    for number in 1..=3 {
        let kind = if number == 1 { name("secret") } else { spec(number).kind };
        world.submit(TaskSpec { kind, ..spec(number) });
    }
    assert_eq!(world.claim(1, 1), [(task(2), 1)], "it stands before nobody");
    assert_eq!(world.claim(2, 2), [(task(1), 1), (task(3), 1)]);
}

#[test]
fn an_agent_that_comes_later_gets_what_was_kept_from_all_before_and_nobody_is_asked_in_between() {
    let mut world = world();
    let mut only = policy("trusted-only", "tool.none", Effect::Allow);
    only.agents.allowed.insert(name("worker-2"));
    world.ask(put(only)).unwrap();
    for number in 1..=40 {
        world.submit(spec(number));
    }
    assert_eq!(world.claim(1, 1).len(), 0);
    let (events, mailbox) = (world.events.len(), MailboxId::Open);
    assert!(world.state.barred_since(&mailbox).is_some() && world.state.mailbox(&mailbox).is_none());
    world.pass(3_600_000);
    assert_eq!((world.events.len(), world.state.next_due()), (events, None), "idle costs nothing");
    world.ready_agent(2);
    let found = world.state.barred_for(world.state.agent(agent(2)).unwrap(), None);
    assert_eq!((found.len(), found[0].first, found[0].count), (1, task(1), 40));
    assert_eq!(world.claim(2, 9), [(task(1), 1), (task(2), 1)]);
    let found = world.state.barred_for(world.state.agent(agent(2)).unwrap(), None);
    assert!(found.is_empty(), "it has no slot left: {found:?}");
    world.ready_agent(3);
    assert_eq!(world.claim(3, 1).len(), 0);
}

#[test]
fn another_policy_lets_go_what_one_held_back_if_it_is_asked_before_it() {
    let mut world = world();
    world.ask(put(policy("stop", "task.dispatch", Effect::Deny))).unwrap();
    world.submit(spec(1));
    assert_eq!(world.claim(1, 1).len(), 0);
    let mut before = policy("go", "task.dispatch", Effect::Allow);
    before.priority = 9;
    world.ask(put(before)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
}

#[test]
fn tasks_that_differ_in_a_label_that_rules_speak_of_are_asked_about_apart() {
    let mut world = world();
    world.ready_agent(2);
    let mut by_label = policy("by-label", "task.dispatch", Effect::Deny);
    by_label.rules[0].when = Some(r#"agent == "worker-1" || label.team == "blue""#.into());
    world.ask(put(by_label)).unwrap();
    for (number, team) in [(1, "blue"), (2, "red"), (3, "red")] {
        let labels = [(name("team"), team.into()), (name("build"), number.to_string().into())];
        world.submit(TaskSpec { labels: labels.into_iter().collect(), ..spec(number) });
    }
    assert_eq!(world.claim(1, 1).len(), 0);
    let found = world.state.barred_for(world.state.agent(agent(2)).unwrap(), None);
    assert_eq!((found.len(), found[0].first, found[0].count), (1, task(2), 2), "builds make no difference");
    assert_eq!(world.claim(2, 1), [(task(2), 1)]);
}

#[test]
fn a_policy_that_is_removed_lets_go_what_it_held_back() {
    let mut world = world();
    world.ask(put(policy("stop", "task.dispatch", Effect::Deny))).unwrap();
    world.submit(spec(1));
    assert_eq!(world.claim(1, 1).len(), 0);
    world.ask(Command::Policy(PolicyCommand::Remove { policy: name("stop") })).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
}

#[test]
fn work_that_needs_an_approval_to_be_given_out_asks_for_it_once_its_turn_has_come() {
    let mut world = world();
    world.ask(put(policy("careful", "task.dispatch", approval_by(&[], 1)))).unwrap();
    world.submit(spec(1));
    assert_eq!(world.state.approvals().count(), 0);
    assert_eq!(world.claim(1, 1).len(), 0);
    let asked = world.state.approvals().next().unwrap().id;
    world.ask(vote(asked, voter("ann"), true)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    assert_eq!(world.state.approvals().count(), 1);
}

#[test]
fn a_tool_is_denied_without_a_rule_and_the_violation_is_counted_not_repeated() {
    let mut world = world();
    let mut question = ask_for("tool.shell", &[("path", "/etc/passwd".into())]);
    question.agent = Some(agent(1));
    for number in 1..=3 {
        assert_eq!(ask(&mut world, number, question.clone()).verdict.ruling, Ruling::Deny);
    }
    let violations: Vec<_> = world.state.violations().cloned().collect();
    assert_eq!((violations.len(), violations[0].count), (1, 3));
    assert_eq!(&*violations[0].offence.subject, "worker-1");
    world
        .ask(Command::Policy(PolicyCommand::SetDefaults {
            defaults: Defaults { tools: true, ..Defaults::default() },
        }))
        .unwrap();
    assert!(ask(&mut world, 4, question).allows());
}

#[test]
fn the_same_question_gets_the_same_approval_and_another_one_its_own() {
    let mut world = world();
    world.ask(put(policy("careful", "tool.*", approval_by(&[], 1)))).unwrap();
    world.submit(spec(1));
    world.claim(1, 1);
    let mut question = ask_for("tool.shell", &[("command", "ls".into())]);
    question.task = Some(task(1));
    let first = ask(&mut world, 101, question.clone());
    assert_eq!(first.approval, Some((ApprovalId::from_raw(101), ApprovalStatus::Pending)));
    // Another attempt asks again, perhaps by another agent.
    question.agent = Some(agent(1));
    assert_eq!(ask(&mut world, 102, question.clone()).approval, first.approval);
    let other = ask_for("tool.shell", &[("command", "rm".into())]);
    assert_eq!(ask(&mut world, 103, other).approval.unwrap().0, ApprovalId::from_raw(103));
    world.ask(vote(ApprovalId::from_raw(101), voter("ann"), true)).unwrap();
    assert!(ask(&mut world, 104, question).allows());
}

#[test]
fn what_a_soft_policy_denies_can_be_overridden_for_a_while_and_what_a_hard_one_denies_cannot() {
    let mut world = world();
    let mut soft = policy("p", "task.submit", Effect::Deny);
    soft.enforcement = Enforcement::Soft;
    world.ask(put(soft)).unwrap();
    let Err(Refusal::PolicyDenied { by, why, .. }) = world.ask(super::world::submit(spec(1))) else {
        panic!()
    };
    let verdict =
        synod_domain::policy::Verdict { ruling: Ruling::Deny, by, warned: false, why: why.as_str().into() };
    let id = ViolationId::from_raw(7);
    let question = synod_domain::policy::Ask::of_submit(&spec(1));
    let note = PolicyCommand::Note { id, ask: question.into(), verdict: verdict.into() };
    world.ask(Command::Policy(note)).unwrap();
    let overriding = |status| {
        Command::Policy(PolicyCommand::Settle { violation: id, status, by: name("ann"), note: "once".into() })
    };
    world.ask(overriding(ViolationStatus::Overridden)).unwrap();
    world.submit(spec(1));
    world.pass(60 * 60 * 1000);
    assert!(world.ask(super::world::submit(spec(2))).is_err(), "an override ends");
    world.ask(put(policy("hard", "tool.*", Effect::Deny))).unwrap();
    ask(&mut world, 9, ask_for("tool.a", &[]));
    let hard = Command::Policy(PolicyCommand::Settle {
        violation: ViolationId::from_raw(9),
        status: ViolationStatus::Overridden,
        by: name("ann"),
        note: "please".into(),
    });
    assert!(world.ask(hard).is_err());
}

#[test]
fn a_policy_that_warns_lets_the_submit_pass_and_notes_it() {
    let mut world = world();
    let mut warning = policy("trial", "task.submit", Effect::Deny);
    warning.enforcement = Enforcement::Warn;
    world.ask(put(warning)).unwrap();
    world.submit(spec(1));
    let violation = world.state.violations().next().unwrap();
    assert!(violation.allowed && violation.task == Some(task(1)));
    let noted = |event: &&Event| matches!(event, Event::Governed { what: Governing::PolicyViolated, .. });
    assert_eq!(world.events.iter().filter(noted).count(), 1);
}

/// Somebody asks for it, and not a node by itself.
fn of_somebody(command: Command) -> Command {
    let actor = Actor::of(ActorKind::Token, "somebody");
    Command::By { actor: Arc::new(actor), command: Box::new(command) }
}

fn of_node(command: Command) -> Command {
    let actor = Actor::of(ActorKind::Node, "node");
    Command::By { actor: Arc::new(actor), command: Box::new(command) }
}

/// A pool whose agents nodes start.
fn pool_up_to(max: u32) -> Command {
    let runtime = RuntimeSpec::Native(name("n"));
    Command::PutPool { spec: PoolSpec { max, runtime, ..pool_spec("crowd") }.into() }
}

#[test]
fn whoever_brings_agents_is_judged_at_the_door_and_nodes_are_not() {
    let mut world = world();
    world.ask(of_somebody(pool_up_to(2))).unwrap();
    let mut few = policy("few", "agent.spawn", Effect::Deny);
    few.rules[0].when = Some("agents > 3".into());
    few.rules.push(rule("agent.spawn", Effect::Deny));
    few.rules[1].when = Some("name == \"worker-9\"".into());
    world.ask(put(few)).unwrap();
    let refusal = world.ask(of_somebody(pool_up_to(4))).unwrap_err();
    assert_eq!(refusal.code(), "policy_denied");
    assert!(refusal.to_string().contains("agent.spawn is denied by policy few"), "{refusal}");
    world.ask(of_somebody(pool_up_to(3))).unwrap();
    let scale = |target| Command::ScalePool { pool: name("crowd"), target };
    world.ask(of_somebody(scale(2))).unwrap();
    // A pool that allowed more before the policy may become smaller, and a node does what follows.
    world.ask(of_node(pool_up_to(9))).unwrap();
    assert!(world.ask(of_somebody(scale(4))).is_err());
    world.ask(of_node(scale(4))).unwrap();
    world.ask(of_somebody(pool_up_to(5))).unwrap();
    world.ask(of_somebody(scale(1))).unwrap();

    let nine = || register(agent_spec(9, None, Host::External));
    assert!(world.ask(of_somebody(nine())).is_err());
    world.ask(of_node(nine())).unwrap();
    world.ask(of_somebody(nine())).expect("it is there already");
    world.ask(of_somebody(register(agent_spec(8, None, Host::External)))).unwrap();
}

#[test]
fn agents_that_need_an_approval_are_refused_until_the_same_question_was_approved() {
    let mut world = world();
    world.ask(put(policy("careful", "agent.*", approval_by(&["ann"], 1)))).unwrap();
    let ann = token_named(&mut world, 1, "ann");
    let refusal = world.ask(of_somebody(pool_up_to(4))).unwrap_err();
    assert!(refusal.to_string().contains("evaluate agent.spawn with the same attributes"), "{refusal}");
    let attributes: Attributes =
        [("pool".into(), Value::Text("crowd".into())), ("agents".into(), Value::Whole(4))]
            .into_iter()
            .collect();
    let question = synod_domain::policy::Ask {
        workspace: Some(name("default")),
        agent: None,
        attributes,
        ..ask_for("agent.spawn", &[])
    };
    let id = ApprovalId::from_raw(77);
    assert_eq!(ask(&mut world, 77, question).approval, Some((id, ApprovalStatus::Pending)));
    assert!(world.ask(of_somebody(pool_up_to(4))).is_err());
    world.ask(vote(id, ann, true)).unwrap();
    world.ask(of_somebody(pool_up_to(4))).unwrap();
    assert!(world.ask(of_somebody(pool_up_to(5))).is_err(), "that is another question");
}
