//! Tasks for other regions: brought there once, whatever is lost on the way and whoever begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use synod_actors::ports::Regions;
use synod_actors::system::System;
use synod_domain::chance::Chance;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::{RequestId, TaskId};
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::region::{Route, Routing, request_for};
use synod_domain::reply::{Answer, Reply};
use synod_domain::state::State;
use synod_domain::task::{MailboxId, Phase, TaskSpec};
use synod_domain::time::Timestamp;
use tokio::sync::{Notify, watch};

use crate::journal::Faults;
use crate::puppet::{Puppet, until_stopped};
use crate::stage::{SECOND, Stage, name, pass, settle};

/// What becomes of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It does not arrive.
    Lost,
    /// It arrives, and nobody learns what came of it.
    AnswerLost,
}

/// Other regions, each with a state of its own.
struct Abroad {
    here: Name,
    changes: watch::Sender<u64>,
    inner: Mutex<Inner>,
    /// Told at each offer, when it has been judged.
    offered: Notify,
}

struct Inner {
    states: BTreeMap<Name, State>,
    reachable: BTreeSet<Name>,
    /// What becomes of the next offers; answered when there is none left.
    fates: Vec<Fate>,
    /// Of a hundred offers, how many are lost and how many answers.
    odds: (u64, u64),
    chance: Chance,
    /// Which task was offered where under which request, in order.
    offers: Vec<(Name, TaskId, RequestId)>,
    /// Regions whose answers are held back for ever.
    mute: BTreeSet<Name>,
    millis: u64,
}

impl Abroad {
    fn new(reachable: &[&str]) -> Arc<Self> {
        let states = ["eu", "asia"].map(|region| (name(region), State::default())).into();
        Arc::new(Self {
            here: name("us"),
            changes: watch::Sender::new(0),
            inner: Mutex::new(Inner {
                states,
                reachable: reachable.iter().map(|region| name(region)).collect(),
                fates: Vec::new(),
                odds: (0, 0),
                chance: Chance::new(7),
                offers: Vec::new(),
                mute: BTreeSet::new(),
                millis: 0,
            }),
            offered: Notify::new(),
        })
    }

    fn reach(&self, regions: &[&str]) {
        self.inner.lock().reachable = regions.iter().map(|region| name(region)).collect();
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn set<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock())
    }

    fn offers(&self) -> Vec<(String, TaskId)> {
        self.inner.lock().offers.iter().map(|(region, task, _)| (region.to_string(), *task)).collect()
    }

    /// In which regions a task is, or was until its end.
    fn has(&self, task: TaskId) -> Vec<String> {
        let inner = self.inner.lock();
        let has = |state: &State| state.task(task).is_some();
        inner.states.iter().filter(|(_, state)| has(state)).map(|(region, _)| region.to_string()).collect()
    }
}

impl Inner {
    fn ask(&mut self, region: &Name, id: RequestId, command: Command) -> Answer {
        self.millis += 1;
        let at = Timestamp::from_millis(1_000_000_000 + self.millis);
        let entry = Entry { at, seed: 1, commands: vec![Request { id, command }] };
        self.states.get_mut(region).unwrap().apply(&entry).answers.remove(0)
    }

    fn fate(&mut self) -> Fate {
        if !self.fates.is_empty() {
            return self.fates.remove(0);
        }
        let (drawn, (lost, answers)) = (self.chance.below(100), self.odds);
        match drawn {
            drawn if drawn < lost => Fate::Lost,
            drawn if drawn < lost + answers => Fate::AnswerLost,
            _ => Fate::Answered,
        }
    }
}

#[async_trait]
impl Regions for Abroad {
    fn here(&self) -> &Name {
        &self.here
    }

