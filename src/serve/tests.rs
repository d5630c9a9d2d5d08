//! The street from outside: real sockets on a free port, short times, and waiting for what must happen.

mod abuse;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Answer, Ended, Limits, NoAnswer, Tls, serve};
use crate::api::fault::Fault;
use crate::api::message::{Body, BodyError, Request, Response};
use crate::model::ids::RequestId;

/// Longer than anything here takes; only a failing test waits so long.
pub(super) const LONG: Duration = Duration::from_secs(20);
/// The time that is over soon, in tests of that time.
pub(super) const SHORT: Duration = Duration::from_millis(30);

pub(super) fn limits() -> Limits {
    Limits {
        header_bytes_max: 8192,
        header_timeout: LONG,
        body_timeout: LONG,
        body_bytes_per_second_min: 0,
        idle_timeout: LONG,
        request_timeout: LONG,
        connections_max: 8,
        drain: LONG,
    }
}

/// Answers by path, and lets a test wait for it and hold it.
#[derive(Clone, Default)]
struct Echo {
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

impl Answer for Echo {
    async fn answer(&self, request: Request) -> Response {
        crate::logs::name_request(RequestId::from_random([7; 16]));
        let host = request.header("host").unwrap_or("").to_owned();
        match request.path.as_str() {
            "/panic" => panic!("as the test wants it"),
            "/hold" => {
                self.entered.notify_one();
                self.release.notified().await;
                text(200, "released")
            }
            "/empty" => text(204, ""),
            "/unknown-length" => stream(None),
            "/known-length" => stream(Some(6)),
            "/too-short" => stream(Some(7)),
            "/endless" => endless(),
            "/body" => match request.body.read(1 << 20).await {
                Ok(bytes) => text(200, &format!("{} bytes", bytes.len())),
                Err(BodyError::TimedOut) => text(408, "slow"),
                Err(BodyError::TooLong(_) | BodyError::Broken(_)) => text(400, "broken"),
            },
            "/panic-in-body" => Response { body: Body::Stream(Box::pin(Panics), None), ..text(200, "") },
            path => text(200, &format!("{} {path} {:?} {host} {:?}", request.method, request.query, request.body)),
        }
    }

    fn without_answer(&self, why: NoAnswer, path: &str, request_id: Option<RequestId>) -> Response {
        let fault = match why {
            NoAnswer::Panicked => Fault::defect(),
            NoAnswer::Overloaded => Fault::unavailable(1),
        };
        fault.response_at(&format!("/v2.1{path}"), request_id.unwrap_or(RequestId::from_random([0; 16])))
    }
}

fn text(status: u16, text: &str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("x-test", HeaderValue::from_static("yes"));
    let status = StatusCode::from_u16(status).expect("a status");
    Response { headers, body: Body::Bytes(Bytes::copy_from_slice(text.as_bytes())), ..Response::new(status) }
}

fn stream(length: Option<u64>) -> Response {
    let chunks = ["abc", "def"].map(|chunk| Ok(Bytes::from(chunk)));
    Response { body: Body::Stream(Box::pin(futures_util::stream::iter(chunks)), length), ..text(200, "") }
}

struct Panics;

impl futures_util::Stream for Panics {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        panic!("as the test wants it, when the head is said already")
    }
}

fn endless() -> Response {
    let chunks = futures_util::stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 65536])));
    Response { body: Body::Stream(Box::pin(chunks), None), ..text(200, "") }
}

pub(super) struct Running {
    pub(super) address: std::net::SocketAddr,
    echo: Echo,
    stop: mpsc::Sender<()>,
    ended: JoinHandle<Ended>,
}

async fn start(limits: Limits) -> Running {
    start_over(None, limits).await
}

pub(super) async fn start_over(tls: Option<Arc<Tls>>, limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let echo = Echo::default();
    let (stop, stopped) = mpsc::channel(2);
    let ended = tokio::spawn(serve(listener, tls, limits, echo.clone(), stopped));
    Running { address, echo, stop, ended }
}

impl Running {
    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.expect("the street listens"))
    }

    async fn get(&self, path: &str) -> String {
        self.connect().await.ask(&format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")).await
    }

    pub(super) async fn stop(&self) {
        self.stop.send(()).await.expect("it is still serving");
    }

    pub(super) async fn ended(self) -> Ended {
        timeout(LONG, self.ended).await.expect("it ends").expect("it does not panic")
    }
}

struct Client(TcpStream);

impl Client {
    async fn say(&mut self, words: &str) {
        self.0.write_all(words.as_bytes()).await.expect("the connection is open");
    }

    /// Everything until the other side closes.
    async fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        timeout(LONG, self.0.read_to_end(&mut heard))
            .await
            .expect("the connection is closed")
            .expect("without a reset");
        String::from_utf8(heard).expect("text")
    }

    /// Everything until these words.
    async fn hear_until(&mut self, end: &str) -> String {
        let mut heard = String::new();
        while !heard.ends_with(end) {
            let byte = timeout(LONG, self.0.read_u8()).await.expect("more is said").expect("the connection is open");
            heard.push(char::from(byte));
        }
        heard
    }

    async fn ask(&mut self, words: &str) -> String {
        self.say(words).await;
        self.hear().await
    }
}

