//! What an agent does with a task, attempt by attempt: it stands in the task's payload.
//!
//! Scripts travel with the work, so an agent needs no memory and no chance of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chance::Stream;

/// What one attempt does in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Gives a result.
    Succeed,
    /// Fails; another attempt may do better.
    Fail,
    /// Fails for good.
    Refuse,
    /// Does nothing more, until it is stopped.
    Hang,
    /// Does nothing more, and does not hear that it must stop.
    HangDeaf,
    /// Panics; an agent outside disappears and says its result much too late.
    Panic,
    /// Takes its machine down with it, where the world lets it; falls silent elsewhere.
    Kill,
}

/// One attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    pub act: Act,
    /// After how many milliseconds of work.
    pub millis: u64,
}

/// About the bytes of a step as JSON.
const STEP_BYTES: usize = 28;

/// More steps than attempts are ever made.
const LONG: usize = 100;

/// What each attempt does; the last step is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script(Vec<Step>);

impl Script {
    /// Says what each attempt does, with its milliseconds of work; the last step is repeated.
    pub fn of(steps: &[(Act, u64)]) -> Self {
        Self(steps.iter().map(|(act, millis)| Step { act: *act, millis: *millis }).collect())
    }

    /// Draws a script: half of them succeed at once, others fail one way or another first, some to the end.
    pub fn draw(stream: &mut Stream) -> Self {
        const BAD: [Act; 5] = [Act::Fail, Act::Refuse, Act::Hang, Act::HangDeaf, Act::Panic];
        let mut steps = Vec::new();
        while stream.happens(if steps.is_empty() { 45 } else { 30 }) && steps.len() < 4 {
            let act = stream.pick(&BAD).copied().unwrap_or(Act::Fail);
            steps.push(Step { act, millis: stream.between(0, 800) });
        }
        if steps.is_empty() || stream.happens(85) {
            steps.push(Step { act: Act::Succeed, millis: stream.between(0, 1500) });
        }
        Self(steps)
    }

    /// Puts a deadly attempt before all others.
    #[must_use]
    pub fn deadly(mut self, millis: u64) -> Self {
        self.0.insert(0, Step { act: Act::Kill, millis });
        self
    }

    /// Says its last step so often that it is about so many bytes long as JSON; it asks for the same.
    #[must_use]
    pub fn padded(mut self, bytes: usize) -> Self {
        if let Some(last) = self.0.last().copied() {
            self.0.resize(self.0.len().max(bytes / STEP_BYTES), last);
        }
        self
    }

    /// Tells whether it is longer than anybody would say it.
    pub fn is_long(&self) -> bool {
        self.0.len() > LONG
    }

    /// Makes a script of what was seen.
    pub const fn played(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// Returns what an attempt does, counted from 1.
    pub fn step(&self, attempt: u32) -> Step {
        let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let last = Step { act: Act::Succeed, millis: 0 };
        self.0.get(place).or(self.0.last()).copied().unwrap_or(last)
    }
}

impl Step {
    /// Returns how long it works first.
    pub const fn time(self) -> Duration {
        Duration::from_millis(self.millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_is_repeated() {
        let fail = Step { act: Act::Fail, millis: 1 };
        let succeed = Step { act: Act::Succeed, millis: 2 };
        let script = Script(vec![fail, succeed]);
        let long = script.clone().padded(100_000);
        for script in [&script, &long] {
            assert_eq!([1, 2, 3].map(|attempt| script.step(attempt)), [fail, succeed, succeed]);
        }
        assert!(long.is_long() && !script.is_long());
        assert!(serde_json::to_vec(&long).unwrap().len() > 64 * 1024, "a blob, and not part of the log");
    }
}
