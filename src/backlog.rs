//! How many may wait in a queue: many for a moment, few for long. A queue that runs empty now and then is there for bursts; one that does
//! not only makes everybody wait, and serves no more for it (the good and the bad queue of CoDel, RFC 8289). So one that has not
//! run empty for a second is kept as short as what is served in a quarter of a second, as measured, and whoever comes beyond is
//! refused at once. The queue itself is not here: it is whatever channel its owner has.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a queue may go without running empty before it is kept short.
const STANDING: Duration = Duration::from_secs(1);
/// How long the last of a short queue waits.
const WAIT: Duration = Duration::from_millis(250);

/// Counts who waits in a queue, and says who may.
#[derive(Debug)]
pub struct Backlog {
    burst_max: usize,
    standing_min: usize,
    waiting: AtomicUsize,
    limit: AtomicUsize,
    window: Mutex<Option<Window>>,
}

/// What was taken since the queue was empty, or since this was last looked at.
#[derive(Debug)]
struct Window {
    since: Instant,
    taken: usize,
}

impl Backlog {
    /// For a queue of at most `burst_max`, and of at least `standing_min` however slow its work is: more than is taken at a time,
    /// or a short queue would run empty all the time and take itself for a good one.
    pub fn new(burst_max: usize, standing_min: usize) -> Backlog {
        let burst_max = burst_max.max(1);
        Backlog {
            burst_max,
            standing_min: standing_min.clamp(1, burst_max),
            waiting: AtomicUsize::new(0),
            limit: AtomicUsize::new(burst_max),
            window: Mutex::new(None),
        }
    }

    /// Counts one more who waits, or says no. Who was let in must come out, by `leave` or `taken`.
    #[must_use]
    pub fn enter(&self) -> bool {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let may = before < self.limit.load(Ordering::Relaxed);
        if !may {
            self.leave();
        }
        may
    }

    /// Counts one who has turned away.
    pub fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts those whose turn has come.
    pub fn taken(&self, count: usize, now: Instant) {
        let left = self.waiting.fetch_sub(count, Ordering::Relaxed).saturating_sub(count);
        // what is behind the lock is whole at every moment
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if left == 0 {
            *window = None;
            // not at once as long as it may be: under a load that is too much, too, it runs empty now and then
            let longer = self.limit.load(Ordering::Relaxed).saturating_mul(2);
            self.limit.store(longer.min(self.burst_max), Ordering::Relaxed);
            return;
        }
        let open = window.get_or_insert(Window { since: now, taken: 0 });
        open.taken += count;
        let lasted = now.saturating_duration_since(open.since);
        if lasted >= STANDING {
            let within_wait = open.taken as f64 * WAIT.as_secs_f64() / lasted.as_secs_f64();
            self.limit.store((within_wait as usize).clamp(self.standing_min, self.burst_max), Ordering::Relaxed);
            *window = Some(Window { since: now, taken: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(backlog: &Backlog) -> usize {
        std::iter::repeat_with(|| backlog.enter()).take_while(|may| *may).count()
    }

    /// Takes `rate` per second for so long, and fills the queue again after each.
    fn stand(backlog: &Backlog, mut now: Instant, rate: u32, seconds: u32) -> Instant {
        for _ in 0..rate * seconds {
            backlog.taken(1, now);
            filled(backlog);
            now += Duration::from_secs(1) / rate;
        }
        now
    }

    #[test]
    fn a_burst_may_fill_the_queue() {
        assert_eq!(filled(&Backlog::new(16, 2)), 16);
    }

    #[test]
    fn who_turns_away_makes_room() {
        let backlog = Backlog::new(1, 1);
        assert!(backlog.enter() && !backlog.enter());
        backlog.leave();
        assert!(backlog.enter());
    }

    #[test]
    fn a_queue_that_does_not_run_empty_becomes_as_short_as_a_quarter_of_a_second() {
        let backlog = Backlog::new(1000, 2);
        filled(&backlog);
        let now = stand(&backlog, Instant::now(), 100, 3);
        while backlog.waiting.load(Ordering::Relaxed) > 1 {
            backlog.taken(1, now);
        }
        assert_eq!(1 + filled(&backlog), 25);
    }

    #[test]
    fn a_short_queue_is_never_shorter_than_its_minimum() {
        let backlog = Backlog::new(16, 2);
        filled(&backlog);
        let now = stand(&backlog, Instant::now(), 1, 4);
        while backlog.waiting.load(Ordering::Relaxed) > 1 {
            backlog.taken(1, now);
        }
        assert_eq!(1 + filled(&backlog), 2);
    }

    #[test]
    fn a_queue_that_runs_empty_becomes_twice_as_long_each_time() {
        let backlog = Backlog::new(16, 2);
        filled(&backlog);
        let now = stand(&backlog, Instant::now(), 4, 8);
        let lengths = [(); 5].map(|()| {
            let waiting = backlog.waiting.load(Ordering::Relaxed);
            backlog.taken(waiting, now);
            filled(&backlog)
        });
        assert_eq!(lengths, [4, 8, 16, 16, 16]);
    }
}
