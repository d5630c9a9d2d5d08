//! The thread that writes: one commit for many scripts, and what becomes of each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::checkpoint::LogKeeper;
use super::heal::{self, Wound};
use super::readers::Readers;
use super::{Listener, SqliteTx, connect, run_plain};
use crate::store::engine::{Effect, Script, StoreError, Verdict};
use crate::store::turns::Turns;

/// As many scripts as one commit may carry; more wait for the next.
const BATCH_MAX: usize = 1024;

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
        let log = LogKeeper::start(&mut connection, path, readers.clone())?;
        let wound = match standing {
            Standing::Owner => Wound::left_behind(path, &connection, log.pages()),
            Standing::Guest => None,
        };
        let (path, connection, log) = (path.to_owned(), Some(connection), Some(log));
        Ok(Writer { path, standing, connection, log, readers, listener, wound })
    }

    /// Writes until nobody can ask for it any more.
    pub(super) fn work(mut self, turns: &Turns) {
        while let Some(batch) = turns.take_within(self.wound.as_ref().map(|_| heal::TRY_EVERY), BATCH_MAX) {
            self.try_to_heal();
            if !batch.is_empty() {
                self.write(batch);
            }
            if let (Some(log), Some(connection)) = (&self.log, &self.connection) {
                log.look_after(connection);
            }
        }
        self.close();
    }

    /// The disk has failed: nothing is written from here on, and what was not acknowledged goes.
    pub(super) fn note_wound(&mut self, error: &StoreError) {
        // a guest does not know what of the log is acknowledged
        if self.wound.is_none() && self.standing == Standing::Owner {
            let pages = self.log.as_ref().map_or(0, LogKeeper::pages);
            self.wound = Some(Wound::new(&self.path, self.connection.as_ref(), pages, error));
        }
    }

    pub(super) fn try_to_heal(&mut self) {
        if let Some(error) = self.log.as_ref().and_then(LogKeeper::trouble) {
            self.note_wound(&error);
        }
        let Some(wound) = &mut self.wound else { return };
        // whoever moves the log now would do it beside the one who heals it
        self.log = None;
        match wound.heal(&self.path, &mut self.connection, &self.readers) {
            Ok(log) => {
                self.log = Some(log);
                self.wound = None;
            }
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

    /// Moves the log into the file and removes it, where the disk is well and nobody else has the database open.
    fn close(mut self) {
        let is_well = self.wound.is_none() && self.log.as_ref().is_none_or(|log| log.trouble().is_none());
        self.log = None;
        self.readers.close();
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
