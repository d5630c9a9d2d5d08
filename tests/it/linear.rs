//! Whether what several clients saw of one value can have happened in some order, one after the other, each thing between its call and its
//! answer: Wing and Gong's search for a register, with Lowe's memory of where it has been.

use std::collections::HashSet;

/// What was asked of the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// It was set to this.
    Write(u64),
    /// This was read.
    Read(u64),
}

/// Something that was done, between two moments of one clock.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    pub called: u64,
    pub answered: u64,
    pub did: Did,
}

/// Whether there is an order. The register begins with 0.
pub fn is_linearizable(history: &[Event]) -> bool {
    assert!(history.len() <= 128, "a set of events is kept in the bits of a number");
    let all = if history.len() == 128 { u128::MAX } else { (1 << history.len()) - 1 };
    let mut seen = HashSet::new();
    let mut open = vec![(0_u128, 0_u64)];
    while let Some((done, value)) = open.pop() {
        if done == all {
            return true;
        }
        if !seen.insert((done, value)) {
            continue;
        }
        let waiting = || history.iter().enumerate().filter(move |(index, _)| done & (1 << index) == 0);
        let first_answer = waiting().map(|(_, event)| event.answered).min().unwrap_or(0);
        for (index, event) in waiting() {
            // whatever was answered before this was called comes before it
            if event.called > first_answer {
                continue;
            }
            match event.did {
                Did::Write(written) => open.push((done | 1 << index, written)),
                Did::Read(read) if read == value => open.push((done | 1 << index, value)),
                Did::Read(_) => {}
            }
        }
    }
    false
}

fn event(called: u64, answered: u64, did: Did) -> Event {
    Event { called, answered, did }
}

#[test]
fn one_after_the_other_is_linearizable() {
    let history =
        [event(1, 2, Did::Write(7)), event(3, 4, Did::Read(7)), event(5, 6, Did::Write(8)), event(7, 8, Did::Read(8))];
    assert!(is_linearizable(&history));
}

#[test]
fn what_overlaps_may_have_happened_in_either_order() {
    for read in [0, 7] {
        assert!(is_linearizable(&[event(1, 4, Did::Write(7)), event(2, 3, Did::Read(read))]));
    }
}

#[test]
fn a_stale_read_is_not() {
    assert!(!is_linearizable(&[event(1, 2, Did::Write(7)), event(3, 4, Did::Read(0))]));
}

#[test]
fn a_value_that_nobody_wrote_is_not() {
    assert!(!is_linearizable(&[event(1, 4, Did::Write(7)), event(2, 3, Did::Read(9))]));
}

#[test]
fn a_lost_write_is_not() {
    let history = [event(1, 2, Did::Write(7)), event(3, 4, Did::Write(8)), event(5, 6, Did::Read(7))];
    assert!(!is_linearizable(&history));
}

#[test]
fn readers_that_see_two_writes_in_different_orders_are_not() {
    let history = [
        event(1, 10, Did::Write(7)),
        event(1, 10, Did::Write(8)),
        event(11, 12, Did::Read(7)),
        event(13, 14, Did::Read(8)),
    ];
    assert!(!is_linearizable(&history));
    let back_and_forth =
        [event(1, 10, Did::Write(7)), event(2, 3, Did::Read(7)), event(4, 5, Did::Read(0)), event(6, 7, Did::Read(7))];
    assert!(!is_linearizable(&back_and_forth));
}

#[test]
fn many_concurrent_writes_are_checked() {
    let mut history: Vec<_> = (0..10).map(|number| event(1, 1000, Did::Write(number))).collect();
    history.extend((0..50).map(|number| event(1001 + 2 * number, 1002 + 2 * number, Did::Read(9))));
    assert!(is_linearizable(&history));
}
