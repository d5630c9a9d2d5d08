//! A disk that has not kept what was written to it, and is to be trusted again without a restart. `docs/decisions` (10) says why so.
//!
//! Linux reports a lost write once and keeps the page for written: what is read afterwards may not be on the disk, and asking for it
//! again says nothing. So after such an error nothing is believed but writes that are made anew and synced without an error:
//!
//! 1. The log is cut behind its last commit that was acknowledged, and that is synced. From there on what failed never comes back, not even
//!    by a crash.
//! 2. All connections are closed, and opened again. SQLite then reads the log anew, and forgets which of its pages had been moved into
//!    the file: those may be lost, too, because it syncs the file only where it has moved all of them.
//! 3. All of the log is moved into the file, which is synced, and the log is begun anew, empty.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;

use super::checkpoint::{LogKeeper, empty, log_file, move_some, pages_kept};
use super::readers::Readers;
use super::{LOCK_WAIT, connect, trouble};
use crate::store::StoreError;

/// How often it is tried while nobody wants to write, and at most after the disk has taken a write and failed again.
pub(super) const TRY_EVERY: Duration = Duration::from_millis(250);
/// How long that waits for those who read.
const READERS_WAIT: Duration = Duration::from_millis(100);
/// What a log begins with, and what each of its pages begins with.
const LOG_HEAD_BYTES: u64 = 32;
const PAGE_HEAD_BYTES: u64 = 24;

/// What is known of a database whose disk has failed.
pub(super) struct Wound {
    error: StoreError,
    /// How many pages the last commit that was acknowledged has left in the log.
    counted: u32,
    /// How many pages of the log are of commits that were acknowledged, once that is certain.
    pages: Option<u32>,
    page_bytes: u64,
    /// When it may be opened anew again, which disturbs those who read.
    not_before: Option<Instant>,
    /// Why it is not well yet, as of the last attempt.
    obstacle: String,
}

impl Wound {
    /// The disk has failed in the hands of `writer`, whose last commit has left so many pages in the log. Nothing may be told to
    /// those whose commit failed before this is made: it takes out of the log what there is of it.
    pub(super) fn new(path: &Path, writer: Option<&Connection>, pages: u32, error: &StoreError) -> Wound {
        tracing::error!("{error}; nothing is written until it is well");
        // where the server is killed now, and the machine goes on, the next one reads from memory what may not be on the disk: it
        // has this beside it there
        if let Err(error) = File::options().write(true).create(true).truncate(false).mode(0o600).open(mark(path)) {
            tracing::warn!("{}: {error}", mark(path).display());
        }
        let mut wound = Wound::of(error.clone(), writer, pages);
        wound.count(writer);
        // that it is synced as well is for later, if it fails now
        let _ = wound.cut(path);
        wound
    }

    fn of(error: StoreError, writer: Option<&Connection>, counted: u32) -> Wound {
        let page_bytes = writer.and_then(|writer| writer.query_row("PRAGMA page_size", [], |row| row.get(0)).ok());
        let page_bytes: i64 = page_bytes.unwrap_or(4096);
        Wound {
            error,
            counted,
            pages: None,
            page_bytes: page_bytes.unsigned_abs(),
            not_before: None,
            obstacle: String::new(),
        }
    }

    /// What a server has left behind that was killed while its disk failed. All that is found in the log counts then: what was not
    /// acknowledged of it has been read by those who asked since.
    pub(super) fn left_behind(path: &Path, writer: &Connection, pages: u32) -> Option<Wound> {
        mark(path).exists().then(|| {
            let error = StoreError::DiskFails("it did when the server was ended".into());
            Wound { pages: Some(pages), ..Wound::of(error, Some(writer), pages) }
        })
    }

    /// Why nothing is written.
    pub(super) fn error(&self) -> StoreError {
        self.error.clone()
    }

    /// An attempt has failed.
    pub(super) fn stays(&mut self, error: &StoreError) {
        let obstacle = error.to_string();
        if obstacle != self.obstacle {
            tracing::warn!("the database is not well yet: {obstacle}");
            self.obstacle = obstacle;
        }
    }

