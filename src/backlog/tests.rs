//! The rule with a clock of the test's own: single cases, and a queue before hands that take as long as they do.

use super::*;

const FLOOD: Share = Share(1);
const OTHER: Share = Share(2);
const SECOND: Duration = Duration::from_secs(1);

fn backlog(burst_max: usize, standing_min: usize) -> Backlog {
    Backlog::new(Bounds { burst_max, standing_min, hands: 1 })
}

/// As many enter as may.
fn filled(backlog: &Backlog) -> usize {
    std::iter::repeat_with(|| backlog.enter(FLOOD)).take_while(|may| *may).count()
}

fn waiting(backlog: &Backlog) -> usize {
    backlog.waiting.load(Ordering::Relaxed)
}

fn take(backlog: &Backlog, count: usize, now: Instant) {
    (0..count).for_each(|_| backlog.leave(FLOOD));
    backlog.taken(count, now);
}

/// Takes `rate` per second for so long, and fills the queue again after each.
fn stand(backlog: &Backlog, mut now: Instant, rate: u32, seconds: u32) -> Instant {
    for _ in 0..rate * seconds {
        take(backlog, 1, now);
        filled(backlog);
        now += SECOND / rate;
    }
    now
}

/// How many may wait now.
fn length(backlog: &Backlog) -> usize {
    (0..waiting(backlog)).for_each(|_| backlog.leave(FLOOD));
    filled(backlog)
}

#[test]
fn a_burst_may_fill_the_queue() {
    assert_eq!(filled(&backlog(16, 2)), 16);
}

#[test]
fn who_turns_away_makes_room() {
    let backlog = backlog(1, 1);
    assert!(backlog.enter(FLOOD) && !backlog.enter(FLOOD));
    backlog.leave(FLOOD);
    assert!(backlog.enter(FLOOD));
}

#[test]
fn a_queue_that_does_not_run_empty_becomes_as_short_as_what_is_served_in_a_twentieth_of_a_second() {
    let backlog = backlog(1000, 2);
    filled(&backlog);
    stand(&backlog, Instant::now(), 500, 3);
    assert_eq!(length(&backlog), 25);
}

#[test]
fn a_short_queue_is_never_shorter_than_its_minimum() {
    let backlog = backlog(16, 2);
    filled(&backlog);
    stand(&backlog, Instant::now(), 4, 4);
    assert_eq!(length(&backlog), 2);
}

#[test]
fn few_turns_however_long_they_take_are_a_burst() {
    let backlog = backlog(16, 2);
    filled(&backlog);
    stand(&backlog, Instant::now(), 1, 6);
    assert_eq!(length(&backlog), 16);
}

#[test]
fn batches_that_take_all_who_wait_make_a_standing_queue_too() {
    let backlog = backlog(1000, 8);
    let mut now = Instant::now();
    filled(&backlog);
    for _ in 0..100 {
        // a tenth of a second for a batch, so half of one is served in the time for which one may wait
        take(&backlog, waiting(&backlog), now);
        filled(&backlog);
        now += SECOND / 10;
    }
    assert_eq!(length(&backlog), 8);
}

#[test]
fn a_queue_that_runs_empty_becomes_twice_as_long_each_time() {
    let backlog = backlog(16, 2);
    filled(&backlog);
    let now = stand(&backlog, Instant::now(), 8, 8);
    let lengths = [(); 5].map(|()| {
        backlog.ran_empty();
        backlog.taken(0, now);
        length(&backlog)
    });
    assert_eq!(lengths, [4, 8, 16, 16, 16]);
}

#[test]
fn who_has_none_waiting_is_let_into_a_full_queue() {
    let backlog = backlog(16, 1);
    assert_eq!(filled(&backlog), 16);
    assert!(backlog.enter(OTHER) && !backlog.enter(OTHER) && !backlog.enter(FLOOD));
    assert!(waiting(&backlog) <= backlog.places());
}

#[test]
fn however_many_shares_ask_no_more_wait_than_there_are_places() {
    let backlog = backlog(16, 1);
    filled(&backlog);
    let others = (2..Share::COUNT as u8).filter(|number| backlog.enter(Share(*number))).count();
    assert_eq!(16 + others, backlog.places());
}

#[test]
fn who_leaves_gives_back_what_the_share_had() {
    let backlog = backlog(16, 1);
    filled(&backlog);
    for _ in 0..100 {
        assert!(backlog.enter(OTHER));
        backlog.leave(OTHER);
    }
}

