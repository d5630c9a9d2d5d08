//! How often a project may ask what, at the door of Cloud Servers: the limits of the settings, kept in memory by `governor`, and
//! shown by `GET /limits`. Each process counts for itself. Off unless the settings name limits; then every request that fits a
//! limit counts, in the order of the limits, as Rackspace's proxy did it (the least specific first).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::router;
use crate::cloud::Clock;
use crate::config::RateLimit;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::time::Timestamp;

/// The limits that are kept, and what has been asked lately.
pub struct Rates {
    kept: Vec<Kept>,
    clock: Ticks,
}

type Limiter = RateLimiter<String, HashMapStateStore<String>, Ticks, StateInformationMiddleware>;

/// One limit. A project that has once asked stays in the maps: there are only so many projects.
struct Kept {
    limit: RateLimit,
    limiter: Limiter,
    /// How many requests were left to a project when it last asked, and when: `governor` tells only when asked for one more.
    left: Mutex<HashMap<String, (u32, Duration)>>,
}

/// One request too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooOften {
    /// The limit that was met.
    pub limit: RateLimit,
    /// In how many seconds it is worth trying again, rounded up.
    pub retry_after_seconds: u64,
    /// When that is.
    pub retry_at: Timestamp,
}

/// The cloud's clock, as `governor` reads one.
#[derive(Clone)]
struct Ticks(Clock);

impl GovernorClock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_micros(u64::try_from((self.0)().microseconds()).unwrap_or(0))
    }
}

impl Rates {
    /// Keeps these limits; `None` where there are none.
    pub fn new(limits: &[RateLimit], clock: &Clock) -> Option<Rates> {
        let clock = Ticks(Arc::clone(clock));
        let kept: Vec<Kept> = limits.iter().filter_map(|limit| Kept::new(limit, &clock)).collect();
        (!kept.is_empty()).then_some(Rates { kept, clock })
    }

    /// Counts one request of a project, to a path below the project.
    ///
    /// # Errors
    /// Where a limit is met; what came before it in the list has counted.
    pub fn count(&self, project: &str, method: &str, path: &[&str]) -> Result<(), TooOften> {
        let fitting = self.kept.iter().filter(|kept| kept.limit.method == method && fits(&kept.limit.uri, path));
        for kept in fitting {
            kept.count(project, self.clock.now())?;
        }
        Ok(())
    }

    /// The list `rate` of `GET /limits`: limits of one path together.
    pub fn shown(&self, project: &str) -> Json {
        let now = self.clock.now();
        let mut paths: Vec<(&str, Vec<Json>)> = Vec::new();
        for kept in &self.kept {
            let line = Json::from(kept.shown(project, now));
            match paths.iter_mut().find(|(uri, _)| *uri == kept.limit.uri) {
                Some((_, lines)) => lines.push(line),
                None => paths.push((&kept.limit.uri, vec![line])),
            }
        }
        let paths = paths.into_iter().map(|(uri, lines)| {
            let lines: Json = lines.into_iter().collect();
            Json::from(json_object! { "limit": lines, "regex": regex(uri), "uri": uri })
        });
        paths.collect()
    }
}

impl Kept {
    /// `None` where the unit divided by the number is no time at all, which the numbers of settings never come to.
    fn new(limit: &RateLimit, clock: &Ticks) -> Option<Kept> {
        let period = Duration::from_secs(limit.unit.seconds()) / limit.value.get();
        let quota = Quota::with_period(period)?.allow_burst(limit.value);
        let limiter = RateLimiter::hashmap_with_clock(quota, clock.clone()).with_middleware();
        Some(Kept { limit: limit.clone(), limiter, left: Mutex::default() })
    }

    fn count(&self, project: &str, now: Duration) -> Result<(), TooOften> {
        let outcome = self.limiter.check_key(&project.to_owned());
        let left = outcome.as_ref().map_or(0, |snapshot| snapshot.remaining_burst_capacity());
        self.left.lock().expect("nobody panics while holding it").insert(project.to_owned(), (left, now));
        outcome.map(|_| ()).map_err(|until| {
            let wait = Duration::from(until.earliest_possible().duration_since(now));
            let retry_after_seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            TooOften { limit: self.limit.clone(), retry_after_seconds, retry_at: later(now, retry_after_seconds) }
        })
    }

