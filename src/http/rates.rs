//! How often may be asked: by one token, and in vain by one address.
//!
//! A rate is a bucket that refills evenly. Each holder of a token has one, so that one busy client does not
//! take the node from the others. Addresses are counted only for requests without a valid token.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::http::Problem;

/// After how many questions full buckets are forgotten: often enough that memory stays small, seldom enough
/// that walking them costs nothing.
const SWEEP_EVERY: u32 = 4_096;

/// The bits of an IPv6 address that name a customer's network; one customer has all addresses below.
const IPV6_NETWORK_BITS: u32 = 64;

/// How often something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Evenly, in the long run.
    pub per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

impl Rate {
    const fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }
}

/// The buckets of all callers.
#[derive(Debug)]
pub(super) struct Rates {
    tokens: Buckets<Arc<str>>,
    failures: Buckets<IpAddr>,
}

impl Rates {
    pub(super) fn new(requests: Rate, failures: Rate) -> Self {
        Self { tokens: Buckets::new(requests), failures: Buckets::new(failures) }
    }

    /// Counts a request of a token's holder.
    pub(super) fn asked(&self, accessor: &Arc<str>) -> Result<(), Problem> {
        self.tokens
            .take(accessor)
            .map_err(|wait| Problem::too_many("this token has sent more requests than it may", wait))
    }

    /// Counts a request without a valid token.
    pub(super) fn failed(&self, peer: IpAddr) -> Result<(), Problem> {
        self.failures.take(&network(peer)).map_err(|wait| {
            Problem::too_many("this address has sent too many requests without a valid token", wait)
        })
    }
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> (128 - IPV6_NETWORK_BITS) << (128 - IPV6_NETWORK_BITS);
            std::net::Ipv6Addr::from_bits(bits).into()
        }
    }
}

struct Buckets<K: Clone + Hash + Eq> {
    limiter: DefaultKeyedRateLimiter<K>,
    since_sweep: AtomicU32,
}

impl<K: Clone + Hash + Eq> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self { limiter: DefaultKeyedRateLimiter::keyed(rate.quota()), since_sweep: AtomicU32::new(0) }
    }

    fn take(&self, key: &K) -> Result<(), Duration> {
        if self.since_sweep.fetch_add(1, Ordering::Relaxed) >= SWEEP_EVERY {
            self.since_sweep.store(0, Ordering::Relaxed);
            self.limiter.retain_recent();
        }
        // The bucket keeps its own monotonic time: no jump of the wall clock gives or takes a turn.
        self.limiter.check_key(key).map_err(|wait| wait.wait_time_from(DefaultClock::default().now()))
    }
}

impl<K: Clone + Hash + Eq> std::fmt::Debug for Buckets<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Buckets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        Rate { per_second: number(per_second), burst: number(burst) }
    }

    #[test]
    fn a_burst_passes_and_the_next_one_is_told_to_wait() {
        let rates = Rates::new(rate(1, 3), rate(1, 1));
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        for _ in 0..3 {
            rates.asked(&one).expect("within the burst");
        }
        let problem = rates.asked(&one).expect_err("over it");
        assert_eq!((problem.code(), problem.status().as_u16()), ("too_many_requests", 429));
        assert!(problem.retry_after().is_some_and(|wait| (1..=1_000).contains(&wait)));
        rates.asked(&other).expect("each has its own");
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_count_as_one() {
        let rates = Rates::new(rate(1, 1), rate(1, 1));
        let address = |text: &str| text.parse::<IpAddr>().expect("address");
        rates.failed(address("2001:db8::1")).expect("the first");
        assert!(rates.failed(address("2001:db8::2")).is_err());
        rates.failed(address("2001:db8:0:1::1")).expect("another network");
        rates.failed(address("192.0.2.1")).expect("another address");
        assert!(rates.failed(address("::ffff:192.0.2.1")).is_err());
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        let buckets: Buckets<u32> = Buckets::new(rate(1_000_000, 1));
        for key in 0..3 * SWEEP_EVERY {
            let _ = buckets.take(&key);
        }
        assert!(buckets.limiter.len() < 2 * SWEEP_EVERY as usize, "{}", buckets.limiter.len());
    }
}