    fn reachable(&self) -> BTreeSet<Name> {
        self.inner.lock().reachable.clone()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn offer(&self, region: &Name, request: RequestId, spec: Arc<TaskSpec>) -> Result<Answer, String> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (told, mute) = self.set(|inner| {
            assert_eq!(request, request_for(spec.id));
            inner.offers.push((region.clone(), spec.id, request));
            let fate = if inner.reachable.contains(region) { inner.fate() } else { Fate::Lost };
            let told = match fate {
                Fate::Lost => Err("lost on the way".to_owned()),
                Fate::AnswerLost | Fate::Answered => {
                    let answer =
                        inner.ask(region, request, Command::TakeOffered { spec, from: self.here.clone() });
                    if fate == Fate::Answered { Ok(answer) } else { Err("the answer was lost".to_owned()) }
                }
            };
            (told, inner.mute.contains(region))
        });
        self.offered.notify_one();
        if mute {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        told
    }

    async fn submit_direct(
        &self,
        _: &Name,
        _: RequestId,
        _: Arc<TaskSpec>,
        _: Bytes,
    ) -> Result<Answer, String> {
        unreachable!("nothing that is kept goes that way")
    }
}

async fn stage(abroad: &Arc<Abroad>) -> Stage {
    let puppet = Puppet::new(until_stopped);
    let (mut world, journal) = Stage::world(1, &puppet);
    world.regions = abroad.clone();
    let mut system = System::start(world.clone()).await.unwrap();
    system.lead(journal.clone(), 1).await.unwrap();
    Stage { world, journal, puppet, system }
}

impl Stage {
    fn for_anybody(&self) -> TaskSpec {
        TaskSpec { mailbox: MailboxId::Open, ..self.task("nowhere") }
    }

    /// Keeps a task for eu.
    async fn keep(&self, spec: TaskSpec, fallbacks: &[&str]) -> TaskId {
        let id = spec.id;
        let fallbacks = fallbacks.iter().map(|region| name(region)).collect();
        let route = Route { region: name("eu"), fallbacks, routing: Routing::Preferred };
        let answer = self.propose(Command::KeepForRegion { spec: Arc::new(spec), route }).await;
        assert_eq!(answer, Ok(Reply::Submitted { task: id, duplicate: false }));
        id
    }

    async fn until_forwarded(&self, task: TaskId) -> String {
        self.until("the task is forwarded", |state| state.pointer(task).is_some()).await;
        self.read(|state| state.pointer(task).map(|pointer| pointer.region.to_string())).unwrap()
    }

    fn offered_to(&self, task: TaskId) -> Option<String> {
        self.read(|state| Some(state.task(task)?.forwarding()?.offered.clone()?.to_string()))
    }

