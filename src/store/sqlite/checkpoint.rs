//! Checkpoints: what is in the write-ahead log is moved into the database file by a thread of its own, beside the writer, which would
//! otherwise do it between two commits while everybody waits.
//!
//! SQLite begins the log anew only when all of it has been moved at the moment of a commit. Under steady load the thread alone never gets
//! there: while it moves one piece the next is written. So when the log is long the writer moves the last piece itself, which is short
//! because the thread has moved the rest. A short log is also what keeps a start after a kill short: all of it is read then.
//! What this gains was measured: `docs/decisions`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::readers::Readers;
use super::trouble;
use crate::store::StoreError;

/// How many pages (of 4 KiB) may be in the log before the thread moves them.
const STEP_PAGES: u32 = 500;
/// From how many pages on the writer moves the last piece, if that is short.
const LOG_PAGES: u32 = 8 * STEP_PAGES;
/// What is a short piece: the thread is at work on one step and the next is being written.
const LAST_PAGES: u32 = 2 * STEP_PAGES;
/// From how many pages on the writer moves whatever there is: the thread cannot keep up.
const LOG_PAGES_MAX: u32 = 16 * STEP_PAGES;
/// How long nothing has to be written until the log's file gives its room back.
const IDLE: Duration = Duration::from_secs(2);
/// How long that may wait for those who read.
const GIVING_UP_WAIT: Duration = Duration::from_millis(50);
/// How long the file may be without having to.
const FILE_BYTES_KEPT: u64 = 2 * LOG_PAGES as u64 * 4096;

/// How long the log is, as of the last commit. Each number is only ever a hint of when to look, so their order does not matter.
#[derive(Default)]
struct Log {
    pages: AtomicU32,
    /// How many of them the thread has moved.
    moved: AtomicU32,
    /// How often the log was begun anew.
    beginnings: AtomicU32,
    commits: AtomicU32,
    is_closed: AtomicBool,
    /// Why the disk is not to be trusted, once somebody who moved a part of the log was told.
    trouble: OnceLock<StoreError>,
}

impl Log {
    /// A commit has left so many pages.
    fn committed(&self, pages: u32) {
        if pages < self.pages.swap(pages, Ordering::Relaxed) {
            self.moved.store(0, Ordering::Relaxed);
            self.beginnings.fetch_add(1, Ordering::Relaxed);
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Notes what came of moving. A connection is told once that the disk has not kept something, and moves nothing more after that: what
    /// it would then be told is not about what was lost.
    fn note<T>(&self, outcome: Result<T, StoreError>) -> Option<T> {
        if let Err(error @ StoreError::DiskFails(_)) = &outcome {
            let _ = self.trouble.set(error.clone());
        }
        outcome.ok()
    }

    fn is_over(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed) || self.trouble.get().is_some()
    }

    /// How many pages are still to be moved.
    fn rest(&self) -> u32 {
        self.pages().saturating_sub(self.moved.load(Ordering::Relaxed))
    }
}

/// The writer's part.
pub(super) struct LogKeeper {
    log: Arc<Log>,
    readers: Arc<Readers>,
    /// There, until this is dropped.
    thread: Option<JoinHandle<()>>,
}

impl LogKeeper {
    /// Takes checkpoints over from the writer's connection, and starts the thread.
    ///
    /// # Errors
    /// Where no thread is to be had.
    pub(super) fn start(writer: &mut Connection, path: &Path, readers: Arc<Readers>) -> Result<LogKeeper, StoreError> {
        let log = Arc::new(Log::default());
        log.pages.store(pages_kept(writer)?.0, Ordering::Relaxed);
        let told = log.clone();
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            told.committed(u32::try_from(pages).unwrap_or(0));
            Ok(())
        };
        // SQLite's own checkpoints are such a hook: this one takes its place
        writer.wal_hook(Some(hook)).map_err(trouble)?;
        let (path, known, theirs) = (path.to_owned(), log.clone(), readers.clone());
        let move_in_steps = move || move_in_steps(&path, &known, &theirs);
        let spawned = std::thread::Builder::new().name("sqlite-log".into()).spawn(move_in_steps);
        let thread = spawned.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(LogKeeper { log, readers, thread: Some(thread) })
    }

