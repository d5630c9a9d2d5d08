//! The engine for more than one process or machine: PostgreSQL. One lane, a thread with a connection, batches the scripts that write into
//! serializable transactions; readers have connections of their own. A second lane would be slower: what two of them write meets on the pages
//! of indexes, and more than half of their transactions were run again. A conflict runs the scripts again; a connection
//! lost during a commit is never guessed about: the server that comes next is asked what became of the transaction.

mod batch;
mod connection;
mod encryption;
mod flight;
mod hosts;
mod lane;
mod lost;
mod news;
mod reach;
mod row;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::engine::{Effect, Engine, Script, StoreError, wait_for};
use super::turns::{Queue, queue};
use crate::backlog::Bounds;
use batch::{Kept, Undoing};
use connection::Connection;
use hosts::Hosts;
use lane::{BATCH_MAX, Lane};
use lost::Lost;
use reach::Reach;

/// As many scripts as may wait in a burst, to write and to read; fewer where they do not catch up.
const WAITING_MAX: usize = 4096;
/// How long a script may take in all from its turn on where clients wait for it, with what it is run again, and with asking what became of its
/// commit.
pub const TURN: Duration = Duration::from_secs(10);
/// Threads that read.
const READERS: usize = 8;
/// Any number that nobody else locks: "kilonova" on a telephone's keys.
const MIGRATION_LOCK: i64 = 5_456_682;

type Listener = Box<dyn Fn(Effect) + Send + Sync>;

/// A PostgreSQL database.
pub struct Postgres {
    news: news::Listening,
    writer: Queue,
    readers: Queue,
    threads: Mutex<Vec<JoinHandle<()>>>,
    listener: Arc<OnceLock<Listener>>,
}

impl Postgres {
    /// Connects to `postgres://user@host1,host2/database`. Several hosts are tried in turn for one that accepts writes. Whoever has
    /// their turn is answered within the time `turn`, if there is one: one who looks at all there is has none.
    ///
    /// # Errors
    /// `Unavailable` where the URL cannot be read or no host answers.
    pub fn open(url: &str, turn: Option<Duration>) -> Result<Postgres, StoreError> {
        let hosts = Hosts::of(url)?;
        // the first connection shows now, and not at the first request, that the URL is good
        drop(Connection::open(&hosts)?);
        // where nobody can write there may still be something to read; where one can write, everybody can read
        let (writing, reading): (Arc<Reach>, Arc<Reach>) = Default::default();
        let listener: Arc<OnceLock<Listener>> = Arc::default();
        let mut threads = Vec::new();
        let (writer, turns) = queue(Bounds { burst_max: WAITING_MAX, standing_min: BATCH_MAX / 2, hands: 1 })?;
        let lane =
            Lane::new(&hosts, Connection::open_for_writing, &writing, &listener).and_shows(&reading).within(turn);
        threads.push(spawn("postgres-writer".into(), move || lane.write_batches(&turns))?);
        let (readers, turns) = queue(Bounds { burst_max: WAITING_MAX, standing_min: READERS, hands: READERS })?;
        for number in 0..READERS {
            let lane = Lane::new(&hosts, Connection::open_for_reading, &reading, &listener).within(turn);
            let turns = turns.clone();
            threads.push(spawn(format!("postgres-reader-{number}"), move || lane.read_each(&turns))?);
        }
        let news = news::listen(hosts, listener.clone())?;
        Ok(Postgres { news, writer, readers, threads: Mutex::new(threads), listener })
    }
}

/// Runs a script that brings the schema up to date, while no other process does so: waits for them, and takes as long as it takes. What this
/// engine keeps for itself is made before.
///
/// # Errors
/// `Unavailable` where no server answers.
pub fn write_alone(url: &str, script: Box<dyn Script>) -> Result<(), StoreError> {
    let refused = |lost: Lost| lost.as_error();
    let mut connection = Connection::open(&Hosts::of(url)?)?;
    connection.be_patient().map_err(refused)?;
    connection.query("SELECT pg_advisory_lock($1)", &[MIGRATION_LOCK.into()]).map_err(refused)?;
    connection.plain(connection::MARKS).map_err(refused)?;
    connection.leave_marks().map_err(refused)?;
    let mut batch = [script];
    let outcome = loop {
        match batch::write(&mut connection, &mut batch, (Undoing::All, Instant::now()), &mut Kept::default()) {
            // processes of before may still be at work
            Err(Lost::Conflict(_)) => connection.rollback().map_err(refused)?,
            Err(lost) => break Err(lost.as_error()),
            Ok(()) => break Ok(()),
        }
    };
    let [script] = batch;
    script.finish(outcome);
    Ok(())
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
        self.writer.put(script);
    }

    fn on_effect(&self, listener: Listener) {
        assert!(self.listener.set(listener).is_ok(), "effects have one listener, named once at start-up");
    }

    fn close(&self) {
        self.news.stop();
        [&self.writer, &self.readers].into_iter().for_each(Queue::close);
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
