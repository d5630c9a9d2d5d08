//! The valve and the parts in worlds of their own time, and once with real sockets.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A queue before processors: whether a request is answered or refused is decided when its turn comes, and a refusal costs a thirtieth.
struct World {
    valve: Valve,
    now: Duration,
    /// Requests that came, and those whose turn has come.
    come: f64,
    gone: f64,
    /// When the pulse on its way was sent, and after how many requests it arrives.
    pulse: (Duration, f64),
    /// At each beat, in seconds.
    waits: Vec<f64>,
    answered: f64,
}

const COST: f64 = 0.01;

impl World {
    fn new() -> World {
        let (valve, now) = (Valve::default(), Duration::ZERO);
        World { valve, now, come: 0.0, gone: 0.0, pulse: (now, 0.0), waits: Vec::new(), answered: 0.0 }
    }

    /// So many seconds at so many times what the processors can do.
    fn live(&mut self, seconds: u32, times: f64) {
        let beat = PULSE.as_secs_f64();
        for _ in 0..seconds * 20 {
            let part = f64::from(self.valve.part) / f64::from(ALL);
            let cost = part * COST + (1.0 - part) * COST / 30.0;
            self.come += times * beat / COST;
            let turns = (self.come - self.gone).min(beat / cost);
            self.gone += turns;
            self.answered += turns * part;
            self.now += PULSE;
            let (sent, after) = self.pulse;
            let has_arrived = self.gone >= after;
            let so_far = self.now - sent;
            let waited = if has_arrived { so_far - PULSE } else { so_far };
            self.valve.turn(Look { sent, waited, has_arrived });
            if has_arrived {
                self.pulse = (self.now, self.come);
            }
            self.waits.push((self.come - self.gone) * cost);
        }
    }
}

fn arrived(sent: Duration, waited: Duration) -> Look {
    Look { sent, waited, has_arrived: true }
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
        valve.turn(Look { sent: SECOND, waited: PULSE * beat, has_arrived: false });
    }
    valve.turn(arrived(SECOND, PAUSE));
    valve.turn(arrived(2 * SECOND, Duration::ZERO));
    assert_eq!(valve.part, ALL);
}

#[test]
fn what_is_still_on_its_way_is_no_sign_of_calm() {
    let mut valve = Valve::default();
    valve.turn(arrived(SECOND, 2 * WAIT));
    valve.turn(Look { sent: 2 * SECOND, waited: PULSE, has_arrived: false });
    valve.turn(Look { sent: 2 * SECOND, waited: 2 * WAIT, has_arrived: false });
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

#[test]
fn who_asks_for_little_is_let_in_and_who_asks_for_most_is_refused() {
    let (flood, other) = (Share::of("flood"), Share::OWN);
    let (pressure, mut asked) = (Pressure::default(), Asked::default());
    let ask = |share, times: u32| (0..times).filter(|_| pressure.lets_in(|| share)).count();
    for _ in 0..40 {
        pressure.let_in_of_each(ALL / 4, &mut asked);
        ask(flood, 1000);
        ask(other, 10);
    }
    assert_eq!(ask(other, 100), 100);
    // a quarter of 1010, without the ten that the other has
    let of_flood = ask(flood, 1000);
    assert!((230..=255).contains(&of_flood), "{of_flood}");
    pressure.let_in_of_each(ALL, &mut asked);
    assert_eq!(ask(flood, 100), 100);
}

#[test]
fn where_all_ask_for_the_same_each_has_the_same_part() {
    let mut asked = Asked::default();
    asked.parts([0; Share::COUNT], ALL / 4);
    let parts = asked.parts([100; Share::COUNT], ALL / 4);
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
