//! Answers to requests that were applied before.

use crate::id::RequestId;
use crate::reply::{Applied, Assignment, Reply};
use crate::state::State;

impl Applied {
    /// Returns what must be remembered of a reply to give it again.
    pub fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Done => Self::Done,
            Reply::Submitted { task, duplicate: false } => Self::Submitted(*task),
            Reply::Submitted { task, duplicate: true } => Self::Duplicate(*task),
            Reply::Claimed(assignments) => {
                Self::Claimed(assignments.iter().map(|one| (one.spec.id, one.attempt)).collect())
            }
            Reply::Ended { phase } => Self::Ended(*phase),
            Reply::WillRetry { until } => Self::WillRetry(*until),
            Reply::Admitted { number } => Self::Admitted(*number),
            Reply::Ruled(ruled) => Self::Ruled(ruled.clone()),
        }
    }
}

impl State {
    /// Returns what a request was answered that was applied before, as it would be answered again; nothing when
    /// it was refused, was never asked, or was asked too long ago to be remembered.
    pub fn answered(&self, request: RequestId) -> Option<Reply> {
        self.requests.get(&request).map(|applied| self.answer_again(applied.clone()))
    }

    /// Answers a repeated request. A claim answers with those of its leases that are still valid.
    pub fn answer_again(&self, applied: Applied) -> Reply {
        match applied {
            Applied::Done => Reply::Done,
            Applied::Submitted(task) => Reply::Submitted { task, duplicate: false },
            Applied::Duplicate(task) => Reply::Submitted { task, duplicate: true },
            Applied::Claimed(leases) => Reply::Claimed(
                leases
                    .into_iter()
                    .filter_map(|(task, attempt)| {
                        let task = self.tasks.get(&task)?;
                        let lease = task.lease().filter(|lease| lease.attempt == attempt)?;
                        Some(Assignment {
                            spec: task.spec.clone(),
                            agent: lease.agent,
                            attempt,
                            expires_at: lease.expires_at,
                        })
                    })
                    .collect(),
            ),
            Applied::Ended(phase) => Reply::Ended { phase },
            Applied::WillRetry(until) => Reply::WillRetry { until },
            Applied::Admitted(number) => Reply::Admitted { number },
            Applied::Ruled(ruled) => Reply::Ruled(ruled),
        }
    }
}
