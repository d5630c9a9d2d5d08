//! Very many connections that say nothing, or say it slowly: what they cost, that the others do not notice, and when they are cut.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::open::{self, quantile_ms};
use super::process::Process;

/// Longer than any of the times below.
const NEVER: Duration = Duration::from_secs(60);

/// What so many connections come to.
#[derive(Debug)]
pub struct Idle {
    connections: usize,
    /// Bytes of the server's memory for each: after its first answer, and when none has asked anything yet.
    pub bytes_each: [f64; 2],
    /// How long others waited for their answers meanwhile, in microseconds.
    pub others: Vec<u64>,
    /// What was not as it must be.
    pub wrong: Vec<String>,
    /// After how many seconds they were cut: the first and the last of those that were idle, then one that was slow with its first
    /// headers, with later headers, and with a body.
    pub cut: Vec<(&'static str, f64)>,
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} idle connections: {:.1} KiB each after an answer, {:.1} KiB before the first request",
            self.connections,
            self.bytes_each[0] / 1024.0,
            self.bytes_each[1] / 1024.0
        )?;
        let (p50, p99) = (quantile_ms(&self.others, 0.5), quantile_ms(&self.others, 0.99));
        write!(f, "  {} requests of others meanwhile: p50 {p50:.2} ms, p99 {p99:.2} ms", self.others.len())?;
        self.cut.iter().try_for_each(|(what, after)| write!(f, "\n  {what}: cut after {after:.2} s"))
    }
}

/// Seconds for headers, for a chunk of a body, and between requests.
pub struct Times {
    /// `header_timeout_seconds`
    pub header: u64,
    /// `body_timeout_seconds`
    pub body: u64,
    /// `idle_timeout_seconds`
    pub idle: u64,
}

/// Opens so many, and looks. Both sides need as many open files: `ulimit -n`.
pub fn idle(directory: &Path, connections: usize, times: &Times) -> Idle {
    let mut process = Process::new(directory, None);
    process.set("connections-max", connections + 200);
    process.set("header-timeout-seconds", times.header);
    process.set("body-timeout-seconds", times.body);
    process.set("idle-timeout-seconds", times.idle);
    process.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    let token = process.token("demo");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(look(&process, &token, connections, times))
}

async fn look(process: &Process, token: &str, connections: usize, times: &Times) -> Idle {
    let address = process.address;
    let get = |token: &str| format!("GET /v2.1/flavors/1 HTTP/1.1\r\nHost: fire\r\nX-Auth-Token: {token}\r\n\r\n");
    let ask = get(token).into_bytes();
    let mut wrong = Vec::new();
    let mut warm = open::connected(address).await.expect("it listens");
    let _ = open::exchange(&mut warm, &ask).await;
    let memory = || process.memory().expect("it is running").0 as f64 * 1024.0;

    // those who have not asked anything yet, for a while shorter than the time they have for that
    let before = memory();
    let mut silent = Vec::new();
    for _ in 0..connections / 10 {
        silent.push(open::connected(address).await.expect("there is room"));
    }
    // all of them are accepted when the last of them is answered
    let mut last = open::connected(address).await.expect("there is room");
    let _ = open::exchange(&mut last, &ask).await;
    let each_silent = (memory() - before) / silent.len() as f64;
    drop(silent);

    let before = memory();
    let mut idle = Vec::new();
    for _ in 0..connections {
        let mut stream = open::connected(address).await.expect("there is room");
        match open::exchange(&mut stream, &ask).await {
            Ok(answer) if answer.status == 200 => idle.push((stream, Instant::now())),
            other => wrong.push(format!("one of many connections: {other:?}")),
        }
    }
    let each = (memory() - before) / connections as f64;
    let mut others = Vec::new();
    let mut other = open::connected(address).await.expect("there is room");
    for _ in 0..200 {
        let sent = Instant::now();
        match open::exchange(&mut other, &ask).await {
            Ok(answer) if answer.status == 200 => others.push(open::micros(sent.elapsed())),
            said => wrong.push(format!("beside idle connections: {said:?}")),
        }
    }
    let cut = cuts(address, idle, &ask, times, &mut wrong).await;
    Idle { connections, bytes_each: [each, each_silent], others, wrong, cut }
}

/// Waits until each kind is cut; none may be cut before its time.
async fn cuts(
    address: std::net::SocketAddr,
    idle: Vec<(TcpStream, Instant)>,
    ask: &[u8],
    times: &Times,
    wrong: &mut Vec<String>,
) -> Vec<(&'static str, f64)> {
    let slow = async |before: Option<&[u8]>, words: &str| {
        let mut stream = open::connected(address).await.expect("there is room");
        if let Some(request) = before {
            open::exchange(&mut stream, request).await.expect("an answer");
        }
        let since = Instant::now();
        stream.write_all(words.as_bytes()).await.expect("the connection is open");
        closed(stream, since).await
    };
    let post = "POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: fire\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    let said_nothing = async {
        let stream = open::connected(address).await.expect("there is room");
        closed(stream, Instant::now()).await
    };
    let (first, second, third, fourth) = tokio::join!(
        said_nothing,
        slow(None, "GET / HTTP/1.1\r\nHost: fi"),
        slow(Some(ask), "GET / HTTP/1.1\r\nHost: fi"),
        slow(None, post),
    );
    let mut after = Vec::new();
    for (stream, since) in idle {
        after.push(closed(stream, since).await);
    }
    let shortest = after.iter().flatten().min().copied();
    let longest = if after.iter().all(Option::is_some) { after.iter().flatten().max().copied() } else { None };
    let found = [
        ("the first idle connection", shortest, times.idle),
        ("the last idle connection", longest, times.idle),
        ("a connection without a word", first, times.header),
        ("slow headers of a first request", second, times.header),
        ("slow headers of a later request", third, times.header),
        ("a slow body", fourth, times.body),
    ];
    let mut cut = Vec::new();
    for (what, after, least) in found {
        match after {
            // the time begins at the server, a moment before we know
            Some(after) if after + Duration::from_millis(500) >= Duration::from_secs(least) => {
                cut.push((what, after.as_secs_f64()));
            }
            Some(after) => wrong.push(format!("{what}: cut after {after:?}, which is too early")),
            None => wrong.push(format!("{what}: never cut")),
        }
    }
    cut
}

/// How long after a moment the other side closed, whatever it said before.
async fn closed(mut stream: TcpStream, since: Instant) -> Option<Duration> {
    let mut buffer = [0; 4096];
    let reading = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(NEVER, reading).await.ok().map(|()| since.elapsed())
}
