//! How attempts and tasks end.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::id::{AgentId, TaskId};
use crate::mutants::{Mutant, mutant};
use crate::payload::Payload;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::retry::LOSSES_MAX;
use crate::row::{Ending, RowKey};
use crate::state::gates::Closed;
use crate::state::retiring::Idle;
use crate::state::{State, Step, submit};
use crate::task::{
    ATTEMPTS_KEPT, Attempt, AttemptEnd, End, Lease, MailboxId, Outcome, Phase, Task, TaskStatus, Usage,
    bounded_reason,
};
use crate::time::Timestamp;

impl State {
    pub(super) fn complete(
        &mut self,
        step: &mut Step,
        id: TaskId,
        attempt: u32,
        result: &Payload,
        usage: &Usage,
    ) -> Answer {
        match self.leased_task(id, attempt) {
            Ok(_) => {}
            Err(refusal) => return said_again(refusal, Phase::Completed),
        }
        submit::check_payload("result", result)?;
        let holder = self.close_attempt(step, id, AttemptEnd::Completed, Some(usage));
        self.end(step, id, holder, Outcome::Completed { result: result.clone() });
        Ok(Reply::Ended { phase: Phase::Completed })
    }

    pub(super) fn fail(
        &mut self,
        step: &mut Step,
        id: TaskId,
        attempt: u32,
        reason: &str,
        retryable: bool,
        usage: &Usage,
    ) -> Answer {
        match self.leased_task(id, attempt) {
            Ok(_) => {}
            Err(refusal) => return said_again(refusal, Phase::Failed),
        }
        let reason = bounded_reason(reason);
        let holder = self.close_attempt(step, id, AttemptEnd::Failed(reason.clone()), Some(usage));
        let last = Outcome::Failed { reason };
        if retryable {
            return Ok(self.retry_or_end(step, id, holder, last));
        }
        self.count_failure(id);
        self.end(step, id, holder, last);
        Ok(Reply::Ended { phase: Phase::Failed })
    }

    pub(super) fn release(&mut self, step: &mut Step, id: TaskId, attempt: u32, reason: &str) -> Answer {
        self.leased_task(id, attempt)?;
        let reason = bounded_reason(reason);
        self.close_attempt(step, id, AttemptEnd::Lost(reason.clone()), None);
        self.put_back(step, id, &reason, step.now);
        Ok(Reply::WillRetry { until: step.now })
    }

    pub(super) fn cancel(&mut self, step: &mut Step, id: TaskId, reason: &str) -> Answer {
        match self.unfinished_task(id) {
            Ok(task) => self.check_not_offered(task)?,
            Err(refusal) => return said_again(refusal, Phase::Cancelled),
        }
        self.stop(step, id, Outcome::Cancelled { reason: bounded_reason(reason) });
        Ok(Reply::Ended { phase: Phase::Cancelled })
    }

    /// Ends a task wherever it is in its life.
    pub(super) fn stop(&mut self, step: &mut Step, id: TaskId, outcome: Outcome) {
        let holder = self.close_attempt(step, id, AttemptEnd::Stopped, None);
        self.end(step, id, holder, outcome);
    }

    /// Ends the lease of an agent that is gone. The task is not at fault and goes back to its place,
    /// unless it has gone through too many agents already.
    pub(super) fn lose(&mut self, step: &mut Step, id: TaskId, reason: &str) {
        let reason = bounded_reason(reason);
        let holder = self.close_attempt(step, id, AttemptEnd::Lost(reason.clone()), None);
        let Some(task) = self.tasks.get_mut(&id).map(Arc::make_mut) else { return };
        task.losses += 1;
        if task.losses < LOSSES_MAX {
            return self.put_back(step, id, &reason, step.now);
        }
        let reason = format!("given up after {LOSSES_MAX} lost agents or nodes; the last: {reason}");
        self.end(step, id, holder, Outcome::Failed { reason: reason.into() });
    }

