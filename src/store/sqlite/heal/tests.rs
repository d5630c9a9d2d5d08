//! What a disk may do to the files, done to them by hand: a commit that failed is in the log as a whole, what was moved into the file is
//! not there, somebody is in the way. A disk that really fails is in `benches/fire/flaky.rs`.

use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::backlog::Bounds;
use crate::store::Tx;
use crate::store::engine::{Engine, Script, Verdict};
use crate::store::sqlite::writer::{Standing, Writer};
use crate::store::sqlite::{Sqlite, run_plain};
use crate::store::turns::queue;

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
    readers: Arc<Readers>,
    writer: Writer,
}

impl Bench {
    fn new() -> Bench {
        Bench::of(tempfile::tempdir().expect("a temporary directory"))
    }

    fn of(directory: tempfile::TempDir) -> Bench {
        let path = directory.path().join("kilonova.db");
        let (readers, listener) = (Arc::new(Readers::new(&path)), Arc::new(OnceLock::new()));
        let writer = Writer::open(&path, Standing::Owner, readers.clone(), listener).expect("a database opens");
        Bench { directory, readers, writer }
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

    /// Tries it as often as the writer would, until it is written again.
    fn must_heal_and_insert(&mut self, n: i64) {
        let begun = Instant::now();
        while self.insert(n).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing is in the way");
            std::thread::sleep(TRY_EVERY / 10);
            self.writer.try_to_heal();
        }
    }

    /// Empties the log as the thread of the log does while nobody writes.
    fn empties_the_log(&mut self) {
        self.writer.with_connection(|connection, log| log.expect("it is well").give_up(connection));
        assert_eq!(bytes_of_log(&self.path()), 0, "nobody is in the way");
    }

    fn can_read(&self) -> bool {
        let (told, hears) = channel();
        let outcome = self.readers.run(&mut Insert(0, told));
        drop(hears);
        outcome.is_ok()
    }

    /// What is in copies of the files, as the next start would find it.
    fn found_by_a_start(&self) -> Vec<i64> {
        let elsewhere = copied(&self.path());
        numbers(&connect(&elsewhere.path().join("kilonova.db")).expect("a connection"))
    }
}

fn guest(path: &Path) -> Writer {
    let (readers, listener) = (Arc::new(Readers::new(path)), Arc::new(OnceLock::new()));
    Writer::open(path, Standing::Guest, readers, listener).expect("it opens")
}

fn bytes_of_log(path: &Path) -> u64 {
    std::fs::metadata(log_file(path)).expect("there is a log").len()
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
    bench.empties_the_log();
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
    let Pages { kept, moved } = pages_kept(&other).expect("numbers");
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
    bench.must_heal_and_insert(2);
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
    let mut next = Bench::of(elsewhere);
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
    let mut guest = guest(&bench.path());
    bench.can_insert(2);
    guest.note_wound(&StoreError::DiskFails("disk I/O error".into()));
    guest.try_to_heal();
    assert!(mark(&bench.path()).exists());
    assert_eq!(bench.found_by_a_start(), [1, 2]);
}

#[test]
fn a_guest_who_is_the_last_to_close_the_database_leaves_its_log() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    let elsewhere = copied(&bench.path());
    let path = elsewhere.path().join("kilonova.db");
    let bytes = bytes_of_log(&path);
    let turns = queue(Bounds { burst_max: 1, standing_min: 1, hands: 1 }).expect("a queue").1;
    // nobody can ask it for anything: it ends, and closes
    guest(&path).work(&turns);
    assert_eq!(bytes_of_log(&path), bytes);
    drop(Bench::of(elsewhere));
}

#[test]
fn a_log_that_its_index_alone_calls_empty_is_not_cut() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    let (log, database) = (log_file(&bench.path()), bench.path());
    let before = [&log, &database].map(|file| std::fs::read(file).expect("a file"));
    let other = connect(&database).expect("a connection");
    assert!(empty(&other).expect("a checkpoint"), "nobody is in the way");
    drop(other);
    // it is not seen by this process to be in the file, when that looks now
    bench.empties_the_log();
    // all that is left to say that there is nothing in the log is its index
    std::fs::write(&log, &before[0]).and_then(|()| std::fs::write(&database, &before[1])).expect("there is room");
    bench.disk_fails();
    bench.writer.try_to_heal();
    assert!(bench.insert(2).is_err(), "nobody knows what was acknowledged");
    assert_eq!(bench.found_by_a_start(), [1]);
}

#[test]
fn what_this_process_has_moved_itself_is_believed() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    bench.empties_the_log();
    bench.disk_fails();
    bench.writer.try_to_heal();
    bench.can_insert(2);
    assert_eq!(bench.found_by_a_start(), [1, 2]);
}

