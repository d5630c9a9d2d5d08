//! Which part of the requests is let in while there are more than the processors can answer.
//!
//! Most answers need nobody but a processor, so requests wait where nobody counts them: in the sockets, and in the runtime's queue of
//! tasks. How long they wait is measured: a thread sends a byte through a socket to a task, as a client would, twenty times a
//! second. While that takes too long, a part of the requests is refused before anything else is done for them, and the part
//! grows until the others no longer wait. A request pays one look at a number for this.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

/// How long a request may wait for a processor before others are refused for its sake.
const WAIT: Duration = Duration::from_millis(100);
/// How often that is measured.
const PULSE: Duration = Duration::from_millis(50);
/// All requests; parts are counted in this.
const ALL: u32 = 1 << 16;
/// The smallest part, so that somebody always finds out that it would go faster.
const PART_MIN: u32 = ALL / 64;

/// Says which requests are let in.
#[derive(Debug)]
pub(super) struct Pressure {
    let_in: AtomicU32,
    turn: AtomicU32,
}

impl Default for Pressure {
    fn default() -> Self {
        Pressure { let_in: AtomicU32::new(ALL), turn: AtomicU32::new(0) }
    }
}

impl Pressure {
    /// Whether to answer the next request, or to refuse it at once.
    pub(super) fn lets_in(&self) -> bool {
        let part = self.let_in.load(Ordering::Relaxed);
        // Multiples of the golden ratio are spread evenly, so that of any few requests about this part is let in.
        part == ALL || self.turn.fetch_add(40_503, Ordering::Relaxed) % ALL < part
    }

    #[cfg(test)]
    pub(super) fn let_in(&self, part: f64) {
        self.let_in.store((f64::from(ALL) * part) as u32, Ordering::Relaxed);
    }

    /// Measures from now on, until nobody holds this any more.
    ///
    /// # Errors
    /// Where the system has no socket or no thread for it.
    pub(super) fn watch(self: &Arc<Self>) -> io::Result<()> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        let mut receiver = tokio::net::UnixStream::from_std(receiver)?;
        let pulse =
            Arc::new(Pulse { origin: Instant::now(), is_under_way: AtomicBool::new(false), took: AtomicU64::new(0) });
        let (theirs, watched) = (pulse.clone(), Arc::downgrade(self));
        tokio::spawn(async move {
            while let Ok(nanoseconds) = receiver.read_u64().await {
                theirs.arrived(nanoseconds);
            }
        });
        thread::Builder::new().name("pressure".to_owned()).spawn(move || beat(&pulse, sender, &watched))?;
        Ok(())
    }
}

/// A byte on its way, or how long the last one was.
#[derive(Debug)]
struct Pulse {
    origin: Instant,
    is_under_way: AtomicBool,
    /// In nanoseconds.
    took: AtomicU64,
}

impl Pulse {
    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn arrived(&self, sent: u64) {
        self.took.store(self.nanoseconds().saturating_sub(sent), Ordering::Relaxed);
        self.is_under_way.store(false, Ordering::Release);
    }
}

