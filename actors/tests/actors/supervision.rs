//! The supervisor by itself: order, restarts, giving up, stopping.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_actors::address::{Address, AskError, Gone, Reply};
use synod_actors::supervisor::{self, ChildSpec, STOP_PATIENCE, Supervisor, child};
use synod_domain::restart::{RestartKind, RestartPolicy};
use tokio::time::Instant;

use crate::journal::{PausedClock, SeededEntropy};
use crate::stage::{SECOND, pass, settle};

/// What happened, in order.
type Diary = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
enum Message {
    Panic,
    Fail,
    Finish,
    Hang,
    Greet { reply: Reply<&'static str> },
}

#[derive(Clone)]
struct Args {
    name: &'static str,
    diary: Diary,
    /// How many of the next starts fail.
    broken_starts: Arc<Mutex<u32>>,
    /// How long a start takes.
    start_takes: Arc<Mutex<Duration>>,
}

#[derive(Clone)]
struct Worker;

impl Actor for Worker {
    type Msg = Message;
    type State = Args;
    type Arguments = Args;

    async fn pre_start(&self, _: ActorRef<Message>, args: Args) -> Result<Args, ActorProcessingErr> {
        {
            let mut broken = args.broken_starts.lock();
            if *broken > 0 {
                *broken -= 1;
                return Err("it cannot start".into());
            }
        }
        let takes = *args.start_takes.lock();
        tokio::time::sleep(takes).await;
        args.diary.lock().push(format!("{} starts", args.name));
        Ok(args)
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        _: &mut Args,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Panic => panic!("the test wants it so"),
            Message::Fail => Err("the test wants it so".into()),
            Message::Finish => {
                me.stop(None);
                Ok(())
            }
            Message::Hang => std::future::pending().await,
            Message::Greet { reply } => {
                reply.send("hello");
                Ok(())
            }
        }
    }

    async fn post_stop(&self, _: ActorRef<Message>, args: &mut Args) -> Result<(), ActorProcessingErr> {
        args.diary.lock().push(format!("{} stops", args.name));
        Ok(())
    }
}

struct Family {
    diary: Diary,
    told: Arc<Mutex<Vec<String>>>,
    broken_starts: Arc<Mutex<u32>>,
    start_takes: Arc<Mutex<Duration>>,
    addresses: Vec<Address<Message>>,
    supervisor: Address<supervisor::Message>,
}

impl Family {
    async fn start(names: &[&'static str], policy: RestartPolicy) -> Self {
        let (diary, told) = (Diary::default(), Arc::new(Mutex::new(Vec::new())));
        let (broken_starts, start_takes) = (Arc::default(), Arc::default());
        let addresses: Vec<Address<Message>> = names.iter().map(|_| Address::default()).collect();
        let row = |(name, address): (&&'static str, &Address<Message>)| -> ChildSpec {
            let args = Args {
                name,
                diary: diary.clone(),
                broken_starts: Arc::clone(&broken_starts),
                start_takes: Arc::clone(&start_takes),
            };
            child(name, policy.clone(), Worker, args, address.clone())
        };
        let hears = told.clone();
        let args = supervisor::Args {
            name: "family",
            children: names.iter().zip(&addresses).map(row).collect(),
            clock: Arc::new(PausedClock::new()),
            entropy: Arc::new(SeededEntropy::new(1)),
            failed: Arc::new(move |reason| hears.lock().push(reason.to_owned())),
        };
        let (actor, _) = Supervisor::spawn(None, Supervisor, args).await.unwrap();
        let supervisor = Address::default();
        supervisor.point_at(actor);
        settle().await;
        Self { diary, told, broken_starts, start_takes, addresses, supervisor }
    }

    fn diary(&self) -> Vec<String> {
        std::mem::take(&mut self.diary.lock())
    }

    async fn greet(&self, place: usize) -> Result<&'static str, AskError> {
        self.addresses[place].ask(SECOND, |reply| Message::Greet { reply }).await
    }

