//! What one task may do, as a register: unknown, waiting, leased under an attempt, ended. Small enough to be read at once.
//!
//! Things that nobody asked for are steps too: an agent inside of the nodes takes the task and completes it, a lease is lost
//! to silence, a timeout ends it. Where no event told of it, it happens only where an answer shows that it did, so the
//! search stays small. What clients alone can do, a cancel and the completion of work outside, happens by nothing else.

use synod::node::domain::task::Phase;

/// A task, as far as its clients can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Register {
    /// Nobody submitted it yet.
    Unknown,
    /// Waits; its last attempt had this number.
    Waiting(u32),
    /// This attempt has it.
    Leased(u32),
    /// Over, for ever, under its last attempt.
    Ended(Phase, u32),
}

/// What an answer or an event says that was done or seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is there: by this submit, or by an earlier one under its key.
    Submitted,
    /// A claim was given it, or an event says that somebody was.
    Leased(u32),
    /// The attempt still has it.
    Renewed(u32),
    /// The attempt is over, and the task is not; an event said so.
    Returned(u32),
    /// The attempt failed; what became of the task was not said.
    Failed(u32),
    /// The attempt completed it.
    Completed(u32),
    /// It was called off.
    Cancelled,
    /// It is over.
    Over(Phase),
    /// It was looked up: how it stands, and its last attempt; `None` when nobody knows it.
    Seen(Option<(Phase, u32)>),
    /// The attempt does not have it any more.
    LeaseLost(u32),
    /// It is over, in another way than this.
    EndedOtherwise(Option<Phase>),
    /// Nobody knows it.
    NotKnown,
}

/// What was asked and never answered: done at any later time, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silent {
    Submit,
    Complete(u32),
    Fail(u32),
    Cancel,
}

