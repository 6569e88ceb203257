//! Laws of pauses and of what can be claimed, and examples of both.

use std::collections::BTreeSet;

use proptest::prelude::*;
use synod_domain::agent::{Agent, Host, Standing};
use synod_domain::capability::Capabilities;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::event::Event;
use synod_domain::id::{AgentId, RequestId};
use synod_domain::limits::Limits;
use synod_domain::pause::{PAUSES_MAX, Pausable};
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::reply::Reply;
use synod_domain::row::{Row, RowKey};
use synod_domain::state::{Effects, State};
use synod_domain::task::{MailboxId, Phase, TaskSpec, Timeouts};

use super::histories::{config, histories, one_by_one};
use super::world::{
    Claimed, World, agent, agent_spec, capabilities, claim, complete, millis, name, pool_spec, register,
    rows_but_audit, spec, standing, submit, task,
};

fn pause(what: Pausable) -> Command {
    Command::Pause { what, reason: "moving".into() }
}

fn workspace(text: &str) -> Pausable {
    Pausable::Workspace(name(text))
}

fn copy(state: &State) -> State {
    State::restore(state.rows().into_iter().map(|(_, row)| row)).unwrap()
}

/// Applies a command at the state's own time, under an id that no history uses.
fn ask(state: &mut State, number: u128, command: Command) -> Effects {
    let request = Request { id: RequestId::from_raw((1 << 100) + number), command };
    state.apply(&Entry { at: state.now(), seed: 1, commands: vec![request] })
}

/// Everything but the memory of requests, and what webhooks are told of them.
fn rest(state: &State) -> Vec<(RowKey, Row)> {
    let is_told = |key: &RowKey| matches!(key, RowKey::Requests(_) | RowKey::Webhook(_));
    rows_but_audit(state).into_iter().filter(|(key, _)| !is_told(key)).collect()
}

fn everything() -> Vec<Pausable> {
    let mailboxes = [MailboxId::Open, MailboxId::Pool(name("a")), MailboxId::Pool(name("b"))];
    let agents = (0..7).map(|number| MailboxId::Agent(agent(number)));
    let mailboxes = mailboxes.into_iter().chain(agents).map(Pausable::Mailbox);
    let pools = ["a", "b"].map(|pool| Pausable::Pool(name(pool)));
    mailboxes.chain(pools).chain(["w1", "w2", "w3"].map(workspace)).collect()
}

