//! The engine for more than one process or machine: PostgreSQL. A few lanes, each a thread with a connection, batch the scripts that
//! write into serializable transactions; readers have connections of their own. A conflict runs the scripts again; a connection
//! lost during a commit is never guessed about: the server that comes next is asked what became of the transaction.

mod connection;
mod hosts;
mod news;
mod reach;
mod row;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::engine::{Effect, Engine, Queue, Script, StoreError, Turns, Tx, Value, Verdict, queue, wait_for};
use super::migrate::Purpose;
use connection::{Connection, Lost, Mark};
use hosts::Hosts;
use reach::Reach;
use row::PostgresRow;

/// As many scripts as one commit may carry.
const BATCH_MAX: usize = 256;
/// As many scripts as may wait in a burst, for each lane and for the readers together; fewer where they do not catch up.
const WAITING_MAX: usize = 4096;
/// Lanes that write. Each batches what arrives while it commits, so few suffice.
const LANES: usize = 2;
/// Threads that read.
const READERS: usize = 8;
/// How long a script may be run again before its caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before a server is asked again what became of a commit.
const OUTCOME_PAUSE: Duration = Duration::from_millis(50);
/// Any number that nobody else locks: "kilonova" on a telephone's keys.
const MIGRATION_LOCK: i64 = 5_456_682;

type Listener = Box<dyn Fn(Effect) + Send + Sync>;

/// A PostgreSQL database.
pub struct Postgres {
    news: news::Listening,
    lanes: Vec<Queue>,
    next_lane: std::sync::atomic::AtomicUsize,
    readers: Queue,
    threads: Mutex<Vec<JoinHandle<()>>>,
    listener: Arc<OnceLock<Listener>>,
}

impl Postgres {
    /// Connects to `postgres://user@host1,host2/database`. Several hosts are tried in turn for one that accepts writes.
    ///
    /// # Errors
    /// `Unavailable` where the URL cannot be read or no host answers.
    pub fn open(url: &str) -> Result<Postgres, StoreError> {
        let hosts = Hosts::of(url)?;
        // the first connection shows now, and not at the first request, that the URL is good
        drop(Connection::open(&hosts)?);
        let reach: Arc<Reach> = Arc::default();
        let listener: Arc<OnceLock<Listener>> = Arc::default();
        let mut threads = Vec::new();
        let mut lanes = Vec::new();
        for number in 0..LANES {
            let (queue, turns) = queue(WAITING_MAX, 2 * BATCH_MAX);
            let lane = Lane::new(&hosts, Connection::open_for_writing, &reach, &listener);
            threads.push(spawn(format!("postgres-lane-{number}"), move || lane.write_batches(&turns))?);
            lanes.push(queue);
        }
        let (readers, turns) = queue(WAITING_MAX, 2 * READERS);
        let turns = Arc::new(Mutex::new(turns));
        for number in 0..READERS {
            let lane = Lane::new(&hosts, Connection::open, &reach, &listener);
            let turns = turns.clone();
            threads.push(spawn(format!("postgres-reader-{number}"), move || lane.read_each(&turns))?);
        }
        let news = news::listen(hosts, listener.clone())?;
        Ok(Postgres { news, lanes, next_lane: Default::default(), readers, threads: Mutex::new(threads), listener })
    }
}

/// Waits until no other process brings the schema up to date, and keeps them waiting until the connection is dropped. What
/// this engine keeps for itself is made here.
///
/// # Errors
/// `Unavailable` where no server answers.
pub fn alone(url: &str, purpose: Purpose) -> Result<impl Send + use<>, StoreError> {
    let mut connection = Connection::open(&Hosts::of(url)?)?;
    connection.be_patient().map_err(|lost| lost.as_error())?;
    connection.query("SELECT pg_advisory_lock($1)", &[MIGRATION_LOCK.into()]).map_err(|lost| lost.as_error())?;
    if purpose != Purpose::Look {
        connection.plain(connection::MARKS).map_err(|lost| lost.as_error())?;
    }
    Ok(connection)
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let started = std::thread::Builder::new().name(name).spawn(work);
    started.map_err(|error| StoreError::Unavailable(error.to_string()))
}

impl Engine for Postgres {
    fn read(&self, script: Box<dyn Script>) {
        self.readers.put(script);
    }

    fn write(&self, script: Box<dyn Script>) {
        let turn = self.next_lane.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.lanes[turn % self.lanes.len()].put(script);
    }

    fn on_effect(&self, listener: Listener) {
        assert!(self.listener.set(listener).is_ok(), "effects have one listener, named once at start-up");
    }

    fn close(&self) {
        self.news.stop();
        self.lanes.iter().chain([&self.readers]).for_each(Queue::close);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            wait_for(thread);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.close();
    }
}

type Open = fn(&Hosts) -> Result<Connection, StoreError>;

