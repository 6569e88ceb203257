//! The asynchronous runtime that openraft runs on: tokio, with chance that comes in from outside.
//!
//! Promises that every random number openraft draws comes from a generator seeded by [`seed_thread`].
//! Leaves spawning, sleeping and channels to tokio, whose paused or simulated time therefore works.
//!
//! openraft asks for its generator through a static function, [`AsyncRuntime::thread_rng`], which takes
//! no argument. A thread-local generator is the only place such a function can look: it is the one piece
//! of hidden state in this crate. A node seeds the thread it starts on from its injected entropy; openraft
//! draws its election timeout there, in `Raft::new`. A thread that nobody seeded draws a fixed stream:
//! never the operating system's randomness, so that a simulation replays.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use openraft::{AsyncRuntime, OptionalSend, TokioInstant, TokioRuntime};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

/// The least that openraft waits for an answer of another member. It takes the heartbeat's interval for an append
/// and the least election timeout for a vote, and would send everything again to a disk that is slower. The
/// network keeps a deadline of its own on every request, and all that one may come to are shorter than this: a question
/// about what was lost, a wait for what was sent ahead, the request itself.
const REQUEST_PATIENCE: Duration = Duration::from_secs(240);

thread_local! {
    /// What [`ThreadRandom`] draws from; replaced by [`seed_thread`].
    static RANDOM: RefCell<ChaCha12Rng> = RefCell::new(ChaCha12Rng::seed_from_u64(0));
}

/// Seeds what openraft draws on this thread.
pub fn seed_thread(seed: u64) {
    RANDOM.with_borrow_mut(|random| *random = ChaCha12Rng::seed_from_u64(seed));
}

/// Draws from the generator of the current thread, in the terms of rand 0.8.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadRandom;

impl rand_core::RngCore for ThreadRandom {
    fn next_u32(&mut self) -> u32 {
        RANDOM.with_borrow_mut(|random| random.next_u32())
    }

    fn next_u64(&mut self) -> u64 {
        RANDOM.with_borrow_mut(|random| random.next_u64())
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        RANDOM.with_borrow_mut(|random| random.fill_bytes(bytes));
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// Tokio with injected chance.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SeededTokio;

impl AsyncRuntime for SeededTokio {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = TokioInstant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = ThreadRandom;
    type OneshotSender<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiver<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotReceiver<T>;
    type OneshotReceiverError = <TokioRuntime as AsyncRuntime>::OneshotReceiverError;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration.max(REQUEST_PATIENCE), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        ThreadRandom
    }

    fn oneshot<T>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>)
    where
        T: OptionalSend,
    {
        TokioRuntime::oneshot()
    }
}

#[cfg(test)]
mod tests {
    use rand_core::RngCore as _;

    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_numbers() {
        let draw = |seed| {
            seed_thread(seed);
            [ThreadRandom.next_u64(), ThreadRandom.next_u64()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
