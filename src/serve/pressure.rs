//! Which part of the requests is let in while there are more than the processors can answer.
//!
//! Most answers need nobody but a processor, so requests wait where nobody counts them: in the sockets, and in the runtime's queue of
//! tasks. How long they wait is measured: a thread sends a byte through a socket to a task, as a client would, twenty times a
//! second. While that takes too long, a part of the requests is refused before anything else is done for them, and the part
//! grows until the others no longer wait. A request pays one look at a number for this. Refused are first those of whom there are most: each
//! token has the same part of what can be done, and who asks for less is not refused.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use crate::backlog::Share;

/// How long a request may wait for a processor before others are refused for its sake.
const WAIT: Duration = Duration::from_millis(150);
/// How long it may wait while others are refused: what a burst may take for a moment, a lasting crowd may not. Not so short that a few
/// answers of ten milliseconds look like a crowd, or the part that is refused would stay refused after it.
const WAIT_STANDING: Duration = Duration::from_millis(50);
/// How long one pulse may be late while those before and after it are not.
const PAUSE: Duration = Duration::from_millis(500);
/// How often that is measured.
const PULSE: Duration = Duration::from_millis(50);
/// All requests; parts are counted in this.
const ALL: u32 = 1 << 16;
/// Nobody is refused yet, but it is counted who asks.
const COUNTED: u32 = ALL - 1;
/// The smallest part. A refusal costs something, too: where even those are too many, an even smaller part would leave no time for anything
/// else, and only the number of connections bounds how long one waits.
const PART_MIN: u32 = ALL / 32;
/// How many requests may be let in from one pulse to the next, for each processor, and still not be what makes the processors late: ten a
/// second. The dearest, a page of a thousand servers, takes a quarter of a processor then.
const FEW: f64 = 0.5;
/// After how many closings a wait that is no shorter has another cause: a quarter of what was let in is left.
const STEPS_IN_VAIN: u32 = 6;

/// Says which requests are let in.
#[derive(Debug)]
pub(super) struct Pressure {
    /// Of all together.
    let_in: AtomicU32,
    shares: [OfShare; Share::COUNT],
}

/// What one share has asked, and which part of it is let in.
#[derive(Debug)]
struct OfShare {
    /// Counted only while a part is refused.
    asked: AtomicU32,
    let_in: AtomicU32,
}

impl Default for Pressure {
    fn default() -> Self {
        let shares = [const { OfShare { asked: AtomicU32::new(0), let_in: AtomicU32::new(ALL) } }; Share::COUNT];
        Pressure { let_in: AtomicU32::new(ALL), shares }
    }
}

