//! The embedded engine: SQLite in WAL mode with `synchronous=FULL`. One thread writes, in batches: one commit for many scripts,
//! answers after it is durable. A script that fails undoes its own changes only. Another moves the log into the file (`checkpoint`). Readers run on the
//! calling thread, each with a connection of its own.

mod checkpoint;
mod readers;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, types::ToSqlOutput, types::ValueRef};

use self::checkpoint::LogKeeper;
use self::readers::Readers;
use super::engine::{Effect, Engine, Row, Script, StoreError, Tx, Value, Verdict, wait_for};
use super::turns::{Queue, Turns, queue};
use crate::backlog::Bounds;

/// The name of the database in its directory.
pub const FILE: &str = "kilonova.db";
/// As many scripts as one commit may carry; more wait for the next.
const BATCH_MAX: usize = 1024;
/// As many scripts as may wait for the writer in a burst; fewer where it does not catch up. Beyond it writes are refused.
const WAITING_MAX: usize = 8192;
/// As many as may wait at least, which is as many as a commit then carries: fewer would make a disk whose syncs are slow do little, and
/// more would have everybody wait for the pages of many on one whose writes are.
const WAITING_STANDING: usize = 128;
/// Statements a connection keeps prepared.
const STATEMENTS_KEPT: usize = 256;
/// How long a connection waits for another process that holds the database. Everybody waits with it, so it is short.
const LOCK_WAIT: Duration = Duration::from_secs(2);

type Listener = Box<dyn Fn(Effect) + Send + Sync>;

/// A database file with its writer thread.
pub struct Sqlite {
    queue: Queue,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Readers>,
    listener: Arc<OnceLock<Listener>>,
}

impl Sqlite {
    /// Opens the file, creating it if need be, and starts the writer.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be opened, is locked by another process, or is not a database.
    pub fn open(path: &Path) -> Result<Sqlite, StoreError> {
        keep_private(path);
        let mut connection = connect(path)?;
        let readers = Arc::new(Readers::new(path));
        let log = LogKeeper::start(&mut connection, path, readers.clone())?;
        let listener: Arc<OnceLock<Listener>> = Arc::default();
        let (queue, turns) = queue(Bounds { burst_max: WAITING_MAX, standing_min: WAITING_STANDING, hands: 1 })?;
        let told = Told { listener: listener.clone(), readers: readers.clone() };
        let writer = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_batches(&connection, log, &turns, &told))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Sqlite { queue, writer: Mutex::new(Some(writer)), readers, listener })
    }
}

impl Engine for Sqlite {
    fn read(&self, mut script: Box<dyn Script>) {
        let outcome = self.readers.run(script.as_mut());
        script.finish(outcome);
    }

    fn write(&self, script: Box<dyn Script>) {
        self.queue.put(script);
    }

    fn on_effect(&self, listener: Listener) {
        assert!(self.listener.set(listener).is_ok(), "effects have one listener, named once at start-up");
    }

    fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().expect("nobody panics while holding the writer").take();
        if let Some(writer) = writer {
            wait_for(writer);
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}

/// Password hashes are in the file: it is made for its owner only, and SQLite gives the same mode to the files beside it.
fn keep_private(path: &Path) {
    // where this fails SQLite cannot open it either, and says why
    let _ = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(trouble)?;
    connection.busy_timeout(LOCK_WAIT).map_err(trouble)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-16000;",
        )
        .map_err(trouble)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// Who is told of a commit before those who wait for it.
struct Told {
    listener: Arc<OnceLock<Listener>>,
    readers: Arc<Readers>,
}

fn write_batches(connection: &Connection, log: LogKeeper, turns: &Turns, told: &Told) {
    while let Some(batch) = turns.take(BATCH_MAX) {
        if !batch.is_empty() {
            write_batch(connection, batch, told);
        }
        log.look_after(connection);
    }
}

/// Why a batch was not kept.
#[derive(Clone)]
enum Failure {
    /// One of its scripts met a damaged page: the others do better without it.
    Spoilt(StoreError),
    /// It could not begin, write or commit.
    Whole(StoreError),
    /// One of its scripts failed after it had written, and cannot be undone alone.
    HalfDone,
}

/// How the changes of a script that fails are undone.
#[derive(Clone, Copy, PartialEq)]
enum Undone {
    /// With those of all others, which are then run again. Scripts look before they write, so this hardly ever happens, and while it
    /// does not, nothing is paid for it.
    Together,
    /// Alone: each script has a savepoint, for which every page that it changes is copied.
    Alone,
}

/// One commit for many scripts. A script that fails undoes its own changes only; a commit that fails keeps nothing of anybody.
fn write_batch(connection: &Connection, mut batch: Vec<Box<dyn Script>>, told: &Told) {
    let mut effects = Vec::new();
    let mut outcome = commit_batch(connection, &mut batch, &mut effects, (Undone::Together, &told.readers));
    if let Err(Failure::HalfDone) = outcome {
        give_up(connection);
        effects.clear();
        outcome = commit_batch(connection, &mut batch, &mut effects, (Undone::Alone, &told.readers));
    }
    if outcome.is_err() {
        give_up(connection);
    }
    match outcome {
        Err(Failure::Spoilt(_)) if batch.len() > 1 => {
            let rest = batch.split_off(batch.len() / 2);
            write_batch(connection, batch, told);
            write_batch(connection, rest, told);
        }
        Err(failure) => {
            let error = failure.into_error();
            batch.into_iter().for_each(|script| script.finish(Err(error.clone())));
        }
        Ok(panicked) => {
            if let Some(listener) = told.listener.get() {
                effects.dedup();
                effects.into_iter().for_each(listener);
            }
            for (script, panicked) in batch.into_iter().zip(panicked) {
                script.finish(if panicked { Err(StoreError::Defect("a script panicked".into())) } else { Ok(()) });
            }
        }
    }
}

/// Ends a transaction of which nothing is kept.
fn give_up(connection: &Connection) {
    if !connection.is_autocommit() {
        // where even this fails the connection is of no use, and the next BEGIN says so
        let _ = run_plain(connection, "ROLLBACK");
    }
}

impl Failure {
    /// As those hear it who have waited.
    fn into_error(self) -> StoreError {
        match self {
            Failure::Spoilt(error) | Failure::Whole(error) => error,
            Failure::HalfDone => StoreError::Defect("a script with a savepoint cannot be undone".into()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(_) => Failure::Spoilt(error),
            _ => Failure::Whole(error),
        }
    }
}

/// Says of each script whether it panicked.
fn commit_batch(
    connection: &Connection,
    batch: &mut [Box<dyn Script>],
    effects: &mut Vec<Effect>,
    (undone, readers): (Undone, &Readers),
) -> Result<Vec<bool>, Failure> {
    run_plain(connection, "BEGIN IMMEDIATE").map_err(Failure::Whole)?;
    let mut panicked = Vec::with_capacity(batch.len());
    for script in batch {
        panicked.push(run_one(connection, script.as_mut(), effects, undone)?);
    }
    readers.committing();
    let kept = run_plain(connection, "COMMIT");
    // even a commit that failed may have been kept
    readers.committed();
    kept.map_err(Failure::Whole)?;
    Ok(panicked)
}

/// Runs one script; says whether it panicked.
///
/// # Errors
/// Where the whole transaction cannot go on: the disk is full, the file is damaged, or the script alone cannot be undone.
fn run_one(
    connection: &Connection,
    script: &mut dyn Script,
    effects: &mut Vec<Effect>,
    undone: Undone,
) -> Result<bool, Failure> {
    let has_savepoint = undone == Undone::Alone;
    if has_savepoint {
        run_plain(connection, "SAVEPOINT script")?;
    }
    let mut tx = SqliteTx::new(connection);
    let outcome = catch_unwind(AssertUnwindSafe(|| script.run(&mut tx)));
    let SqliteTx { announced, fatal, has_written, .. } = tx;
    if let Some(error) = fatal {
        return Err(error.into());
    }
    match outcome {
        Ok(Verdict::Commit) => effects.extend(announced),
        Ok(Verdict::Undo) | Err(_) if has_savepoint => run_plain(connection, "ROLLBACK TO script")?,
        Ok(Verdict::Undo) | Err(_) if has_written => return Err(Failure::HalfDone),
        Ok(Verdict::Undo) | Err(_) => {}
    }
    if has_savepoint {
        run_plain(connection, "RELEASE script")?;
    }
    Ok(outcome.is_err())
}

fn run_plain(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.raw_execute()).map(|_| ()).map_err(trouble)
}

struct SqliteTx<'a> {
    connection: &'a Connection,
    announced: Vec<Effect>,
    fatal: Option<StoreError>,
    /// Whether anything but reading was tried.
    has_written: bool,
}

