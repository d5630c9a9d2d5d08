//! The valve and the parts in worlds of their own time, and once with real sockets.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A queue before processors: whether a request is answered or refused is decided when its turn comes, and a refusal costs a thirtieth.
struct World {
    valve: Valve,
    asked: Asked,
    now: Duration,
    /// Requests that came, and those whose turn has come.
    come: f64,
    gone: f64,
    /// When the pulse on its way was sent, and after how many requests it arrives.
    pulse: (Duration, f64),
    /// At each beat, in seconds.
    waits: Vec<f64>,
    answered: f64,
    refused: f64,
    /// How late the machine is whatever is asked.
    noise: Duration,
    /// For how many beats a part was refused.
    shut: u32,
}

const COST: f64 = 0.01;

impl World {
    fn new() -> World {
        World {
            valve: Valve::default(),
            asked: Asked::default(),
            now: Duration::ZERO,
            come: 0.0,
            gone: 0.0,
            pulse: (Duration::ZERO, 0.0),
            waits: Vec::new(),
            answered: 0.0,
            refused: 0.0,
            noise: Duration::ZERO,
            shut: 0,
        }
    }

    /// So many seconds at so many times what the processors can do.
    fn live(&mut self, seconds: u32, times: f64) {
        (0..seconds * 20).for_each(|_| self.beat(times, PULSE));
    }

    /// So many seconds in which nobody's turn comes.
    fn stall(&mut self, seconds: u32, times: f64) {
        (0..seconds * 20).for_each(|_| self.beat(times, Duration::ZERO));
    }

    /// One pulse's time, of which the processors have this much.
    fn beat(&mut self, times: f64, served: Duration) {
        let before = self.valve.part;
        let part = f64::from(before) / f64::from(ALL);
        let cost = part * COST + (1.0 - part) * COST / 30.0;
        self.come += times * PULSE.as_secs_f64() / COST;
        let turns = (self.come - self.gone).min(served.as_secs_f64() / cost);
        self.gone += turns;
        self.answered += turns * part;
        self.refused += turns * (1.0 - part);
        self.now += PULSE;
        let (sent, after) = self.pulse;
        let so_far = self.now - sent;
        let has_arrived = served > Duration::ZERO && self.gone >= after && so_far >= self.noise;
        let waited = if has_arrived { (so_far - PULSE).max(self.noise) } else { so_far };
        let mut counts = [0; Share::COUNT];
        counts[0] = self.gone as u32;
        self.asked.look(before, counts);
        self.valve.turn(Look { sent, waited, has_arrived, is_few: self.asked.is_few(before, FEW) });
        if has_arrived {
            self.pulse = (self.now, self.come);
        }
        self.shut += u32::from(self.valve.part < COUNTED);
        self.waits.push((self.come - self.gone) * cost);
    }
}

fn arrived(sent: Duration, waited: Duration) -> Look {
    Look { sent, waited, has_arrived: true, is_few: false }
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
        valve.turn(Look { sent: SECOND, waited: PULSE * beat, has_arrived: false, is_few: false });
    }
    valve.turn(arrived(SECOND, PAUSE));
    valve.turn(arrived(2 * SECOND, Duration::ZERO));
    assert_eq!(valve.part, ALL);
}

