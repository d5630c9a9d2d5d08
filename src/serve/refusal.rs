//! The few answers of the street itself, where nobody else can answer: a panic, no time, no room.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Tls;

use crate::api::message::{Body, Response};

/// How many connections are told at once that there is no room.
pub(super) const REFUSALS_MAX: usize = 256;
/// How long that may take. Whoever does not listen that long is not told.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// How much of a request is read, and thrown away, in that time.
const REFUSED_BYTES_MAX: u64 = 64 * 1024;

/// OpenStack's sentence for what nobody expected (Nova, `api/openstack/wsgi.py`, and WebOb's explanation of 500).
const ERRED: &str = "The server has either erred or is incapable of performing the requested operation.";
/// WebOb's explanation of 503.
const UNAVAILABLE: &str = "The server is currently unavailable. Please try again at a later time.";

/// 500, after a panic.
pub(super) fn panicked(request_id: Option<&str>) -> Response {
    fault(StatusCode::INTERNAL_SERVER_ERROR, "computeFault", ERRED, request_id)
}

/// 503, when the time for an answer is over.
pub(super) fn out_of_time(request_id: Option<&str>) -> Response {
    let mut response = fault(StatusCode::SERVICE_UNAVAILABLE, "serviceUnavailable", UNAVAILABLE, request_id);
    response.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn fault(status: StatusCode, name: &str, message: &str, request_id: Option<&str>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert("x-openstack-request-id", id.clone());
        headers.insert("x-compute-request-id", id);
    }
    Response { headers, body: Body::Bytes(fault_body(status, name, message).into()), ..Response::new(status) }
}

fn fault_body(status: StatusCode, name: &str, message: &str) -> String {
    format!(r#"{{"{name}": {{"code": {}, "message": "{message}"}}}}"#, status.as_u16())
}

/// 503 to a connection there is no room for, without reading its request as one.
pub(super) async fn no_room(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let body = fault_body(StatusCode::SERVICE_UNAVAILABLE, "serviceUnavailable", UNAVAILABLE);
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=UTF-8\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\ndate: {}\r\n\r\n{body}",
        body.len(),
        jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&jiff::Timestamp::now())
            .unwrap_or_default(),
    );
    let told = async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with bytes unread is a reset, which may overtake what we have said.
        tokio::io::copy(&mut stream.take(REFUSED_BYTES_MAX), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(REFUSAL_TIME, told).await;
}

/// As `no_room`, over TLS.
pub(super) async fn no_room_over(tls: &Tls, stream: TcpStream) {
    if let Ok(Ok(stream)) = tokio::time::timeout(REFUSAL_TIME, tls.acceptor().accept(stream)).await {
        no_room(stream).await;
    }
}
