//! Which task a fact or a question is about.

use synod::node::domain::id::TaskId;

use super::{Answer, Change, Fact, Request, Thing};

impl Fact {
    /// Tells whether the fact is about a task.
    pub fn concerns(&self, task: TaskId) -> bool {
        match self {
            Self::Stands(standing) => standing.task == task,
            Self::Unread { task: of, .. } | Self::NoResult { task: of, .. } => *of == task,
            Self::Acts { task: of, .. }
            | Self::Uses { task: of, .. }
            | Self::Used { task: of, .. }
            | Self::Spends { task: of, .. } => *of == task,
            Self::Letters(letters) => letters.contains(&task),
            Self::Happened { event, .. } => event.task() == Some(task),
            Self::Asked { request, .. } => request.concerns(task),
            Self::Answered { answer: Answer::Submitted(of), .. } => *of == task,
            Self::Answered { answer: Answer::Claimed(leases), .. } => {
                leases.iter().any(|(of, _)| *of == task)
            }
            Self::Began { .. }
            | Self::Planned(_)
            | Self::Injected(_)
            | Self::Healed(_)
            | Self::Lost { .. }
            | Self::Datagrams { .. }
            | Self::FaultsEnded
            | Self::Starting { .. }
            | Self::Started { .. }
            | Self::Admitted { .. }
            | Self::Leads { .. }
            | Self::Applied { .. }
            | Self::Stored { .. }
            | Self::Skipped
            | Self::State { .. }
            | Self::Rests { .. }
            | Self::NodeFailed { .. }
            | Self::Stopped
            | Self::Noted { .. }
            | Self::Missed(_)
            | Self::Repaired { .. }
            | Self::Gone
            | Self::Panicked { .. }
            | Self::Paused(_)
            | Self::Token { .. }
            | Self::Governs(_)
            | Self::Told { .. }
            | Self::Trail(_)
            | Self::Checked { .. }
            | Self::Shown { .. }
            | Self::Answered { .. }
            | Self::Closed => false,
        }
    }
}

impl Request {
    /// Returns the task it is about. A dead letter is one no more.
    pub const fn task(&self) -> Option<TaskId> {
        match self {
            Self::Wait { task }
            | Self::Look { task }
            | Self::Cancel { task }
            | Self::Heartbeat { task, .. }
            | Self::Complete { task, .. }
            | Self::Fail { task, .. }
            | Self::Limited { task, .. }
            | Self::Release { task, .. }
            | Self::SetLane { task, .. } => Some(*task),
            Self::Govern(Change::Vote { task, .. }) => *task,
            Self::Submit { .. }
            | Self::Register { .. }
            | Self::Claim { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::PutToken { .. }
            | Self::RotateToken { .. }
            | Self::RevokeToken { .. }
            | Self::Redrive { .. }
            | Self::Purge { .. }
            | Self::Scale { .. }
            | Self::Retire { .. }
            | Self::PutPool { .. }
            | Self::SetRole { .. }
            | Self::Transfer
            | Self::Govern(_)
            | Self::Reach { .. }
            | Self::Drain { .. } => None,
        }
    }

    /// Tells whether a task is named in it.
    fn concerns(&self, task: TaskId) -> bool {
        match self {
            Self::Redrive { letter, task: new } => [letter, new].contains(&&task),
            Self::Purge { letter } => *letter == task,
            Self::Reach { thing: Thing::Task(of) | Thing::Letter(of), .. } => *of == task,
            other => other.task() == Some(task),
        }
    }
}
