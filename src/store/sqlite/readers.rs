//! Connections that read, on the threads that ask. Between two readers a connection keeps its transaction open for as long as nothing
//! is committed: to begin one costs SQLite two statements and locks on a file. A commit ends what is kept
//! before anybody is told of it, so nobody reads a state older than an answer they have; and an old state that is kept would keep the
//! log from being begun anew.
//!
//! That this process alone writes to the file is what makes it true; the lock on the data directory sees to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::{SqliteTx, connect, run_plain};
use crate::store::StoreError;
use crate::store::engine::Script;

/// Connections kept; more are opened when needed and closed after use.
const KEPT_MAX: usize = 64;

/// The connections.
pub(super) struct Readers {
    path: PathBuf,
    kept: Mutex<Vec<Reader>>,
    /// Two for each commit: odd while one is under way, when some may see it already and others not yet.
    commits: AtomicU64,
}

struct Reader {
    connection: Connection,
    /// What `commits` was before its transaction began, if one is open.
    state: Option<u64>,
}

impl Readers {
    /// None yet.
    pub(super) fn new(path: &Path) -> Readers {
        Readers { path: path.to_owned(), kept: Mutex::default(), commits: AtomicU64::new(0) }
    }

    /// Runs a script against one state, which has every commit that anybody was told of.
    ///
    /// # Errors
    /// Where there is no reading, or the script panicked.
    pub(super) fn run(&self, script: &mut dyn Script) -> Result<(), StoreError> {
        let kept = self.kept.lock().expect("nobody panics while holding the readers").pop();
        let mut reader = match kept {
            Some(reader) => reader,
            None => Reader { connection: connect(&self.path)?, state: None },
        };
        let began = reader.begin(self.commits.load(Ordering::SeqCst));
        let outcome = began.and_then(|()| reader.run(script));
        self.put_back(reader);
        outcome
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
        kept.iter_mut().for_each(Reader::end);
    }

    fn put_back(&self, mut reader: Reader) {
        let mut kept = self.kept.lock().expect("nobody panics while holding the readers");
        // asked under the lock: a commit from here on finds the reader among those that are kept
        let commits = self.commits.load(Ordering::SeqCst);
        if is_under_way(commits) || reader.state != Some(commits) {
            reader.end();
        }
        if kept.len() < KEPT_MAX {
            kept.push(reader);
        }
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
        store.readers.kept.lock().expect("nobody panics").iter().map(|reader| reader.state).collect()
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
