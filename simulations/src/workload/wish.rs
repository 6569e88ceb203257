//! What a client wants done, all of it drawn from one number, so that it can be asked again word for word.

use std::time::Duration;

use synod::node::domain::retry::RetryPolicy;
use synod::node::domain::task::{Lane, Timeouts};
use synod::node::{Error, NewTask};

use crate::chance::Streams;
use crate::script::Script;
use crate::workload::{INSIDE, OUTSIDE};

/// Bytes of a payload that is large: more than stands in the log itself, and not much more.
const LARGE_MIN: u64 = 70 * 1024;
const LARGE_MAX: u64 = 200 * 1024;

/// What tasks may be like, besides what is in every world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manners {
    /// For agents outside.
    pub(crate) outside: bool,
    /// With payloads and results that are blobs.
    pub(crate) large: bool,
    /// Done by agents that take their machine down with them.
    pub(crate) deadly: bool,
}

/// How long an attempt may run.
const RUNNING: Duration = Duration::from_secs(4);
/// How long an attempt may be silent; agents outside have no other way to be found lost.
const SILENCE: Duration = Duration::from_secs(2);

/// A task to be.
pub(super) struct Wish {
    pub(super) pool: &'static str,
    pub(super) script: Script,
    lane: Lane,
    deadline: Option<Duration>,
    timeouts: Timeouts,
    retry: RetryPolicy,
}

impl Wish {
    /// Draws the task of this content; for agents outside only where there are some.
    pub(super) fn of(content: u64, manners: Manners) -> Self {
        let mut stream = Streams::new(content).open("wish");
        let pool = if stream.happens(25) && manners.outside { OUTSIDE } else { INSIDE };
        let silent = pool == OUTSIDE || stream.happens(50);
        // One limit at least, or an attempt that hangs would hang for ever.
        let limited = !silent || stream.happens(60);
        let mut wish = Self {
            pool,
            script: Script::draw(&mut stream),
            lane: stream.pick(&Lane::ALL).copied().unwrap_or_default(),
            deadline: stream.happens(10).then(|| stream.millis(1_000, 20_000)),
            timeouts: Timeouts {
                waiting: stream.happens(10).then(|| stream.millis(500, 10_000)),
                running: limited.then_some(RUNNING),
                silence: silent.then_some(SILENCE),
            },
            retry: RetryPolicy {
                max_attempts: u32::try_from(stream.between(1, 4)).unwrap_or(1),
                initial: stream.millis(0, 500),
                factor_percent: 200,
                max: Duration::from_secs(2),
            },
        };
        // Last, so that what was drawn before does not depend on it.
        let (deadly, large) = (stream.happens(3), stream.happens(8));
        let (after, bytes) = (stream.between(0, 500), stream.between(LARGE_MIN, LARGE_MAX));
        if deadly && manners.deadly && pool == INSIDE {
            wish.script = wish.script.deadly(after);
        }
        if large && manners.large {
            wish.script = wish.script.padded(usize::try_from(bytes).unwrap_or(0));
        }
        wish
    }

    /// Makes the submit of it.
    pub(super) fn task(&self) -> Result<NewTask, Error> {
        let task = NewTask::to_pool(self.pool, "simulated", &self.script)?;
        Ok(task
            .lane(self.lane)
            .deadline(self.deadline)
            .timeouts(self.timeouts.clone())
            .retry(self.retry.clone()))
    }
}
