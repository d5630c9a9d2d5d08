//! A request and a response as `handle` sees them: no sockets, no connection, only what was said.
//! Bodies are either bytes at hand or a stream of chunks; who reads one decides how much of it may be held.

use std::fmt;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode};

use crate::model::ids::ProjectId;

/// The chunks of a body that is not held in memory.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// A body: empty, at hand, or arriving.
pub enum Body {
    /// The whole body, possibly empty.
    Bytes(Bytes),
    /// Chunks, and how many bytes they add up to where the sender has said so (Content-Length).
    Stream(BodyStream, Option<u64>),
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is, or says it is, longer than the reader allows.
    #[error("the body is longer than {0} bytes")]
    TooLong(u64),
    /// The sender went away, or sent something that is not HTTP.
    #[error("the body broke off: {0}")]
    Broken(String),
    /// The sender was too slow.
    #[error("the body did not arrive in time")]
    TimedOut,
}

impl Body {
    /// A body with nothing in it.
    pub fn empty() -> Body {
        Body::Bytes(Bytes::new())
    }

    /// How long the body is, where that is known before reading it.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream(_, length) => *length,
        }
    }

    /// The whole body, if it has at most `bytes_max` bytes.
    ///
    /// # Errors
    /// `TooLong` as soon as the announced or the received length exceeds the limit; whatever broke the stream otherwise.
    pub async fn read(self, bytes_max: u64) -> Result<Bytes, BodyError> {
        match self {
            Body::Bytes(bytes) if bytes.len() as u64 > bytes_max => Err(BodyError::TooLong(bytes_max)),
            Body::Bytes(bytes) => Ok(bytes),
            Body::Stream(_, Some(length)) if length > bytes_max => Err(BodyError::TooLong(bytes_max)),
            Body::Stream(stream, _) => collect(stream, bytes_max).await,
        }
    }

    /// The body as chunks, whatever its form.
    pub fn into_stream(self) -> BodyStream {
        match self {
            Body::Bytes(bytes) => Box::pin(futures_util::stream::iter((!bytes.is_empty()).then_some(Ok(bytes)))),
            Body::Stream(stream, _) => stream,
        }
    }
}

async fn collect(mut stream: BodyStream, bytes_max: u64) -> Result<Bytes, BodyError> {
    let Some(first) = stream.next().await.transpose()? else { return Ok(Bytes::new()) };
    if first.len() as u64 > bytes_max {
        return Err(BodyError::TooLong(bytes_max));
    }
    let Some(second) = stream.next().await.transpose()? else { return Ok(first) };
    let mut all = BytesMut::from(first);
    let mut stream = futures_util::stream::iter([Ok(second)]).chain(stream);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if (all.len() + chunk.len()) as u64 > bytes_max {
            return Err(BodyError::TooLong(bytes_max));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Body::Stream(_, length) => write!(f, "stream of {length:?} bytes"),
        }
    }
}

/// What a client asks.
#[derive(Debug)]
pub struct Request {
    /// GET, PUT, or whatever the client wrote.
    pub method: Method,
    /// The path as sent: percent-encoded, without the query.
    pub path: String,
    /// What follows `?`, as sent; `None` where there was no `?`.
    pub query: Option<String>,
    /// Headers as sent.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl Request {
    /// A request without headers or body.
    pub fn new(method: Method, target: &str) -> Request {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Request { method, path: path.to_owned(), query, headers: HeaderMap::new(), body: Body::empty() }
    }

    /// The value of a header, if it is there once or more and is readable text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What the client gets.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Headers, in the order in which they are sent. Content-Length and Date are written by the street.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// The project that asked, for the log; it is not sent.
    pub project_id: Option<ProjectId>,
}

impl Response {
    /// A response without a body.
    pub fn new(status: StatusCode) -> Response {
        Response { status, headers: HeaderMap::new(), body: Body::empty(), project_id: None }
    }
}
