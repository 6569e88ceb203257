//! The claims desk: who waits is called when there is work for it, and a lease reaches its claimer or goes back.

use std::collections::BTreeSet;
use std::time::Duration;

use synod_actors::desk::{Ask, CLAIMS_WAITING_MAX, ClaimError};
use synod_actors::ports::JournalError;
use synod_domain::access::AccessCommand;
use synod_domain::agent::{AgentStatus, PoolSpec, RuntimeSpec, Standing};
use synod_domain::chance::Chance;
use synod_domain::command::Command;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::pause::Pausable;
use synod_domain::payload::Payload;
use synod_domain::quota::Quota;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Assignment;
use synod_domain::task::{AttemptEnd, MailboxId, Phase, Usage};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::puppet::until_stopped;
use crate::stage::{AGENT_TIMEOUT, SECOND, Stage, capabilities, name, pass, pool, settle};

/// Longer than any test runs: whoever is answered only when this is over was forgotten.
const LONG: Duration = Duration::from_secs(24 * 3600);

pub(crate) type Claiming = JoinHandle<Result<Vec<Assignment>, ClaimError>>;

impl Stage {
    pub(crate) fn ask(&self, agent: AgentId) -> Ask {
        let request = self.world.ids.request();
        Ask { agent, offered: None, max: 1, start: true, wait: LONG, request }
    }

    /// Claims beside the test, and returns when that waits or is done.
    pub(crate) async fn claiming(&self, ask: Ask) -> Claiming {
        let desk = self.system.desk().clone();
        let claiming = tokio::spawn(async move { desk.claim(ask).await });
        settle().await;
        claiming
    }

    pub(crate) async fn far(&self, what: &str) -> AgentId {
        let mut spec = self.outside("far");
        spec.capabilities = capabilities(what);
        spec.heartbeat_timeout = Some(100 * LONG);
        self.register(spec).await
    }

    pub(crate) fn claims(&self) -> usize {
        self.asked_for(|command| matches!(command, Command::ClaimOnce { .. }))
    }

    pub(crate) fn complete(&self, task: TaskId, attempt: u32) {
        let (result, usage) = (Payload::inline(*b"null"), Usage::default());
        self.apply(Command::Complete { task, attempt, result, usage }).unwrap();
    }
}

pub(crate) async fn tasks(claiming: Claiming) -> Vec<TaskId> {
    let leases = claiming.await.unwrap().unwrap();
    leases.into_iter().map(|lease| lease.spec.id).collect()
}

