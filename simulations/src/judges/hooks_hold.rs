//! A hook has one holder under an attempt, its attempts only grow, and whoever writes under an earlier one is refused; it goes
//! from state to state as it may, is abandoned for silence no sooner than it says, and comes to an end.
//!
//! Source: docs, HOOKS; domain, `hook`: "the attempt is the fencing token". What was told of a hook holds through every crash,
//! so an attempt that was told never comes back; where events may be missing, only how the hook stands is not known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod::node::domain::event::{Event, Governing};
use synod::node::domain::hook::HookStatus;
use synod::node::domain::id::{AgentId, HookId};
use synod::node::domain::time::Timestamp;

use crate::history::{Answer, Change, Fact, Governance, Pinned, Plan, Record, Request, Say};
use crate::judges::lives::Lives;
use crate::judges::{Judge, Verdict, broken};
use crate::workload::Workload;

pub(super) const JUDGE: Judge = Judge {
    name: "hooks hold",
    says: "a hook has one holder at a time, nobody writes to it under an earlier attempt, and it ends",
    look,
};

/// What is said of a hook whose agent is silent.
const SILENT: &str = "nothing was heard of it for";

/// What is known of a hook.
#[derive(Debug, Clone)]
struct Known {
    attempt: u32,
    agent: AgentId,
    /// How it stands, unless that was forgotten.
    status: Option<HookStatus>,
    /// When its present attempt began, by the time of the log.
    began: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Hooks {
    known: BTreeMap<HookId, Known>,
    /// Who had which attempt.
    holders: BTreeMap<(HookId, u32), AgentId>,
    /// How long each may be silent.
    patience: BTreeMap<HookId, Duration>,
    /// Questions that come too late: the attempt was over when they were asked.
    late: BTreeSet<u64>,
    /// Those that are not over, when that was looked up last.
    open: Vec<Pinned>,
    checked: usize,
}

fn look(history: &[Record]) -> Verdict {
    let (mut hooks, mut lives) = (Hooks::default(), Lives::default());
    let must_end = Plan::said(history).has(Workload::Hooks);
    for (place, record) in history.iter().enumerate() {
        if lives.forget(record) {
            hooks.forget();
        }
        let found = match &record.fact {
            Fact::Asked { question, request: Request::Govern(change), .. } => {
                hooks.ask(*question, change);
                Ok(())
            }
            Fact::Answered { question, answer } => hooks.answer(*question, answer),
            Fact::Happened { event, at, .. } => hooks.hear(event, *at),
            Fact::Governs(Governance { pinned, .. }) => {
                hooks.open.clone_from(pinned);
                Ok(())
            }
            Fact::Closed if must_end => hooks.close(),
            _ => Ok(()),
        };
        if let Err(what) = found {
            return broken(place, None, what);
        }
    }
    Ok(hooks.checked)
}

const fn is_of_hook(what: Governing) -> bool {
    matches!(
        what,
        Governing::HookCreated
            | Governing::HookStarted
            | Governing::HookReturned
            | Governing::HookEnded
            | Governing::HookAbandoned
            | Governing::HookReassigned
    )
}

/// Reads how a hook stands from what is told of it: `ACTIVE under attempt 2`, and why.
fn stands(detail: &str) -> Option<(HookStatus, u32)> {
    let (status, rest) = detail.split_once(" under attempt ")?;
    let attempt = rest.split_once(':').map_or(rest, |(attempt, _)| attempt);
    let status = HookStatus::ALL.into_iter().find(|one| one.as_str() == status)?;
    Some((status, attempt.parse().ok()?))
}

impl Hooks {
    /// Knows no more how those stand that are not over.
    fn forget(&mut self) {
        for known in self.known.values_mut().filter(|known| !known.is_over()) {
            (known.status, known.began) = (None, None);
        }
    }

