//! One request and its answer: from hyper's types to ours and back, the time it may take, panics, and its line in the log.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use super::body::{InBody, OutBody};
use super::pace::Pace;
use super::patience::Patience;
use super::{Answer, Limits, NoAnswer};
use crate::api::message::{Body, Request, Response};
use crate::backlog::Share;
use crate::logs::{About, AccessRecord, access_line};
use crate::model::ids::{ProjectId, RequestId};

/// Bytes of a request's body that buy another `request_timeout`.
const BODY_STEP_BYTES: u64 = 64 * 1024;

/// When an answer has to be there. The time is ours, not the client's, so what a client sends moves it; but only in steps, or a byte
/// now and then would keep a connection for ever.
#[derive(Debug)]
pub(super) struct Deadline {
    begun: Instant,
    step: Duration,
    body_bytes: AtomicU64,
    /// Nanoseconds after `begun`.
    nanos: AtomicU64,
}

impl Deadline {
    fn new(begun: Instant, step: Duration) -> Deadline {
        let deadline = Deadline { begun, step, body_bytes: AtomicU64::new(0), nanos: AtomicU64::new(0) };
        deadline.move_from(begun);
        deadline
    }

    /// Counts bytes of the body that have arrived. One task at a time reads a body, so these need not be one step.
    pub(super) fn received(&self, bytes: usize, now: Instant) {
        let before = self.body_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if (before + bytes as u64) / BODY_STEP_BYTES > before / BODY_STEP_BYTES {
            self.move_from(now);
        }
    }

