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
    /// One more than `commits` was before somebody saw that all of the log was in the file.
    moved_by: AtomicU32,
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

    /// Moves what can be moved, and notes what came of it.
    fn move_some(&self, connection: &Connection) -> Option<u32> {
        let (commits, pages) = (self.commits.load(Ordering::Relaxed), self.pages());
        let found = self.note(move_some(connection))?;
        // an index that has other pages than were committed says nothing of those
        if found.is_moved() && found.kept == pages {
            self.moved_by.store(commits.wrapping_add(1), Ordering::Relaxed);
        }
        Some(found.moved)
    }

    /// Whether all commits were seen in the file: one that came meanwhile is not among them.
    fn is_moved(&self) -> bool {
        self.moved_by.load(Ordering::Relaxed) == self.commits.load(Ordering::Relaxed).wrapping_add(1)
    }

    /// Moves all of it and gives its room back.
    fn empty(&self, connection: &Connection, readers: &Readers) {
        if self.move_some(connection).is_none() {
            return;
        }
        // who kept an old state was in the way of moving all, and that it is in the file is to be seen before it is taken out of the log
        readers.let_go();
        self.move_some(connection);
        // where somebody reads an old state this fails after a while, and is tried again after the next
        self.note(empty(connection));
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
        log.pages.store(pages_kept(writer)?.kept, Ordering::Relaxed);
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

    /// Ends the thread; says what this process itself knows of the log.
    pub(super) fn end(mut self) -> Known {
        self.join();
        Known {
            pages: self.log.pages(),
            is_moved: self.log.is_moved(),
            has_commits: self.log.commits.load(Ordering::Relaxed) > 0,
        }
    }

    /// Ends the thread; says whether the disk has failed nobody who moved a part of the log.
    pub(super) fn ended_well(mut self) -> bool {
        self.join();
        self.trouble().is_none()
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
            self.log.move_some(writer);
            // whoever began to read while it was moved would be in the way of beginning anew for as long as their state is kept
            self.readers.let_go();
        }
        if rest >= STEP_PAGES {
            self.wake();
        }
    }

    /// Moves all of the log, as the thread does when nobody writes for long.
    #[cfg(test)]
    pub(super) fn give_up(&self, connection: &Connection) {
        self.log.empty(connection, &self.readers);
    }

    fn join(&mut self) {
        self.log.is_closed.store(true, Ordering::Relaxed);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // it holds nothing that anybody needs
            let _ = thread.join();
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
        self.join();
    }
}

/// What a process knows of the log that alone wrote it, without asking SQLite's index.
pub(super) struct Known {
    /// How many pages of the log are of commits, as of the last: whatever lies behind them is not.
    pub(super) pages: u32,
    /// Whether all of them were seen in the file, so that the log may have been begun anew since, or emptied.
    pub(super) is_moved: bool,
    /// Whether any commit was kept since it is looked after.
    pub(super) has_commits: bool,
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
    let Some(moved) = log.move_some(connection) else { return };
    if log.beginnings.load(Ordering::Relaxed) == beginning {
        log.moved.store(moved, Ordering::Relaxed);
    }
}

/// Gives the room of a long log back, while nobody writes.
fn shorten(connection: &Connection, file: &Path, log: &Log, readers: &Readers) {
    let is_long = std::fs::metadata(file).is_ok_and(|file| file.len() > FILE_BYTES_KEPT);
    if is_long {
        log.empty(connection, readers);
    }
}

/// How many pages of the log are of commits, and how many of these are known to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pages {
    pub(super) kept: u32,
    pub(super) moved: u32,
}

impl Pages {
    /// Whether nothing of the log is needed any more.
    pub(super) fn is_moved(self) -> bool {
        self.moved == self.kept
    }
}

/// Moves as much of the log as can be moved without anybody waiting; says what is moved now.
pub(super) fn move_some(connection: &Connection) -> Result<Pages, StoreError> {
    pages_after(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Moves all of the log and leaves an empty file; says whether nobody was in the way.
pub(super) fn empty(connection: &Connection) -> Result<bool, StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0)).map_err(trouble)
}

/// What is in the log, and what of it is known to be moved.
pub(super) fn pages_kept(connection: &Connection) -> Result<Pages, StoreError> {
    pages_after(connection, "PRAGMA wal_checkpoint(NOOP)")
}

/// Where somebody is in the way SQLite says that it did nothing, and gives no numbers, or such as mean nothing: that is an error here, and
/// never taken for an empty log.
fn pages_after(connection: &Connection, sql: &str) -> Result<Pages, StoreError> {
    let numbers = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (busy, kept, moved): (i64, i64, i64) = connection.query_row(sql, [], numbers).map_err(trouble)?;
    match (busy, u32::try_from(kept), u32::try_from(moved)) {
        (0, Ok(kept), Ok(moved)) => Ok(Pages { kept, moved }),
        _ => Err(StoreError::Unavailable("somebody else has the log in hand".into())),
    }
}

pub(super) fn log_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

#[cfg(test)]
mod tests;
