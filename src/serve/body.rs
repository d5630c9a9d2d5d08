//! Bodies on their way: what hyper receives as our stream, and ours as what hyper sends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body as HttpBody, Frame, Incoming};
use tokio::time::{Instant, Sleep};

use super::exchange::{Deadline, Exchange};
use super::patience::Patience;
use crate::api::message::{Body, BodyError, BodyStream};

/// The body of a request. It may keep us waiting for only so long; trailers are left out.
pub(super) struct InBody {
    incoming: Incoming,
    patience: Patience,
    /// Set while we wait: a body that is there already needs no timer.
    timer: Option<Pin<Box<Sleep>>>,
    deadline: Arc<Deadline>,
    failed: bool,
}

impl InBody {
    pub(super) fn new(incoming: Incoming, patience: Patience, deadline: Arc<Deadline>) -> InBody {
        InBody { incoming, patience, timer: None, deadline, failed: false }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let end = self.patience.waits(Instant::now);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        ready!(timer.as_mut().poll(cx));
        self.failed = true;
        Poll::Ready(Some(Err(BodyError::TimedOut)))
    }
}

impl Stream for InBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => return self.wait(cx),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(cause))) => {
                    self.failed = true;
                    return Poll::Ready(Some(Err(BodyError::Broken(cause.to_string()))));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(chunk) = frame.into_data() {
                        self.timer = None;
                        let now = Instant::now();
                        self.patience.moved(chunk.len(), || now);
                        self.deadline.received(chunk.len(), now);
                        return Poll::Ready(Some(Ok(chunk)));
                    }
                }
            }
        }
    }
}

/// The body of a response, and the exchange it ends: when hyper has taken the last of it, the exchange is over.
pub(super) struct OutBody {
    rest: Rest,
    /// hyper removes `Content-Length: 0` from a 204 whose body it knows to be over; so it may not know.
    hides_its_end: bool,
    exchange: Exchange,
}

enum Rest {
    Bytes(Bytes),
    Stream(BodyStream),
}

impl OutBody {
    pub(super) fn new(body: Body, hides_its_end: bool, exchange: Exchange) -> OutBody {
        let rest = match body {
            Body::Bytes(bytes) => Rest::Bytes(bytes),
            Body::Stream(stream, _) => Rest::Stream(stream),
        };
        OutBody { rest, hides_its_end, exchange }
    }
}

impl HttpBody for OutBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let chunk = match &mut self.rest {
            Rest::Bytes(bytes) if bytes.is_empty() => None,
            Rest::Bytes(bytes) => Some(Ok(std::mem::take(bytes))),
            Rest::Stream(stream) => ready!(stream.as_mut().poll_next(cx)),
        };
        match &chunk {
            Some(Ok(bytes)) => self.exchange.sent(bytes.len()),
            Some(Err(cause)) => self.exchange.broke_off(cause),
            None => (),
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.rest, Rest::Bytes(bytes) if bytes.is_empty()) && !self.hides_its_end
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match &self.rest {
            Rest::Bytes(bytes) => hyper::body::SizeHint::with_exact(bytes.len() as u64),
            // The header says how long, where that is known; hyper keeps us to it.
            Rest::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}
