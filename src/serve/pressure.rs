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
const WAIT: Duration = Duration::from_millis(150);
/// How long one pulse may be late while those before and after it are not.
const PAUSE: Duration = Duration::from_millis(500);
/// How often that is measured.
const PULSE: Duration = Duration::from_millis(50);
/// All requests; parts are counted in this.
const ALL: u32 = 1 << 16;
/// The smallest part. A refusal costs something, too: where even those are too many, an even smaller part would leave no time for anything
/// else, and only the number of connections bounds how long one waits.
const PART_MIN: u32 = ALL / 32;

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
    let mut sent = None;
    loop {
        thread::sleep(PULSE);
        let Some(pressure) = watched.upgrade() else { return };
        let now = pulse.nanoseconds();
        let is_under_way = pulse.is_under_way.load(Ordering::Acquire);
        let before = valve.part;
        if let Some(sent) = sent {
            let waited = if is_under_way { now - sent } else { pulse.took.load(Ordering::Relaxed) };
            valve.turn(Look {
                sent: Duration::from_nanos(sent),
                waited: Duration::from_nanos(waited),
                has_arrived: !is_under_way,
            });
            pressure.let_in.store(valve.part, Ordering::Relaxed);
            if before == ALL && valve.part < ALL {
                let waited_ms = waited / 1_000_000;
                tracing::warn!(waited_ms, "more requests than can be answered: a part of them is refused");
            }
        }
        if !is_under_way {
            sent = Some(now);
            pulse.is_under_way.store(true, Ordering::Release);
            // where even this fails, which it cannot, nothing is refused
            if sender.write_all(&now.to_be_bytes()).is_err() {
                pressure.let_in.store(ALL, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// What is known of a pulse. Times are since any origin.
#[derive(Debug, Clone, Copy)]
struct Look {
    sent: Duration,
    /// Until it arrived, or so far.
    waited: Duration,
    has_arrived: bool,
}

/// Decides how large a part is let in, from how long pulses wait.
#[derive(Debug)]
struct Valve {
    part: u32,
    /// When the first pulse was sent of those that were late one after the other.
    late_since: Option<Duration>,
    /// How long the last pulse waited that has arrived.
    last: Duration,
}

impl Default for Valve {
    fn default() -> Self {
        Valve { part: ALL, late_since: None, last: Duration::ZERO }
    }
}

impl Valve {
    fn turn(&mut self, look: Look) {
        if look.waited > WAIT {
            self.close(look);
        } else if look.has_arrived {
            self.late_since = None;
            if look.waited < WAIT / 2 {
                self.part = (self.part + self.part / 20).min(ALL);
            }
        }
        if look.has_arrived {
            self.last = look.waited;
        }
    }

    fn close(&mut self, look: Look) {
        // one that is late alone met a pause of the machine, or one long answer
        let is_alone = *self.late_since.get_or_insert(look.sent) == look.sent;
        let is_too_late = !is_alone || look.waited > PAUSE;
        // what waits less and less is enough refused already
        let is_growing = look.waited >= self.last - self.last / 10;
        if is_too_late && is_growing {
            self.part = (self.part - self.part / 5).max(PART_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A queue before processors: whether a request is answered or refused is decided when its turn comes, and a refusal costs a thirtieth.
    struct World {
        valve: Valve,
        now: Duration,
        /// Requests that came, and those whose turn has come.
        come: f64,
        gone: f64,
        /// When the pulse on its way was sent, and after how many requests it arrives.
        pulse: (Duration, f64),
        /// At each beat, in seconds.
        waits: Vec<f64>,
        answered: f64,
    }

    const COST: f64 = 0.01;

    impl World {
        fn new() -> World {
            let (valve, now) = (Valve::default(), Duration::ZERO);
            World { valve, now, come: 0.0, gone: 0.0, pulse: (now, 0.0), waits: Vec::new(), answered: 0.0 }
        }

        /// So many seconds at so many times what the processors can do.
        fn live(&mut self, seconds: u32, times: f64) {
            let beat = PULSE.as_secs_f64();
            for _ in 0..seconds * 20 {
                let part = f64::from(self.valve.part) / f64::from(ALL);
                let cost = part * COST + (1.0 - part) * COST / 30.0;
                self.come += times * beat / COST;
                let turns = (self.come - self.gone).min(beat / cost);
                self.gone += turns;
                self.answered += turns * part;
                self.now += PULSE;
                let (sent, after) = self.pulse;
                let has_arrived = self.gone >= after;
                let so_far = self.now - sent;
                let waited = if has_arrived { so_far - PULSE } else { so_far };
                self.valve.turn(Look { sent, waited, has_arrived });
                if has_arrived {
                    self.pulse = (self.now, self.come);
                }
                self.waits.push((self.come - self.gone) * cost);
            }
        }
    }

    fn arrived(sent: Duration, waited: Duration) -> Look {
        Look { sent, waited, has_arrived: true }
    }

    #[test]
    fn while_nobody_waits_all_are_let_in() {
        let mut world = World::new();
        world.live(10, 0.9);
        assert_eq!(world.valve.part, ALL);
    }

    #[test]
    fn a_short_pause_of_the_machine_refuses_nobody() {
        let mut valve = Valve::default();
        for beat in 1..10 {
            valve.turn(Look { sent: SECOND, waited: PULSE * beat, has_arrived: false });
        }
        valve.turn(arrived(SECOND, PAUSE));
        valve.turn(arrived(2 * SECOND, Duration::ZERO));
        assert_eq!(valve.part, ALL);
    }

    #[test]
    fn what_is_still_on_its_way_is_no_sign_of_calm() {
        let mut valve = Valve::default();
        valve.turn(arrived(SECOND, 2 * WAIT));
        valve.turn(Look { sent: 2 * SECOND, waited: PULSE, has_arrived: false });
        valve.turn(Look { sent: 2 * SECOND, waited: 2 * WAIT, has_arrived: false });
        assert!(valve.part < ALL);
    }

    #[test]
    fn at_twice_and_at_ten_times_the_capacity_who_is_let_in_does_not_wait_long() {
        for times in [1.2, 2.0, 10.0] {
            let mut world = World::new();
            world.live(60, times);
            let mut late = world.waits.split_off(world.waits.len() / 2);
            late.sort_by(f64::total_cmp);
            let (middle, longest) = (late[late.len() / 2], late[late.len() - 1]);
            assert!(middle < 2.0 * WAIT.as_secs_f64(), "{times}: {middle}");
            assert!(longest < 1.0, "{times}: {longest}");
        }
    }

    #[test]
    fn at_twice_and_at_ten_times_the_capacity_most_of_it_is_used() {
        // at ten times a third of the time goes into refusals
        for (times, used) in [(1.2, 0.9), (2.0, 0.85), (10.0, 0.55)] {
            let mut world = World::new();
            world.live(60, times);
            let done = world.answered * COST / 60.0;
            assert!(done > used, "{times}: {done}");
        }
    }

    #[test]
    fn when_the_crowd_has_gone_all_are_let_in_again() {
        let mut world = World::new();
        world.live(20, 10.0);
        world.live(8, 0.1);
        assert_eq!(world.valve.part, ALL);
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
            thread::sleep(2 * PAUSE);
            tokio::task::yield_now().await;
        }
        while pressure.let_in.load(Ordering::Relaxed) < ALL {
            assert!(Instant::now() < deadline, "they are still refused");
            tokio::time::sleep(PULSE).await;
        }
    }
}
