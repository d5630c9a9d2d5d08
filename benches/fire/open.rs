//! Load that does not wait for answers: requests are sent when they are due, however slow the server is, as many clients who know nothing
//! of each other would. How long an answer takes counts from the moment its request was due.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Longer than any answer may take; a client that waits so long counts as a hang.
const HANG: Duration = Duration::from_secs(90);
/// Connections at most; whoever is due when none is free waits for one.
const CONNECTIONS: usize = 2000;
/// What is due in the first seconds is counted apart, too: a queue may be long for a moment.
const BEGINNING: Duration = Duration::from_secs(2);
/// As many sentences about what is wrong are kept.
const WRONG_KEPT: usize = 20;

/// Makes the bytes of a request from its number.
pub type Requests = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What it says in `Retry-After`.
    pub retry_after: Option<String>,
    /// Whether the connection ends with it.
    pub closes: bool,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// What is wrong with it, if it is a refusal: 503 must say when to come back, in the words of an API.
    fn wrong(&self) -> Option<String> {
        let body = String::from_utf8_lossy(&self.body);
        let is_right = match self.status {
            200..=299 => true,
            503 => {
                self.retry_after.as_ref().is_some_and(|seconds| seconds.parse::<u32>().is_ok())
                    && (body.starts_with(r#"{"serviceUnavailable": {"code": 503, "#)
                        || body.starts_with(r#"{"error": {"code": 503, "#))
            }
            _ => false,
        };
        (!is_right).then(|| format!("{} {:?} {body}", self.status, self.retry_after))
    }
}

/// Sends a request and reads its answer. An answer that came before all of the request was sent counts.
///
/// # Errors
/// Where the connection ends before an answer.
pub async fn exchange(stream: &mut TcpStream, request: &[u8]) -> std::io::Result<Answer> {
    let sent = stream.write_all(request).await;
    let mut heard = Vec::with_capacity(1024);
    let end = loop {
        if let Some(end) = heard.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut heard).await? == 0 {
            sent?;
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&heard[..end]).into_owned();
    let header = |wanted: &str| {
        head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let status = head.get(9..12).and_then(|text| text.parse().ok()).unwrap_or(0);
    let length = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = heard.split_off(end + 4);
    let from = body.len().min(length);
    body.resize(length, 0);
    stream.read_exact(&mut body[from..]).await?;
    let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Answer { status, retry_after: header("retry-after"), closes, body })
}

/// What became of requests.
#[derive(Debug, Default)]
pub struct Tally {
    /// How long those took that were done, in microseconds.
    pub done: Vec<u64>,
    /// The same without the first two seconds.
    pub settled: Vec<u64>,
    /// How long those took that were told to come back, in microseconds.
    pub refused: Vec<u64>,
    /// What was neither, or not as it must be.
    pub wrong: Vec<String>,
    /// Those that got no answer at all.
    pub silent: u64,
    /// Those that the clients did not get around to sending while the load lasted.
    pub unsent: u64,
    /// How much later than due the requests were sent, in microseconds: where this is long, the clients are too slow.
    pub late: Vec<u64>,
}

impl Tally {
    fn count(&mut self, answer: std::io::Result<&Answer>, took: Duration, is_settled: bool) {
        let took = micros(took);
        match answer {
            Ok(answer) => {
                if let Some(wrong) = answer.wrong() {
                    self.complain(wrong);
                }
                if answer.status == 503 {
                    return self.refused.push(took);
                }
                self.done.push(took);
                if is_settled {
                    self.settled.push(took);
                }
            }
            Err(cause) => {
                self.silent += 1;
                self.complain(format!("no answer: {cause}"));
            }
        }
    }

    fn complain(&mut self, wrong: String) {
        if self.wrong.len() < WRONG_KEPT {
            self.wrong.push(wrong);
        }
    }

    /// Adds what became of others.
    pub fn add(&mut self, other: Tally) {
        self.done.extend(other.done);
        self.settled.extend(other.settled);
        self.refused.extend(other.refused);
        self.late.extend(other.late);
        self.silent += other.silent;
        self.unsent += other.unsent;
        other.wrong.into_iter().for_each(|wrong| self.complain(wrong));
    }
}

/// In microseconds.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The value below which this part of some lies, in milliseconds; 0 of none.
pub fn quantile_ms(of: &[u64], part: f64) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    let index = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(0.0, |microseconds| *microseconds as f64 / 1000.0)
}

/// Connections that are free.
type Free = Arc<Mutex<Vec<TcpStream>>>;

/// Asks so many times a second for so long, and waits for every answer. What could not be sent in that time is not sent any more: clients that
/// are too slow make a smaller load and not a longer one.
pub async fn open_loop(address: SocketAddr, requests: Requests, per_second: f64, seconds: f64) -> Tally {
    let (free, tally): (Free, _) = (Free::default(), Arc::new(Mutex::new(Tally::default())));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let begun = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    let all = (per_second * seconds) as u64;
    let over = begun + Duration::from_secs_f64(seconds);
    for number in 0..all {
        if Instant::now() > over {
            tally.lock().expect("nobody panics with it").unsent += all - number;
            break;
        }
        let due = begun + Duration::from_secs_f64(number as f64 / per_second);
        tokio::time::sleep_until(due).await;
        let (free, tally, requests) = (free.clone(), tally.clone(), requests.clone());
        let places = places.clone();
        asking.spawn(async move {
            let _place = places.acquire().await.expect("it is never closed");
            if Instant::now() > over {
                tally.lock().expect("nobody panics with it").unsent += 1;
                return;
            }
            let late = micros(due.elapsed());
            let answer = tokio::time::timeout(HANG, ask(address, &free, &requests(number))).await;
            let answer = answer.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
            let took = due.elapsed();
            let mut tally = tally.lock().expect("nobody panics with it");
            tally.late.push(late);
            tally.count(answer.as_ref().map_err(copy), took, due >= begun + BEGINNING);
        });
        while asking.try_join_next().is_some() {}
    }
    while asking.join_next().await.is_some() {}
    std::mem::take(&mut *tally.lock().expect("nobody panics with it"))
}

fn copy(cause: &std::io::Error) -> std::io::Error {
    cause.kind().into()
}

/// Asks on a connection that is free, or on a new one.
async fn ask(address: SocketAddr, free: &Free, request: &[u8]) -> std::io::Result<Answer> {
    let kept = free.lock().expect("nobody panics with it").pop();
    let mut stream = match kept {
        Some(stream) => stream,
        None => connected(address).await?,
    };
    let answer = exchange(&mut stream, request).await?;
    if !answer.closes {
        free.lock().expect("nobody panics with it").push(stream);
    }
    Ok(answer)
}

/// A new connection.
///
/// # Errors
/// Where there is none to be had.
pub async fn connected(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// So many clients who each ask again when they have their answer, for so long: what the server can do at most.
pub async fn closed_loop(address: SocketAddr, requests: Requests, clients: u64, seconds: f64) -> Tally {
    let over = Instant::now() + Duration::from_secs_f64(seconds);
    let mut asking = tokio::task::JoinSet::new();
    for client in 0..clients {
        let requests = requests.clone();
        asking.spawn(async move {
            let (free, mut tally) = (Free::default(), Tally::default());
            let mut number = client << 32;
            while Instant::now() < over {
                let sent = Instant::now();
                let answer = ask(address, &free, &requests(number)).await;
                tally.count(answer.as_ref().map_err(copy), sent.elapsed(), true);
                number += 1;
            }
            tally
        });
    }
    let mut all = Tally::default();
    while let Some(tally) = asking.join_next().await {
        all.add(tally.expect("a client does not panic"));
    }
    all
}
