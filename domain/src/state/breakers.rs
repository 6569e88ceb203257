//! Breakers: who is told of attempts, what is held back, and what time does.
//!
//! The breaker of a pool holds its agents back: they claim nothing while it is open, from no mailbox, and as many tasks as
//! it asks for when it is half-open. Nothing is moved for that, so it costs the same over any backlog. The breaker of a
//! type holds tasks back, which stand among others in their mailboxes: they are parked when their turn comes, and go on
//! in their order when it lets them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::breaker::{
    BREAKERS_MAX, Breaker, BreakerCommand, BreakerSpec, Circuit, Guarded, Input, Try, Turn,
};
use crate::event::{Event, Governing};
use crate::id::TaskId;
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::gates::Closed;
use crate::state::wakes::Wake;
use crate::state::{State, Step};
use crate::task::{AttemptEnd, MailboxId, Task, bounded_reason};
use crate::time::{Timestamp, Utc};
use crate::why::Why;

/// How many tasks go on at once behind a breaker of a type that has closed; the next tick lets as many more go. More
/// would let others wait for it.
const LET_GO_AT_ONCE: usize = 1024;

/// Until the next of them go.
const NEXT: Duration = Duration::from_millis(1);

/// How much of a failure's reason stands in a breaker's cause.
const REASON_BYTES: usize = 512;

/// All breakers, and which tasks are their probes.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    all: BTreeMap<Guarded, Breaker>,
    probing: BTreeMap<TaskId, BTreeSet<Guarded>>,
}

impl Breakers {
    /// Puts a breaker in, in place of what it was.
    pub(super) fn insert(&mut self, breaker: Breaker) {
        let of = breaker.spec.of.clone();
        self.remove(&of);
        for probe in probes(&breaker) {
            self.probing.entry(probe.task).or_default().insert(of.clone());
        }
        self.all.insert(of, breaker);
    }

    fn remove(&mut self, of: &Guarded) -> Option<Breaker> {
        let breaker = self.all.remove(of)?;
        for probe in probes(&breaker) {
            if let Some(guarded) = self.probing.get_mut(&probe.task) {
                guarded.remove(of);
                if guarded.is_empty() {
                    self.probing.remove(&probe.task);
                }
            }
        }
        Some(breaker)
    }

    pub(super) fn get(&self, of: &Guarded) -> Option<&Breaker> {
        self.all.get(of)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Breaker> {
        self.all.values()
    }

    /// Returns the breaker of a type, unless it is closed.
    fn shut_of(&self, kind: &Name) -> Option<&Breaker> {
        if self.all.is_empty() {
            return None;
        }
        let breaker = self.get(&Guarded::Kind(kind.clone()))?;
        (!matches!(breaker.circuit, Circuit::Closed { .. })).then_some(breaker)
    }
}

fn probes(breaker: &Breaker) -> impl Iterator<Item = &Try> {
    let probes = match &breaker.circuit {
        Circuit::HalfOpen { probes, .. } => Some(probes),
        Circuit::Open { .. } | Circuit::Closed { .. } => None,
    };
    probes.into_iter().flatten()
}

impl State {
    pub(super) fn breaker_command(&mut self, step: &mut Step, command: &BreakerCommand) -> Answer {
        match command {
            BreakerCommand::Put { spec } => self.put_breaker(step, spec),
            BreakerCommand::Remove { of } => {
                self.remove_breaker(step, of);
                Ok(Reply::Done)
            }
            BreakerCommand::Reset { of } => self.move_breaker(step, of, &Input::Reset),
            BreakerCommand::Trip { of, period, reason } => {
                // At its own time it would be over before it began to be told.
                let period = period.map(|period| period.max(Duration::from_millis(1)));
                let until = period.map_or(Timestamp::NEVER, |period| step.now.after(period));
                self.move_breaker(step, of, &Input::Tripped { until, reason: bounded_reason(reason) })
            }
        }
    }

    fn put_breaker(&mut self, step: &mut Step, spec: &Arc<BreakerSpec>) -> Answer {
        spec.check()?;
        let of = &spec.of;
        let spec = BreakerSpec::clone(spec);
        let (breaker, turn) = match self.breakers.remove(of) {
            Some(mut breaker) => {
                let turn = breaker.change(spec);
                (breaker, turn)
            }
            None if self.breakers.all.len() >= BREAKERS_MAX => {
                return Err(Refusal::Full { bound: Bound::Breakers, limit: BREAKERS_MAX as u64 });
            }
            None => (Breaker::new(spec), None),
        };
        self.keep_breaker(breaker);
        self.tell_of_breaker(step, of, Governing::BreakerSet, "set".into());
        self.breaker_turned(step, of, turn);
        // More probes may be let through than before.
        self.look_behind_breaker(step, of);
        Ok(Reply::Done)
    }