    /// How many pages of the log are of commits, as of the last: whatever lies behind them is not.
    pub(super) fn pages(&self) -> u32 {
        self.log.pages()
    }

    /// Why the disk is not to be trusted, if it is not.
    pub(super) fn trouble(&self) -> Option<StoreError> {
        self.log.trouble.get().cloned()
    }

    /// After a commit: has the log moved, if it is long; and moves the last of it, if it is very long.
    pub(super) fn look_after(&self, writer: &Connection) {
        if self.log.is_over() {
            return;
        }
        let (pages, rest) = (self.log.pages(), self.log.rest());
        if pages >= LOG_PAGES && rest <= LAST_PAGES || pages >= LOG_PAGES_MAX {
            // where the thread or a reader is in the way, this does nothing, and the next commit tries again
            self.log.note(move_some(writer));
            // whoever began to read while it was moved would be in the way of beginning anew for as long as their state is kept
            self.readers.let_go();
        }
        if rest >= STEP_PAGES {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for LogKeeper {
    fn drop(&mut self) {
        self.log.is_closed.store(true, Ordering::Relaxed);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // it holds nothing that anybody needs
            let _ = thread.join();
        }
    }
}

/// The thread's part.
fn move_in_steps(path: &Path, log: &Log, readers: &Readers) {
    // without a connection the writer does it all, when the log is as long as it may be
    let Ok(connection) = super::connect(path) else { return };
    // writers wait while the log is given up, so it does not wait long for readers
    let _ = connection.busy_timeout(GIVING_UP_WAIT);
    let mut commits_before = 0;
    while !log.is_over() {
        if log.rest() >= STEP_PAGES {
            move_step(&connection, log);
        }
        let commits = log.commits.load(Ordering::Relaxed);
        if commits == commits_before {
            shorten(&connection, &log_file(path), log, readers);
        }
        commits_before = commits;
        // once per commit at most: a reader of an old state may keep us from moving anything
        std::thread::park_timeout(IDLE);
    }
}

fn move_step(connection: &Connection, log: &Log) {
    let beginning = log.beginnings.load(Ordering::Relaxed);
    let Some(moved) = log.note(move_some(connection)) else { return };
    if log.beginnings.load(Ordering::Relaxed) == beginning {
        log.moved.store(moved, Ordering::Relaxed);
    }
}

/// Gives the room of a long log back, while nobody writes.
fn shorten(connection: &Connection, file: &Path, log: &Log, readers: &Readers) {
    let is_long = std::fs::metadata(file).is_ok_and(|file| file.len() > FILE_BYTES_KEPT);
    if is_long && log.note(move_some(connection)).is_some() {
        readers.let_go();
        // where somebody reads an old state this fails after a while, and is tried again after the next
        log.note(empty(connection));
    }
}

/// Moves as much of the log as can be moved without anybody waiting; says how many pages of it are moved now.
pub(super) fn move_some(connection: &Connection) -> Result<u32, StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2)).map_err(trouble)
}

/// Moves all of the log and leaves an empty file; says whether nobody was in the way.
pub(super) fn empty(connection: &Connection) -> Result<bool, StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0)).map_err(trouble)
}

/// How many pages of the log are of commits, and how many of these are known to be moved.
pub(super) fn pages_kept(connection: &Connection) -> Result<(u32, u32), StoreError> {
    connection
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
        .map(|(kept, moved)| (kept.max(0) as u32, moved.max(0) as u32))
        .map_err(trouble)
}

pub(super) fn log_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

#[cfg(test)]
mod tests {
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
}
