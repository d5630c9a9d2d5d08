//! Whether the server can be reached at all, as far as the threads of this process have found out together: while it cannot, one of them
//! tries from time to time, and all others say so at once instead of waiting in line to find out the same.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long after a failure nobody tries again.
const PAUSE: Duration = Duration::from_millis(250);
/// How long one thread is given to find out.
const TRIAL: Duration = Duration::from_secs(8);

/// What is known.
#[derive(Default)]
pub struct Reach(Mutex<Known>);

#[derive(Default)]
struct Known {
    down: Option<Down>,
    /// When somebody reached it last.
    reached: Option<Instant>,
}

struct Down {
    why: String,
    next_trial: Instant,
}

impl Reach {
    /// Whether to try at this moment.
    ///
    /// # Errors
    /// What the last trial met, where it is too early for the next, or somebody else is at it.
    pub fn may_try(&self, now: Instant) -> Result<(), String> {
        match self.known().down.as_mut() {
            None => Ok(()),
            Some(down) if now < down.next_trial => Err(down.why.clone()),
            Some(down) => {
                down.next_trial = now + TRIAL;
                Ok(())
            }
        }
    }

    /// A trial has failed.
    pub fn failed(&self, why: &str, now: Instant) {
        let down = Down { why: why.to_owned(), next_trial: now + PAUSE };
        self.known().down = Some(down);
    }

    /// A trial has not.
    pub fn succeeded(&self, now: Instant) {
        *self.known() = Known { down: None, reached: Some(now) };
    }

    /// Whether somebody has reached it since a trial began: where that one fails now, it has met what was.
    pub fn was_reached_since(&self, began: Instant) -> bool {
        self.known().reached.is_some_and(|reached| reached >= began)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_a_server_is_down_one_thread_at_a_time_tries() {
        let (reach, start) = (Reach::default(), Instant::now());
        assert!(reach.may_try(start).is_ok());
        assert!(reach.may_try(start).is_ok(), "nothing is known to be wrong");
        reach.failed("refused", start);
        assert_eq!(reach.may_try(start).err().as_deref(), Some("refused"));
        let later = start + PAUSE;
        assert!(reach.may_try(later).is_ok());
        assert!(reach.may_try(later).is_err(), "somebody is at it");
        assert!(reach.may_try(later + TRIAL).is_ok(), "who tried has not come back");
        reach.succeeded(later);
        assert!(reach.may_try(later).is_ok());
        assert!(reach.was_reached_since(start) && !reach.was_reached_since(later + PAUSE));
    }
}