#[test]
fn one_name_has_one_share_and_many_names_have_many() {
    assert_eq!(Share::of("demo"), Share::of("demo"));
    let shares: std::collections::HashSet<u8> = (0..1000).map(|number| Share::of(&number).0).collect();
    assert!(shares.len() > 40 && !shares.contains(&Share::OWN.0), "{}", shares.len());
}

/// What came of some minutes: times are in units of the work.
struct Came {
    /// From coming to the end, of those who were let in, in order.
    took: Vec<f64>,
    offered: usize,
    /// The part of the time in which the hands were at work.
    busy: f64,
}

impl Came {
    fn quantile(&self, part: f64) -> f64 {
        self.took[((self.took.len() - 1) as f64 * part) as usize]
    }

    fn let_in(&self) -> f64 {
        self.took.len() as f64 / self.offered as f64
    }
}

/// A number from 0 to 1 that looks like chance and is the same in each run (a step of SplitMix64).
fn chance(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Passwords at 10 rounds before one hand, asked for by chance, so many times as often as it can do them, for twenty minutes. One
/// in `others` is of another share; gives what came of the flood, and of the others.
fn passwords(times: f64, others: usize) -> [Came; 2] {
    const WORK: f64 = 0.075;
    let backlog = Backlog::new(Bounds { burst_max: 8, standing_min: 1, hands: 1 });
    let (origin, mut state) = (Instant::now(), 1);
    let mut queue = std::collections::VecDeque::new();
    let mut came = [(); 2].map(|()| Came { took: Vec::new(), offered: 0, busy: 0.0 });
    let (mut now, mut free_at) = (0.0, 0.0);
    let mut was_idle = true;
    while now < 1200.0 {
        now -= chance(&mut state).ln() * WORK / times;
        // the hand goes on until the moment in which the next one comes
        while free_at <= now && !was_idle {
            match queue.pop_front() {
                Some((since, who)) => {
                    take_one(&backlog, who, origin + Duration::from_secs_f64(free_at));
                    free_at += WORK;
                    finish(&mut came, since, who, free_at, WORK);
                }
                None => {
                    backlog.ran_empty();
                    was_idle = true;
                }
            }
        }
        let who = if others > 0 && chance(&mut state) * (others as f64) < 1.0 { OTHER } else { FLOOD };
        came[usize::from(who == OTHER)].offered += 1;
        if !backlog.enter(who) {
            continue;
        }
        if was_idle {
            was_idle = false;
            take_one(&backlog, who, origin + Duration::from_secs_f64(now));
            free_at = now + WORK;
            finish(&mut came, now, who, free_at, WORK);
        } else {
            queue.push_back((now, who));
        }
    }
    for came in &mut came {
        came.busy /= now;
        came.took.sort_by(f64::total_cmp);
    }
    came
}

fn take_one(backlog: &Backlog, who: Share, now: Instant) {
    backlog.leave(who);
    backlog.taken(1, now);
}

fn finish(came: &mut [Came; 2], since: f64, who: Share, end: f64, work: f64) {
    let came = &mut came[usize::from(who == OTHER)];
    came.took.push((end - since) / work);
    came.busy += work;
}

#[test]
fn at_twice_and_at_ten_times_the_capacity_who_is_let_in_takes_as_long_as_on_a_busy_day() {
    let [busy_day, _] = passwords(0.8, 0);
    for times in [2.0, 10.0] {
        let [came, _] = passwords(times, 0);
        let (middle, most) = (came.quantile(0.5), came.quantile(0.99));
        assert!(middle < 2.1 && middle < busy_day.quantile(0.5) + 0.5, "{times}: {middle}");
        assert!(most < busy_day.quantile(0.99) + 1.5, "{times}: {most}");
        assert!(came.busy > 0.95, "{times}: at work for {} of the time", came.busy);
    }
}

#[test]
fn while_there_is_not_too_much_nearly_all_are_let_in() {
    // by chance there are bursts of more than the queue holds
    for (times, part) in [(0.3, 0.995), (0.5, 0.98), (0.8, 0.9)] {
        let [came, _] = passwords(times, 0);
        assert!(came.let_in() > part, "{times}: {}", came.let_in());
    }
}

#[test]
fn one_who_asks_without_end_does_not_keep_the_others_out() {
    let [flood, others] = passwords(10.0, 400);
    assert!(flood.let_in() < 0.11, "{}", flood.let_in());
    assert!(others.let_in() > 0.9, "{}", others.let_in());
    assert!(others.quantile(0.99) < 4.0, "{}", others.quantile(0.99));
}