#[test]
fn what_is_still_on_its_way_is_no_sign_of_calm() {
    let mut valve = Valve::default();
    valve.turn(arrived(SECOND, 2 * WAIT));
    valve.turn(Look { sent: 2 * SECOND, waited: PULSE, has_arrived: false, is_few: false });
    valve.turn(Look { sent: 2 * SECOND, waited: 2 * WAIT, has_arrived: false, is_few: false });
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
        assert!(middle < WAIT.as_secs_f64(), "{times}: {middle}");
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
fn at_twice_and_at_ten_times_the_capacity_half_of_all_who_are_let_in_hardly_wait() {
    for times in [2.0, 10.0] {
        let mut world = World::new();
        world.live(60, times);
        let mut late = world.waits.split_off(world.waits.len() / 2);
        late.sort_by(f64::total_cmp);
        assert!(late[late.len() / 2] < WAIT_STANDING.as_secs_f64(), "{times}: {}", late[late.len() / 2]);
    }
}

/// One that a crowd has shut, in a world that is as late as this from then on.
fn shut_and_late(noise: Duration) -> World {
    let mut world = World::new();
    world.live(20, 10.0);
    assert!(world.valve.part < ALL / 4);
    world.noise = noise;
    world
}

#[test]
fn one_who_asks_now_and_then_is_let_in_however_late_the_machine_is() {
    for noise in [60, 300] {
        let mut world = shut_and_late(Duration::from_millis(noise));
        world.live(10, 0.02);
        let (come, refused) = (world.come, world.refused);
        world.live(60, 0.02);
        let part = (world.refused - refused) / (world.come - come);
        assert!(part < 0.01, "{noise}: {part}");
    }
}

#[test]
fn a_wait_that_refusing_does_not_shorten_refuses_nobody() {
    for times in [0.3, 0.8] {
        let mut world = World::new();
        world.live(1, times);
        world.noise = Duration::from_millis(60);
        world.stall(2, times);
        world.live(60, times);
        assert_eq!(world.valve.part, ALL, "{times}");
        assert!(world.refused < 0.05 * world.come, "{times}: {} of {}", world.refused, world.come);
    }
}

#[test]
fn a_stall_in_which_nobodys_turn_comes_refuses_nobody() {
    let mut world = World::new();
    world.live(1, 0.3);
    world.stall(2, 0.3);
    assert_eq!(world.valve.part, COUNTED);
}

#[test]
fn after_a_stall_all_are_soon_let_in_again() {
    for times in [0.05, 0.3] {
        let mut world = World::new();
        world.live(1, times);
        world.stall(2, times);
        let shut = world.shut;
        world.live(10, times);
        assert!(world.shut - shut < 20, "{times}: {} beats", world.shut - shut);
    }
}

#[test]
fn a_valve_that_is_shut_opens_quickly_and_with_care_at_the_end() {
    let mut valve = Valve { part: PART_MIN, ..Valve::default() };
    for beat in 1..=11 {
        valve.turn(arrived(beat * PULSE, Duration::ZERO));
    }
    assert!(valve.part > ALL / 10 * 3, "{}", valve.part);
    for beat in 12..=36 {
        valve.turn(arrived(beat * PULSE, Duration::ZERO));
    }
    assert_eq!(valve.part, ALL);
}

#[test]
fn who_asks_for_little_is_let_in_and_who_asks_for_most_is_refused() {
    let (flood, other) = (Share::of("flood"), Share::OWN);
    let (pressure, mut asked) = (Pressure::default(), Asked::default());
    let ask = |share, times: u32| (0..times).filter(|_| pressure.lets_in(|| share)).count();
    for _ in 0..40 {
        asked.look(ALL / 4, pressure.counts());
        pressure.let_in_of_each(ALL / 4, &asked);
        ask(flood, 1000);
        ask(other, 10);
    }
    assert_eq!(ask(other, 100), 100);
    // a quarter of 1010, without the ten that the other has
    let of_flood = ask(flood, 1000);
    assert!((230..=255).contains(&of_flood), "{of_flood}");
    pressure.let_in_of_each(ALL, &asked);
    assert_eq!(ask(flood, 100), 100);
}

#[test]
fn where_all_ask_for_the_same_each_has_the_same_part() {
    let mut asked = Asked::default();
    asked.look(ALL / 4, [0; Share::COUNT]);
    asked.look(ALL / 4, [100; Share::COUNT]);
    let parts = asked.parts(ALL / 4);
    assert!(parts.iter().all(|part| part.abs_diff(ALL / 4) < 2), "{parts:?}");
}

#[test]
fn of_any_few_requests_about_the_part_is_let_in() {
    let pressure = Pressure::default();
    pressure.let_in(0.25);
    let let_in = (0..100).filter(|_| pressure.lets_in(|| Share::OWN)).count();
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