#[tokio::test(start_paused = true)]
async fn claim_takes_what_is_there_and_waits_for_nothing() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("").await;
    let there = stage.open_burst("", 3);
    let began = Instant::now();
    let leases = stage.system.desk().claim(Ask { max: 2, ..stage.ask(agent) }).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    let taken: Vec<TaskId> = leases.iter().map(|lease| lease.spec.id).collect();
    assert_eq!(taken, there[..1], "it has one slot");
    assert_eq!(stage.phase(there[0]), Phase::Running);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_called_by_the_submit_with_one_claim_and_no_time_passing() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("").await;
    let claiming = stage.claiming(stage.ask(agent)).await;
    pass(3600 * SECOND).await;
    assert_eq!(stage.claims(), 0);
    let began = Instant::now();
    let task = stage.submit(stage.open_task("")).await;
    assert_eq!(tasks(claiming).await, [task]);
    assert_eq!((began.elapsed(), stage.claims()), (Duration::ZERO, 1));
    assert_eq!(stage.system.desk().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn wait_that_is_over_is_answered_with_nothing_and_nothing_was_written() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("").await;
    stage.open_burst("gpu", 3);
    settle().await;
    let (before, began) = (stage.asked(), Instant::now());
    let leases = stage.system.desk().claim(Ask { wait: 30 * SECOND, ..stage.ask(agent) }).await;
    assert_eq!((leases, began.elapsed().as_secs()), (Ok(Vec::new()), 30));
    let none = Ask { wait: Duration::ZERO, ..stage.ask(agent) };
    assert_eq!(stage.system.desk().claim(none).await, Ok(Vec::new()));
    assert_eq!((stage.asked() - before, stage.system.desk().waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn work_of_each_mailbox_that_an_agent_takes_from_calls_it() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(PoolSpec { runtime: RuntimeSpec::External, max: 9, ..pool("away", 0) }).await;
    let mut spec = stage.outside("far");
    (spec.pool, spec.concurrency) = (Some(name("away")), 9);
    let agent = stage.register(spec).await;
    for mailbox in [MailboxId::Agent(agent), MailboxId::Pool(name("away")), MailboxId::Open] {
        let claiming = stage.claiming(stage.ask(agent)).await;
        let mut task = stage.open_task("");
        task.mailbox = mailbox;
        let task = stage.submit(task).await;
        assert_eq!(tasks(claiming).await, [task]);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_makes_work_claimable_calls_who_waits() {
    let stage = Stage::start(until_stopped).await;
    let (one, two) = (stage.far("").await, stage.far("").await);
    let task = stage.submit(stage.open_task("")).await;
    let first = stage.system.desk().claim(stage.ask(one)).await.unwrap().remove(0);

    let claiming = stage.claiming(stage.ask(two)).await;
    let reason = "by hand".into();
    stage.apply(Command::Release { task, attempt: first.attempt, reason }).unwrap();
    assert_eq!(tasks(claiming).await, [task], "a lease that is given back");

    let claiming = stage.claiming(stage.ask(one)).await;
    let (reason, usage) = ("by hand".into(), Usage::default());
    stage.apply(Command::Fail { task, attempt: 2, reason, retryable: true, usage }).unwrap();
    assert_eq!(tasks(claiming).await, [task], "a backoff that is over");

    let claiming = stage.claiming(stage.ask(two)).await;
    stage.apply(Command::RemoveAgent { agent: one }).unwrap();
    assert_eq!(tasks(claiming).await, [task], "a lease that is lost");

    let claiming = stage.claiming(stage.ask(two)).await;
    let next = stage.submit(stage.open_task("")).await;
    settle().await;
    assert_eq!(stage.phase(next), Phase::Pending, "its slot is taken");
    stage.complete(task, 4);
    assert_eq!(tasks(claiming).await, [next], "a slot that is free again");
    stage.complete(next, 1);

    for what in [Pausable::Mailbox(MailboxId::Open), Pausable::Workspace(stage.open_task("").workspace)] {
        stage.apply(Command::Pause { what: what.clone(), reason: "by hand".into() }).unwrap();
        let claiming = stage.claiming(stage.ask(two)).await;
        let held_back = stage.submit(stage.open_task("")).await;
        let before = stage.asked();
        pass(3600 * SECOND).await;
        assert_eq!(stage.asked() - before, 0, "{what} is paused");
        stage.apply(Command::Resume { what }).unwrap();
        assert_eq!(tasks(claiming).await, [held_back], "a pause that is over");
        stage.complete(held_back, 1);
    }

    let spec = stage.read(|state| state.agent(two).unwrap().spec.clone());
    stage.apply(Command::RegisterAgent { spec }).unwrap();
    let claiming = stage.claiming(stage.ask(two)).await;
    let last = stage.submit(stage.open_task("")).await;
    settle().await;
    assert_eq!(stage.phase(last), Phase::Pending, "it is starting");
    let (standing, reason) = (Standing::Ready, "here".into());
    stage.apply(Command::SetStanding { agent: two, standing, reason }).unwrap();
    assert_eq!(tasks(claiming).await, [last], "an agent that is ready");
}

#[tokio::test(start_paused = true)]
async fn one_place_under_a_quota_calls_one_who_waits_wherever_the_work_is() {
    let stage = Stage::start(until_stopped).await;
    let (one, two) = (stage.far("").await, stage.far("gpu").await);
    let quota = |concurrency| {
        let quota = Quota { concurrency, ..Quota::default() };
        Command::Access(AccessCommand::PutQuota { workspace: stage.open_task("").workspace, quota })
    };
    stage.apply(quota(Some(1))).unwrap();
    let first = stage.submit(stage.open_task("")).await;
    assert_eq!(stage.system.desk().claim(stage.ask(one)).await.unwrap().len(), 1);

    let claiming = stage.claiming(stage.ask(two)).await;
    let next = stage.submit(stage.open_task("gpu")).await;
    let before = stage.asked();
    pass(3600 * SECOND).await;
    assert_eq!(stage.asked() - before, 0, "it has as much in hand as it may");
    stage.complete(first, 1);
    assert_eq!(tasks(claiming).await, [next], "the other one has ended");

    let claiming = stage.claiming(stage.ask(one)).await;
    let last = stage.submit(stage.open_task("")).await;
    settle().await;
    assert_eq!(stage.phase(last), Phase::Pending);
    stage.apply(quota(Some(2))).unwrap();
    assert_eq!(tasks(claiming).await, [last], "the quota is raised");
}

#[tokio::test(start_paused = true)]
async fn pool_that_is_paused_keeps_its_agents_waiting() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(PoolSpec { runtime: RuntimeSpec::External, max: 9, ..pool("away", 0) }).await;
    let mut spec = stage.outside("far");
    spec.pool = Some(name("away"));
    let agent = stage.register(spec).await;
    let what = Pausable::Pool(name("away"));
    stage.apply(Command::Pause { what: what.clone(), reason: "by hand".into() }).unwrap();
    let claiming = stage.claiming(stage.ask(agent)).await;
    let task = stage.submit(stage.open_task("")).await;
    settle().await;
    assert_eq!(stage.phase(task), Phase::Pending);
    stage.apply(Command::Resume { what }).unwrap();
    assert_eq!(tasks(claiming).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn as_many_are_called_as_there_are_tasks_in_the_order_in_which_they_came() {
    let stage = Stage::start(until_stopped).await;
    let mut waiting = Vec::new();
    for number in 0..100 {
        // Who can do more, or something else, is in line like everybody else.
        let able = ["", "gpu", "rust"][number % 3];
        let agent = stage.far(able).await;
        waiting.push(stage.claiming(stage.ask(agent)).await);
    }
    let there = stage.open_burst("", 7);
    settle().await;
    assert_eq!(stage.claims(), 7);
    let mut taken = BTreeSet::new();
    for (number, claiming) in waiting.iter_mut().enumerate().take(7) {
        assert!(claiming.is_finished(), "number {number} was first");
        taken.extend(claiming.await.unwrap().unwrap().into_iter().map(|lease| lease.spec.id));
    }
    assert_eq!(taken, there.into_iter().collect());
    assert_eq!(stage.system.desk().waiting(), 93);

    // Only those who can do it, again the first of them.
    stage.open_burst("rust", 2);
    settle().await;
    let called: Vec<usize> =
        waiting[7..].iter().enumerate().filter(|(_, one)| one.is_finished()).map(|(at, _)| at + 7).collect();
    assert_eq!((called, stage.claims()), (vec![8, 11], 9));
}

#[tokio::test(start_paused = true)]
async fn who_takes_several_is_set_against_several() {
    let stage = Stage::start(until_stopped).await;
    let mut spec = stage.outside("far");
    spec.concurrency = 50;
    let many = stage.register(spec).await;
    let first = stage.claiming(Ask { max: 10, ..stage.ask(many) }).await;
    let second = stage.claiming(stage.ask(stage.far("").await)).await;
    stage.open_burst("", 10);
    settle().await;
    assert_eq!((tasks(first).await.len(), second.is_finished(), stage.claims()), (10, false, 1));
}

#[tokio::test(start_paused = true)]
async fn claim_may_offer_more_or_less_than_its_agent_was_registered_with() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("rust").await;
    let less = Ask { offered: Some(capabilities("")), wait: SECOND, ..stage.ask(agent) };
    let task = stage.submit(stage.open_task("rust")).await;
    assert_eq!(stage.system.desk().claim(less).await, Ok(Vec::new()));
    let other = stage.far("").await;
    let more = Ask { offered: Some(capabilities("rust gpu")), ..stage.ask(other) };
    assert_eq!(tasks(stage.claiming(more).await).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn claimer_who_found_the_work_gone_keeps_its_place_and_gets_the_next() {
    let stage = Stage::start(until_stopped).await;
    let (agent, thief) = (stage.far("").await, stage.far("").await);
    let claiming = stage.claiming(stage.ask(agent)).await;
    let later = stage.claiming(stage.ask(stage.far("").await)).await;
    stage.faults(|faults| faults.delay = SECOND);
    stage.open_burst("", 1);
    settle().await;
    // Taken while the claim is on its way.
    stage.apply(Command::Claim { agent: thief, max: 1, start: true, offered: None }).unwrap();
    pass(10 * SECOND).await;
    assert_eq!((claiming.is_finished(), stage.claims()), (false, 1));
    let next = stage.open_burst("", 1);
    assert_eq!(tasks(claiming).await, next);
    assert!(!later.is_finished());
}

#[tokio::test(start_paused = true)]
async fn work_left_by_a_claim_that_took_other_work_calls_the_next() {
    let stage = Stage::start(until_stopped).await;
    let mut spec = stage.outside("far");
    spec.concurrency = 2;
    let many = stage.register(spec).await;
    let first = stage.claiming(Ask { max: 2, ..stage.ask(many) }).await;
    let second = stage.claiming(stage.ask(stage.far("").await)).await;
    stage.faults(|faults| faults.delay = SECOND);
    let open = stage.open_burst("", 2);
    settle().await;
    // While its claim is on its way for both, it gets work of its own, which comes first.
    let mut own = stage.open_task("");
    own.mailbox = MailboxId::Agent(many);
    let own = match stage.apply(Command::Submit { spec: own.into() }).unwrap() {
        synod_domain::reply::Reply::Submitted { task, .. } => task,
        other => panic!("{other:?}"),
    };
    assert_eq!(tasks(first).await, [own, open[0]]);
    assert_eq!(tasks(second).await, [open[1]]);
}

#[tokio::test(start_paused = true)]
async fn work_that_a_claim_is_on_its_way_for_calls_nobody_else() {
    let stage = Stage::start(until_stopped).await;
    let first = stage.claiming(stage.ask(stage.far("").await)).await;
    let second = stage.far("").await;
    stage.faults(|faults| faults.delay = SECOND);
    let task = stage.open_burst("", 1)[0];
    settle().await;
    let second = stage.claiming(stage.ask(second)).await;
    assert_eq!(tasks(first).await, [task]);
    pass(10 * SECOND).await;
    assert_eq!((stage.claims(), second.is_finished()), (1, false));
}

#[tokio::test(start_paused = true)]
async fn wait_that_is_over_while_the_claim_is_on_its_way_still_gets_its_lease_or_hears_that_there_is_none() {
    let stage = Stage::start(until_stopped).await;
    let (agent, thief) = (stage.far("").await, stage.far("").await);
    stage.faults(|faults| faults.delay = 10 * SECOND);
    let task = stage.open_burst("", 1)[0];
    let claiming = stage.claiming(Ask { wait: SECOND, ..stage.ask(agent) }).await;
    assert_eq!(tasks(claiming).await, [task]);
    assert_eq!(stage.read(|state| state.task(task).unwrap().attempt), 1);
    stage.complete(task, 1);
    stage.open_burst("", 1);
    let claiming = stage.claiming(Ask { wait: SECOND, ..stage.ask(agent) }).await;
    stage.apply(Command::Claim { agent: thief, max: 1, start: true, offered: None }).unwrap();
    let began = Instant::now();
    assert!(tasks(claiming).await.is_empty());
    assert!(began.elapsed() < 20 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn every_task_is_claimed_without_anybody_waiting_for_a_timeout() {
    for seed in 1..=20 {
        let stage = Stage::start_seeded(seed, crate::puppet::Puppet::new(until_stopped)).await;
        let mut chance = Chance::new(seed);
        stage.faults(|faults| faults.delay = Duration::from_millis(seed % 4));
        let mut workers = Vec::new();
        for _ in 0..24 {
            let able = ["", "a", "b", "a b"][usize::try_from(chance.below(4)).unwrap()];
            let mut spec = stage.outside("far");
            spec.capabilities = capabilities(able);
            spec.concurrency = u32::try_from(1 + chance.below(3)).unwrap();
            spec.heartbeat_timeout = Some(100 * LONG);
            let agent = stage.register(spec).await;
            let (desk, world) = (stage.system.desk().clone(), stage.world.clone());
            let max = u32::try_from(1 + chance.below(3)).unwrap();
            let gives_up = chance.below(4) == 0;
            let mut own = Chance::new(chance.draw());
            workers.push(tokio::spawn(async move {
                loop {
                    let request = world.ids.request();
                    let ask = Ask { agent, offered: None, max, start: true, wait: LONG, request };
                    let claim = desk.claim(ask);
                    let leases = if gives_up {
                        let patience = Duration::from_millis(own.below(20));
                        let Ok(leases) = tokio::time::timeout(patience, claim).await else { continue };
                        leases
                    } else {
                        claim.await
                    };
                    let Ok(leases) = leases else { return };
                    for lease in leases {
                        tokio::time::sleep(Duration::from_millis(own.below(5))).await;
                        let (task, attempt) = (lease.spec.id, lease.attempt);
                        let (result, usage) = (Payload::inline(*b"null"), Usage::default());
                        let end = Command::Complete { task, attempt, result, usage };
                        world.propose(end).await.unwrap().unwrap();
                    }
                }
            }));
        }
        // One of each sort, so that nothing waits for somebody who is not there.
        let everybody = stage.far("a b").await;
        let (desk, world) = (stage.system.desk().clone(), stage.world.clone());
        let last = tokio::spawn(async move {
            loop {
                let request = world.ids.request();
                let ask = Ask { agent: everybody, offered: None, max: 1, start: true, wait: LONG, request };
                let Ok(leases) = desk.claim(ask).await else { return };
                for lease in leases {
                    let (task, attempt) = (lease.spec.id, lease.attempt);
                    let (result, usage) = (Payload::inline(*b"null"), Usage::default());
                    world.propose(Command::Complete { task, attempt, result, usage }).await.unwrap().unwrap();
                }
            }
        });
        let began = Instant::now();
        for _ in 0..60 {
            let demand = ["", "a", "b", "a b"][usize::try_from(chance.below(4)).unwrap()];
            stage.open_burst(demand, usize::try_from(chance.below(6)).unwrap());
            pass(Duration::from_millis(chance.below(10))).await;
        }
        stage.until_all_ended().await;
        assert!(began.elapsed() < 60 * SECOND, "seed {seed}: {:?}", began.elapsed());
        let ended = stage
            .read(|state| state.recently_ended().filter(|task| task.phase() == Phase::Completed).count());
        assert!(ended > 50, "seed {seed}: {ended}");
        stage.system.stop(SECOND).await;
        last.await.unwrap();
        for worker in workers {
            worker.await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lease_whose_claimer_went_away_is_given_back_and_goes_to_the_next() {
    let stage = Stage::start(until_stopped).await;
    let (gone, next) = (stage.far("").await, stage.far("").await);
    let leaving = stage.claiming(stage.ask(gone)).await;
    let staying = stage.claiming(stage.ask(next)).await;
    stage.faults(|faults| faults.delay = SECOND);
    let task = stage.open_burst("", 1)[0];
    settle().await;
    leaving.abort();
    assert_eq!(tasks(staying).await, [task]);
    let task = stage.read(|state| state.task(task).cloned()).unwrap();
    let reason = "the claimer went away before it got the lease";
    assert_eq!(task.attempts[0].end, AttemptEnd::Lost(reason.into()));
    assert_eq!((task.attempt, task.losses, task.failures), (2, 0, 0));
    assert_eq!(stage.system.desk().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn claimer_who_leaves_the_line_leaves_nothing_behind() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("").await;
    let leaving = stage.claiming(stage.ask(agent)).await;
    assert_eq!(stage.system.desk().waiting(), 1);
    leaving.abort();
    settle().await;
    assert_eq!(stage.system.desk().waiting(), 0);
    let task = stage.submit(stage.open_task("")).await;
    settle().await;
    assert_eq!((stage.claims(), stage.phase(task)), (0, Phase::Pending));
}

#[tokio::test(start_paused = true)]
async fn agent_that_takes_nothing_new_is_told_so_although_it_waits() {
    let stage = Stage::start(until_stopped).await;
    let (one, two) = (stage.far("").await, stage.far("").await);
    let (first, second) = (stage.claiming(stage.ask(one)).await, stage.claiming(stage.ask(two)).await);
    let (standing, reason) = (Standing::Draining, "by hand".into());
    stage.apply(Command::SetStanding { agent: one, standing, reason }).unwrap();
    stage.apply(Command::RemoveAgent { agent: two }).unwrap();
    let unavailable = Refusal::AgentUnavailable { agent: one, status: "DRAINING".to_owned() };
    assert_eq!(first.await.unwrap(), Err(ClaimError::Refused(unavailable.clone())));
    assert_eq!(second.await.unwrap(), Err(ClaimError::Refused(Refusal::AgentUnknown(two))));
    let at_once = stage.system.desk().claim(stage.ask(one)).await;
    assert_eq!(at_once, Err(ClaimError::Refused(unavailable)));
    stage.pool(pool("coders", 1)).await;
    let hosted = stage.only_agent("coders").spec.id;
    let refused = stage.system.desk().claim(stage.ask(hosted)).await.unwrap_err();
    assert_eq!(refused.to_string(), "agent is not valid: its node runs it and claims for it");
}

#[tokio::test(start_paused = true)]
async fn stop_sends_everybody_away_at_once() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("").await;
    let claiming = stage.claiming(stage.ask(agent)).await;
    let (desk, ask, began) = (stage.system.desk().clone(), stage.ask(agent), Instant::now());
    stage.system.stop(60 * SECOND).await;
    assert_eq!(claiming.await.unwrap(), Err(ClaimError::Journal(JournalError::Stopped)));
    assert_eq!(desk.claim(ask).await, Err(ClaimError::Journal(JournalError::Stopped)));
    assert!(began.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn journal_without_room_is_told_to_the_claimer() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("").await;
    let claiming = stage.claiming(stage.ask(agent)).await;
    stage.open_burst("", 1);
    stage.faults(|faults| faults.no_room = true);
    assert_eq!(claiming.await.unwrap(), Err(ClaimError::Journal(JournalError::NoSpace)));
    assert_eq!(stage.system.desk().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_at_the_desk_is_not_silent() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.register(stage.outside("far")).await;
    let claiming = stage.claiming(stage.ask(agent)).await;
    pass(10 * AGENT_TIMEOUT).await;
    assert_eq!(stage.read(|state| state.agent(agent).unwrap().status()), AgentStatus::Ready);
    claiming.abort();
    stage.until_status(agent, AgentStatus::Offline).await;
}

#[tokio::test(start_paused = true)]
async fn work_that_was_missed_calls_who_waits() {
    let stage = Stage::start(until_stopped).await;
    stage.pool(PoolSpec { max: 1, ..pool("noise", 0) }).await;
    let agent = stage.far("").await;
    let claiming = stage.claiming(stage.ask(agent)).await;
    let task = stage.open_burst("", 1)[0];
    for target in (0..2500).flat_map(|_| [1, 0]) {
        stage.apply(Command::ScalePool { pool: name("noise"), target }).unwrap();
    }
    assert_eq!(tasks(claiming).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn more_claims_than_may_wait_are_turned_away_and_the_others_are_served() {
    let stage = Stage::start(until_stopped).await;
    let agent = stage.far("").await;
    let mut waiting = Vec::new();
    for _ in 0..CLAIMS_WAITING_MAX {
        let (desk, ask) = (stage.system.desk().clone(), stage.ask(agent));
        waiting.push(tokio::spawn(async move { desk.claim(ask).await }));
    }
    settle().await;
    let refused = stage.system.desk().claim(stage.ask(agent)).await.unwrap_err();
    assert_eq!(refused.to_string(), "10000 claims wait already; try again shortly");
    let task = stage.submit(stage.open_task("")).await;
    assert_eq!(tasks(waiting.remove(0)).await, [task]);
    assert_eq!(stage.claims(), 1);
}
