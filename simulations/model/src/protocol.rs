//! What may happen: clients ask, time out and ask again, the leader replicates and commits, time passes, a leader dies.

use std::sync::Arc;

use stateright::{Model, Property};
use synod_domain::reply::{Answer, Reply};
use synod_domain::time::Timestamp;

use crate::outside::{Broken, Outside};
use crate::properties;
use crate::replica::{Replica, Steps};

/// How far the model goes. Every number multiplies the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How often a client asks again under the same request id.
    pub retries: u8,
    /// How many claims each worker makes; a second one lets it come back after a lost lease.
    pub claims: u8,
    /// How often time passes up to what is due next.
    pub ticks: u8,
    /// How many operations the leader's log holds that are not applied. Two of them can change places with a crash.
    pub queue: usize,
    /// Whether the leader may crash.
    pub crash: bool,
    /// Whether the leader applies and answers before the follower has an entry. It must not: to see it found.
    pub eager: bool,
}

impl Bounds {
    /// What a test can afford: everything that may happen does, one operation at a time.
    pub const SMALL: Self = Self { retries: 1, claims: 1, ticks: 3, queue: 1, crash: true, eager: false };

    /// As many states: nobody asks again, but two operations are on their way together.
    pub const WIDE: Self = Self { retries: 0, claims: 1, ticks: 3, queue: 2, crash: true, eager: false };

    /// What a person can wait for: both at once, some millions of states.
    pub const LARGE: Self = Self { retries: 1, claims: 1, ticks: 3, queue: 2, crash: true, eager: false };
}

/// The model itself.
#[derive(Debug)]
pub struct Protocol {
    bounds: Bounds,
    steps: Steps,
}

/// One thing that stands in the leader's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// The submitter submits the task.
    Submit,
    /// The submitter calls it off.
    Cancel,
    /// A worker claims, for the `round`-th time.
    Claim {
        /// Which worker.
        worker: usize,
        /// Which of its claims.
        round: u8,
    },
    /// A worker completes what it was given.
    Complete {
        /// Which worker.
        worker: usize,
        /// By which of its claims it has it.
        round: u8,
        /// Under which lease.
        attempt: u32,
    },
    /// Time passes.
    Tick {
        /// Up to then.
        at: Timestamp,
    },
    /// The second leader takes the first node for gone.
    Gone,
    /// The second leader begins its term.
    Term,
}

impl Op {
    /// Returns the request id of a client's operation. It stays the same however often it is sent.
    pub fn request(self) -> Option<u8> {
        // Four numbers for each worker and kind; rounds are fewer.
        let of = |base: u8, worker: usize, round: u8| {
            Some(base + 4 * u8::try_from(worker).unwrap_or(u8::MAX) + round)
        };
        match self {
            Self::Submit => Some(1),
            Self::Cancel => Some(2),
            Self::Claim { worker, round } => of(10, worker, round),
            Self::Complete { worker, round, .. } => of(20, worker, round),
            Self::Tick { .. } | Self::Gone | Self::Term => None,
        }
    }
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// The submitter, for its submit.
    Submit,
    /// The submitter, for its cancel.
    Cancel,
    /// A worker, for what it does.
    Worker(usize),
}

/// How far a client is with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Talk {
    /// It has not asked.
    Quiet,
    /// It has asked this often and knows nothing.
    Waiting {
        /// How often.
        sent: u8,
    },
    /// It was answered.
    Heard {
        /// Whether what it asked was accepted.
        accepted: bool,
        /// Whether the answer was one that had been given, or lost, before.
        again: bool,
    },
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Nothing.
    Idle,
    /// It asks for work.
    Claiming,
    /// It has work.
    Holding {
        /// Under which lease, as it believes.
        attempt: u32,
    },
    /// It hands in what it has done.
    Completing {
        /// Under which lease, as it believes.
        attempt: u32,
    },
}

/// A worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Worker {
    /// What it does.
    pub doing: Doing,
    /// How many claims it has begun.
    pub round: u8,
    /// How often it has asked what it waits for.
    pub sent: u8,
    /// Whether a completion of it was refused.
    pub refused: bool,
}

