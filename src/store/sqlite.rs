//! The embedded engine: SQLite in WAL mode with `synchronous=FULL`. One thread writes, in batches: one commit for many scripts,
//! answers after it is durable. A script that fails undoes its own changes only. Another moves the log into the file (`checkpoint`). Readers run on the
//! calling thread, each with a connection of its own.

mod checkpoint;
mod heal;
mod readers;
mod writer;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, ffi, types::ToSqlOutput, types::ValueRef};

use self::readers::Readers;
use self::writer::{Standing, Writer};
use super::engine::{Effect, Engine, Row, Script, StoreError, Tx, Value, wait_for};
use super::turns::{Queue, queue};
use crate::backlog::Bounds;

/// The name of the database in its directory.
pub const FILE: &str = "kilonova.db";
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
        Sqlite::open_as(path, Standing::Owner)
    }

    /// Opens the file to read it, maybe beside a server that writes to it.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_beside(path: &Path) -> Result<Sqlite, StoreError> {
        Sqlite::open_as(path, Standing::Guest)
    }

    fn open_as(path: &Path, standing: Standing) -> Result<Sqlite, StoreError> {
        keep_private(path);
        let readers = Arc::new(Readers::new(path));
        let listener: Arc<OnceLock<Listener>> = Arc::default();
        let writer = Writer::open(path, standing, readers.clone(), listener.clone())?;
        let (queue, turns) = queue(Bounds { burst_max: WAITING_MAX, standing_min: WAITING_STANDING, hands: 1 })?;
        let writer = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || writer.work(&turns))
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
    leave_the_log(&connection)?;
    connection.busy_timeout(LOCK_WAIT).map_err(trouble)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-16000; \
             PRAGMA wal_autocheckpoint=0;",
        )
        .map_err(trouble)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// Has a connection not move the log into the file and remove it when it is closed: that is for the writer of the file to say, who knows
/// how the disk is. To be called before anything is read, because what fails after that closes the connection, too.
pub(super) fn leave_the_log(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(|_| ()).map_err(trouble)
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
        if matches!(error, StoreError::Unavailable(_) | StoreError::DiskFails(_) | StoreError::Damaged(_)) {
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
            // what cannot be read is no less on the disk than before
            ErrorCode::SystemIoFailure if !is_reading(code.extended_code) => {
                StoreError::DiskFails(format!("{text}, SQLite's {}", code.extended_code))
            }
            _ => StoreError::Unavailable(text),
        },
        None => StoreError::Defect(text),
    }
}

fn is_uniqueness(extended_code: i32) -> bool {
    matches!(extended_code, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
}

fn is_reading(extended_code: i32) -> bool {
    matches!(extended_code, ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ)
}

#[cfg(test)]
mod tests;
