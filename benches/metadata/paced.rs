//! An open loop: requests are due at moments of a clock, whether or not those before are answered, and what one waits for a connection
//! counts as its latency. A closed loop would ask less exactly while the server is slow, and never see it (coordinated omission).

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::load::{Measured, Requests, first_number, whole_answer};

/// Drives a server with so many requests a second over so many connections, from one thread that sleeps until something is due or
/// answered: it and the server share the processors, so it is to take little of them.
pub fn drive(address: SocketAddr, connections: usize, seconds: f64, requests: &Requests, per_second: f64) -> Measured {
    let mut measured = Measured { seconds, ..Measured::default() };
    let watch = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    let mut all: Vec<Connection> = (0..connections).map(|_| Connection::open(address)).collect();
    for (number, connection) in all.iter().enumerate() {
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&watch, &connection.stream, data, epoll::EventFlags::IN).expect("a socket can be watched");
    }
    let mut idle: VecDeque<usize> = (0..connections).collect();
    let each = Duration::from_secs_f64(1.0 / per_second);
    let begun = Instant::now() + Duration::from_millis(50);
    let end = begun + Duration::from_secs_f64(seconds);
    let (mut due, mut number) = (begun, first_number());
    let (mut out, mut events) = (Vec::new(), Vec::with_capacity(connections));
    while due < end || idle.len() < connections {
        while due < end
            && due <= Instant::now()
            && let Some(free) = idle.pop_front()
        {
            out.clear();
            requests(number, &mut out);
            all[free].send(&out, due);
            due += each;
            number += 1;
        }
        let until = if due < end && !idle.is_empty() { due } else { Instant::now() + Duration::from_secs(10) };
        let wait = until.saturating_duration_since(Instant::now());
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        events.clear();
        let buffer = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(&watch, buffer, Some(&wait)).expect("an epoll can be waited for");
        for event in &events {
            let number = usize::try_from(event.data.u64()).expect("a connection's number");
            if let Some(status) = all[number].answer() {
                measured.count(status, all[number].due.elapsed());
                idle.push_back(number);
            }
        }
    }
    measured.finished()
}

/// A connection, with at most one request on its way.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// When the request was due.
    due: Instant,
}

impl Connection {
    fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("the server accepts connections");
        stream.set_nodelay(true).expect("TCP has no delay where it is told so");
        stream.set_nonblocking(true).expect("a socket can be asked not to wait");
        Connection { stream, buffer: Vec::with_capacity(64 * 1024), due: Instant::now() }
    }

    fn send(&mut self, request: &[u8], due: Instant) {
        self.due = due;
        self.buffer.clear();
        // what was sent before is answered, so the socket has room for a request as short as these
        self.stream.write_all(request).expect("the server reads");
    }

    /// The status, when all of the answer is there.
    fn answer(&mut self) -> Option<u16> {
        let mut chunk = [0; 16 * 1024];
        let read = match self.stream.read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            read => read.expect("the server answers"),
        };
        assert!(read > 0, "the server closed a connection");
        self.buffer.extend_from_slice(&chunk[..read]);
        let (status, length) = whole_answer(&self.buffer)?;
        (self.buffer.len() >= length).then_some(status)
    }
}
