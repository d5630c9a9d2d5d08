//! The street: accepts connections, keeps limits, hands requests to an [`Answer`], and leaves in good order.
//! What is answered is not known here, except to a connection there is no room for: 503.
//!
//! HTTP/1.1 by hyper, without a middleware stack. Header names leave in lower case, which clients must and do accept.

mod body;
mod connection;
mod data_dir;
mod exchange;
mod pace;
mod patience;
mod pressure;
mod refusal;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::api::message::{Request, Response};
use crate::config::Settings;
use crate::model::ids::RequestId;
pub use data_dir::{DataDirError, DataDirLock, open_private};
use pace::Pace;
use pressure::Pressure;
pub use tls::{Tls, TlsError};

/// Who answers requests.
pub trait Answer: Send + Sync + 'static {
    /// The answer to a request. It is dropped, unfinished, when the client goes away or time is up.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// What is said to a request for this path where `answer` gives nothing. The id is that of the request, where it has one yet.
    fn without_answer(&self, why: NoAnswer, path: &str, request_id: Option<RequestId>) -> Response;
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// It panicked.
    Panicked,
    /// It was not there in time, or there are so many requests that it was not even begun.
    Overloaded,
}

/// What a connection may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The longest request line and headers.
    pub header_bytes_max: usize,
    /// How long the headers of a request may take.
    pub header_timeout: Duration,
    /// How long a body may keep us waiting, in either direction, beyond what it takes at the slowest rate.
    pub body_timeout: Duration,
    /// The slowest rate; 0 for any.
    pub body_bytes_per_second_min: u64,
    /// How long a connection may wait between requests.
    pub idle_timeout: Duration,
    /// How long an answer may take, anew for every 64 KiB of the request's body.
    pub request_timeout: Duration,
    /// How many connections are served at once.
    pub connections_max: u32,
    /// How long requests in flight may take after the first signal to stop.
    pub drain: Duration,
}

impl Limits {
    /// The limits that these settings ask for.
    pub fn of(settings: &Settings) -> Limits {
        Limits {
            header_bytes_max: usize::try_from(settings.header_bytes_max).unwrap_or(usize::MAX),
            header_timeout: Duration::from_secs(settings.header_timeout_seconds),
            body_timeout: Duration::from_secs(settings.body_timeout_seconds),
            body_bytes_per_second_min: settings.body_bytes_per_second_min,
            idle_timeout: Duration::from_secs(settings.idle_timeout_seconds),
            request_timeout: Duration::from_secs(settings.request_timeout_seconds),
            connections_max: settings.connections_max,
            drain: Duration::from_secs(settings.drain_seconds),
        }
    }

    /// No more connections than the process may have open files, of which the database and images need some too.
    fn within_open_files(mut self, open_files_max: Option<u32>) -> Limits {
        const FILES_FOR_OTHERS: u32 = 128;
        let room = open_files_max.map_or(u32::MAX, |files| files.saturating_sub(FILES_FOR_OTHERS).max(1));
        if room < self.connections_max {
            tracing::warn!(connections_max = room, "the limit on open files (ulimit -n) allows fewer connections");
            self.connections_max = room;
        }
        self
    }
}

/// The soft limit on open files, where the system says it (Linux).
fn open_files_max() -> Option<u32> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request in flight was finished.
    Drained,
    /// The time for that was over; so many connections were cut.
    CutOff(u32),
    /// Somebody asked twice: whatever was in flight was cut.
    Interrupted,
}

/// Why serving could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not to be had.
    #[error("cannot listen on {address}: {cause}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The system has no threads, timers or signals for us.
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
}

/// Serves until SIGTERM or SIGINT, on all processors. `ready` is called once, with the address that was bound, as soon as
/// clients can connect.
///
/// # Errors
/// If serving cannot begin.
pub fn run<A: Answer>(
    settings: &Settings,
    open: impl AsyncFnOnce(SocketAddr) -> Result<A, Box<dyn std::error::Error>>,
) -> Result<Ended, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("street").build()?;
    let limits = Limits::of(settings).within_open_files(open_files_max());
    let tls = Tls::of(settings)?;
    let ended = runtime.block_on(async {
        // Before anybody is told that we are ready, so that whoever is told may send a signal.
        let stop = signals()?;
        let listener = listen(settings.listen)?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "listening");
        let answer = open(address).await?;
        Ok(serve(listener, tls, limits, answer, stop).await)
    });
    // Work that blocks a thread must not keep the process: what has to survive is in the database.
    runtime.shutdown_background();
    ended
}

