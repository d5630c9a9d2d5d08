//! How long we wait for a client that sends or takes a body: for so long, and again as long as what it has moved takes at the slowest rate
//! that is allowed. Only time spent waiting for the client counts, so our own slowness is never held against it.

use std::time::Duration;

use tokio::time::Instant;

/// What is left of our patience with one body, or with all answers of one connection.
#[derive(Debug)]
pub(super) struct Patience {
    most: Duration,
    /// 0: a single byte is enough for all of it.
    bytes_per_second_min: u64,
    left: Duration,
    waiting_since: Option<Instant>,
}

impl Patience {
    pub(super) fn new(most: Duration, bytes_per_second_min: u64) -> Patience {
        Patience { most, bytes_per_second_min, left: most, waiting_since: None }
    }

    /// We wait, from now on or still; until when at most.
    pub(super) fn waits(&mut self, now: impl FnOnce() -> Instant) -> Instant {
        *self.waiting_since.get_or_insert_with(now) + self.left
    }

    /// Until when we wait at most; `None` where we do not.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.waiting_since.map(|since| since + self.left)
    }

    /// So many bytes have been moved, perhaps none: we no longer wait.
    pub(super) fn moved(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.waiting_since.take() {
            self.left = self.left.saturating_sub(now().saturating_duration_since(since));
        }
        if self.left < self.most && bytes > 0 {
            let earned = match self.bytes_per_second_min {
                0 => self.most,
                rate => Duration::from_secs_f64(bytes as f64 / rate as f64),
            };
            self.left = self.left.saturating_add(earned).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// For how long a client is borne that moves so many bytes each time when it has kept us waiting for so long; an hour at most.
    fn borne(patience: &mut Patience, bytes: usize, pause: Duration) -> Duration {
        let begun = Instant::now();
        let mut now = begun;
        while now < begun + 3600 * SECOND {
            let end = patience.waits(|| now);
            if end < now + pause {
                return end - begun;
            }
            now += pause;
            patience.moved(bytes, || now);
        }
        now - begun
    }

    fn of_an_image() -> Patience {
        Patience::new(30 * SECOND, 1024)
    }

    #[test]
    fn who_moves_nothing_is_borne_for_the_time_there_is() {
        assert_eq!(borne(&mut of_an_image(), 0, 60 * SECOND), 30 * SECOND);
    }

    #[test]
    fn a_byte_now_and_then_buys_no_more_than_it_is_worth() {
        let borne = borne(&mut of_an_image(), 1, 29 * SECOND);
        assert!(borne < 31 * SECOND, "{borne:?}");
    }

    #[test]
    fn half_of_the_slowest_rate_is_borne_for_twice_the_time() {
        assert_eq!(borne(&mut of_an_image(), 512, SECOND).as_secs(), 59);
    }

    #[test]
    fn the_slowest_rate_is_borne_for_ever_in_small_pieces_and_in_large_ones() {
        assert_eq!(borne(&mut of_an_image(), 1024, SECOND), 3600 * SECOND);
        assert!(borne(&mut of_an_image(), 25 * 1024, 25 * SECOND) >= 3600 * SECOND);
    }

    #[test]
    fn what_was_moved_fast_is_no_store_for_later() {
        let mut patience = of_an_image();
        patience.moved(1 << 30, Instant::now);
        assert_eq!(borne(&mut patience, 0, 60 * SECOND), 30 * SECOND);
    }

    #[test]
    fn time_in_which_we_did_not_wait_does_not_count() {
        let (mut patience, begun) = (of_an_image(), Instant::now());
        patience.waits(|| begun);
        patience.moved(0, || begun + 10 * SECOND);
        let later = begun + 1000 * SECOND;
        assert_eq!(patience.waits(|| later), later + 20 * SECOND);
    }

    #[test]
    fn without_a_slowest_rate_a_byte_is_enough() {
        assert_eq!(borne(&mut Patience::new(30 * SECOND, 0), 1, 29 * SECOND).as_secs(), 3625);
    }
}
