//! Runs of fleet files: one open run a fleet.

use crate::event::Event;
use crate::id::RunId;
use crate::name::Name;
use crate::payload::Payload;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::run::Run;
use crate::state::{State, Step, submit};
use crate::task::{Outcome, bounded_reason};

impl State {
    pub(super) fn start_run(&mut self, step: &mut Step, id: RunId, fleet: &Name, plan: &Payload) -> Answer {
        // As many runs are open as there are fleets at work: few enough to look at each.
        let open = self.runs.get(&id).or_else(|| self.open_run_of(fleet));
        if let Some(open) = open {
            return Err(Refusal::RunOpen { fleet: open.fleet.clone(), run: open.id });
        }
        submit::check_payload("plan", plan)?;
        let run = Run { id, fleet: fleet.clone(), plan: plan.clone(), started_at: step.now };
        self.runs.insert(id, run);
        self.changes.touch(RowKey::Run(id));
        step.events.push(Event::RunStarted { run: id, fleet: fleet.clone() });
        Ok(Reply::Done)
    }

    pub(super) fn end_run(&mut self, step: &mut Step, id: RunId, summary: &str) -> Answer {
        if self.runs.remove(&id).is_none() {
            return Err(Refusal::RunUnknown(id));
        }
        let reason = bounded_reason(&format!("its run ended: {summary}"));
        for task in self.groups.of_run(id) {
            self.stop(step, task, Outcome::Cancelled { reason: reason.clone() });
        }
        self.changes.touch(RowKey::Run(id));
        step.events.push(Event::RunEnded { run: id });
        Ok(Reply::Done)
    }
}
