//! What a disk may do to the files, done to them by hand: a commit that failed is in the log as a whole, what was moved into the file is
//! not there, somebody is in the way. A disk that really fails is in `benches/fire/flaky.rs`.

use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::store::Tx;
use crate::store::engine::{Script, Verdict};
use crate::store::sqlite::run_plain;
use crate::store::sqlite::writer::{Standing, Writer};

type Answer = Result<(), StoreError>;

struct Insert(i64, std::sync::mpsc::Sender<Answer>);

impl Script for Insert {
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
        let made = tx.execute("CREATE TABLE IF NOT EXISTS t (n BIGINT PRIMARY KEY)", &[]);
        let inserted = made.and_then(|_| tx.execute("INSERT INTO t (n) VALUES ($1)", &[self.0.into()]));
        inserted.map_or(Verdict::Undo, |_| Verdict::Commit)
    }

    fn finish(self: Box<Self>, outcome: Answer) {
        let _ = self.1.send(outcome);
    }
}

/// A database with its writer, which does nothing that it is not told to.
struct Bench {
    directory: tempfile::TempDir,
    writer: Writer,
}

impl Bench {
    fn new() -> Bench {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let writer = writer(&directory.path().join("kilonova.db"));
        Bench { directory, writer }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("kilonova.db")
    }

    fn insert(&mut self, n: i64) -> Answer {
        let (told, hears): (_, Receiver<Answer>) = channel();
        self.writer.write(vec![Box::new(Insert(n, told))]);
        hears.recv().expect("an answer")
    }

    fn can_insert(&mut self, n: i64) {
        self.insert(n).expect("it is well");
    }

    fn disk_fails(&mut self) {
        self.writer.note_wound(&StoreError::DiskFails("disk I/O error".into()));
    }

    /// What is in copies of the files, as the next start would find it.
    fn found_by_a_start(&self) -> Vec<i64> {
        let elsewhere = copied(&self.path());
        numbers(&connect(&elsewhere.path().join("kilonova.db")).expect("a connection"))
    }
}

fn writer(path: &Path) -> Writer {
    let (readers, listener) = (Arc::new(Readers::new(path)), Arc::new(OnceLock::new()));
    Writer::open(path, Standing::Owner, readers, listener).expect("a fresh database opens")
}

fn copied(path: &Path) -> tempfile::TempDir {
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    for file in [path.to_owned(), log_file(path)] {
        let to = elsewhere.path().join(file.file_name().expect("a file has a name"));
        std::fs::copy(&file, to).expect("a file can be copied");
    }
    elsewhere
}

fn numbers(connection: &Connection) -> Vec<i64> {
    let mut all = connection.prepare("SELECT n FROM t ORDER BY n").expect("there is a table");
    let rows = all.query_map([], |row| row.get(0)).expect("it can be read");
    rows.map(|row| row.expect("a number")).collect()
}

/// Leaves a commit in the log that nobody was told of, with all that makes it one, as a sync that fails does.
fn leave_a_commit(path: &Path, n: i64) {
    let elsewhere = copied(path);
    let copy = elsewhere.path().join("kilonova.db");
    let connection = connect(&copy).expect("a connection");
    connection.execute("INSERT INTO t (n) VALUES ($1)", [n]).expect("there is room");
    let longer = std::fs::read(log_file(&copy)).expect("there is a log");
    let log = File::options().write(true).open(log_file(path)).expect("there is a log");
    log.write_all_at(&longer, 0).expect("there is room");
}

#[test]
fn what_failed_in_the_middle_of_its_commit_is_not_there_later_either() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    leave_a_commit(&bench.path(), 2);
    assert_eq!(bench.found_by_a_start(), [1, 2], "a start takes it for a commit");
    bench.disk_fails();
    assert_eq!(bench.found_by_a_start(), [1], "no longer, before anybody is told");
    assert!(matches!(bench.insert(3), Err(StoreError::DiskFails(_))), "nothing is written before it is healed");
    assert!(mark(&bench.path()).exists());
    bench.writer.try_to_heal();
    assert!(!mark(&bench.path()).exists());
    assert_eq!(bench.found_by_a_start(), [1]);
    bench.can_insert(4);
    assert_eq!(bench.found_by_a_start(), [1, 4]);
}

