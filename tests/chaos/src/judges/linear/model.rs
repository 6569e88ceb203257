//! What one task may do: absent, waiting, leased under an attempt, ended. Small enough to be read at once.
//!
//! Things that nobody asked for are steps too: a lease may be lost to silence or run into a timeout, and a claim
//! whose answer was lost may have taken the task. They happen only where an answer shows that they did, so the
//! search stays small.

use crate::history::{Answer, Request, Status};

/// A task, as far as its clients can tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Nobody submitted it yet.
    Absent,
    /// Waits; its last attempt had this number.
    Waiting(u32),
    /// An attempt has it, taken by the claim with this key if that is known.
    Leased(u32, Option<String>),
    /// Over, for ever, under its last attempt; a cancelled one under that or a later one.
    Ended(Status, u32),
}

impl Task {
    fn last(&self) -> u32 {
        match self {
            Self::Absent => 0,
            Self::Waiting(last) | Self::Leased(last, _) | Self::Ended(_, last) => *last,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self, Self::Waiting(_) | Self::Leased(..))
    }

    /// Returns how the task may stand after a request that was answered so; none if it cannot have been.
    ///
    /// `id` names the task among those of an answer.
    pub fn after(&self, id: &str, request: &Request, answer: &Answer) -> Vec<Self> {
        match (request, answer) {
            (Request::Submit { key, .. }, Answer::Submitted { .. }) => self.after_submit(key.is_some()),
            (Request::Claim { key, .. }, Answer::Claimed { leases }) => {
                let attempt = leases.iter().find(|(task, _)| task == id).map(|(_, attempt)| *attempt);
                attempt.map_or_else(|| vec![self.clone()], |attempt| self.after_claim(attempt, key))
            }
            (Request::Heartbeat { attempt, .. }, Answer::Renewed) => match self {
                Self::Leased(held, _) if held == attempt => vec![self.clone()],
                _ => Vec::new(),
            },
            (Request::Complete { attempt, .. }, Answer::Stands { status: Status::Completed }) => {
                self.after_end(*attempt, Status::Completed)
            }
            (Request::Fail { attempt, .. }, Answer::Stands { status }) => self.after_fail(*attempt, *status),
            (Request::Cancel { .. }, Answer::Stands { status: Status::Cancelled }) => self.after_cancel(),
            (Request::Read { .. }, Answer::Shown { status, attempt }) => self.after_read(*status, *attempt),
            (_, Answer::Refused { code }) => self.after_refusal(request, code),
            _ => Vec::new(),
        }
    }

    /// Returns how the task stands if a request without an answer was done; none where it would do nothing.
    pub fn after_silence(&self, request: &Request) -> Vec<Self> {
        match (request, self) {
            (Request::Submit { .. }, Self::Absent) => vec![Self::Waiting(0)],
            (Request::Complete { attempt, .. }, Self::Leased(held, _)) if held == attempt => {
                vec![Self::Ended(Status::Completed, *attempt)]
            }
            (Request::Fail { attempt, .. }, Self::Leased(held, _)) if held == attempt => {
                vec![Self::Waiting(*attempt), Self::Ended(Status::Failed, *attempt)]
            }
            (Request::Cancel { .. }, task) if task.is_open() => {
                vec![Self::Ended(Status::Cancelled, task.last())]
            }
            _ => Vec::new(),
        }
    }

    fn after_submit(&self, keyed: bool) -> Vec<Self> {
        match self {
            Self::Absent => vec![Self::Waiting(0)],
            other if keyed => vec![other.clone()],
            _ => Vec::new(),
        }
    }

    fn after_claim(&self, attempt: u32, key: &str) -> Vec<Self> {
        let leased = || vec![Self::Leased(attempt, Some(key.to_owned()))];
        match self {
            Self::Waiting(last) | Self::Leased(last, _) if *last < attempt => leased(),
            // Asked again under its key.
            Self::Leased(held, by) if *held == attempt && by.as_deref().is_none_or(|by| by == key) => {
                leased()
            }
            _ => Vec::new(),
        }
    }

    fn after_end(&self, attempt: u32, status: Status) -> Vec<Self> {
        match self {
            Self::Leased(held, _) if *held == attempt => vec![Self::Ended(status, attempt)],
            // Said again: answered as the first time.
            Self::Ended(ended, by) if *ended == status && *by == attempt => vec![self.clone()],
            _ => Vec::new(),
        }
    }