    async fn stop(&self) -> Result<(), AskError> {
        self.supervisor.ask(600 * SECOND, |reply| supervisor::Message::Stop { reply }).await
    }
}

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_reverse() {
    let family = Family::start(&["first", "second", "third"], RestartPolicy::default()).await;
    assert_eq!(family.diary(), ["first starts", "second starts", "third starts"]);
    family.stop().await.unwrap();
    assert_eq!(family.diary(), ["third stops", "second stops", "first stops"]);
    assert_eq!(family.addresses[0].tell(Message::Panic), Err(Gone));
    settle().await;
    assert_eq!(*family.told.lock(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn child_that_panics_or_fails_is_restarted_alone_and_its_address_follows_it() {
    let family = Family::start(&["first", "second"], RestartPolicy::default()).await;
    family.diary();
    family.addresses[0].tell(Message::Panic).unwrap();
    settle().await;
    assert_eq!(family.diary(), ["first starts"]);
    assert_eq!(family.greet(0).await, Ok("hello"));
    family.addresses[1].tell(Message::Fail).unwrap();
    settle().await;
    assert_eq!(family.diary(), ["second starts"]);
    assert_eq!(family.greet(1).await, Ok("hello"));
}

#[tokio::test(start_paused = true)]
async fn message_to_a_child_that_waits_for_its_restart_is_refused_at_once() {
    let family = Family::start(&["first"], RestartPolicy::default()).await;
    for _ in 0..2 {
        family.addresses[0].tell(Message::Fail).unwrap();
        settle().await;
    }
    assert_eq!(family.addresses[0].tell(Message::Panic), Err(Gone));
    assert_eq!(family.greet(0).await, Err(AskError::Gone));
    pass(SECOND).await;
    assert_eq!(family.greet(0).await, Ok("hello"));
}

#[tokio::test(start_paused = true)]
async fn message_to_a_child_that_is_being_started_is_kept_for_it() {
    let family = Family::start(&["first"], RestartPolicy::default()).await;
    *family.start_takes.lock() = SECOND / 2;
    family.addresses[0].tell(Message::Fail).unwrap();
    settle().await;
    let began = Instant::now();
    assert_eq!(family.greet(0).await, Ok("hello"));
    assert!(began.elapsed() > SECOND / 4);
}

#[tokio::test(start_paused = true)]
async fn kind_says_whether_a_child_that_finished_is_restarted() {
    let transient = RestartPolicy { kind: RestartKind::Transient, ..RestartPolicy::default() };
    for (policy, wanted) in [(RestartPolicy::default(), Ok("hello")), (transient, Err(AskError::Gone))] {
        let family = Family::start(&["first"], policy).await;
        family.addresses[0].tell(Message::Finish).unwrap();
        settle().await;
        assert_eq!(family.greet(0).await, wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn supervisor_gives_up_after_its_intensity_and_tells_why() {
    let family = Family::start(&["first", "second"], RestartPolicy::default()).await;
    for _ in 0..5 {
        family.addresses[1].tell(Message::Fail).unwrap();
        pass(5 * SECOND).await;
        assert_eq!(*family.told.lock(), Vec::<String>::new());
    }
    family.addresses[1].tell(Message::Fail).unwrap();
    settle().await;
    assert_eq!(*family.told.lock(), ["second failed too often; the last time: the test wants it so"]);
    // It takes its other children with it.
    assert_eq!(family.greet(0).await, Err(AskError::Gone));
}

#[tokio::test(start_paused = true)]
async fn failures_far_enough_apart_are_restarted_for_ever() {
    let family = Family::start(&["first"], RestartPolicy::default()).await;
    for _ in 0..50 {
        family.addresses[0].tell(Message::Fail).unwrap();
        pass(40 * SECOND).await;
    }
    assert_eq!(*family.told.lock(), Vec::<String>::new());
    assert_eq!(family.greet(0).await, Ok("hello"));
}

#[tokio::test(start_paused = true)]
async fn restart_that_fails_counts_as_a_failure() {
    let family = Family::start(&["first"], RestartPolicy::default()).await;
    *family.broken_starts.lock() = 3;
    family.addresses[0].tell(Message::Fail).unwrap();
    pass(10 * SECOND).await;
    assert_eq!(family.greet(0).await, Ok("hello"));
    *family.broken_starts.lock() = 100;
    family.addresses[0].tell(Message::Fail).unwrap();
    pass(600 * SECOND).await;
    let told = family.told.lock().clone();
    assert!(
        told.len() == 1 && told[0].contains("too often") && told[0].ends_with("it cannot start"),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn child_that_hangs_is_killed_within_its_bound() {
    let family = Family::start(&["first", "second"], RestartPolicy::default()).await;
    family.diary();
    family.addresses[1].tell(Message::Hang).unwrap();
    settle().await;
    let began = Instant::now();
    family.stop().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), STOP_PATIENCE.as_secs());
    assert_eq!(family.diary(), ["first stops"]);
}

#[tokio::test(start_paused = true)]
async fn answer_that_does_not_come_is_not_waited_for_longer_than_asked() {
    let family = Family::start(&["first"], RestartPolicy::default()).await;
    family.addresses[0].tell(Message::Hang).unwrap();
    let began = Instant::now();
    assert_eq!(family.greet(0).await, Err(AskError::Late(SECOND)));
    assert!(began.elapsed() < SECOND + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn question_to_a_child_that_fails_over_it_is_answered_with_gone() {
    let family = Family::start(&["first"], RestartPolicy::default()).await;
    family.addresses[0].tell(Message::Panic).unwrap();
    assert_eq!(family.greet(0).await, Err(AskError::Gone));
}
