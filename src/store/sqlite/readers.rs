//! Connections that read, on the threads that ask. Between two readers a connection keeps its transaction open for as long as nothing
//! is committed: to begin one costs SQLite two statements and locks on a file. A commit ends what is kept
//! before anybody is told of it, so nobody reads a state older than an answer they have; and an old state that is kept would keep the
//! log from being begun anew.
//!
//! That this process alone writes to the file is what makes it true; the lock on the data directory sees to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use super::{SqliteTx, connect, run_plain};
use crate::store::StoreError;
use crate::store::engine::Script;

/// Connections kept; more are opened when needed and closed after use.
const KEPT_MAX: usize = 64;
/// How long somebody waits who comes while nobody may read.
const SHUT_MAX: Duration = Duration::from_secs(2);

/// The connections.
pub(super) struct Readers {
    path: PathBuf,
    kept: Mutex<Kept>,
    /// Somebody has come back, or all may come again.
    changed: Condvar,
    /// Two for each commit: odd while one is under way, when some may see it already and others not yet.
    commits: AtomicU64,
}

#[derive(Default)]
struct Kept {
    readers: Vec<Reader>,
    /// How many are out.
    in_use: usize,
    /// Whether nobody may read for the moment.
    is_shut: bool,
    /// Whether that will last, so that nobody waits.
    stays_shut: bool,
}

struct Reader {
    connection: Connection,
    /// What `commits` was before its transaction began, if one is open.
    state: Option<u64>,
}

impl Readers {
    /// None yet.
    pub(super) fn new(path: &Path) -> Readers {
        Readers { path: path.to_owned(), kept: Mutex::default(), changed: Condvar::new(), commits: AtomicU64::new(0) }
    }

    /// Runs a script against one state, which has every commit that anybody was told of.
    ///
    /// # Errors
    /// Where there is no reading, or the script panicked.
    pub(super) fn run(&self, script: &mut dyn Script) -> Result<(), StoreError> {
        let mut reader = self.take_out()?;
        let began = reader.begin(self.commits.load(Ordering::SeqCst));
        let outcome = began.and_then(|()| reader.run(script));
        self.came_back(Some(reader));
        outcome
    }

    fn take_out(&self) -> Result<Reader, StoreError> {
        let mut kept = self.kept.lock().expect("nobody panics while holding the readers");
        if kept.is_shut && !kept.stays_shut {
            let waited = self.changed.wait_timeout_while(kept, SHUT_MAX, |kept| kept.is_shut && !kept.stays_shut);
            kept = waited.expect("nobody panics while holding the readers").0;
        }
        if kept.is_shut {
            return Err(StoreError::Unavailable("the database is being opened anew".into()));
        }
        kept.in_use += 1;
        if let Some(reader) = kept.readers.pop() {
            return Ok(reader);
        }
        drop(kept);
        let opened = connect(&self.path).map(|connection| Reader { connection, state: None });
        opened.inspect_err(|_| self.came_back(None))
    }

    /// Closes all connections and lets nobody open one until what is given is dropped. For the writer.
    ///
    /// # Errors
    /// Where somebody reads for longer than this.
    pub(super) fn shut(&self, patience: Duration) -> Result<Shut<'_>, StoreError> {
        let mut kept = self.kept.lock().expect("nobody panics while holding the readers");
        kept.is_shut = true;
        kept.stays_shut = false;
        kept.readers.clear();
        let shut = Shut(self);
        let waited = self.changed.wait_timeout_while(kept, patience, |kept| kept.in_use > 0);
        let (kept, _) = waited.expect("nobody panics while holding the readers");
        let in_use = kept.in_use;
        // what is dropped with an error needs it
        drop(kept);
        if in_use > 0 { Err(StoreError::Unavailable("somebody is reading".into())) } else { Ok(shut) }
    }

    /// Closes what is kept. For the writer, at the end.
    pub(super) fn close(&self) {
        self.kept.lock().expect("nobody panics while holding the readers").readers.clear();
    }

    /// From now on a state may be an old one: whoever comes begins anew. For the writer, before a commit.
    pub(super) fn committing(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends every state that is kept: there is a new one. For the writer, after a commit and before anybody is told of it.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.end_kept();
    }

    /// Ends every state that is kept, and those in use when they come back, so that nothing of the log stays in use.
    pub(super) fn let_go(&self) {
        self.commits.fetch_add(2, Ordering::SeqCst);
        self.end_kept();
    }

    fn end_kept(&self) {
        let mut kept = self.kept.lock().expect("nobody panics while holding the readers");
        kept.readers.iter_mut().for_each(Reader::end);
    }

    fn came_back(&self, reader: Option<Reader>) {
        let mut kept = self.kept.lock().expect("nobody panics while holding the readers");
        if let Some(mut reader) = reader {
            // asked under the lock: a commit from here on finds the reader among those that are kept
            let commits = self.commits.load(Ordering::SeqCst);
            if is_under_way(commits) || reader.state != Some(commits) {
                reader.end();
            }
            if kept.readers.len() < KEPT_MAX && !kept.is_shut {
                kept.readers.push(reader);
            }
        }
        kept.in_use -= 1;
        if kept.is_shut {
            self.changed.notify_all();
        }
    }
}

