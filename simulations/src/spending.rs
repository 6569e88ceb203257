//! What attempts say that they used, and most of it is not true: nothing, plausible numbers, absurd ones, numbers that fall.
//!
//! Drawn from the task and the attempt alone, so that nothing else that is drawn depends on it.

use synod::node::domain::id::TaskId;
use synod::node::domain::task::Usage;

use crate::chance::{Stream, Streams};

/// How often an attempt speaks of what it used, at most.
const WORDS_MAX: u64 = 3;

/// Draws what an attempt says it used since it last said so, word by word. `again` numbers those who say it anew.
pub(crate) fn drawn(streams: Streams, task: TaskId, attempt: u32, again: u32) -> Vec<Usage> {
    let mut stream = streams.open(&format!("usage of {task} attempt {attempt}, {again}"));
    let words = stream.between(0, WORDS_MAX);
    (0..words).map(|_| one(&mut stream)).collect()
}

/// Adds up, as far as numbers go.
pub(crate) fn sum<'a>(all: impl IntoIterator<Item = &'a Usage>) -> Usage {
    all.into_iter().fold(Usage::default(), |sum, one| Usage {
        tokens_in: sum.tokens_in.saturating_add(one.tokens_in),
        tokens_out: sum.tokens_out.saturating_add(one.tokens_out),
        cost_microusd: sum.cost_microusd.saturating_add(one.cost_microusd),
    })
}

fn one(stream: &mut Stream) -> Usage {
    Usage { tokens_in: number(stream), tokens_out: number(stream), cost_microusd: number(stream) }
}

fn number(stream: &mut Stream) -> u64 {
    match stream.between(0, 9) {
        0 => 0,
        // More than there can be: two of them are more than a number holds.
        1 => u64::MAX - stream.between(0, 9),
        2 => u64::MAX / 2,
        _ => stream.between(1, 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_attempt_says_the_same_and_another_something_else() {
        let streams = Streams::new(7);
        let say = |attempt, again| -> Vec<Vec<Usage>> {
            (0..20).map(|task| drawn(streams, TaskId::from_raw(task), attempt, again)).collect()
        };
        assert_eq!(say(1, 0), say(1, 0));
        assert_ne!(say(1, 0), say(2, 0));
        assert_ne!(say(1, 0), say(1, 1));
        assert!(say(1, 0).iter().any(Vec::is_empty), "somebody says nothing");
    }

    #[test]
    fn sums_end_at_the_greatest_number() {
        let much = Usage { tokens_in: u64::MAX - 1, tokens_out: 2, cost_microusd: 3 };
        let sum = sum([&much, &much]);
        assert_eq!((sum.tokens_in, sum.tokens_out, sum.cost_microusd), (u64::MAX, 4, 6));
    }
}