/// One message per SIGTERM or SIGINT.
fn signals() -> io::Result<mpsc::Receiver<()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stops) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            if stop.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(stops)
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let refused = |cause| ServeError::Listen { address, cause };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(refused)?;
    // A restart must not wait for the connections of the one before to be forgotten.
    socket.set_reuseaddr(true).map_err(refused)?;
    socket.bind(address).map_err(refused)?;
    socket.listen(1024).map_err(refused)
}

/// What every connection is told when it is time to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// Finish the request in flight, begin no other.
    Draining,
    /// Leave at once.
    Cut,
}

/// Serves what arrives at the listener. The first message (or the end) of `stop` begins the drain, the second cuts it short.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    answer: impl Answer,
    mut stop: mpsc::Receiver<()>,
) -> Ended {
    let places = limits.connections_max;
    let street = Street {
        tls,
        answer: Arc::new(answer),
        served: Arc::new(Semaphore::new(places as usize)),
        refused: Arc::new(Semaphore::new(refusal::REFUSALS_MAX)),
        stage: watch::Sender::new(Stage::Open),
        limits: Arc::new(limits),
        pressure: Arc::default(),
    };
    if let Err(cause) = street.pressure.watch() {
        tracing::warn!(%cause, "how long requests wait cannot be measured, so none is refused for it");
    }
    tokio::select! {
        () = street.accept(&listener) => (),
        () = street.keep_up() => (),
        _ = stop.recv() => (),
    }
    drop(listener);
    street.drain(places, &mut stop).await
}

struct Street<A> {
    tls: Option<Arc<Tls>>,
    answer: Arc<A>,
    /// One permit per connection that is served.
    served: Arc<Semaphore>,
    /// One permit per connection that is being told there is no room.
    refused: Arc<Semaphore>,
    stage: watch::Sender<Stage>,
    limits: Arc<Limits>,
    pressure: Arc<Pressure>,
}

impl<A: Answer> Street<A> {
    /// Accepts for ever.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.welcome(stream),
                Err(cause) => self.pause(&cause).await,
            }
        }
    }

    /// Keeps what a file says up to date, for ever.
    async fn keep_up(&self) {
        match &self.tls {
            Some(tls) => tls.keep_up().await,
            None => std::future::pending().await,
        }
    }

    fn welcome(&self, stream: TcpStream) {
        // An answer is one write; waiting to fill a packet would only delay it. Failing means the client has gone.
        let _ = stream.set_nodelay(true);
        if let Ok(place) = Arc::clone(&self.served).try_acquire_owned() {
            let (answer, limits) = (Arc::clone(&self.answer), Arc::clone(&self.limits));
            let (stage, tls) = (self.stage.subscribe(), self.tls.clone());
            let pace = Pace::new(&limits, Arc::clone(&self.pressure));
            tokio::spawn(async move {
                match tls {
                    None => connection::serve(stream, pace, answer, limits, stage).await,
                    Some(tls) => connection::serve_over(&tls, stream, pace, answer, limits, stage).await,
                }
                drop::<OwnedSemaphorePermit>(place);
            });
        } else if let Ok(place) = Arc::clone(&self.refused).try_acquire_owned() {
            let tls = self.tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => refusal::no_room(stream).await,
                    Some(tls) => refusal::no_room_over(&tls, stream).await,
                }
                drop::<OwnedSemaphorePermit>(place);
            });
        } else if self.tls.is_none() {
            refusal::no_room_at_once(stream);
        }
        // Beyond all of these the connection is closed without a word: a TLS handshake costs what we do not have.
    }

    /// A client that went away before it was accepted costs nothing; out of open files, only waiting helps.
    async fn pause(&self, cause: &io::Error) {
        let client_gone = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
        if !client_gone.contains(&cause.kind()) {
            tracing::error!(%cause, "cannot accept connections");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn drain(&self, places: u32, stop: &mut mpsc::Receiver<()>) -> Ended {
        self.stage.send_replace(Stage::Draining);
        let in_flight = || places - u32::try_from(self.served.available_permits()).unwrap_or(places).min(places);
        tracing::info!(connections = in_flight(), "stopping; requests in flight are finished");
        let ended = tokio::select! {
            _ = self.served.acquire_many(places) => Ended::Drained,
            Some(()) = stop.recv() => Ended::Interrupted,
            () = tokio::time::sleep(self.limits.drain) => Ended::CutOff(in_flight()),
        };
        if ended != Ended::Drained {
            tracing::warn!(connections = in_flight(), "connections are cut");
        }
        self.stage.send_replace(Stage::Cut);
        ended
    }
}

#[cfg(test)]
mod tests;
