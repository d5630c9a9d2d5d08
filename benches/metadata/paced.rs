//! An open loop: requests are due at moments of a clock, whether or not those before are answered, and what one waits for its turn counts as
//! its latency. A closed loop would ask less exactly while the server is slow, and never see it (coordinated omission).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::load::{Measured, Requests, whole_answer};

/// Drives a server with so many requests a second over so many connections. Each connection is a thread of its own, which sleeps until its
/// next request is due: how late it wakes up counts, too, and is the least that any server could show here.
pub fn drive(address: SocketAddr, connections: usize, seconds: f64, requests: &Requests, per_second: f64) -> Measured {
    let begun = Instant::now() + Duration::from_millis(50);
    let each = Duration::from_secs_f64(connections as f64 / per_second);
    let clients: Vec<_> = (0..connections as u64)
        .map(|client| {
            let requests = requests.clone();
            // their turns are spread evenly
            let first = begun + each.mul_f64(client as f64 / connections as f64);
            let work = move || one(address, client, &requests, first, each, begun + Duration::from_secs_f64(seconds));
            thread::Builder::new().stack_size(128 * 1024).spawn(work).expect("a thread")
        })
        .collect();
    let mut all = Measured { seconds, ..Measured::default() };
    for client in clients {
        all.add(client.join().expect("a client does not panic"));
    }
    all.latencies.sort_unstable();
    all
}

fn one(
    address: SocketAddr,
    client: u64,
    requests: &Requests,
    first: Instant,
    each: Duration,
    end: Instant,
) -> Measured {
    let mut measured = Measured::default();
    let mut stream = TcpStream::connect(address).expect("the server accepts connections");
    stream.set_nodelay(true).expect("TCP has no delay where it is told so");
    let (mut out, mut buffer) = (Vec::new(), Vec::with_capacity(64 * 1024));
    let (mut due, mut next) = (first, client << 40);
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        out.clear();
        requests(next, &mut out);
        stream.write_all(&out).expect("the server reads");
        let status = answer(&mut stream, &mut buffer);
        measured.count(status, due.elapsed());
        due += each;
        next += 1;
    }
    measured
}

fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> u16 {
    buffer.clear();
    let mut chunk = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut chunk).expect("the server answers");
        assert!(read > 0, "the server closed a connection");
        buffer.extend_from_slice(&chunk[..read]);
        if let Some((status, length)) = whole_answer(buffer)
            && buffer.len() >= length
        {
            return status;
        }
    }
}