/// Tells whether a plan made from what is claimable would name the agent, as the scheduler makes it.
fn would_plan(state: &State, agent: &Agent, offered: &Capabilities) -> bool {
    let sources = state.sources_of(&agent.spec);
    let mut claimable = sources.iter().flat_map(|source| state.claimable(source));
    let barred = !state.barred_for(agent, Some(offered)).is_empty();
    state.may_claim(agent)
        && (barred || claimable.any(|work| work.count > 0 && offered.satisfy(&work.demand)))
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn has_work_for_says_exactly_whether_a_claim_now_would_give_something(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
        }
        let offers: [Option<&[&str]>; 3] = [None, Some(&[]), Some(&["rust@1"])];
        for (who, offered) in (0..7).flat_map(|who| offers.map(|offered| (who, offered.map(capabilities)))) {
            let says = state.has_work_for(agent(who), offered.as_ref());
            let known = state.agent(agent(who)).cloned();
            let planned = known.is_some_and(|agent| {
                let offered = offered.as_ref().unwrap_or(&agent.spec.capabilities);
                would_plan(&state, &agent, offered)
            });
            prop_assert_eq!(says, planned, "whoever plans by what is claimable claims in vain, or not at all");
            let command = Command::Claim { agent: agent(who), max: 1, start: true, offered: offered.clone() };
            let mut after = copy(&state);
            let answer = ask(&mut after, 0, command).answers.remove(0);
            let given = answer.as_ref().is_ok_and(|reply| !reply.claimed().is_empty());
            // What governs may hold back all that there was; then nobody asks for it again.
            let held_back = says && !given && !after.has_work_for(agent(who), offered.as_ref());
            prop_assert!(says == given || held_back, "agent {} was answered {:?}", who, answer);
        }
    }

    #[test]
    fn nothing_that_is_paused_is_given_out(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            let leased = |state: &State| -> BTreeSet<_> {
                state.tasks().filter(|task| task.lease().is_some()).map(|task| task.spec.id).collect()
            };
            let before = leased(&state);
            let paused: BTreeSet<Pausable> = state.pauses().map(|pause| pause.what.clone()).collect();
            let effects = state.apply(entry);
            for event in &effects.events {
                let Event::TaskLeased { task, agent, .. } = event else { continue };
                prop_assert!(!before.contains(task));
                let task = state.task(*task).unwrap();
                let pool = state.agent(*agent).and_then(|agent| agent.spec.pool.clone());
                prop_assert!(!paused.contains(&Pausable::Workspace(task.spec.workspace.clone())));
                prop_assert!(!paused.contains(&Pausable::Mailbox(task.spec.mailbox.clone())));
                prop_assert!(pool.is_none_or(|pool| !paused.contains(&Pausable::Pool(pool))));
            }
        }
    }

    #[test]
    fn a_pause_that_is_taken_back_leaves_no_trace(
        history in histories(), cut in any::<prop::sample::Index>(), which in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(history.len());
        let mut state = State::default();
        for entry in &history[..cut] {
            state.apply(entry);
        }
        let all = everything();
        let what = all[which.index(all.len())].clone();
        // What is set aside for what is paused goes to others at once.
        let waited_for = state.resources().any(|one| state.resource_waiting(&one.name) > 0);
        if state.pause_of(&what).is_some() || waited_for {
            return Ok(());
        }
        let mut other = copy(&state);
        let paused = ask(&mut other, 0, pause(what.clone())).answers.remove(0).is_ok();
        prop_assert_eq!(other.pause_of(&what).is_some(), paused);
        // Whoever may take from nothing else takes nothing, and nothing is stirred by asking.
        ask(&mut other, 1, Command::Resume { what });
        prop_assert_eq!(rest(&other), rest(&state));
        for entry in &history[cut..] {
            prop_assert_eq!(other.apply(entry), state.apply(entry));
        }
    }

    #[test]
    fn while_everything_is_paused_claims_give_and_change_nothing(
        history in histories(), claims in prop::collection::vec(0..7_u128, 1..10),
    ) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
        }
        for (number, what) in (0..).zip(everything()) {
            ask(&mut state, number, pause(what));
        }
        let before = rest(&state);
        for (number, who) in (100..).zip(claims) {
            let effects = ask(&mut state, number, claim(who, 3));
            prop_assert!(effects.answers[0].as_ref().map_or(true, |reply| *reply == Reply::Claimed(Vec::new())));
        }
        prop_assert_eq!(before, rest(&state));
    }
}

fn of(workspace: &str, number: u128) -> TaskSpec {
    TaskSpec { workspace: name(workspace), ..spec(number) }
}

#[test]
fn work_of_a_paused_workspace_waits_while_others_go_on_and_then_comes_in_its_order() {
    let mut world = World::new(Limits::default());
    for number in 1..=3 {
        world.submit(of("still", number));
        world.submit(of("busy", 10 + number));
    }
    world.ask(pause(workspace("still"))).unwrap();
    let mut taken = Vec::new();
    while let [(task, attempt)] = world.claim(1, 1)[..] {
        taken.push(task);
        world.ask(complete(task.raw(), attempt)).unwrap();
    }
    assert_eq!(taken, [11, 12, 13].map(task));
    assert!(!world.state.has_work_for(agent(1), None));
    // It is taken all the same.
    world.submit(of("still", 4));
    world.ask(Command::Resume { what: workspace("still") }).unwrap();
    assert_eq!(world.claim(1, 2), [(task(1), 1), (task(2), 1)]);
    assert_eq!(world.state.pauses().count(), 0);
}

#[test]
fn agents_of_a_paused_pool_claim_nothing_from_anywhere_and_finish_what_they_have() {
    let mut world = World::new(Limits::default());
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    world.ask(register(agent_spec(2, Some("p"), Host::External))).unwrap();
    world.ask(standing(2, Standing::Ready)).unwrap();
    world.submit(spec(1));
    assert_eq!(world.claim(2, 1), [(task(1), 1)]);
    world.ask(pause(Pausable::Pool(name("p")))).unwrap();
    for (number, mailbox) in
        [(2, MailboxId::Open), (3, MailboxId::Pool(name("p"))), (4, MailboxId::Agent(agent(2)))]
    {
        world.submit(TaskSpec { mailbox, ..spec(number) });
    }
    assert_eq!(world.claim(2, 5), []);
    world.ask(complete(1, 1)).unwrap();
    // Nobody else is concerned.
    assert_eq!(world.claim(1, 5), [(task(2), 1)]);
    assert_eq!(world.state.claimable(&MailboxId::Pool(name("p"))), []);
    world.ask(Command::Resume { what: Pausable::Pool(name("p")) }).unwrap();
    assert_eq!(world.claim(2, 5), [(task(4), 1), (task(3), 1)]);
}

