//! Clients: each has one connection, sends a request, waits for its answer, and sends the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Makes the next request of a client: its bytes, from a number that is never the same twice.
pub type Requests = Arc<dyn Fn(u64, &mut Vec<u8>) + Send + Sync>;

/// The first of the numbers of a load, of which no other makes requests; those of its clients lie 2^40 apart.
pub fn first_number() -> u64 {
    static LOADS: AtomicU64 = AtomicU64::new(0);
    // more requests than a load ever has
    LOADS.fetch_add(1, Ordering::Relaxed) << 28
}

/// What a load came to.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Answers of status 200 or 204.
    pub answers: u64,
    /// Other answers.
    pub refusals: u64,
    /// How long it took.
    pub seconds: f64,
    /// Of each answer, in microseconds, sorted.
    pub latencies: Vec<u32>,
}

impl Measured {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds.max(1e-9)
    }

    /// Counts an answer.
    pub fn count(&mut self, status: u16, latency: Duration) {
        self.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        if matches!(status, 200 | 204) {
            self.answers += 1;
        } else {
            self.refusals += 1;
        }
    }

    /// The whole of a load, in which something was answered.
    pub fn finished(mut self) -> Measured {
        assert!(self.answers > 0, "nothing was answered as it should be, {} refused", self.refusals);
        self.latencies.sort_unstable();
        self
    }

    /// Adds what another client saw. Latencies are to be sorted then.
    pub fn add(&mut self, other: Measured) {
        self.answers += other.answers;
        self.refusals += other.refusals;
        self.latencies.extend(other.latencies);
    }

    /// The latency below which this part of the answers lies, in milliseconds.
    pub fn quantile_ms(&self, part: f64) -> f64 {
        let index = ((self.latencies.len() as f64 * part) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).map_or(f64::NAN, |microseconds| f64::from(*microseconds) / 1000.0)
    }
}

/// Drives a server for so many seconds over so many connections, each as fast as it is answered.
pub fn drive(address: SocketAddr, connections: usize, seconds: f64, requests: &Requests) -> Measured {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let over = Arc::new(AtomicBool::new(false));
        let (begun, first) = (Instant::now(), first_number());
        let clients: Vec<_> = (0..connections as u64)
            .map(|client| tokio::spawn(one(address, first + (client << 40), requests.clone(), over.clone())))
            .collect();
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        over.store(true, Ordering::Relaxed);
        let seconds = begun.elapsed().as_secs_f64();
        let mut all = Measured { seconds, ..Measured::default() };
        for client in clients {
            all.add(client.await.expect("a client does not panic"));
        }
        all.finished()
    })
}

async fn one(address: SocketAddr, first: u64, requests: Requests, over: Arc<AtomicBool>) -> Measured {
    let mut measured = Measured::default();
    let mut stream = TcpStream::connect(address).await.expect("the server accepts connections");
    stream.set_nodelay(true).expect("TCP has no delay where it is told so");
    let (mut out, mut buffer) = (Vec::new(), Vec::with_capacity(64 * 1024));
    let mut next = first;
    while !over.load(Ordering::Relaxed) {
        out.clear();
        requests(next, &mut out);
        next += 1;
        let sent = Instant::now();
        stream.write_all(&out).await.expect("the server reads");
        let status = answer(&mut stream, &mut buffer).await;
        measured.count(status, sent.elapsed());
    }
    measured
}

/// Reads one answer to its end; gives its status.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> u16 {
    buffer.clear();
    loop {
        let read = stream.read_buf(buffer).await.expect("the server answers");
        assert!(read > 0, "the server closed a connection");
        let Some((status, length)) = whole_answer(buffer) else { continue };
        let from = buffer.len();
        if length > from {
            buffer.resize(length, 0);
            stream.read_exact(&mut buffer[from..]).await.expect("the server finishes its answer");
        }
        return status;
    }
}

/// The status of an answer whose head is there, and how many bytes it will have in all.
pub fn whole_answer(buffer: &[u8]) -> Option<(u16, usize)> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&buffer[..end]).expect("a head is text");
    let status = head.get(9..12).and_then(|text| text.parse().ok()).expect("a status line");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some((status, end + 4 + length.unwrap_or(0)))
}
