//! The thread that writes: one commit for many scripts, and what becomes of each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::checkpoint::LogKeeper;
use super::heal::{self, Wound};
use super::readers::Readers;
use super::{Listener, SqliteTx, connect, run_plain, trouble};
use crate::store::engine::{Effect, Script, StoreError, Verdict};
use crate::store::turns::Turns;

/// As many scripts as one commit may carry; more wait for the next.
const BATCH_MAX: usize = 1024;

/// How long a start waits until what an earlier server has left behind is healed.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Whether anybody else may have the file.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Standing {
    /// Nobody else writes: the data directory is this process's.
    Owner,
    /// A server may be at it.
    Guest,
}

/// The only one who writes to the file.
pub(super) struct Writer {
    path: PathBuf,
    standing: Standing,
    /// There, but for a disk that fails at the moment at which it is opened anew.
    connection: Option<Connection>,
    /// There, while the disk is well.
    log: Option<LogKeeper>,
    readers: Arc<Readers>,
    listener: Arc<OnceLock<Listener>>,
    /// There, while it is not.
    wound: Option<Wound>,
    page_bytes: u64,
    /// How often it was healed, and failed again before anything was written.
    healed_in_vain: Option<u32>,
    /// How long the first write may wait for what an earlier server has left behind.
    start_patience: Option<Duration>,
}

impl Writer {
    /// Opens the file.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be opened, is locked by another process, or is not a database.
    pub(super) fn open(
        path: &Path,
        standing: Standing,
        readers: Arc<Readers>,
        listener: Arc<OnceLock<Listener>>,
    ) -> Result<Writer, StoreError> {
        let mut connection = connect(path)?;
        let bytes: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(trouble)?;
        let page_bytes = bytes.unsigned_abs();
        let wound = match standing {
            Standing::Owner => Wound::left_behind(path, &connection, page_bytes)?,
            Standing::Guest => None,
        };
        // A guest does not know how the disk is for whoever writes: what it moved into the file might be the only copy. Nor does a
        // server before it has healed what was left behind.
        let log = match (standing, &wound) {
            (Standing::Owner, None) => Some(LogKeeper::start(&mut connection, path, readers.clone())?),
            (Standing::Owner, Some(_)) | (Standing::Guest, _) => None,
        };
        Ok(Writer {
            path: path.to_owned(),
            standing,
            connection: Some(connection),
            log,
            readers,
            listener,
            wound,
            page_bytes,
            healed_in_vain: None,
            start_patience: Some(START_PATIENCE),
        })
    }

    /// Writes until nobody can ask for it any more.
    pub(super) fn work(mut self, turns: &Turns) {
        while let Some(batch) = turns.take_within(self.wound.as_ref().map(|_| heal::TRY_EVERY), BATCH_MAX) {
            self.try_to_heal();
            if !batch.is_empty() {
                self.wait_for_a_start();
                self.write(batch);
            }
            if let (Some(log), Some(connection)) = (&self.log, &self.connection) {
                log.look_after(connection);
            }
        }
        self.close();
    }

    /// The first who writes after a start waits until what an earlier server has left behind is healed: whoever starts a server has it end
    /// where it cannot write, and somebody who reads, or a disk that is slow to come back, is no reason for that.
    fn wait_for_a_start(&mut self) {
        let Some(patience) = self.start_patience.take() else { return };
        let until = Instant::now() + patience;
        while self.wound.is_some() && Instant::now() < until {
            std::thread::sleep(heal::TRY_EVERY);
            self.try_to_heal();
        }
    }

    /// The disk has failed: nothing is written from here on, and what was not acknowledged goes.
    pub(super) fn note_wound(&mut self, error: &StoreError) {
        // a guest does not know what of the log is acknowledged
        if self.wound.is_none() && self.standing == Standing::Owner {
            // its thread would go on to move the log, and empty it, beside the one who counts what is in it
            let known = self.log.take().map(LogKeeper::end);
            let is_in_vain = known.as_ref().is_some_and(|known| !known.has_commits);
            self.healed_in_vain = self.healed_in_vain.map(|times| if is_in_vain { times + 1 } else { 0 });
            let wound = Wound::new(&self.path, self.connection.as_ref(), self.page_bytes, known, error);
            self.wound = Some(wound.that_waits(self.healed_in_vain.unwrap_or(0)));
        }
    }

