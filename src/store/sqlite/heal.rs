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
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;

use super::checkpoint::{Known, LogKeeper, Pages, empty, log_file, move_some, pages_kept};
use super::readers::Readers;
use super::{LOCK_WAIT, connect, trouble};
use crate::store::StoreError;

/// How often it is tried while nobody wants to write, and at most after the disk has taken a write and failed again.
pub(super) const TRY_EVERY: Duration = Duration::from_millis(250);
/// How often that doubles for a disk that fails again with the first write: up to 4 s.
const PAUSE_DOUBLED_MAX: u32 = 4;
/// How long the first attempt waits for those who read.
const READERS_WAIT: Duration = Duration::from_millis(100);
/// How often that doubles: up to 1.6 s, which is less than those wait who come meanwhile.
const PATIENCE_DOUBLED_MAX: u32 = 4;
/// What a log begins with, and what each of its pages begins with.
const LOG_HEAD_BYTES: u64 = 32;
const PAGE_HEAD_BYTES: u64 = 24;

/// What is known of a database whose disk has failed.
pub(super) struct Wound {
    error: StoreError,
    /// What this process knows of the log, if it has written to it.
    known: Option<Known>,
    /// How many pages of the log are of commits that were acknowledged, once that is certain.
    pages: Option<u32>,
    page_bytes: u64,
    /// When it may be opened anew again, which disturbs those who read.
    not_before: Option<Instant>,
    /// How often it was opened anew.
    attempts: u32,
    /// Whether less was found in the log than was acknowledged, so that nobody may read.
    lacks: bool,
    /// Why it is not well yet, as of the last attempt.
    obstacle: String,
}

impl Wound {
    /// The disk has failed in the hands of `writer`, who knows so much of the log. Nothing may be told to
    /// those whose commit failed before this is made: it takes out of the log what there is of it.
    pub(super) fn new(
        path: &Path,
        writer: Option<&Connection>,
        page_bytes: u64,
        known: Option<Known>,
        error: &StoreError,
    ) -> Wound {
        tracing::error!("{error}; nothing is written until it is well");
        let mut wound = Wound { known, ..Wound::of(error.clone(), page_bytes) };
        // where the server is killed now, and the machine goes on, the next one reads from memory what may not be on the disk: it
        // has this beside it there
        wound.leave_word(path);
        wound.count(writer);
        // that it is synced as well is for later, if it fails now
        let _ = wound.cut(path);
        wound
    }

    fn of(error: StoreError, page_bytes: u64) -> Wound {
        Wound {
            error,
            known: None,
            pages: None,
            page_bytes,
            not_before: None,
            attempts: 0,
            lacks: false,
            obstacle: String::new(),
        }
    }

    /// What a server has left behind that was killed while its disk failed. All that is found in the log counts then: what was not
    /// acknowledged of it has been read by those who asked since.
    ///
    /// # Errors
    /// Where nobody can say what is in the log.
    pub(super) fn left_behind(path: &Path, writer: &Connection, page_bytes: u64) -> Result<Option<Wound>, StoreError> {
        if !mark(path).exists() {
            return Ok(None);
        }
        let pages = pages_kept(writer)?.kept;
        if let Some(sentence) = what_is_gone(path, pages) {
            tracing::error!("{sentence}");
        }
        let error = "it did when the server was ended, and is not well again; the log says why: mend that, and start the server again";
        Ok(Some(Wound { pages: Some(pages), ..Wound::of(StoreError::DiskFails(error.into()), page_bytes) }))
    }