/// Who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leads {
    /// The node that founded the cluster.
    First,
    /// Nobody: the first is gone.
    Nobody,
    /// The other one.
    Second,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct World {
    /// Who leads.
    pub leads: Leads,
    /// What is applied.
    pub replica: Arc<Replica>,
    /// How many of the applied entries the follower lacks; none, unless the leader is eager.
    pub lacking: usize,
    /// What stands in the leader's log and is not applied.
    pub queue: Vec<Op>,
    /// How many of those the follower has.
    pub replicated: usize,
    /// The submitter's submit.
    pub submit: Talk,
    /// Its cancel.
    pub cancel: Talk,
    /// The workers.
    pub workers: [Worker; 2],
    /// How often time has passed.
    pub ticks: u8,
    /// Whether the first node was taken for gone.
    pub gone: bool,
    /// What was seen.
    pub outside: Outside,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Happening {
    /// A client asks for the first time.
    Ask(Client),
    /// A client has waited long enough and asks again.
    AskAgain(Client),
    /// The leader proposes to let time pass.
    Tick,
    /// The leader proposes to take the first node for gone.
    MarkGone,
    /// The follower gets the next entry.
    Replicate,
    /// The leader applies the next entry and answers.
    Commit {
        /// Whether the answer arrives.
        heard: bool,
    },
    /// The first leader dies: what only it had is lost.
    Crash,
    /// The other node leads.
    TakeOver,
}

impl Model for Protocol {
    type State = World;
    type Action = Happening;

    fn init_states(&self) -> Vec<World> {
        let worker = Worker { doing: Doing::Idle, round: 0, sent: 0, refused: false };
        vec![World {
            leads: Leads::First,
            replica: Arc::new(Replica::first()),
            lacking: 0,
            queue: Vec::new(),
            replicated: 0,
            submit: Talk::Quiet,
            cancel: Talk::Quiet,
            workers: [worker; 2],
            ticks: 0,
            gone: false,
            outside: Outside::default(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Happening>) {
        if world.leads == Leads::Nobody {
            actions.push(Happening::TakeOver);
            return;
        }
        if world.queue.len() < self.bounds.queue {
            for client in [Client::Submit, Client::Cancel, Client::Worker(0), Client::Worker(1)] {
                actions.extend(self.may_ask(world, client));
            }
            let ticking = world.queue.iter().any(|op| matches!(op, Op::Tick { .. }));
            if world.ticks < self.bounds.ticks && !ticking && world.replica.state().next_due().is_some() {
                actions.push(Happening::Tick);
            }
            if world.leads == Leads::Second && !world.gone {
                actions.push(Happening::MarkGone);
            }
        }
        if world.lacking > 0 || world.replicated < world.queue.len() {
            actions.push(Happening::Replicate);
        }
        if let Some(op) = world.queue.first().filter(|_| self.bounds.eager || world.replicated > 0) {
            actions.push(Happening::Commit { heard: true });
            if world.waits_for(*op) {
                actions.push(Happening::Commit { heard: false });
            }
        }
        if self.bounds.crash && world.leads == Leads::First {
            actions.push(Happening::Crash);
        }
    }

    fn next_state(&self, world: &World, happening: Happening) -> Option<World> {
        let mut world = world.clone();
        match happening {
            Happening::Ask(client) | Happening::AskAgain(client) => world.ask(client),
            Happening::Tick => {
                let at = world.replica.state().next_due()?;
                world.ticks += 1;
                world.queue.push(Op::Tick { at });
            }
            Happening::MarkGone => {
                world.gone = true;
                world.queue.push(Op::Gone);
            }
            Happening::Replicate if world.lacking > 0 => world.lacking -= 1,
            Happening::Replicate => world.replicated += 1,
            Happening::Commit { heard } => world.commit(&self.steps, heard),
            Happening::Crash => world.crash(),
            Happening::TakeOver => world.take_over(&self.steps),
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Protocol {
    /// Makes the model within bounds.
    pub fn within(bounds: Bounds) -> Self {
        Self { bounds, steps: Steps::default() }
    }

    fn may_ask(&self, world: &World, client: Client) -> Option<Happening> {
        let again = |sent: u8| (sent <= self.bounds.retries).then_some(Happening::AskAgain(client));
        let talk = |talk: Talk, may_begin: bool| match talk {
            Talk::Quiet => may_begin.then_some(Happening::Ask(client)),
            Talk::Waiting { sent } => again(sent),
            Talk::Heard { .. } => None,
        };
        match client {
            Client::Submit => talk(world.submit, true),
            // Somebody who waits in vain for the answer to a submit calls it off as well.
            Client::Cancel => talk(world.cancel, world.submit != Talk::Quiet),
            Client::Worker(number) => {
                let worker = world.workers[number];
                match worker.doing {
                    Doing::Idle => (worker.round < self.bounds.claims).then_some(Happening::Ask(client)),
                    Doing::Holding { .. } => Some(Happening::Ask(client)),
                    Doing::Claiming | Doing::Completing { .. } => again(worker.sent),
                }
            }
        }
    }
}

impl World {
    fn ask(&mut self, client: Client) {
        let sent = |talk: Talk| match talk {
            Talk::Waiting { sent } => Talk::Waiting { sent: sent + 1 },
            Talk::Quiet | Talk::Heard { .. } => Talk::Waiting { sent: 1 },
        };
        let op = match client {
            Client::Submit => {
                self.submit = sent(self.submit);
                Op::Submit
            }
            Client::Cancel => {
                self.cancel = sent(self.cancel);
                Op::Cancel
            }
            Client::Worker(number) => self.workers[number].ask(number),
        };
        self.queue.push(op);
    }

    /// Tells whether somebody waits for the answer to an operation.
    fn waits_for(&self, op: Op) -> bool {
        let waiting = |talk: Talk| matches!(talk, Talk::Waiting { .. });
        match op {
            Op::Submit => waiting(self.submit),
            Op::Cancel => waiting(self.cancel),
            Op::Claim { worker, round } => self.workers[worker].is_claiming(round),
            Op::Complete { worker, round, .. } => self.workers[worker].is_completing(round),
            Op::Tick { .. } | Op::Gone | Op::Term => false,
        }
    }

    fn commit(&mut self, steps: &Steps, heard: bool) {
        let op = self.queue.remove(0);
        if self.replicated == 0 {
            self.lacking += 1;
        }
        self.replicated = self.replicated.saturating_sub(1);
        let again = self.outside.has_accepted(op);
        let answer = self.apply(steps, op);
        if let Some(answer) = answer.filter(|_| heard && self.waits_for(op)) {
            self.hear(op, &answer, again);
        }
    }

    fn apply(&mut self, steps: &Steps, op: Op) -> Option<Answer> {
        let step = steps.take(&self.replica, op);
        self.outside.see(op, self.replica.state(), &step, self.leads != Leads::First);
        self.replica = Arc::clone(&step.replica);
        step.answer.clone()
    }

    fn hear(&mut self, op: Op, answer: &Answer, again: bool) {
        let heard = Talk::Heard { accepted: answer.is_ok(), again };
        match op {
            Op::Submit => self.submit = heard,
            Op::Cancel => self.cancel = heard,
            Op::Claim { worker, .. } => self.workers[worker].claimed(answer),
            Op::Complete { worker, .. } => self.workers[worker].completed(answer),
            Op::Tick { .. } | Op::Gone | Op::Term => {}
        }
    }

    fn crash(&mut self) {
        self.leads = Leads::Nobody;
        self.queue.truncate(self.replicated);
        if self.lacking > 0 {
            self.replica = Arc::new(self.replica.of_another(self.lacking));
            self.lacking = 0;
        }
    }

    /// The other node makes the state from its own log, applies what it had got, and begins its term. Nobody hears what
    /// it answers to the requests of the first leader.
    fn take_over(&mut self, steps: &Steps) {
        let own = self.replica.of_another(0);
        if own != *self.replica {
            self.outside.broken.insert(Broken::ReplicasDiffer);
        }
        self.replica = Arc::new(own);
        self.leads = Leads::Second;
        for op in std::mem::take(&mut self.queue) {
            self.apply(steps, op);
        }
        self.replicated = 0;
        self.apply(steps, Op::Term);
    }
}

impl Worker {
    fn ask(&mut self, number: usize) -> Op {
        let begins = matches!(self.doing, Doing::Idle | Doing::Holding { .. });
        self.sent = if begins { 1 } else { self.sent + 1 };
        match self.doing {
            Doing::Idle | Doing::Claiming => {
                self.round += u8::from(begins);
                self.doing = Doing::Claiming;
                Op::Claim { worker: number, round: self.round }
            }
            Doing::Holding { attempt } | Doing::Completing { attempt } => {
                self.doing = Doing::Completing { attempt };
                Op::Complete { worker: number, round: self.round, attempt }
            }
        }
    }

    fn is_claiming(&self, round: u8) -> bool {
        self.doing == Doing::Claiming && self.round == round
    }

    fn is_completing(&self, round: u8) -> bool {
        matches!(self.doing, Doing::Completing { .. }) && self.round == round
    }

    fn claimed(&mut self, answer: &Answer) {
        let granted = match answer {
            Ok(Reply::Claimed(assignments)) => assignments.first().map(|one| one.attempt),
            Ok(_) | Err(_) => None,
        };
        self.sent = 0;
        self.doing = granted.map_or(Doing::Idle, |attempt| Doing::Holding { attempt });
    }

    fn completed(&mut self, answer: &Answer) {
        self.sent = 0;
        self.doing = Doing::Idle;
        self.refused |= answer.is_err();
    }
}
