//! Lines that come in crowds. A database that is away is worth a line for each of a few requests; for ten thousand a second such lines fill
//! a disk, and tell nothing that the first did not. So of the warnings and errors of one place in the code a bounded number is written each
//! second, and of the others how many they were.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Lines;

/// As many lines of one place are written in each window.
const LINES_MAX: u32 = 100;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(1);

/// Decides which lines are written.
pub(super) struct Seldom {
    places: Mutex<Places>,
    lines: Lines,
    json: bool,
}

impl Seldom {
    /// Writes how many lines were left out among these.
    pub(super) fn among(lines: Lines, json: bool) -> Seldom {
        Seldom { places: Mutex::default(), lines, json }
    }
}

impl<S: Subscriber> Layer<S> for Seldom {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN {
            return true;
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_written, left_out) = places.one_more(metadata.callsite(), Instant::now());
        drop(places);
        if left_out > 0 {
            self.lines.put(super::missing_line("like the next left out", left_out, self.json).into_bytes());
        }
        is_written
    }
}

/// What each place in the code has written of late.
#[derive(Default)]
struct Places(HashMap<Identifier, Window>);

struct Window {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl Places {
    /// A place has one more line: says whether it is written, and how many were left out before it that nobody was told of.
    fn one_more(&mut self, place: Identifier, now: Instant) -> (bool, u64) {
        let new = Window { since: now, written: 0, left_out: 0 };
        let window = self.0.entry(place).or_insert(new);
        if now.saturating_duration_since(window.since) >= WINDOW {
            let left_out = window.left_out;
            *window = Window { since: now, written: 1, left_out: 0 };
            return (true, left_out);
        }
        if window.written < LINES_MAX {
            window.written += 1;
            return (true, 0);
        }
        window.left_out += 1;
        (false, 0)
    }
}

#[cfg(test)]
mod tests {
    use tracing::callsite::Callsite;

    use super::*;

    // with something in it: two things without a size may lie at the same place
    struct Place(u8);

    impl Callsite for Place {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}

        fn metadata(&self) -> &tracing::Metadata<'_> {
            unreachable!("nobody asks what {} is", self.0)
        }
    }

    static HERE: Place = Place(1);
    static THERE: Place = Place(2);

    #[test]
    fn of_a_crowd_a_hundred_each_second_are_written_and_the_others_are_counted() {
        let [here, there] = [&HERE, &THERE].map(|place| Identifier(place));
        let (mut places, now) = (Places::default(), Instant::now());
        let first: Vec<bool> = (0..250).map(|_| places.one_more(here.clone(), now).0).collect();
        assert_eq!(first.iter().filter(|is_written| **is_written).count(), 100);
        assert!(first[..100].iter().all(|is_written| *is_written), "the first ones");
        assert_eq!(places.one_more(there, now + WINDOW / 2), (true, 0), "another place has a number of its own");
        assert_eq!(places.one_more(here.clone(), now + WINDOW / 2), (false, 0));
        assert_eq!(places.one_more(here.clone(), now + WINDOW), (true, 151), "they are told of once");
        assert_eq!(places.one_more(here, now + WINDOW), (true, 0));
    }
}
