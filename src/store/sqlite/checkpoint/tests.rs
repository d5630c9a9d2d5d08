//! The log stays short, and what that costs.

use std::time::Instant;

use super::*;
use crate::store::engine::{Engine, Script, Verdict};
use crate::store::sqlite::Sqlite;
use crate::store::{Store, Tx};

fn write(store: &Sqlite, path: &Path) -> u64 {
    let (reply, answer) = std::sync::mpsc::channel();
    store.write(Box::new(Write(reply)));
    answer.recv_timeout(LONG).expect("an answer").expect("a write");
    std::fs::metadata(log_file(path)).expect("there is a log").len()
}

/// Writes a hundred pages.
struct Write(std::sync::mpsc::Sender<Result<(), StoreError>>);

impl Script for Write {
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
        let text = "x".repeat(400_000);
        let made = tx.execute("CREATE TABLE IF NOT EXISTS t (id BIGINT, items TEXT)", &[]);
        let written = made
            .and_then(|_| tx.execute("DELETE FROM t", &[]))
            .and_then(|_| tx.execute("INSERT INTO t (id, items) VALUES (1, $1)", &[(&text).into()]));
        written.map_or(Verdict::Undo, |_| Verdict::Commit)
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let _ = self.0.send(outcome);
    }
}

/// Longer than anything here takes; only a failing test waits so long.
const LONG: Duration = Duration::from_secs(20);
const MAX_BYTES: u64 = LOG_PAGES_MAX as u64 * 4200;

fn database() -> (tempfile::TempDir, PathBuf, Sqlite) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("kilonova.db");
    let store = Sqlite::open(&path).expect("a fresh database opens");
    (directory, path, store)
}

#[test]
fn the_log_stays_short_however_much_is_written() {
    let (_directory, path, store) = database();
    // three times as much as the log may hold
    for _ in 0..3 * LOG_PAGES_MAX / 100 {
        let bytes = write(&store, &path);
        assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    }
}

#[test]
fn the_log_stays_short_beside_those_who_read_all_the_time() {
    let (_directory, path, store) = database();
    write(&store, &path);
    let is_over = AtomicBool::new(false);
    let longest = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let (reply, answer) = std::sync::mpsc::channel();
                    store.read(Box::new(Read(reply)));
                    let _ = answer.recv_timeout(LONG);
                }
            });
        }
        let longest = (0..6 * LOG_PAGES_MAX / 100).map(|_| write(&store, &path)).max();
        is_over.store(true, Ordering::Relaxed);
        longest
    });
    assert!(longest <= Some(2 * MAX_BYTES), "{longest:?} bytes");
}

/// Reads a page.
struct Read(std::sync::mpsc::Sender<Result<(), StoreError>>);

impl Script for Read {
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
        let _ = tx.number("SELECT count(*) FROM t", &[]);
        Verdict::Commit
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let _ = self.0.send(outcome);
    }
}

#[test]
fn a_reader_who_stays_stops_nobody_and_when_it_is_gone_the_log_is_moved() {
    let (_directory, path, store) = database();
    write(&store, &path);
    let reader = super::super::connect(&path).expect("a connection");
    reader.execute_batch("BEGIN; SELECT count(*) FROM t").expect("a state to hold on to");
    let mut bytes = 0;
    while bytes <= MAX_BYTES {
        bytes = write(&store, &path);
    }
    reader.execute_batch("ROLLBACK").expect("it can let go");
    // one commit moves it, unless the thread is at it, and the next begins it anew: the file no longer grows
    let lengths: Vec<u64> = (0..20).map(|_| write(&store, &path)).collect();
    assert!(!lengths.is_sorted_by(|before, after| before < after), "it grows with each: {lengths:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --release --lib measure_durable -- --ignored --nocapture"]
async fn measure_durable_writes() {
    for clients in [1, 64] {
        println!("{clients} clients: {}", measured(clients).await);
    }
}

async fn measured(clients: u64) -> String {
    const ROWS: u64 = 100_000;
    let (_directory, path, engine) = database();
    let store = Store { engine: Arc::new(engine), share: crate::backlog::Share::OWN };
    let made = |tx: &mut dyn Tx| tx.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, items TEXT NOT NULL)", &[]);
    store.write::<_, StoreError>(made).await.expect("a table");
    for from in (0..ROWS).step_by(1000) {
        let filled = move |tx: &mut dyn Tx| {
            for id in from..from + 1000 {
                tx.execute(
                    "INSERT INTO t (id, items) VALUES ($1, $2)",
                    &[(id as i64).into(), "x".repeat(600).as_str().into()],
                )?;
            }
            Ok::<_, StoreError>(())
        };
        store.write(filled).await.expect("rows");
    }
    let until = Instant::now() + Duration::from_secs(6);
    let loops: Vec<_> = (0..clients)
        .map(|client| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut state = client + 1;
                let mut times = Vec::new();
                while Instant::now() < until {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let (id, items) = ((state >> 33) % ROWS, format!("{state:020}").repeat(30));
                    let began = Instant::now();
                    let script = move |tx: &mut dyn Tx| {
                        tx.execute("UPDATE t SET items = $1 WHERE id = $2", &[(&items).into(), (id as i64).into()])
                    };
                    store.write::<_, StoreError>(script).await.expect("a write");
                    times.push(began.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for one in loops {
        times.extend(one.await.expect("no panic"));
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let log = std::fs::metadata(log_file(&path)).map_or(0, |file| file.len()) >> 20;
    store.close();
    format!(
        "{:.0}/s, ms at 50 % {:.2}, 95 % {:.2}, 99 % {:.2}, 99.9 % {:.2}, max {:.2}; log {log} MiB",
        times.len() as f64 / 6.0,
        at(0.5),
        at(0.95),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}
