//! What becomes of scripts that share a commit.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use futures_util::FutureExt;

use super::*;
use crate::backlog::Share;
use crate::store::Store;
use crate::store::engine::Verdict;

type Answer = Result<(), StoreError>;

/// Does something with the transaction, and tells how it ended.
struct Step<F>(F, Sender<Answer>);

impl<F: FnMut(&mut dyn Tx) -> Verdict + Send> Script for Step<F> {
    fn run(&mut self, tx: &mut dyn Tx) -> Verdict {
        (self.0)(tx)
    }

    fn finish(self: Box<Self>, outcome: Answer) {
        let _ = self.1.send(outcome);
    }
}

fn write(store: &Sqlite, step: impl FnMut(&mut dyn Tx) -> Verdict + Send + 'static) -> Receiver<Answer> {
    let (told, hears) = channel();
    store.write(Box::new(Step(step, told)));
    hears
}

fn insert(tx: &mut dyn Tx, n: i64) {
    tx.execute("INSERT INTO t (n) VALUES ($1)", &[n.into()]).expect("there is room");
}

fn numbers(store: &Sqlite) -> Vec<i64> {
    let (told, hears) = channel();
    let (number, numbers) = channel();
    let read = move |tx: &mut dyn Tx| {
        let all = tx.all("SELECT n FROM t ORDER BY n", &[], |row| row.int(0)).expect("there is a table");
        number.send(all).expect("somebody waits");
        Verdict::Commit
    };
    store.read(Box::new(Step(read, told)));
    hears.recv().expect("an answer").expect("no trouble");
    numbers.recv().expect("numbers")
}

/// A store whose writer is held until the sender says so: whatever is written meanwhile shares a commit.
fn held() -> (tempfile::TempDir, Sqlite, Sender<()>) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Sqlite::open(&directory.path().join(FILE)).expect("a fresh database opens");
    let made = write(&store, |tx| {
        tx.execute("CREATE TABLE t (n BIGINT)", &[]).expect("there is room");
        Verdict::Commit
    });
    made.recv().expect("an answer").expect("no trouble");
    let ((go, wait), (at_work, is_at_work)) = (channel(), channel());
    write(&store, move |_| {
        at_work.send(()).expect("somebody waits");
        wait.recv().expect("the test goes on");
        Verdict::Commit
    });
    is_at_work.recv().expect("the writer begins");
    (directory, store, go)
}

#[test]
fn a_script_that_fails_takes_nobody_with_it_whether_it_has_written_or_not() {
    let (_directory, store, go) = held();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    let answers = [
        write(&store, move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            insert(tx, 1);
            Verdict::Commit
        }),
        write(&store, |_| Verdict::Undo),
        write(&store, |tx| {
            insert(tx, 2);
            Verdict::Undo
        }),
        write(&store, |tx| {
            insert(tx, 3);
            panic!("this is part of the test")
        }),
        write(&store, |tx| {
            insert(tx, 4);
            Verdict::Commit
        }),
    ];
    go.send(()).expect("the writer waits");
    let answers: Vec<_> = answers.iter().map(|answer| answer.recv().expect("an answer").is_ok()).collect();
    assert_eq!(answers, [true, true, true, false, true]);
    assert_eq!(numbers(&store), [1, 4]);
    assert_eq!(runs.load(Ordering::SeqCst), 2, "once with the others, once with a savepoint of its own");
}

#[test]
fn scripts_that_fail_before_they_write_make_nobody_run_twice() {
    let (_directory, store, go) = held();
    let runs = Arc::new(AtomicU32::new(0));
    let answers: Vec<_> = (0..10)
        .map(|n| {
            let counted = runs.clone();
            write(&store, move |tx| {
                counted.fetch_add(1, Ordering::SeqCst);
                if n % 2 == 0 {
                    return Verdict::Undo;
                }
                insert(tx, n);
                Verdict::Commit
            })
        })
        .collect();
    go.send(()).expect("the writer waits");
    answers.iter().for_each(|answer| answer.recv().expect("an answer").expect("no trouble"));
    assert_eq!(numbers(&store), [1, 3, 5, 7, 9]);
    assert_eq!(runs.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn one_who_writes_without_end_leaves_places_to_others() {
    let (_directory, engine, go) = held();
    let store = Store { engine: Arc::new(engine), share: Share::OWN };
    let write = |share| {
        let store = store.on_behalf_of(share);
        Box::pin(async move { store.write(|_| Ok::<_, StoreError>(())).await })
    };
    let mut flood: Vec<_> = (0..WAITING_MAX + 100).map(|_| write(Share::numbered(1))).collect();
    let refused = flood.iter_mut().filter_map(|write| write.as_mut().now_or_never()).collect::<Vec<_>>();
    assert!(refused.len() == 100 && refused.iter().all(|told| matches!(told, Err(StoreError::Overloaded))));
    let mut other = write(Share::numbered(2));
    assert!(other.as_mut().now_or_never().is_none(), "it waits");
    go.send(()).expect("the writer waits");
    assert!(other.await.is_ok());
}
