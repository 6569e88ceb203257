//! The words of the fabric for how urgent a task is, how it stands, and how an agent fares.

use std::fmt;

use synod_domain::task::{Lane, Phase};

/// How urgent a task is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Emergencies.
    Critical = 0,
    /// Important tasks.
    High = 1,
    /// Ordinary tasks.
    #[default]
    Normal = 2,
    /// What can wait. It rises when it has waited long.
    Low = 3,
}

impl Priority {
    /// Returns the number: 0 is the most urgent.
    pub const fn value(self) -> u8 {
        self as u8
    }

    /// Returns the priority of a number, if there is one.
    pub const fn from_value(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Critical),
            1 => Some(Self::High),
            2 => Some(Self::Normal),
            3 => Some(Self::Low),
            _ => None,
        }
    }
}

impl From<Priority> for Lane {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Critical => Self::Critical,
            Priority::High => Self::High,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

impl From<Lane> for Priority {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Critical => Self::Critical,
            Lane::High => Self::High,
            Lane::Normal => Self::Normal,
            Lane::Low => Self::Low,
        }
    }
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskStatus {
    /// Waits in a queue, or for what it depends on.
    Pending,
    /// Assigned to an agent that has not begun.
    Scheduled,
    /// In progress.
    Running,
    /// Done, with a result.
    Completed,
    /// Failed for good.
    Failed,
    /// Took longer than it may.
    Timeout,
    /// Called off.
    Cancelled,
}

impl TaskStatus {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Scheduled => "SCHEDULED",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Timeout => "TIMEOUT",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Tells whether the task is over.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Timeout | Self::Cancelled)
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<Phase> for TaskStatus {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pending => Self::Pending,
            Phase::Scheduled => Self::Scheduled,
            Phase::Running => Self::Running,
            Phase::Completed => Self::Completed,
            Phase::Failed => Self::Failed,
            Phase::TimedOut => Self::Timeout,
            Phase::Cancelled => Self::Cancelled,
        }
    }
}

/// How an agent fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// It gives its signs of life, or the node sees that it lives.
    Healthy,
    /// It runs elsewhere and has been silent for two intervals. The next sign of life makes it healthy again.
    Degraded,
    /// It was silent for too long, broke, or is gone; its work goes to others.
    Unhealthy,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Unhealthy => "UNHEALTHY",
        })
    }
}