    pub(super) fn try_to_heal(&mut self) {
        if let Some(error) = self.log.as_ref().and_then(LogKeeper::trouble) {
            self.note_wound(&error);
        }
        let Some(wound) = &mut self.wound else { return };
        match wound.heal(&self.path, &mut self.connection, &self.readers) {
            Ok(Some(log)) => {
                self.log = Some(log);
                self.wound = None;
                self.healed_in_vain.get_or_insert(0);
            }
            Ok(None) => {}
            Err(error) => wound.stays(&error),
        }
    }

    /// One commit for many scripts. A script that fails undoes its own changes only; a commit that fails keeps nothing of anybody.
    pub(super) fn write(&mut self, mut batch: Vec<Box<dyn Script>>) {
        let mut effects = Vec::new();
        let outcome = match (&self.wound, &self.connection) {
            (None, Some(connection)) => commit(connection, &mut batch, &mut effects, &self.readers),
            (Some(wound), _) => Err(Failure::Whole(wound.error())),
            (None, None) => Err(Failure::Whole(StoreError::Unavailable("it could not be opened".into()))),
        };
        match outcome {
            Err(Failure::Spoilt(_)) if batch.len() > 1 => {
                let rest = batch.split_off(batch.len() / 2);
                self.write(batch);
                self.write(rest);
            }
            Err(failure) => {
                let error = failure.into_error();
                if let StoreError::DiskFails(_) = error {
                    // before anybody is told that it was not done
                    self.note_wound(&error);
                }
                batch.into_iter().for_each(|script| script.finish(Err(error.clone())));
            }
            Ok(panicked) => {
                if let Some(listener) = self.listener.get() {
                    effects.dedup();
                    effects.into_iter().for_each(listener);
                }
                for (script, panicked) in batch.into_iter().zip(panicked) {
                    script.finish(if panicked { Err(StoreError::Defect("a script panicked".into())) } else { Ok(()) });
                }
            }
        }
    }

    /// What the writer's connection does, or is told, in a test.
    #[cfg(test)]
    pub(super) fn with_connection(&mut self, act: impl FnOnce(&mut Connection, Option<&LogKeeper>)) {
        act(self.connection.as_mut().expect("it is open"), self.log.as_ref());
    }

    /// Moves the log into the file and removes it, where the disk is well and nobody else has the database open.
    fn close(mut self) {
        self.readers.close();
        // asked when its thread has ended, which may be told of a failure until then
        let is_well = self.wound.is_none() && self.log.take().is_some_and(|log| log.ended_well());
        if let Some(connection) = self.connection.take().filter(|_| is_well) {
            // where this is refused the next start reads the log
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        }
    }
}

/// Commits a batch, or nothing of it; says of each script whether it panicked.
fn commit(
    connection: &Connection,
    batch: &mut [Box<dyn Script>],
    effects: &mut Vec<Effect>,
    readers: &Readers,
) -> Result<Vec<bool>, Failure> {
    let mut outcome = commit_batch(connection, batch, effects, (Undone::Together, readers));
    if let Err(Failure::HalfDone) = outcome {
        give_up(connection);
        effects.clear();
        outcome = commit_batch(connection, batch, effects, (Undone::Alone, readers));
    }
    if outcome.is_err() {
        give_up(connection);
    }
    outcome
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
    let kept = connection.prepare_cached("COMMIT").and_then(|mut statement| statement.raw_execute());
    // even a commit that failed may have been kept
    readers.committed();
    kept.map_err(|error| Failure::Whole(uncertain(error)))?;
    Ok(panicked)
}

/// Why a commit failed. Its pages may be in the log by then, with the mark that makes them a commit, whatever came of it after that: a
/// want of memory, or an index that is damaged. So it is as if the disk had failed, but for what stops it before that mark is written.
fn uncertain(error: rusqlite::Error) -> StoreError {
    let is_refused = matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy));
    match trouble(error) {
        error @ StoreError::DiskFails(_) => error,
        error if is_refused => error,
        error => StoreError::DiskFails(format!("a commit may be in the log although it failed: {error}")),
    }
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