    fn shown(&self, project: &str, now: Duration) -> Object {
        let most = self.limit.value.get();
        let period = Duration::from_secs(self.limit.unit.seconds()) / most;
        let noted = self.left.lock().expect("nobody panics while holding it").get(project).copied();
        let remaining = noted.map_or(most, |(left, at)| {
            let refilled = now.saturating_sub(at).as_nanos() / period.as_nanos().max(1);
            u32::try_from(u128::from(left) + refilled).unwrap_or(most).min(most)
        });
        let wait = if remaining == 0 { period.as_secs() + 1 } else { 0 };
        json_object! {
            "next-available": later(now, wait).to_string(),
            "remaining": i64::from(remaining),
            "unit": self.limit.unit.to_string(),
            "value": i64::from(most),
            "verb": self.limit.method.as_str(),
        }
    }
}

fn later(now: Duration, seconds: u64) -> Timestamp {
    let microseconds = (now + Duration::from_secs(seconds)).as_micros();
    Timestamp::from_microseconds(i64::try_from(microseconds).unwrap_or(i64::MAX))
}

/// Whether a limit is about a path: `*` is about all, a `*` at the end about all that go on so, `{id}` stands for one segment.
fn fits(uri: &str, path: &[&str]) -> bool {
    let (pattern, is_open) = match uri.strip_suffix('*') {
        Some(begin) => (begin, true),
        None => (uri, false),
    };
    let wanted = router::segments(pattern);
    let same = |(wanted, found): (&&str, &&str)| wanted.starts_with('{') || wanted == found;
    let long_enough = if is_open { path.len() >= wanted.len() } else { path.len() == wanted.len() };
    long_enough && wanted.iter().zip(path).all(same)
}

/// The same as a regular expression, which is how clients get it.
fn regex(uri: &str) -> String {
    let segment =
        |segment: &str| if segment.starts_with('{') { "[^/]+".to_owned() } else { segment.replace('*', ".*") };
    let path: Vec<String> = uri.split('/').map(segment).collect();
    if uri == "*" { ".*".to_owned() } else { format!("^{}", path.join("/")) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::config::RateUnit;

    fn limit(method: &str, uri: &str, value: u32, unit: RateUnit) -> RateLimit {
        RateLimit { method: method.into(), uri: uri.into(), value: value.try_into().expect("not 0"), unit }
    }

    fn rates(limits: &[RateLimit]) -> (Rates, Arc<AtomicI64>) {
        let time = Arc::new(AtomicI64::new(1_767_225_600_000_000));
        let read = time.clone();
        let clock: Clock = Arc::new(move || Timestamp::from_microseconds(read.load(Ordering::SeqCst)));
        (Rates::new(limits, &clock).expect("there are limits"), time)
    }

    #[test]
    fn a_limit_is_about_its_paths() {
        for (uri, path, yes) in [
            ("*", &["servers"][..], true),
            ("*", &[], true),
            ("/servers*", &["servers"], true),
            ("/servers*", &["servers", "s1", "action"], true),
            ("/servers*", &["images"], false),
            ("/servers/{id}/x", &["servers", "s1", "x"], true),
            ("/servers/{id}/x", &["servers", "s1", "x", "y"], false),
            ("/servers/{id}/x", &["servers", "s1"], false),
        ] {
            assert_eq!(fits(uri, path), yes, "{uri} {path:?}");
        }
    }

    #[test]
    fn one_too_many_is_told_when_to_come_back() {
        let (rates, time) = rates(&[limit("POST", "*", 2, RateUnit::Minute)]);
        let ask = |project| rates.count(project, "POST", &["servers"]);
        assert_eq!((ask("p"), ask("p")), (Ok(()), Ok(())));
        let refused = ask("p").expect_err("the third in a minute");
        assert_eq!((refused.retry_after_seconds, refused.retry_at.to_string()), (30, "2026-01-01T00:00:30Z".into()));
        assert_eq!(ask("another"), Ok(()));
        assert_eq!(rates.count("p", "GET", &["servers"]), Ok(()));
        time.fetch_add(30_000_000, Ordering::SeqCst);
        assert_eq!(ask("p"), Ok(()));
    }

    #[test]
    fn what_is_left_is_shown_and_grows_again() {
        let (rates, time) = rates(&[limit("GET", "*", 60, RateUnit::Minute), limit("POST", "*", 1, RateUnit::Day)]);
        for _ in 0..10 {
            rates.count("p", "GET", &["x"]).expect("within the limit");
        }
        let remaining = |project: &str| {
            let shown = rates.shown(project);
            let first = shown.as_array().and_then(|paths| paths.first()).and_then(|path| path.get("limit"));
            first.and_then(|lines| lines.as_array()?.first()?.get("remaining")?.as_i64())
        };
        assert_eq!((remaining("p"), remaining("another")), (Some(50), Some(60)));
        time.fetch_add(5_000_000, Ordering::SeqCst);
        assert_eq!(remaining("p"), Some(55));
        time.fetch_add(500_000_000, Ordering::SeqCst);
        assert_eq!(remaining("p"), Some(60));
    }
}
