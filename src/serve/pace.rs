//! How long a connection may take: between requests, for the headers of one, and for the client to take what we send.
//! The time a body may take to arrive is kept in `body`, the time an answer may take in `exchange`.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Limits;
use super::patience::Patience;
use super::pressure::Pressure;
use crate::backlog::Share;

/// No deadline: the client waits for us.
const NEVER: u64 = u64::MAX;

/// Until when a client has to have sent the next thing. Shared by the connection's socket, which keeps the deadline, and
/// its exchanges, which set it; all run in one task, so the order of memory accesses is not in question.
#[derive(Debug)]
pub(super) struct Pace {
    origin: Instant,
    /// Milliseconds after `origin`, or `NEVER`.
    read_deadline: AtomicU64,
    /// Whether not a byte of the next request is there.
    idle: AtomicBool,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    write_bytes_per_second_min: u64,
    pressure: Arc<Pressure>,
    /// The one timer for all answers of the connection: to move it on costs no lock, to make one does.
    alarm: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl Pace {
    /// The pace of a new connection: it was made for a request, so its first has to come in the time for headers.
    pub(super) fn new(limits: &Limits, pressure: Arc<Pressure>) -> Pace {
        let pace = Pace {
            origin: Instant::now(),
            read_deadline: AtomicU64::new(NEVER),
            idle: AtomicBool::new(true),
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            write_timeout: limits.body_timeout,
            write_bytes_per_second_min: limits.body_bytes_per_second_min,
            pressure,
            alarm: Mutex::default(),
        };
        pace.begin();
        pace
    }

    /// From now on the time for the headers of the first request counts.
    pub(super) fn begin(&self) {
        self.expect_within(self.header_timeout);
    }

    /// Whether the next request is answered, or refused because there are too many.
    pub(super) fn lets_in(&self, whose: impl FnOnce() -> Share) -> bool {
        self.pressure.lets_in(whose)
    }

    /// A request is there; now the client waits for us.
    pub(super) fn answering(&self) {
        self.idle.store(false, Ordering::Relaxed);
        self.read_deadline.store(NEVER, Ordering::Relaxed);
    }

    /// Waits for a moment that may move on while it is waited for.
    pub(super) fn poll_alarm(&self, at: impl Fn() -> Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut alarm = self.alarm.lock().expect("nobody panics while holding the alarm");
        let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at())));
        loop {
            let wanted = at();
            if alarm.deadline() != wanted {
                alarm.as_mut().reset(wanted);
            }
            ready!(alarm.as_mut().poll(cx));
            if at() <= wanted {
                return Poll::Ready(());
            }
        }
    }

    /// The answer is given; now we wait for the client.
    pub(super) fn answered(&self) {
        self.idle.store(true, Ordering::Relaxed);
        self.expect_within(self.idle_timeout);
    }

    fn bytes_arrived(&self) {
        if self.idle.swap(false, Ordering::Relaxed) {
            self.expect_within(self.header_timeout);
        }
    }

    fn expect_within(&self, time: Duration) {
        self.read_deadline.store(self.millis(Instant::now() + time), Ordering::Relaxed);
    }

    /// Rounded up, so that a deadline is never early.
    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.origin).as_micros().div_ceil(1000)).unwrap_or(NEVER - 1)
    }

    fn deadline(&self) -> Option<Instant> {
        match self.read_deadline.load(Ordering::Relaxed) {
            NEVER => None,
            millis => Some(self.origin + Duration::from_millis(millis)),
        }
    }

    /// How often to look at the clock. A deadline is hardly ever nearer than this, and one that is, is kept late by no more; so the one timer
    /// of a connection need not be set again, which costs a lock, whenever a deadline changes.
    fn tick(&self) -> Duration {
        self.header_timeout.min(self.idle_timeout).min(self.write_timeout)
    }
}

/// A socket that gives up when its client is too slow. A read that gives up is the end of the stream, as if the client
/// had closed; a write that gives up is an error.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>) -> Paced<S> {
        let timer = Box::pin(tokio::time::sleep(pace.tick()));
        let patience = Patience::new(pace.write_timeout, pace.write_bytes_per_second_min);
        Paced { stream, pace, patience, timer }
    }

    /// Whether a deadline has passed; if not, the task is woken to ask again.
    fn too_late(&mut self, cx: &mut Context<'_>) -> bool {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let nearest = self.pace.deadline().into_iter().chain(self.patience.ends()).min();
            if nearest.is_some_and(|deadline| deadline <= now) {
                return true;
            }
            let tick = now + self.pace.tick();
            self.timer.as_mut().reset(nearest.map_or(tick, |deadline| deadline.min(tick)));
        }
        false
    }

    /// Keeps the time for something that waits for the client to take bytes.
    fn written<T>(
        &mut self,
        poll: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = &poll {
            self.patience.moved(done.as_ref().map_or(0, bytes), Instant::now);
            return poll;
        }
        self.patience.waits(Instant::now);
        if self.too_late(cx) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        match poll {
            Poll::Ready(Ok(())) if buf.filled().len() > before => self.pace.bytes_arrived(),
            Poll::Ready(_) => (),
            Poll::Pending if self.too_late(cx) => return Poll::Ready(Ok(())),
            Poll::Pending => (),
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(poll, |bytes| *bytes, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(poll, |bytes| *bytes, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS takes what is written and passes it on here
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(poll, |()| 0, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.written(poll, |()| 0, cx)
    }
}