    pub(super) fn remove_breaker(&mut self, step: &mut Step, of: &Guarded) {
        let Some(breaker) = self.breakers.remove(of) else { return };
        self.changes.touch(RowKey::Breaker(of.clone()));
        self.wakes.set(Wake::Breaker(of.clone()), None);
        self.tell_of_breaker(step, of, Governing::BreakerSet, "removed".into());
        let was_shut = !matches!(breaker.circuit, Circuit::Closed { .. });
        self.breaker_turned(step, of, was_shut.then_some(Turn::Closed));
    }

    fn move_breaker(&mut self, step: &mut Step, of: &Guarded, input: &Input) -> Answer {
        if self.breakers.get(of).is_none() {
            return Err(Refusal::BreakerUnknown(of.clone()));
        }
        self.tell_breaker(step, of, input);
        Ok(Reply::Done)
    }

    fn keep_breaker(&mut self, breaker: Breaker) {
        let of = breaker.spec.of.clone();
        self.changes.touch(RowKey::Breaker(of.clone()));
        self.wakes.set(Wake::Breaker(of), breaker.circuit.due());
        self.breakers.insert(breaker);
    }

    /// Sets the times of all breakers, after a restore.
    pub(super) fn rearm_breakers(&mut self) {
        for breaker in self.breakers.iter() {
            self.wakes.set(Wake::Breaker(breaker.spec.of.clone()), breaker.circuit.due());
        }
    }

    /// Tells a breaker of something, if there is one.
    fn tell_breaker(&mut self, step: &mut Step, of: &Guarded, input: &Input) {
        let Some(mut breaker) = self.breakers.remove(of) else { return };
        let turn = breaker.take(input, step.now);
        self.keep_breaker(breaker);
        self.breaker_turned(step, of, turn);
    }

    /// Says that a breaker has turned, and lets go what may go.
    fn breaker_turned(&mut self, step: &mut Step, of: &Guarded, turn: Option<Turn>) {
        let Some(turn) = turn else { return };
        let (what, detail) = match (turn, self.breakers.get(of).map(|breaker| &breaker.circuit)) {
            (Turn::Opened, Some(Circuit::Open { until, cause, .. })) => {
                (Governing::BreakerOpened, format!("open until {}: {cause}", Utc(*until)).into())
            }
            (Turn::HalfOpened, Some(_)) => (Governing::BreakerHalfOpened, "it lets probes through".into()),
            (Turn::Opened | Turn::HalfOpened | Turn::Closed, _) => {
                (Governing::BreakerClosed, "it lets everything through".into())
            }
        };
        self.tell_of_breaker(step, of, what, detail);
        self.look_behind_breaker(step, of);
    }

    fn tell_of_breaker(&self, step: &mut Step, of: &Guarded, what: Governing, detail: Arc<str>) {
        let subject = of.path().into();
        // A type of tasks is everybody's.
        let workspace = match of {
            Guarded::Pool(pool) => Some(self.workspace_of_pool(pool)),
            Guarded::Kind(_) => None,
        };
        step.events.push(Event::Governed { what, subject, workspace, task: None, agent: None, detail });
    }

    /// Does what time does to a breaker.
    pub(super) fn breaker_elapsed(&mut self, step: &mut Step, of: &Guarded) {
        self.tell_breaker(step, of, &Input::Elapsed);
    }

    /// Holds back what the breaker of its type does not let through.
    pub(super) fn breaker_gate(&self, task: &Task) -> Option<ParkedOn> {
        let breaker = self.breakers.shut_of(&task.spec.kind)?;
        (!breaker.admits() && !mutant(Mutant::IgnoreTheBreaker))
            .then(|| ParkedOn::Breaker(breaker.spec.of.clone()))
    }

    /// Notes that an attempt begins, for breakers that count their probes.
    pub(super) fn breaker_granted(&mut self, step: &mut Step, task: &Task) {
        if self.breakers.all.is_empty() {
            return;
        }
        let one = Try { task: task.spec.id, attempt: task.attempt };
        for of in self.concerned(task) {
            let circuit = self.breakers.get(&of).map(|one| &one.circuit);
            if matches!(circuit, Some(Circuit::HalfOpen { .. })) && !mutant(Mutant::CountNoProbes) {
                self.tell_breaker(step, &of, &Input::Granted(one));
            }
        }
    }

    /// Notes how an attempt ended, if that says something of the work.
    pub(super) fn breaker_closed(&mut self, step: &mut Step, closed: &Closed<'_>) {
        if self.breakers.all.is_empty() {
            return;
        }
        let task = closed.task;
        let one = Try { task: task.spec.id, attempt: task.attempt };
        let input = match closed.end {
            AttemptEnd::Completed => Input::Succeeded(one),
            AttemptEnd::Failed(reason) => Input::Failed(one, short(reason)),
            AttemptEnd::Lost(_) | AttemptEnd::Stopped => Input::Gone(one),
        };
        // Its agent may be in another pool by now.
        let probing = self.breakers.probing.get(&one.task).cloned().unwrap_or_default();
        let concerned: BTreeSet<Guarded> = self.concerned(task).into_iter().chain(probing).collect();
        for of in concerned {
            self.tell_breaker(step, &of, &input);
        }
    }

