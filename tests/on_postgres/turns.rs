//! How long a turn may take: whoever clients wait for is answered in time, whatever is asked; who looks at all there is has all the time there is;
//! and a batch that takes too long keeps what it has done.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use kilonova::store::engine::{Engine, Script, StoreError, Tx, Verdict};
use kilonova::store::postgres::{self, Postgres};

use crate::cluster::Cluster;

/// Longer than anything here takes; only a failing test waits so long.
const LONG: Duration = Duration::from_secs(30);

/// Takes so long, and adds a row.
struct Adds {
    number: i64,
    takes: Duration,
    told: Sender<(i64, Result<(), StoreError>)>,
}

impl Script for Adds {
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
        std::thread::sleep(self.takes);
        let added = tx.execute("INSERT INTO rows (number) VALUES ($1)", &[self.number.into()]);
        added.map_or(Verdict::Undo, |_| Verdict::Commit)
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let _ = self.told.send((self.number, outcome));
    }
}

fn engine(cluster: &Cluster, turn: Option<Duration>) -> Postgres {
    Postgres::open(&cluster.url(), turn).expect("a server that was just started")
}

fn with_rows() -> Cluster {
    let cluster = Cluster::start();
    let opened = Postgres::open(&cluster.url(), Some(postgres::TURN)).expect("a server that was just started");
    cluster.sql("CREATE TABLE rows (number BIGINT NOT NULL)");
    cluster.sql("CREATE TABLE commit_marks (connection TEXT PRIMARY KEY, number BIGINT NOT NULL, seen TIMESTAMPTZ NOT NULL DEFAULT now())");
    opened.close();
    cluster
}

/// Has a script for each of these times wait; their numbers are those of their places.
fn adding(engine: &Postgres, times: &[Duration]) -> Receiver<(i64, Result<(), StoreError>)> {
    let (told, hears) = channel();
    for (number, takes) in (0..).zip(times) {
        engine.write(Box::new(Adds { number, takes: *takes, told: told.clone() }));
    }
    hears
}

fn rows(cluster: &Cluster) -> String {
    cluster.sql("SELECT count(*) FROM rows").trim().to_owned()
}

#[test]
fn where_no_time_is_left_a_turn_is_no_service_and_the_server_is_not_blamed_for_it() {
    let cluster = with_rows();
    let hasty = engine(&cluster, Some(Duration::ZERO));
    for _ in 0..2 {
        let (_, outcome) = adding(&hasty, &[Duration::ZERO]).recv_timeout(LONG).expect("an answer");
        let Err(StoreError::Unavailable(why)) = outcome else { panic!("{outcome:?}") };
        // each tried for itself: nobody was told that the server is away
        assert!(why.contains("no time is left"), "{why}");
    }
    assert_eq!(rows(&cluster), "0");
}

#[test]
fn who_looks_at_all_there_is_may_take_longer_than_a_turn() {
    let (cluster, takes) = (with_rows(), Duration::from_secs(1));
    let hasty = engine(&cluster, Some(takes / 2));
    let (_, outcome) = adding(&hasty, &[takes]).recv_timeout(LONG).expect("an answer");
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert_eq!(rows(&cluster), "0");
    let patient = engine(&cluster, None);
    let (_, outcome) = adding(&patient, &[takes]).recv_timeout(LONG).expect("an answer");
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(rows(&cluster), "1");
}

#[test]
fn a_batch_that_takes_too_long_keeps_what_it_has_done_and_refuses_the_rest() {
    let cluster = with_rows();
    let engine = engine(&cluster, Some(Duration::from_secs(4)));
    // the first keeps the thread until the others wait behind it together; the second takes the half of a turn that is for running
    let half = Duration::from_secs(2);
    let hears = adding(&engine, &[half / 4, half, Duration::ZERO, Duration::ZERO]);
    let outcomes: Vec<_> = (0..4).map(|_| hears.recv_timeout(LONG).expect("an answer")).collect();
    let kept: Vec<i64> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(number, _)| *number).collect();
    assert_eq!(kept, [0, 1], "{outcomes:?}");
    assert!(outcomes[2..].iter().all(|(_, outcome)| matches!(outcome, Err(StoreError::Overloaded))), "{outcomes:?}");
    assert_eq!(rows(&cluster), "2");
}