    /// The same, when it was healed and failed again so many times before anything could be written: a disk that takes syncs and refuses
    /// to have files grow would otherwise be healed with every write.
    pub(super) fn that_waits(mut self, times: u32) -> Wound {
        if let Some(shift) = times.checked_sub(1) {
            self.not_before = Some(Instant::now() + TRY_EVERY * (1 << shift.min(PAUSE_DOUBLED_MAX)));
        }
        self
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
    /// of the log. The index alone would not do, because it is in a file that may fail as well. It says 0 where the log was
    /// emptied, or to be begun anew by what failed: that is believed where this process saw that all of it is in the file.
    fn count(&mut self, writer: Option<&Connection>) {
        let (Some(known), Some(writer), None) = (&self.known, writer, self.pages) else { return };
        let found = pages_kept(writer).ok().map(|found| found.kept);
        self.pages = found.filter(|kept| *kept == known.pages || *kept == 0 && known.is_moved);
    }

    /// Leaves word, beside the database, that its disk has failed, and of what its log must have.
    fn leave_word(&self, path: &Path) {
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(mark(path));
        let pages = self.pages.or(self.known.as_ref().map(|known| if known.is_moved { 0 } else { known.pages }));
        // always of one length: it is written over, and at no time empty again
        let number = pages.map(|pages| format!("{pages:10}\n")).unwrap_or_default();
        if let Err(error) = file.and_then(|file| file.write_all_at(number.as_bytes(), 0)) {
            tracing::warn!("{}: {error}", mark(path).display());
        }
    }

    /// Tries to heal it; a connection to go on with is left in `writer`, and what looks after the log is given. Nothing is, where the last
    /// attempt was a moment ago.
    ///
    /// # Errors
    /// Where the disk is not well, or somebody is in the way: to be tried again.
    pub(super) fn heal(
        &mut self,
        path: &Path,
        writer: &mut Option<Connection>,
        readers: &Arc<Readers>,
    ) -> Result<Option<LogKeeper>, StoreError> {
        self.count(writer.as_ref());
        // this alone says of most disks that they are not well, and disturbs nobody
        self.cut(path)?;
        let now = Instant::now();
        if self.not_before.is_some_and(|then| now < then) {
            return Ok(None);
        }
        self.not_before = Some(now + TRY_EVERY);
        // somebody who always reads for longer would otherwise be in the way for ever
        let patience = READERS_WAIT * (1 << self.attempts.min(PATIENCE_DOUBLED_MAX));
        self.attempts += 1;
        self.open_anew(path, writer, readers, patience)?;
        let connection = writer.as_mut().ok_or_else(|| self.error())?;
        // most of it while everybody reads
        move_some(connection)?;
        readers.let_go();
        let is_moved = move_some(connection)?.is_moved();
        connection.busy_timeout(patience).map_err(trouble)?;
        let is_empty = empty(connection);
        // its file may have been cut, too, where it failed
        if matches!(is_empty, Ok(true)) || is_moved && pages_kept(connection).is_ok_and(|found| found.kept == 0) {
            self.pages = Some(0);
            self.leave_word(path);
        }
        connection.busy_timeout(LOCK_WAIT).map_err(trouble)?;
        if !is_empty? {
            return Err(StoreError::Unavailable("somebody reads what is in the log".into()));
        }
        self.cut(path)?;
        let log = LogKeeper::start(connection, path, readers.clone())?;
        // where it stays the next start does all of this once more
        let _ = std::fs::remove_file(mark(path));
        tracing::warn!("the disk of the database is well again");
        Ok(Some(log))
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
            let log = match File::options().write(true).open(&path) {
                // nothing is in it; whether something should be is seen when it is opened anew
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => other?,
            };
            if log.metadata()?.len() > bytes {
                log.set_len(bytes)?;
            }
            sync_anew(&log)
        };
        cut().map_err(|error| failed(&path, &error))
    }

    /// Closes all connections and opens the database again, so that its log is read from the beginning. Where less is found in
    /// it than was acknowledged nobody reads until it is there again.
    fn open_anew(
        &mut self,
        path: &Path,
        writer: &mut Option<Connection>,
        readers: &Readers,
        patience: Duration,
    ) -> Result<(), StoreError> {
        let shut = readers.shut(patience)?;
        *writer = None;
        let opened = self.open_alone(path, writer);
        if self.lacks {
            shut.stays();
        }
        opened
    }

    fn open_alone(&mut self, path: &Path, writer: &mut Option<Connection>) -> Result<(), StoreError> {
        // Nobody has it open: SQLite's locks on it are this process's, and would go when this is closed.
        File::options()
            .write(true)
            .open(path)
            .and_then(|file| sync_anew(&file))
            .map_err(|error| failed(path, &error))?;
        let found = pages_kept(writer.insert(connect(path)?))?;
        self.lacks = self.pages.is_none_or(|pages| found.kept < pages);
        match found {
            Pages { kept, moved: 0 } if Some(kept) == self.pages => Ok(()),
            Pages { kept, moved } => Err(StoreError::Unavailable(format!(
                "another process has the database open, or the log is not what was written: {kept} pages, {moved} of them moved, \
                 where {:?} were acknowledged",
                self.pages
            ))),
        }
    }
}

/// What an operator is to know where the log has fewer pages than it had when the disk failed: somebody has removed it, or emptied it,
/// who did not know that it was the only copy.
fn what_is_gone(path: &Path, pages: u32) -> Option<String> {
    let needed: u32 = std::fs::read_to_string(mark(path)).ok()?.trim().parse().ok()?;
    (needed > pages).then(|| {
        format!(
            "the log of the database is not what it was when the disk failed: of {needed} pages with acknowledged changes {pages} are \
             there; what the file of the database has not got of the others is lost: run `kilonova db check`, and compare with a backup"
        )
    })
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