impl<'a> SqliteTx<'a> {
    fn new(connection: &'a Connection) -> SqliteTx<'a> {
        SqliteTx { connection, announced: Vec::new(), fatal: None, has_written: false }
    }

    /// Remembers errors after which the transaction as a whole is lost, whatever the script makes of them.
    fn note(&mut self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::Unavailable(_) | StoreError::Damaged(_)) {
            self.fatal.get_or_insert_with(|| error.clone());
        }
        error
    }

    fn try_query(
        &self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(trouble)?;
        bind(&mut statement, parameters)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(trouble)? {
            each(&SqliteRow(row))?;
        }
        Ok(())
    }

    fn try_execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(trouble)?;
        bind(&mut statement, parameters)?;
        statement.raw_execute().map(|changed| changed as u64).map_err(trouble)
    }
}

impl Tx for SqliteTx<'_> {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.has_written |= !sql.starts_with("SELECT ");
        self.try_query(sql, parameters, each).map_err(|error| self.note(error))
    }

    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        self.has_written = true;
        self.try_execute(sql, parameters).map_err(|error| self.note(error))
    }

    fn announce(&mut self, effect: Effect) {
        self.announced.push(effect);
    }
}

/// SQLite numbers `$1`, `$2`, … by first appearance; that their names and places agree is checked where it costs nobody anything.
fn bind(statement: &mut rusqlite::CachedStatement<'_>, parameters: &[Value<'_>]) -> Result<(), StoreError> {
    for (index, parameter) in parameters.iter().enumerate() {
        debug_assert_eq!(statement.parameter_name(index + 1), Some(format!("${}", index + 1).as_str()));
        statement.raw_bind_parameter(index + 1, parameter).map_err(trouble)?;
    }
    debug_assert_eq!(statement.parameter_count(), parameters.len(), "every parameter is in the statement");
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

struct SqliteRow<'a>(&'a rusqlite::Row<'a>);

impl SqliteRow<'_> {
    fn value(&self, column: usize) -> Result<ValueRef<'_>, StoreError> {
        self.0.get_ref(column).map_err(trouble)
    }
}

impl Row for SqliteRow<'_> {
    fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.value(column)?.as_i64().map_err(|error| StoreError::Damaged(format!("column {column}: {error}")))
    }

    fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.value(column)?.as_str().map_err(|error| StoreError::Damaged(format!("column {column}: {error}")))
    }

    fn is_null(&self, column: usize) -> bool {
        matches!(self.value(column), Ok(ValueRef::Null))
    }
}

/// SQLite's errors in the store's words. What is not known to leave the transaction usable counts as `Unavailable`.
pub(super) fn trouble(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error() {
        Some(code) => match code.code {
            ErrorCode::ConstraintViolation if is_uniqueness(code.extended_code) => StoreError::Duplicate(text),
            ErrorCode::ConstraintViolation
            | ErrorCode::ApiMisuse
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::Unknown
            | ErrorCode::TypeMismatch => StoreError::Defect(text),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged(text),
            _ => StoreError::Unavailable(text),
        },
        None => StoreError::Defect(text),
    }
}

fn is_uniqueness(extended_code: i32) -> bool {
    matches!(extended_code, rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
}

#[cfg(test)]
mod tests;