impl Pressure {
    /// Whether to answer the next request, or to refuse it at once. Whose it is, is asked only while a part is refused.
    pub(super) fn lets_in(&self, whose: impl FnOnce() -> Share) -> bool {
        if self.let_in.load(Ordering::Relaxed) == ALL {
            return true;
        }
        let share = &self.shares[whose().number()];
        let turn = share.asked.fetch_add(1, Ordering::Relaxed);
        // Multiples of the golden ratio are spread evenly, so that of any few requests about this part is let in.
        turn.wrapping_mul(40_503) % ALL < share.let_in.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn let_in(&self, part: f64) {
        self.let_in_of_each((f64::from(ALL) * part) as u32, &Asked::default());
    }

    /// What each share has asked while a part was refused.
    fn counts(&self) -> [u32; Share::COUNT] {
        self.shares.each_ref().map(|share| share.asked.load(Ordering::Relaxed))
    }

    /// Lets this part of all in from now on, and of each share what that comes to.
    fn let_in_of_each(&self, part: u32, asked: &Asked) {
        if part < ALL {
            for (share, part) in self.shares.iter().zip(asked.parts(part)) {
                share.let_in.store(part, Ordering::Relaxed);
            }
        }
        self.let_in.store(part, Ordering::Relaxed);
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
    let (mut valve, mut asked) = (Valve::default(), Asked::default());
    let few = FEW * thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
    let mut sent = None;
    loop {
        thread::sleep(PULSE);
        let Some(pressure) = watched.upgrade() else { return };
        let now = pulse.nanoseconds();
        let is_under_way = pulse.is_under_way.load(Ordering::Acquire);
        let before = valve.part;
        if let Some(sent) = sent {
            let waited = if is_under_way { now - sent } else { pulse.took.load(Ordering::Relaxed) };
            asked.look(before, pressure.counts());
            valve.turn(Look {
                sent: Duration::from_nanos(sent),
                waited: Duration::from_nanos(waited),
                has_arrived: !is_under_way,
                is_few: asked.is_few(before, few),
            });
            pressure.let_in_of_each(valve.part, &asked);
            if before >= COUNTED && valve.part < COUNTED {
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
    /// Whether so few requests were let in lately that it cannot have waited for them.
    is_few: bool,
}

/// Decides how large a part is let in, from how long pulses wait.
#[derive(Debug)]
struct Valve {
    part: u32,
    /// When the first pulse was sent of those that were late one after the other.
    late_since: Option<Duration>,
    /// How long the last pulse waited that has arrived.
    last: Duration,
    /// How often less was let in since a pulse was in time, or was so late that even an open valve would not have borne it.
    closings: u32,
    /// How long the pulse waited for which the first of them was.
    at_first: Duration,
    /// Whether the last step was to let less in.
    is_closing: bool,
    /// The part that was let in before the first of the last steps of that kind.
    too_much: u32,
}

impl Default for Valve {
    fn default() -> Self {
        Valve {
            part: ALL,
            late_since: None,
            last: Duration::ZERO,
            closings: 0,
            at_first: Duration::ZERO,
            is_closing: false,
            too_much: ALL,
        }
    }
}

impl Valve {
    fn turn(&mut self, look: Look) {
        let wait = if self.part == ALL { WAIT } else { WAIT_STANDING };
        if look.waited > wait && !look.is_few {
            self.close(look);
        } else if look.has_arrived {
            if look.waited <= wait {
                self.late_since = None;
            }
            if look.waited < wait / 2 {
                self.closings = 0;
            }
            if look.waited < wait / 2 || look.is_few {
                self.open(look.is_few);
            }
        }
        if look.has_arrived {
            self.last = look.waited;
        }
    }

    fn open(&mut self, is_few: bool) {
        // quickly, but with care near what was too much before: what is seen is a few looks old
        let is_near = !is_few && self.part > self.too_much / 3;
        self.part = (self.part + self.part / if is_near { 20 } else { 4 }).min(ALL);
        self.is_closing = false;
    }

    fn close(&mut self, look: Look) {
        // one that is late alone met a pause of the machine, or one long answer
        let is_alone = *self.late_since.get_or_insert(look.sent) == look.sent;
        let is_too_late = !is_alone || look.waited > PAUSE;
        // what waits less and less is enough refused already
        let is_growing = look.waited >= self.last - self.last / 10;
        if !is_too_late || !is_growing {
            return;
        }
        if !self.is_closing {
            self.too_much = self.part;
            self.is_closing = true;
        }
        self.part = if self.part == ALL { COUNTED } else { (self.part - self.part / 5).max(PART_MIN) };
        // with such a wait an open valve would be closed again
        if look.waited > WAIT {
            self.closings = 0;
            return;
        }
        if self.closings == 0 {
            self.at_first = look.waited;
        }
        self.closings += 1;
        if self.closings >= STEPS_IN_VAIN && look.waited >= self.at_first - self.at_first / 10 {
            // it is not requests that others wait for
            *self = Valve::default();
        }
    }
}

/// How much of the past counts: with twenty looks a second, about half a second.
const KEPT: f64 = 0.9;

/// How much each share asks for, of late.
#[derive(Debug)]
struct Asked {
    /// The counts at the last look.
    counts: Option<[u32; Share::COUNT]>,
    lately: [f64; Share::COUNT],
    /// How many looks those are of.
    looks: f64,
}

impl Default for Asked {
    fn default() -> Self {
        Asked { counts: None, lately: [0.0; Share::COUNT], looks: 0.0 }
    }
}

impl Asked {
    /// Takes note of what was asked while this part was let in. Where that was all, nobody counted.
    fn look(&mut self, part: u32, counts: [u32; Share::COUNT]) {
        if part == ALL {
            *self = Asked { counts: Some(counts), ..Asked::default() };
            return;
        }
        let before = self.counts.replace(counts).unwrap_or(counts);
        self.looks = self.looks * KEPT + 1.0;
        for (lately, (now, before)) in self.lately.iter_mut().zip(counts.iter().zip(before)) {
            *lately = *lately * KEPT + f64::from(now.wrapping_sub(before));
        }
    }

    /// Whether, of what is known to have been asked, this part is at most so many from one look to the next.
    fn is_few(&self, part: u32, few: f64) -> bool {
        let let_in = self.lately.iter().sum::<f64>() * f64::from(part) / f64::from(ALL);
        self.looks > 0.0 && let_in <= few * self.looks
    }

    /// Which part of each share is let in, so that together it is this part of all: as much of each, but no more of any than it asks for.
    fn parts(&self, part: u32) -> [u32; Share::COUNT] {
        let level = level(self.lately, f64::from(part) / f64::from(ALL));
        self.lately.map(|lately| {
            // one that asks for the first time is not refused for what others ask, unless nothing is known of anybody yet
            let own = if level.is_finite() { (level / lately).min(1.0) } else { f64::from(part) / f64::from(ALL) };
            ((f64::from(ALL) * own) as u32).max(part.min(PART_MIN))
        })
    }
}

/// How much each may have, where this part of what all want is there. Infinite where nobody wants anything.
fn level(mut wanted: [f64; Share::COUNT], part: f64) -> f64 {
    wanted.sort_unstable_by(f64::total_cmp);
    let mut left = wanted.iter().sum::<f64>() * part;
    for (index, want) in wanted.iter().enumerate() {
        let each = left / (wanted.len() - index) as f64;
        if *want > each {
            return each;
        }
        left -= want;
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests;
