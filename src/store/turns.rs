//! Where scripts wait for a thread of an engine. However long that thread is kept by something, nobody waits longer than `WAIT_MAX`: another
//! looks after those who wait.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use super::engine::{Script, StoreError};
use crate::backlog::{Backlog, Bounds, Share};

/// How long a script may wait for its turn. Beyond it its caller is told to come back: who waited so long has often gone already.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often somebody looks for those who have waited too long.
const LOOK: Duration = Duration::from_millis(250);

/// The end where scripts are put; closed by dropping its sender.
pub(super) struct Queue {
    sender: Mutex<Option<SyncSender<Accepted>>>,
    backlog: Arc<Backlog>,
}

/// The other end, for one thread or for several that take turns.
#[derive(Clone)]
pub(super) struct Turns {
    line: Arc<Mutex<Line>>,
    backlog: Arc<Backlog>,
}

/// Those who wait, the oldest first.
struct Line {
    /// Was looked at, and may still wait.
    first: Option<Accepted>,
    others: Receiver<Accepted>,
}

/// A queue within these bounds.
///
/// # Errors
/// Where no thread is to be had.
pub(super) fn queue(bounds: Bounds) -> Result<(Queue, Turns), StoreError> {
    let backlog = Arc::new(Backlog::new(bounds));
    let (sender, others) = sync_channel(backlog.places());
    let line = Arc::new(Mutex::new(Line { first: None, others }));
    look_after(Arc::downgrade(&line), backlog.clone())?;
    Ok((Queue { sender: Mutex::new(Some(sender)), backlog: backlog.clone() }, Turns { line, backlog }))
}

/// Starts the thread that refuses those who have waited too long, until nobody takes from the line any more.
fn look_after(line: Weak<Mutex<Line>>, backlog: Arc<Backlog>) -> Result<(), StoreError> {
    let look = move || {
        while let Some(line) = line.upgrade() {
            // where somebody has the line they are about to take the first of it, or there is none
            let late = match line.try_lock() {
                Ok(mut line) => line.late(Instant::now(), &backlog),
                Err(TryLockError::Poisoned(line)) => line.into_inner().late(Instant::now(), &backlog),
                Err(TryLockError::WouldBlock) => Vec::new(),
            };
            drop(line);
            refuse_all(late);
            std::thread::sleep(LOOK);
        }
    };
    let started = std::thread::Builder::new().name("store-turns".into()).spawn(look);
    started.map(|_| ()).map_err(|error| StoreError::Unavailable(error.to_string()))
}