    /// Ends an attempt by a timeout of its own.
    pub(super) fn time_out_attempt(&mut self, step: &mut Step, id: TaskId, reason: &str) {
        let reason = bounded_reason(reason);
        let holder = self.close_attempt(step, id, AttemptEnd::Failed(reason.clone()), None);
        self.retry_or_end(step, id, holder, Outcome::TimedOut { reason });
    }

    /// Ends an attempt that may not go on.
    pub(super) fn stop_attempt(&mut self, step: &mut Step, id: TaskId, reason: &str, retryable: bool) {
        let reason = bounded_reason(reason);
        let holder = self.close_attempt(step, id, AttemptEnd::Failed(reason.clone()), None);
        let last = Outcome::Failed { reason };
        if retryable {
            self.retry_or_end(step, id, holder, last);
        } else {
            self.count_failure(id);
            self.end(step, id, holder, last);
        }
    }

    /// Sends a task whose attempt failed back to wait, or ends it if that was its last.
    fn retry_or_end(&mut self, step: &mut Step, id: TaskId, holder: Option<AgentId>, last: Outcome) -> Reply {
        let failures = self.count_failure(id);
        let until = self
            .tasks
            .get(&id)
            .filter(|task| task.spec.retry.allows_another(failures))
            .map(|task| step.now.after(task.spec.retry.backoff(failures, &mut step.chance)));
        if let Some(until) = until {
            self.put_back(step, id, last.reason().unwrap_or_default(), until);
            self.count(|totals| totals.retried += 1);
            Reply::WillRetry { until }
        } else {
            let phase = last.phase();
            self.end(step, id, holder, last);
            Reply::Ended { phase }
        }
    }

    fn count_failure(&mut self, id: TaskId) -> u32 {
        let Some(task) = self.tasks.get_mut(&id).map(Arc::make_mut) else { return 0 };
        task.failures += 1;
        task.failures
    }

    /// Takes the lease away, if there is one, writes the attempt and what it used down, and returns who
    /// held it. Usage that nobody reported is `None`, which is not the same as nothing.
    pub(super) fn close_attempt(
        &mut self,
        step: &mut Step,
        id: TaskId,
        end: AttemptEnd,
        usage: Option<&Usage>,
    ) -> Option<AgentId> {
        let task = self.tasks.get(&id)?.clone();
        let agent = task.lease()?.agent;
        self.attempt_closed(step, &Closed { task: &task, agent, end: &end, usage });
        drop(task); // or the change below would copy it
        let task = self.tasks.get_mut(&id).map(Arc::make_mut)?;
        let Lease { agent, attempt, granted_at, .. } = task.lease().cloned()?;
        let worked = match &task.status {
            TaskStatus::Running { started_at, .. } => step.now.since(*started_at),
            _ => Duration::ZERO,
        };
        if let Some(usage) = usage {
            add_usage(&mut task.usage, usage);
        }
        if task.attempts.len() >= ATTEMPTS_KEPT {
            task.attempts.remove(0);
        }
        let (completed, failed) = match &end {
            AttemptEnd::Completed => (1, 0),
            AttemptEnd::Failed(_) => (0, 1),
            AttemptEnd::Lost(_) | AttemptEnd::Stopped => (0, 0),
        };
        task.attempts.push(Attempt {
            number: attempt,
            agent,
            leased_at: granted_at,
            ended_at: step.now,
            end,
        });
        if let Some(holder) = self.agents.get_mut(&agent).map(Arc::make_mut) {
            holder.held.remove(&id);
            if mutant(Mutant::RefundTwice) {
                holder.held.clear(); // also the slots of what it still works on
            }
            holder.completed += completed;
            holder.failed += failed;
            holder.worked = holder.worked.saturating_add(worked);
            if holder.retiring && holder.held.is_empty() {
                step.idle.push(Idle::Agent(agent));
            }
            self.changes.touch(RowKey::Agent(agent));
        }
        if completed + failed > 0 {
            self.note_attempt(agent, failed > 0);
        }
        self.count(|totals| totals.worked = totals.worked.saturating_add(worked));
        Some(agent)
    }