/// A thread's connection, made when it is needed and again when it is lost.
struct Lane {
    hosts: Hosts,
    open: Open,
    connection: Option<Connection>,
    reach: Arc<Reach>,
    listener: Arc<OnceLock<Listener>>,
}

/// What is known of a batch when all of its scripts have run.
#[derive(Default)]
struct Run {
    panicked: Vec<bool>,
    effects: Vec<Effect>,
    changed: bool,
}

/// Why a batch was not kept.
enum Failure {
    /// Nothing of it was kept: it may be run again.
    Again(StoreError),
    /// Nothing of it was kept because of one of its scripts, or because it took too long; the others may be luckier alone.
    Spoilt(StoreError),
    /// Nothing of it was kept as far as is known, and running it again would not help.
    Final(StoreError),
}

impl Lane {
    fn new(hosts: &Hosts, open: Open, reach: &Arc<Reach>, listener: &Arc<OnceLock<Listener>>) -> Lane {
        Lane { hosts: hosts.clone(), open, connection: None, reach: reach.clone(), listener: listener.clone() }
    }

    fn write_batches(mut self, turns: &Turns) {
        while let Some(batch) = turns.take(BATCH_MAX) {
            if !batch.is_empty() {
                self.write_patiently(batch, Instant::now() + PATIENCE);
            }
        }
    }

    fn read_each(mut self, turns: &Mutex<Turns>) {
        loop {
            let taken = turns.lock().unwrap_or_else(PoisonError::into_inner).take(1);
            let Some(taken) = taken else { return };
            // none where it has waited too long
            let Some(mut script) = taken.into_iter().next() else { continue };
            let deadline = Instant::now() + PATIENCE;
            let outcome = loop {
                match self.read_once(script.as_mut()) {
                    Err(Failure::Again(_)) if Instant::now() < deadline => {}
                    Err(Failure::Again(error) | Failure::Spoilt(error) | Failure::Final(error)) => break Err(error),
                    Ok(()) => break Ok(()),
                }
            };
            script.finish(outcome);
        }
    }

    /// Runs a batch until it is kept. One that conflicts, or that one of its scripts spoils, is run in halves, so that one script does
    /// not hold up the others.
    fn write_patiently(&mut self, mut batch: Vec<Box<dyn Script>>, deadline: Instant) {
        loop {
            match self.write_once(&mut batch) {
                Ok(panicked) => return finish_all(batch, &panicked),
                Err(Failure::Again(StoreError::Conflict(_)) | Failure::Spoilt(_))
                    if batch.len() > 1 && Instant::now() < deadline =>
                {
                    let rest = batch.split_off(batch.len() / 2);
                    self.write_patiently(batch, deadline);
                    return self.write_patiently(rest, deadline);
                }
                Err(Failure::Again(_)) if Instant::now() < deadline => {}
                Err(Failure::Again(error) | Failure::Spoilt(error) | Failure::Final(error)) => {
                    batch.into_iter().for_each(|script| script.finish(Err(error.clone())));
                    return;
                }
            }
        }
    }

    /// Runs a batch and commits it.
    fn write_once(&mut self, batch: &mut [Box<dyn Script>]) -> Result<Vec<bool>, Failure> {
        let mut run = Run::default();
        let outcome = write_batch(self.connected()?, batch, &mut run);
        match outcome {
            Ok(()) => {}
            Err(Lost::Commit { mark, text }) => self.hear_of_commit(&mark, text)?,
            Err(lost) => return Err(self.recover(lost)),
        }
        if let Some(listener) = self.listener.get() {
            run.effects.into_iter().for_each(listener);
        }
        Ok(run.panicked)
    }

    fn read_once(&mut self, script: &mut dyn Script) -> Result<(), Failure> {
        let connection = self.connected()?;
        let outcome = read(connection, script);
        outcome.map_err(|lost| self.recover(lost))
    }