#[tokio::test]
async fn a_request_arrives_as_sent() {
    let heard = start(limits()).await.get("//a%2Fb?c=%20&d").await;
    assert!(heard.ends_with("GET //a%2Fb Some(\"c=%20&d\") h 0 bytes"), "{heard}");
}

#[tokio::test]
async fn an_absolute_target_names_the_host() {
    let heard = start(limits()).await.get("http://other:99/x").await;
    assert!(heard.ends_with("GET /x None other:99 0 bytes"), "{heard}");
}

#[tokio::test]
async fn a_response_has_a_length_and_a_date() {
    let heard = start(limits()).await.get("/x").await;
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\nx-test: yes\r\ncontent-length: 21\r\n"), "{heard}");
    assert!(heard.contains("\r\ndate: "), "{heard}");
}

#[tokio::test]
async fn a_204_has_content_length_0() {
    let heard = start(limits()).await.get("/empty").await;
    assert!(heard.starts_with("HTTP/1.1 204 No Content\r\n") && heard.contains("\r\ncontent-length: 0\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\n"), "{heard}");
}

#[tokio::test]
async fn a_204_does_not_end_the_connection() {
    let running = start(limits()).await;
    let mut client = running.connect().await;
    client.say("GET /empty HTTP/1.1\r\nhost: h\r\n\r\n").await;
    client.hear_until("\r\n\r\n").await;
    let heard = client.ask("GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
    assert!(heard.starts_with("HTTP/1.1 200 OK"), "{heard}");
}

#[tokio::test]
async fn a_head_has_the_length_and_not_the_body() {
    let running = start(limits()).await;
    for path in ["/xxxxxxxx", "/known-length"] {
        let words = format!("HEAD {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        let heard = running.connect().await.ask(&words).await;
        assert!(heard.contains("\r\ncontent-length: ") && heard.ends_with("\r\n\r\n"), "{heard}");
        assert!(!heard.contains("content-length: 0"), "{heard}");
    }
}

#[tokio::test]
async fn a_stream_of_known_length_is_sent_with_it() {
    let heard = start(limits()).await.get("/known-length").await;
    assert!(heard.contains("\r\ncontent-length: 6\r\n") && heard.ends_with("\r\n\r\nabcdef"), "{heard}");
}

#[tokio::test]
async fn a_stream_of_unknown_length_is_sent_in_chunks() {
    let heard = start(limits()).await.get("/unknown-length").await;
    assert!(heard.contains("\r\ntransfer-encoding: chunked\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"), "{heard}");
}

#[tokio::test]
async fn a_stream_that_ends_early_ends_the_connection() {
    let running = start(limits()).await;
    let mut client = running.connect().await;
    // Otherwise the client would wait for the rest, and take the next response for it.
    client.ask("GET /too-short HTTP/1.1\r\nhost: h\r\n\r\n").await;
}

#[tokio::test]
async fn a_body_is_read_whole() {
    let running = start(limits()).await;
    let words = "POST /body HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 5\r\n\r\n12345";
    assert!(running.connect().await.ask(words).await.ends_with("5 bytes"));
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it() {
    let running = start(limits()).await;
    let mut client = running.connect().await;
    client.say("POST /body HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(client.hear_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.say("ab").await;
    client.hear_until("2 bytes").await;
}

#[tokio::test]
async fn headers_that_are_too_long_are_431() {
    let running = start(limits()).await;
    let words = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "y".repeat(9000));
    let heard = running.connect().await.ask(&words).await;
    assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
}

#[tokio::test]
async fn too_many_headers_are_431() {
    let running = start(limits()).await;
    let heard = running.connect().await.ask(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101))).await;
    assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let running = start(Limits { header_timeout: SHORT, ..limits() }).await;
    assert_eq!(running.connect().await.hear().await, "");
}

#[tokio::test]
async fn slow_headers_are_cut() {
    let running = start(Limits { header_timeout: SHORT, ..limits() }).await;
    assert_eq!(running.connect().await.ask("GET / HTTP/1.1\r\nhost:").await, "");
}

#[tokio::test]
async fn slow_headers_are_cut_in_a_later_request_too() {
    let running = start(Limits { header_timeout: SHORT, ..limits() }).await;
    let mut client = running.connect().await;
    client.say("GET /empty HTTP/1.1\r\nhost: h\r\n\r\n").await;
    client.hear_until("\r\n\r\n").await;
    assert_eq!(client.ask("GET / HTTP/1.1\r\nhost:").await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let running = start(Limits { idle_timeout: SHORT, ..limits() }).await;
    let mut client = running.connect().await;
    client.say("GET /empty HTTP/1.1\r\nhost: h\r\n\r\n").await;
    client.hear_until("\r\n\r\n").await;
    assert_eq!(client.hear().await, "");
}

#[tokio::test]
async fn a_slow_body_is_cut() {
    let running = start(Limits { body_timeout: SHORT, ..limits() }).await;
    let heard = running.connect().await.ask("POST /body HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n12").await;
    assert!(heard.starts_with("HTTP/1.1 408 ") && heard.ends_with("slow"), "{heard}");
}

#[tokio::test]
async fn a_client_that_does_not_take_its_response_is_cut() {
    let running = start(Limits { body_timeout: SHORT, connections_max: 1, ..limits() }).await;
    let mut client = running.connect().await;
    client.say("GET /endless HTTP/1.1\r\nhost: h\r\n\r\n").await;
    client.hear_until("x").await;
    running.stop().await;
    assert_eq!(running.ended().await, Ended::Drained);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_503() {
    let running = start(Limits { request_timeout: SHORT, ..limits() }).await;
    let heard = running.get("/hold").await;
    assert!(heard.starts_with("HTTP/1.1 503 ") && heard.contains("\r\nretry-after: 1\r\n"), "{heard}");
    assert!(heard.contains("\r\n\r\n{\"serviceUnavailable\": {\"code\": 503, "), "{heard}");
}

#[tokio::test]
async fn a_panic_is_a_500_with_the_id_of_the_request() {
    let heard = start(limits()).await.get("/panic").await;
    assert!(
        heard.starts_with("HTTP/1.1 500 ")
            && heard.contains("\r\nx-openstack-request-id: req-07070707-0707-4707-8707-070707070707\r\n"),
        "{heard}"
    );
    assert!(heard.contains("\r\n\r\n{\"computeFault\": {\"code\": 500, "), "{heard}");
}

#[tokio::test]
async fn after_a_panic_the_connection_serves_the_next_request() {
    let running = start(limits()).await;
    let mut client = running.connect().await;
    client.say("GET /panic HTTP/1.1\r\nhost: h\r\n\r\n").await;
    client.hear_until("}}").await;
    let heard = client.ask("GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
    assert!(heard.starts_with("HTTP/1.1 200 OK"), "{heard}");
}

#[tokio::test]
async fn a_connection_too_many_is_answered_503_and_closed() {
    let running = start(Limits { connections_max: 1, ..limits() }).await;
    let mut first = running.connect().await;
    first.say("GET /empty HTTP/1.1\r\nhost: h\r\n\r\n").await;
    first.hear_until("\r\n\r\n").await;
    let mut second = running.connect().await;
    let words = second.hear_until("}}").await;
    assert!(words.starts_with("HTTP/1.1 503 ") && words.contains("\r\nretry-after: 1\r\n"), "{words}");
    assert_eq!(second.hear().await, "");
}

#[tokio::test]
async fn a_place_that_was_left_is_taken_by_the_next() {
    let running = start(Limits { connections_max: 1, ..limits() }).await;
    for _ in 0..3 {
        // The place is free a moment after the connection is closed; until then 503 is right.
        let mut heard = running.get("/x").await;
        while heard.starts_with("HTTP/1.1 503 ") {
            heard = running.get("/x").await;
        }
        assert!(heard.starts_with("HTTP/1.1 200 OK"), "{heard}");
    }
}

#[tokio::test]
async fn a_drain_finishes_the_request_in_flight() {
    let running = start(limits()).await;
    let mut client = running.connect().await;
    client.say("GET /hold HTTP/1.1\r\nhost: h\r\n\r\n").await;
    running.echo.entered.notified().await;
    running.stop().await;
    // The listener is gone before anything is waited for.
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    running.echo.release.notify_one();
    let heard = client.hear().await;
    assert!(heard.starts_with("HTTP/1.1 200 OK") && heard.ends_with("released"), "{heard}");
    assert!(heard.contains("\r\nconnection: close\r\n"), "{heard}");
    assert_eq!(running.ended().await, Ended::Drained);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_idle_connections() {
    let running = start(limits()).await;
    let mut client = running.connect().await;
    client.say("GET /empty HTTP/1.1\r\nhost: h\r\n\r\n").await;
    client.hear_until("\r\n\r\n").await;
    let _silent = running.connect().await;
    running.stop().await;
    assert_eq!(running.ended().await, Ended::Drained);
}

#[tokio::test]
async fn a_drain_that_takes_too_long_cuts_what_is_left() {
    let running = start(Limits { drain: SHORT, ..limits() }).await;
    let mut client = running.connect().await;
    client.say("GET /hold HTTP/1.1\r\nhost: h\r\n\r\n").await;
    running.echo.entered.notified().await;
    running.stop().await;
    assert_eq!(running.ended().await, Ended::CutOff(1));
    assert_eq!(client.hear().await, "");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let running = start(limits()).await;
    let mut client = running.connect().await;
    client.say("GET /hold HTTP/1.1\r\nhost: h\r\n\r\n").await;
    running.echo.entered.notified().await;
    running.stop().await;
    running.stop().await;
    assert_eq!(running.ended().await, Ended::Interrupted);
}

#[test]
fn there_are_no_more_connections_than_files() {
    assert_eq!(limits().within_open_files(Some(130)).connections_max, 2);
    assert_eq!(limits().within_open_files(None).connections_max, 8);
}