    /// Finds out what of the log is of acknowledged commits. Two must agree: the count of the last commit, and what SQLite has in its index
    /// of the log. The index alone would not do, because it is in a file that may fail as well. It says 0 where the log was to
    /// be begun anew by what failed, or to be emptied: then all of it is in the file, and was synced.
    fn count(&mut self, writer: Option<&Connection>) {
        let found = writer.and_then(|writer| pages_kept(writer).ok());
        self.pages = self.pages.or(found.map(|(kept, _)| kept).filter(|kept| *kept == self.counted || *kept == 0));
    }

    /// Tries to heal it; a connection to go on with is left in `writer`, and what looks after the log is given.
    ///
    /// # Errors
    /// Where the disk is not well, or somebody is in the way: to be tried again.
    pub(super) fn heal(
        &mut self,
        path: &Path,
        writer: &mut Option<Connection>,
        readers: &Arc<Readers>,
    ) -> Result<LogKeeper, StoreError> {
        self.count(writer.as_ref());
        // this alone says of most disks that they are not well, and disturbs nobody
        self.cut(path)?;
        let now = Instant::now();
        if self.not_before.is_some_and(|then| now < then) {
            return Err(self.error());
        }
        self.not_before = Some(now + TRY_EVERY);
        self.open_anew(path, writer, readers)?;
        let connection = writer.as_mut().ok_or_else(|| self.error())?;
        // most of it while everybody reads
        move_some(connection)?;
        readers.let_go();
        connection.busy_timeout(READERS_WAIT).map_err(trouble)?;
        let is_empty = empty(connection);
        connection.busy_timeout(LOCK_WAIT).map_err(trouble)?;
        if !is_empty? {
            return Err(StoreError::Unavailable("somebody reads what is in the log".into()));
        }
        self.pages = Some(0);
        self.cut(path)?;
        let log = LogKeeper::start(connection, path, readers.clone())?;
        // where it stays the next start does all of this once more
        let _ = std::fs::remove_file(mark(path));
        tracing::warn!("the disk of the database is well again");
        Ok(log)
    }

    /// Takes out of the log what is not of acknowledged commits, and has the disk keep it so.
    fn cut(&self, path: &Path) -> Result<(), StoreError> {
        let Some(pages) = self.pages else {
            return Err(StoreError::DiskFails(
                "it is not certain what was acknowledged: start the server again".into(),
            ));
        };
        let bytes = match u64::from(pages) {
            0 => 0,
            pages => LOG_HEAD_BYTES + pages * (PAGE_HEAD_BYTES + self.page_bytes),
        };
        let path = log_file(path);
        let cut = || {
            let log = File::options().write(true).open(&path)?;
            if log.metadata()?.len() > bytes {
                log.set_len(bytes)?;
            }
            sync_anew(&log)
        };
        cut().map_err(|error| failed(&path, &error))
    }

    /// Closes all connections and opens the database again, so that its log is read from the beginning.
    fn open_anew(&self, path: &Path, writer: &mut Option<Connection>, readers: &Readers) -> Result<(), StoreError> {
        let _shut = readers.shut(READERS_WAIT)?;
        *writer = None;
        // Nobody has it open: SQLite's locks on it are this process's, and would go when this is closed.
        File::options()
            .write(true)
            .open(path)
            .and_then(|file| sync_anew(&file))
            .map_err(|error| failed(path, &error))?;
        let connection = writer.insert(connect(path)?);
        match pages_kept(connection)? {
            (kept, 0) if Some(kept) == self.pages => Ok(()),
            (kept, moved) => Err(StoreError::Unavailable(format!(
                "another process has the database open, or the log is not what was written: {kept} pages, {moved} of them moved, \
                 where {:?} were acknowledged",
                self.pages
            ))),
        }
    }
}

/// Has the disk keep a file with everything that is known of it: what the system takes for kept may be lost, so the file is touched, and a
/// sync without an error is about this.
fn sync_anew(file: &File) -> io::Result<()> {
    file.set_modified(SystemTime::now())?;
    file.sync_all()
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::DiskFails(format!("{}: {error}", path.display()))
}

/// The file that says that the disk has failed. Its life is that of the system's memory, which is what it warns of.
fn mark(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-failing");
    name.into()
}

#[cfg(test)]
mod tests;