    /// Sends a task back to wait: at once, or when its backoff is over.
    pub(super) fn put_back(&mut self, step: &mut Step, id: TaskId, reason: &str, until: Timestamp) {
        let Some(task) = self.tasks.get_mut(&id).map(Arc::make_mut) else { return };
        let (agent, attempt) = match task.attempts.last() {
            Some(last) => (last.agent, last.number),
            None => return,
        };
        let workspace = task.spec.workspace.clone();
        let backs_off = until > step.now;
        task.status = if backs_off {
            TaskStatus::BackingOff { until }
        } else {
            TaskStatus::Waiting { since: step.now }
        };
        task.progress = None;
        self.timers.set(task);
        if !backs_off && !mutant(Mutant::ForgetWhatCameBack) {
            let (mailbox, waiting) = (task.spec.mailbox.clone(), submit::waiting(task, step.now));
            self.enqueue(&mailbox, waiting);
        }
        self.changes.task_changed(id);
        let reason = reason.into();
        step.events.push(Event::TaskReturned { task: id, workspace, agent, attempt, reason, until });
    }

    /// Ends a task for good. The only place that does.
    fn end(&mut self, step: &mut Step, id: TaskId, holder: Option<AgentId>, outcome: Outcome) {
        let Some(mut task) = self.tasks.remove(&id) else { return };
        if mutant(Mutant::EndTwice) {
            self.counts.add(&task);
            self.groups.add(&task);
            self.tasks.insert(id, task.clone()); // as if it had not ended
        }
        if matches!(task.status, TaskStatus::Waiting { .. }) {
            self.dequeue(&task);
        }
        self.parked.remove(&task);
        self.barred.remove(id);
        self.timers.clear(id);
        self.counts.remove(&task);
        self.groups.remove(&task);
        if let Some(MailboxId::Pool(pool)) = task.mailbox_here()
            && self.is_closed(pool)
        {
            step.idle.push(Idle::Pool(pool.clone()));
        }
        let (phase, strict) = (outcome.phase(), self.strict.contains(&id));
        self.count(|totals| totals.count_end(phase));
        let reason = outcome.reason().map(Arc::from);
        let ended = Arc::make_mut(&mut task);
        let route = ended.forwarding().map(|forwarding| forwarding.route.clone());
        ended.status = TaskStatus::Ended(End { at: step.now, outcome });
        ended.progress = None;
        let touched = self.endings.push(id, Ending { attempt: task.attempt, phase });
        self.changes.touch_endings(touched);
        if matches!(phase, Phase::Failed | Phase::TimedOut) {
            if let Some(route) = route {
                self.routes.insert(id, route);
                self.changes.touch(RowKey::Route(id));
            }
            self.keep_dead_letter(step, task.clone());
        }
        self.task_over(step, &task);
        if !self.dead_letters.contains_key(&id) {
            self.forget_terms(id);
            self.forget_strict(id);
        }
        let Task { spec, .. } = &*task;
        let (workspace, run) = (spec.workspace.clone(), spec.run);
        step.events.push(Event::TaskEnded { task: id, workspace, phase, reason, agent: holder, run });
        self.changes.task_ended(task, strict);
    }
}

fn add_usage(total: &mut Usage, usage: &Usage) {
    total.tokens_in = total.tokens_in.saturating_add(usage.tokens_in);
    total.tokens_out = total.tokens_out.saturating_add(usage.tokens_out);
    total.cost_microusd = total.cost_microusd.saturating_add(usage.cost_microusd);
}

/// Answers somebody who says again what ended the task: as it was answered then.
fn said_again(refusal: Refusal, said: Phase) -> Answer {
    match refusal {
        Refusal::AlreadyEnded { phase, .. } if phase == said => Ok(Reply::Ended { phase }),
        other => Err(other),
    }
}