    fn ask(&mut self, question: u64, change: &Change) {
        match change {
            Change::CreateHook { hook, stale_after, .. } => {
                self.patience.insert(*hook, *stale_after);
            }
            Change::Hook { hook, attempt, what } if what.is_fenced() => {
                let is_late = self.known.get(hook).is_some_and(|known| known.refuses(*attempt, *what));
                if is_late {
                    self.late.insert(question);
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, question: u64, answer: &Answer) -> Result<(), String> {
        if !self.late.remove(&question) {
            return Ok(());
        }
        self.checked += 1;
        if *answer == Answer::Done {
            return Err("it was said under an attempt that was over, and was taken".to_owned());
        }
        Ok(())
    }

    fn hear(&mut self, event: &Event, at: Timestamp) -> Result<(), String> {
        let Event::Governed { what, subject, agent: Some(agent), detail, .. } = event else { return Ok(()) };
        let Ok(hook) = subject.parse::<HookId>() else { return Ok(()) };
        if *what == Governing::HookRemoved {
            let known = self.known.get(&hook).and_then(|known| known.status);
            return match known {
                Some(HookStatus::Pending | HookStatus::Active) => {
                    Err(format!("{hook} is forgotten, and somebody works on it"))
                }
                _ => Ok(()),
            };
        }
        let Some((status, attempt)) = stands(detail).filter(|_| is_of_hook(*what)) else { return Ok(()) };
        self.checked += 1;
        let holder = *self.holders.entry((hook, attempt)).or_insert(*agent);
        if holder != *agent {
            return Err(format!("{hook} under attempt {attempt} is {agent}'s, and was {holder}'s"));
        }
        let began = match self.known.get(&hook) {
            Some(known) => {
                known.may_go(*what, attempt, *agent).map_err(|why| format!("{hook} is {status}: {why}"))?;
                known.began.filter(|_| known.attempt == attempt)
            }
            None => None,
        };
        if *what == Governing::HookAbandoned
            && detail.contains(SILENT)
            && let (Some(began), Some(patience)) = (began, self.patience.get(&hook))
            && began.after(*patience) > at
        {
            let after = at.since(began);
            return Err(format!(
                "{hook} is given up for its silence after {after:?}, and may have {patience:?}"
            ));
        }
        let began = if *what == Governing::HookStarted { Some(at) } else { began };
        self.known.insert(hook, Known { attempt, agent: *agent, status: Some(status), began });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        match self.open.first() {
            Some(Pinned { hook, status, attempt, .. }) => {
                Err(format!("{hook} never ends: it is {status} under attempt {attempt}"))
            }
            None => Ok(()),
        }
    }
}

impl Known {
    fn is_over(&self) -> bool {
        self.status.is_some_and(HookStatus::is_end)
    }

    /// Tells whether something that is said under an attempt comes too late. An end may be said again.
    fn refuses(&self, attempt: u32, what: Say) -> bool {
        let said_again = match what {
            Say::Complete => self.status == Some(HookStatus::Completed),
            Say::Fail => self.status == Some(HookStatus::Failed),
            _ => false,
        };
        attempt < self.attempt || self.is_over() && !(said_again && attempt == self.attempt)
    }

    /// Says why this may not happen to the hook, if it may not.
    fn may_go(&self, what: Governing, attempt: u32, agent: AgentId) -> Result<(), String> {
        if self.is_over() {
            return Err("it was over".to_owned());
        }
        let was = |any: &[HookStatus]| self.status.is_none_or(|status| any.contains(&status));
        let begins_anew = matches!(what, Governing::HookReturned | Governing::HookReassigned);
        let follows = match self.status {
            Some(_) if begins_anew => attempt == self.attempt + 1,
            Some(_) => attempt == self.attempt,
            None => attempt >= self.attempt,
        };
        if !follows {
            return Err(format!("attempt {attempt} follows on {}", self.attempt));
        }
        let is_allowed = match what {
            Governing::HookStarted => was(&[HookStatus::Pending, HookStatus::Abandoned]),
            Governing::HookAbandoned => was(&[HookStatus::Pending, HookStatus::Active]),
            Governing::HookCreated => false,
            _ => true,
        };
        if !is_allowed {
            return Err(format!("{} when it was {:?}", what.as_str(), self.status));
        }
        let changes_hands = what == Governing::HookReassigned || self.status.is_none();
        if agent != self.agent && !changes_hands {
            return Err(format!("{agent} has it, and {} had it", self.agent));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    const HOOK: HookId = HookId::from_raw(7);

    fn tells(millis: u64, what: Governing, holder: u128, detail: &str) -> Fact {
        let (subject, agent, detail) = (HOOK.to_string().into(), Some(agent(holder)), detail.into());
        let event = Event::Governed { what, subject, workspace: None, task: None, agent, detail };
        happened_at(1, millis, event)
    }

    fn created() -> Fact {
        tells(0, Governing::HookCreated, 1, "PENDING under attempt 1")
    }

    fn started(millis: u64, attempt: u32, holder: u128) -> Fact {
        tells(millis, Governing::HookStarted, holder, &format!("ACTIVE under attempt {attempt}"))
    }

    fn reassigned(attempt: u32, holder: u128) -> Fact {
        tells(1, Governing::HookReassigned, holder, &format!("PENDING under attempt {attempt}"))
    }

    fn completed(attempt: u32) -> Fact {
        tells(1, Governing::HookEnded, 1, &format!("COMPLETED under attempt {attempt}"))
    }

    fn says(question: u64, attempt: u32, what: Say) -> Fact {
        asked(question, Request::Govern(Change::Hook { hook: HOOK, attempt, what }))
    }

    fn then(more: Vec<Fact>) -> Verdict {
        look(&history([created()].into_iter().chain(more)))
    }

    #[test]
    fn a_hook_that_changes_hands_without_a_new_attempt_is_found() {
        assert_eq!(then(vec![started(1, 1, 1), reassigned(2, 2), started(1, 2, 2)]), Ok(4));
        assert!(then(vec![started(1, 1, 2)]).is_err());
        assert!(then(vec![started(1, 1, 1), reassigned(1, 2)]).is_err());
        assert!(then(vec![reassigned(3, 2)]).is_err(), "an attempt is left out");
        assert!(then(vec![reassigned(2, 2), started(1, 1, 1)]).is_err(), "that attempt is over");
        let forgets = [Fact::Skipped, started(1, 1, 2)];
        assert!(then(forgets.into()).is_err(), "who had an attempt is not forgotten");
        assert_eq!(then(vec![Fact::Skipped, started(1, 3, 2)]), Ok(2), "something may have been missed");
    }

    #[test]
    fn a_hook_that_goes_on_after_its_end_is_found() {
        assert_eq!(then(vec![started(1, 1, 1), completed(1)]), Ok(3));
        assert!(then(vec![completed(1), started(1, 1, 1)]).is_err());
        assert!(then(vec![completed(1), Fact::Skipped, reassigned(2, 2)]).is_err());
        assert!(then(vec![created()]).is_err());
        let removed = || tells(1, Governing::HookRemoved, 1, "its record in the repository stays");
        assert!(then(vec![removed()]).is_err());
        assert_eq!(then(vec![completed(1), removed()]), Ok(2));
    }

    #[test]
    fn whoever_writes_under_an_attempt_that_is_over_is_found() {
        let refused = || answered(1, Answer::Refused { code: "hook_fenced", text: String::new() });
        let late = |answer: Fact| then(vec![reassigned(2, 2), says(1, 1, Say::Complete), answer]);
        assert!(late(answered(1, Answer::Done)).is_err());
        assert_eq!(late(refused()), Ok(3));
        let in_time = vec![says(1, 1, Say::Start), reassigned(2, 2), answered(1, Answer::Done)];
        assert_eq!(then(in_time), Ok(2), "it was asked before");
        let again = |what| then(vec![completed(1), says(1, 1, what), answered(1, Answer::Done)]);
        assert_eq!(again(Say::Complete), Ok(2));
        assert!(again(Say::Touch).is_err());
    }

    #[test]
    fn a_hook_that_is_given_up_for_its_silence_too_soon_is_found() {
        let gives_up = |millis| {
            let creates =
                Change::CreateHook { hook: HOOK, branch: "b".into(), stale_after: Duration::from_secs(1) };
            let silent = "ABANDONED under attempt 1: nothing was heard of it for 1s";
            let silent = tells(millis, Governing::HookAbandoned, 1, silent);
            then(vec![asked(1, Request::Govern(creates)), started(100, 1, 1), silent])
        };
        assert_eq!(gives_up(1_100), Ok(3));
        assert!(gives_up(1_099).is_err());
    }

    #[test]
    fn a_hook_that_never_ends_is_found() {
        let closes = |pinned: Vec<Pinned>| {
            let governance = Governance { pinned, ..Governance::default() };
            look(&history([clients_ask_for(Workload::Hooks), Fact::Governs(governance), Fact::Closed]))
        };
        assert_eq!(closes(vec![]), Ok(0));
        let status = HookStatus::Abandoned;
        assert!(closes(vec![Pinned { hook: HOOK, status, attempt: 3, agent: agent(1) }]).is_err());
    }
}