#[test]
fn no_numbers_of_the_log_are_an_error() {
    let nothing = Connection::open_in_memory().expect("memory");
    assert!(pages_kept(&nothing).is_err(), "SQLite says -1 where it does not know");
    assert!(move_some(&nothing).is_err());
}

#[test]
fn a_log_that_is_gone_is_said_to_be_and_is_no_failure_of_the_disk() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    bench.disk_fails();
    let log = log_file(&bench.path());
    let before = std::fs::read(&log).expect("there is a log");
    let needed = u32::try_from((before.len() as u64 - LOG_HEAD_BYTES) / (PAGE_HEAD_BYTES + 4096)).expect("a few");
    assert_eq!(what_is_gone(&bench.path(), needed), None);
    let sentence = what_is_gone(&bench.path(), 0).expect("it is said");
    assert!(sentence.contains(&format!("of {needed} pages with acknowledged changes 0 are there")), "{sentence}");
    std::fs::remove_file(&log).expect("there is a log");
    bench.writer.try_to_heal();
    assert!(bench.insert(2).is_err(), "what was acknowledged is not there");
    std::fs::write(&log, before).expect("there is room");
    bench.must_heal_and_insert(2);
    assert_eq!(bench.found_by_a_start(), [1, 2]);
}

#[test]
fn nobody_reads_while_the_log_lacks_what_was_acknowledged() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    let log = log_file(&bench.path());
    let shorter = std::fs::read(&log).expect("there is a log");
    bench.can_insert(2);
    bench.disk_fails();
    assert!(bench.can_read(), "what was acknowledged is there");
    let before = std::fs::read(&log).expect("there is a log");
    std::fs::write(&log, shorter).expect("there is room");
    bench.writer.try_to_heal();
    assert!(!bench.can_read());
    std::fs::write(&log, before).expect("there is room");
    bench.must_heal_and_insert(3);
    assert!(bench.can_read());
    assert_eq!(bench.found_by_a_start(), [1, 2, 3]);
}

#[test]
fn a_commit_that_fails_for_whatever_reason_is_out_of_the_log_before_anybody_is_told() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    bench.writer.with_connection(|connection, _| {
        connection.commit_hook(Some(|| true)).expect("a hook");
    });
    assert!(matches!(bench.insert(2), Err(StoreError::DiskFails(_))));
    assert!(mark(&bench.path()).exists());
    bench.must_heal_and_insert(3);
    assert_eq!(bench.found_by_a_start(), [1, 3]);
}

#[test]
fn after_a_start_with_a_failed_disk_nothing_is_moved_before_it_is_healed() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    let elsewhere = copied(&bench.path());
    std::fs::write(mark(&elsewhere.path().join("kilonova.db")), "").expect("there is room");
    let mut next = Bench::of(elsewhere);
    next.writer.with_connection(|_, log| assert!(log.is_none()));
    next.writer.try_to_heal();
    next.writer.with_connection(|_, log| assert!(log.is_some()));
    next.disk_fails();
    next.writer.with_connection(|_, log| assert!(log.is_none(), "it would move it while it is counted"));
}

#[test]
fn what_fails_again_before_anything_is_written_is_not_healed_at_once() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    bench.disk_fails();
    bench.writer.try_to_heal();
    bench.disk_fails();
    bench.writer.try_to_heal();
    assert!(bench.insert(2).is_err(), "it was healed in vain a moment ago");
    bench.must_heal_and_insert(2);
    bench.disk_fails();
    bench.writer.try_to_heal();
    bench.can_insert(3);
}

#[test]
fn a_start_waits_for_somebody_who_is_in_the_way_of_healing() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    let elsewhere = copied(&bench.path());
    let path = elsewhere.path().join("kilonova.db");
    std::fs::write(mark(&path), "").expect("there is room");
    let reader = connect(&path).expect("a connection");
    run_plain(&reader, "BEGIN").expect("a transaction");
    assert_eq!(numbers(&reader), [1]);
    let store = Sqlite::open(&path).expect("it opens");
    let (told, hears) = channel();
    store.write(Box::new(Insert(2, told)));
    assert!(hears.recv_timeout(TRY_EVERY * 2).is_err(), "it is not refused at once");
    drop(reader);
    hears.recv().expect("an answer").expect("it is healed by then");
}

#[test]
fn an_empty_log_may_as_well_not_be_there() {
    let mut bench = Bench::new();
    bench.can_insert(1);
    bench.empties_the_log();
    bench.disk_fails();
    std::fs::remove_file(log_file(&bench.path())).expect("there is a log");
    bench.must_heal_and_insert(2);
    assert_eq!(bench.found_by_a_start(), [1, 2]);
}