/// Nobody reads as long as this is there.
pub(super) struct Shut<'a>(&'a Readers);

impl Shut<'_> {
    /// Nobody reads after this is gone either, until they are shut again and that is dropped.
    pub(super) fn stays(self) {
        self.0.kept.lock().expect("nobody panics while holding the readers").stays_shut = true;
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        let mut kept = self.0.kept.lock().expect("nobody panics while holding the readers");
        kept.is_shut = kept.stays_shut;
        drop(kept);
        self.0.changed.notify_all();
    }
}

fn is_under_way(commits: u64) -> bool {
    commits % 2 == 1
}

impl Reader {
    /// Has a transaction that began when `commits` was this, or goes on with it.
    fn begin(&mut self, commits: u64) -> Result<(), StoreError> {
        if self.state == Some(commits) && !is_under_way(commits) {
            return Ok(());
        }
        self.end();
        run_plain(&self.connection, "BEGIN")?;
        self.state = Some(commits);
        Ok(())
    }

    fn run(&mut self, script: &mut dyn Script) -> Result<(), StoreError> {
        let mut tx = SqliteTx::new(&self.connection);
        let outcome = catch_unwind(AssertUnwindSafe(|| script.run(&mut tx)));
        if tx.fatal.is_some() || tx.has_written || outcome.is_err() {
            // what went wrong may be over at the next attempt, if that begins anew; and nobody else is to see what was tried
            self.end();
        }
        outcome.map(|_| ()).map_err(|_| StoreError::Defect("a script panicked".into()))
    }

    fn end(&mut self) {
        if self.state.take().is_some() {
            // nothing was written: this cannot fail in a way that matters
            let _ = run_plain(&self.connection, "ROLLBACK");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Tx;
    use crate::store::engine::{Engine, Verdict};
    use crate::store::sqlite::Sqlite;

    type Told<T> = std::sync::mpsc::Sender<Result<T, StoreError>>;

    /// Runs some SQL and tells the number it answers, if it answers one.
    struct Sql(&'static str, Option<i64>, Told<Option<i64>>);

    impl Script for Sql {
        fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
            let read = tx.first(self.0, &[], |row| row.int(0));
            let Ok(number) = read else { return Verdict::Undo };
            self.1 = number;
            Verdict::Commit
        }

        fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
            let _ = self.2.send(outcome.map(|()| self.1));
        }
    }

    fn run(sql: &'static str, how: impl FnOnce(Box<dyn Script>)) -> Option<i64> {
        let (told, hears) = std::sync::mpsc::channel();
        how(Box::new(Sql(sql, None, told)));
        hears.recv().expect("an answer").expect("no trouble")
    }

    fn database() -> (tempfile::TempDir, Sqlite) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Sqlite::open(&directory.path().join("kilonova.db")).expect("a fresh database opens");
        run("CREATE TABLE t (n BIGINT)", |script| store.write(script));
        (directory, store)
    }

    fn states(store: &Sqlite) -> Vec<Option<u64>> {
        store.readers.kept.lock().expect("nobody panics").readers.iter().map(|reader| reader.state).collect()
    }

    #[test]
    fn a_reader_goes_on_with_its_state_until_there_is_another() {
        let (_directory, store) = database();
        let count = || run("SELECT count(*) FROM t", |script| store.read(script));
        assert_eq!(count(), Some(0));
        let state = states(&store);
        assert!(matches!(state[..], [Some(_)]), "{state:?}");
        assert_eq!((count(), states(&store)), (Some(0), state));
        for n in 1..5 {
            run("INSERT INTO t (n) VALUES (1)", |script| store.write(script));
            assert_eq!(states(&store), [None], "the commit ended it");
            assert_eq!(count(), Some(n), "and is there to be read");
        }
    }

    #[test]
    fn while_a_commit_is_under_way_no_state_is_gone_on_with_or_kept() {
        let (_directory, store) = database();
        let count = || run("SELECT count(*) FROM t", |script| store.read(script));
        count();
        store.readers.committing();
        count();
        assert_eq!(states(&store), [None]);
        store.readers.committed();
        count();
        assert!(matches!(states(&store)[..], [Some(_)]));
    }

    #[test]
    fn whoever_was_told_of_a_commit_reads_it_while_others_read_all_the_time() {
        const WRITES: i64 = 300;
        let (_directory, store) = database();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut before = Some(0);
                    while !is_over.load(Ordering::SeqCst) {
                        let now = run("SELECT count(*) FROM t", |script| store.read(script));
                        assert!(now >= before, "{now:?} after {before:?}");
                        before = now;
                    }
                });
            }
            for n in 1..=WRITES {
                run("INSERT INTO t (n) VALUES (1)", |script| store.write(script));
                let read = run("SELECT count(*) FROM t", |script| store.read(script));
                if read != Some(n) {
                    is_over.store(true, Ordering::SeqCst);
                }
                assert_eq!(read, Some(n));
            }
            is_over.store(true, Ordering::SeqCst);
        });
    }
}
