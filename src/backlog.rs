//! Who may wait in a queue: many for a moment, few for long. A queue that runs empty now and then is there for bursts; one that does
//! not only makes everybody wait, and serves no more for it (the good and the bad queue of CoDel, RFC 8289). So one that has not
//! run empty for a while is kept so short that whoever is let in waits little longer than without a queue, and whoever comes beyond is
//! refused at once; but not by somebody else's fault: a few places are kept for those who have none yet. The queue itself is
//! not here: it is whatever channel its owner has.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a queue may go without running empty before it is kept short.
const STANDING: Duration = Duration::from_millis(250);
/// How many turns each hand must have had in that time: fewer say little, and where work takes long, that time is short.
const TURNS: usize = 6;
/// How long the last of a short queue waits, where that is not less than the owner wants.
const WAIT: Duration = Duration::from_millis(50);
/// On whose behalf somebody waits, so that one who asks without end leaves places for others. A number that says nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share(u8);

impl Share {
    /// How many are told apart; those who have the same number share what one may have.
    pub const COUNT: usize = 64;
    /// The server's own errands.
    pub const OWN: Share = Share(0);

    /// Of whoever this names. Nobody outside can tell who has the same.
    pub fn of(whose: &(impl Hash + ?Sized)) -> Share {
        // drawn anew by each process, or one could choose a name that shares with a victim's
        static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Share((STATE.hash_one(whose) % (Share::COUNT as u64 - 1)) as u8 + 1)
    }

    /// One that no other test has by chance.
    #[cfg(test)]
    pub fn numbered(number: u8) -> Share {
        assert!(usize::from(number) < Share::COUNT);
        Share(number)
    }

    /// Less than `COUNT`.
    pub fn number(self) -> usize {
        usize::from(self.0)
    }
}

/// How long a queue may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// At most, for a moment.
    pub burst_max: usize,
    /// At least, however slow the work is: as many as are taken at a time, or those who take would have nothing to do.
    pub standing_min: usize,
    /// How many take from it.
    pub hands: usize,
}

/// Counts who waits in a queue, and says who may.
#[derive(Debug)]
pub struct Backlog {
    bounds: Bounds,
    waiting: AtomicUsize,
    of_share: [AtomicU32; Share::COUNT],
    limit: AtomicUsize,
    /// Whether somebody came to take and found nothing.
    ran_empty: AtomicBool,
    /// `None` until the first turn.
    window: Mutex<Option<Window>>,
}

/// What was taken since the queue was empty, or since this was last looked at.
#[derive(Debug)]
struct Window {
    since: Instant,
    turns: usize,
    taken: usize,
}

/// Places beyond a limit for those who have none or few.
fn kept_free(limit: usize) -> usize {
    (limit / 4).max(1)
}

/// How many of those places one may have.
fn few(limit: usize) -> u32 {
    u32::try_from(limit / 16).unwrap_or(u32::MAX).max(1)
}

impl Backlog {
    /// For a queue within these bounds.
    pub fn new(bounds: Bounds) -> Backlog {
        let burst_max = bounds.burst_max.max(1);
        let bounds = Bounds { burst_max, standing_min: bounds.standing_min.clamp(1, burst_max), ..bounds };
        Backlog {
            bounds,
            waiting: AtomicUsize::new(0),
            of_share: [const { AtomicU32::new(0) }; Share::COUNT],
            limit: AtomicUsize::new(burst_max),
            ran_empty: AtomicBool::new(true),
            window: Mutex::new(None),
        }
    }

    /// How many wait at most, whoever they are.
    pub fn places(&self) -> usize {
        self.bounds.burst_max + kept_free(self.bounds.burst_max)
    }

    /// Counts one more who waits, or says no. Who was let in must come out by `leave`.
    #[must_use]
    pub fn enter(&self, share: Share) -> bool {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let same = self.of_share[share.number()].fetch_add(1, Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed);
        let may = before < limit || (before < limit + kept_free(limit) && same < few(limit));
        if !may {
            self.leave(share);
        }
        may
    }

    /// Counts one whose turn has come, or who has turned away.
    pub fn leave(&self, share: Share) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.of_share[share.number()].fetch_sub(1, Ordering::Relaxed);
    }

    /// Whoever came to take found nothing: for this moment nobody is too many.
    pub fn ran_empty(&self) {
        self.ran_empty.store(true, Ordering::Relaxed);
    }

    /// So many have left together, because their turn had come.
    pub fn taken(&self, count: usize, now: Instant) {
        // what is behind the lock is whole at every moment
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let ran_empty = self.ran_empty.swap(false, Ordering::Relaxed);
        let Some(open) = window.as_mut().filter(|_| !ran_empty) else {
            *window = Some(Window { since: now, turns: 0, taken: 0 });
            let limit = self.limit.load(Ordering::Relaxed);
            if limit < self.bounds.burst_max {
                // not at once as long as it may be: under a load that is too much, too, it runs empty now and then
                self.limit.store((limit * 2).min(self.bounds.burst_max), Ordering::Relaxed);
            }
            return;
        };
        open.turns += 1;
        open.taken += count;
        let lasted = now.saturating_duration_since(open.since);
        if lasted >= STANDING && open.turns >= TURNS * self.bounds.hands {
            let within_wait = open.taken as f64 * WAIT.as_secs_f64() / lasted.as_secs_f64();
            let limit = (within_wait as usize).clamp(self.bounds.standing_min, self.bounds.burst_max);
            self.limit.store(limit, Ordering::Relaxed);
            *open = Window { since: now, turns: 0, taken: 0 };
        }
    }
}

#[cfg(test)]
mod tests;