/// Sends pulses, and turns what they tell into the part that is let in. On a thread of its own, which the system wakes even where
/// the threads that serve have no time for anything.
fn beat(pulse: &Pulse, mut sender: UnixStream, watched: &Weak<Pressure>) {
    let mut valve = Valve::default();
    let mut sent = 0;
    loop {
        thread::sleep(PULSE);
        let Some(pressure) = watched.upgrade() else { return };
        let now = pulse.nanoseconds();
        let is_under_way = pulse.is_under_way.load(Ordering::Acquire);
        let waited = if is_under_way { now - sent } else { pulse.took.load(Ordering::Relaxed) };
        let before = valve.part;
        pressure.let_in.store(valve.turn(Duration::from_nanos(waited), Duration::from_nanos(now)), Ordering::Relaxed);
        if before == ALL && valve.part < ALL {
            tracing::warn!(
                waited_ms = waited / 1_000_000,
                "more requests than can be answered: a part of them is refused"
            );
        }
        if !is_under_way {
            sent = now;
            pulse.is_under_way.store(true, Ordering::Release);
            // where even this fails, which it cannot, nothing is refused
            if sender.write_all(&sent.to_be_bytes()).is_err() {
                pressure.let_in.store(ALL, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// Decides how large a part is let in, from how long requests wait.
#[derive(Debug)]
struct Valve {
    part: u32,
    /// When the wait was first found to be too long, of a row of such findings.
    too_long_since: Option<Duration>,
    /// Not before this is it closed further: what waits now was let in before it was closed last.
    settles: Duration,
}

impl Default for Valve {
    fn default() -> Self {
        Valve { part: ALL, too_long_since: None, settles: Duration::ZERO }
    }
}

impl Valve {
    /// The part, after a look at the wait. Times are since any origin.
    fn turn(&mut self, waited: Duration, now: Duration) -> u32 {
        if waited <= WAIT {
            self.too_long_since = None;
            if waited < WAIT / 2 {
                self.part = (self.part + self.part / 20).min(ALL);
            }
            return self.part;
        }
        // once is a moment's pause of the machine
        let since = *self.too_long_since.get_or_insert(now);
        if now >= since + PULSE && now >= self.settles {
            let kept = (WAIT.as_secs_f64() / waited.as_secs_f64()).clamp(0.3, 0.9);
            self.part = ((f64::from(self.part) * kept) as u32).max(PART_MIN);
            self.settles = now + waited;
        }
        self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Turns the valve every 50 ms of so many seconds, in a world that makes the wait out of the part; gives the last waits.
    fn live(valve: &mut Valve, from: Duration, seconds: u32, mut world: impl FnMut(f64) -> Duration) -> Vec<Duration> {
        let beats = seconds * 20;
        (0..beats)
            .map(|beat| {
                let waited = world(f64::from(valve.part) / f64::from(ALL));
                valve.turn(waited, from + PULSE * beat);
                waited
            })
            .collect()
    }

    /// A queue before processors that are asked so many times what they can do.
    fn queue(times: f64) -> impl FnMut(f64) -> Duration {
        let mut waiting = 0.0_f64;
        move |part| {
            waiting = (waiting + (part * times - 1.0) * PULSE.as_secs_f64()).max(0.0);
            Duration::from_secs_f64(waiting)
        }
    }

    #[test]
    fn while_nobody_waits_all_are_let_in() {
        let mut valve = Valve::default();
        live(&mut valve, Duration::ZERO, 10, queue(0.9));
        assert_eq!(valve.part, ALL);
    }

    #[test]
    fn one_pause_of_the_machine_refuses_nobody() {
        let mut valve = Valve::default();
        valve.turn(10 * SECOND, SECOND);
        valve.turn(Duration::ZERO, SECOND + PULSE);
        assert_eq!(valve.part, ALL);
    }

    #[test]
    fn at_twice_and_at_ten_times_the_capacity_who_is_let_in_does_not_wait_long() {
        for times in [1.2, 2.0, 10.0] {
            let mut valve = Valve::default();
            let waits = live(&mut valve, Duration::ZERO, 60, queue(times));
            let mut late = waits[waits.len() / 2..].to_vec();
            late.sort();
            assert!(late[late.len() / 2] < 2 * WAIT, "{times}: {:?}", late[late.len() / 2]);
            assert!(late[late.len() - 1] < SECOND, "{times}: {:?}", late[late.len() - 1]);
        }
    }

    #[test]
    fn at_ten_times_the_capacity_most_of_it_is_used() {
        let mut valve = Valve::default();
        let mut world = queue(10.0);
        let (mut idle, mut beats) = (0, 0);
        live(&mut valve, Duration::ZERO, 60, |part| {
            let waited = world(part);
            beats += 1;
            idle += u32::from(waited.is_zero());
            waited
        });
        assert!(idle * 4 < beats, "{idle} of {beats}");
    }

    #[test]
    fn when_the_crowd_has_gone_all_are_let_in_again() {
        let mut valve = Valve::default();
        live(&mut valve, Duration::ZERO, 20, queue(10.0));
        live(&mut valve, 20 * SECOND, 6, queue(0.1));
        assert_eq!(valve.part, ALL);
    }

    #[test]
    fn of_any_few_requests_about_the_part_is_let_in() {
        let pressure = Pressure::default();
        pressure.let_in(0.25);
        let let_in = (0..100).filter(|_| pressure.lets_in()).count();
        assert!((20..=30).contains(&let_in), "{let_in}");
    }

    #[tokio::test]
    async fn a_runtime_that_is_held_up_refuses_and_recovers() {
        let pressure = Arc::new(Pressure::default());
        pressure.watch().expect("a socket and a thread");
        let deadline = Instant::now() + 20 * SECOND;
        // the runtime of this test has one thread, so nobody is served while this blocks it
        while pressure.let_in.load(Ordering::Relaxed) == ALL {
            assert!(Instant::now() < deadline, "nobody is refused");
            thread::sleep(PULSE);
        }
        while pressure.let_in.load(Ordering::Relaxed) < ALL {
            assert!(Instant::now() < deadline, "they are still refused");
            tokio::time::sleep(PULSE).await;
        }
    }
}