    fn move_from(&self, now: Instant) {
        let after_begin = now.duration_since(self.begun) + self.step;
        self.nanos.store(u64::try_from(after_begin.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn at(&self) -> Instant {
        self.begun + Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// A request being answered. When it is dropped, wherever that is, its line is written and the connection waits for the next.
#[derive(Debug)]
pub(super) struct Exchange {
    begun: Instant,
    pace: Arc<Pace>,
    method: Method,
    uri: Uri,
    about: About,
    status: Option<StatusCode>,
    body_bytes: u64,
}

impl Exchange {
    pub(super) fn begin(request: &hyper::Request<Incoming>, pace: Arc<Pace>) -> Exchange {
        pace.answering();
        Exchange {
            begun: Instant::now(),
            pace,
            method: request.method().clone(),
            uri: request.uri().clone(),
            about: About::default(),
            status: None,
            body_bytes: 0,
        }
    }

    /// Answers; whatever happens inside of the answer, there is one.
    pub(super) async fn run<A: Answer>(
        mut self,
        answer: &A,
        limits: &Limits,
        request: hyper::Request<Incoming>,
    ) -> hyper::Response<OutBody> {
        if !self.pace.lets_in(|| share_of(request.headers())) {
            let refused = self.without_answer(answer, NoAnswer::Overloaded);
            return self.give(refused);
        }
        let deadline = Arc::new(Deadline::new(self.begun, limits.request_timeout));
        let patience = Patience::new(limits.body_timeout, limits.body_bytes_per_second_min);
        let request = taken(request, patience, &deadline);
        let mut answering = std::pin::pin!(answer.answer(request));
        let answered = poll_fn(|cx| self.step(answering.as_mut(), &deadline, cx)).await;
        let response = answered.unwrap_or_else(|why| self.without_answer(answer, why));
        self.give(response)
    }

    /// Goes on answering until there is an answer, or a reason why there is none. An answer that is there counts even after the
    /// deadline, and one that is there at once needs no timer.
    fn step(
        &mut self,
        answering: Pin<&mut impl Future<Output = Response>>,
        deadline: &Deadline,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response, NoAnswer>> {
        // Nothing of ours is looked at after a panic, except locks, which know that they are poisoned.
        let step = AssertUnwindSafe(|| answering.poll(cx));
        match self.about.during(|| catch_unwind(step)) {
            Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
            // The panic itself, with its place, is in the log already: the panic hook writes it.
            Err(_) => Poll::Ready(Err(NoAnswer::Panicked)),
            Ok(Poll::Pending) => {
                ready!(self.pace.poll_alarm(|| deadline.at(), cx));
                tracing::warn!(request_id = self.request_id(), path = self.uri.path(), "no answer in time");
                Poll::Ready(Err(NoAnswer::Overloaded))
            }
        }
    }

    fn without_answer<A: Answer>(&self, answer: &A, why: NoAnswer) -> Response {
        answer.without_answer(why, self.uri.path(), self.about.request_id)
    }

    /// The response in hyper's type. The length of a body is ours to say: what the headers say of it counts only for HEAD
    /// without a body, where nobody else knows. A 204 has `Content-Length: 0`, as OpenStack's has.
    fn give(mut self, response: Response) -> hyper::Response<OutBody> {
        if self.about.request_id.is_none() {
            self.about.request_id = request_id_in(&response.headers);
        }
        self.status = Some(response.status);
        let Response { status, mut headers, body, .. } = response;
        let head = self.method == Method::HEAD;
        let keeps_its_own = head && matches!(&body, Body::Bytes(bytes) if bytes.is_empty());
        if !(keeps_its_own && headers.contains_key(CONTENT_LENGTH)) {
            headers.remove(CONTENT_LENGTH);
            if let Some(length) = body.length().filter(|_| may_have_length(status)) {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
        let body = if head { Body::empty() } else { body };
        let mut given = hyper::Response::new(OutBody::new(body, status == StatusCode::NO_CONTENT && !head, self));
        *given.status_mut() = status;
        *given.headers_mut() = headers;
        given
    }

    fn request_id(&self) -> Option<&str> {
        self.about.request_id.as_ref().map(RequestId::as_str)
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.body_bytes += bytes as u64;
    }

    /// Says in the log why the body of a response ends before its end.
    pub(super) fn broke_off(&self, cause: &impl std::fmt::Display) {
        tracing::error!(request_id = self.request_id(), path = self.uri.path(), %cause, "the body of a response broke off");
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.pace.answered();
        access_line(|| AccessRecord {
            request_id: self.request_id(),
            method: self.method.as_str(),
            path: self.uri.path(),
            status: self.status.map(|status| status.as_u16()),
            duration: self.begun.elapsed(),
            body_bytes: self.body_bytes,
            project_id: self.about.project_id.as_ref().map(ProjectId::as_str),
        });
    }
}

/// Whose request it is as far as can be seen without looking anything up: that of a token, good or not.
fn share_of(headers: &HeaderMap) -> Share {
    headers.get("x-auth-token").map_or(Share::OWN, |token| Share::of(token.as_bytes()))
}

fn may_have_length(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NOT_MODIFIED
}

fn request_id_in(headers: &HeaderMap) -> Option<RequestId> {
    let id = headers.get("x-openstack-request-id").or_else(|| headers.get("x-compute-request-id"))?;
    id.to_str().ok()?.parse().ok()
}

/// A request in our type. Where the target is absolute (a client that takes us for a proxy), its authority is the Host
/// (RFC 9112, 3.2.2).
fn taken(request: hyper::Request<Incoming>, patience: Patience, deadline: &Arc<Deadline>) -> Request {
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    if let (Some(_), Some(authority)) = (parts.uri.scheme(), parts.uri.authority())
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        headers.insert(HOST, host);
    }
    let length = body.size_hint().exact();
    let body = match body.is_end_stream() {
        true => Body::empty(),
        false => Body::Stream(Box::pin(InBody::new(body, patience, Arc::clone(deadline))), length),
    };
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().map(str::to_owned));
    Request { method: parts.method, path, query, headers, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(60);

    #[test]
    fn a_body_that_arrives_moves_the_deadline_in_steps() {
        let begun = Instant::now();
        let deadline = Deadline::new(begun, STEP);
        let later = begun + Duration::from_secs(50);
        deadline.received(BODY_STEP_BYTES as usize - 1, later);
        assert_eq!(deadline.at(), begun + STEP);
        deadline.received(1, later);
        assert_eq!(deadline.at(), later + STEP);
    }

    async fn answered(deadline: Deadline, answer: impl Future<Output = Response>) -> Result<StatusCode, NoAnswer> {
        let mut exchange = Exchange {
            begun: deadline.begun,
            pace: Arc::new(Pace::new(&crate::serve::tests::limits(), Arc::default())),
            method: Method::GET,
            uri: Uri::from_static("/"),
            about: About::default(),
            status: None,
            body_bytes: 0,
        };
        let mut answer = std::pin::pin!(answer);
        let answered = poll_fn(|cx| exchange.step(answer.as_mut(), &deadline, cx)).await;
        answered.map(|response| response.status)
    }

    #[tokio::test]
    async fn an_answer_that_is_there_is_given_even_after_the_deadline() {
        let deadline = Deadline::new(Instant::now() - STEP, Duration::ZERO);
        let answer = std::future::ready(Response::new(StatusCode::OK));
        assert_eq!(answered(deadline, answer).await, Ok(StatusCode::OK));
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_is_given_up() {
        let deadline = Deadline::new(Instant::now(), Duration::from_millis(1));
        assert_eq!(answered(deadline, std::future::pending()).await, Err(NoAnswer::Overloaded));
    }

    #[tokio::test]
    async fn a_deadline_that_has_moved_is_waited_for() {
        let now = Instant::now();
        let asked = std::cell::Cell::new(0);
        let moves = || {
            asked.set(asked.get() + 1);
            if asked.get() <= 2 { now - STEP } else { now + STEP }
        };
        let pace = Pace::new(&crate::serve::tests::limits(), Arc::default());
        let waited = poll_fn(|cx| Poll::Ready(pace.poll_alarm(moves, cx))).await;
        assert!(waited.is_pending() && asked.get() > 2, "asked {} times", asked.get());
    }
}