    async fn lead_anew(&mut self, term: u64) {
        self.system.step_down().await;
        self.system.lead(self.journal.clone(), term).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn kept_task_goes_to_its_region_and_leaves_a_pointer() {
    let abroad = Abroad::new(&["eu"]);
    let stage = stage(&abroad).await;
    let task = stage.keep(stage.for_anybody(), &[]).await;
    assert_eq!(stage.until_forwarded(task).await, "eu");
    assert_eq!((abroad.has(task), abroad.offers().len()), (vec!["eu".to_owned()], 1));
    assert_eq!(stage.read(|state| state.unfinished()), 0);
}

#[tokio::test(start_paused = true)]
async fn task_whose_region_is_away_waits_without_a_word_and_goes_when_it_comes() {
    let abroad = Abroad::new(&[]);
    let stage = stage(&abroad).await;
    let task = stage.keep(stage.for_anybody(), &["asia"]).await;
    settle().await;
    let before = stage.asked();
    pass(3600 * SECOND).await;
    assert_eq!((stage.asked(), abroad.offers().len()), (before, 0));
    abroad.reach(&["asia"]);
    assert_eq!(stage.until_forwarded(task).await, "asia");
}

#[tokio::test(start_paused = true)]
async fn lost_offers_and_lost_answers_make_no_second_task() {
    let abroad = Abroad::new(&["eu", "asia"]);
    abroad.set(|inner| inner.fates = vec![Fate::Lost, Fate::AnswerLost, Fate::Lost, Fate::AnswerLost]);
    let stage = stage(&abroad).await;
    let task = stage.keep(stage.for_anybody(), &["asia"]).await;
    assert_eq!(stage.until_forwarded(task).await, "eu");
    assert_eq!((abroad.has(task), abroad.offers().len()), (vec!["eu".to_owned()], 5));
}

#[tokio::test(start_paused = true)]
async fn region_that_may_have_the_task_is_waited_for_although_a_fallback_is_there() {
    let abroad = Abroad::new(&["eu", "asia"]);
    abroad.set(|inner| inner.fates = vec![Fate::AnswerLost]);
    let stage = stage(&abroad).await;
    let task = stage.keep(stage.for_anybody(), &["asia"]).await;
    abroad.offered.notified().await;
    abroad.reach(&["asia"]);
    pass(3600 * SECOND).await;
    assert_eq!((stage.offered_to(task), abroad.has(task)), (Some("eu".to_owned()), vec!["eu".to_owned()]));
    abroad.reach(&["asia", "eu"]);
    assert_eq!(stage.until_forwarded(task).await, "eu");
    assert_eq!(abroad.has(task), ["eu"]);
}

#[tokio::test(start_paused = true)]
async fn refused_task_goes_along_its_route_and_becomes_a_dead_letter_at_its_end() {
    let abroad = Abroad::new(&["eu", "asia"]);
    let stage = stage(&abroad).await;
    // Neither knows the pool.
    let task = stage.keep(stage.task("nowhere"), &["asia"]).await;
    let ended = stage.until_ended(task).await;
    assert_eq!(ended.phase(), Phase::Failed);
    let reason = ended.end().unwrap().outcome.reason().unwrap().to_owned();
    assert!(reason.contains("eu: there is no pool nowhere") && reason.contains("asia: "), "{reason}");
    assert_eq!(abroad.offers(), [("eu".to_owned(), task), ("asia".to_owned(), task)]);
    assert!(abroad.has(task).is_empty());
}

#[tokio::test(start_paused = true)]
async fn task_that_may_be_here_is_taken_here_when_its_region_is_away() {
    let abroad = Abroad::new(&[]);
    let stage = stage(&abroad).await;
    let task = stage.keep(stage.for_anybody(), &["us"]).await;
    stage.until("it is an ordinary one", |state| state.mailbox(&MailboxId::Open).is_some()).await;
    assert_eq!(stage.phase(task), Phase::Pending);
    assert!(abroad.offers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn full_region_is_asked_again_until_it_has_room() {
    let abroad = Abroad::new(&["eu", "asia"]);
    let full = Limits { node_depth_max: 0, ..Limits::default() };
    let limits = |abroad: &Abroad, limits: Limits, id| {
        let set = Command::SetLimits { limits };
        abroad.set(|inner| inner.ask(&name("eu"), RequestId::from_raw(id), set)).unwrap();
    };
    limits(&abroad, full, 1);
    let stage = stage(&abroad).await;
    let task = stage.keep(stage.for_anybody(), &["asia"]).await;
    pass(600 * SECOND).await;
    let asked = abroad.offers().len();
    assert!((10..60).contains(&asked), "{asked} offers in ten minutes");
    assert_eq!(stage.offered_to(task), Some("eu".to_owned()));
    limits(&abroad, Limits::default(), 2);
    assert_eq!(stage.until_forwarded(task).await, "eu");
}

#[tokio::test(start_paused = true)]
async fn cancelled_task_is_not_offered_any_more() {
    let abroad = Abroad::new(&[]);
    let stage = stage(&abroad).await;
    let task = stage.keep(stage.for_anybody(), &[]).await;
    settle().await;
    stage.propose(Command::Cancel { task, reason: "enough".into() }).await.unwrap();
    abroad.reach(&["eu"]);
    pass(60 * SECOND).await;
    assert_eq!((stage.phase(task), abroad.offers().len()), (Phase::Cancelled, 0));
}

#[tokio::test(start_paused = true)]
async fn new_leader_goes_on_where_the_old_one_stopped_at_whichever_step() {
    // After the note that it is offered; after the region has it; after the answer, before that is noted.
    for step in ["noted", "taken", "answered"] {
        let abroad = Abroad::new(&["eu", "asia"]);
        let mut stage = stage(&abroad).await;
        match step {
            "noted" => abroad.set(|inner| inner.fates = vec![Fate::Lost]),
            "taken" => abroad.set(|inner| inner.mute = [name("eu")].into()),
            _ => {}
        }
        let task = stage.keep(stage.for_anybody(), &["asia"]).await;
        abroad.offered.notified().await;
        if step == "answered" {
            // The answer is on its way, and what is noted because of it is lost.
            stage.faults(|faults| faults.lost = 100);
            pass(SECOND).await;
        }
        assert_eq!(stage.offered_to(task), Some("eu".to_owned()), "{step}");
        stage.system.step_down().await;
        stage.faults(|faults| *faults = Faults::default());
        abroad.set(|inner| inner.mute.clear());
        stage.lead_anew(2).await;
        assert_eq!(stage.until_forwarded(task).await, "eu", "{step}");
        assert_eq!(abroad.has(task), ["eu"], "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_answers_nothing_does_not_hold_up_the_tasks_of_another() {
    let abroad = Abroad::new(&["eu", "asia"]);
    abroad.set(|inner| inner.mute = [name("eu")].into());
    let stage = stage(&abroad).await;
    for _ in 0..100 {
        stage.keep(stage.for_anybody(), &[]).await;
    }
    abroad.offered.notified().await;
    let spec = stage.for_anybody();
    let task = spec.id;
    let route = Route { region: name("asia"), fallbacks: Vec::new(), routing: Routing::Preferred };
    stage.propose(Command::KeepForRegion { spec: Arc::new(spec), route }).await.unwrap();
    assert_eq!(stage.until_forwarded(task).await, "asia");
    let offered: BTreeSet<TaskId> = abroad.offers().into_iter().map(|(_, task)| task).collect();
    assert!(offered.len() < 20, "{} tasks were set out with", offered.len());
}

fn one_of_four(chance: &mut Chance) -> usize {
    usize::try_from(chance.below(4)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_of_many_tasks_is_in_one_region_whatever_is_lost_and_whoever_leads() {
    for seed in 0..12 {
        let abroad = Abroad::new(&["eu"]);
        abroad.set(|inner| (inner.odds, inner.chance) = ((25, 25), Chance::new(seed)));
        let mut stage = stage(&abroad).await;
        stage
            .faults(|faults| (faults.lost, faults.unsure, faults.delay) = (10, 10, Duration::from_millis(3)));
        let mut chance = Chance::new(1000 + seed);
        let mut tasks = Vec::new();
        for round in 0..25 {
            for _ in 0..chance.below(20) {
                // Some are for a pool that only this region has, and some may be here.
                let fallbacks: &[&str] =
                    [&["asia"][..], &[], &["us"], &["asia", "us"]][one_of_four(&mut chance)];
                let spec = stage.for_anybody();
                let id = spec.id;
                let fallbacks = fallbacks.iter().map(|region| name(region)).collect();
                let route = Route { region: name("eu"), fallbacks, routing: Routing::Preferred };
                stage.propose(Command::KeepForRegion { spec: Arc::new(spec), route }).await.unwrap();
                tasks.push(id);
            }
            let regions: &[&str] = [&[][..], &["eu"], &["asia"], &["eu", "asia"]][one_of_four(&mut chance)];
            abroad.reach(regions);
            pass(Duration::from_millis(chance.below(400))).await;
            if chance.below(4) == 0 {
                stage.faults(|faults| (faults.lost, faults.unsure) = (0, 0));
                stage.lead_anew(round + 2).await;
                stage.faults(|faults| (faults.lost, faults.unsure) = (10, 10));
            }
        }
        stage.faults(|faults| *faults = Faults::default());
        abroad.set(|inner| inner.odds = (0, 0));
        abroad.reach(&["eu", "asia"]);
        stage.until("nothing is kept any more", |state| state.kept_tasks().next().is_none()).await;
        for task in tasks {
            let mut places = abroad.has(task);
            let pointer = stage.read(|state| state.pointer(task).map(|pointer| pointer.region.to_string()));
            assert_eq!(pointer, places.first().cloned(), "seed {seed}: {task}");
            if stage.read(|state| state.task(task).is_some()) {
                places.push("us".to_owned());
            }
            assert_eq!(places.len(), 1, "seed {seed}: {task} is in {places:?}");
        }
    }
}