#[test]
fn timeouts_go_on_while_a_mailbox_is_paused() {
    let mut world = World::new(Limits::default());
    world.ask(pause(Pausable::Mailbox(MailboxId::Open))).unwrap();
    let timeouts = Timeouts { waiting: Some(millis(500)), ..Timeouts::default() };
    world.submit(TaskSpec { timeouts, ..spec(1) });
    assert_eq!(world.claim(1, 1), []);
    world.pass(500);
    assert_eq!(world.phase(1), Phase::TimedOut);
}

#[test]
fn a_claim_may_offer_other_capabilities_than_the_agent_registered() {
    let mut world = World::new(Limits::default());
    world.submit(TaskSpec { demand: capabilities(&["rust"]), ..spec(1) });
    let offering = |offered: &[&str]| Command::Claim {
        agent: agent(1),
        max: 1,
        start: true,
        offered: Some(capabilities(offered)),
    };
    assert_eq!(world.claim(1, 1), []);
    assert_eq!(world.ask(offering(&["python"])).unwrap().claimed(), []);
    assert_eq!(world.ask(offering(&["rust@1"])).unwrap().claimed().len(), 1);
    let many: Vec<String> = (0..65).map(|number| format!("c{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(world.ask(offering(&many)).map_err(|refusal| refusal.code()), Err("invalid"));
    // Only for that claim.
    let known: AgentId = agent(1);
    assert!(world.state.agent(known).unwrap().spec.capabilities.is_empty());
}

#[test]
fn a_pause_keeps_its_beginning_and_takes_the_latest_reason() {
    let mut world = World::new(Limits::default());
    world.ask(pause(workspace("w"))).unwrap();
    let (since, told) = (world.state.now(), world.events.len());
    world.pass(1000);
    world.ask(pause(workspace("w"))).unwrap();
    assert_eq!(world.events.len(), told);
    world.ask(Command::Pause { what: workspace("w"), reason: "still moving".into() }).unwrap();
    let pause = world.state.pause_of(&workspace("w")).unwrap();
    assert_eq!((pause.since, &*pause.reason), (since, "still moving"));
    world.ask(Command::Resume { what: workspace("w") }).unwrap();
    let told = world.events.len();
    assert_eq!(world.ask(Command::Resume { what: workspace("w") }), Ok(Reply::Done));
    assert_eq!(world.events.len(), told);
}

#[test]
fn pauses_are_bounded_and_only_of_what_there_is() {
    let mut world = World::new(Limits::default());
    assert_eq!(world.ask(pause(Pausable::Pool(name("p")))), Err(Refusal::PoolUnknown(name("p"))));
    let nobody = Pausable::Mailbox(MailboxId::Agent(agent(9)));
    assert_eq!(world.ask(pause(nobody)), Err(Refusal::AgentUnknown(agent(9))));
    for number in 0..PAUSES_MAX {
        world.ask(pause(workspace(&format!("w{number}")))).unwrap();
    }
    let full = Refusal::Full { bound: Bound::Pauses, limit: PAUSES_MAX as u64 };
    assert_eq!(world.ask(pause(workspace("one-more"))), Err(full));
    world.ask(Command::Resume { what: workspace("w0") }).unwrap();
    world.ask(pause(workspace("one-more"))).unwrap();
}

#[test]
fn pauses_end_with_the_pool_or_the_agent_they_are_of() {
    let mut world = World::new(Limits::default());
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    for what in [
        Pausable::Pool(name("p")),
        Pausable::Mailbox(MailboxId::Pool(name("p"))),
        Pausable::Mailbox(MailboxId::Agent(agent(1))),
    ] {
        world.ask(pause(what)).unwrap();
    }
    world.ask(Command::RemovePool { pool: name("p") }).unwrap();
    world.ask(Command::RemoveAgent { agent: agent(1) }).unwrap();
    assert_eq!(world.state.pauses().count(), 0);
    let resumed = world.events.iter().filter(|event| matches!(event, Event::Resumed { .. })).count();
    assert_eq!(resumed, 3);
    assert_eq!(world.ask(submit(spec(1))).map(|_| world.state.claimable(&MailboxId::Open).len()), Ok(1));
}
