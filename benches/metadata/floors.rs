//! What the same could cost at the least: an HTTP exchange without anything behind it, and the engine without anything before it.

use std::convert::Infallible;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;

/// What the bare server answers to everything: the headers of a real answer, and a map of eight items.
pub const BODY: &str = r#"{"metadata": {"key0": "value-0000000000", "key1": "value-0000000000", "key2": "value-0000000000", "key3": "value-0000000000", "key4": "value-0000000000", "key5": "value-0000000000", "key6": "value-0000000000", "key7": "value-0000000000"}}"#;
/// The same for one item.
const ITEM: &str = r#"{"meta": {"key0": "value-0000000000"}}"#;

/// What a server's row has beside its metadata.
const REST_BYTES: usize = 550;
const READ: &str = "SELECT metadata FROM servers WHERE number = ?1";

/// Serves until it is killed; prints its address first.
pub fn serve_http() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        std::io::stdout().flush().expect("somebody reads");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("TCP has no delay where it is told so");
            tokio::spawn(async move {
                // a client that leaves is none of our business
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(bare))
                    .await;
            });
        }
    });
}

async fn bare(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_item = request.uri().path().contains("/metadata/");
    // the body is read, as it must be, and not looked at
    let _ = request.into_body().collect().await;
    let id = "req-00000000-0000-4000-8000-000000000000";
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("openstack-api-version", "compute 2.1")
        .header("x-openstack-nova-api-version", "2.1")
        .header("vary", "OpenStack-API-Version")
        .header("vary", "X-OpenStack-Nova-API-Version")
        .header("x-openstack-request-id", id)
        .header("x-compute-request-id", id);
    Ok(response.body(Full::from(if is_item { ITEM } else { BODY })).expect("these headers are headers"))
}

/// `--floor-engine DIRECTORY ROWS CLIENTS SECONDS`: commits rows in groups, and prints commits of rows per second, processor
/// microseconds for each, and in how many milliseconds 99 of 100 are done.
pub fn commit_rows(arguments: &[String]) {
    let [directory, rows, clients, seconds] = arguments else {
        panic!("--floor-engine DIRECTORY ROWS CLIENTS SECONDS")
    };
    let (rows, clients): (u64, u64) = (rows.parse().expect("rows"), clients.parse().expect("clients"));
    let seconds: f64 = seconds.parse().expect("seconds");
    let connection = open(directory);
    fill(&connection, rows);
    // as in the server: a writer that moves the log itself has everybody wait for it
    connection.execute_batch(&format!("PRAGMA wal_autocheckpoint={LOG_PAGES_MAX}")).expect("a pragma");
    let (over, log) = (Arc::new(AtomicBool::new(false)), open(directory));
    let is_over = over.clone();
    let keeper = std::thread::spawn(move || move_the_log(&log, &is_over));
    let (queue, waiting) = mpsc::sync_channel(8192);
    let writer = std::thread::spawn(move || commit_in_groups(&connection, &waiting, rows));
    press(queue, clients, seconds);
    writer.join().expect("the writer ends when nobody waits");
    over.store(true, Ordering::Relaxed);
    keeper.join().expect("whoever moves the log does not panic");
}

/// From how many pages on the writer moves the log itself, as the server's does.
const LOG_PAGES_MAX: u32 = 8000;