    fn after_fail(&self, attempt: u32, status: Status) -> Vec<Self> {
        if status == Status::Failed {
            return self.after_end(attempt, status);
        }
        match self {
            Self::Leased(held, _) | Self::Waiting(held) if *held == attempt && !status.is_end() => {
                vec![Self::Waiting(attempt)]
            }
            _ => Vec::new(),
        }
    }

    fn after_cancel(&self) -> Vec<Self> {
        match self {
            Self::Waiting(last) | Self::Leased(last, _) | Self::Ended(Status::Cancelled, last) => {
                vec![Self::Ended(Status::Cancelled, *last)]
            }
            Self::Absent | Self::Ended(..) => Vec::new(),
        }
    }

    fn after_read(&self, status: Status, attempt: u32) -> Vec<Self> {
        match (self, status) {
            (Self::Absent, _) => Vec::new(),
            // A claim whose answer was lost may have come before the cancel.
            (Self::Ended(Status::Cancelled, last), Status::Cancelled) if *last <= attempt => {
                vec![Self::Ended(status, attempt)]
            }
            (Self::Ended(ended, last), _) => {
                if *ended == status && *last == attempt {
                    vec![self.clone()]
                } else {
                    Vec::new()
                }
            }
            (open, _) if open.last() > attempt => Vec::new(),
            (_, Status::Pending) => vec![Self::Waiting(attempt)],
            (Self::Leased(held, _), Status::Scheduled | Status::Running) if *held == attempt => {
                vec![self.clone()]
            }
            (open, Status::Scheduled | Status::Running) if open.last() < attempt => {
                vec![Self::Leased(attempt, None)]
            }
            (Self::Waiting(_) | Self::Leased(..), Status::Scheduled | Status::Running) => Vec::new(),
            // By a timeout, or by losses without end; a completion and a cancel somebody must have asked for.
            (_, Status::Failed | Status::TimedOut) => vec![Self::Ended(status, attempt)],
            (_, Status::Completed | Status::Cancelled) => Vec::new(),
        }
    }

    /// What a refusal shows: that the lease was not valid, or the task over, or unknown. Others show nothing.
    fn after_refusal(&self, request: &Request, code: &str) -> Vec<Self> {
        let unchanged = || vec![self.clone()];
        match (request, code) {
            (
                Request::Heartbeat { attempt, .. }
                | Request::Complete { attempt, .. }
                | Request::Fail { attempt, .. },
                "lease_lost",
            ) => match self {
                Self::Absent => Vec::new(),
                // Lost to silence, or taken by somebody whose answer got lost.
                Self::Leased(held, _) if held == attempt => vec![Self::Waiting(*attempt)],
                Self::Ended(end, by) if by == attempt && *end != Status::Cancelled => Vec::new(),
                Self::Waiting(_) | Self::Leased(..) | Self::Ended(..) => unchanged(),
            },
            (Request::Complete { attempt, .. }, "already_ended") => match self {
                Self::Ended(Status::Completed, by) if by == attempt => Vec::new(),
                _ => self.ended_somehow(),
            },
            (Request::Heartbeat { .. } | Request::Fail { .. }, "already_ended") => self.ended_somehow(),
            (Request::Cancel { .. }, "already_ended") => match self {
                Self::Ended(Status::Cancelled, _) => Vec::new(),
                _ => self.ended_somehow(),
            },
            (Request::Submit { .. } | Request::Claim { .. }, _) => unchanged(),
            // Nodes remember only so many of the tasks that are over; those that they show they must know.
            (_, "task_unknown") => match self {
                Self::Absent => unchanged(),
                Self::Ended(..) if !matches!(request, Request::Read { .. }) => unchanged(),
                Self::Waiting(_) | Self::Leased(..) | Self::Ended(..) => Vec::new(),
            },
            _ => unchanged(),
        }
    }

    fn ended_somehow(&self) -> Vec<Self> {
        match self {
            Self::Ended(..) => vec![self.clone()],
            Self::Leased(held, _) => {
                vec![Self::Ended(Status::TimedOut, *held), Self::Ended(Status::Failed, *held)]
            }
            Self::Absent | Self::Waiting(_) => Vec::new(),
        }
    }
}
