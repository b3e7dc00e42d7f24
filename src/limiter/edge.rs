//! The service's own edge, by governor: failed authentications per client address, requests per root key.

use crate::model::clock::Clock;
use crate::model::id::RootKeyId;
use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::InMemoryState;
use governor::state::NotKeyed;
use governor::state::keyed::DashMapStateStore;
use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

/// Addresses that are watched at once. When more fail at a time, those that are fresh again are forgotten; if that is
/// not enough, all others share one allowance.
const MAX_ADDRESSES: usize = 100_000;
/// Root keys whose requests are counted at once; when there are more, all of them start afresh.
const MAX_ROOT_KEYS: usize = 100_000;

/// governor on Keyward's clock, so that tests can move it.
#[derive(Clone, Debug)]
struct EdgeClock(Clock);

impl GovernorClock for EdgeClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let ms = u64::try_from(self.0.now().timestamp_millis()).unwrap_or(0);
        Nanos::from(Duration::from_millis(ms))
    }
}

type Addresses = RateLimiter<IpAddr, DashMapStateStore<IpAddr>, EdgeClock, NoOpMiddleware<Nanos>>;
type Counter = RateLimiter<NotKeyed, InMemoryState, EdgeClock, StateInformationMiddleware>;

/// What a limit says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests a minute.
    pub limit: u32,
    /// How many more would pass now.
    pub remaining: u32,
    /// Whole seconds until the allowance is whole again.
    pub reset_s: u64,
    /// Whole seconds after which one more passes; `None` if this one did.
    pub retry_after_s: Option<u64>,
}

/// Both limits of the edge. Memory is bounded.
#[derive(Debug)]
pub struct Edge {
    clock: EdgeClock,
    failures: Option<(Addresses, NonZeroU32)>,
    root_keys: Mutex<HashMap<RootKeyId, Arc<Counted>>>,
}

#[derive(Debug)]
struct Counted {
    limit: NonZeroU32,
    counter: Counter,
}

impl Edge {
    /// `failures_per_minute` 0 does not limit failed authentications.
    #[must_use]
    pub fn new(failures_per_minute: u32, clock: Clock) -> Self {
        let clock = EdgeClock(clock);
        let failures = NonZeroU32::new(failures_per_minute).map(|limit| {
            let store = DashMapStateStore::default();
            (RateLimiter::new(Quota::per_minute(limit), store, clock.clone()), limit)
        });
        Self { clock, failures, root_keys: Mutex::default() }
    }

    /// Counts a failed authentication.
    ///
    /// # Errors
    /// The address has failed too often within a minute; says when it may fail again.
    pub fn failed(&self, address: Option<IpAddr>) -> Result<(), Allowance> {
        let Some((limiter, limit)) = &self.failures else { return Ok(()) };
        let mut group = group(address);
        if limiter.len() >= MAX_ADDRESSES {
            limiter.retain_recent();
            if limiter.len() >= MAX_ADDRESSES {
                group = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        limiter.check_key(&group).map_err(|until| Allowance {
            limit: limit.get(),
            remaining: 0,
            reset_s: whole_again(*limit, 0),
            retry_after_s: Some(seconds(until.wait_time_from(self.clock.now()))),
        })
    }

    /// Counts a request of a root key that may make `limit` a minute; 0 refuses all.
    pub fn request(&self, root_key: &RootKeyId, limit: u32) -> Allowance {
        let Some(limit) = NonZeroU32::new(limit) else {
            return Allowance { limit: 0, remaining: 0, reset_s: 60, retry_after_s: Some(60) };
        };
        let counted = self.counter(root_key, limit);
        match counted.counter.check() {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                Allowance { limit: limit.get(), remaining, reset_s: whole_again(limit, remaining), retry_after_s: None }
            }
            Err(until) => Allowance {
                limit: limit.get(),
                remaining: 0,
                reset_s: whole_again(limit, 0),
                retry_after_s: Some(seconds(until.wait_time_from(self.clock.now()))),
            },
        }
    }

    fn counter(&self, root_key: &RootKeyId, limit: NonZeroU32) -> Arc<Counted> {
        let mut counters = self.root_keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = counters.get(root_key).filter(|counted| counted.limit == limit) {
            return Arc::clone(counted);
        }
        if counters.len() >= MAX_ROOT_KEYS {
            counters.clear();
        }
        let counter = RateLimiter::direct_with_clock(Quota::per_minute(limit), self.clock.clone())
            .with_middleware::<StateInformationMiddleware>();
        let counted = Arc::new(Counted { limit, counter });
        counters.insert(root_key.clone(), Arc::clone(&counted));
        counted
    }
}

/// One allowance for an IPv4 address or an IPv6 /64, which is what one subscriber gets.
fn group(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Some(v4) => v4,
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn whole_again(limit: NonZeroU32, remaining: u32) -> u64 {
    (u64::from(limit.get().saturating_sub(remaining)) * 60).div_ceil(u64::from(limit.get()))
}

fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::Edge;
    use crate::model::clock::Clock;
    use crate::model::id::RootKeyId;
    use chrono::Duration;

    #[test]
    fn only_the_failing_address_runs_out() {
        let clock = Clock::system();
        let edge = Edge::new(3, clock.clone());
        let (one, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        assert!((0..3).all(|_| edge.failed(one).is_ok()));
        assert_eq!(edge.failed(one).unwrap_err().retry_after_s, Some(20));
        assert_eq!(edge.failed(other), Ok(()));
        clock.advance(Duration::seconds(20));
        assert_eq!(edge.failed(one), Ok(()));
        assert!(edge.failed(one).is_err());
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let edge = Edge::new(1, Clock::system());
        assert!(edge.failed("2001:db8::1".parse().ok()).is_ok());
        assert!(edge.failed("2001:db8::ffff:2".parse().ok()).is_err());
        assert!(edge.failed("2001:db8:0:1::1".parse().ok()).is_ok());
        assert!(edge.failed("::ffff:192.0.2.1".parse().ok()).is_ok());
        assert!(edge.failed("192.0.2.1".parse().ok()).is_err());
    }

    #[test]
    fn a_root_key_may_make_its_requests_and_no_more() {
        let clock = Clock::system();
        let edge = Edge::new(0, clock.clone());
        let (one, other) = (RootKeyId::generate(), RootKeyId::generate());
        let remaining: Vec<_> = (0..4).map(|_| edge.request(&one, 4).remaining).collect();
        assert_eq!(remaining, [3, 2, 1, 0]);
        let refused = edge.request(&one, 4);
        assert_eq!((refused.remaining, refused.retry_after_s), (0, Some(15)));
        assert_eq!(edge.request(&other, 4).retry_after_s, None);
        clock.advance(Duration::seconds(15));
        assert_eq!(edge.request(&one, 4).retry_after_s, None);
        assert_eq!(edge.request(&one, 0).retry_after_s, Some(60));
        assert_eq!(edge.request(&one, 8).remaining, 7, "another limit starts afresh");
    }
}