/// Moves the log beside the writer, about as often as the server does.
fn move_the_log(log: &rusqlite::Connection, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        // where the writer is at it this does nothing
        let _ = log.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `--floor-read DIRECTORY ROWS SECONDS`: reads one row after another, and prints rows per second and processor microseconds for each.
pub fn read_rows(arguments: &[String]) {
    let [directory, rows, seconds] = arguments else { panic!("--floor-read DIRECTORY ROWS SECONDS") };
    let rows: u64 = rows.parse().expect("rows");
    let seconds = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let connection = open(directory);
    fill(&connection, rows);
    let mut read = connection.prepare(READ).expect("select");
    let mut one = |which: u64| {
        let number = number(which.wrapping_mul(0x9e37_79b9_7f4a_7c15) % rows);
        let map: String = read.query_row([number], |row| row.get(0)).expect("the row is there");
        std::hint::black_box(map.len());
    };
    // as in a server that is asked again before the next commit: one transaction
    connection.execute_batch("BEGIN").expect("begin");
    (0..20_000).for_each(&mut one);
    let (begun, before) = (Instant::now(), super::machine::cpu_nanoseconds(std::process::id()));
    let mut number = 20_000;
    while begun.elapsed() < seconds {
        (number..number + 100).for_each(&mut one);
        number += 100;
    }
    let (seconds, read) = (begun.elapsed().as_secs_f64(), (number - 20_000) as f64);
    let cpu = super::machine::cpu_nanoseconds(std::process::id()) - before;
    println!("{} {}", read / seconds, cpu as f64 / 1000.0 / read);
}

/// `--floor-sync DIRECTORY SECONDS`: prints what one sync of four KiB takes on the disk of a directory, the median, in milliseconds. The file has
/// its size before, as a log that is written again has.
pub fn sync(arguments: &[String]) {
    let [directory, seconds] = arguments else { panic!("--floor-sync DIRECTORY SECONDS") };
    let end = Instant::now() + Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let path = PathBuf::from(directory).join("syncs-of-the-disk");
    std::fs::write(&path, vec![0; 1 << 20]).expect("a file");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
    file.sync_all().expect("a sync");
    let mut times = Vec::new();
    while times.is_empty() || Instant::now() < end {
        let begun = Instant::now();
        file.write_all_at(&[times.len() as u8; 4096], (times.len() as u64 % 256) * 4096).expect("a write");
        file.sync_data().expect("a sync");
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    println!("{}", times[times.len() / 2].as_secs_f64() * 1000.0);
}

fn open(directory: &str) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(PathBuf::from(directory).join("floor.db")).expect("a database");
    connection
        .execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;")
        .expect("pragmas");
    connection
}

/// A change of one row that somebody waits for.
pub type Waiting = (u64, mpsc::SyncSender<()>);

/// So many clients, each of which waits for its change before it asks for the next; prints changes per second, processor microseconds
/// for each, and the milliseconds in which 99 of 100 are done.
pub fn press(queue: mpsc::SyncSender<Waiting>, clients: u64, seconds: f64) {
    let begun = Instant::now();
    let before = super::machine::cpu_nanoseconds(std::process::id());
    let deadline = begun + Duration::from_secs_f64(seconds);
    // clients are light threads here: the engine is measured, not the runtime
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let queue = queue.clone();
            let work = move || {
                let (mut times, mut next) = (Vec::new(), first_number(client));
                let (reply, answer) = mpsc::sync_channel(1);
                let mut asked = Instant::now();
                while asked < deadline {
                    queue.send((next, reply.clone())).expect("the writer waits");
                    answer.recv().expect("the writer answers");
                    let answered = Instant::now();
                    times.push(answered - asked);
                    asked = answered;
                    next += 1;
                }
                times
            };
            std::thread::Builder::new().stack_size(64 * 1024).spawn(work).expect("a thread")
        })
        .collect();
    let each = threads.into_iter().map(|thread| thread.join().expect("a client does not panic"));
    let mut times: Vec<Duration> = each.flatten().collect();
    let (seconds, done) = (begun.elapsed().as_secs_f64(), times.len() as f64);
    let cpu = super::machine::cpu_nanoseconds(std::process::id()) - before;
    times.sort_unstable();
    let slow = times.get(times.len() * 99 / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0);
    println!("{} {} {slow}", done / seconds, cpu as f64 / 1000.0 / done);
}

/// The first of the numbers that a client makes changes of. Those of each run are others than those of the run before: SQLite does not write
/// what is there already.
pub fn first_number(client: u64) -> u64 {
    (client << 40) + (now_microseconds() as u64 & 0xff_ffff_ffff)
}

/// As servers have it in `updated_at`, so that a row that is changed stays as long as it is: one that grows out of its page costs more, once.
fn now_microseconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is not before 1970");
    i64::try_from(now.as_micros()).expect("microseconds until the year 294247")
}

fn fill(connection: &rusqlite::Connection, rows: u64) {
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS servers (number INTEGER PRIMARY KEY, metadata TEXT NOT NULL, rest TEXT NOT NULL, \
             updated_at BIGINT NOT NULL)",
        )
        .expect("a table");
    let there: i64 = connection.query_row("SELECT count(*) FROM servers", [], |row| row.get(0)).expect("a count");
    let rest = "x".repeat(REST_BYTES);
    connection.execute_batch("BEGIN").expect("begin");
    {
        let mut insert = connection.prepare("INSERT INTO servers VALUES (?1, ?2, ?3, ?4)").expect("insert");
        let now = now_microseconds();
        for row in there.unsigned_abs()..rows {
            insert.execute((number(row), map(row), &rest, now)).expect("a row");
        }
    }
    connection.execute_batch("COMMIT").expect("commit");
}

/// As large as those of servers, which lie in the order of time.
fn number(row: u64) -> i64 {
    (1_735_689_600_000 + row as i64) << 12
}

/// A metadata map of eight items.
pub fn map(value: u64) -> String {
    let items: Vec<String> =
        (0..8).map(|key| format!("\"key{key}\": \"value-{:010}\"", value.wrapping_add(key) % 10_000_000_000)).collect();
    format!("{{{}}}", items.join(", "))
}

/// All who wait; nobody any more where there is none.
pub fn batch(waiting: &mpsc::Receiver<Waiting>, most: usize) -> Option<Vec<Waiting>> {
    let mut batch = vec![waiting.recv().ok()?];
    while batch.len() < most
        && let Ok(next) = waiting.try_recv()
    {
        batch.push(next);
    }
    Some(batch)
}

fn commit_in_groups(connection: &rusqlite::Connection, waiting: &mpsc::Receiver<Waiting>, rows: u64) {
    let mut read = connection.prepare(READ).expect("select");
    let mut write =
        connection.prepare("UPDATE servers SET metadata = ?1, updated_at = ?2 WHERE number = ?3").expect("update");
    while let Some(batch) = batch(waiting, 1024) {
        connection.execute_batch("BEGIN IMMEDIATE").expect("begin");
        for (which, _) in &batch {
            let number = number(which.wrapping_mul(0x9e37_79b9_7f4a_7c15) % rows);
            let before: String = read.query_row([number], |row| row.get(0)).expect("the row is there");
            std::hint::black_box(before.len());
            write.execute((map(*which), now_microseconds(), number)).expect("update");
        }
        connection.execute_batch("COMMIT").expect("commit");
        for (_, reply) in batch {
            let _ = reply.send(());
        }
    }
}