    /// Notes that a task is over, which may have been about to be a probe: another takes its place.
    pub(super) fn breaker_passed(&mut self, step: &mut Step, task: &Task) {
        if let Some(breaker) = self.breakers.shut_of(&task.spec.kind) {
            let of = breaker.spec.of.clone();
            self.look_behind_breaker(step, &of);
        }
    }

    /// Returns what may have a breaker that an attempt concerns.
    fn concerned(&self, task: &Task) -> Vec<Guarded> {
        let holder = task.lease().and_then(|lease| self.agents.get(&lease.agent));
        let pool = holder.and_then(|holder| holder.spec.pool.clone()).map(Guarded::Pool);
        pool.into_iter().chain([Guarded::Kind(task.spec.kind.clone())]).collect()
    }

    /// Lets tasks of a type go on as far as its breaker lets them.
    pub(super) fn look_behind_breaker(&mut self, step: &mut Step, of: &Guarded) {
        let on = ParkedOn::Breaker(of.clone());
        if self.parked.count(&on) == 0 {
            return;
        }
        match self.breakers.get(of).and_then(|breaker| breaker.circuit.probes_left(&breaker.spec)) {
            None => self.let_go(step, &on, LET_GO_AT_ONCE),
            Some(left) => self.let_heads_go(step, &on, None, left as usize),
        }
    }

    /// Returns when more of what a breaker held back goes on by itself.
    pub(super) fn breaker_opens_at(&self, of: &Guarded) -> Option<Timestamp> {
        match self.breakers.get(of).map(|breaker| &breaker.circuit) {
            None | Some(Circuit::Closed { .. }) => Some(self.meta.now.after(NEXT)),
            Some(Circuit::Open { .. } | Circuit::HalfOpen { .. }) => None,
        }
    }

    /// Returns how many tasks an agent of a pool may be given by its breaker; `None` for as many as come.
    pub(super) fn left_by_breaker(&self, pool: Option<&Name>) -> Option<u32> {
        if self.breakers.all.is_empty() {
            return None;
        }
        let breaker = self.breakers.get(&Guarded::Pool(pool?.clone()))?;
        breaker.circuit.probes_left(&breaker.spec)
    }

    /// Tells whether the agents of a mailbox's pool are given nothing.
    pub(super) fn is_behind_breaker(&self, mailbox: &MailboxId) -> bool {
        match mailbox {
            MailboxId::Pool(pool) => self.left_by_breaker(Some(pool)) == Some(0),
            MailboxId::Agent(_) | MailboxId::Open => false,
        }
    }

    /// Says that the breaker of the agents that a task waits for lets nothing through, if that is so.
    pub(super) fn why_behind_breaker(&self, task: &Task) -> Option<Why> {
        let pool = match &task.spec.mailbox {
            MailboxId::Pool(pool) => pool,
            MailboxId::Agent(agent) => self.agents.get(agent)?.spec.pool.as_ref()?,
            MailboxId::Open => return None,
        };
        self.why_of_shut_pool(pool)
    }

    /// Says that the breaker of a pool lets nothing through, if that is so.
    pub(super) fn why_of_shut_pool(&self, pool: &Name) -> Option<Why> {
        let of = Guarded::Pool(pool.clone());
        let (Circuit::Open { since, .. } | Circuit::HalfOpen { since, .. }) = &self.breaker(&of)?.circuit
        else {
            return None;
        };
        (self.left_by_breaker(Some(pool)) == Some(0)).then(|| self.why_of_breaker(&of, *since))
    }

    /// Says what a breaker waits for, and what to do.
    pub(super) fn why_of_breaker(&self, of: &Guarded, since: Timestamp) -> Why {
        let circuit = self.breaker(of).map(|breaker| &breaker.circuit);
        let reset = format!("to let work through at once, `synod breaker reset {}`", of.path());
        let hint = match circuit {
            Some(Circuit::Open { cause, .. }) => format!("{cause}; {reset}"),
            Some(Circuit::HalfOpen { cause, .. }) => {
                format!("it waits for how its probes end ({cause}); {reset}")
            }
            Some(Circuit::Closed { .. }) | None => "it is closed, and they go on in their order".to_owned(),
        };
        let until = circuit.and_then(Circuit::due);
        Why::HeldBack { on: ParkedOn::Breaker(of.clone()), since, until, hint: hint.into() }
    }

    /// Walks the breakers, in order of what they are about.
    pub fn breakers(&self) -> impl Iterator<Item = &Breaker> {
        self.breakers.iter()
    }

    /// Returns the breaker of something.
    pub fn breaker(&self, of: &Guarded) -> Option<&Breaker> {
        self.breakers.get(of)
    }
}

/// Cuts a reason, which stands in a breaker's cause beside other words.
fn short(reason: &Arc<str>) -> Arc<str> {
    if reason.len() <= REASON_BYTES {
        return reason.clone();
    }
    let mut start = reason.len() - REASON_BYTES;
    while !reason.is_char_boundary(start) {
        start += 1;
    }
    format!("…{}", &reason[start..]).into()
}
