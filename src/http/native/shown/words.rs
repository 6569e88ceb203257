//! The words for a task's urgency and for where it is in its life.

use synod_domain::task::{Lane, Phase};

use crate::api;

/// Shows a phase.
pub(crate) const fn status(phase: Phase) -> api::TaskStatus {
    match phase {
        Phase::Pending => api::TaskStatus::Pending,
        Phase::Scheduled => api::TaskStatus::Scheduled,
        Phase::Running => api::TaskStatus::Running,
        Phase::Completed => api::TaskStatus::Completed,
        Phase::Failed => api::TaskStatus::Failed,
        Phase::TimedOut => api::TaskStatus::TimedOut,
        Phase::Cancelled => api::TaskStatus::Cancelled,
    }
}

/// Shows a lane.
pub(crate) const fn priority(lane: Lane) -> api::Priority {
    match lane {
        Lane::Critical => api::Priority::Critical,
        Lane::High => api::Priority::High,
        Lane::Normal => api::Priority::Normal,
        Lane::Low => api::Priority::Low,
    }
}

/// Returns the lane that a priority means.
pub(crate) const fn lane(priority: api::Priority) -> Lane {
    match priority {
        api::Priority::Critical => Lane::Critical,
        api::Priority::High => Lane::High,
        api::Priority::Normal => Lane::Normal,
        api::Priority::Low => Lane::Low,
    }
}