    fn connected(&mut self) -> Result<&mut Connection, Failure> {
        if self.connection.is_none() {
            let unavailable = |why| Failure::Final(StoreError::Unavailable(why));
            self.reach.may_try(Instant::now()).map_err(unavailable)?;
            match (self.open)(&self.hosts) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    self.reach.failed(&error.to_string(), Instant::now());
                    return Err(Failure::Final(error));
                }
            }
            self.reach.succeeded();
        }
        Ok(self.connection.as_mut().expect("it was made in the lines before"))
    }

    /// Puts the connection into a usable state, or gives it up; and finds out what became of a commit that was not answered.
    fn recover(&mut self, lost: Lost) -> Failure {
        match lost {
            Lost::Conflict(text) => self.rolled_back(Failure::Again(StoreError::Conflict(text))),
            Lost::Refused(error) => self.rolled_back(Failure::Spoilt(error)),
            Lost::Connection(text) => {
                self.connection = None;
                Failure::Again(StoreError::Unavailable(text))
            }
            Lost::Commit { text, .. } => Failure::Final(StoreError::Unavailable(text)),
        }
    }

    /// The connection broke while a commit was under way: asks the server that answers next what became of it.
    fn hear_of_commit(&mut self, mark: &Mark, text: String) -> Result<(), Failure> {
        self.connection = None;
        let unknown = || {
            let sentence = format!("the connection was lost during a commit, and its outcome is not known: {text}");
            Failure::Final(StoreError::Unavailable(sentence))
        };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            // a server that restarts, or a standby that takes over, needs a moment
            let Ok(next) = self.connected() else {
                std::thread::sleep(OUTCOME_PAUSE);
                continue;
            };
            match next.was_committed(mark) {
                Ok(Some(true)) => return Ok(()),
                Ok(Some(false)) => return Err(Failure::Again(StoreError::Unavailable(text))),
                Ok(None) => return Err(unknown()),
                Err(_) => self.connection = None,
            }
        }
        Err(unknown())
    }

    fn rolled_back(&mut self, failure: Failure) -> Failure {
        let is_usable = self.connection.as_mut().is_some_and(|connection| connection.rollback().is_ok());
        if !is_usable {
            self.connection = None;
        }
        failure
    }
}

fn finish_all(batch: Vec<Box<dyn Script>>, panicked: &[bool]) {
    for (script, panicked) in batch.into_iter().zip(panicked) {
        script.finish(if *panicked { Err(StoreError::Defect("a script panicked".into())) } else { Ok(()) });
    }
}

/// One commit for many scripts, each in a savepoint of its own.
fn write_batch(connection: &mut Connection, batch: &mut [Box<dyn Script>], run: &mut Run) -> Result<(), Lost> {
    connection.plain("BEGIN ISOLATION LEVEL SERIALIZABLE")?;
    for script in batch {
        connection.plain("SAVEPOINT script")?;
        let mut tx = PostgresTx { connection, effects: Vec::new(), changed: false, lost: None };
        let verdict = catch_unwind(AssertUnwindSafe(|| script.run(&mut tx)));
        let PostgresTx { effects, changed, lost, .. } = tx;
        if let Some(lost) = lost {
            return Err(lost);
        }
        run.panicked.push(verdict.is_err());
        match verdict {
            Ok(Verdict::Commit) => {
                run.effects.extend(effects);
                run.changed |= changed;
            }
            Ok(Verdict::Undo) | Err(_) => connection.plain("ROLLBACK TO SAVEPOINT script")?,
        }
        connection.plain("RELEASE SAVEPOINT script")?;
    }
    run.effects.dedup();
    if run.effects.contains(&Effect::IdentityChanged) {
        connection.plain(&format!("NOTIFY {}", news::CHANNEL))?;
    }
    // a transaction that changed nothing has no outcome to be unsure of
    if run.changed { connection.commit_marked() } else { connection.plain("COMMIT") }
}

fn read(connection: &mut Connection, script: &mut dyn Script) -> Result<(), Lost> {
    connection.plain("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let mut tx = PostgresTx { connection, effects: Vec::new(), changed: false, lost: None };
    let verdict = catch_unwind(AssertUnwindSafe(|| script.run(&mut tx)));
    if let Some(lost) = tx.lost {
        return Err(lost);
    }
    connection.plain("ROLLBACK")?;
    match verdict {
        Ok(_) => Ok(()),
        Err(_) => Err(Lost::Refused(StoreError::Defect("a script panicked".into()))),
    }
}

/// A transaction as a script sees it. After an error PostgreSQL takes no more statements until the savepoint is undone, so a script
/// that met one must answer it; what the error means for the whole batch is remembered here, whatever the script makes of it.
struct PostgresTx<'a> {
    connection: &'a mut Connection,
    effects: Vec<Effect>,
    changed: bool,
    lost: Option<Lost>,
}

impl PostgresTx<'_> {
    fn note(&mut self, lost: Lost) -> StoreError {
        let error = lost.as_error();
        if !matches!(lost, Lost::Refused(StoreError::Duplicate(_) | StoreError::Unstorable | StoreError::Defect(_))) {
            self.lost.get_or_insert(lost);
        }
        error
    }
}

impl Tx for PostgresTx<'_> {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(&dyn super::engine::Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // such as INSERT … RETURNING
        self.changed |= !sql.trim_start().starts_with("SELECT");
        let rows = self.connection.query(sql, parameters).map_err(|lost| self.note(lost))?;
        rows.iter().try_for_each(|row| each(&PostgresRow(row)))
    }

    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        self.changed = true;
        self.connection.execute(sql, parameters).map_err(|lost| self.note(lost))
    }

    fn announce(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}