impl Queue {
    /// Has a script wait, or refuses it at once.
    pub(super) fn put(&self, script: Box<dyn Script>) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(sender) = sender else {
            return script.finish(Err(StoreError::Unavailable("the server is shutting down".into())));
        };
        let share = script.share();
        if !self.backlog.enter(share) {
            return script.finish(Err(StoreError::Overloaded));
        }
        if let Err(error) = sender.try_send(Accepted { since: Instant::now(), share, script }) {
            self.backlog.leave(share);
            match error {
                TrySendError::Full(accepted) => accepted.refuse(StoreError::Overloaded),
                TrySendError::Disconnected(accepted) => {
                    accepted.refuse(StoreError::Unavailable("the thread that did this has ended".into()));
                }
            }
        }
    }

    /// Lets nobody in any more.
    pub(super) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Turns {
    /// Waits for somebody, and takes at most so many of those who wait; none of them where all have waited too long. `None` when
    /// the queue is closed and empty.
    pub(super) fn take(&self, most: usize) -> Option<Vec<Box<dyn Script>>> {
        self.take_within(None, most)
    }

    /// As `take`, and none of them where nobody comes within this time.
    pub(super) fn take_within(&self, patience: Option<Duration>, most: usize) -> Option<Vec<Box<dyn Script>>> {
        let mut line = self.line();
        let first = match line.next() {
            Some(first) => first,
            None => {
                self.backlog.ran_empty();
                match patience.map(|patience| line.others.recv_timeout(patience)) {
                    None => line.others.recv().ok()?,
                    Some(Ok(first)) => first,
                    Some(Err(RecvTimeoutError::Timeout)) => return Some(Vec::new()),
                    Some(Err(RecvTimeoutError::Disconnected)) => return None,
                }
            }
        };
        let now = Instant::now();
        let (mut batch, mut late, mut taken, mut next) = (Vec::new(), Vec::new(), 0, Some(first));
        while let Some(accepted) = next.take() {
            self.backlog.leave(accepted.share);
            taken += 1;
            if accepted.is_late(now) {
                late.push(accepted);
            } else {
                batch.push(accepted.script);
            }
            if batch.len() < most {
                next = line.next();
            }
        }
        drop(line);
        self.backlog.taken(taken, now);
        refuse_all(late);
        Some(batch)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// The oldest, if anybody waits.
    fn next(&mut self) -> Option<Accepted> {
        self.first.take().or_else(|| self.others.try_recv().ok())
    }

    /// Those who have waited too long, who wait no more.
    fn late(&mut self, now: Instant, backlog: &Backlog) -> Vec<Accepted> {
        let mut late = Vec::new();
        while let Some(oldest) = self.next() {
            if !oldest.is_late(now) {
                self.first = Some(oldest);
                break;
            }
            backlog.leave(oldest.share);
            late.push(oldest);
        }
        late
    }
}

/// Tells them. Without the line: whoever is refused may own the engine, which then ends, and waits for its threads.
fn refuse_all(late: Vec<Accepted>) {
    late.into_iter().for_each(|accepted| accepted.refuse(StoreError::Overloaded));
}

/// A script that waits for its turn.
struct Accepted {
    since: Instant,
    share: Share,
    script: Box<dyn Script>,
}

impl Accepted {
    fn is_late(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > WAIT_MAX
    }

    /// Says no.
    fn refuse(self, error: StoreError) {
        self.script.finish(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;
    use crate::store::engine::{Tx, Verdict};

    /// Tells its number when it is answered, and whether that was a refusal.
    struct Numbered(u8, Sender<(u8, bool)>);

    impl Script for Numbered {
        fn run(&mut self, _: &mut dyn Tx) -> Verdict {
            Verdict::Commit
        }

        fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
            let _ = self.1.send((self.0, outcome.is_err()));
        }
    }

    #[test]
    fn who_has_waited_too_long_is_told_so_while_the_thread_is_busy_with_others() {
        let (queue, turns) = queue(Bounds { burst_max: 8, standing_min: 8, hands: 1 }).expect("a thread");
        let (told, hears) = channel();
        let put = |number| queue.put(Box::new(Numbered(number, told.clone())));
        [1, 2].into_iter().for_each(put);
        let between = Instant::now();
        [3, 4].into_iter().for_each(put);
        refuse_all(turns.line().late(between + WAIT_MAX, &turns.backlog));
        assert_eq!(hears.try_iter().collect::<Vec<_>>(), [(1, true), (2, true)]);
        // the others are still there, in their order
        let taken = turns.take(8).expect("it is open");
        taken.into_iter().for_each(|script| script.finish(Ok(())));
        assert_eq!(hears.try_iter().collect::<Vec<_>>(), [(3, false), (4, false)]);
        // all eight places are free again: a refused script leaves its own
        (10..18).for_each(put);
        assert_eq!(turns.take(8).map(|batch| batch.len()), Some(8));
        queue.close();
        assert!(turns.take(8).is_none());
    }

    #[test]
    fn somebody_looks_while_nobody_takes() {
        let (queue, _turns) = queue(Bounds { burst_max: 8, standing_min: 8, hands: 1 }).expect("a thread");
        let (told, hears) = channel();
        // it has waited since before
        let since = Instant::now().checked_sub(WAIT_MAX * 2).expect("this machine runs for longer");
        let sender = queue.sender.lock().expect("nobody panicked").clone().expect("it is open");
        let share = Share::OWN;
        assert!(queue.backlog.enter(share));
        let waits = Accepted { since, share, script: Box::new(Numbered(1, told)) };
        assert!(sender.try_send(waits).is_ok());
        assert_eq!(hears.recv_timeout(Duration::from_secs(20)), Ok((1, true)));
    }
}