impl Register {
    fn last(self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Waiting(last) | Self::Leased(last) | Self::Ended(_, last) => last,
        }
    }

    const fn is_open(self) -> bool {
        matches!(self, Self::Waiting(_) | Self::Leased(_))
    }

    /// Returns how the task may stand after a step; none if the step cannot have been. `inside` says that agents of the
    /// nodes work on it, who ask nothing.
    pub(super) fn after(self, step: Step, inside: bool) -> Vec<Self> {
        let stays = || vec![self];
        match step {
            Step::Submitted => match self {
                Self::Unknown => vec![Self::Waiting(0)],
                Self::Waiting(_) | Self::Leased(_) | Self::Ended(..) => stays(),
            },
            Step::Leased(attempt) => match self {
                Self::Waiting(last) | Self::Leased(last) if last < attempt => vec![Self::Leased(attempt)],
                Self::Leased(held) if held == attempt => stays(),
                Self::Unknown | Self::Waiting(_) | Self::Leased(_) | Self::Ended(..) => Vec::new(),
            },
            Step::Renewed(attempt) => match self {
                Self::Leased(held) if held == attempt => stays(),
                Self::Unknown | Self::Waiting(_) | Self::Leased(_) | Self::Ended(..) => Vec::new(),
            },
            Step::Returned(attempt) => match self {
                Self::Leased(last) | Self::Waiting(last) if last <= attempt => vec![Self::Waiting(attempt)],
                Self::Unknown | Self::Waiting(_) | Self::Leased(_) | Self::Ended(..) => Vec::new(),
            },
            Step::Failed(attempt) => match self {
                Self::Leased(held) if held == attempt => {
                    vec![Self::Waiting(attempt), Self::Ended(Phase::Failed, attempt)]
                }
                Self::Waiting(last) | Self::Ended(Phase::Failed, last) if last == attempt => stays(),
                Self::Unknown | Self::Waiting(_) | Self::Leased(_) | Self::Ended(..) => Vec::new(),
            },
            Step::Completed(attempt) => match self {
                Self::Leased(held) if held == attempt => vec![Self::Ended(Phase::Completed, attempt)],
                // Said again: answered as the first time.
                Self::Ended(Phase::Completed, last) if last == attempt => stays(),
                Self::Unknown | Self::Waiting(_) | Self::Leased(_) | Self::Ended(..) => Vec::new(),
            },
            Step::Cancelled => match self {
                Self::Waiting(last) | Self::Leased(last) | Self::Ended(Phase::Cancelled, last) => {
                    vec![Self::Ended(Phase::Cancelled, last)]
                }
                Self::Unknown | Self::Ended(..) => Vec::new(),
            },
            Step::Over(phase) => self.over(phase, self.last(), inside),
            Step::Seen(None) | Step::NotKnown => match self {
                Self::Unknown => stays(),
                Self::Waiting(_) | Self::Leased(_) | Self::Ended(..) => Vec::new(),
            },
            Step::Seen(Some((phase, attempt))) => self.seen(phase, attempt, inside),
            Step::LeaseLost(attempt) => match self {
                Self::Leased(held) if held == attempt => vec![Self::Waiting(attempt)],
                Self::Waiting(_) | Self::Leased(_) | Self::Ended(..) => stays(),
                Self::Unknown => Vec::new(),
            },
            Step::EndedOtherwise(said) => match self {
                Self::Ended(phase, _) if Some(phase) == said => Vec::new(),
                Self::Ended(..) => stays(),
                Self::Waiting(last) | Self::Leased(last) => {
                    [Phase::Completed, Phase::Failed, Phase::TimedOut]
                        .into_iter()
                        .filter(|phase| Some(*phase) != said && ends_by_itself(*phase, inside))
                        .map(|phase| Self::Ended(phase, last))
                        .collect()
                }
                Self::Unknown => Vec::new(),
            },
        }
    }

    /// Returns how the task stands if a request without an answer was done; none where it would do nothing.
    pub(super) fn after_silence(self, request: Silent) -> Vec<Self> {
        match (request, self) {
            (Silent::Submit, Self::Unknown) => vec![Self::Waiting(0)],
            (Silent::Complete(attempt), Self::Leased(held)) if held == attempt => {
                vec![Self::Ended(Phase::Completed, attempt)]
            }
            (Silent::Fail(attempt), Self::Leased(held)) if held == attempt => {
                vec![Self::Waiting(attempt), Self::Ended(Phase::Failed, attempt)]
            }
            (Silent::Cancel, open) if open.is_open() => vec![Self::Ended(Phase::Cancelled, open.last())],
            _ => Vec::new(),
        }
    }

    fn over(self, phase: Phase, last: u32, inside: bool) -> Vec<Self> {
        match self {
            Self::Ended(ended, before) if ended == phase && before <= last => vec![Self::Ended(phase, last)],
            Self::Waiting(before) | Self::Leased(before)
                if before <= last && phase.is_end() && ends_by_itself(phase, inside) =>
            {
                vec![Self::Ended(phase, last)]
            }
            Self::Unknown | Self::Waiting(_) | Self::Leased(_) | Self::Ended(..) => Vec::new(),
        }
    }

    fn seen(self, phase: Phase, attempt: u32, inside: bool) -> Vec<Self> {
        match (phase, self) {
            (Phase::Completed | Phase::Failed | Phase::TimedOut | Phase::Cancelled, _) => {
                self.over(phase, attempt, inside)
            }
            (Phase::Pending, Self::Waiting(last) | Self::Leased(last)) if last <= attempt => {
                vec![Self::Waiting(attempt)]
            }
            (Phase::Scheduled | Phase::Running, Self::Leased(held)) if held == attempt => vec![self],
            (Phase::Scheduled | Phase::Running, Self::Waiting(last) | Self::Leased(last))
                if last < attempt =>
            {
                vec![Self::Leased(attempt)]
            }
            (Phase::Pending | Phase::Scheduled | Phase::Running, _) => Vec::new(),
        }
    }
}

/// Tells whether a task may end so although no client asked for it.
const fn ends_by_itself(phase: Phase, inside: bool) -> bool {
    match phase {
        // By a timeout, or by losses without end.
        Phase::Failed | Phase::TimedOut => true,
        Phase::Completed => inside,
        Phase::Pending | Phase::Scheduled | Phase::Running | Phase::Cancelled => false,
    }
}