#[test]
fn what_failed_when_it_began_the_log_anew_is_not_there_later_either() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    let other = connect(&bench.path()).expect("a connection");
    assert!(empty(&other).expect("a checkpoint"), "nobody is in the way");
    drop(other);
    leave_a_commit(&bench.path(), 2);
    assert_eq!(bench.found_by_a_start(), [1, 2]);
    bench.disk_fails();
    assert_eq!(bench.found_by_a_start(), [1]);
    bench.writer.try_to_heal();
    bench.can_insert(3);
    assert_eq!(bench.found_by_a_start(), [1, 3]);
}

#[test]
fn what_was_moved_and_lost_is_moved_again() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    let before = std::fs::read(bench.path()).expect("the database");
    // somebody reads, so that only a part is moved, which SQLite does not sync
    let reader = connect(&bench.path()).expect("a connection");
    run_plain(&reader, "BEGIN").expect("a transaction");
    assert_eq!(numbers(&reader), [1]);
    bench.can_insert(2);
    let other = connect(&bench.path()).expect("a connection");
    move_some(&other).expect("a checkpoint");
    let (kept, moved) = pages_kept(&other).expect("numbers");
    assert!(moved > 0 && moved < kept, "{moved} of {kept}");
    drop((reader, other));
    bench.disk_fails();
    // the disk has not kept it
    let file = File::options().write(true).open(bench.path()).expect("the database");
    file.set_len(before.len() as u64).and_then(|()| file.write_all_at(&before, 0)).expect("it can be written");
    bench.writer.try_to_heal();
    bench.can_insert(3);
    std::fs::write(log_file(&bench.path()), "").expect("what is moved is not needed any more");
    assert_eq!(bench.found_by_a_start(), [1, 2]);
}

#[test]
fn nothing_is_written_while_somebody_is_in_the_way_of_healing_it() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    let reader = connect(&bench.path()).expect("a connection");
    run_plain(&reader, "BEGIN").expect("a transaction");
    assert_eq!(numbers(&reader), [1]);
    bench.disk_fails();
    bench.writer.try_to_heal();
    assert!(matches!(bench.insert(2), Err(StoreError::DiskFails(_))));
    drop(reader);
    let begun = Instant::now();
    while bench.insert(2).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody is in the way");
        std::thread::sleep(TRY_EVERY / 10);
        bench.writer.try_to_heal();
    }
    assert_eq!(bench.found_by_a_start(), [1, 2]);
}

#[test]
fn a_server_that_was_ended_while_its_disk_failed_is_healed_by_the_next() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    leave_a_commit(&bench.path(), 2);
    // as after a kill: not closed
    let elsewhere = copied(&bench.path());
    let path = elsewhere.path().join("kilonova.db");
    std::fs::write(mark(&path), "").expect("there is room");
    let mut next = Bench { directory: elsewhere, writer: writer(&path) };
    assert!(matches!(next.insert(3), Err(StoreError::DiskFails(_))));
    next.writer.try_to_heal();
    assert_eq!(std::fs::metadata(log_file(&path)).expect("there is a log").len(), 0, "all of it is in the file");
    next.can_insert(3);
    assert_eq!(next.found_by_a_start(), [1, 2, 3]);
}

#[test]
fn a_guest_leaves_the_log_to_whoever_writes_it() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    std::fs::write(mark(&bench.path()), "").expect("there is room");
    let (readers, listener) = (Arc::new(Readers::new(&bench.path())), Arc::new(OnceLock::new()));
    let mut guest = Writer::open(&bench.path(), Standing::Guest, readers, listener).expect("it opens");
    bench.can_insert(2);
    guest.note_wound(&StoreError::DiskFails("disk I/O error".into()));
    guest.try_to_heal();
    assert!(mark(&bench.path()).exists());
    assert_eq!(bench.found_by_a_start(), [1, 2]);
}
